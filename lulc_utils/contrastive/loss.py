"""The idea: every pixel must find itself again in another view of the same ground, among all other pixels.

B patches per batch, n points per patch, N = B n points, D numbers per embedding.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def info_nce(za: torch.Tensor, zb: torch.Tensor, tau: float = 0.1, exclude: torch.Tensor | None = None) -> torch.Tensor:
    """How badly every point of view a finds its partner among all points of view b; a scalar.

    za, zb    [N, D]; row i of both is the same place on the ground; scaled to unit length here
    tau       temperature: the smaller, the more the nearest negatives count
    exclude   [N, N] bool: pairs that are not negatives (near neighbors); the diagonal is never excluded

    `-log exp(z_i . z_i+ / tau) / sum_k exp(z_i . z_k / tau)`, mean over i; log N when it cannot tell them apart.
    Source: van den Oord et al. 2018, arXiv 1807.03748.
    """
    logits = F.normalize(za, dim=-1) @ F.normalize(zb, dim=-1).T / tau  # [N, N]
    partner = torch.arange(len(logits), device=logits.device)
    if exclude is not None:
        logits = logits.masked_fill(exclude & (partner[:, None] != partner), -torch.inf)
    return F.cross_entropy(logits, partner)


def symmetric_info_nce(
    za: torch.Tensor, zb: torch.Tensor, tau: float = 0.1, exclude: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean of `info_nce` from a to b and from b to a; a scalar. Same arguments."""
    back = None if exclude is None else exclude.T
    return (info_nce(za, zb, tau, exclude) + info_nce(zb, za, tau, back)) / 2


def near_neighbors(ground: torch.Tensor, radius: float) -> torch.Tensor:
    """Pairs of points of one patch closer than `radius` pixels: [B, n, 2] -> [B n, B n] bool, without the diagonal.

    Land cover is smooth: the pixel next door most likely shows the same class and must not count as a negative.
    """
    batch, n = ground.shape[:2]
    close = torch.cdist(ground, ground, compute_mode="donot_use_mm_for_euclid_dist") < radius  # [B, n, n]
    close &= ~torch.eye(n, dtype=torch.bool, device=ground.device)
    return torch.block_diag(*close) if batch > 1 else close[0]

"""STEGO's loss: codes of patches should be as similar as their features, above a shift.

Shapes: B images, P or Q sampled patches each, D numbers per feature, C per code, K clusters.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def correspondence(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of every patch with every patch: [B, P, D], [B, Q, D] -> [B, P, Q]."""
    return F.normalize(a, dim=-1, eps=1e-10) @ F.normalize(b, dim=-1, eps=1e-10).transpose(1, 2)


def centered(similarity: torch.Tensor) -> torch.Tensor:
    """Spatial centering of [B, P, Q]: each patch's mean similarity is subtracted; the overall mean stays.

    Without it, a patch similar to everything (say, grass in a meadow) attracts everything. The published formula
    only subtracts; the authors' code adds the overall mean back, and so do we.
    """
    return similarity - similarity.mean(-1, keepdim=True) + similarity.mean()


def correspondence_loss(
    features_a: torch.Tensor,
    features_b: torch.Tensor,
    codes_a: torch.Tensor,
    codes_b: torch.Tensor,
    shift: float,
    center: bool = True,
    clamp: bool = True,
    reduction: str = "mean",
) -> torch.Tensor:
    """Codes should be as similar as features, above a shift: -max(S, 0) * (F - b), a scalar.

    features [B, P, D] and [B, Q, D] (no gradient), codes [B, P, C] and [B, Q, C]; F and S are their cosine
    correspondences. clamp: codes that are already at right angles or beyond are not pushed any further.
    reduction "none" returns [B, P, Q]. Source: STEGO, equation 4 and `ContrastiveCorrelationLoss.helper`.
    """
    with torch.no_grad():
        f = correspondence(features_a, features_b)
        f = centered(f) if center else f
    s = correspondence(codes_a, codes_b)
    loss = (s.relu() if clamp else s) * (shift - f)
    return loss if reduction == "none" else loss.mean()


def cluster_loss(codes: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Cluster probe, k-means by gradient: minus the mean cosine of each code [..., C] to its best center [K, C]."""
    return -(F.normalize(codes, dim=-1) @ F.normalize(centers, dim=-1).T).amax(-1).mean()

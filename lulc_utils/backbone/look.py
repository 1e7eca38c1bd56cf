"""Looking at features: similarity maps, principal components as colors, and the baseline without a network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from lulc_utils.backbone.images import checked, normalized, padded


def raw_color(images: np.ndarray | torch.Tensor, patch: int = 8) -> torch.Tensor:
    """The baseline without a network: mean and deviation of every band per patch, [N, h, w, 2 * bands].

    Images as for `patch_features`; values in 0..1, padded in the same way, so that the grids agree.
    """
    x = padded(normalized(checked(images)), patch)
    x = x.unflatten(-1, (-1, patch)).unflatten(-3, (-1, patch))  # [N, bands, h, patch, w, patch]
    parts = x.mean((-3, -1)), x.std((-3, -1), correction=0)  # 2 x [N, bands, h, w]
    return torch.cat(parts, 1).movedim(1, -1)  # [N, h, w, 2 * bands]


def similarity(features: torch.Tensor, row: int, col: int) -> torch.Tensor:
    """Cosine of the patch at (row, col) with every patch of its image, [h, w, D] -> [h, w] in -1..1."""
    if features.ndim != 3:
        raise ValueError(f"Take the features of one image, [h, w, D], not {tuple(features.shape)}.")
    if not (0 <= row < features.shape[0] and 0 <= col < features.shape[1]):
        raise ValueError(f"There is no patch ({row}, {col}) in a grid of {tuple(features.shape[:2])}.")
    unit = F.normalize(features.float(), dim=-1)
    return unit @ unit[row, col]


class PcaColors(NamedTuple):
    """Three principal axes and the displayed range: mean [D], axes [D, 3], low [3], high [3]."""

    mean: torch.Tensor
    axes: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor


def fit_pca(features: torch.Tensor, spread: float = 2.0) -> PcaColors:
    """The axes along which features [..., D] vary most; colors reach from percentile `spread` to 100 - it.

    Deterministic: the largest number of every axis is made positive. ValueError when D < 3 or for NaN.
    """
    rows = features.reshape(-1, features.shape[-1]).double()  # [M, D]
    if rows.shape[1] < 3 or not torch.isfinite(rows).all():
        raise ValueError("Three principal axes need at least three finite numbers per patch.")
    mean = rows.mean(0)
    axes = torch.linalg.eigh((rows - mean).T @ (rows - mean)).eigenvectors[:, -3:].flip(1)  # [D, 3]
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    limits = np.percentile(((rows - mean) @ axes).numpy(), [spread, 100 - spread], axis=0)
    return PcaColors(mean, axes, *torch.from_numpy(limits))


def pca_rgb(features: torch.Tensor, fit: PcaColors | None = None) -> torch.Tensor:
    """Features [..., D] as colors [..., 3] in 0..1 by three principal axes.

    fit: a `fit_pca` of other images, to color several in the same way; without it, the axes of these features.
    """
    fit = fit or fit_pca(features)
    along = (features.double() - fit.mean) @ fit.axes  # [..., 3]
    return ((along - fit.low) / (fit.high - fit.low).clamp_min(1e-12)).clamp(0, 1).float()

"""Images as input for networks: checked, scaled and normalized, padded to whole patches."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from lulc_utils.backbone.loading import Backbone


def checked(images: np.ndarray | torch.Tensor, backbone: Backbone | None = None) -> torch.Tensor:
    """[N, bands, H, W] on the CPU, uint8 or float; ValueError otherwise."""
    if not isinstance(images, torch.Tensor):
        images = np.asarray(images)
        if images.dtype.kind not in "uif":
            raise ValueError(f"Images must be numbers, not {images.dtype}.")
        images = torch.from_numpy(np.require(images, requirements="CW"))
    images = images.detach().cpu()
    shape = tuple(images.shape)
    if images.ndim != 4 or 0 in shape:
        raise ValueError(f"Images must be [N, 3, rows, cols] with at least one image, not {shape}.")
    bands = backbone.model.patch_embed.proj.in_channels if backbone else shape[1]
    if shape[1] != bands:
        hint = "; move the bands to the front" if shape[-1] == bands else "; pick them with Scene.select"
        raise ValueError(f"'{backbone.name}' takes {bands} bands (RGB), not {shape[1]}{hint}.")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"Images must be uint8 or floats in 0..1, not {images.dtype}.")
    if images.is_floating_point():
        low, high = float(images.min()), float(images.max())  # NaN passes through min and max
        if not np.isfinite(low + high):
            raise ValueError("The images hold NaN or infinite values; fill those pixels first.")
        if (backbone is None or backbone.mean is not None) and not -1e-6 <= low <= high <= 1 + 1e-6:
            raise ValueError(f"Float images must lie in 0..1, but these reach from {low:.3g} to {high:.3g}.")
    return images


def normalized(images: torch.Tensor, backbone: Backbone | None = None) -> torch.Tensor:
    """float32, scaled to 0..1 and then by the backbone's mean and standard deviation."""
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if backbone is None or backbone.mean is None:
        return x
    mean, std = (torch.tensor(v, device=x.device).view(-1, 1, 1) for v in (backbone.mean, backbone.std))
    return (x - mean) / std


def padded(x: torch.Tensor, patch: int) -> torch.Tensor:
    """Padded to whole patches at the bottom and right by mirroring, or by repeating where the image is too small."""
    height, width = x.shape[-2:]
    for size, pad in ((width, (0, -width % patch, 0, 0)), (height, (0, 0, 0, -height % patch))):
        if any(pad):
            x = F.pad(x, pad, mode="reflect" if max(pad) < size else "replicate")
    return x


def prepared(images: torch.Tensor, backbone: Backbone) -> torch.Tensor:
    """Pixels as input for the network, on its device, padded to whole patches."""
    device = next(backbone.model.parameters()).device
    return padded(normalized(images.to(device), backbone), backbone.patch)

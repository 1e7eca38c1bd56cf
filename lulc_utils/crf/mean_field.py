"""Mean field inference of the fully connected CRF: its two kernels, and what it asks of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp

import torch

from lulc_utils.crf.lattice import lattice_filter, lattice_of

CLIP = 1e-5  # smallest probability: a class that is ruled out completely could never come back
REACH = 5  # sigmas, where the separable Gaussian is cut off: 4e-6 of its peak

Filter = Callable[[torch.Tensor], torch.Tensor]  # [V, K] -> [V, K]


def dense_crf(
    image: torch.Tensor,
    probabilities: torch.Tensor,
    *,
    iterations: int = 10,
    smooth: tuple[float, float] = (1.0, 3.0),
    appearance: tuple[float, float, float] = (67.0, 3.0, 4.0),
    valid: torch.Tensor | None = None,
) -> torch.Tensor:
    """Class probabilities [K, H, W] after mean field inference; dtype and device are those of `probabilities`.

    image          [bands, H, W], uint8 or floats in 0..255
    probabilities  [K, H, W], sum 1 over K: a softmax, not its logarithm
    smooth         (sigma in pixels, compatibility) of the smoothness kernel; compatibility 0 leaves it out
    appearance     (sigma in pixels, sigma in gray levels, compatibility) of the appearance kernel
    valid          [H, W] bool, False where nothing was measured: such pixels neither send nor receive messages
                   and keep their probabilities, which may be NaN there, as may the image

    The defaults are STEGO's. Inputs stay on their device; there are no random numbers. Memory: about 1 kB per pixel.
    ValueError for shapes that do not fit, NaN, probabilities that do not sum to 1, or widths that are not positive.
    Sources: Krähenbühl & Koltun 2011; Adams et al. 2010; pydensecrf for the conventions.
    """
    valid = _checked(image, probabilities, valid, iterations, smooth, appearance)
    classes, height, width = probabilities.shape
    if not valid.any():
        return probabilities.clone()
    kind = torch.promote_types(probabilities.dtype, torch.float32)
    known = probabilities[:, valid].T.to(kind)  # [V, K]
    log_p = known.clamp_min(CLIP).log()
    messages = _kernels(image.to(probabilities.device, kind), valid, smooth, appearance)
    q = _softmax(log_p)
    for _ in range(iterations if messages else 0):
        q = _softmax(log_p + sum(weight * listen(q) for weight, listen in messages))
    result = probabilities.clone()
    result[:, valid] = q.T.to(probabilities.dtype)
    return result


def _softmax(x: torch.Tensor) -> torch.Tensor:
    """Over the last of two axes, by way of the first: torch is slow on short rows."""
    return x.T.softmax(0).T.contiguous()


def _kernels(image: torch.Tensor, valid: torch.Tensor, smooth: tuple, appearance: tuple) -> list[tuple[float, Filter]]:
    """The kernels in use, each with its compatibility."""
    kernels = []
    if smooth[1]:
        kernels.append((smooth[1], _normalized(lambda q: _gaussian(q, valid, smooth[0]), image, valid)))
    if appearance[2]:
        rows, cols = valid.nonzero().T.to(image.dtype) / appearance[0]  # 2 x [V]
        colors = image[:, valid] / appearance[1]  # [bands, V]
        lattice = lattice_of(torch.stack([rows, cols, *(colors - colors.mean(1, keepdim=True))]))
        kernels.append((appearance[2], _normalized(lambda q: lattice_filter(q, lattice), image, valid)))
    return kernels


def _normalized(kernel: Filter, image: torch.Tensor, valid: torch.Tensor) -> Filter:
    """D^-1/2 K D^-1/2 with D = diag(K 1)."""
    ones = image.new_ones(int(valid.sum()), 1)
    scale = kernel(ones).rsqrt()  # [V, 1]
    return lambda q: scale * kernel(scale * q)


def _gaussian(q: torch.Tensor, valid: torch.Tensor, sigma: float) -> torch.Tensor:
    """Sum over all valid pixels of exp(-distance^2 / 2 sigma^2) q, [V, K] -> [V, K]."""
    whole = bool(valid.all())
    grid = q.new_zeros(*valid.shape, q.shape[1])  # [H, W, K]
    grid = q.view_as(grid) if whole else grid.index_put((valid,), q)
    for axis in (0, 1):  # shifted sums, one axis after the other: faster here than a convolution with few channels
        out, n = grid.clone(), grid.shape[axis]
        for step in range(1, min(ceil(REACH * sigma), n - 1) + 1):
            weight = exp(-0.5 * (step / sigma) ** 2)
            out.narrow(axis, 0, n - step).add_(grid.narrow(axis, step, n - step), alpha=weight)
            out.narrow(axis, step, n - step).add_(grid.narrow(axis, 0, n - step), alpha=weight)
        grid = out
    return grid.view_as(q) if whole else grid[valid]


def _checked(
    image: torch.Tensor,
    probabilities: torch.Tensor,
    valid: torch.Tensor | None,
    iterations: int,
    smooth: tuple[float, float],
    appearance: tuple[float, float, float],
) -> torch.Tensor:
    """valid as a tensor on the right device; one plain sentence for anything that cannot work."""
    shape = tuple(probabilities.shape)
    if image.ndim != 3 or len(shape) != 3 or tuple(image.shape[1:]) != shape[1:] or 0 in (*shape, len(image)):
        raise ValueError(
            f"An image [bands, H, W] and probabilities [K, H, W] must cover the same pixels, "
            f"not {tuple(image.shape)} and {shape}."
        )
    if not probabilities.is_floating_point():
        raise ValueError(f"Probabilities must be floats, not {probabilities.dtype}; labels need F.one_hot first.")
    if valid is None:
        valid = torch.ones(shape[1:], dtype=torch.bool)
    if tuple(valid.shape) != shape[1:] or valid.dtype != torch.bool:
        raise ValueError(f"valid must be bool {shape[1:]}, not {valid.dtype} {tuple(valid.shape)}.")
    valid = valid.to(probabilities.device)
    seen, p = image.to(valid.device)[:, valid], probabilities[:, valid].double()
    if not (torch.isfinite(seen).all() and torch.isfinite(p).all()):
        raise ValueError("The image or the probabilities hold NaN or infinite values; exclude those pixels by valid.")
    slack = 1e-3 if torch.finfo(probabilities.dtype).bits > 16 else 0.02
    if p.numel() and (p.min() < 0 or (p.sum(0) - 1).abs().max() > slack):
        raise ValueError(
            "The probabilities must not be negative and must sum to 1 in every pixel; apply softmax first."
        )
    if iterations < 0 or min(smooth[1], appearance[2]) < 0 or min(smooth[0], *appearance[:2]) <= 0:
        raise ValueError("Standard deviations must be positive, compatibilities and iterations not negative.")
    if image.is_floating_point() and appearance[1] >= 1 and appearance[2]:
        bright = seen[seen > 0]  # its median, as a few pixels may lie above 1 in an image that is scaled to 0..1
        if bright.numel() and bright.median() <= 1:
            raise ValueError("The image lies in 0..1, but colors are measured in 0..255; multiply it by 255.")
    return valid

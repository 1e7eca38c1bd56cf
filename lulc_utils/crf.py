"""Fully connected CRF: sharpen class probabilities along the edges of the image (Krähenbühl & Koltun, NIPS 2011).

Every pixel talks to every other one: "we look alike and stand close, so we should have the same class". How much
i listens to j is a Gaussian kernel k(i, j) of the difference of their positions (smoothness), plus one of the
difference of their positions and colours (appearance). Mean field inference repeats

    q_i  <-  softmax( log p_i  +  sum over kernels of  compatibility * sum over j of  k(i, j) q_j )      (Potts model)

The sum over j is a filter. With N pixels it would cost N * N; here it costs about N:

* smoothness: a separable Gaussian, cut off at five sigmas;
* appearance: pixels are points in five dimensions (2 of position, 3 of colour). They hand their q to the corners of
  the simplex around them in the permutohedral lattice (Adams, Baek & Davis 2010), the corners mix with their
  neighbours in each of the six directions of the lattice, and the pixels read the result from the same corners.

Conventions are those of pydensecrf, whose numbers the literature quotes: both kernels are normalised on both sides,
k(i, j) / sqrt(d_i d_j) with d = the sum of a row; probabilities are clipped at 1e-5 before the logarithm; and the sum
over j INCLUDES j = i, although the paper leaves it out (a pixel like no other hears mostly itself).

The lattice is an approximation. On crops of 64 x 64 pixels of a simulated photograph the marginals differ by 0.001 on
average from those of all pairs, and 0.2 to 0.5 % of the pixels get another class; for pydensecrf it is 0.3 to 0.8 %.
Single pixels on the brink between two classes can differ by almost 1.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp, sqrt
from typing import NamedTuple

import torch
from torch.nn import functional as F

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
    appearance     (sigma in pixels, sigma in grey levels, compatibility) of the appearance kernel
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
        kernels.append((smooth[1], _normalised(lambda q: _gaussian(q, valid, smooth[0]), image, valid)))
    if appearance[2]:
        rows, cols = valid.nonzero().T.to(image.dtype) / appearance[0]  # 2 x [V]
        colours = image[:, valid] / appearance[1]  # [bands, V]
        lattice = _lattice(torch.stack([rows, cols, *(colours - colours.mean(1, keepdim=True))]))
        kernels.append((appearance[2], _normalised(lambda q: _lattice_filter(q, lattice), image, valid)))
    return kernels


def _normalised(kernel: Filter, image: torch.Tensor, valid: torch.Tensor) -> Filter:
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


# ------------------------------------------------------------------------------- permutohedral lattice


class _Lattice(NamedTuple):
    """d dimensions, V points, M lattice points in use.

    splat  (which points, where each lattice point's begin, weights): every lattice point sums up its points
    blur   d + 1 pairs ([M, 3] lattice points, [M, 3] weights): itself and its two neighbours in one direction
    slice  ([V, d + 1] lattice points, [V, d + 1] weights): the corners around each point
    """

    splat: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    blur: list[tuple[torch.Tensor, torch.Tensor]]
    slice: tuple[torch.Tensor, torch.Tensor]


def _lattice_filter(q: torch.Tensor, lattice: _Lattice) -> torch.Tensor:
    """About a constant times sum_j exp(-|x_i - x_j|^2 / 2) q_j, [V, K] -> [V, K]."""
    points, begin, weights = lattice.splat
    q = F.embedding_bag(points, q, begin, mode="sum", per_sample_weights=weights)  # [M, K]
    for near, weights in lattice.blur:
        q = F.embedding_bag(near, q, mode="sum", per_sample_weights=weights)
    near, weights = lattice.slice
    return F.embedding_bag(near, q, mode="sum", per_sample_weights=weights)  # [V, K]


def _lattice(x: torch.Tensor) -> _Lattice:
    """The lattice around points x, [d, V], whose unit is one standard deviation of the kernel."""
    corners, weights, steps = _simplices(x)
    sorted_codes, order = corners.flatten().sort(stable=True)
    touched, which, count = sorted_codes.unique_consecutive(return_inverse=True, return_counts=True)
    used = _with_bridges(touched, steps)  # [M] sorted
    place = torch.searchsorted(used, touched)
    near = torch.empty_like(order).scatter_(0, order, place[which]).view_as(corners)
    size = torch.zeros_like(used).scatter_(0, place, count)  # bridges: 0
    splat = (order // corners.shape[1], size.cumsum(0) - size, weights.flatten()[order])
    return _Lattice(splat, [_neighbours(used, step, x.dtype) for step in steps], (near, weights))


def _simplices(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Corners [V, d + 1] (int64 codes) and barycentric weights [V, d + 1] of the simplex around each point.

    A lattice point has d + 1 whole coordinates that sum to 0 and leave one remainder modulo d + 1; its first d are
    packed into one code. steps [d + 1]: what to add to a code to get to the neighbour in each direction.
    """
    d, n = x.shape
    raised = _raised(x)  # [d + 1, V]
    base = torch.round(raised / (d + 1)) * (d + 1)
    excess = (base.sum(0) / (d + 1)).round()  # the nearest multiples need not sum to 0
    rest, rank = raised - base, torch.zeros_like(raised, dtype=torch.int64)  # rank 0: the largest rest
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            behind = rest[i] < rest[j]
            rank[i] += behind
            rank[j] += ~behind
    rank += excess.long()  # undo the excess where it costs least: move those with an extreme rest by one cell
    move = (rank < 0).long() - (rank > d).long()
    rank += move * (d + 1)
    base = base.long() + move * (d + 1)
    sorted_rest = torch.empty_like(raised).scatter_(0, rank, (raised - base) / (d + 1))  # largest first
    weights = -sorted_rest.diff(dim=0).flip(0)  # of corners 1 .. d, [d, V]
    weights = torch.cat([1 - weights.sum(0, keepdim=True), weights]).T.contiguous()

    low = base.amin(1, keepdim=True) - 2 * (d + 1)
    span = (base.amax(1, keepdim=True) - low + 2 * (d + 1) + 1)[:d, 0].tolist()  # room for two steps outwards
    unit = [1]
    for s in reversed(span[1:]):
        unit.insert(0, unit[0] * s)
    if unit[0] * span[0] >= 2**62:
        raise ValueError("The image spans too many standard deviations of the appearance kernel; take larger ones.")
    unit = torch.tensor(unit, device=x.device)  # [d]
    code = (unit[:, None] * (base - low)[:d]).sum(0)  # [V]
    corners = []
    for k in range(d + 1):  # corner k: k more in every coordinate, less d + 1 in the k of smallest rest
        drop = torch.where(rank[:d] > d - k, unit[:, None], 0).sum(0)
        corners.append(code + k * unit.sum() - (d + 1) * drop)
    steps = torch.cat([unit.sum() - (d + 1) * unit, unit.sum()[None]])
    return torch.stack(corners, 1), weights, steps


def _raised(x: torch.Tensor) -> torch.Tensor:
    """[d, V] -> [d + 1, V] on the plane of sum 0, scaled so that splat, blur and slice have variance 1 together."""
    d = len(x)
    rows, tail = [], torch.zeros_like(x[0])
    for i in range(d, 0, -1):  # orthogonal axes of the plane: (1, .., 1, -i, 0, .., 0)
        part = x[i - 1] * (sqrt(2 / 3) * (d + 1) / sqrt(i * (i + 1)))
        rows.append(tail - i * part)
        tail = tail + part
    rows.append(tail)
    return torch.stack(rows[::-1])


def _with_bridges(used: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Lattice points that touch a pixel's simplex, and empty ones between two of them (sorted codes).

    In five dimensions most of the lattice is empty, and the blur does not cross gaps: without the bridges pixels
    of a rare colour lose most of their neighbours.
    """
    around = torch.cat([used + step for step in (*steps, *-steps)])
    around, count = around.unique(return_counts=True)
    return torch.cat([used, around[count > 1]]).unique()


def _neighbours(used: torch.Tensor, step: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Itself and both neighbours in one direction with weights 1/2, 1/4, 1/4 (0 where there is none), [M, 3] twice."""
    here = torch.arange(len(used), device=used.device)
    after = torch.searchsorted(used, used + step).clamp_max(len(used) - 1)
    found = used[after] == used + step
    before = torch.full_like(here, -1).scatter_(0, after[found], here[found])  # whoever follows me is preceded by me
    near = torch.stack([here, torch.where(found, after, here), torch.where(before < 0, here, before)], 1)
    weights = torch.stack([torch.full_like(here, 2), found, before >= 0], 1).to(dtype) / 4
    return near, weights


# ----------------------------------------------------------------------------------------------- checks


def _checked(image, probabilities, valid, iterations, smooth, appearance) -> torch.Tensor:
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
    if image.is_floating_point() and p.numel() and 0 < seen.max() <= 1 <= appearance[1] and appearance[2]:
        raise ValueError("The image lies in 0..1, but colours are measured in 0..255; multiply it by 255.")
    return valid

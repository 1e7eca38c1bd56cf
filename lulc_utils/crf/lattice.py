"""The permutohedral lattice: a Gaussian filter in five dimensions whose cost grows with the number of points only.

Points hand their values to the corners of the simplex around them, the corners mix with their neighbors in each
direction of the lattice, and the points read the result from the same corners (Adams, Baek & Davis 2010).
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch.nn import functional as F


class Lattice(NamedTuple):
    """d dimensions, V points, M lattice points in use.

    splat  (which points, where each lattice point's begin, weights): every lattice point sums up its points
    blur   d + 1 pairs ([M, 3] lattice points, [M, 3] weights): itself and its two neighbors in one direction
    slice  ([V, d + 1] lattice points, [V, d + 1] weights): the corners around each point
    """

    splat: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    blur: list[tuple[torch.Tensor, torch.Tensor]]
    slice: tuple[torch.Tensor, torch.Tensor]


def lattice_filter(q: torch.Tensor, lattice: Lattice) -> torch.Tensor:
    """About a constant times sum_j exp(-|x_i - x_j|^2 / 2) q_j, [V, K] -> [V, K]."""
    points, begin, weights = lattice.splat
    q = F.embedding_bag(points, q, begin, mode="sum", per_sample_weights=weights)  # [M, K]
    for neighbors, weights in lattice.blur:
        q = F.embedding_bag(neighbors, q, mode="sum", per_sample_weights=weights)
    corner_points, weights = lattice.slice
    return F.embedding_bag(corner_points, q, mode="sum", per_sample_weights=weights)  # [V, K]


def lattice_of(x: torch.Tensor) -> Lattice:
    """The lattice around points x, [d, V], whose unit is one standard deviation of the kernel."""
    corners, weights, steps = simplices(x)
    sorted_codes, order = corners.flatten().sort(stable=True)
    touched, which, count = sorted_codes.unique_consecutive(return_inverse=True, return_counts=True)
    used = _with_bridges(touched, steps)  # [M] sorted
    place = torch.searchsorted(used, touched)
    corner_points = torch.empty_like(order).scatter_(0, order, place[which]).view_as(corners)
    size = torch.zeros_like(used).scatter_(0, place, count)  # bridges: 0
    splat = (order // corners.shape[1], size.cumsum(0) - size, weights.flatten()[order])
    return Lattice(splat, [_neighbors(used, step, x.dtype) for step in steps], (corner_points, weights))


def simplices(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Corners [V, d + 1] (int64 codes) and barycentric weights [V, d + 1] of the simplex around each point.

    A lattice point has d + 1 whole coordinates that sum to 0 and leave one remainder modulo d + 1; its first d are
    packed into one code. steps [d + 1]: what to add to a code to get to the neighbor in each direction.
    """
    d, n = x.shape
    raised = _raised(x)  # [d + 1, V]
    base = torch.round(raised / (d + 1)) * (d + 1)
    excess = (base.sum(0) / (d + 1)).round()  # the nearest multiples need not sum to 0
    # Rank the coordinates of each point by what rounding left over; rank 0 has the largest rest.
    rest, rank = raised - base, torch.zeros_like(raised, dtype=torch.int64)
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            behind = rest[i] < rest[j]
            rank[i] += behind
            rank[j] += ~behind
    # Undo the excess where it costs least: move the coordinates with an extreme rest by one cell.
    rank += excess.long()
    move = (rank < 0).long() - (rank > d).long()
    rank += move * (d + 1)
    base = base.long() + move * (d + 1)
    # The weight of a corner is the difference between two neighboring rests.
    sorted_rest = torch.empty_like(raised).scatter_(0, rank, (raised - base) / (d + 1))  # largest first
    weights = -sorted_rest.diff(dim=0).flip(0)  # of corners 1 .. d, [d, V]
    weights = torch.cat([1 - weights.sum(0, keepdim=True), weights]).T.contiguous()

    code, unit = _packed(base)
    corners = []
    for k in range(d + 1):  # corner k: k more in every coordinate, less d + 1 in the k of smallest rest
        drop = torch.where(rank[:d] > d - k, unit[:, None], 0).sum(0)
        corners.append(code + k * unit.sum() - (d + 1) * drop)
    steps = torch.cat([unit.sum() - (d + 1) * unit, unit.sum()[None]])
    return torch.stack(corners, 1), weights, steps


def _packed(base: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One whole number per lattice point [d + 1, V], and what each of the first d coordinates counts in it, [d].

    As with digits: a coordinate counts as much as all values of those behind it. ValueError when 62 bits are too few.
    """
    d = len(base) - 1
    low = base.amin(1, keepdim=True) - 2 * (d + 1)
    span = (base.amax(1, keepdim=True) - low + 2 * (d + 1) + 1)[:d, 0].tolist()  # room for two steps outwards
    unit = [1]
    for s in reversed(span[1:]):
        unit.insert(0, unit[0] * s)
    if unit[0] * span[0] >= 2**62:
        raise ValueError("The image spans too many standard deviations of the appearance kernel; take larger ones.")
    unit = torch.tensor(unit, device=base.device)
    return (unit[:, None] * (base - low)[:d]).sum(0), unit


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
    of a rare color lose most of their neighbors.
    """
    around = torch.cat([used + step for step in (*steps, *-steps)])
    around, count = around.unique(return_counts=True)
    return torch.cat([used, around[count > 1]]).unique()


def _neighbors(used: torch.Tensor, step: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Itself and both neighbors in one direction with weights 1/2, 1/4, 1/4 (0 where there is none), [M, 3] twice."""
    itself = torch.arange(len(used), device=used.device)
    after = torch.searchsorted(used, used + step).clamp_max(len(used) - 1)
    follows = used[after] == used + step
    before = torch.full_like(itself, -1).scatter_(
        0, after[follows], itself[follows]
    )  # whoever follows me is preceded by me
    neighbors = torch.stack([itself, torch.where(follows, after, itself), torch.where(before < 0, itself, before)], 1)
    weights = torch.stack([torch.full_like(itself, 2), follows, before >= 0], 1).to(dtype) / 4
    return neighbors, weights

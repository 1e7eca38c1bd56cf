"""Is it worth placing the points? Ways to place the same number of labels, and two ways to use them, in many places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from lulc_utils import cluster, evaluate
from lulc_utils.points.describe import describer, labels_at, rows_of
from lulc_utils.points.groups import Groups, group
from lulc_utils.scene import UNLABELLED, Scene

PLACEMENTS = ("random", "grid", "one per group", "middle")
USES = ("groups", "classifier")
WAYS = tuple(f"{placed} points, {use}" for placed in PLACEMENTS for use in USES)
NUMBERS = (12, 24, 48, 96)
FAR = 100.0  # a constant number beside standardized features: angles then order as Euclidean distances do
Scores = Mapping[str, Mapping[int, Sequence[float]]]  # {way: {number of points: [mIoU of every place]}}


def place_points(how: str, groups: Groups, spots: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """The rows [n] that are labelled, of rows at `spots` [M, 3] (image, row, column).

    how   "random"; "grid": a systematic grid that starts at a random pixel; "one per group": a random row of every
          group; "middle": the row in the middle of every group
    """
    if how == "random":
        return rng.choice(len(spots), n, replace=False)
    if how == "middle":
        return groups.middles
    if how == "one per group":
        return np.array([rng.choice(np.flatnonzero(groups.member == g)) for g in np.unique(groups.member)])
    return _grid(spots, n, rng)


def _grid(spots: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n rows on a square grid with a random start: the nearest to its nodes; those missing at the edge are random."""
    low, high = spots.min(0), spots.max(0)
    images, *size = high - low + 1
    step = np.sqrt(images * np.prod(size) / n)
    nodes = [np.arange(start, side, step).astype(int) for start, side in zip(rng.random(2) * step, size, strict=True)]
    row_at = np.full(high - low + 1, -1)
    row_at[tuple((spots - low).T)] = np.arange(len(spots))
    rows = row_at[:, nodes[0]][:, :, nodes[1]].ravel()
    rows = rng.permutation(rows[rows >= 0])[:n]
    missing = n - len(rows)
    extra = rng.choice(np.setdiff1d(np.arange(len(spots)), rows), missing, replace=False) if missing else []
    return np.concatenate([rows, np.asarray(extra, int)])


def map_from(use: str, rows: torch.Tensor, groups: Groups, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Classes [M] uint8 of all rows [M, D] from the labels of some: a classifier's, or the names of the groups.

    A group gets the most frequent label of its points or, without one, the name of the most similar group with one.
    """
    if use == "classifier":
        if len(set(labels)) == 1:
            return np.full(len(rows), labels[0], np.uint8)
        return evaluate.predict(evaluate.linear_probe(rows[points].numpy(), labels), rows.numpy())
    k, n_classes = len(groups.middles), int(labels.max()) + 1
    names = cluster.names(labels, groups.member[points], n_classes, k, many=True)
    known = np.flatnonzero(names != UNLABELLED)
    centers = groups.clusters.centers
    nearest = known[cluster.similarity(centers, centers[known]).argmax(1).numpy()]
    return names[nearest].astype(np.uint8)[groups.member]


def all_ways(
    rows: torch.Tensor,
    spots: np.ndarray,
    truth: np.ndarray,
    n: int,
    *,
    draws: int = 50,
    seed: int = 0,
    placements: Sequence[str] = PLACEMENTS,
) -> dict[str, float]:
    """The mIoU of maps from n labelled rows of [M, D] in one place, by these placements and both uses (`WAYS`).

    Each is the mean over `draws` draws, with another start of k-means for every 25 of them; nothing else is drawn in
    the middles.
    """
    scores: dict[str, list[float]] = {}
    starts = max(1, draws // 25)
    for start in range(starts):
        groups, rng = group(rows, n, seed + start), np.random.default_rng([seed, start])
        for placed in placements:
            for _ in range(1 if placed == "middle" else max(1, draws // starts)):
                points = place_points(placed, groups, spots, n, rng)
                for use in USES:
                    answer = map_from(use, rows, groups, points, truth[points])
                    miou = evaluate.miou(truth, answer, int(truth.max()) + 1)
                    scores.setdefault(f"{placed} points, {use}", []).append(miou)
    return {way: float(np.mean(values)) for way, values in scores.items()}


def compare(
    scenes: Sequence[Scene],
    numbers: Sequence[int] = NUMBERS,
    kind: str = "reflectance",
    *,
    draws: int = 50,
    distance: bool = False,
    placements: Sequence[str] = PLACEMENTS,
    seed: int = 0,
    steps: int = 40,
) -> dict[str, dict[int, list[float]]]:
    """`all_ways` in every scene separately: {way: {number of points: [mIoU of every scene]}}.

    kind, steps   of `describer`; scene i draws with seed + i
    distance      group by Euclidean distance instead of the angle, which leaves out how bright a pixel is
    """
    table: dict[str, dict[int, list]] = {}
    for i, scene in enumerate(scenes):
        rows, spots = rows_of([scene], describer([scene], kind, steps=steps, seed=seed))
        truth = labels_at(spots, [scene])
        known = truth != UNLABELLED
        rows, spots, truth = rows[torch.from_numpy(known)], spots[known], truth[known]
        if distance:
            rows = torch.cat([rows, torch.full((len(rows), 1), FAR)], -1)
        for n in numbers:
            ways = all_ways(rows, spots, truth, n, draws=draws, seed=seed + i, placements=placements)
            for way, miou in ways.items():
                table.setdefault(way, {}).setdefault(n, []).append(miou)
    return table


EFFECTS = {  # name: (way, minus way)
    "middles, not random; classifier": ("middle points, classifier", "random points, classifier"),
    "middles, not random; groups": ("middle points, groups", "random points, groups"),
    "groups, not classifier; random": ("random points, groups", "random points, classifier"),
    "groups, not classifier; middles": ("middle points, groups", "middle points, classifier"),
    "a grid, not random; classifier": ("grid points, classifier", "random points, classifier"),
    "one per group, not random; classifier": ("one per group points, classifier", "random points, classifier"),
    "middles, not one per group; classifier": ("middle points, classifier", "one per group points, classifier"),
    "both, not neither": ("middle points, groups", "random points, classifier"),
}


def effects(scores: Scores) -> dict[str, dict[int, np.ndarray]]:
    """{effect: {number of points: [of every place]}}: what placement and use add, each with the other held fixed.

    "interaction" is how much more the middles add when groups are named than when a classifier is trained.
    """
    numbers = list(next(iter(scores.values())))
    table = {
        name: {n: np.subtract(scores[way][n], scores[reference][n]) for n in numbers}
        for name, (way, reference) in EFFECTS.items()
    }
    both = (table["middles, not random; groups"], table["middles, not random; classifier"])
    return table | {"interaction": {n: both[0][n] - both[1][n] for n in numbers}}


def with_intervals(scores: Scores) -> dict[str, dict[int, tuple[float, float, float]]]:
    """The same table with (mean, low, high) over places, by Student's t, instead of the values of places."""
    return {name: {n: evaluate.mean_interval(values) for n, values in of.items()} for name, of in scores.items()}

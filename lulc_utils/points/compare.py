"""Is it worth placing the points? Four ways to place and use the same number of labels, in one place or in many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from lulc_utils import cluster, evaluate
from lulc_utils.points.describe import describer, rows_of, with_labels
from lulc_utils.points.groups import group
from lulc_utils.scene import UNLABELLED, Scene

WAYS = tuple(f"{placed} points, {use}" for placed in ("random", "middle") for use in ("groups", "classifier"))
Tables = Mapping[str, Mapping[int, Sequence[np.ndarray]]]  # {way: {number of points: [counts of every place]}}


def four_ways(rows: torch.Tensor, truth: np.ndarray, n: int, seed: int, n_classes: int) -> dict[str, np.ndarray]:
    """Counts [K, K + 1] for maps from n labelled rows of [M, D]: two ways to place them, two to use them (`WAYS`).

    Placed at random or in the middles of n groups; used to name the groups or to train a classifier.
    """
    groups = group(rows, n, seed)
    random = np.random.default_rng(seed).choice(len(truth), n, replace=False)
    maps = {}
    for placed, points in (("random", random), ("middle", groups.middles)):
        labels = truth[points]
        common = np.bincount(labels, minlength=n_classes).argmax()
        names = cluster.names(labels, groups.member[points], n_classes, n, many=True)
        maps[f"{placed} points, groups"] = np.where(names == UNLABELLED, common, names).astype(np.uint8)[groups.member]
        maps[f"{placed} points, classifier"] = np.full_like(truth, common)
        if len(set(labels)) > 1:
            probe = evaluate.linear_probe(rows[points].numpy(), labels)
            maps[f"{placed} points, classifier"] = evaluate.predict(probe, rows.numpy())
    return {way: evaluate.confusion(truth, labels, n_classes) for way, labels in maps.items()}


def compare(
    scenes: Sequence[Scene], numbers: Sequence[int] = (12, 24, 48, 96), kind: str = "reflectance", **options: int
) -> dict[str, dict[int, list[np.ndarray]]]:
    """`four_ways` in every scene separately: {way: {number of points: [counts of every scene]}}.

    options   `steps` and `seed` of `describer`; scene i draws with seed + i
    """
    tables: dict[str, dict[int, list]] = {way: {n: [] for n in numbers} for way in WAYS}
    for i, scene in enumerate(scenes):
        rows, spots = rows_of([scene], describer([scene], kind, **options))
        rows, truth = with_labels(rows, spots, [scene])
        for n in numbers:
            ways = four_ways(rows, truth, n, options.get("seed", 0) + i, len(scene.classes))
            for way, table in ways.items():
                tables[way][n].append(table)
    return tables


def with_intervals(tables: Tables) -> dict[str, dict[int, tuple[float, float, float]]]:
    """The same tables with (mIoU, low, high) instead of counts; the intervals are over places."""
    return {
        way: {n: evaluate.with_interval(counts) for n, counts in numbers.items()} for way, numbers in tables.items()
    }


def gains(tables: Tables) -> dict[int, tuple[float, float, float]]:
    """{number of points: (mIoU, low, high)}: gain of groups named by their middles over the usual way.

    The usual way is a classifier trained on random points; the differences are paired over places.
    """
    ours, usual = tables["middle points, groups"], tables["random points, classifier"]
    return {n: evaluate.paired_interval(ours[n], usual[n]) for n in ours}

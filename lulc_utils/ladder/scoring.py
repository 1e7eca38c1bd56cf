"""Counts, scores with intervals, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from lulc_utils import backbone, evaluate
from lulc_utils.ladder.crops import Crops
from lulc_utils.literal import Title, as_number
from lulc_utils.plot import Table, class_map, rgb
from lulc_utils.scene import Scene

Interval = tuple[float, float, float]  # value, low, high
Places = Mapping[str, Mapping[str, Mapping[str, float]]]  # {place: {way: {score: value}}}


def count(
    answers: Mapping[str, np.ndarray], crops: Crops, groups: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """{way: confusion per crop, or per group of crops, [G, n, n + 1]} of answers [N, H, W]."""
    groups = [s.name for s in crops.scenes] if groups is None else groups
    return {name: evaluate.confusions_by_group(crops.labels, a, groups, crops.n_classes) for name, a in answers.items()}


def with_intervals(tables: Mapping[str, np.ndarray], score: str = "miou") -> dict[str, Interval]:
    """{way: (value, low, high)} of one table per crop or tile, [T, n, n + 1], with 95 % intervals."""
    return {way: evaluate.with_interval(t, score) for way, t in tables.items()}


def scores(tables: Mapping[str, np.ndarray]) -> dict[str, dict[str, Interval]]:
    """{"accuracy": {way: (value, low, high)}, "mIoU": {...}} with 95 % intervals."""
    return {"accuracy": with_intervals(tables, "accuracy"), "mIoU": with_intervals(tables)}


def summary(counts: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, Interval]]:
    """mIoU of what `read_all` counted, {way: {description: (value, low, high)}}; "one class" stands below each way."""
    lazy = {"one class": counts["one class"]["any"]}
    return {way: with_intervals({**named, **lazy}) for way, named in counts.items() if way != "one class"}


def map_pictures(
    crops: Crops, maps: Mapping[str, np.ndarray], numbers: Sequence[int], titles: Mapping[str, str]
) -> dict[Title, np.ndarray]:
    """Some crops as pictures: the image, the truth, and maps [N, H, W]; `titles` are {name of a map: its title}."""
    pictures = {}
    for i in numbers:
        pictures[crops.scenes[i].name] = rgb(crops.scenes[i])
        for title, labels in {"truth": crops.labels, **{t: maps[name] for name, t in titles.items()}}.items():
            pictures[title, i] = class_map(labels[i], crops.scenes[i].classes)
    return pictures


def score_table(
    tables: Mapping[tuple[str, ...], np.ndarray],
    first: Sequence[str],
    caption: str,
    *,
    more: Sequence[list] = (),
) -> Table:
    """Accuracy, mIoU with its 95 % interval and macro-F1, a row for every entry.

    tables   what a row is, as many words as `first` has -> one confusion table per crop or tile
    first    heads the columns of these words
    more     further rows at the end
    """
    rows = []
    for words, t in tables.items():
        s, (_, low, high) = evaluate.scores(t.sum(0)), evaluate.with_interval(t)
        rows.append([*words, s["accuracy"], s["miou"], f"{as_number(low)} to {as_number(high)}", s["macro_f1"]])
    return Table([*first, "accuracy", "mIoU", "95 % interval", "macro-F1"], [*rows, *more], caption)


def gain_table(
    pairs: Mapping[tuple[str, ...], tuple[np.ndarray, np.ndarray]], first: Sequence[str], caption: str
) -> Table:
    """Differences of mIoU with their 95 % intervals, a row for every pair of tables of the same crops or tiles."""
    rows = []
    for words, (a, b) in pairs.items():
        gain, low, high = (as_number(v, sign="+") for v in evaluate.paired_interval(a, b))
        rows.append([*words, gain, f"{low} to {high}"])
    return Table([*first, "mIoU", "95 % interval"], rows, caption)


def place_table(places: Places, columns: Mapping[str, str], score: str, caption: str) -> Table:
    """One score of every place; `columns` are {way: its short name}."""
    rows = [[place, *(float(ways[way][score]) for way in columns)] for place, ways in places.items()]
    return Table(["place", *columns.values()], rows, caption)


def by_place(places: Places, a: str, b: str) -> dict[str, Interval]:
    """Differences of mIoU of two ways, {place: (value, value, value)}: one place has no interval."""
    return {place: (ways[a]["miou"] - ways[b]["miou"],) * 3 for place, ways in places.items()}


def pca_pictures(
    scenes: Sequence[Scene], features: Mapping[str, torch.Tensor], numbers: Sequence[int]
) -> dict[Title, np.ndarray]:
    """Some scenes, each beside the PCA colors of its descriptions [N, h, w, D], which are fitted on all scenes."""
    fits, pictures = {name: backbone.fit_pca(x) for name, x in features.items()}, {}
    for i in numbers:
        pictures[scenes[i].name] = rgb(scenes[i])
        pictures |= {(name, i): backbone.pca_rgb(x[i], fits[name]) for name, x in features.items()}
    return pictures

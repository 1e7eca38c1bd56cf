"""Which method for which label budget: one chart whose every line is read from the book's measured results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lulc_utils import charts, results, style
from lulc_utils.tables import Interval

PATCH = 64 * 64  # labelled pixels in a patch of chapter 3


class Choice(NamedTuple):
    """The best method for a budget of labels beside the plain alternative, on the same images by the same score.

    budget    labels to order by: points, or about as many pixels
    do, instead   (method, (value, low, high))
    source    file in book/measured
    """

    budget: float
    labels: str
    images: str
    real: bool
    do: tuple[str, Interval]
    instead: tuple[str, Interval]
    source: str


def by_budget() -> list[Choice]:
    """All choices, from no label to all."""
    every = [*_clusters(), *_points(), *_networks(), *_metadata(), *_every_label()]
    return sorted(every, key=lambda choice: choice.budget)


def chart() -> Figure:
    """A line between two methods for every budget of labels, simulated above and real below, with their intervals."""
    every = by_budget()
    parts = {kind: [c for c in every if c.real == real] for kind, real in (("simulated", False), ("real", True))}
    heights = [len(part) + 1 for part in parts.values()]
    size = (style.WIDEST, 0.42 * sum(heights))
    figure, axes = plt.subplots(2, 1, figsize=size, height_ratios=heights, sharex=True, layout="constrained")
    for axis, (kind, part) in zip(axes, parts.items(), strict=True):
        names = [f"{c.labels} ({c.images})\n{c.do[0]} | {c.instead[0]}" for c in part]
        charts.dumbbells(axis, names, [c.do[1] for c in part], [c.instead[1] for c in part])
        axis.set_title(f"{kind} images", loc="left")
    axes[1].set_xlabel("mIoU (accuracy in the lines that say so), 95 % intervals")
    charts.legend_below(figure, axes[0], 2)
    return figure


def _clusters() -> Iterator[Choice]:
    chapter = "02_stego_clustering"
    parts = {"simulated": results.measured(chapter, "simulated")["mIoU"]}
    parts["Dubai"] = results.measured(chapter, "dubai")["scores"]["mIoU"]
    for images, miou in parts.items():
        instead = ("k-means + CRF", miou["k-means, frozen features + CRF"])
        do = ("STEGO + CRF", miou["STEGO + CRF"])
        yield Choice(0, "no labels", f"aerial, {images}", images == "Dubai", do, instead, chapter)


def _points() -> Iterator[Choice]:
    chapter = "06_your_own_place"
    for part, real in (("curves", False), ("terramesh", True)):
        ways = results.measured(chapter, part)["ways"]
        for n in ("12", "48", "96"):
            do = ("middles, groups", ways["middle points, groups"][n])
            instead = ("random, classifier", ways["random points, classifier"][n])
            yield Choice(int(n), f"{n} points", "10 m", real, do, instead, chapter)


def _networks() -> Iterator[Choice]:
    chapter, do = "contrastive_grid", "pre-trained U-Net"
    regions = results.measured(chapter, "scores").values()
    for share in ("0.01", "0.1", "1.0"):
        for key, instead in (("random", "from scratch"), ("pixels", "single pixels")):
            best, rival = ([region[share][kind][0] for region in regions] for kind in ("here", key))
            both = [(float(np.mean(v)), min(v), max(v)) for v in (best, rival)]  # over the regions
            labels, budget = f"{float(share):.0%} of 200 patches", float(share) * 200 * PATCH
            yield Choice(budget, labels, "10 m", False, (do, both[0]), (instead, both[1]), chapter)
    real = results.measured(chapter, "real")
    for share in ("0.05", "0.25", "1.0"):
        labels, both = f"{float(share):.0%} of 40 squares", real[share]
        instead = ("from scratch", both["random"])
        yield Choice(float(share) * 40 * PATCH, labels, "10 m", True, (do, both["pre-trained"]), instead, chapter)


def _metadata() -> Iterator[Choice]:
    chapter = "pseudo_label_grid"
    ways = {"student": "pseudo-labels, teacher told the place", "image only": "pseudo-labels"}
    for n, of in results.measured(chapter, "labels").items():
        both = [(words, of[way]["inside"]) for way, words in ways.items()]
        yield Choice(3 * int(n), f"{n} per class, unlabelled rows", "accuracy", False, *both, chapter)


def _every_label() -> Iterator[Choice]:
    chapter = "02_stego_clustering"
    miou = results.measured(chapter, "simulated")["mIoU"]
    both = ("linear probe on ViT", miou["linear probe"]), ("STEGO + CRF", miou["STEGO + CRF"])
    yield Choice(5e6, "all pixels of 100 crops", "aerial", False, *both, chapter)

"""Which method for which label budget: one chart whose every line is read from the book's measured results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lulc_utils import charts, results, style
from lulc_utils.tables import Interval


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
    do, rivals = "pre-trained U-Net", {"random": "from scratch", "pixels": "single pixels"}
    grid = results.measured("contrastive_space", "grid")
    for n in ("24", "384"):
        for key, instead in rivals.items():
            both = [(name, grid[n]["scores"][way]) for name, way in ((do, "pre-trained"), (instead, key))]
            yield Choice(float(n), f"{n} points", "10 m, hazy", False, *both, "contrastive_space")
    for task, name in (("land_cover", "land cover, 30 m"), ("water", "water, 30 m")):
        scores = results.measured("contrastive_flood", "grid")[task]["24 points"]["scores"]
        for key, instead in rivals.items():
            both = [(name, scores[way]) for name, way in ((do, "pre-trained"), (instead, key))]
            yield Choice(24, "24 points", name, True, *both, "contrastive_flood")


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

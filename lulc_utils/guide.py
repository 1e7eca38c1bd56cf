"""Which method for which label budget: one chart whose every line is read from the book's measured results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea, VPacker

from lulc_utils import charts, results
from lulc_utils.literal import as_label
from lulc_utils.plot import COLORS, MARKERS
from lulc_utils.tables import Interval

WIDE, HIGH = 4.6, 0.66  # inches across, which a phone shows whole, and of a row: two lines of words above two marks
SIGNS = "\u25cf\u25a0\u25c6"  # in front of a method's name: the shapes of the first three markers
LEGEND = ("the method of its chapter", "a plain alternative", "a second one")
Named = tuple[str, Interval]  # (method, (value, low, high))


class Choice(NamedTuple):
    """The method of a chapter for a budget of labels beside plain alternatives, on the same images by the same score.

    budget    labels to order by: points, or about as many pixels
    do        the method of the chapter; it need not be the best
    source    file in book/measured
    """

    budget: float
    labels: str
    images: str
    real: bool
    do: Named
    instead: tuple[Named, ...]
    source: str


def by_budget() -> list[Choice]:
    """All choices, from no label to all."""
    every = [*_clusters(), *_points(), *_networks(), *_metadata(), *_every_label()]
    return sorted(every, key=lambda choice: choice.budget)


def chart() -> Figure:
    """A row with two or three methods for every budget of labels, simulated above and real below, with intervals."""
    every = by_budget()
    parts = {kind: [c for c in every if c.real == real] for kind, real in (("simulated", False), ("real", True))}
    heights = [len(part) for part in parts.values()]
    size = (WIDE, HIGH * sum(heights) + 1.8)
    figure, axes = plt.subplots(2, 1, figsize=size, height_ratios=heights, sharex=True, layout="constrained")
    for axis, (kind, part) in zip(axes, parts.items(), strict=True):
        _rows(axis, part)
        axis.set_title(f"{kind} images", loc="left", weight="bold")
    axes[1].set_xlabel("mIoU (accuracy where it says so), 95 % intervals")
    charts.legend_below(figure, axes[0], 1)
    return figure


def _rows(axis: Axes, part: list[Choice]) -> None:
    """A row for each choice, its words above its marks; the first choice is on top."""
    for i, label in enumerate(LEGEND):
        of = [(row, (c.do, *c.instead)[i][1]) for row, c in enumerate(part) if len(c.instead) >= i]
        rows, (value, low, high) = np.array([row for row, _ in of]), np.array([v for _, v in of], float).T
        look = {"color": COLORS[i], "marker": MARKERS[i], "markersize": 6, "linestyle": "none", "elinewidth": 1}
        spread = np.maximum([value - low, high - value], 0)
        axis.errorbar(value, rows + 0.18 + 0.1 * i, xerr=spread, label=label, **look)
    for row, c in enumerate(part):
        head = TextArea(f"{c.labels} ({c.images})", textprops={"weight": "bold"})
        words = VPacker(pad=0, sep=1, children=[head, _names(c)])
        at = {"xycoords": ("axes fraction", "data"), "box_alignment": (0, 1), "frameon": False, "pad": 0}
        axis.add_artist(AnnotationBbox(words, (0.015, row - 0.45), **at))
        axis.axhline(row - 0.5, color="black", linewidth=0.4)
    axis.set(yticks=[], ylim=(len(part) - 0.5, -0.5))
    axis.grid(axis="x", alpha=0.3)


def _names(choice: Choice) -> HPacker:
    """The names of the methods, each behind its sign in its color."""
    names = [name for name, _ in (choice.do, *choice.instead)]
    signs = [TextArea(sign, textprops={"color": color}) for sign, color in zip(SIGNS, COLORS, strict=False)]
    pairs = [(sign, TextArea(as_label(name))) for sign, name in zip(signs, names, strict=False)]
    return HPacker(pad=0, sep=3, children=[box for pair in pairs for box in pair])


def _clusters() -> Iterator[Choice]:
    runs = results.measured("stego_runs", "means")["Dubai"]
    simulated = results.measured("stego_runs", "simulated")["scores"]["mIoU"]
    ways = {"STEGO + CRF": "STEGO + CRF", "k-means + CRF": "k-means, frozen features + CRF"}
    kinds = {"aerial": {n: simulated[way] for n, way in ways.items()}}
    kinds["satellite, Dubai"] = {name: runs[way]["miou"] for name, way in ways.items()}
    for images, of in kinds.items():
        do, instead = of.items()
        yield Choice(0, "no labels", images, "Dubai" in images, do, (instead,), "stego_runs")


def _points() -> Iterator[Choice]:
    chapter = "06_your_own_place"
    for part, real in (("curves", False), ("terramesh", True)):
        ways = results.measured(chapter, part)["ways"]
        for n in ("12", "48", "96"):
            do = ("middles, groups", ways["middle points, groups"][n])
            instead = ("random, classifier", ways["random points, classifier"][n])
            yield Choice(int(n), f"{n} points", "10 m", real, do, (instead,), chapter)


def _networks() -> Iterator[Choice]:
    names = {"pre-trained": "pre-trained U-Net", "random": "from scratch", "pixels": "single pixels"}
    grid = results.measured("contrastive_space", "grid")
    for n in ("24", "384"):
        do, *instead = [(name, grid[n]["scores"][way]) for way, name in names.items()]
        yield Choice(float(n), f"{n} points", "10 m, hazy", False, do, tuple(instead), "contrastive_space")
    for task, name in (("land_cover", "land cover, 30 m"), ("water", "water, 30 m")):
        scores = results.measured("contrastive_flood", "grid")[task]["24 points"]["scores"]
        do, *instead = [(said, scores[way]) for way, said in names.items()]
        yield Choice(24, "24 points", name, True, do, tuple(instead), "contrastive_flood")


def _metadata() -> Iterator[Choice]:
    chapter = "pseudo_label_grid"
    ways = {"student": "teacher told place, date", "image only": "pseudo-labels alone"}
    for n, of in results.measured(chapter, "labels").items():
        do, *instead = [(words, of[way]["inside"]) for way, words in ways.items()]
        yield Choice(3 * int(n), f"{n} per class, unlabelled rows", "accuracy", False, do, tuple(instead), chapter)


def _every_label() -> Iterator[Choice]:
    miou = results.measured("stego_runs", "simulated")["scores"]["mIoU"]
    do, instead = ("linear probe on ViT", miou["linear probe"]), ("STEGO + CRF", miou["STEGO + CRF"])
    yield Choice(5e6, "all pixels of 100 crops", "aerial", False, do, (instead,), "stego_runs")

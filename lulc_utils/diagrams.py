"""Diagrams of how a method works: boxes and arrows between them, and groups in colors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lulc_utils.plot import COLORS, class_map
from lulc_utils.scene import LandCover

# Of groups that have no name: told apart with every common kind of color blindness (Paul Tol's muted scheme), and none
# the color of a class in `legends`, so that a group is not taken for the class.
GROUPS = tuple(
    LandCover(f"group {i}", color)
    for i, color in enumerate(("#332288", "#cc6677", "#88ccee", "#aa4499", "#dddddd", "#882255", "#44aa99"))
)

Box = tuple[float, float, str]  # middle (x, y) and text


def boxes(axis: Axes, of: Mapping[str, Box], color: str) -> None:
    """Boxes with text, `{name: (x, y, text)}`, in a frame of one color."""
    style = {"boxstyle": "round,pad=0.45", "edgecolor": color, "facecolor": "white", "linewidth": 1.5}
    for x, y, text in of.values():
        axis.text(x, y, text, ha="center", va="center", bbox=style, zorder=2)


def arrows(axis: Axes, of: Mapping[str, Box], pairs: Sequence[tuple[str, str]], **style: object) -> None:
    """Arrows behind the boxes, from one to another."""
    line = {"arrowstyle": "-|>", "linewidth": 1.3, "color": "0.35", "shrinkA": 20, "shrinkB": 24, **style}
    for start, end in pairs:
        axis.annotate("", of[end][:2], of[start][:2], arrowprops=line, zorder=1)


def groups(axis: Axes, of: np.ndarray, colors: tuple[LandCover, ...], tables: Sequence[Axes] = ()) -> None:
    """Groups [h, w] in colors; below tables with a column for each group its number stands on the same color."""
    axis.imshow(class_map(of, colors), interpolation="nearest")
    axis.set_axis_off()
    for table in tables:
        for label, group in zip(table.get_xticklabels(), colors, strict=False):  # there may be more colors than groups
            dark = np.dot(to_rgb(group.color), (0.3, 0.59, 0.11)) < 0.5
            label.set_color("white" if dark else "black")
            label.set_bbox({"boxstyle": "round,pad=0.25", "facecolor": group.color, "edgecolor": "none"})
        table.tick_params(axis="x", length=0, pad=6)


def teacher_and_student() -> Figure:
    """The framework of chapter 4: who sees what, in training and in use."""
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    given = {
        "meta": (0.11, 0.88, "place and date"),
        "weak": (0.11, 0.6, "field without label,\nas it is"),
        "strong": (0.11, 0.32, "the same, distorted"),
        "labels": (0.11, 0.06, "few labelled fields"),
    }
    networks = {"teacher": (0.45, 0.74, "teacher"), "student": (0.45, 0.2, "student")}
    results = {"map": (0.86, 0.2, "map of any place:\nno place or date asked"), "end": (0.86, 0.74, "thrown away")}
    every = given | networks | results
    axis.axvline(0.665, color="0.75", linewidth=1, linestyle=":")
    for x, text in ((0.3, "in training"), (0.86, "in use")):
        axis.text(x, 1.02, text, ha="center", va="bottom", style="italic")
    thin = [("meta", "teacher"), ("weak", "teacher"), ("strong", "student"), ("strong", "teacher")]
    arrows(axis, every, [*thin, ("labels", "student"), ("labels", "teacher")])
    arrows(axis, every, [("teacher", "student")], color=COLORS[1], linewidth=2)
    arrows(axis, every, [("student", "map")], shrinkB=72)
    arrows(axis, every, [("teacher", "end")], shrinkB=44, linestyle="--")
    axis.text(0.47, 0.47, "label, if trusted", color=COLORS[1], va="center")
    for group, color in ((given, "0.5"), (networks, COLORS[0]), (results, COLORS[2])):
        boxes(axis, group, color)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.05, 1.08))
    axis.set_axis_off()
    return figure


def pretrain_and_tune() -> Figure:
    """The method of chapter 3: what is learned without labels, what is kept of it, and where the few labels come in."""
    figure, axis = plt.subplots(figsize=(6, 4.4), layout="constrained")
    seen = {"first": (0.12, 0.9, "a ground in May"), "second": (0.12, 0.62, "the same ground\nin August")}
    shared = {
        "net": (0.45, 0.76, "network\n(U-Net)"),
        "net again": (0.45, 0.2, "network,\ntrained further"),
    }
    parts = {
        "projection": (0.69, 0.76, "projection"),
        "match": (0.95, 0.76, "same place?"),
        "head": (0.69, 0.2, "linear head"),
        "map": (0.95, 0.2, "map"),
    }
    given = {"image": (0.12, 0.3, "one date"), "points": (0.12, 0.09, "few labelled\npoints")}
    every = seen | shared | parts | given
    arrows(axis, every, [("first", "net"), ("second", "net")], shrinkB=36)
    arrows(axis, every, [("image", "net again"), ("points", "net again")], shrinkB=56)
    arrows(axis, every, [("net", "projection"), ("net again", "head")], shrinkB=42)
    arrows(axis, every, [("projection", "match")], shrinkB=50)
    arrows(axis, every, [("head", "map")], shrinkB=24)
    arrows(axis, every, [("net", "net again")], color=COLORS[1], linewidth=2, shrinkA=22)
    axis.text(0.47, 0.48, "its weights are kept,\nthe projection is not", color=COLORS[1], va="center")
    for y, text in ((1.03, "1. without labels, on many images"), (0.42, "2. with few labels")):
        axis.text(-0.02, y, text, style="italic", va="bottom")
    for group, color in ((seen | given, "0.5"), (shared, COLORS[0]), (parts, COLORS[2])):
        boxes(axis, group, color)
    axis.set(xlim=(-0.03, 1.07), ylim=(-0.02, 1.1))
    axis.set_axis_off()
    return figure

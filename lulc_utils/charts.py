"""Charts of scores and differences with their intervals; every interval is (value, low, high)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import ConnectionPatch, Rectangle

from lulc_utils import style
from lulc_utils.literal import as_label, as_number
from lulc_utils.plot import COLORS, MARKERS, heat, mark_patch, patch_grid, rgb
from lulc_utils.scene import LandCover, Scene
from lulc_utils.tables import Interval


def points(axis: Axes, at: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray, label: str) -> None:
    """Values with their intervals, [n] each, in the color of the first method."""
    style = {"fmt": MARKERS[0], "color": COLORS[0], "capsize": 3, "linestyle": "none", "label": as_label(label)}
    axis.errorbar(at, value, yerr=[value - low, high - value], **style)


def curves(axis: Axes, lines: Mapping[str, Mapping], title: str, xlabel: str = "labelled points") -> None:
    """Scores against a number on a logarithmic axis, a line for each method: `{way: {number: (value, low, high)}}`."""
    for i, (way, values) in enumerate(lines.items()):
        n, (value, low, high) = [*map(int, values)], np.array([*values.values()]).T
        style = {"color": COLORS[i], "marker": MARKERS[i], "label": as_label(way)}
        spread = np.maximum([value - low, high - value], 0)
        axis.errorbar(np.array(n) * 1.03**i, value, yerr=spread, capsize=2, **style)
    axis.set(xscale="log", xticks=n, xlabel=as_label(xlabel), title=as_label(title))
    axis.set_xticklabels(n)
    axis.minorticks_off()


def transitions(axis: Axes, table: np.ndarray, names: Sequence[str], largest: float) -> None:
    """Changes between classes, [K, K], as shades with numbers; the diagonal (no change) is left out.

    largest   the value of the darkest shade
    """
    off = np.where(np.eye(len(table)), np.nan, table)
    axis.imshow(off, cmap="Blues", vmin=0, vmax=largest)
    for i, j in np.argwhere(off >= 0.5):
        color = "white" if off[i, j] > 0.6 * largest else "black"
        axis.text(j, i, f"{off[i, j]:.0f}", ha="center", va="center", color=color)
    axis.set(xticks=range(len(names)), yticks=range(len(names)))
    axis.set_xticklabels(map(as_label, names), rotation=45, ha="right")
    axis.set_yticklabels(map(as_label, names))


def scatter(axis: Axes, x: np.ndarray, y: np.ndarray, kinds: Mapping[LandCover, np.ndarray]) -> None:
    """Points [N] by class, `{class: [N] bool, its points}`: its color on maps, black edges and a shape of its own.

    Colors of maps are made for areas; two of them may be too much alike in marks this small, so shapes differ, too.
    """
    for i, (kind, which) in enumerate(kinds.items()):
        look = {"marker": "o^sv"[i % 4], "facecolors": kind.color, "edgecolors": "black", "linewidths": 0.7}
        axis.scatter(x[which], y[which], s=20, label=as_label(kind.name), **look)


def bands(axis: Axes, lines: Mapping[str, Mapping[float, Interval]]) -> None:
    """Scores against a number on a logarithmic axis, the intervals as shaded bands: `{name: {number: interval}}`."""
    for i, (name, values) in enumerate(lines.items()):
        x, (value, low, high) = list(values), np.array([*values.values()]).T
        axis.plot(x, value, color=COLORS[i], marker=MARKERS[i], markersize=4, label=as_label(name))
        axis.fill_between(x, low, high, color=COLORS[i], alpha=0.12)
    axis.set_xscale("log")
    axis.set_xticks(x, [f"{number:g}" for number in x])
    axis.minorticks_off()


def differences(axis: Axes, kinds: Mapping[str, Mapping[str, Interval]]) -> None:
    """Differences with their intervals and a line at zero: `{kind: {what: interval}}`, a row for each `what`."""
    for j, (kind, values) in enumerate(kinds.items()):
        value, low, high = np.array([*values.values()]).T
        rows, style = np.arange(len(values)) + 0.25 * j, {"color": COLORS[j], "marker": MARKERS[j], "capsize": 3}
        axis.errorbar(value, rows, xerr=[value - low, high - value], linestyle="none", label=as_label(kind), **style)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(values)), [*map(as_label, values)])


def names_above(axis: Axes) -> None:
    """The name of each row of `differences` above its marks and not beside them: room for both on a phone."""
    rows, names = axis.get_yticks(), [label.get_text() for label in axis.get_yticklabels()]
    clear = {"facecolor": "white", "edgecolor": "none", "pad": 0}  # the line at zero stops at a name
    for row, name in zip(rows, names, strict=True):
        axis.text(0.02, row - 0.35, name, va="center", transform=axis.get_yaxis_transform(), bbox=clear)
    axis.set(yticks=[], ylim=(len(rows) - 0.4, -0.65))


def matrix(axis: Axes, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], largest: float) -> AxesImage:
    """Signed numbers [R, C] written on colors from red (-largest) to blue, NaN left blank; the image for a bar."""
    image = axis.imshow(values, cmap="RdBu", vmin=-largest, vmax=largest)
    for (i, j), v in np.ndenumerate(values):
        axis.text(j, i, as_number(v, sign="+") if np.isfinite(v) else "", ha="center", va="center", color="black")
    axis.set_xticks(range(len(columns)), [*map(as_label, columns)], rotation=30, ha="right")
    axis.set_yticks(range(len(rows)), [*map(as_label, rows)])
    return image


def connect(figure: Figure, axes: Sequence[Axes], first: Sequence, second: Sequence) -> None:
    """Lines between points (x, y) of one panel and points of another."""
    between = {"coordsA": axes[0].transData, "coordsB": axes[1].transData}
    for p, q in zip(first, second, strict=True):
        figure.add_artist(ConnectionPatch(p, q, **between, linewidth=1))


def numbered(axes: Sequence[Axes], first: Sequence, second: Sequence) -> None:
    """The same places (x, y) in two pictures, under the same number and color in both."""
    for axis, places in zip(axes, (first, second), strict=True):
        for i, (x, y) in enumerate(places):
            box = {"boxstyle": "circle,pad=0.15", "facecolor": COLORS[i % 6], "edgecolor": "white"}
            axis.text(x, y, str(i + 1), color="white", weight="bold", ha="center", va="center", bbox=box)


def legend_below(figure: Figure, axis: Axes, columns: int = 4) -> None:
    """The legend of one panel, below all of them."""
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def pair(xlabel: str, ylabel: str) -> tuple[Figure, np.ndarray]:
    """An empty figure of two panels that share the vertical axis."""
    figure, axes = plt.subplots(1, 2, figsize=(style.WIDEST, 3.4), sharey=True, layout="constrained")
    for axis in axes:
        axis.set_xlabel(as_label(xlabel))
    axes[0].set_ylabel(as_label(ylabel))
    return figure, axes


def lines(axis: Axes, x: Sequence[float], values: Mapping[str, Sequence[float]]) -> None:
    """Values against x, a line with its own marker for each: `{name: [n]}`."""
    for i, (name, y) in enumerate(values.items()):
        axis.plot(x, y, color=COLORS[i], marker=MARKERS[i], markersize=4, label=as_label(name))


def one_patch(
    scene: Scene, at: tuple[int, int], attention: np.ndarray, feature: np.ndarray
) -> tuple[Figure, np.ndarray]:
    """What a transformer does with one patch: where it is, its pixels, what it attends to, and its feature.

    at          row and column of the patch on the grid
    attention   [h, w], how much the patch takes from every other
    feature     [D]
    """
    attention, feature = np.asarray(attention), np.asarray(feature)
    side, picture = scene.height // len(attention), rgb(scene)
    ratios = {"gridspec_kw": {"width_ratios": [3, 3, 3, 1]}, "layout": "constrained"}
    figure, axes = plt.subplots(1, 4, figsize=(style.WIDEST, 2.3), **ratios)
    axes[0].imshow(picture)
    patch_grid(axes[0], scene.height, scene.width, side)
    mark_patch(axes[0], *at, side)
    rows, cols = (slice(n * side, (n + 1) * side) for n in at)
    axes[1].imshow(picture[rows, cols], interpolation="nearest")
    heat(axes[2], picture, attention, "attention")
    mark_patch(axes[2], *at, side)
    largest = float(abs(feature).max())
    axes[3].imshow(feature[:, None], aspect="auto", cmap="RdBu", vmin=-largest, vmax=largest)
    titles = (
        f"{attention.size} patches",
        f"one patch, {side} x {side} pixels",
        "where it looks",
        f"{len(feature)} numbers",
    )
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title)
        axis.set_axis_off()
    return figure, axes


def ladders(panels: Mapping[str, Mapping[str, Interval]], base: str) -> Figure:
    """Scores with their intervals from top to bottom, `{where: {rung: interval}}`, a panel for each `where`.

    base   the rung whose score is drawn as a line: the plain alternative. A rung that a panel lacks stays empty there
    All panels have one scale, written below the lowest.
    """
    rungs = list(dict.fromkeys(rung for of in panels.values() for rung in of))
    columns = 2 if len(panels) == 4 else len(panels)
    lines = -(-len(panels) // columns)
    size = {"figsize": (7, lines * (0.6 + 0.28 * len(rungs)) + 0.3), "layout": "constrained"}
    figure, axes = plt.subplots(lines, columns, squeeze=False, sharex=True, sharey=True, **size)
    marks = {"fmt": MARKERS[0], "color": COLORS[0], "capsize": 3, "linestyle": "none"}
    for axis, (where, of) in zip(axes.flat, panels.items(), strict=True):
        value, low, high = np.array([of.get(rung, [np.nan] * 3) for rung in rungs]).T
        axis.errorbar(value, range(len(rungs)), xerr=[value - low, high - value], **marks)
        axis.axvline(of[base][0], color=COLORS[1], linewidth=1, linestyle="--")
        axis.set_title(as_label(where))
        axis.grid(axis="x", alpha=0.3)
    axes[0, 0].set_yticks(range(len(rungs)), [*map(as_label, rungs)])
    axes[0, 0].invert_yaxis()
    for axis in axes[-1]:
        axis.set_xlabel("accuracy")
    return figure


def curve_panels(panels: Mapping[str, Mapping[str, Mapping[str, Interval]]], xlabel: str) -> Figure:
    """`curves` side by side, `{where: {way: {number: interval}}}`."""
    figure, axes = plt.subplots(1, len(panels), figsize=(7, 2.9), sharey=True, layout="constrained")
    for axis, (where, lines) in zip(axes, panels.items(), strict=True):
        curves(axis, lines, where, xlabel)
    axes[0].set_ylabel("accuracy")
    axes[0].legend()
    return figure


def ranked(axes: Sequence[Axes], scores: Mapping[str, Mapping[str, Interval]], labelled: Sequence[str] = ()) -> None:
    """A panel for each score `{score: {way: interval}}`, ways in the order of the last score, the best on top.

    labelled   ways that learn from labels, in another color and shape
    """
    ways = sorted(scores[[*scores][-1]].items(), key=lambda item: item[1][0])
    for axis, (score, values) in zip(axes, scores.items(), strict=True):
        for kind, learned in enumerate(("without labels", "with labels")):
            rows = [i for i, (way, _) in enumerate(ways) if (way in labelled) == bool(kind)]
            value, low, high = np.array([values[ways[i][0]] for i in rows]).reshape(-1, 3).T
            look = {"color": COLORS[kind], "marker": MARKERS[kind], "linestyle": "none", "capsize": 3, "label": learned}
            axis.errorbar(value, rows, xerr=np.maximum([value - low, high - value], 0), **look)
        axis.set_yticks(range(len(ways)), [as_label(way) for way, _ in ways])
        axis.set(xlabel=as_label(score))
        axis.grid(axis="x", alpha=0.3)


def dots(axis: Axes, values: Mapping[str, Mapping[str, float]], xlabel: str) -> None:
    """One row for each entry of `{what: {way: value}}`, a mark for each way; rows in the order of the last way."""
    ways = [*next(iter(values.values()))]
    rows = sorted(values, key=lambda what: values[what][ways[-1]])
    for i, way in enumerate(ways):
        look = {"color": COLORS[i], "marker": MARKERS[i], "linestyle": "none", "label": as_label(way)}
        apart = np.arange(len(rows)) + 0.12 * ((len(ways) - 1) / 2 - i)  # equal values do not hide each other
        axis.plot([values[what][way] for what in rows], apart, **look)
    axis.set_yticks(range(len(rows)), [*map(as_label, rows)])
    axis.set(xlabel=as_label(xlabel), xlim=(-0.02, 1.02))
    axis.grid(alpha=0.3)


def shares(axis: Axes, table: np.ndarray, rows: Sequence[str], columns: Sequence[str], framed: Sequence = ()) -> None:
    """Shares 0..1 [R, C] as shades with whole per cents written on them; `framed`: cells (row, column) in a frame."""
    axis.imshow(table, cmap="Blues", vmin=0, vmax=1)
    for (i, j), v in np.ndenumerate(table):
        axis.text(j, i, f"{100 * v:.0f}", ha="center", va="center", color="white" if v > 0.6 else "black")
    for i, j in framed:
        axis.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=COLORS[1], linewidth=2.5))
    axis.set_xticks(range(len(columns)), [*map(as_label, columns)])
    axis.set_yticks(range(len(rows)), [*map(as_label, rows)])

"""Figures of the book: scenes, class maps, features and scores. No function here loads data or trains anything.

Alt text and captions are written beside each figure in the notebook (cell metadata `mystnb`), where the finding is
known. Class colors are always shown with their names, never alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle

from .literal import Title, as_code, as_entry, as_html, as_label, as_number, plain
from .scene import UNLABELLED, LandCover, Scene
from .style import WIDEST, legend_columns, set_up, wrapped

set_up()

# Okabe-Ito, told apart with every common kind of color blindness; each method also has its own marker.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = "osD^vPX"


def bands_of(scene: Scene, *colors: str) -> tuple[str, ...]:
    """The scene's bands that hold these colors ("red", "green", "blue", "nir"), by their names; () when one is missing.

    Known are plain names in any case, and those of Sentinel-2 by ESA (B04) and Earth Engine (B4; Landsat 8 and 9 agree
    but for the near infrared).
    """
    numbers = {"red": "b4", "green": "b3", "blue": "b2", "nir": "b8"}
    names = {re.sub(r"^(sr_)?b0?(?=\d)", "b", name.lower()): name for name in reversed(scene.bands)}
    given = [names.get(color, names.get(numbers[color])) for color in colors]
    return () if None in given else tuple(given)


def rgb(scene: Scene, colors: Sequence[str] = ("red", "green", "blue")) -> np.ndarray:
    """Three bands for the screen, (rows, cols, 3) uint8; other types are stretched from 2 % to 98 %.

    Where the bands' names do not tell the colors (`bands_of`), the first three bands are shown, or the first alone in
    gray. Pixels without a measurement are white.
    """
    names = bands_of(scene, *colors)
    first = scene.pixels[:3] if len(scene.bands) > 2 else scene.pixels[[0, 0, 0]]
    picture = np.moveaxis(scene.select(*names) if names else first, 0, -1)  # [rows, cols, 3]
    if picture.dtype != np.uint8:
        low, high = np.percentile(picture[scene.valid], (2, 98))
        picture = np.nan_to_num((picture - low) / max(high - low, 1e-9))
        picture = (picture.clip(0, 1) * 255).astype(np.uint8)
    return np.where(scene.valid[..., None], picture, np.uint8(255))


def class_map(labels: np.ndarray, classes: tuple[LandCover, ...]) -> np.ndarray:
    """Labels as colors of their classes, (rows, cols, 3) uint8; unlabelled pixels are white."""
    table = np.full((256, 3), 255, np.uint8)
    for value, land_cover in enumerate(classes):
        table[value] = list(bytes.fromhex(land_cover.color.lstrip("#")))
    table[UNLABELLED] = 255
    return table[labels]


def black_where(mask: np.ndarray) -> np.ndarray:
    """A picture that is black where a mask [rows, cols] is True, else a gray seen on white: (rows, cols, 3) uint8."""
    return np.repeat(np.where(mask, 0, 230).astype(np.uint8)[..., None], 3, -1)


def panels(pictures: Mapping[Title, np.ndarray], columns: int = 4, size: float = 2.6) -> tuple[Figure, np.ndarray]:
    """Pictures, each under its title: {title or (title, number): array}. Returns (figure, flat array of axes)."""
    columns = min(columns, len(pictures))
    rows, size = -(-len(pictures) // columns), min(size, WIDEST / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(size * columns, size * rows * 1.1), squeeze=False, layout="constrained"
    )
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        axis.imshow(picture, interpolation="nearest")
        shown = plain(title if isinstance(title, str) else title[0], keep="\n")
        axis.set_title(as_label(wrapped(shown, size)))
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes.ravel()


def legend(figure: Figure, classes: tuple[LandCover, ...], unlabelled: bool = False) -> None:
    """Class colors with their names, below the figure."""
    handles = [Patch(facecolor=c.color, edgecolor="black", label=c.name) for c in classes]
    if unlabelled:
        handles.append(Patch(facecolor="white", edgecolor="black", label="not labelled"))
    columns = legend_columns([h.get_label() for h in handles], figure.get_figwidth())
    drawn = figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    for text, handle in zip(drawn.get_texts(), handles, strict=True):
        text.set_text(as_label(handle.get_label()))


def scenes(some: Sequence[Scene], truth: bool = True, columns: int = 4) -> tuple[Figure, np.ndarray]:
    """Scenes and, below or beside each, its class map with a legend. Returns (figure, axes)."""
    pictures = {s.name: rgb(s) for s in some}
    if truth:
        pictures |= {f"{s.name}: truth": class_map(s.labels, s.classes) for s in some}
    figure, axes = panels(pictures, columns=min(columns, len(some)) if len(some) > 1 else 2)
    if truth:
        legend(figure, some[0].classes, any((s.labels == UNLABELLED).any() for s in some))
    return figure, axes


def patch_grid(axis: Axes, height: int, width: int, patch: int, color: str = "white") -> None:
    """Draw the borders of the patches over a picture."""
    for row in range(0, height + 1, patch):
        axis.axhline(row - 0.5, color=color, linewidth=0.4)
    for col in range(0, width + 1, patch):
        axis.axvline(col - 0.5, color=color, linewidth=0.4)


def mark_patch(axis: Axes, row: int, col: int, patch: int) -> None:
    """Frame one patch of a picture in white on black, so that it is seen on any ground."""
    for color, width in (("black", 4), ("white", 1.5)):
        axis.add_patch(
            Rectangle((col * patch, row * patch), patch, patch, fill=False, edgecolor=color, linewidth=width)
        )


def heat(
    axis: Axes,
    picture: np.ndarray,
    values: np.ndarray,
    title: str,
    limits: tuple[float | None, float | None] = (None, None),
) -> AxesImage:
    """Values on the patch grid [h, w] over a gray picture, bright = high. Returns the image for a color bar."""
    height, width = picture.shape[:2]
    axis.imshow(picture.mean(-1), cmap="gray", extent=(0, width, height, 0))
    image = axis.imshow(
        values,
        cmap="viridis",
        alpha=0.75,
        extent=(0, width, height, 0),
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
    )
    axis.set_title(as_label(title))
    axis.set_axis_off()
    return image


def heats(
    first: tuple[str, np.ndarray],
    others: Mapping[str, tuple[np.ndarray, np.ndarray]],
    marked: tuple[int, int, int] | None = None,
    limits: tuple[float | None, float | None] = (None, None),
    columns: int = 4,
) -> tuple[Figure, np.ndarray, list[AxesImage]]:
    """A picture, and beside it values on the patch grids of pictures: {title: (picture, values [h, w])}.

    first    (title, picture)
    marked   (row, column, side) of a patch that is framed in the first picture
    limits   of the color scale; its own for every picture when None

    Returns the figure, its axes and an image per heat map, for color bars.
    """
    pictures = {title: picture for title, (picture, _) in others.items()}
    figure, axes = panels({first[0]: first[1], **pictures}, columns, size=min(3.4, 9.6 / columns))
    if marked:
        mark_patch(axes[0], *marked)
    images = [heat(axis, *pair, title, limits) for axis, (title, pair) in zip(axes[1:], others.items(), strict=False)]
    return figure, axes, images


def intervals(groups: Mapping[str, Mapping[str, tuple[float, float, float]]], xlabel: str) -> tuple[Figure, np.ndarray]:
    """Scores with their intervals, a panel per group: `{group: {method: (value, low, high)}}`."""
    rows, columns = -(-len(groups) // 2), min(2, len(groups))  # at most two panels a row keep their letters legible
    size = (WIDEST * columns / 2, rows * (0.9 + 0.42 * max(map(len, groups.values()))))
    figure, axes = plt.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis in axes.flat[len(groups) :]:
        axis.set_axis_off()
    for axis, (group, methods) in zip(axes.flat, groups.items(), strict=False):
        for i, (value, low, high) in enumerate(methods.values()):
            style = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)]}
            axis.errorbar(value, i, xerr=[[max(value - low, 0)], [max(high - value, 0)]], capsize=3, **style)
            said = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center" if value > 0.08 else "left"}
            axis.annotate(f"{value:.2f}", (value, i), **said)
        axis.set(title=as_label(group), xlabel=as_label(xlabel), yticks=range(len(methods)), xlim=(0, 1))
        axis.set_yticklabels(map(as_label, methods))
        axis.grid(axis="x", alpha=0.3)
        axis.set_ylim(len(methods) - 0.5, -0.7)
    return figure, axes.ravel()[: len(groups)]


def bars(axis: Axes, values: Mapping[str, Mapping[str, float]], title: str, xlabel: str = "") -> None:
    """Scores 0..1 as bars, side by side and told apart by color and hatching: `{position: {series: value}}`."""
    series, drawn = list(next(iter(values.values()))), []
    width, hatches = 0.8 / len(series), ("", "//", "..", "xx")
    for i, name in enumerate(series):
        shift = (i - (len(series) - 1) / 2) * width
        style = {"color": COLORS[i], "hatch": hatches[i % 4], "edgecolor": "white"}
        drawn.append(axis.bar(np.arange(len(values)) + shift, [v[name] for v in values.values()], width, **style))
        axis.bar_label(drawn[-1], fmt="%.2f")
    axis.set(xticks=range(len(values)), ylim=(0, 1.15), ylabel="score", title=as_label(title), xlabel=as_label(xlabel))
    axis.set_xticklabels(map(as_label, values))
    if len(series) > 1:
        axis.legend(drawn, list(map(as_label, series)), loc="upper right", ncols=2)
    else:
        axis.set_ylabel(as_label(series[0]))


class Table:
    """Rows of text and numbers that Jupyter shows as a real table (and a terminal as plain text)."""

    def __init__(self, header: list[str], rows: list[list], caption: str = ""):
        self.header, self.caption = [plain(h) for h in header], plain(caption)
        self.rows = [[as_number(v) if isinstance(v, float) else plain(v) for v in row] for row in rows]

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [
            "  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip()
            for row in (self.header, *self.rows)
        ]
        return "\n".join([*([self.caption] if self.caption else []), *lines])

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{as_entry(h)}</th>' for h in self.header)
        body = "".join(
            f'<tr><th scope="row">{as_entry(row[0])}</th>'
            + "".join(f"<td>{as_entry(v)}</td>" for v in row[1:])
            + "</tr>"
            for row in self.rows
        )
        caption = f"<caption>{as_html(self.caption)}</caption>" if self.caption else ""
        return f'<table class="table">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


class Notice:
    """A framed message to the reader, for example that real data is missing and the one line that gets it."""

    def __init__(self, title: str, text: str):
        self.title, self.text = title, text

    def __repr__(self) -> str:
        return plain(f"{self.title}: {self.text}", keep="\n")

    def _repr_html_(self) -> str:
        return (
            '<div class="lulc-notice" style="border:2px solid #0072b2; border-radius:4px; padding:0.6em 1em">'
            f"<p><strong>{as_html(self.title)}</strong></p><p>{as_code(self.text)}</p></div>"
        )

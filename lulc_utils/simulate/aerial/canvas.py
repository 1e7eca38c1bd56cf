"""The canvas of a scene: labels, colors and heights, and how to paint on it.

Drawing touches only the window of rows and columns around an object, never the whole scene: this is what
makes a scene with a thousand trees fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lulc_utils.legends import Aerial
from lulc_utils.simulate.layout import Cell, Grid, to_grid, to_image
from lulc_utils.simulate.light import fractal_noise

Color = Sequence[float | np.ndarray] | np.ndarray  # red, green and blue: numbers, or [h, w] each


@dataclass
class Land:
    """What has been drawn so far. All arrays cover the scene; heights are meters above level ground."""

    rng: np.random.Generator
    grid: Grid
    colors: dict  # what surfaces look like in this scene: name -> (3,) or list of (3,)
    u: np.ndarray  # [rows, cols] grid coordinates
    v: np.ndarray
    labels: np.ndarray  # [rows, cols] uint8
    taken: np.ndarray  # [rows, cols] bool: streets, water and buildings, where nothing can be built
    albedo: np.ndarray  # [3, rows, cols] color in white light
    top: np.ndarray  # [rows, cols] height of the surface: casts shadows
    relief: np.ndarray  # [rows, cols] shape of the surface without walls and trunks: gives shading
    grain: np.ndarray  # [rows, cols] noise, deviation 1: fine,
    blotch: np.ndarray  # medium
    cloud: np.ndarray  # coarse
    hill: np.ndarray  # and smooth
    trees: list = field(default_factory=list)  # arrays [k, 3]: x, y, radius; planted at the end

    @property
    def size(self) -> int:
        """Rows and columns."""
        return len(self.labels)


def empty_land(rng: np.random.Generator, grid: Grid, colors: dict, size: int) -> Land:
    """The canvas before anything is drawn: rough grass everywhere."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    u, v = to_grid(grid, x, y)
    noises = [fractal_noise(rng, size, slope) for slope in (0.4, 1.3, 2.2, 3.2)]
    zeros = np.zeros((size, size), np.float32)
    labels = np.full((size, size), Aerial.GRASS, np.uint8)
    albedo = np.empty((3, size, size), np.float32)
    taken = np.zeros((size, size), bool)
    land = Land(rng, grid, colors, u, v, labels, taken, albedo, zeros, zeros.copy(), *noises)
    albedo[:] = textured(land, np.s_[:, :], colors["grass"], 0.06, 0.08, 0.06)
    return land


# ---------------------------------------------------------------------------------------------- windows


def window(land: Land, x: float, y: float, reach: float) -> tuple[slice, slice] | None:
    """Rows and columns within `reach` pixels of a position; None when all of them lie outside the scene."""
    x0, x1 = max(0, int(x - reach)), min(land.size, int(x + reach) + 2)
    y0, y1 = max(0, int(y - reach)), min(land.size, int(y + reach) + 2)
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


def cell_window(land: Land, cell: Cell) -> tuple[slice, slice] | None:
    """Rows and columns that hold the cell; None when it lies outside the scene."""
    u, v = np.array([[a, b] for a in (*cell[:2], cell.middle[0]) for b in (*cell[2:], cell.middle[1])]).T
    x, y = to_image(land.grid, u, v)
    x0, x1 = max(0, int(x.min()) - 3), min(land.size, int(x.max()) + 4)
    y0, y1 = max(0, int(y.min()) - 3), min(land.size, int(y.max()) + 4)
    if x0 >= x1 or y0 >= y1:
        return None
    area = slice(y0, y1), slice(x0, x1)
    return area if (depth_inside(land, area, cell) > 0).any() else None


def depth_inside(land: Land, area: tuple[slice, slice], cell: Cell) -> np.ndarray:
    """Distance to the nearest side of the cell, positive inside, [h, w]."""
    u, v = land.u[area], land.v[area]
    half_u, half_v = cell.sides[0] / 2, cell.sides[1] / 2
    return np.minimum(half_u - abs(u - cell.middle[0]), half_v - abs(v - cell.middle[1]))


def local_axes(land: Land, area: tuple[slice, slice], x: float, y: float, angle: float) -> tuple:
    """Coordinates of a window in pixels along and across `angle`, with (x, y) as origin, each [h, w]."""
    dy = np.arange(area[0].start, area[0].stop, dtype=np.float32)[:, None] - np.float32(y)
    dx = np.arange(area[1].start, area[1].stop, dtype=np.float32)[None] - np.float32(x)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return dx * cos + dy * sin, dy * cos - dx * sin


def paint(land: Land, area: tuple, mask: np.ndarray, color: Color, label: int | None = None) -> None:
    """Give masked pixels of a window a color, (3,) or three [h, w] arrays, and a label (None: keep it)."""
    for band, value in zip(land.albedo, color, strict=True):
        np.copyto(band[area], np.float32(value), where=mask)
    if label is not None:
        land.labels[area][mask] = label


def textured(land: Land, area: tuple, color: Color, grain: float, blotch: float, cloud: float) -> list[np.ndarray]:
    """A color made uneven by the scene's noise: three [h, w] arrays."""
    noise = 1 + grain * land.grain[area]
    noise += blotch * land.blotch[area]
    noise += cloud * land.cloud[area]
    return [np.float32(c) * noise for c in color]


def mixed(a: Color, b: Color, share: np.ndarray) -> list[np.ndarray]:
    """From color a (share 0) to color b (share 1): three arrays shaped like `share`."""
    return [p + (q - p) * share for p, q in zip(a, b, strict=True)]

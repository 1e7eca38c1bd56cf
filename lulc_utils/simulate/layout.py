"""Where things are: a gently bent grid over the scene, cut into cells by lines that are roads or parcel borders.

Everything is planned in grid coordinates (u, v), in pixels, in which streets, fields and walls are straight and
at right angles; the grid is turned and bent over the image (x to the right, y down). A line always runs from one
older line to another, or out of the scene, so roads connect and none ends in the middle of nowhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Coordinate = float | np.ndarray  # of one position or of many, in pixels


class Grid(NamedTuple):
    """A grid over the image: its angle, how far it leans from a right angle, its center, and the waves in it."""

    angle: float
    lean: float
    center: float
    waves: np.ndarray  # [2, 4]: amplitude (pixels), wave number in x and in y (radians per pixel), phase


class Cell(NamedTuple):
    """A rectangle of the grid."""

    u0: float
    u1: float
    v0: float
    v1: float

    @property
    def middle(self) -> tuple[float, float]:
        """(u, v) of the center."""
        return (self.u0 + self.u1) / 2, (self.v0 + self.v1) / 2

    @property
    def sides(self) -> tuple[float, float]:
        """Length in u and in v."""
        return self.u1 - self.u0, self.v1 - self.v0

    def shrunk(self, by: float) -> Cell:
        """The cell without a margin on every side."""
        return Cell(self.u0 + by, self.u1 - by, self.v0 + by, self.v1 - by)


class Road(NamedTuple):
    """A strip on the line u = at (across=False) or v = at (across=True), from start to end of the other axis."""

    across: bool
    at: float
    start: float
    end: float
    width: float
    kind: str  # "main", "street" or "track"


def draw_grid(rng: np.random.Generator, size: int) -> Grid:
    """A random grid for a scene of size x size pixels; its waves and its lean are gentle."""
    bend = rng.uniform(0.01, 0.2)  # largest slope of one wave: 0.01 is a planned town, 0.2 an old countryside
    length = rng.uniform(300, 700, 2)
    toward = rng.uniform(0, 2 * np.pi, 2)
    k = 2 * np.pi / length
    waves = np.stack([bend / k, k * np.cos(toward), k * np.sin(toward), rng.uniform(0, 2 * np.pi, 2)], 1)
    return Grid(rng.uniform(0, np.pi), rng.normal(0, 0.12), size / 2, waves)


def to_grid(grid: Grid, x: Coordinate, y: Coordinate) -> tuple[Coordinate, Coordinate]:
    """(u, v) of image positions; scalars or arrays."""
    x, y = x - grid.center, y - grid.center
    cos, sin = np.float32(np.cos(grid.angle)), np.float32(np.sin(grid.angle))
    bent = [a * np.sin(kx * x + ky * y + phase) for a, kx, ky, phase in grid.waves.astype(np.float32)]
    u, v = x * cos + y * sin, y * cos - x * sin
    return u + bent[0], v + bent[1] + np.float32(grid.lean) * u


def to_image(grid: Grid, u: Coordinate, v: Coordinate) -> tuple[Coordinate, Coordinate]:
    """(x, y) of grid positions: the inverse of `to_grid`, by a few fixed-point steps."""
    cos, sin = np.cos(grid.angle), np.sin(grid.angle)
    x, y = u * cos - v * sin + grid.center, u * sin + v * cos + grid.center
    for _ in range(8):
        got_u, got_v = to_grid(grid, x, y)
        du, dv = u - got_u, v - got_v
        x, y = x + du * cos - dv * sin, y + du * sin + dv * cos
    return x, y


def heading(grid: Grid, x: float, y: float, along_u: bool) -> float:
    """Direction of the grid's line through an image position, radians from +x toward +y.

    along_u: of the line v = constant, else of u = constant.
    """
    sides = to_grid(grid, np.array([x - 4, x + 4, x, x]), np.array([y, y, y - 4, y + 4]))[1 if along_u else 0]
    return float(np.arctan2(sides[1] - sides[0], sides[2] - sides[3]))  # at a right angle to the gradient


def cut(rng: np.random.Generator, cell: Cell, longest: float, width: float, kind: str) -> tuple[list, list]:
    """Cut a cell until no side is longer than `longest`: (cells, roads along the cuts).

    The longer side is always cut, near its middle; the roads are empty when width is 0.
    """
    side_u, side_v = cell.sides
    if max(side_u, side_v) <= longest:
        return [cell], []
    across = bool(side_v > side_u)
    low, high = (cell.v0, cell.v1) if across else (cell.u0, cell.u1)
    at = low + (high - low) * rng.uniform(0.4, 0.6)
    first = cell._replace(**({"v1": at} if across else {"u1": at}))
    second = cell._replace(**({"v0": at} if across else {"u0": at}))
    ends = (cell.u0, cell.u1) if across else (cell.v0, cell.v1)
    roads = [Road(across, at, *ends, width, kind)] if width else []
    cells = []
    for part in (first, second):
        inner, more = cut(rng, part, longest, width, kind)
        cells, roads = cells + inner, roads + more
    return cells, roads


def rows_of_lots(cell: Cell, depth: float, frontage: float) -> list[tuple[Cell, int]]:
    """Lots of a street block, back to back along its longer side: [(lot, side of the street: -1 or +1)].

    A block shallower than 1.3 lots gets one row.
    """
    long_u = cell.sides[0] >= cell.sides[1]
    length, across = cell.sides if long_u else cell.sides[::-1]
    count = max(1, round(length / frontage))
    rows = [(0.0, 0.5, -1), (0.5, 1.0, 1)] if across > 1.3 * depth else [(0.0, 1.0, -1)]
    lots = []
    for low, high, side in rows:
        for i in range(count):
            a, b = length * i / count, length * (i + 1) / count
            if long_u:
                lot = Cell(cell.u0 + a, cell.u0 + b, cell.v0 + low * across, cell.v0 + high * across)
            else:
                lot = Cell(cell.u0 + low * across, cell.u0 + high * across, cell.v0 + a, cell.v0 + b)
            lots.append((lot, side))
    return lots

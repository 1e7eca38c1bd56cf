"""The ground: what surfaces look like in a scene, and the meadows, fields, bare soil, water and woods on it."""

from __future__ import annotations

import numpy as np

from lulc_utils.legends import Aerial
from lulc_utils.simulate.aerial.canvas import Color, Land, cell_window, depth_inside, mixed, paint, textured
from lulc_utils.simulate.layout import Cell, to_image

# ---------------------------------------------------------------------------------------------- colors

LUSH, OLIVE, STRAW = np.array([[0.21, 0.31, 0.13], [0.33, 0.36, 0.19], [0.52, 0.46, 0.29]])
SOIL_COLORS = np.array(
    [[0.40, 0.31, 0.23], [0.57, 0.48, 0.37], [0.52, 0.37, 0.28], [0.48, 0.46, 0.42], [0.32, 0.26, 0.21]]
)
ROOF_COLORS = np.array(
    [[0.52, 0.34, 0.26], [0.42, 0.32, 0.25], [0.44, 0.43, 0.43], [0.30, 0.28, 0.28], [0.60, 0.56, 0.52]]
)
FLAT_ROOF_COLORS = np.array([[0.42, 0.42, 0.42], [0.62, 0.62, 0.61], [0.50, 0.46, 0.40], [0.30, 0.31, 0.32]])
WATER_COLORS = np.array(
    [[0.10, 0.15, 0.14], [0.20, 0.27, 0.17], [0.40, 0.35, 0.26], [0.30, 0.34, 0.35], [0.14, 0.20, 0.13]]
)


def leaf_color(dry: float) -> np.ndarray:
    """Color of leaves between lush green (0), olive (0.5) and straw (1), (3,)."""
    dry = min(max(dry, 0.0), 1.0)
    return LUSH + (OLIVE - LUSH) * 2 * dry if dry < 0.5 else OLIVE + (STRAW - OLIVE) * (2 * dry - 1)


def draw_colors(rng: np.random.Generator) -> dict:
    """What surfaces look like in one scene: season, soil and local habits. name -> (3,) or [k, 3]."""
    dry = rng.uniform(0, 0.85)  # the season, shared by all that grows
    soil = rng.dirichlet(np.full(len(SOIL_COLORS), 0.6)) @ SOIL_COLORS * rng.uniform(0.8, 1.2)
    trees = [leaf_color(0.75 * dry + rng.normal(0, 0.12)) * rng.uniform(0.8, 1.15) for _ in range(3)]
    asphalt = rng.uniform(0.28, 0.52) * (1 + rng.uniform(-0.02, 0.06) * np.array([1, 0.2, -1]))
    return {
        "dry": dry,
        "grass": leaf_color(dry + rng.normal(0, 0.12)) * rng.uniform(0.85, 1.15),
        "trees": np.array(trees),
        "soil": soil,
        "gravel": 0.5 * soil + 0.5 * rng.uniform(0.4, 0.6),
        "track": 0.7 * soil + 0.3 * rng.uniform(0.4, 0.6),
        "asphalt": asphalt,
        "roofs": ROOF_COLORS[rng.integers(len(ROOF_COLORS), size=4)] * rng.uniform(0.8, 1.2, (4, 1)),
        "flat roofs": FLAT_ROOF_COLORS[rng.integers(len(FLAT_ROOF_COLORS), size=3)] * rng.uniform(0.8, 1.15, (3, 1)),
        "water": rng.dirichlet(np.full(len(WATER_COLORS), 0.5)) @ WATER_COLORS * rng.uniform(0.8, 1.25),
    }


# ----------------------------------------------------------------------------------------- ground covers


def flat_ground(land: Land, cell: Cell, color: Color, look: tuple, label: int) -> None:
    """Fill a cell with an uneven color; look: strength of grain, blotch and cloud."""
    area = cell_window(land, cell)
    if area:
        inside = depth_inside(land, area, cell) > 0
        paint(land, area, inside, textured(land, area, color, *look), label)


def grass(land: Land, cell: Cell, wild: float = 0.5) -> None:
    """Lawn (wild = 0) to meadow (wild = 1): tufts and drier patches."""
    area = cell_window(land, cell)
    if area is None:
        return
    inside = depth_inside(land, area, cell) > 0
    fresh = land.colors["grass"] * land.rng.uniform(0.88, 1.12)
    dry = leaf_color(land.colors["dry"] + land.rng.uniform(-0.1, 0.4)) * land.rng.uniform(0.9, 1.1)
    patches = np.clip(0.3 + 0.35 * land.cloud[area] + 0.2 * land.blotch[area], 0, 1) * (0.35 + 0.65 * wild)
    tufts = 1 + (0.07 + 0.05 * wild) * land.grain[area] + (0.02 + 0.05 * wild) * land.blotch[area]
    paint(land, area, inside, [c * tufts for c in mixed(fresh, dry, patches)], Aerial.GRASS)


def crop(land: Land, cell: Cell, margin: float) -> None:
    """A field: rows of plants over soil, uneven growth, and the tractor's tracks."""
    area = cell_window(land, cell)
    if area is None:
        return
    rng, inside = land.rng, depth_inside(land, area, cell) > margin
    long_u = cell.sides[0] >= cell.sides[1]
    along, over = (land.u[area], land.v[area]) if long_u else (land.v[area], land.u[area])
    slant = np.float32(rng.choice([0, 0, rng.uniform(-0.3, 0.3)]))
    over = over + slant * along
    ripe = rng.choice([rng.normal(land.colors["dry"], 0.2), rng.uniform(0, 1)])
    plants = leaf_color(ripe) * rng.uniform(0.85, 1.2)
    period, cover = rng.uniform(4.5, 9), rng.uniform(0.3, 0.9)
    rows = 0.5 + 0.5 * np.sin(over * np.float32(2 * np.pi / period))  # 1 on the plants, 0 between
    growth = np.clip(cover + 0.14 * land.blotch[area] + 0.12 * land.cloud[area], 0.05, 1)
    share = np.clip(growth + (rows - 0.5) * rng.uniform(0.7, 1.1), 0, 1)
    color = mixed(land.colors["soil"] * rng.uniform(0.85, 1.1), plants, share)
    shade = 0.86 + 0.24 * rows + 0.04 * land.grain[area]  # the soil lies in the shade of the plants
    paint(land, area, inside, [c * shade for c in color], Aerial.CROP)
    wheel = np.mod(over, rng.uniform(34, 64))
    wheels = inside & ((abs(wheel - 4) < 1.1) | (abs(wheel - 9) < 1.1))
    paint(land, area, wheels, land.colors["soil"] * rng.uniform(0.75, 1.15))
    np.copyto(land.relief[area], rows * np.float32(rng.uniform(0.05, 0.2)), where=inside)


def bare(land: Land, cell: Cell, margin: float = 0.0, rough: float = 0.5, color: Color | None = None) -> None:
    """Open soil or gravel: clods and stones, damp patches, curved wheel tracks."""
    area = cell_window(land, cell)
    if area is None:
        return
    rng, inside = land.rng, depth_inside(land, area, cell) > margin
    base = (land.colors["soil"] if color is None else color) * rng.uniform(0.85, 1.2)
    look = textured(land, area, base, 0.07 + 0.05 * rough, 0.10 + 0.06 * rough, 0.08 + 0.06 * rough)
    paint(land, area, inside, look, Aerial.BARE)
    stones = inside & (land.grain[area] > 2.0)
    paint(land, area, stones, base * 1.4)
    for _ in range(rng.integers(0, 4)):  # wheel tracks: pairs of long curves
        a, b = (land.u[area], land.v[area]) if rng.random() < 0.5 else (land.v[area], land.u[area])
        curve = b - cell.middle[0 if b is land.u[area] else 1] + rng.uniform(-40, 40)
        curve = curve + rng.uniform(5, 25) * np.sin(a / rng.uniform(30, 80) + rng.uniform(0, 6))
        marks = inside & (abs(abs(curve) - 2.2) < 0.8)
        paint(land, area, marks, base * rng.choice([0.82, 1.18]))
    np.copyto(land.relief[area], (0.08 + 0.1 * rough) * land.blotch[area], where=inside)


def water(land: Land, area: tuple, depth: np.ndarray) -> None:
    """Water where depth (pixels from the bank, positive inside) says so: smooth, lighter in the shallows."""
    inside = depth > 0
    rng = land.rng
    color = land.colors["water"] * rng.uniform(0.75, 1.35) + rng.uniform(-0.02, 0.02, 3)
    shallow = np.exp(-np.maximum(depth, 0) / 9) * 0.5
    smooth = 1 + 0.05 * land.hill[area] + rng.uniform(0.005, 0.02) * land.blotch[area]
    tones = mixed(color, 0.5 * color + 0.5 * land.colors["soil"] * 0.8, shallow)
    paint(land, area, inside, [t * smooth for t in tones], Aerial.WATER)
    land.relief[area][inside] = land.top[area][inside] = 0
    land.taken[area] |= inside
    bank = (depth > -rng.uniform(1, 4)) & ~inside
    paint(land, area, bank, textured(land, area, land.colors["soil"] * 0.9, 0.06, 0.08, 0), Aerial.BARE)


def pond(land: Land, cell: Cell) -> None:
    """Still water inside a cell, with a shore that bends in and out but never leaves the cell."""
    area = cell_window(land, cell)
    if area is None:
        return
    rng, (um, vm), (su, sv) = land.rng, cell.middle, cell.sides
    a, b = (land.u[area] - um) / (su / 2), (land.v[area] - vm) / (sv / 2)
    power = rng.uniform(2, 5)  # from an ellipse to a basin with corners
    angle = np.arctan2(b, a)
    bays = sum(rng.uniform(0, 0.3) / k * np.sin(k * angle + rng.uniform(0, 6)) for k in (2, 3, 4, 5, 7))
    shore = np.minimum(0.86 + bays + 0.03 * land.cloud[area], 0.97)
    depth = (shore - (abs(a) ** power + abs(b) ** power) ** (1 / power)) * min(su, sv) / 2
    water(land, area, depth.astype(np.float32))


def scatter(land: Land, cell: Cell, spacing: float, share: float, radius: tuple, clumps: float = 0.0) -> None:
    """Plan trees on a jittered lattice: a share of its points, in clumps where the coarse noise is high."""
    area = cell_window(land, cell)
    if area is None:
        return
    u, v = np.meshgrid(np.arange(cell.u0, cell.u1, spacing), np.arange(cell.v0, cell.v1, spacing))
    u, v = [g.ravel() + land.rng.uniform(-0.45, 0.45, g.size) * spacing for g in (u, v)]
    x, y = to_image(land.grid, u, v)
    r = land.rng.uniform(*radius, len(x))
    inside = (x > -12) & (y > -12) & (x < land.size + 12) & (y < land.size + 12)
    at = [np.clip(np.rint(g), 0, land.size - 1).astype(int) for g in (y, x)]
    inside &= land.rng.random(len(x)) < share * np.exp(clumps * (land.cloud[at[0], at[1]] - 0.5 * clumps))
    land.trees.append(np.stack([x, y, r], 1)[inside])


def hedgerow(land: Land, cell: Cell, radius: tuple, gap: float = 1.0) -> None:
    """Plan trees along the sides of a cell."""
    for side in sides(cell):
        if land.rng.random() < 0.6:
            step = radius[0] + radius[1]
            scatter(land, side, step * gap, land.rng.uniform(0.6, 1), radius)


def sides(cell: Cell) -> list[Cell]:
    """Four strips of zero width along the sides of a cell."""
    u0, u1, v0, v1 = cell
    return [Cell(u0, u1, v0, v0 + 1), Cell(u0, u1, v1, v1 + 1), Cell(u0, u0 + 1, v0, v1), Cell(u1, u1 + 1, v0, v1)]


def thicket(land: Land, cell: Cell) -> None:
    """Closed forest with a ragged edge; undergrowth in its gaps counts as tree."""
    rng = land.rng
    area = cell_window(land, cell)
    if area is None:
        return
    inside = depth_inside(land, area, cell) > 4 + 2.5 * np.clip(land.blotch[area], -1.6, 3)
    floor = textured(land, area, land.colors["trees"].mean(0) * 0.6, 0.1, 0.15, 0.05)
    paint(land, area, inside, floor, Aerial.TREE)
    radius = rng.uniform(4, 7.5)
    scatter(land, cell.shrunk(radius), 1.5 * radius, 0.97, (0.75 * radius, 1.4 * radius))

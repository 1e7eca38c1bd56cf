"""The ground: what surfaces look like in a scene, and meadows, fields, bare soil, water and woods that cover it."""

from __future__ import annotations

import numpy as np

from lulc_utils.simulate.aerial.canvas import (
    BARE,
    CROP,
    GRASS,
    TREE,
    WATER,
    Land,
    cell_window,
    depth_inside,
    mixed,
    paint,
    textured,
)
from lulc_utils.simulate.layout import Cell, to_image

# ---------------------------------------------------------------------------------------------- colours

LUSH, OLIVE, STRAW = np.array([[0.21, 0.31, 0.13], [0.33, 0.36, 0.19], [0.52, 0.46, 0.29]])
SOILS = np.array([[0.40, 0.31, 0.23], [0.57, 0.48, 0.37], [0.52, 0.37, 0.28], [0.48, 0.46, 0.42], [0.32, 0.26, 0.21]])
ROOFS = np.array([[0.52, 0.34, 0.26], [0.42, 0.32, 0.25], [0.44, 0.43, 0.43], [0.30, 0.28, 0.28], [0.60, 0.56, 0.52]])
FLAT_ROOFS = np.array([[0.42, 0.42, 0.42], [0.62, 0.62, 0.61], [0.50, 0.46, 0.40], [0.30, 0.31, 0.32]])
WATERS = np.array([[0.10, 0.15, 0.14], [0.20, 0.27, 0.17], [0.40, 0.35, 0.26], [0.30, 0.34, 0.35], [0.14, 0.20, 0.13]])


def vegetation(dry: float) -> np.ndarray:
    """Colour of leaves between lush green (0), olive (0.5) and straw (1), (3,)."""
    dry = min(max(dry, 0.0), 1.0)
    return LUSH + (OLIVE - LUSH) * 2 * dry if dry < 0.5 else OLIVE + (STRAW - OLIVE) * (2 * dry - 1)


def draw_colors(rng: np.random.Generator) -> dict:
    """What surfaces look like in one scene: season, soil and local habits. name -> (3,) or [k, 3]."""
    dry = rng.uniform(0, 0.85)  # the season, shared by all that grows
    soil = rng.dirichlet(np.full(len(SOILS), 0.6)) @ SOILS * rng.uniform(0.8, 1.2)
    trees = [vegetation(0.75 * dry + rng.normal(0, 0.12)) * rng.uniform(0.8, 1.15) for _ in range(3)]
    asphalt = rng.uniform(0.28, 0.52) * (1 + rng.uniform(-0.02, 0.06) * np.array([1, 0.2, -1]))
    return {
        "dry": dry,
        "grass": vegetation(dry + rng.normal(0, 0.12)) * rng.uniform(0.85, 1.15),
        "trees": np.array(trees),
        "soil": soil,
        "gravel": 0.5 * soil + 0.5 * rng.uniform(0.4, 0.6),
        "track": 0.7 * soil + 0.3 * rng.uniform(0.4, 0.6),
        "asphalt": asphalt,
        "roofs": ROOFS[rng.integers(len(ROOFS), size=4)] * rng.uniform(0.8, 1.2, (4, 1)),
        "flat roofs": FLAT_ROOFS[rng.integers(len(FLAT_ROOFS), size=3)] * rng.uniform(0.8, 1.15, (3, 1)),
        "water": rng.dirichlet(np.full(len(WATERS), 0.5)) @ WATERS * rng.uniform(0.8, 1.25),
    }


# ----------------------------------------------------------------------------------------- ground covers


def flat_ground(land: Land, cell: Cell, color, look: tuple, label: int) -> None:
    """Fill a cell with an uneven colour; look: strength of grain, blotch and cloud."""
    here = cell_window(land, cell)
    if here:
        inside = depth_inside(land, here, cell) > 0
        paint(land, here, inside, textured(land, here, color, *look), label)


def grass(land: Land, cell: Cell, wild: float = 0.5) -> None:
    """Lawn (wild = 0) to meadow (wild = 1): tufts and drier patches."""
    here = cell_window(land, cell)
    if here is None:
        return
    inside = depth_inside(land, here, cell) > 0
    one = land.colors["grass"] * land.rng.uniform(0.88, 1.12)
    other = vegetation(land.colors["dry"] + land.rng.uniform(-0.1, 0.4)) * land.rng.uniform(0.9, 1.1)
    patches = np.clip(0.3 + 0.35 * land.cloud[here] + 0.2 * land.blotch[here], 0, 1) * (0.35 + 0.65 * wild)
    tufts = 1 + (0.07 + 0.05 * wild) * land.grain[here] + (0.02 + 0.05 * wild) * land.blotch[here]
    paint(land, here, inside, [c * tufts for c in mixed(one, other, patches)], GRASS)


def crop(land: Land, cell: Cell, margin: float) -> None:
    """A field: rows of plants over soil, uneven growth, and the lines in which the tractor drives."""
    here = cell_window(land, cell)
    if here is None:
        return
    rng, inside = land.rng, depth_inside(land, here, cell) > margin
    long_u = cell.sides[0] >= cell.sides[1]
    along, over = (land.u[here], land.v[here]) if long_u else (land.v[here], land.u[here])
    slant = np.float32(rng.choice([0, 0, rng.uniform(-0.3, 0.3)]))
    over = over + slant * along
    ripe = rng.choice([rng.normal(land.colors["dry"], 0.2), rng.uniform(0, 1)])
    plants = vegetation(ripe) * rng.uniform(0.85, 1.2)
    period, cover = rng.uniform(4.5, 9), rng.uniform(0.3, 0.9)
    rows = 0.5 + 0.5 * np.sin(over * np.float32(2 * np.pi / period))  # 1 on the plants, 0 between
    growth = np.clip(cover + 0.14 * land.blotch[here] + 0.12 * land.cloud[here], 0.05, 1)
    share = np.clip(growth + (rows - 0.5) * rng.uniform(0.7, 1.1), 0, 1)
    color = mixed(land.colors["soil"] * rng.uniform(0.85, 1.1), plants, share)
    shade = 0.86 + 0.24 * rows + 0.04 * land.grain[here]  # the soil lies in the shade of the plants
    paint(land, here, inside, [c * shade for c in color], CROP)
    wheel = np.mod(over, rng.uniform(34, 64))
    wheels = inside & ((abs(wheel - 4) < 1.1) | (abs(wheel - 9) < 1.1))
    paint(land, here, wheels, land.colors["soil"] * rng.uniform(0.75, 1.15))
    np.copyto(land.relief[here], rows * np.float32(rng.uniform(0.05, 0.2)), where=inside)


def bare(land: Land, cell: Cell, margin: float = 0.0, rough: float = 0.5, color=None) -> None:
    """Open soil or gravel: clods and stones, damp clouds, wheel marks that bend."""
    here = cell_window(land, cell)
    if here is None:
        return
    rng, inside = land.rng, depth_inside(land, here, cell) > margin
    base = (land.colors["soil"] if color is None else color) * rng.uniform(0.85, 1.2)
    look = textured(land, here, base, 0.07 + 0.05 * rough, 0.10 + 0.06 * rough, 0.08 + 0.06 * rough)
    paint(land, here, inside, look, BARE)
    stones = inside & (land.grain[here] > 2.0)
    paint(land, here, stones, base * 1.4)
    for _ in range(rng.integers(0, 4)):  # wheel marks: pairs of long curves
        a, b = (land.u[here], land.v[here]) if rng.random() < 0.5 else (land.v[here], land.u[here])
        curve = b - cell.middle[0 if b is land.u[here] else 1] + rng.uniform(-40, 40)
        curve = curve + rng.uniform(5, 25) * np.sin(a / rng.uniform(30, 80) + rng.uniform(0, 6))
        marks = inside & (abs(abs(curve) - 2.2) < 0.8)
        paint(land, here, marks, base * rng.choice([0.82, 1.18]))
    np.copyto(land.relief[here], (0.08 + 0.1 * rough) * land.blotch[here], where=inside)


def water(land: Land, here: tuple, depth: np.ndarray) -> None:
    """Water where depth (pixels from the bank, positive inside) says so: smooth, lighter in the shallows."""
    inside = depth > 0
    rng = land.rng
    color = land.colors["water"] * rng.uniform(0.75, 1.35) + rng.uniform(-0.02, 0.02, 3)
    shallow = np.exp(-np.maximum(depth, 0) / 9) * 0.5
    smooth = 1 + 0.05 * land.hill[here] + rng.uniform(0.005, 0.02) * land.blotch[here]
    tones = mixed(color, 0.5 * color + 0.5 * land.colors["soil"] * 0.8, shallow)
    paint(land, here, inside, [t * smooth for t in tones], WATER)
    land.relief[here][inside] = land.top[here][inside] = 0
    land.taken[here] |= inside
    bank = (depth > -rng.uniform(1, 4)) & ~inside
    paint(land, here, bank, textured(land, here, land.colors["soil"] * 0.9, 0.06, 0.08, 0), BARE)


def pond(land: Land, cell: Cell) -> None:
    """Still water inside a cell, with a shore that bends in and out but never leaves the cell."""
    here = cell_window(land, cell)
    if here is None:
        return
    rng, (um, vm), (su, sv) = land.rng, cell.middle, cell.sides
    a, b = (land.u[here] - um) / (su / 2), (land.v[here] - vm) / (sv / 2)
    power = rng.uniform(2, 5)  # from an ellipse to a basin with corners
    angle = np.arctan2(b, a)
    bays = sum(rng.uniform(0, 0.3) / k * np.sin(k * angle + rng.uniform(0, 6)) for k in (2, 3, 4, 5, 7))
    shore = np.minimum(0.86 + bays + 0.03 * land.cloud[here], 0.97)
    depth = (shore - (abs(a) ** power + abs(b) ** power) ** (1 / power)) * min(su, sv) / 2
    water(land, here, depth.astype(np.float32))


def scatter(land: Land, cell: Cell, spacing: float, share: float, radius: tuple, clumps: float = 0.0) -> None:
    """Plan trees on a shaken lattice: a share of its points, in clumps where the cloud noise is high."""
    here = cell_window(land, cell)
    if here is None:
        return
    u, v = np.meshgrid(np.arange(cell.u0, cell.u1, spacing), np.arange(cell.v0, cell.v1, spacing))
    u, v = [g.ravel() + land.rng.uniform(-0.45, 0.45, g.size) * spacing for g in (u, v)]
    x, y = to_image(land.grid, u, v)
    r = land.rng.uniform(*radius, len(x))
    near = (x > -12) & (y > -12) & (x < land.size + 12) & (y < land.size + 12)
    at = [np.clip(np.rint(g), 0, land.size - 1).astype(int) for g in (y, x)]
    near &= land.rng.random(len(x)) < share * np.exp(clumps * (land.cloud[at[0], at[1]] - 0.5 * clumps))
    land.trees.append(np.stack([x, y, r], 1)[near])


def hedgerow(land: Land, cell: Cell, radius: tuple, gap: float = 1.0) -> None:
    """Plan trees along the sides of a cell."""
    for side in sides(cell):
        if land.rng.random() < 0.6:
            step = radius[0] + radius[1]
            scatter(land, side, step * gap, land.rng.uniform(0.6, 1), radius)


def sides(cell: Cell) -> list[Cell]:
    """Four strips of no width along the sides of a cell."""
    u0, u1, v0, v1 = cell
    return [Cell(u0, u1, v0, v0 + 1), Cell(u0, u1, v1, v1 + 1), Cell(u0, u0 + 1, v0, v1), Cell(u1, u1 + 1, v0, v1)]


def thicket(land: Land, cell: Cell) -> None:
    """Closed forest with a ragged edge; undergrowth in its gaps counts as tree."""
    rng = land.rng
    here = cell_window(land, cell)
    if here is None:
        return
    inside = depth_inside(land, here, cell) > 4 + 2.5 * np.clip(land.blotch[here], -1.6, 3)
    floor = textured(land, here, land.colors["trees"].mean(0) * 0.6, 0.1, 0.15, 0.05)
    paint(land, here, inside, floor, TREE)
    radius = rng.uniform(4, 7.5)
    scatter(land, cell.shrunk(radius), 1.5 * radius, 0.97, (0.75 * radius, 1.4 * radius))

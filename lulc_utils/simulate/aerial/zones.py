"""Land use: what each block of a landscape is filled with, and where the blocks are.

A zone is a function of the land and a cell of the grid. It paints the ground of the cell, plans trees, and returns
the roads and houses to be drawn once the ground of the whole scene is done.
"""

from __future__ import annotations

import numpy as np

from lulc_utils.legends import Aerial
from lulc_utils.simulate.aerial.canvas import Land, cell_window, depth_inside, window
from lulc_utils.simulate.aerial.ground import bare, crop, grass, hedgerow, pond, scatter, thicket, water
from lulc_utils.simulate.aerial.settlements import House, industry, town, village
from lulc_utils.simulate.layout import Cell, Road, cut, to_image


def farmland(land: Land, cell: Cell) -> tuple[list, list]:
    """Fields, meadows and fallow between grass strips, hedgerows and tracks."""
    rng = land.rng
    grass(land, cell, 0.8)
    track = rng.uniform(5, 7) if rng.random() < 0.35 else 0
    parcels, roads = cut(rng, cell, rng.uniform(110, 300), track, "track")
    hedged = rng.random() < 0.5
    for parcel in parcels:
        kind = rng.choice(["crop", "meadow", "fallow", "grove"], p=[0.78, 0.06, 0.11, 0.05])
        margin = rng.uniform(1, 3.5)
        if kind == "crop":
            crop(land, parcel, margin + track / 2)
        elif kind == "meadow":
            grass(land, parcel, rng.uniform(0.3, 1))
        elif kind == "fallow":
            bare(land, parcel, margin, rng.uniform(0.5, 1))
        else:
            thicket(land, parcel.shrunk(6))
        if hedged and not track:
            hedgerow(land, parcel, (3, 4.6))
    return roads, []


def forest(land: Land, cell: Cell) -> tuple[list, list]:
    """Closed forest, sometimes with a clearing or a meadow in it."""
    grass(land, cell, 1)
    parts, roads = cut(land.rng, cell, land.rng.uniform(180, 300), land.rng.choice([0, 0, 0, 6]), "track")
    for part in parts:
        if land.rng.random() < 0.93:
            thicket(land, part.shrunk(3))
        else:
            scatter(land, part, 22, 0.3, (4, 8), clumps=0.8)
    return roads, []


def park(land: Land, cell: Cell) -> tuple[list, list]:
    """Lawns and meadows with clumps of trees, a pond, gravel paths."""
    rng = land.rng
    parts, roads = cut(rng, cell, rng.uniform(130, 220), rng.choice([0, 5]), "track")
    for part in parts:
        grass(land, part, rng.uniform(0, 1))
        if rng.random() < 0.25 and min(part.sides) > 50:
            pond(land, part.shrunk(10))
        scatter(land, part.shrunk(4), 13, rng.uniform(0.1, 0.5), (4.5, 9.5), clumps=1.0)
    return roads, []


def works(land: Land, cell: Cell) -> tuple[list, list]:
    """Quarry, building site or gravel yard: open ground with steps, heaps, a pool and a shed."""
    rng = land.rng
    grass(land, cell, 0.9)
    site = cell.shrunk(rng.uniform(6, 14))
    bare(land, site, 0, rng.uniform(0.4, 1), land.colors["soil" if rng.random() < 0.6 else "gravel"])
    area = cell_window(land, site)
    if area:
        _steps_and_heaps(land, area, site)
        if rng.random() < 0.35:
            um, vm = site.middle
            pond(land, Cell(um - 40, um + 30, vm - 30, vm + 40))
    scatter(land, cell, 14, 0.05, (3, 5), clumps=0.8)
    houses = [House(*(np.array(site.middle) + rng.uniform(-0.3, 0.3, 2) * site.sides), (26, 16), True, "flat", 4.0)]
    return [], houses[: rng.integers(2)]


def _steps_and_heaps(land: Land, area: tuple, site: Cell) -> None:
    """Terraces of a quarry from level lines of the smooth noise, and heaps of soil: only relief, still bare."""
    rng, depth = land.rng, depth_inside(land, area, site)
    if rng.random() < 0.5:
        level = land.hill[area] * rng.uniform(1.5, 4)
        edge = np.clip((level - np.floor(level)) * 6, 0, 1)  # short steep rise, then a flat bench
        shape = (np.floor(level) + edge) * rng.uniform(1.5, 3)
        land.relief[area] += shape * np.clip(depth / 24, 0, 1)  # level ground again at the fence
    for _ in range(rng.integers(2, 9)):
        u, v = site.middle + rng.uniform(-0.4, 0.4, 2) * site.sides
        around = window(land, *to_image(land.grid, u, v), 16)
        if around:
            far = np.hypot(land.u[around] - u, land.v[around] - v) / rng.uniform(5, 14)
            heap = np.maximum(1 - far, 0) * rng.uniform(1.5, 3.5)
            heap[land.labels[around] != Aerial.BARE] = 0
            land.relief[around] += heap
            land.top[around] += heap


def lake(land: Land, cell: Cell) -> tuple[list, list]:
    """A lake between meadows, reed and trees."""
    rng = land.rng
    grass(land, cell, 0.9)
    scatter(land, cell.shrunk(4), 12, rng.uniform(0.1, 0.9), (3.5, 7.5), clumps=0.5)
    pond(land, cell.shrunk(rng.uniform(3, 9)))
    return [], []


def river(land: Land, cell: Cell) -> tuple[list, list]:
    """A river that winds along u between meadows with trees."""
    grass(land, cell, 0.9)
    area = cell_window(land, cell)
    if area:
        rng, half = land.rng, cell.sides[1] / 2
        u, v = land.u[area], land.v[area]
        bends = sum(rng.uniform(0.03, 0.16) * np.sin(u / reach + rng.uniform(0, 6)) for reach in (90, 40))
        width = 0.56 + 0.1 * np.sin(u / 67 + rng.uniform(0, 6)) + 0.03 * land.cloud[area]
        depth = (width - abs((v - cell.middle[1]) / half - bends)) * np.float32(half)
        water(land, area, np.minimum(depth, depth_inside(land, area, cell) - 8))
    scatter(land, cell.shrunk(5), 11, land.rng.uniform(0.2, 0.9), (3.5, 7), clumps=0.3)
    return [], []


ZONES = {
    "town": town, "village": village, "industry": industry, "farmland": farmland, "forest": forest, "park": park,
    "works": works, "lake": lake, "river": river,
}  # fmt: skip
FREQUENCY = {  # how often a block gets each use, on average
    "town": 0.25, "village": 0.08, "industry": 0.13, "farmland": 0.27, "forest": 0.13, "park": 0.05,
    "works": 0.08, "lake": 0.1,
}  # fmt: skip


def plan(land: Land) -> tuple[list[tuple[str, Cell]], list[Road]]:
    """Blocks of the scene with their zones, and the roads between them."""
    rng, reach = land.rng, 0.8 * land.size + 80
    whole = Cell(-reach, reach, -reach, reach)
    blocks, roads, parts = [], [], [whole]
    if rng.random() < 0.3:
        middle, half = rng.uniform(-0.3, 0.3) * land.size, rng.uniform(36, 75)
        valley = Cell(-reach, reach, middle - half, middle + half)
        blocks, roads = _river_valley(rng, valley)
        parts = [whole._replace(v1=valley.v0), whole._replace(v0=valley.v1)]
    kinds, weights = list(FREQUENCY), rng.dirichlet(4 * np.array(list(FREQUENCY.values())))
    longest, widths = rng.uniform(230, 400), (rng.uniform(9, 13), rng.uniform(6.5, 9))
    for part in parts:
        wide, main = cut(rng, part, 2 * longest, widths[0], "main")
        cuts = [cut(rng, cell, longest, widths[1], "street") for cell in wide]
        roads += [road for _, lanes in cuts for road in lanes] + main
        seen = [cell.shrunk(widths[1] / 2) for cells, _ in cuts for cell in cells if cell_window(land, cell)]
        blocks += [(kinds[rng.choice(len(kinds), p=weights)], cell) for cell in seen]
    return blocks, roads


def _river_valley(rng: np.random.Generator, valley: Cell) -> tuple[list, list]:
    """A river with a road on either bank and an occasional bridge between them."""
    _, bridges = cut(rng, valley, rng.uniform(280, 600), rng.uniform(9, 13), "main")
    width = rng.uniform(9, 13)
    banks = [Road(True, v, valley.u0, valley.u1, width, "street") for v in (valley.v0, valley.v1)]
    return [("river", valley)], bridges + banks

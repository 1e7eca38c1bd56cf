"""Towns, villages and yards: lots along streets, with gardens, houses, halls and parked cars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lulc_utils.legends import Aerial
from lulc_utils.simulate.aerial.canvas import Land, cell_window, depth_inside, paint, textured
from lulc_utils.simulate.aerial.ground import bare, flat_ground, grass, scatter, sides
from lulc_utils.simulate.aerial.objects import building, park_cars
from lulc_utils.simulate.layout import Cell, cut, rows_of_lots


class House(NamedTuple):
    """A planned building around (u, v), with the yard or drive that leads to it."""

    u: float
    v: float
    size: tuple[float, float]  # length, width in pixels
    along_u: bool
    roof: str
    height: float  # of the eaves, meters
    drive: Cell | None = None


def town(land: Land, cell: Cell) -> tuple[list, list]:
    """Streets, and houses on small lots along them."""
    return _settlement(land, cell, block=land.rng.uniform(105, 150), frontage=land.rng.uniform(30, 44), built=0.95)


def village(land: Land, cell: Cell) -> tuple[list, list]:
    """Houses on larger lots, some of them empty, without streets of their own."""
    return _settlement(land, cell, block=land.rng.uniform(180, 260), frontage=land.rng.uniform(46, 64), built=0.8)


def _settlement(land: Land, cell: Cell, block: float, frontage: float, built: float) -> tuple[list, list]:
    """Streets a block apart; lots back to back, a share of them built on."""
    width = land.rng.uniform(8, 11)
    blocks, roads = cut(land.rng, cell, block, width, "street")
    if land.rng.random() < 0.3:
        frontage *= 2.2  # long houses: terraced houses and apartment blocks
    houses = []
    for part in blocks:
        if cell_window(land, part):
            for lot, side in rows_of_lots(part.shrunk(width / 2), 48, frontage):
                _garden(land, lot)
                if land.rng.random() < built:
                    houses += _home(land, lot, side, part.sides[0] >= part.sides[1])
    return roads, houses


def _garden(land: Land, lot: Cell) -> None:
    """Lawn, gravel or pavement, with trees and sometimes a hedge."""
    rng, kind = land.rng, land.rng.choice(3, p=[0.82, 0.12, 0.06])
    if kind == 0:
        grass(land, lot, rng.uniform(0, 0.6))
    elif kind == 1:
        bare(land, lot, 0, 0.3, land.colors["gravel"])
    else:
        flat_ground(land, lot, land.colors["asphalt"] * rng.uniform(0.9, 1.15), (0.02, 0.02, 0.03), Aerial.ROAD)
    scatter(land, lot.shrunk(2), 10, rng.uniform(0, 0.8), (3.6, 7.5))
    if rng.random() < 0.4:
        scatter(land, sides(lot)[rng.integers(4)], 6, 0.9, (3, 3.9))


def _home(land: Land, lot: Cell, side: int, long_u: bool) -> list[House]:
    """The house of a lot, a few meters from the street on `side`, and sometimes a shed behind it."""
    rng = land.rng
    front, depth = lot.sides if long_u else lot.sides[::-1]
    length = min(rng.uniform(0.66, 0.86) * front, front - 7)
    width = min(rng.uniform(19, 29), 0.55 * depth)
    back = rng.uniform(4, 10) + width / 2  # from the street to the middle of the house
    edge = (lot.v0, lot.v1) if long_u else (lot.u0, lot.u1)
    at = edge[1] - back if side > 0 else edge[0] + back
    u, v = (lot.middle[0], at) if long_u else (at, lot.middle[1])
    roof = "flat" if rng.random() < 0.2 else str(rng.choice(["gable", "gable", "hip"]))
    turned = bool(rng.random() < 0.3) and length < 0.6 * depth
    house = House(u, v, (length, width), long_u != turned, roof, rng.uniform(3, 7), _drive(rng, lot, side, long_u))
    return [house, *_shed(rng, lot, side, long_u)]


def _drive(rng: np.random.Generator, lot: Cell, side: int, long_u: bool) -> Cell:
    """A strip from the street into the lot, next to the house."""
    low, high = (lot.u0, lot.u1) if long_u else (lot.v0, lot.v1)
    start = low + 1 if rng.random() < 0.5 else high - 7
    edge = (lot.v0, lot.v1) if long_u else (lot.u0, lot.u1)
    reach = rng.uniform(14, 30)
    over = (edge[1] - reach, edge[1] + 2) if side > 0 else (edge[0] - 2, edge[0] + reach)
    return Cell(start, start + 6, *over) if long_u else Cell(*over, start, start + 6)


def _shed(rng: np.random.Generator, lot: Cell, side: int, long_u: bool) -> list[House]:
    """A small building at the back of some lots."""
    if rng.random() < 0.6:
        return []
    a = rng.uniform(0.2, 0.8)
    b = 0.15 if side > 0 else 0.85
    u = lot.u0 + lot.sides[0] * (a if long_u else b)
    v = lot.v0 + lot.sides[1] * (b if long_u else a)
    size = tuple(rng.uniform(7, 12, 2))
    return [House(u, v, size, True, str(rng.choice(["gable", "flat"])), 2.3)]


def industry(land: Land, cell: Cell) -> tuple[list, list]:
    """Halls and apartment blocks on paved or gravel yards with parked cars."""
    rng = land.rng
    plots, roads = cut(rng, cell, rng.uniform(170, 260), rng.uniform(10, 14), "street")
    houses = []
    for plot in (p.shrunk(7) for p in plots):
        grass(land, plot, 0.3)
        yard = plot.shrunk(rng.uniform(3, 10))
        if rng.random() < 0.4:
            flat_ground(land, yard, land.colors["asphalt"] * rng.uniform(0.85, 1.1), (0.02, 0.02, 0.04), Aerial.ROAD)
        else:
            bare(land, yard, 0, 0.3, land.colors["gravel"])
        houses += _halls(land, yard)
        scatter(land, plot, 26, 0.25, (4, 7))
    return roads, houses


def _halls(land: Land, yard: Cell) -> list[House]:
    """One to four halls in a yard, cars on the rest of it."""
    rng = land.rng
    parts, _ = cut(rng, yard, rng.uniform(80, 150), 0, "")
    houses = []
    for part in parts:
        su, sv = part.sides
        if rng.random() < 0.85 and min(su, sv) > 34:
            share_u, share_v = rng.uniform(0.55, 0.85, 2)
            long_u = su * share_u >= sv * share_v
            size = tuple(sorted((su * share_u, sv * share_v), reverse=True))
            roof = "flat" if rng.random() < 0.7 else "gable"
            houses.append(House(*part.middle, size, long_u, roof, rng.uniform(5, 11)))
        else:
            park_cars(land, part, rng.uniform(15, 22), rng.uniform(0.2, 0.7))
    return houses


def build(land: Land, house: House) -> None:
    """Draw a planned house and, where it could be built, its drive."""
    built = building(land, house.u, house.v, house.size, house.along_u, house.roof, house.height)
    area = cell_window(land, house.drive) if built and house.drive else None
    if area:
        taken = np.isin(land.labels[area], (Aerial.BUILDING, Aerial.WATER, Aerial.ROAD))
        free = (depth_inside(land, area, house.drive) > 0) & ~taken
        paved = land.rng.random() < 0.6
        color = land.colors["asphalt" if paved else "gravel"] * land.rng.uniform(0.95, 1.15)
        paint(land, area, free, textured(land, area, color, 0.03, 0.03, 0.03), Aerial.ROAD if paved else Aerial.BARE)

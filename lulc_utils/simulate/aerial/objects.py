"""What stands on the ground: roads with their cars, buildings and trees."""

from __future__ import annotations

import numpy as np

from lulc_utils.legends import Aerial
from lulc_utils.simulate.aerial.camera import AERIAL_PIXEL
from lulc_utils.simulate.aerial.canvas import Land, cell_window, depth_inside, local_axes, paint, textured, window
from lulc_utils.simulate.layout import Cell, Road, heading, to_image

WITHOUT_TREES = (Aerial.BUILDING, Aerial.ROAD, Aerial.WATER, Aerial.CROP)  # no part of a crown may reach over them
NO_TREE = np.isin(np.arange(len(Aerial)), WITHOUT_TREES)  # [classes] bool, looked up by label

# ------------------------------------------------------------------------------------------------ roads


def road_cell(road: Road, more: float = 0.0) -> Cell:
    """The strip that a road covers, wider by `more` on both sides."""
    half = road.width / 2 + more
    along, over = (road.start, road.end), (road.at - half, road.at + half)
    return Cell(*along, *over) if road.across else Cell(*over, *along)


def verge(land: Land, road: Road, color: np.ndarray) -> None:
    """A strip of grass along a road (water stays): crops and yards do not reach the asphalt."""
    strip = road_cell(road, land.rng.uniform(1, 4))
    area = cell_window(land, strip)
    if area:
        mask = (depth_inside(land, area, strip) > 0) & (land.labels[area] != Aerial.WATER)
        paint(land, area, mask, textured(land, area, color, 0.05, 0.08, 0.05), Aerial.GRASS)


def draw_road(land: Land, road: Road) -> None:
    """A carriageway with markings; over water it becomes a bridge: raised, with light parapets."""
    strip = road_cell(road)
    area = cell_window(land, strip)
    if area is None:
        return
    depth = np.minimum(road.width / 2 - abs((land.v if road.across else land.u)[area] - road.at), 99)
    along = (land.u if road.across else land.v)[area]
    on = (depth > 0) & (along > road.start - 1) & (along < road.end + 1)
    bridge = on & (land.labels[area] == Aerial.WATER)
    track = road.kind == "track"
    color = land.colors["track" if track else "asphalt"] * land.rng.uniform(0.8, 1.2)  # worn or new
    look = (0.05, 0.06, 0.04) if track else (0.02, 0.015, 0.03)
    paint(land, area, on, textured(land, area, color, *look), Aerial.BARE if track else Aerial.ROAD)
    if track:
        paint(land, area, on & (depth > 0.36 * road.width), land.colors["grass"] * 0.95)
    elif road.kind == "main":
        dashed = (abs(depth - road.width / 2) < 0.6) & (np.mod(along, 24) < 10)
        paint(land, area, on & (dashed | (abs(depth - 1.6) < 0.5)), color + 0.22)
    else:
        paint(land, area, on & (depth < 2.2), color * 1.12 + 0.05)  # pavement
    land.top[area][on] = 0
    land.taken[area] |= on
    if bridge.any():
        land.top[area][bridge] = 2.0
        paint(land, area, bridge & (depth < 1.6), color * 1.15 + 0.1)


def park_cars(land: Land, cell: Cell, spacing: float, share: float) -> None:
    """Cars side by side in rows in a yard; the ground keeps its class."""
    long_u = cell.sides[0] >= cell.sides[1]
    for v in np.arange(cell.v0 + 6, cell.v1 - 5, spacing if long_u else 5.5):
        for u in np.arange(cell.u0 + 6, cell.u1 - 5, 5.5 if long_u else spacing):
            if land.rng.random() < share:
                car(land, *to_image(land.grid, u, v), along_u=not long_u)


def drive_cars(land: Land, road: Road) -> None:
    """A few cars on their side of a road."""
    for _ in range(land.rng.poisson(abs(road.end - road.start) / 220) if road.kind != "track" else 0):
        along = land.rng.uniform(road.start, road.end)
        over = road.at + land.rng.choice([-0.22, 0.22]) * road.width
        place = (along, over) if road.across else (over, along)
        car(land, *to_image(land.grid, *place), along_u=road.across)


def car(land: Land, x: float, y: float, along_u: bool) -> None:
    """One car of 4.5 x 2 meters with its shadow, where the ground is road or bare."""
    area = window(land, x, y, 6)
    if area is None:
        return
    a, b = local_axes(land, area, x, y, heading(land.grid, x, y, along_u))
    body = (abs(a) < 4.5) & (abs(b) < 2)
    if not np.isin(land.labels[area][body], (Aerial.ROAD, Aerial.BARE)).all():
        return
    color = land.rng.choice([0.1, 0.2, 0.35, 0.6, 0.8]) + land.rng.uniform(-0.04, 0.04, 3)
    paint(land, area, body, color)
    paint(land, area, body & (abs(a - 1) < 2.4) & (abs(b) < 1.5), color * 0.6)  # windows
    land.top[area][body] += 1.4


# -------------------------------------------------------------------------------------------- buildings


def building(land: Land, u: float, v: float, size: tuple, along_u: bool, roof: str, height: float) -> bool:
    """Draw a building of size (length, width) pixels around (u, v); False when its ground is not free.

    roof: "gable", "hip" or "flat". The building is straight (not bent like the grid), so that its corners are right
    angles. No street, water or other building may be on its ground or within one meter of it.
    """
    x, y = to_image(land.grid, u, v)
    half = size[0] / 2, size[1] / 2
    area = window(land, x, y, np.hypot(*half) + 3)
    if area is None:
        return False
    a, b = local_axes(land, area, x, y, heading(land.grid, x, y, along_u))
    to_eaves = np.minimum(half[0] - abs(a), half[1] - abs(b))
    if (land.taken[area] & (to_eaves > -2)).any():
        return False
    on = to_eaves > 0
    land.taken[area] |= on
    shape = draw_roof(land, area, on, (a, b, to_eaves, half), roof)
    land.labels[area][on] = Aerial.BUILDING
    np.copyto(land.relief[area], shape, where=on)
    np.copyto(land.top[area], np.float32(height) + shape, where=on)
    return True


def draw_roof(land: Land, area: tuple, on: np.ndarray, axes: tuple, roof: str) -> np.ndarray:
    """Color a roof and return its height above the eaves in meters, [h, w]."""
    a, b, to_eaves, half = axes
    palette = land.colors["flat roofs" if roof == "flat" else "roofs"]
    color = palette[land.rng.integers(len(palette))] * land.rng.uniform(0.88, 1.12)
    paint(land, area, on, textured(land, area, color, 0.015, 0.02, 0.0))
    if roof == "flat":
        return flat_roof(land, area, on, axes, color)
    pitch = np.float32(land.rng.uniform(0.45, 0.85))
    rise = half[1] - abs(b) if roof == "gable" else to_eaves  # pixels from the eaves
    pitch = min(pitch, np.float32(8 / half[1]))  # wide halls have low roofs
    paint(land, area, on & (rise > half[1] - 0.8), color * 1.18)  # ridge
    if land.rng.random() < 0.15:
        panels = on & (b > 1.5) & (b < half[1] - 2) & (abs(a) < half[0] * land.rng.uniform(0.4, 0.8))
        paint(land, area, panels, (0.09, 0.11, 0.17))
    return np.maximum(rise, 0) * pitch * AERIAL_PIXEL


def flat_roof(land: Land, area: tuple, on: np.ndarray, axes: tuple, color: np.ndarray) -> np.ndarray:
    """Seams or skylights, a light parapet and boxes on top; returns their height, [h, w]."""
    a, b, to_eaves, half = axes
    if land.rng.random() < 0.8:  # sheets of metal or felt
        paint(land, area, on & (np.mod(a, land.rng.uniform(5, 9)) < 1.2), color * land.rng.uniform(0.78, 0.9))
    if land.rng.random() < 0.5:  # rows of skylights
        lights = on & (np.mod(a, 18) < 7) & (abs(abs(b) - half[1] / 2) < 2)
        paint(land, area, lights, color * 0.5 + 0.35)
    paint(land, area, on & (to_eaves < 1.3), color * 1.1 + 0.06)
    shape = np.zeros_like(to_eaves)
    for _ in range(land.rng.integers(0, 2 + int(half[0] // 12))):
        pa, pb = land.rng.uniform(-0.7, 0.7, 2) * half
        box = on & (abs(a - pa) < land.rng.uniform(2, 4)) & (abs(b - pb) < land.rng.uniform(2, 3))
        paint(land, area, box, color * 1.1)
        shape[box] = 1.5
    return shape


# ------------------------------------------------------------------------------------------------ trees


def draw_crowns(rng: np.random.Generator, conifers: float, leafy: float) -> dict[int, list[np.ndarray]]:
    """Shapes of crowns by radius 3..11 pixels: four per radius, height in meters, [2r + 3, 2r + 3], 0 outside.

    conifers: share of pointed crowns; leafy: how bumpy the round ones are.
    """
    shapes = {}
    for radius in range(3, 12):
        y, x = np.mgrid[-radius - 1 : radius + 2, -radius - 1 : radius + 2].astype(np.float32)
        shapes[radius] = []
        for i in range(4):
            angle = np.arctan2(y, x)
            lobes = sum(rng.uniform(-0.08, 0.08) * np.sin(k * angle + rng.uniform(0, 6)) for k in (2, 3, 4, 5))
            q = np.hypot(x, y) / (radius * (1 + lobes))
            cone = i < round(4 * conifers)
            dome = (1 - q) * 1.5 if cone else np.sqrt(np.maximum(1 - q * q, 0)) * 0.8
            bumps = rng.normal(0, leafy, x.shape).astype(np.float32)
            bumps = bumps + np.roll(bumps, 1, 0) + np.roll(bumps, 1, 1) + np.roll(bumps, (1, 1), (0, 1))
            shapes[radius].append(np.where(q < 1, np.maximum(dome + bumps, 0.05), 0).astype(np.float32))
            shapes[radius][-1] *= radius * AERIAL_PIXEL
    return shapes


def plant_all(land: Land, crowns: dict) -> None:
    """Plant every planned tree, low ones first, where its whole crown is over ground that may have trees."""
    if not land.trees:
        return
    trees = np.concatenate(land.trees)
    trees = trees[np.argsort(trees[:, 2], kind="stable")]
    which = land.rng.integers(4, size=len(trees))
    tints = land.colors["trees"][land.rng.integers(len(land.colors["trees"]), size=len(trees))]
    tints = tints * np.exp(land.rng.normal(0, 0.09, (len(trees), 1)) + land.rng.normal(0, 0.04, (len(trees), 3)))
    for (x, y, radius), i, tint in zip(trees.tolist(), which, tints.astype(np.float32), strict=True):
        plant(land, round(x), round(y), crowns[round(radius)][i], tint)


def plant(land: Land, x: int, y: int, crown: np.ndarray, tint: np.ndarray) -> None:
    """One tree: its crown hides what is lower. Nothing happens when part of it would overhang a road, crop, ..."""
    reach = len(crown) // 2
    y0, x0 = y - reach, x - reach
    rows, cols = slice(max(y0, 0), max(y + reach + 1, 0)), slice(max(x0, 0), max(x + reach + 1, 0))
    labels = land.labels[rows, cols]
    crown = crown[max(-y0, 0) :, max(-x0, 0) :][: labels.shape[0], : labels.shape[1]]
    if not labels.size or NO_TREE[labels[crown > 0]].any():
        return
    trunk = 0.7 * reach * AERIAL_PIXEL
    seen = (crown > 0) & (crown + trunk > land.top[rows, cols])
    labels[seen] = Aerial.TREE
    np.copyto(land.relief[rows, cols], crown * 0.55, where=seen)  # leaves let light through: softer than a solid
    np.copyto(land.top[rows, cols], crown + trunk, where=seen)
    np.copyto(land.albedo[:, rows, cols], tint[:, None, None], where=seen)

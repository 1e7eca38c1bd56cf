"""Simulated aerial photographs: very-high-resolution RGB at 0.5 m, with the class of every pixel known.

A landscape is built the way a real one came about, and photographed at the end:

1. zones     A gently bent grid is cut into blocks by country roads (and a river); each block gets a land use.
2. roads     Towns are cut further by streets. Every line runs from one older line to another: roads connect.
3. parcels   Fields, meadows, lots, yards and ponds fill the blocks; then the roads are drawn over them.
4. buildings stand on free ground of their lot, along the street.
5. trees     fill forests, line fields, grow in gardens; no crown reaches over a road, roof, crop or water.
6. light     The date and the latitude place the sun; heights shade surfaces and cast shadows.
7. sensor    Exposure, color cast, haze, blur and noise make a photograph of it.

Colors tell little, as in reality: roofs, roads and gravel are gray, ripe crops and soil brown, trees, crops and
meadows green, and all of them change from scene to scene. Structure tells the classes apart. Labels describe the
surface: ground in shadow keeps its class. The location of a scene is only nominal: the real place looks different.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from lulc_utils.legends import AERIAL_CLASSES
from lulc_utils.scene import Scene
from lulc_utils.simulate.aerial import objects, settlements, zones
from lulc_utils.simulate.aerial.camera import AERIAL_PIXEL, illuminate, photograph
from lulc_utils.simulate.aerial.canvas import Land, empty_land
from lulc_utils.simulate.aerial.ground import draw_colors
from lulc_utils.simulate.layout import draw_grid
from lulc_utils.simulate.light import sun_position
from lulc_utils.simulate.place import checked, utm

SMALLEST_AERIAL = 64  # pixels: below, not even one building with its street fits
PLACES = (  # longitude, latitude: farmland with towns, on five continents
    (2.5, 47.5), (11.0, 48.6), (19.5, 47.0), (31.0, 49.5), (-4.0, 40.5), (-1.0, 52.5), (-93.5, 42.0), (-120.0, 37.0),
    (-61.5, -33.5), (-51.0, -23.5), (147.0, -34.5), (27.0, -27.5), (36.0, -1.0), (76.0, 29.5), (114.5, 34.5),
    (101.0, 15.5),
)  # fmt: skip


def aerial(seed: int, size: int = 512) -> Scene:
    """One simulated aerial scene of size x size pixels of 0.5 m, the same for the same seed and size.

    Returns a Scene: pixels [3, size, size] uint8 (red, green, blue), labels [size, size] uint8 without gaps,
    classes AERIAL_CLASSES, georeferenced in UTM. ValueError for a negative seed or a size below 64.
    """
    seed, size = checked(seed, size, SMALLEST_AERIAL)
    rng = np.random.default_rng(seed)
    longitude, latitude = np.array(PLACES[rng.integers(len(PLACES))]) + rng.uniform(-0.8, 0.8, 2)
    crs, transform = utm(latitude, longitude, AERIAL_PIXEL, grid=1)
    date, sun = _moment(rng, latitude)
    land = _landscape(rng, size)
    light = illuminate(land.albedo, land.top, land.relief, sun, sky=rng.uniform(0.25, 0.5))
    name = f"simulated {seed:04d}"
    return Scene(
        name=name,
        pixels=photograph(rng, light),
        bands=("red", "green", "blue"),
        source=f"simulated aerial, seed {seed}",
        labels=land.labels,
        classes=AERIAL_CLASSES,
        transform=transform,
        crs=crs,
        date=date,
        group=name,
    )


def aerial_scenes(seeds: Iterable[int], size: int = 512, progress: bool = False) -> list[Scene]:
    """`aerial` for several seeds; progress=True shows a bar."""
    return [aerial(seed, size) for seed in tqdm(list(seeds), desc="simulating", unit="scene", disable=not progress)]


def _moment(rng: np.random.Generator, latitude: float) -> tuple[datetime.date, tuple[float, float]]:
    """(date, (elevation, azimuth) of the sun in radians), redrawn until the sun is high enough for a survey flight."""
    while True:
        date = datetime.date(2018, 1, 1) + datetime.timedelta(days=int(rng.integers(6 * 365)))
        sun = sun_position(latitude, date, hour=rng.uniform(9, 15))
        if 32 < np.degrees(sun[0]) < 66:
            return date, sun


def _landscape(rng: np.random.Generator, size: int) -> Land:
    """Steps 1 to 5: the land with its labels, colors and heights."""
    land = empty_land(rng, draw_grid(rng, size), draw_colors(rng), size)
    blocks, roads = zones.plan(land)
    streets, houses = [], []
    for kind, cell in blocks:
        more_streets, more_houses = zones.ZONES[kind](land, cell)
        streets, houses = streets + more_streets, houses + more_houses
    for road in roads:
        objects.verge(land, road, land.colors["grass"])
    for road in streets + roads:
        objects.draw_road(land, road)
    for road in streets + roads:
        objects.drive_cars(land, road)
    for house in houses:
        settlements.build(land, house)
    objects.plant_all(land, objects.draw_crowns(rng, rng.choice([0, 0, 0.5, 1]), rng.uniform(0.02, 0.06)))
    return land

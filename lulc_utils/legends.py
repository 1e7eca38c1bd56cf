"""The colors and the classes of every legend in this book.

One surface has one color in all legends, so that maps can be compared. The colors of a legend, and white for pixels
without a label, can be told apart with every common kind of color blindness (tests/package/test_legends.py).
"""

from __future__ import annotations

from enum import IntEnum

from lulc_utils.scene import LandCover

PALETTE = {
    "water": "#0072b2",
    "wetland": "#56b4e9",
    "trees": "#00662f",
    "mangroves": "#1f9e7d",
    "shrubs": "#979558",
    "grass": "#84c972",
    "crops": "#f3ed46",
    "other crops": "#e69f00",
    "built": "#d55e00",
    "roads": "#4d4d4d",
    "industry": "#cc79a7",
    "bare": "#f3d0ae",
    "snow": "#d7e2f5",
    "moss": "#bbbbbb",
}


def legend(surfaces: dict[str, str]) -> tuple[LandCover, ...]:
    """Classes in the order of their labels, from {name of the class: the surface in PALETTE that gives its color}."""
    return tuple(LandCover(name, PALETTE[surface]) for name, surface in surfaces.items())


class Aerial(IntEnum):
    """Labels of simulated aerial scenes, in the order of AERIAL_CLASSES."""

    BUILDING = 0
    ROAD = 1
    WATER = 2
    BARE = 3
    TREE = 4
    CROP = 5
    GRASS = 6


class Satellite(IntEnum):
    """Labels of simulated satellite scenes, in the order of SATELLITE_CLASSES."""

    WATER = 0
    TREES = 1
    GRASS = 2
    WINTER_CROP = 3
    SUMMER_CROP = 4
    BUILT = 5
    BARE = 6
    WETLAND = 7


AERIAL_CLASSES = legend({
    "building": "built", "road": "roads", "water": "water", "bare": "bare", "tree": "trees", "crop": "crops",
    "grass": "grass",
})  # fmt: skip
SATELLITE_CLASSES = legend({
    "water": "water", "trees": "trees", "grass": "grass", "winter crop": "crops", "summer crop": "other crops",
    "built": "built", "bare": "bare", "wetland": "wetland",
})  # fmt: skip
DUBAI_CLASSES = legend({
    "water": "water", "land (unpaved)": "bare", "road": "roads", "building": "built", "vegetation": "trees",
})  # fmt: skip
ESRI_CLASSES = legend({
    "water": "water", "trees": "trees", "flooded vegetation": "wetland", "crops": "crops", "built": "built",
    "bare": "bare", "snow": "snow", "rangeland": "shrubs",
})  # fmt: skip
WORLDCOVER_CLASSES = legend({
    "trees": "trees", "shrubs": "shrubs", "grass": "grass", "crops": "crops", "built-up": "built", "bare": "bare",
    "snow and ice": "snow", "water": "water", "wetland": "wetland", "mangroves": "mangroves",
    "moss and lichen": "moss",
})  # fmt: skip
WORLDCOVER_NUMBERS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)  # in its files, in the order of the classes
EUROSAT_CLASSES = legend({
    "annual crop": "crops", "forest": "trees", "herbaceous vegetation": "shrubs", "highway": "roads",
    "industrial": "industry", "pasture": "grass", "permanent crop": "other crops", "residential": "built",
    "river": "wetland", "sea or lake": "water",
})  # fmt: skip
VEGETATION_CLASSES = legend({"other": "moss", "vegetation": "trees"})
BUILDING_CLASSES = legend({"other": "moss", "building": "built"})
WATER_CLASSES = legend({"other": "moss", "water": "water"})
CROP_CLASSES = legend({"other": "moss", "crop": "crops"})

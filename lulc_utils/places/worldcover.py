"""Weak labels from the tiles of ESA WorldCover, a model's map of the whole Earth."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from lulc_utils.legends import WORLDCOVER_CLASSES, WORLDCOVER_NUMBERS
from lulc_utils.places.box import checked_bbox
from lulc_utils.places.read import Grid
from lulc_utils.scene import UNLABELLED

WORLDCOVER = (
    "https://esa-worldcover.s3.eu-central-1.amazonaws.com/{version}/{year}/map/"
    "ESA_WorldCover_10m_{year}_{version}_{tile}_Map.tif"
)
WORLDCOVER_VERSIONS = {2020: "v100", 2021: "v200"}  # two algorithms: their difference is not change


def worldcover_tiles(bbox: Sequence[float]) -> list[str]:
    """Names ("N57E009") of the 3 x 3 degree tiles of ESA WorldCover under a box: their south-western corners."""
    west, south, east, north = checked_bbox(bbox)
    lats = range(3 * math.floor(south / 3), math.ceil(north), 3)
    lons = range(3 * math.floor(west / 3), math.ceil(east), 3)
    return [f"{'NS'[y < 0]}{abs(y):02d}{'EW'[x < 0]}{abs(x):03d}" for y in lats for x in lons]


def worldcover_addresses(bbox: Sequence[float], year: int, address: str = WORLDCOVER) -> list[str]:
    """Where the tiles under a box are; ValueError for a year without a map, or another placeholder in the address."""
    if year not in WORLDCOVER_VERSIONS:
        raise ValueError(f"ESA WorldCover exists for 2020 and 2021, not for {year}.")
    version = WORLDCOVER_VERSIONS[year]
    try:
        return [address.format(tile=tile, year=year, version=version) for tile in worldcover_tiles(bbox)]
    except (KeyError, IndexError, AttributeError, ValueError):
        raise ValueError(
            f"The address of WorldCover may contain {{tile}}, {{year}} and {{version}} and no other braces, not "
            f"'{address}'."
        ) from None


def worldcover_labels(tiles: Iterable[np.ndarray | None], grid: Grid) -> np.ndarray:
    """Numbers of several tiles, each [rows, cols] -> labels [rows, cols]; pixels without a tile stay unlabelled."""
    table = np.full(256, UNLABELLED, np.uint8)
    table[list(WORLDCOVER_NUMBERS)] = range(len(WORLDCOVER_CLASSES))
    labels = np.full((grid.height, grid.width), UNLABELLED, np.uint8)
    for tile in tiles:
        if tile is not None:
            known = np.isfinite(tile)
            labels[known] = table[tile[known].astype(np.uint8)]
    return labels


def warn_of_missing(missing: Sequence[str]) -> None:
    """Warn about tiles that do not exist: correct over the open sea, a wrong address anywhere else."""
    if missing:
        warnings.warn(
            f"ESA WorldCover has no tile {' or '.join(missing)}; the ground there stays unlabelled. Over the open sea "
            "this is correct; elsewhere check the address and the year.",
            stacklevel=3,
        )

"""Crop or not at places in Africa, as rows of numbers; and where some of the rows lie."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lulc_utils.data.download import fetch
from lulc_utils.legends import CROP_CLASSES
from lulc_utils.scene import LandCover

CROP_REGIONS = ("central", "eastern", "indian_ocean", "northern", "sahel", "south_eastern", "southern", "western")
WHERE = "testing/{0}_cropmask/results/training_data/{1}training_data_coordinates_{2}.txt"
CROP_COORDINATES = {  # regions whose rows have a place
    "eastern": WHERE.format("eastern", "", "20210427"),
    "northern": WHERE.format("northern", "northern_", "20210803"),
    "western": WHERE.format("western", "western_", "20210609"),
}
BLOCK = 100_000  # meters


class Fields(NamedTuple):
    """N places that are crop or not.

    x                [N, 33] float32, as `names` says; _S1 and _S2 are the halves of 2019, reflectance is a share
    y                [N] index into classes
    easting          [N] meters in EPSG:6933, NaN = unknown
    northing         [N] the same
    group            [N] str: what a split keeps together, a block of 100 km or, without places, the region
    """

    x: np.ndarray
    y: np.ndarray
    easting: np.ndarray
    northing: np.ndarray
    group: np.ndarray
    names: tuple[str, ...]
    classes: tuple[LandCover, ...]

    def rows(self, chosen: np.ndarray) -> Fields:
        """The chosen rows, an index or mask [N]."""
        return Fields(*(a[chosen] for a in self[:5]), self.names, self.classes)


def africa_crops(region: str, *, progress: bool = True) -> Fields:
    """Training data of Digital Earth Africa's crop mask in one of CROP_REGIONS, fetched if needed; see `read_crops`.

    Only the regions of CROP_COORDINATES have places. Labels lie in clusters: always score the place alone as well, and
    split by `group`. Data CC BY 4.0. ValueError for another region, DataUnavailable when files are missing.
    """
    if region not in CROP_REGIONS:
        raise ValueError(f"There are crops of {', '.join(CROP_REGIONS)}, not of '{region}'.")
    files = [f"data/{region}/training_data.txt", *filter(None, [CROP_COORDINATES.get(region)])]
    folder = fetch("africa-crops", files=files, progress=progress)
    return read_crops(region, *(folder / file for file in files))


def read_crops(region: str, table: Path, coordinates: Path | None = None) -> Fields:
    """A table with a line of names ("# Class blue_S1 ...") and, row by row, its coordinates (easting, northing).

    ValueError when there are not as many coordinates as rows.
    """
    with open(table, encoding="utf-8") as stream:
        names = tuple(stream.readline().split()[2:])  # after "# Class"
        rows = np.loadtxt(stream, ndmin=2)
    place = np.full((len(rows), 2), np.nan) if coordinates is None else np.loadtxt(coordinates, ndmin=2)
    if len(place) != len(rows):
        raise ValueError(f"{table} has {len(rows)} rows but {coordinates.name} has {len(place)} places.")
    blocks = [f"{region} {e:.0f} {n:.0f}" for e, n in place // BLOCK]
    group = np.full(len(rows), region) if coordinates is None else np.array(blocks)
    return Fields(rows[:, 1:].astype(np.float32), rows[:, 0].astype(int), *place.T, group, names, CROP_CLASSES)

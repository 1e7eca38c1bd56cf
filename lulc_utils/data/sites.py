"""Places as rows of numbers: a spectrum, a class, latitude, longitude and day, simulated or real.

Chapter 4 asks what place and date add to a spectrum, so a place here is not an image but a summary of one: mean and
spread of the bands in a small square, or the bands of one pixel. This trains in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from numpy.lib.stride_tricks import sliding_window_view
from rasterio.warp import transform

from lulc_utils.data.download import fetch
from lulc_utils.data.manifest import registry
from lulc_utils.legends import EUROSAT_CLASSES, SATELLITE_CLASSES, US_CLASSES
from lulc_utils.scene import LandCover, Scene
from lulc_utils.simulate import satellite

SIDE, PURE = 9, 0.8  # pixels of a square, and the share of them that must be of its class
US_BANDS = ("VV", "VH", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12")
US_NUMBERS = (1, 2, 4, 5, 6, 7)  # of US_CLASSES in Dynamic World
US_FOLDER = "data/fuel_moisture/npy"
US_FILES = ("s1_s2_era5_srtm", "dynamic_world", "month", "latlon")
MIDDLE = (15, 46, 75, 106, 136, 167, 197, 228, 259, 289, 320, 350)  # days of the year in the middle of each month


class Sites(NamedTuple):
    """N places.

    x          [N, F] float32, as `names` says
    y          [N] index into classes
    lat, lon   [N] degrees
    day        [N] day of the year, NaN = unknown
    group      [N] str: what a split keeps together, because it is the same ground
    """

    x: np.ndarray
    y: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    day: np.ndarray
    group: np.ndarray
    names: tuple[str, ...]
    classes: tuple[LandCover, ...]

    def rows(self, chosen: np.ndarray) -> Sites:
        """The chosen rows, an index or mask [N]."""
        return Sites(*(a[chosen] for a in self[:6]), self.names, self.classes)


class Box(NamedTuple):
    """Where and when simulated scenes are drawn, uniformly: degrees, days of the year (above 365: of the next)."""

    region: str
    lat: tuple[float, float]
    lon: tuple[float, float]
    day: tuple[int, int]


def simulated(first: int, count: int, box: Box, classes: Sequence[str], *, per_class: int = 2, size: int = 48) -> Sites:
    """Squares of SIDE x SIDE pixels from simulated satellite scenes: mean and spread of the ten bands, F = 20.

    first, count   seeds of the scenes: first, first + 1, ...; each has its own place and day in the box
    classes        names in SATELLITE_CLASSES; at most `per_class` squares of each are taken from a scene, at random,
                   from those with at least the share PURE of the class

    The same arguments give the same rows. ValueError for a class that does not exist or when there is no such square.
    """
    known = [c.name for c in SATELLITE_CLASSES]
    if unknown := [name for name in classes if name not in known]:
        raise ValueError(f"There is no simulated class '{unknown[0]}'; there are {', '.join(known)}.")
    wanted, columns = [known.index(name) for name in classes], []
    for seed in range(first, first + count):
        rng = np.random.default_rng([seed, 4])
        place = rng.uniform(*box.lat), rng.uniform(*box.lon)
        day = 1 + int(rng.integers(box.day[0], box.day[1] + 1) - 1) % 365
        scene = satellite(seed, box.region, day, size=size, place=place)
        for x, y in _squares(scene, wanted, per_class, rng):
            columns.append((x, y, *place, day, scene.group))
    if not columns:
        raise ValueError("None of the scenes has a square of these classes; use more scenes or larger ones.")
    x, y, lat, lon, day, group = map(np.array, zip(*columns, strict=True))
    used = tuple(SATELLITE_CLASSES[k] for k in wanted)
    return Sites(x, y, lat, lon, day.astype(float), group, _names(scene.bands), used)


def _squares(
    scene: Scene, wanted: list[int], per_class: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, int]]:
    """(numbers [20], index into wanted) of random squares of one scene."""
    for index, kind in enumerate(wanted):
        share = sliding_window_view(scene.labels == kind, (SIDE, SIDE)).mean((2, 3))
        rows, cols = np.nonzero(share >= PURE)
        for i in rng.permutation(len(rows))[:per_class]:
            square = scene.pixels[:, rows[i] : rows[i] + SIDE, cols[i] : cols[i] + SIDE]
            yield _mean_and_spread(square), index


def _mean_and_spread(pixels: np.ndarray) -> np.ndarray:
    """[bands, rows, cols] -> [2 bands] float32."""
    return np.concatenate([pixels.mean((1, 2)), pixels.std((1, 2))]).astype(np.float32)


def _names(bands: Sequence[str]) -> tuple[str, ...]:
    return (*(f"mean {b}" for b in bands), *(f"spread {b}" for b in bands))


def us_sites(*, progress: bool = True) -> Sites:
    """Months of 153 places in the United States as rows of 13 bands, fetched if needed; see `read_us_sites`.

    Only the arrays of `fuel_moisture` are used; `algae_blooms` is almost only water. DataUnavailable when files are
    missing.
    """
    folder = fetch("us-sites", files=[f"{US_FOLDER}/{name}.npy" for name in US_FILES], progress=progress)
    return read_us_sites(folder / US_FOLDER)


def read_us_sites(folder: Path) -> Sites:
    """Months of places in the United States, cleaned; F = 13: two radar bands (dB) and eleven of reflectance.

    folder  holds the arrays of `fuel_moisture` (US_FOLDER in the dataset)

    A row of the file holds three consecutive months and shares months with other rows: every month of a place is used
    once. Left out: class 0, which in this file means "missing" (its NDVI is 0.27, water has less than 0), 9 (missing),
    3 and 8 (flooded, snow: too few), and reflectances beyond 0.9 in blue (cloud). Temperature, rain, height and slope
    are left out too: they say where and when, which is what the metadata is for. The day is the middle of the month.
    Labels are Dynamic World's predictions, hence weak; `group` is the place.
    """
    series, kinds, months, places = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in US_FILES)
    x = series[..., : len(US_BANDS)].reshape(-1, len(US_BANDS)).astype(np.float32)  # [rows * 3, 13]
    x[:, 2:] /= 10_000
    kinds, months, places = kinds.ravel(), months.ravel(), places.repeat(kinds.shape[1], 0)
    usable = np.isin(kinds, US_NUMBERS) & (x[:, 2] < 0.9)
    _, first = np.unique(np.c_[places, months, x][usable], axis=0, return_index=True)
    chosen = np.flatnonzero(usable)[np.sort(first)]
    lat, lon = places[chosen].T
    group = np.array([f"{a:.3f} {b:.3f}" for a, b in places[chosen]])
    y, day = np.searchsorted(US_NUMBERS, kinds[chosen]), np.array(MIDDLE, float)[months[chosen]]
    return Sites(x[chosen], y, lat, lon, day, group, US_BANDS, US_CLASSES)


def eurosat(*, progress: bool = True) -> Sites:
    """A hundred EuroSAT patches, ten of each class, as rows of 26 numbers, fetched if needed; see `read_eurosat`.

    DataUnavailable when files are missing.
    """
    folder = fetch("eurosat", progress=progress)
    return read_eurosat([folder / file.name for file in registry("eurosat")])


def read_eurosat(files: Sequence[Path]) -> Sites:
    """EuroSAT patches: mean and spread of thirteen bands (top of the atmosphere), F = 26; no day is known.

    files  GeoTIFFs in folders named after their classes, which in alphabetical order are EUROSAT_CLASSES

    The place is the middle of the patch. ValueError when the folders are not the ten classes.
    """
    folders = sorted({f.parent.name for f in files})
    if len(folders) != len(EUROSAT_CLASSES):
        raise ValueError(f"EuroSAT has {len(EUROSAT_CLASSES)} folders, one per class, not {len(folders)}.")
    columns = []
    for path in files:
        with rasterio.open(path) as file:
            pixels = file.read().astype(np.float32) / 10_000
            east, north = file.transform * (file.width / 2, file.height / 2)
            lon, lat = transform(file.crs, "EPSG:4326", [east], [north])
        columns.append((_mean_and_spread(pixels), folders.index(path.parent.name), lat[0], lon[0], path.stem))
    x, y, lat, lon, group = map(np.array, zip(*columns, strict=True))
    names = _names([f"B{i}" for i in ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "8A")])
    return Sites(x, y, lat, lon, np.full(len(x), np.nan), group, names, EUROSAT_CLASSES)

"""Simulated places as rows of numbers: a spectrum or several, a class, latitude, longitude and day.

Chapter 4 asks what place and date add to a spectrum, so a place here is not an image but a summary of one: mean and
spread of the bands in a small square. This trains in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lulc_utils.legends import SATELLITE_CLASSES
from lulc_utils.scene import LandCover, Scene
from lulc_utils.simulate import satellite_year

SIDE, PURE = 9, 0.8  # pixels of a square, and the share of them that must be of its class


class Sites(NamedTuple):
    """N places.

    x          [N, F] float32, as `names` says; [N, T, F] where a place is seen on T dates
    y          [N] index into classes
    lat, lon   [N] degrees
    day        [N] day of the year, of the first date; NaN = unknown
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


def simulated(
    first: int,
    count: int,
    box: Box,
    classes: Sequence[str],
    *,
    per_class: int = 2,
    size: int = 48,
    again: Sequence[int] = (),
) -> Sites:
    """Squares of SIDE x SIDE pixels from simulated satellite scenes: mean and spread of the ten bands, F = 20.

    first, count   seeds of the scenes: first, first + 1, ...; each has its own place and day in the box
    classes        names in SATELLITE_CLASSES; at most `per_class` squares of each are taken from a scene, at random,
                   from those with at least the share PURE of the class
    again          days after the first date on which the same squares are seen again: then x is [N, 1 + again, 20].
                   Only `day` says when the first of them was, so the dates themselves are metadata

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
        dates = [1 + (day - 1 + days) % 365 for days in (0, *again)]
        scenes = satellite_year(seed, box.region, dates=dates, size=size, place=place)
        for x, y in _squares(scenes, wanted, per_class, rng):
            columns.append((x if again else x[0], y, *place, day, scenes[0].group))
    if not columns:
        raise ValueError("None of the scenes has a square of these classes; use more scenes or larger ones.")
    x, y, lat, lon, day, group = map(np.array, zip(*columns, strict=True))
    used = tuple(SATELLITE_CLASSES[k] for k in wanted)
    return Sites(x, y, lat, lon, day.astype(float), group, _names(scenes[0].bands), used)


def _squares(
    scenes: list[Scene], wanted: list[int], per_class: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, int]]:
    """(numbers [dates, 20], index into wanted) of random squares of one ground."""
    for index, kind in enumerate(wanted):
        share = sliding_window_view(scenes[0].labels == kind, (SIDE, SIDE)).mean((2, 3))
        rows, cols = np.nonzero(share >= PURE)
        for i in rng.permutation(len(rows))[:per_class]:
            square = np.s_[:, rows[i] : rows[i] + SIDE, cols[i] : cols[i] + SIDE]
            yield np.stack([_mean_and_spread(scene.pixels[square]) for scene in scenes]), index


def _mean_and_spread(pixels: np.ndarray) -> np.ndarray:
    """[bands, rows, cols] -> [2 bands] float32."""
    return np.concatenate([pixels.mean((1, 2)), pixels.std((1, 2))]).astype(np.float32)


def _names(bands: Sequence[str]) -> tuple[str, ...]:
    return (*(f"mean {b}" for b in bands), *(f"spread {b}" for b in bands))

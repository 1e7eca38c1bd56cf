"""Real places that the embedded backbone has not seen: what probes are fitted on, and what is asked (chapter 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from lulc_utils import data
from lulc_utils.scene import Scene, group_of

DUBAI = ("tile 3", "tile 5", "tile 7")
SIDE = 224  # pixels of a crop
METERS = 1000  # ground that is nearer than this is one place
DEGREE = 111_320  # meters per degree of latitude
NUMBERS, GAP = range(70, 86), 2  # of UC Merced; neighbors can come from one photograph, so two are left out between
ASKED = (range(80, 86), range(75, 81), range(70, 76))  # numbers to name, of three draws


class Fold(NamedTuple):
    """Labelled crops to fit on, and crops of other places to score on; the group of a crop is its place."""

    train: list[Scene]
    test: list[Scene]


class Task(NamedTuple):
    """One set of real images: its name and one or more folds."""

    name: str
    folds: list[Fold]

    @property
    def places(self) -> list[str]:
        """The places that are asked, fold by fold, in the order in which confusions are counted."""
        return [str(place) for fold in self.folds for place in np.unique([group_of(s) for s in fold.test])]


def corner_crops(scenes: Sequence[Scene], count: int = 4, side: int = SIDE) -> list[Scene]:
    """Up to four square crops of every scene from its corners; the first two are opposite ones."""
    crops = []
    for scene in scenes:
        bottom, right = scene.height - side, scene.width - side
        corners = ((0, 0), (bottom, right), (0, right), (bottom, 0))[:count]
        crops += [scene.crop(row, col, side, side) for row, col in corners]
    return crops


def in_places(scenes: Sequence[Scene], apart: float = METERS) -> list[Scene]:
    """Scenes of one group with the groups "eureka 1", "eureka 2", ...: places that lie `apart` meters or more apart."""
    west, south, east, north = np.array([scene.bounds_latlon() for scene in scenes]).T
    y = (south + north) / 2 * DEGREE
    x = (west + east) / 2 * DEGREE * np.cos(np.radians(y.mean() / DEGREE))
    place = fcluster(linkage(np.stack([x, y], 1), "single"), apart, "distance") if len(scenes) > 1 else [1]
    return [replace(s, group=f"{s.group} {n}") for s, n in zip(scenes, place, strict=True)]


def site_of(place: str) -> str:
    """The tile, city or settlement that a place lies in: "tile 3", "eureka" of "eureka 2"."""
    return place if place.startswith("tile") else place.rsplit(" ", 1)[0]


def dubai(every: int = 1, corners: int = 4) -> Task:
    """Five classes: tiles 1, 2, 4, 6 and 8 to fit on, 3, 5 and 7 to score on; `every`: 3 takes every third image."""
    crops = corner_crops(data.dubai()[::every], corners)
    return Task("Dubai", [Fold(*([c for c in crops if (c.group in DUBAI) == asked] for asked in (False, True)))])


def vegetation(every: int = 1) -> Task:
    """Vegetation or not: Chico, Claremont and Riverside to fit on; Eureka, Bishop and Long Beach to score on."""
    fit, score = (
        [[s.middle(SIDE) for s in data.urban_trees(city)[::every]] for city in cities]
        for cities in (data.CITIES_TO_FIT, data.CITIES_TO_SCORE)
    )
    return Task("vegetation", [Fold(sum(fit, []), sum(map(in_places, score), []))])


def buildings(every: int = 1) -> Task:
    """Building or not: fitted on Kampala and scored on Nairobi, and the reverse."""
    kampala, nairobi = ([s.middle(SIDE) for s in data.buildings(p)[::every]] for p in ("Kampala", "Nairobi"))
    return Task("buildings", [Fold(kampala, in_places(nairobi)), Fold(nairobi, in_places(kampala))])


def photographs(every: int = 1, draw: int = 0) -> Fold:
    """UC Merced: photographs of 21 kinds to compare with, and six of each kind to name; the group is the kind.

    draw   0, 1 or 2: which numbers are named; with six or eight numbers on the other side of the gap it is compared
    """
    asked = ASKED[draw]
    bank = [n for n in NUMBERS if n < asked.start - GAP or n >= asked.stop + GAP]
    return Fold(*([s.middle(SIDE) for s in data.uc_merced(numbers[::every])] for numbers in (bank, asked)))


def real_sets(every: int = 1) -> list[Task | Fold]:
    """Dubai, vegetation, buildings and, last, the photographs; DataUnavailable when files are missing."""
    return [dubai(every), vegetation(every), buildings(every), photographs(every)]

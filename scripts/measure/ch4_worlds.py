"""The data of the grid of chapter 4: a landscape in which date and place matter, US sites and EuroSAT.

A world is a function repeat -> (training rows, {domain: rows to score on}), and its number of classes.
"""

from __future__ import annotations

import functools
from functools import partial

import numpy as np

from lulc_utils.data import sites
from lulc_utils.data.sites import Sites

CLASSES = ("trees", "winter crop", "summer crop")
INSIDE = sites.Box("temperate plain, Europe", (44, 56), (-60, 0), (1, 365))
OUTSIDE = {
    "farther east": INSIDE._replace(lon=(0, 60)),
    "other hemisphere": sites.Box("southern pampas, South America", (-44, -32), (-60, 0), (1, 365)),
}
SUMMER = INSIDE._replace(day=(90, 270))  # April to September
WINTER = {"other season": INSIDE._replace(day=(271, 454))}
TRAIN_SCENES, TEST_SCENES = 400, 200
US_WORLDS = ("US, east held out", "US, winter held out")


@functools.lru_cache(16)
def simulated(repeat: int, outside: str = "place") -> tuple[Sites, dict[str, Sites]]:
    """New grounds in every repeat; outside is another place or, with "season", the other half of the year."""
    season = outside == "season"
    inside, others = (SUMMER, WINTER) if season else (INSIDE, OUTSIDE)
    first = 30_000 + 10_000 * repeat + 5000 * season
    tests = {
        name: sites.simulated(first + 1000 * (i + 1), TEST_SCENES, box, CLASSES, per_class=3)
        for i, (name, box) in enumerate({"inside": inside, **others}.items())
    }
    return sites.simulated(first, TRAIN_SCENES, inside, CLASSES), tests


@functools.lru_cache(16)
def us_sites(repeat: int, held: str) -> tuple[Sites, dict[str, Sites]]:
    """US sites, the same place never on both sides; outside are the "east" or the "winter"."""
    rows = sites.us_sites(progress=False)
    groups = np.unique(rows.group)
    away = np.isin(rows.group, np.random.default_rng(repeat).permutation(groups)[: len(groups) // 4])
    if held == "east":
        out = rows.lon > -112
        outside = out
    else:
        out = (rows.day < 90) | (rows.day > 274)
        outside = out & away
    return rows.rows(~out & ~away), {"inside": rows.rows(~out & away), "outside": rows.rows(outside)}


@functools.lru_cache(16)
def eurosat(repeat: int) -> tuple[Sites, dict[str, Sites]]:
    """Two thirds of EuroSAT's western half for training; inside is the rest of it, outside the eastern half."""
    rows = sites.eurosat(progress=False)
    west = rows.lon < np.median(rows.lon)
    rng, train = np.random.default_rng(repeat), np.zeros(len(west), bool)
    train[rng.permutation(np.flatnonzero(west))[: int(west.sum() * 2 / 3)]] = True
    return rows.rows(train), {"inside": rows.rows(west & ~train), "outside": rows.rows(~west)}


WORLDS = {
    "simulated": (simulated, len(CLASSES)),
    "season": (partial(simulated, outside="season"), len(CLASSES)),
    "US, east held out": (partial(us_sites, held="east"), len(sites.US_CLASSES)),
    "US, winter held out": (partial(us_sites, held="winter"), len(sites.US_CLASSES)),
    "EuroSAT": (eurosat, len(sites.EUROSAT_CLASSES)),
}

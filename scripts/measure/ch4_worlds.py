"""The simulated problem of chapter 4: fields seen twice, 60 days apart, and not told when.

`world(repeat)` draws new grounds: (rows to learn from, {domain: rows to score on}). The problem was chosen on the seeds
DESIGN, which are never reported, so that there is room for a method: `room` says how much, and a test of the package
holds the chapter to it. One date instead of two left less room on the other hemisphere (7 points instead of 9).
"""

from __future__ import annotations

import functools

from lulc_utils.data import sites
from lulc_utils.data.sites import Box, Sites

CLASSES = ("trees", "winter crop", "summer crop")
AGAIN = (60,)  # days after the first date
INSIDE = Box("temperate plain, Europe", (44, 56), (0, 30), (1, 365))
EAST, SOUTH = "farther east", "other hemisphere"
OUTSIDE = {
    EAST: INSIDE._replace(lon=(30, 60)),
    SOUTH: Box("southern pampas, South America", (-44, -32), (-65, -57), (1, 365)),
}
SUMMER = INSIDE._replace(day=(90, 212))  # both dates from April to September
WINTER = INSIDE._replace(day=(274, 396))  # both dates from October to March
TRAIN_SCENES, TEST_SCENES = 1400, 200
DESIGN = 1_000_000  # from here on, seeds are for choices only


@functools.cache
def world(repeat: int, kind: str = "place") -> tuple[Sites, dict[str, Sites]]:
    """The rows of one repeat; `kind` "season": only from April to September, and another season to score on."""
    season = kind == "season"
    inside, others = (SUMMER, {"another season": WINTER}) if season else (INSIDE, OUTSIDE)
    return drawn(30_000 + 10_000 * repeat + 5000 * season, inside, others)


def drawn(
    first: int, inside: Box, others: dict[str, Box], train: int = TRAIN_SCENES, test: int = TEST_SCENES
) -> tuple[Sites, dict[str, Sites]]:
    """`train` scenes to learn from and `test` of every domain, from seed `first` on."""
    tests = {
        name: sites.simulated(first + 2000 + 500 * i, test, box, CLASSES, per_class=3, again=AGAIN)
        for i, (name, box) in enumerate({"inside": inside, **others}.items())
    }
    return sites.simulated(first, train, inside, CLASSES, per_class=4, again=AGAIN), tests

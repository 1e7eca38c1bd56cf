"""The test bed of chapter 3: one hazy, cloudy date of a ground goes in; another date of it is the second view.

A single pixel of a single date does not know its class (about half of the score that a map could have), so that there
is something to be learned from its surroundings. `tests/package/contrastive/test_bed.py` holds the room that there is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lulc_utils.contrastive.stacks import simulated_dates

DESIGN = 900  # seeds from here on were used to design the bed; none below was
GROUNDS = 1_000_000  # number of the first ground of seed 0; no other part of the book draws these
CLOUDS = 0.2  # of an image, at most


class Bed(NamedTuple):
    """P grounds on D dates to learn from, T others on one date to be scored on.

    images [P, D, C, H, W], labels [P, H, W]; test_images [T, C, H, W], truth [T, H, W]
    """

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    truth: np.ndarray

    def every_date(self, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """All dates as images of their own [P D, C, H, W] with the labels of their ground: a class holds all year."""
        labels = self.labels if labels is None else labels
        return self.images.reshape(-1, *self.images.shape[2:]), np.repeat(labels, self.images.shape[1], 0)


def draw_bed(region: str, seed: int, grounds: int = 300, test: int = 40, dates: int = 2, size: int = 64) -> Bed:
    """The bed of a region and a seed, the same for the same arguments; other seeds have other grounds.

    ValueError for a region that does not exist or more than 10 000 grounds.
    """
    if grounds + test > 10_000:
        raise ValueError(f"A bed has at most 10 000 grounds, not {grounds} + {test}.")
    first = GROUNDS + 10_000 * seed
    train = simulated_dates(region, range(first, first + grounds), dates, size, clouds=CLOUDS)
    (other,) = simulated_dates(region, range(first + grounds, first + grounds + test), 1, size, clouds=CLOUDS)
    images = np.stack([np.stack([scene.pixels for scene in scenes]) for scenes in train], 1)
    labels, truth = (np.stack([scene.labels for scene in scenes]) for scenes in (train[0], other))
    return Bed(images, labels, np.stack([scene.pixels for scene in other]), truth)

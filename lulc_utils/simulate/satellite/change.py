"""Change whose truth is known: at the second date some rectangles of the ground are replaced by another ground."""

from __future__ import annotations

import datetime
from dataclasses import replace

import numpy as np

from lulc_utils.scene import Scene
from lulc_utils.simulate.satellite import satellite


def with_change(old: Scene, new: Scene, seed: int, pieces: int = 8) -> Scene:
    """The square scene `old` with `pieces` rectangles of `new`, a scene of the same size; about a tenth changes."""
    rng, size = np.random.default_rng(seed), old.height
    where = np.zeros((size, size), bool)
    for _ in range(pieces):
        height, width = rng.integers(size // 12, size // 5, 2)
        row, col = rng.integers(0, size - size // 5, 2)
        where[row : row + height, col : col + width] = True
    pixels, labels = (np.where(where, b, a) for a, b in ((old.pixels, new.pixels), (old.labels, new.labels)))
    return replace(old, pixels=pixels, labels=labels)


def satellite_with_change(seed: int, region: str, date: datetime.date | int, **options: object) -> Scene:
    """The ground of `satellite(seed, ...)` on a date, with rectangles of the ground of another seed in it."""
    old, new = (satellite(number, region, date, **options) for number in (seed, seed + 50))
    return with_change(old, new, seed)

"""Honest splits into training and test data: whole groups or blocks, never neighboring pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def split_groups(groups: Sequence[str], test_share: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(train, test) indices that keep every group (tile, region) whole; about `test_share` of them test.

    Both sides get at least one group; ValueError for fewer than two groups.
    """
    names = np.unique(np.asarray(groups))
    if len(names) < 2:
        raise ValueError("A spatial split needs at least two groups (tiles, regions).")
    count = _test_count(len(names), test_share)
    return leave_groups_out(groups, np.random.default_rng(seed).permutation(names)[:count])


def leave_groups_out(groups: Sequence[str], test: str | Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(train, test) indices with the named groups held out; ValueError names a group that is not there."""
    groups, test = np.asarray(groups), np.atleast_1d(np.asarray(test))
    missing = [str(t) for t in test if t not in groups]
    if missing:
        raise ValueError(f"There is no group {', '.join(missing)}; there are {', '.join(map(str, np.unique(groups)))}.")
    held = np.isin(groups, test)
    if held.all():
        raise ValueError("Every group is held out, so nothing is left to train on.")
    return np.flatnonzero(~held), np.flatnonzero(held)


def split_blocks(height: int, width: int, block: int, test_share: float = 0.3, seed: int = 0) -> np.ndarray:
    """[height, width] bool, True = test: whole blocks of block x block pixels, drawn at random.

    For one image without groups. Neighbors still meet along block edges: larger blocks are more honest.
    ValueError when the image holds a single block.
    """
    rows, cols = -(-height // block), -(-width // block)
    if rows * cols < 2:
        raise ValueError(f"One block of {block} pixels covers the image of {height} x {width}; take smaller blocks.")
    count = _test_count(rows * cols, test_share)
    in_test = np.zeros(rows * cols, bool)
    in_test[np.random.default_rng(seed).permutation(rows * cols)[:count]] = True
    mask = np.kron(in_test.reshape(rows, cols), np.ones((block, block), bool))
    return mask[:height, :width]


def split_pixels(height: int, width: int, test_share: float = 0.3, seed: int = 0) -> np.ndarray:
    """[height, width] bool, True = test: single pixels at random. FOR COMPARISON ONLY.

    Almost every test pixel has a training pixel of the same object next door, so scores are far too good.
    """
    return split_blocks(height, width, 1, test_share, seed)


def _test_count(n: int, share: float) -> int:
    """How many of n units test: about share, at least one, never all."""
    if not 0 < share < 1:
        raise ValueError(f"The test share must lie between 0 and 1, not {share}.")
    return min(max(round(share * n), 1), n - 1)

"""Splits: groups and blocks stay whole, and bad input is refused."""

import numpy as np
import pytest

from lulc_utils import evaluate


def test_split_groups_keeps_groups_whole():
    groups = [f"tile {i % 7}" for i in range(50)]
    train, test = evaluate.split_groups(groups, 0.3, seed=3)
    named = np.array(groups)
    assert not set(named[train]) & set(named[test])
    assert sorted([*train, *test]) == list(range(50)) and len(set(named[test])) == 2
    assert (evaluate.split_groups(groups, 0.3, seed=3)[1] == test).all()
    assert any((len(t) != len(test)) or (t != test).any() for _, t in [evaluate.split_groups(groups, 0.3, 4)])
    for share in (0.01, 0.99):  # both sides always get something
        assert all(len(side) for side in evaluate.split_groups(["a", "b"], share))
    with pytest.raises(ValueError, match="at least two groups"):
        evaluate.split_groups(["a", "a"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        evaluate.split_groups(groups, 1.0)


def test_leave_groups_out():
    train, test = evaluate.leave_groups_out(["a", "b", "a", "c"], "a")
    assert train.tolist() == [1, 3] and test.tolist() == [0, 2]
    assert evaluate.leave_groups_out(["a", "b", "a", "c"], ["b", "c"])[1].tolist() == [1, 3]
    with pytest.raises(ValueError, match="no group d; there are a, b"):
        evaluate.leave_groups_out(["a", "b"], ["a", "d"])
    with pytest.raises(ValueError, match="nothing is left"):
        evaluate.leave_groups_out(["a", "b"], ["a", "b"])


def test_split_blocks_are_whole_and_split_pixels_are_not():
    mask = evaluate.split_blocks(50, 70, 16, 0.25, seed=1)
    assert mask.shape == (50, 70) and mask.dtype == bool
    for r in range(0, 50, 16):
        for c in range(0, 70, 16):
            assert len(np.unique(mask[r : r + 16, c : c + 16])) == 1
    blocks = mask[::16, ::16]
    assert blocks.sum() == 5  # a quarter of 4 x 5
    naive = evaluate.split_pixels(50, 70, 0.25, seed=1)
    assert naive.sum() == 875 and (naive[:, 1:] != naive[:, :-1]).mean() > 0.3
    with pytest.raises(ValueError, match="smaller blocks"):
        evaluate.split_blocks(10, 10, 16)

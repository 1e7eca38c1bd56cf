"""Intervals in closed form, paired, over seeds and tiles, and by Student's t."""

import math

import numpy as np
import pytest

from lulc_utils import evaluate


def accuracies(values):
    return [np.array([[round(100 * v), 100 - round(100 * v)], [0, 0]]) for v in values]


def test_bootstrap_interval_is_that_of_the_mean_over_tiles(rng):
    values = rng.uniform(0.3, 0.9, 60).round(2)
    low, high = evaluate.bootstrap(accuracies(values), "accuracy", repeats=4000)
    error = values.std() / np.sqrt(60)  # closed form: normal approximation of the mean
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.006)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.006)
    narrow = evaluate.bootstrap(accuracies(values), "accuracy", level=0.5)
    assert low < narrow[0] < narrow[1] < high
    assert evaluate.bootstrap(accuracies(values)) == evaluate.bootstrap(accuracies(values))


def test_bootstrap_difference_is_paired(rng):
    values = rng.uniform(0.2, 0.8, 12).round(2)
    better = accuracies(values + 0.05)  # every tile is better by 5 points, though tiles differ by 60
    difference, low, high = evaluate.bootstrap_difference(better, accuracies(values), "accuracy")
    assert difference == pytest.approx(0.05) and low == pytest.approx(0.05) and high == pytest.approx(0.05)
    same = evaluate.bootstrap_difference(better, better, "miou")
    assert same == (0, 0, 0)


def test_bootstrap_refuses_one_tile_and_unknown_scores():
    with pytest.raises(ValueError, match="at least two tiles"):
        evaluate.bootstrap(accuracies([0.5]))
    with pytest.raises(ValueError, match="same tiles"):
        evaluate.bootstrap_difference(accuracies([0.5, 0.6]), accuracies([0.5, 0.6, 0.7]))
    with pytest.raises(ValueError, match="choose one of"):
        evaluate.bootstrap(accuracies([0.5, 0.6]), "iou")


def test_a_score_comes_with_the_interval_of_its_tiles(rng):
    tables = accuracies(rng.uniform(0.3, 0.9, 12).round(2))
    value, low, high = evaluate.with_interval(tables, "accuracy", seed=3, level=0.8)
    assert value == evaluate.scores(sum(tables))["accuracy"]
    assert (low, high) == evaluate.bootstrap(tables, "accuracy", seed=3, level=0.8)
    with pytest.raises(ValueError, match="choose one of"):
        evaluate.with_interval(tables, "kappa")


def test_over_seeds_draws_seeds_and_tiles():
    rng = np.random.default_rng(0)
    tables = rng.integers(1, 50, (3, 6, 2, 3))
    value, low, high = evaluate.over_seeds(tables)
    assert value == pytest.approx(np.mean([evaluate.scores(t.sum(0))["miou"] for t in tables]))
    assert low < value < high
    assert evaluate.over_seeds(tables, tables) == (0, 0, 0), "paired by seed and tile"
    same = np.repeat(tables[:1], 3, 0)  # seeds that agree: only the tiles differ
    assert evaluate.over_seeds(same)[1:] == pytest.approx(evaluate.bootstrap(tables[0], repeats=4000), abs=0.02)
    odd = tables.copy()
    odd[0] = [[1, 40, 0], [40, 1, 0]]  # one seed is much worse, in every tile
    assert evaluate.over_seeds(odd)[2] - evaluate.over_seeds(odd)[1] > high - low


def test_over_seeds_refuses_what_cannot_be_drawn():
    for shape in ((1, 4, 2, 3), (3, 1, 2, 3), (4, 2, 3)):
        with pytest.raises(ValueError, match="at least two of each"):
            evaluate.over_seeds(np.ones(shape))
    with pytest.raises(ValueError, match="at least two of each"):
        evaluate.over_seeds(np.ones((3, 4, 2, 3)), np.ones((3, 5, 2, 3)))


def test_mean_interval_by_hand():
    mean, low, high = evaluate.mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)  # Student's t with four degrees of freedom
    assert (mean, low, high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-6)
    value, *bounds = evaluate.mean_interval([0.5])
    assert value == 0.5 and all(map(math.isnan, bounds))

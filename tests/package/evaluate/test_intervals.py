"""Intervals in closed form, paired, over seeds and tiles, by Student's t; and how often they hold the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from lulc_utils import evaluate


def accuracies(values):
    return [np.array([[round(100 * v), 100 - round(100 * v)], [0, 0]]) for v in values]


def test_the_interval_of_a_score_that_is_a_mean_is_that_of_the_mean(rng):
    """The accuracy of tiles of one size is the mean of theirs, so the jackknife must agree with Student's t."""
    values = rng.uniform(0.3, 0.9, 7).round(2)
    assert evaluate.with_interval(accuracies(values), "accuracy") == pytest.approx(evaluate.mean_interval(values))
    narrow = evaluate.with_interval(accuracies(values), "accuracy", level=0.5)
    wide = evaluate.with_interval(accuracies(values), "accuracy")
    assert wide[1] < narrow[1] < narrow[0] == wide[0] < narrow[2] < wide[2]


def test_a_paired_interval_is_that_of_the_differences(rng):
    values = rng.uniform(0.2, 0.8, 12).round(2)
    better = accuracies(values + 0.05)  # every tile is better by 5 points, though tiles differ by 60
    assert evaluate.paired_interval(better, accuracies(values), "accuracy") == pytest.approx((0.05, 0.05, 0.05))
    other = rng.uniform(0.2, 0.8, 12).round(2)
    paired = evaluate.paired_interval(accuracies(values), accuracies(other), "accuracy")
    assert paired == pytest.approx(evaluate.mean_interval(values - other))
    assert evaluate.paired_interval(better, better, "miou") == (0, 0, 0)


def test_one_tile_and_unknown_scores_are_refused():
    with pytest.raises(ValueError, match="at least two tiles"):
        evaluate.with_interval(accuracies([0.5]))
    with pytest.raises(ValueError, match="same tiles"):
        evaluate.paired_interval(accuracies([0.5, 0.6]), accuracies([0.5, 0.6, 0.7]))
    with pytest.raises(ValueError, match="choose one of"):
        evaluate.with_interval(accuracies([0.5, 0.6]), "iou")


@pytest.mark.parametrize("tiles", [3, 5, 12])
def test_the_interval_of_miou_holds_the_miou_of_all_tiles(tiles):
    """A percentile bootstrap over so few tiles holds it 60 to 90 times in 100."""
    rng = np.random.default_rng(0)
    right = rng.uniform(0.4, 0.9, 400)  # some tiles are hard, some easy
    truth = rng.multinomial(1000, [0.5, 0.3, 0.2], 400)  # [400, 3] pixels of three classes
    hit = rng.binomial(truth, right[:, None])
    wrong = np.eye(3) * hit[:, None] + np.roll(np.eye(3), 1, 1) * (truth - hit)[:, :, None]
    whole, held = evaluate.scores(wrong.sum(0))["miou"], 0
    for _ in range(500):
        _, low, high = evaluate.with_interval(wrong[rng.choice(400, tiles, replace=False)])
        held += low <= whole <= high
    assert 0.9 < held / 500 < 0.99


def test_over_seeds_sees_seeds_and_tiles():
    rng = np.random.default_rng(0)
    tables = rng.integers(1, 50, (3, 6, 2, 3))
    value, low, high = evaluate.over_seeds(tables)
    assert value == pytest.approx(np.mean([evaluate.scores(t.sum(0))["miou"] for t in tables]))
    assert low < value < high
    assert evaluate.over_seeds(tables, tables) == pytest.approx((0, 0, 0)), "paired by seed and tile"
    same = np.repeat(tables[:1], 3, 0)  # seeds that agree: only the tiles differ
    assert evaluate.over_seeds(same) == pytest.approx(evaluate.with_interval(tables[0]))
    odd = tables.copy()
    odd[0] = [[1, 40, 0], [40, 1, 0]]  # one seed is much worse, in every tile
    assert evaluate.over_seeds(odd)[2] - evaluate.over_seeds(odd)[1] > high - low


@pytest.mark.parametrize("spread", [(1, 1, 1), (0, 1, 1), (1, 0, 1)])
def test_over_seeds_holds_the_mean_of_all_seeds_and_tiles(spread):
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        of_seed, of_tile, rest = (rng.normal(0, s, n) for s, n in zip(spread, (5, 8, (5, 8)), strict=True))
        values = 0.5 + 0.05 * (of_seed[:, None] + of_tile + rest)
        hits = (10_000 * values).round()
        tables = np.stack([np.stack([hits, 10_000 - hits], -1), np.zeros((5, 8, 2))], -2)  # [5, 8, 2, 2]
        _, low, high = evaluate.over_seeds(tables, score="accuracy")
        held += low <= 0.5 <= high
    assert 0.92 < held / 400 < 0.99


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


def test_many_differences_are_adjusted_together():
    rng = np.random.default_rng(0)
    values = {"large": rng.normal(2, 1, 8), "none": rng.normal(0, 1, 8), "some": rng.normal(1, 1, 8)}
    p = {name: stats.ttest_1samp(of, 0).pvalue for name, of in values.items()}
    adjusted = evaluate.holm(values)
    assert list(adjusted) == list(values)
    assert adjusted["large"] == pytest.approx(3 * p["large"]) and adjusted["none"] >= p["none"]
    assert adjusted["some"] == pytest.approx(max(2 * p["some"], adjusted["large"]))
    luck = [min(evaluate.holm({i: rng.normal(0, 1, 5) for i in range(20)}).values()) < 0.05 for _ in range(200)]
    assert np.mean(luck) < 0.1, "of 20 null differences, one looks real in 1 of 20 books, not in 2 of 3"

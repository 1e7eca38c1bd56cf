"""Change between two dates, on arrays whose answer is known."""

import datetime

import numpy as np
import pytest

from lulc_utils import simulate
from lulc_utils.evaluate import change, surveys
from lulc_utils.mapping import changes
from lulc_utils.scene import UNLABELLED, Scene
from lulc_utils.simulate.satellite.change import with_change


def test_otsu_separates_two_heaps():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 900), rng.normal(20, 1, 100)])
    threshold = change.otsu(values)
    assert (values[:900] < threshold).mean() > 0.995 and (values[900:] > threshold).all()


def test_score_by_hand():
    truth = np.array([[True, True, False, False]])
    changed = np.array([[True, False, True, False]])
    assert change.score(changed, truth) == (0.5, 0.5)


def test_differences_see_the_pixels_that_changed():
    before = Scene("a", np.zeros((2, 8, 8), np.float32) + np.eye(8, dtype=np.float32), ("x", "y"), "a test")
    pixels = before.pixels.copy()
    pixels[:, :4] += 5
    after = Scene("b", pixels, ("x", "y"), "a test")

    def model(pixels):
        p = (pixels[0] > 3).astype(np.float32)
        return np.stack([1 - p, p])

    bands = change.of_bands(before, after)
    soft, (first, second) = change.of_models(before, after, model, model)
    truth = np.zeros((8, 8), bool)
    truth[:4] = True
    np.testing.assert_allclose(bands, np.where(truth, np.sqrt(2) * 5 / before.pixels[0].std(), 0), rtol=1e-5)
    assert np.array_equal(soft, truth) and not first.any() and np.array_equal(second == 1, truth)


def test_patches_below_the_minimum_mapping_unit_go():
    changed = np.zeros((9, 9), bool)
    changed[0, 0] = changed[2:4, 2:4] = changed[4, 4] = True
    kept = change.sieve(changed, 5)
    assert kept.sum() == 5 and not kept[0, 0] and kept[4, 4], "corners connect"
    assert change.smooth(changed * 9.0, 3)[0, 0] > 1 > change.smooth(changed * 9.0, 3)[8, 8]


def test_precision_at_every_recall_by_hand():
    truth = np.array([True, False, True, False, False])
    values = np.array([5.0, 4, 3, 2, 1])
    np.testing.assert_allclose(change.precision(values, truth, [0.5, 0.6, 1]), [1, 2 / 3, 2 / 3])
    np.testing.assert_allclose(change.precision(truth * 0.0, truth, [0.5]), 0.4), "no values, no order"


def test_a_map_is_worth_the_places_it_saves():
    truth = np.zeros(10_000, bool)
    truth[:1000] = True
    rng = np.random.default_rng(0)
    nothing = rng.random(10_000) < 0.3
    assert change.efficiency(nothing, truth) == pytest.approx(1, abs=0.01)
    assert change.efficiency(truth, truth) == float("inf")
    half = truth & (rng.random(10_000) < 0.5)
    p = truth[~half].mean()
    assert change.efficiency(half, truth) == pytest.approx(0.09 / ((~half).mean() ** 2 * p * (1 - p)))


def test_a_survey_leaves_out_what_has_no_label_and_classes_of_one_pixel():
    mapped = np.repeat([0, 1], 200).reshape(20, 20).astype(np.uint8)
    truth = mapped.copy()
    truth[0, 0], mapped[5, 5] = UNLABELLED, 2
    sample, estimate = surveys.survey(mapped, truth, 100, 3, least=20)
    assert sample.sum() == 100 and sample[2].sum() == 0
    assert estimate.mapped.tolist() == [198, 200, 0]
    assert surveys.shares(mapped, truth, 100, 3)[0].tolist() == [199 / 399, 200 / 399, 0]


def test_a_perfect_map_keeps_every_promise():
    truth = np.repeat([0, 1], 200).reshape(20, 20).astype(np.uint8)
    kept = surveys.promise(truth, truth, 80, 2, draws=3)
    assert kept["intervals that hold"] == 1 and kept["error of counting"] == kept["error of the estimate"] == 0
    assert kept["classes of which the sample met no error"] == 1
    assert change.area(truth > 0, truth > 0, 90)[:2] == (200, 200)


def test_the_contest_knows_the_truth_and_measures_every_way():
    truth, ways = changes.place(1, changes.learn(), 64)["four dates a year"]
    assert 0.02 < truth.mean() < 0.25 and {answer.changed.shape for answer in ways.values()} == {(64, 64)}
    worth = changes.measures(truth, changes.Answer(truth, truth))
    assert worth["F1"] == 1 and worth["false change"] == 0 and set(worth["precision"]) == {1.0}
    stack = changes.seen(1, 2019, 64)
    alone = changes.seen(1, datetime.date(2019, *changes.DAYS[1]), 64)
    np.testing.assert_array_equal(stack.select(*(f"{band} 1" for band in alone.bands)), alone.pixels)


def test_change_replaces_about_a_tenth_and_nothing_else():
    day = datetime.date(2021, 6, 12)
    old, new = (simulate.satellite(s, "temperate plain, Europe", day, size=64, place=(50, 8)) for s in (1, 51))
    both = with_change(old, new, 1)
    moved = (both.pixels != old.pixels).any(0)
    assert 0.02 < moved.mean() < 0.25
    assert np.array_equal(both.pixels[:, moved], new.pixels[:, moved])
    assert np.array_equal(both.labels[~moved], old.labels[~moved])

"""Change between two dates, on arrays whose answer is known."""

import datetime

import numpy as np

from lulc_utils import simulate
from lulc_utils.evaluate import areas, change
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


def test_three_ways_see_the_pixels_that_changed():
    before = Scene("a", np.zeros((2, 8, 8), np.float32) + np.eye(8, dtype=np.float32), ("x", "y"), "a test")
    pixels = before.pixels.copy()
    pixels[:, :4] += 5
    after = Scene("b", pixels, ("x", "y"), "a test")

    def model(pixels):
        p = (pixels[0] > 3).astype(np.float32)
        return np.stack([1 - p, p])

    ways, (first, second) = change.three_ways(before, after, model, model)
    truth = np.zeros((8, 8), bool)
    truth[:4] = True
    assert set(ways) == {"post-classification", "difference of bands", "difference of probabilities"}
    assert all(np.array_equal(way, truth) for way in ways.values())
    assert not first.any() and np.array_equal(second == 1, truth)


def test_a_survey_leaves_out_what_has_no_label_and_classes_of_one_pixel():
    mapped = np.repeat([0, 1], 200).reshape(20, 20).astype(np.uint8)
    truth = mapped.copy()
    truth[0, 0], mapped[5, 5] = UNLABELLED, 2
    sample, estimate = areas.survey(mapped, truth, 100, 3, least=20)
    assert sample.sum() == 100 and sample[2].sum() == 0
    assert estimate.mapped.tolist() == [198, 200, 0]
    assert areas.shares(mapped, truth, 100, 3)[0].tolist() == [199 / 399, 200 / 399, 0]


def test_a_perfect_map_keeps_every_promise():
    truth = np.repeat([0, 1], 200).reshape(20, 20).astype(np.uint8)
    kept = areas.promise(truth, truth, 80, 2, draws=3)
    assert kept["intervals that hold"] == 1 and kept["error of counting"] == kept["error of the estimate"] == 0
    assert kept["classes of which the sample met no error"] == 1
    assert change.area(truth > 0, truth > 0, 90)[:2] == (200, 200)


def test_change_replaces_about_a_tenth_and_nothing_else():
    day = datetime.date(2021, 6, 12)
    old, new = (simulate.satellite(s, "temperate plain, Europe", day, size=64, place=(50, 8)) for s in (1, 51))
    both = with_change(old, new, 1)
    moved = (both.pixels != old.pixels).any(0)
    assert 0.02 < moved.mean() < 0.25
    assert np.array_equal(both.pixels[:, moved], new.pixels[:, moved])
    assert np.array_equal(both.labels[~moved], old.labels[~moved])

"""Areas from a sample: the worked example of the paper, closed forms, and intervals that hold what they promise."""

import numpy as np
import pytest

from lulc_utils.evaluate import areas, surveys
from lulc_utils.scene import UNLABELLED

# Olofsson et al. 2014, tables 8 and 9: deforestation, forest gain, stable forest, stable non-forest
SAMPLE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])


def test_the_worked_example_of_the_paper():
    result = areas.estimate(SAMPLE, PIXELS)
    assert round(result.area[0]) == 235_086  # pixels of deforestation; the map has 200 000
    assert round(1.96 * result.area_se[0]) == 68_418
    np.testing.assert_allclose(result.area * 900 / 10_000, [21_158, 11_686, 285_770, 581_386], atol=1)  # ha
    np.testing.assert_allclose(result.users, [0.88, 0.73, 0.93, 0.96], atol=0.005)
    np.testing.assert_allclose(1.96 * result.users_se, [0.07, 0.10, 0.04, 0.02], atol=0.005)
    np.testing.assert_allclose(result.producers, [0.75, 0.85, 0.93, 0.96], atol=0.005)
    assert round(1.96 * result.producers_se[0], 2) == 0.21
    assert round(result.overall, 2) == 0.95 and round(1.96 * result.overall_se, 2) == 0.02
    assert areas.sample_size(PIXELS, [0.7, 0.6, 0.9, 0.95], 0.01, optimal=True) == 641


@pytest.mark.parametrize("optimal", [False, True])
def test_the_number_of_samples_gives_the_error_that_was_asked_for(optimal):
    users = np.array([0.7, 0.6, 0.9, 0.95])
    weight, error = PIXELS / PIXELS.sum(), 0.01
    n = areas.sample_size(PIXELS, users, error, optimal=optimal)
    spread = np.sqrt(users * (1 - users))
    share = weight * spread / (weight @ spread) if optimal else weight
    variance = (weight**2 * spread**2 / (n * share)).sum()  # of the overall accuracy, n * share places per stratum
    assert abs(np.sqrt(variance) / error - 1) < 0.002


def test_neymans_allocation_needs_no_more_samples_and_the_same_when_all_classes_are_alike():
    assert areas.sample_size(PIXELS, [0.7, 0.6, 0.9, 0.95], 0.01) == 673
    assert areas.sample_size([1, 3], [0.8, 0.8], 0.02) == areas.sample_size([1, 3], [0.8, 0.8], 0.02, optimal=True)


def test_area_in_the_wrong_class_is_counted_once():
    assert areas.quantity_disagreement([60, 40], [50, 50]) == pytest.approx(0.1), "ten of a hundred, not twenty"
    assert areas.quantity_disagreement([100, 0, 0], [0, 50, 50]) == 1, "all of it, and never more"


def test_a_sample_without_errors_still_has_an_interval():
    sample = np.diag([20, 20, 60])
    low, high = areas.limits(sample, [200.0, 200, 600])
    width = 1.96 * np.sqrt(0.04 * q(20.5, 21) / 20 + 0.04 * q(0.5, 21) / 20 + 0.36 * q(0.5, 61) / 60) * 1000
    assert high[0] - 200 == pytest.approx(width, rel=1e-3) and 200 - low[0] == pytest.approx(width, rel=1e-3)
    low, high = areas.limits([[300, 0], [0, 50]], [999, 1])
    assert low.min() == 0 and high.max() == 1000, "an area is neither negative nor larger than the map"


def q(part, whole):
    return part / whole * (1 - part / whole)


def test_half_a_place_brings_intervals_of_a_rare_class_back_to_their_promise():
    rng = np.random.default_rng(3)
    truth = np.where(rng.random((200, 200)) < 0.004, 0, 1 + (rng.random((200, 200)) < 0.4)).astype(np.uint8)
    mapped = np.where(truth == 0, 1, truth).astype(np.uint8)  # the rare class is never on the map
    mapped[:2, :50] = 0
    kept = surveys.promise(mapped, truth, 150, 3, draws=100)
    assert kept["intervals that hold"] < 0.85 < 0.95 < kept["intervals that hold, half a place added"]
    assert kept["width"] < kept["width, half a place added"]


def test_a_map_without_errors_is_its_own_estimate():
    result = areas.estimate(np.diag([10, 20, 5]), [30.0, 60, 10])
    np.testing.assert_allclose(result.area, result.mapped)
    assert (result.area_se == 0).all() and (result.users == 1).all() and (result.producers == 1).all()
    assert result.overall == pytest.approx(1) and result.overall_se == 0


def test_two_classes_in_closed_form():
    result = areas.estimate([[8, 2], [5, 15]], [0.3, 0.7])
    wanted = 0.3 * 0.8 + 0.7 * 0.25
    variance = 0.09 * 0.8 * 0.2 / 9 + 0.49 * 0.25 * 0.75 / 19
    np.testing.assert_allclose(result.area, [wanted, 1 - wanted])
    np.testing.assert_allclose(result.area_se, np.sqrt(variance))
    np.testing.assert_allclose(result.producers[0], 0.24 / wanted)
    np.testing.assert_allclose(result.overall, 0.3 * 0.8 + 0.7 * 0.75)
    # the producer's accuracy is a ratio a / (a + b) of independent a and b: its variance by the delta method
    a, b, va, vb = 0.24, 0.175, 0.09 * 0.16 / 9, 0.49 * 0.1875 / 19
    np.testing.assert_allclose(result.producers_se[0], np.sqrt(b**2 * va + a**2 * vb) / (a + b) ** 2)


def test_the_unit_of_area_does_not_matter():
    single, ten = areas.estimate(SAMPLE, PIXELS), areas.estimate(SAMPLE, PIXELS * 10.0)
    np.testing.assert_allclose(ten.area_se, single.area_se * 10)
    np.testing.assert_allclose(ten.producers_se, single.producers_se)
    np.testing.assert_allclose(single.area.sum(), PIXELS.sum())


def test_a_class_that_is_not_on_the_map_still_has_an_area():
    result = areas.estimate([[9, 0, 1], [0, 20, 0], [0, 0, 0]], [40, 60, 0])
    assert result.area[2] == pytest.approx(4) and np.isnan(result.users[2]) and result.producers[2] == 0
    assert np.isnan(areas.estimate([[9, 0], [0, 0]], [40, 0]).producers[1])


@pytest.fixture(scope="module")
def population():
    """(map, reference): a rare class is missed half of the time, and claimed falsely in a few per cent."""
    rng = np.random.default_rng(1)
    reference = rng.choice(3, (300, 400), p=[0.1, 0.3, 0.6]).astype(np.uint8)
    wrong = rng.random(reference.shape) < np.array([0.5, 0.1, 0.05])[reference]
    return np.where(wrong, rng.integers(0, 3, reference.shape), reference).astype(np.uint8), reference


def test_the_estimate_is_unbiased_and_its_intervals_cover_the_truth(population):
    mapped, reference = population
    pixels, truth = np.bincount(mapped.ravel()), np.bincount(reference.ravel())
    hits = np.array([(reference[mapped == k] == k).mean() for k in range(3)])
    made = np.array([(mapped[reference == k] == k).mean() for k in range(3)])
    result, inside = [], []
    for seed in range(500):
        at = areas.draw(mapped, areas.allocate(pixels, 400), seed)
        e = areas.estimate(areas.table(mapped[at], reference[at], 3), pixels)
        result.append(e.area)
        checks = (e.area, e.area_se, truth), (e.users, e.users_se, hits), (e.producers, e.producers_se, made)
        low_high = [(areas.interval(value, se), t) for value, se, t in checks]
        inside.append([(low <= t) & (t <= high) for (low, high), t in low_high])
    error = np.mean(result, 0) - truth
    assert (abs(error) < 3 * np.std(result, 0) / np.sqrt(500)).all()
    share = np.mean(inside, 0)  # [3 kinds, 3 classes] of intervals that hold the truth
    assert 0.92 < share[0].min() and share.max() < 0.98
    assert share.min() > 0.88, "a normal interval is a little short for a share near 1 of few samples"
    assert abs(pixels[0] / truth[0] - 1) > 0.1, "counting pixels is off by more than a tenth here"


def test_samples_go_to_small_classes_first():
    np.testing.assert_array_equal(areas.allocate([1000, 20, 4000, 0], 500), [96, 20, 384, 0])
    np.testing.assert_array_equal(areas.allocate([100, 100, 100], 10, least=2), [4, 3, 3])
    np.testing.assert_array_equal(areas.allocate([1100, 200, 8000], 500), [54, 50, 396])
    assert areas.allocate(PIXELS, 640).sum() == 640
    with pytest.raises(ValueError, match="90 samples cannot give each of 2 classes at least 50"):
        areas.allocate([100, 100], 90)


def test_a_sample_lies_in_its_strata_and_no_place_is_drawn_twice(population):
    mapped = population[0].copy()
    mapped[:50] = UNLABELLED
    rows, cols = areas.draw(mapped, [20, 0, 30], seed=3)
    assert (mapped[rows, cols] == [0] * 20 + [2] * 30).all()
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == 50
    again, other = areas.draw(mapped, [20, 0, 30], seed=3), areas.draw(mapped, [20, 0, 30], seed=4)
    assert (again[0] == rows).all() and (other[0] != rows).any()
    with pytest.raises(ValueError, match="Class 0 has 1 pixels, too few for 2"):
        areas.draw(np.array([[0, 1]]), [2, 0])


def test_places_without_reference_are_left_out():
    result = areas.table([0, 1, 1, 2], [0, 0, UNLABELLED, 2], 3)
    np.testing.assert_array_equal(result, [[1, 0, 0], [1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    "mapped, reference, match",
    [
        ([0, 1, 2, 0], [0, 1, 3, 3], "reference says 3 at 2 of 4 places, which is none of the 3 classes 0 to 2"),
        ([0, 0, 2], [3, 1, 2], "reference says 3 at 1 of 3 places"),
        ([0, 1, 2], [0, -1, 2], "reference says -1"),
        ([0, 1, 2], [0.0, np.nan, 2.0], "reference says nan"),
        ([0, 1, 2], [0.0, 0.5, 2.0], "reference says 0.5"),
        ([0, 1, UNLABELLED], [0, 1, 2], "map says 255 at 1 of 3 places"),
        ([0, -1, 2], [0, 1, 2], "map says -1"),
        ([0, np.nan, 2], [0, 1, 2], "map says nan"),
        ([0, 1, 3], [0, 1, 2], "map says 3"),
        ([0, 256, 2], [0, 1, 2], "map says 256"),
        ([0, 1, 2], [0, 1], "not 3 and 2"),
    ],
)
def test_no_place_is_counted_as_another_class(mapped, reference, match):
    with pytest.raises(ValueError, match=match):
        areas.table(mapped, reference, 3)


def test_a_map_without_data_where_the_reference_has_none_either_is_left_out():
    np.testing.assert_array_equal(areas.table([0, 255, np.nan, 1], [0, 255, 255, 1], 2), np.eye(2))


def test_no_class_gets_more_samples_than_it_has_pixels():
    rng = np.random.default_rng(0)
    for _ in range(300):
        pixels = rng.integers(0, 60, rng.integers(1, 9))
        least, n = int(rng.integers(0, 60)), int(rng.integers(0, pixels.sum() + 1))
        if n < np.minimum(least, pixels).sum():
            continue
        samples = areas.allocate(pixels, n, least)
        assert (samples <= pixels).all() and samples.sum() == n, (pixels, least, n)
        assert (samples >= np.minimum(least, pixels)).all()
    with pytest.raises(ValueError, match="301 samples are more than the 300 pixels of the map"):
        areas.allocate([100, 0, 200], 301)


def test_an_estimate_can_be_in_hectares_that_differ_from_row_to_row(population):
    mapped, reference = population
    size = np.repeat(np.cos(np.radians(np.linspace(0, 60, len(mapped))))[:, None], mapped.shape[1], 1)
    sample, of = surveys.survey(mapped, reference, 400, 3, size=size)
    _, plain = surveys.survey(mapped, reference, 400, 3)
    np.testing.assert_allclose(of.mapped, [size[mapped == k].sum() for k in range(3)])
    np.testing.assert_allclose(of.area, areas.estimate(sample, of.mapped).area)
    np.testing.assert_array_equal(plain.mapped, np.bincount(mapped.ravel()))


@pytest.mark.parametrize(
    "sample, mapped, match",
    [
        ([[1, 0], [0, 5]], [1, 1], "Class 0 of the map has 1 sample; each needs at least 2"),
        ([[1, 3], [0, 5]], [1, 0], "A class that is not on the map has samples"),
        ([[1, 3, 0], [0, 5, 0]], [1, 1], r"\[K, K\] table of counts"),
        ([[5, -1], [0, 5]], [1, 1], r"\[K, K\] table of counts"),
    ],
)
def test_bad_input_is_refused(sample, mapped, match):
    with pytest.raises(ValueError, match=match):
        areas.estimate(sample, mapped)

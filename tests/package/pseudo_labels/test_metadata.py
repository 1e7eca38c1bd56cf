"""Encodings of place and date: known values, lengths, what is near stays near, and plain words for impossible input."""

import math

import numpy as np
import pytest
import torch

from lulc_utils.pseudo_labels import metadata
from lulc_utils.pseudo_labels.metadata import encode, nothing, scaled_place, season, sphere_fourier, unit_sphere

ALL = [scaled_place, unit_sphere, sphere_fourier, season, nothing]
NAN = float("nan")


def places(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-90, 90, n), rng.uniform(-180, 180, n), rng.uniform(1, 366, n)


def close(a, b, atol=1e-6):
    torch.testing.assert_close(a, torch.as_tensor(b, dtype=torch.float32), atol=atol, rtol=0)


def test_scaled_place_divides_by_the_largest_angle():
    close(scaled_place([45, -90], [90, -180], [1, 1]), [[0.5, 0.5], [-1, -1]])


def test_known_points_of_the_sphere():
    lat, lon = [0, 0, 90, -90, 45, 0], [0, 90, 17, 5, 180, -90]
    half = math.sqrt(0.5)
    close(
        unit_sphere(lat, lon, [1] * 6),
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1], [-half, 0, half], [0, -1, 0]],
    )


def test_sphere_has_length_one_and_its_cosine_is_the_angle_between_places():
    lat, lon, day = places()
    points = unit_sphere(lat, lon, day)
    close(points.norm(dim=1), np.ones(len(lat)))
    a, b = points[:100].double(), points[100:].double()
    f1, f2, d = np.deg2rad(lat[:100]), np.deg2rad(lat[100:]), np.deg2rad(lon[:100] - lon[100:])
    cosine = np.sin(f1) * np.sin(f2) + np.cos(f1) * np.cos(f2) * np.cos(d)  # spherical law of cosines
    close((a * b).sum(1).float(), cosine)


@pytest.mark.parametrize("encoding", [unit_sphere, sphere_fourier])
def test_no_seam_at_longitude_180_and_none_at_the_poles(encoding):
    lat = np.linspace(-80, 80, 9)
    ones = np.ones(9)
    close(encoding(lat, 180 * ones, ones), encoding(lat, -180 * ones, ones))
    close(encoding(lat, 179.999 * ones, ones), encoding(lat, -179.999 * ones, ones), atol=2e-3)
    close(encoding(90 * ones, lat, ones), encoding(90 * ones, ones, ones), atol=1e-5)


def test_scaled_place_does_have_the_seam():
    a, b = scaled_place([10], [180], [1]), scaled_place([10], [-180], [1])
    assert float((a - b).abs().max()) == 2


def test_fourier_features_in_closed_form():
    code = sphere_fourier([0], [60], [1], frequencies=2)[0]
    x, y = 0.5, math.sqrt(0.75)
    angles = [math.pi * x, math.pi * y, 0, 2 * math.pi * x, 2 * math.pi * y, 0]
    close(code, [x, y, 0, *map(math.sin, angles), *map(math.cos, angles)])


@pytest.mark.parametrize("frequencies", [1, 3, 6])
def test_fourier_width_and_what_a_higher_frequency_does(frequencies):
    lat, lon, day = places(50)
    code = sphere_fourier(lat, lon, day, frequencies)
    assert code.shape == (50, 3 + 6 * frequencies) and code.abs().max() <= 1
    moved = sphere_fourier(np.clip(lat + 0.01, -90, 90), lon, day, frequencies) - code
    k = frequencies
    sine, coarse = moved[:, 3 : 3 + 3 * k].view(50, k, 3), moved[:, 3:6]
    assert sine[:, -1].norm() > 0.5 * 2 ** (k - 1) * coarse.norm()


def test_frequencies_must_be_positive():
    with pytest.raises(ValueError, match="at least 1"):
        sphere_fourier([0], [0], [1], frequencies=0)


def test_season_in_closed_form_with_length_one():
    quarter = 365.25 / 4
    close(season([0] * 3, [0] * 3, [quarter, 2 * quarter, 3 * quarter]), [[1, 0], [0, -1], [-1, 0]])
    lat, lon, day = places()
    close(season(lat, lon, day).norm(dim=1), np.ones(len(day)))


def test_season_has_no_seam_at_new_year_and_half_a_year_is_opposite():
    one_day = 2 * math.sin(math.pi / 365.25)  # chord of one day
    codes = season([0] * 4, [0] * 4, [1, 2, 366, 365])
    close((codes[0] - codes[1]).norm(), one_day)
    assert (codes[0] - codes[2]).norm() < one_day  # 365 days are a quarter day less than a year
    assert (codes[0] - codes[3]).norm() < 2 * one_day
    close(season([0], [0], [10]), -season([0], [0], [10 + 365.25 / 2]))


def test_place_and_season_do_not_look_at_each_other():
    lat, lon, day = places(20)
    other = places(20, seed=1)
    assert torch.equal(season(lat, lon, day), season(*other[:2], day))
    for encoding in (scaled_place, unit_sphere, sphere_fourier):
        assert torch.equal(encoding(lat, lon, day), encoding(lat, lon, other[2]))


def test_nearby_is_the_place_in_units_of_a_region():
    code = metadata.nearby([10, 12, NAN], [30, 26, NAN], [1, NAN, 1], middle=(10, 30), scale=(2, 8))
    close(code[:2], torch.tensor([[0, 0], [1, -0.5]]))
    assert code[2].isnan().all()


def test_nothing_has_no_columns():
    assert nothing(*places(7)).shape == (7, 0)
    assert encode(*places(7), [nothing]).shape == encode(*places(7), []).shape == (7, 0)


def test_encode_joins_in_order_and_widths_agree():
    lat, lon, day = places(9)
    joined = encode(lat, lon, day, ALL)
    assert joined.dtype == torch.float32
    assert metadata.widths(ALL) == (2, 3, 27, 2, 0) and joined.shape == (9, 34)
    parts = joined.split(metadata.widths(ALL), 1)
    for part, encoding in zip(parts, ALL, strict=True):
        assert torch.equal(part, encoding(lat, lon, day))


def test_tensors_arrays_and_lists_are_the_same():
    lat, lon, day = places(5)
    expected = encode(lat, lon, day, [unit_sphere, season])
    assert torch.equal(encode(list(lat), list(lon), list(day), [unit_sphere, season]), expected)
    assert torch.equal(encode(*map(torch.as_tensor, (lat, lon, day)), [unit_sphere, season]), expected)


def test_an_unknown_date_is_nan_in_the_season_only():
    code = encode([10, 20], [30, 40], [NAN, 50], [unit_sphere, season])
    assert code.isnan().tolist() == [[False] * 3 + [True] * 2, [False] * 5]


def test_an_unknown_place_is_nan_in_the_place_only_whatever_its_numbers_are():
    known = [True, False, False]
    code = encode([10, 0, NAN], [30, 999, NAN], [1, 2, 3], [unit_sphere, season, sphere_fourier], known)
    assert code.isnan().all(1).tolist() == [False] * 3
    assert code[:, :3].isnan().all(1).tolist() == [False, True, True] == code[:, 5:].isnan().all(1).tolist()
    assert not code[:, 3:5].isnan().any() and not code[0].isnan().any()


def test_encode_leaves_the_callers_arrays_alone():
    lat, lon, day = places(3)
    before = lat.copy()
    encode(lat, lon, day, [unit_sphere], [False] * 3)
    assert np.array_equal(lat, before)


def test_unknown_is_all_nan():
    rows = metadata.unknown(4, [unit_sphere, season])
    assert rows.shape == (4, 5) and rows.isnan().all()


@pytest.mark.parametrize(
    "lat, lon, day, message",
    [
        ([0, 95], [0, 0], [1, 1], "Latitude 95 of row 1 lies outside -90..90.*swapped"),
        ([0], [200], [1], "Longitude 200 of row 0 lies outside -180..180"),
        ([0], [0], [0], "Day of the year 0 of row 0 lies outside 1..366; use NaN"),
        ([0], [0], [400], "Day of the year 400 of row 0"),
        ([0], [0], [float("inf")], "Day of the year inf"),
        ([0, NAN], [0, 0], [1, 1], "place of row 1 is not a number; set place_known"),
        ([0], [NAN], [1], "place of row 0 is not a number"),
        ([0, 1], [0], [1, 1], "must have the same length"),
        ([[0]], [[0]], [[1]], "must have the same length"),
        (0.0, 0.0, 1.0, "must have the same length"),
    ],
)
def test_impossible_metadata_is_refused(lat, lon, day, message):
    with pytest.raises(ValueError, match=message):
        encode(lat, lon, day, [unit_sphere, season])


@pytest.mark.parametrize("encoding", ALL)
def test_every_encoding_refuses_latitude_95_by_itself(encoding):
    with pytest.raises(ValueError, match="Latitude 95"):
        encoding([95], [0], [1])


def test_half_a_place_is_refused_even_where_places_may_be_unknown():
    with pytest.raises(ValueError, match="place of row 1"):
        encode([0, 0], [0, NAN], [1, 1], [unit_sphere], [False, True])
    with pytest.raises(ValueError, match="place of row 0"):
        unit_sphere([0], [NAN], [1])


def test_place_known_needs_one_value_for_each_image():
    with pytest.raises(ValueError, match="place_known has shape"):
        encode([0, 1], [0, 1], [1, 1], [unit_sphere], [True])

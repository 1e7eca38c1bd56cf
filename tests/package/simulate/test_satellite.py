"""Simulated satellite scenes: sound data, sensible land, fair difficulty."""

import datetime

import numpy as np
import pytest
from scipy import ndimage

from lulc_utils import evaluate, simulate
from lulc_utils.legends import Satellite
from lulc_utils.simulate.satellite import fields, seasons

PLAIN, COAST, SAVANNA, MIOMBO, PAMPAS, HUMID = simulate.REGIONS
CLASSES = len(simulate.SATELLITE_CLASSES)
WATER, TREES, GRASS, WINTER, SUMMER, BUILT, BARE, WETLAND = Satellite


@pytest.mark.parametrize("size", [16, 65, 128])
def test_scene_is_sound(size):
    for seed, region in enumerate(simulate.REGIONS):
        scene = simulate.satellite(seed, region, size=size)
        assert (
            scene.bands
            == simulate.GROUND_BANDS
            == ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
        )
        assert scene.pixels.shape == (10, size, size) and scene.pixels.dtype == np.float32
        assert scene.pixels.flags.c_contiguous and scene.labels.flags.c_contiguous
        assert scene.labels.shape == (size, size) and scene.labels.dtype == np.uint8 and scene.labels.max() < CLASSES
        assert scene.simulated and region in scene.source and simulate.region_of(scene) == region
        assert (scene.transform.a, scene.transform.e) == (10, -10)
        west, south, east, north = scene.bounds_latlon()
        lat, lon = simulate.REGIONS[region].latitudes, simulate.REGIONS[region].longitudes
        assert lat[0] - 0.05 < south < north < lat[1] + 0.05 and lon[0] - 0.05 < west < east < lon[1] + 0.05
        assert scene.crs.to_epsg() == (32600 if south > 0 else 32700) + int((west + 180) // 6) + 1


def test_regions_lie_on_three_continents_and_both_hemispheres():
    regions = simulate.REGIONS.values()
    assert len({r.continent for r in regions}) == 3 and {np.sign(r.latitudes[0]) for r in regions} == {-1, 1}
    for region in regions:
        assert len(region.mix) == CLASSES and sum(region.mix) == pytest.approx(1, abs=0.02)
        assert sum(region.soils.values()) == pytest.approx(1) and sum(region.roofs.values()) == pytest.approx(1)
    assert len({c.color for c in simulate.SATELLITE_CLASSES}) == CLASSES


def test_same_arguments_same_scene_and_golden_means():
    first = simulate.satellite(7, PAMPAS, 40)
    np.random.seed(0)  # noqa: NPY002  global state must not matter
    simulate.satellite(8, PAMPAS, 40)
    again = simulate.satellite_year(7, PAMPAS, dates=[200, datetime.date(2020, 2, 9)])[1]
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.labels, again.labels)
    assert (first.name, first.date, first.transform) == (again.name, again.date, again.transform)
    assert not np.array_equal(first.labels, simulate.satellite(8, PAMPAS, 40).labels)
    assert not np.array_equal(first.labels, simulate.satellite(7, HUMID, 40).labels)
    assert first.pixels.mean((1, 2)) == pytest.approx(
        [0.0575, 0.1019, 0.0697, 0.1326, 0.3061, 0.3580, 0.3820, 0.3769, 0.2402, 0.1483], abs=2e-3
    )
    assert np.bincount(first.labels.ravel(), minlength=8) / 128**2 == pytest.approx(
        [0.0193, 0.0005, 0.1014, 0.0787, 0.3928, 0.2439, 0.1632, 0.0002], abs=0.005
    )


def test_a_year_shows_one_ground_in_many_seasons():
    year = simulate.satellite_year(2, COAST, size=64)
    assert len(year) == 12 and len({s.date.month for s in year}) == 12 and len({s.name for s in year}) == 12
    assert all(np.array_equal(s.labels, year[0].labels) and s.group == year[0].group for s in year)
    assert np.abs(year[3].pixels - year[8].pixels).mean() > 0.02
    assert np.array_equal(year[4].pixels, simulate.satellite(2, COAST, year[4].date, size=64).pixels)


def test_drawn_dates_lie_in_the_region_s_season():
    for region in (PLAIN, PAMPAS):
        dates = {simulate.satellite(s, region, size=16).date for s in range(30)}
        first, last = simulate.REGIONS[region].season
        latitude = np.mean(simulate.REGIONS[region].latitudes)
        days = [seasons.season_day(d.timetuple().tm_yday, latitude) for d in dates]
        assert first - 2 <= min(days) and max(days) <= last + 2 and len(dates) > 20
        assert len({d.year for d in dates}) > 3


def test_region_of_other_scenes():
    with pytest.raises(ValueError, match="not drawn by simulate.satellite"):
        simulate.region_of(simulate.aerial(0, 64))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"seed": -1}, "not be negative"), ({"region": "Atlantis"}, f"there are: {PLAIN}; "),
        ({"size": 15}, "at least 16"),
        ({"date": 0}, "1..366"), ({"date": 367}, "1..366"), ({"clouds": 1.1}, "clouds must lie in 0..1"),
        ({"haze": -0.1}, "haze must lie in 0..1"), ({"place": (80, 0)}, "latitude in -60..70"),
        ({"clouds": float("nan")}, "clouds must"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(arguments, words):
    with pytest.raises(ValueError, match=words) as error:
        simulate.satellite(**({"seed": 0} | arguments))
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_a_year_of_no_dates_is_refused():
    with pytest.raises(ValueError, match="1 to 366 dates, not 0"):
        simulate.satellite_year(0, dates=0)


def mean_field(region, seeds=range(6)):
    """Mean area of a crop field in hectares, on grounds of 2.56 km."""
    areas = []
    for seed in seeds:
        ground = fields.draw_ground(np.random.default_rng(seed), simulate.REGIONS[region], 256)
        pixels = np.bincount(ground.unit.ravel(), minlength=len(ground.kind))
        areas.append(pixels[np.isin(ground.kind, (WINTER, SUMMER))] / 100)
    return np.concatenate(areas).mean()


def test_fields_have_the_size_of_their_region():
    size = {r: mean_field(r) for r in simulate.REGIONS}
    assert size[PAMPAS] > 3 * size[PLAIN] > 5 * size[SAVANNA]
    assert size[SAVANNA] < 0.6 and size[PAMPAS] > 5  # hectares, parts of fields at the edge of the scene included


def test_parcels_cover_everything_once_and_are_cut_to_size():
    y, x = np.mgrid[:90, :120].astype(np.float32)
    parcel, count = fields.cut_parcels(np.random.default_rng(0), x, y, 15.0)
    assert sorted(set(parcel.ravel())) == list(range(count)) and count > 40
    for box in ndimage.find_objects(parcel + 1):
        sides = [s.stop - s.start for s in box]
        assert (parcel[box] == parcel[box][0, 0]).all() and max(sides) < 15 * np.exp(0.35 * 3.5)
    whole, number = fields.cut_parcels(np.random.default_rng(0), x, y, 1e4)
    assert number == 1 and not whole.any()


def test_class_mixes_follow_the_region():
    shares = {}
    for region in (HUMID, PAMPAS):
        scenes = [simulate.satellite(s, region, size=64) for s in range(40)]
        shares[region] = np.bincount(np.concatenate([s.labels.ravel() for s in scenes]), minlength=8) / (40 * 64**2)
        assert shares[region] == pytest.approx(np.array(simulate.REGIONS[region].mix), abs=0.07)
    assert shares[HUMID][TREES] > 3 * shares[PAMPAS][TREES] and shares[PAMPAS][SUMMER] > 2 * shares[HUMID][SUMMER]


def surroundings(pixels):
    """A pixel with mean and deviation of the 5 x 5 and 15 x 15 pixels around it, [50, H, W]."""
    columns = [pixels]
    for side in (5, 15):
        mean = ndimage.uniform_filter(pixels, (0, side, side))
        square = ndimage.uniform_filter(pixels**2, (0, side, side))
        columns += [mean, np.sqrt(np.maximum(square - mean**2, 0))]
    return np.concatenate(columns)


def samples(region, seeds, count):
    """(features [N, 50] of which the first ten are the pixel, labels [N]) of random pixels of 80 x 80 scenes."""
    rng, features, labels = np.random.default_rng(0), [], []
    for seed in seeds:
        scene = simulate.satellite(seed, region, size=80)
        chosen = rng.choice(80 * 80, count, replace=False)
        features.append(surroundings(scene.pixels).reshape(50, -1).T[chosen])
        labels.append(scene.labels.ravel()[chosen])
    return np.concatenate(features), np.concatenate(labels)


def test_pixels_alone_do_not_solve_it_and_less_so_elsewhere():
    regions = (PLAIN, SAVANNA, PAMPAS, HUMID)
    train = {r: samples(r, range(30), 120) for r in regions}
    test = {r: samples(r, range(1000, 1016), 300) for r in regions}

    def score(where, at, width):
        model = evaluate.linear_probe(train[where][0][:, :width], train[where][1])
        labels = evaluate.predict(model, test[at][0][:, :width])
        return evaluate.scores(evaluate.confusion(test[at][1], labels, CLASSES))["miou"]

    pixel = np.array([[score(a, b, 10) for b in regions] for a in regions])
    around = np.array([score(a, a, 50) for a in regions])
    at_home, abroad = np.diag(pixel), pixel[~np.eye(4, dtype=bool)]
    assert 0.42 < at_home.min() and at_home.max() < 0.66 and 0.45 < at_home.mean() < 0.6
    assert abroad.mean() < at_home.mean() - 0.05
    assert around.mean() > at_home.mean() + 0.015
    everything_one_class = max(np.bincount(y).max() / len(y) for _, y in test.values())
    assert everything_one_class < 0.55 and WETLAND < CLASSES

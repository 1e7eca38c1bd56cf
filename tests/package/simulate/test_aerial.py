"""Simulated aerial scenes: the same for the same seed, sound as data, sensible as land and light."""

import datetime

import numpy as np
import pytest

from lulc_utils import simulate
from lulc_utils.legends import Aerial
from lulc_utils.simulate import layout, light
from lulc_utils.simulate.aerial import camera, objects

CLASSES = len(simulate.AERIAL_CLASSES)


def test_same_seed_same_scene_whatever_was_drawn_before():
    first = simulate.aerial(3, 200)
    np.random.seed(0)  # noqa: NPY002  global state must not matter
    simulate.aerial(4, 100)
    again = simulate.aerial_scenes([5, 3], 200)[1]
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.labels, again.labels)
    assert (first.transform, first.crs, first.date) == (again.transform, again.crs, again.date)
    assert not np.array_equal(first.pixels, simulate.aerial(6, 200).pixels)


def test_golden_means():
    scene = simulate.aerial(12, 256)
    assert scene.pixels.mean((1, 2)) == pytest.approx([60.66, 77.27, 58.80], abs=0.5)
    shares = np.bincount(scene.labels.ravel(), minlength=CLASSES) / 256**2
    assert shares == pytest.approx([0.1057, 0.1339, 0.2905, 0.0953, 0.0405, 0.0402, 0.2939], abs=0.002)


@pytest.mark.parametrize("size", [64, 101, 331])
def test_any_size_gives_a_complete_scene(size):
    for seed in range(4):
        scene = simulate.aerial(seed, size)
        assert scene.pixels.shape == (3, size, size) and scene.pixels.dtype == np.uint8
        assert scene.labels.shape == (size, size) and scene.labels.dtype == np.uint8
        assert scene.labels.max() < CLASSES  # so none is UNLABELLED


def test_says_what_it_is():
    scene = simulate.aerial(3, 64)
    assert (scene.name, scene.group, scene.source) == ("simulated 0003", "simulated 0003", "simulated aerial, seed 3")
    assert scene.simulated and scene.bands == ("red", "green", "blue")
    assert scene.class_names == ("building", "road", "water", "bare", "tree", "crop", "grass")
    assert len({c.color for c in scene.classes}) == CLASSES


def test_lies_in_a_utm_zone_on_land():
    zones = set()
    for seed in range(12):
        scene = simulate.aerial(seed, 64)
        west, south, east, north = scene.bounds_latlon()
        zones.add(scene.crs.to_epsg())
        assert scene.crs.is_projected and scene.crs.to_epsg() // 100 == (326 if south > 0 else 327)
        assert (scene.transform.a, scene.transform.e) == (0.5, -0.5)
        assert -180 < west < east < 180 and -60 < south < north < 72
        assert scene.crs.to_epsg() % 100 == int((west + 180) // 6) + 1  # the zone that this longitude belongs to
    assert len(zones) > 4


@pytest.mark.parametrize(("seed", "size", "words"), [(-1, 512, "negative"), (0, 63, "at least 64 x 64")])
def test_bad_input_gets_one_sentence(seed, size, words):
    with pytest.raises(ValueError, match=words) as error:
        simulate.aerial(seed, size)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_no_crown_hides_road_roof_crop_or_water(monkeypatch):
    with_trees = simulate.aerial(1, 400).labels
    monkeypatch.setattr(objects, "plant_all", lambda land, crowns: None)
    without = simulate.aerial(1, 400).labels
    changed = with_trees != without
    assert changed.sum() > 1000 and (with_trees[changed] == Aerial.TREE).all()
    assert np.isin(without[changed], (Aerial.BARE, Aerial.GRASS)).all()


def test_roads_end_on_roads_or_outside():
    whole = layout.Cell(-500, 500, -400, 400)
    _, roads = layout.cut(np.random.default_rng(0), whole, 150, 8, "street")
    assert len(roads) > 20
    for road in roads:
        for end in (road.start, road.end):
            meets = any(r.across != road.across and r.at == end and r.start <= road.at <= r.end for r in roads)
            assert meets or end in whole


def test_grid_and_image_coordinates_are_inverse():
    grid = layout.draw_grid(np.random.default_rng(5), 512)
    u, v = np.random.default_rng(0).uniform(-300, 300, (2, 50))
    back = layout.to_grid(grid, *layout.to_image(grid, u, v))
    assert np.allclose(back, (u, v), atol=0.1)


def test_shadow_of_a_mast_has_the_length_and_side_that_the_sun_gives():
    top = np.zeros((101, 101), np.float32)
    top[50, 50] = 10.0
    shadow = camera.cast_shadow(top, elevation=np.radians(45), azimuth=np.radians(180))  # sun in the south
    rows, cols = np.nonzero(shadow > 0.5)
    assert set(cols) == {50} and rows.max() == 49
    assert abs((50 - rows.min()) * camera.AERIAL_PIXEL - 10) <= 1  # 45 degrees: as long as the mast is high


def test_shading_of_a_slope_follows_the_cosine_law():
    relief = np.tile(np.arange(20, dtype=np.float32) * camera.AERIAL_PIXEL, (20, 1))  # rises by 45 degrees to the east
    for azimuth, expected in ((270, np.cos(np.radians(15))), (90, np.cos(np.radians(75)))):
        lit = camera.shading(relief, np.radians(60), np.radians(azimuth))[10, 10]
        assert np.isclose(lit * np.sin(np.radians(60)), expected, atol=1e-4)


def test_sun_stands_where_almanacs_say():
    date = datetime.date(2021, 3, 21)  # equinox: at noon 90 degrees minus the latitude, due south or north
    assert np.allclose(np.degrees(light.sun_position(50, date, 12)), (40, 180), atol=1)
    assert np.allclose(np.degrees(light.sun_position(-30, date, 12)), (60, 0), atol=1)
    assert 90 < np.degrees(light.sun_position(50, date, 9)[1]) < 180  # in the morning: south-east

"""Sensor and atmosphere: mixed pixels, haze, clouds and their shadows, light on hills."""

import numpy as np
import pytest
from scipy import ndimage

from lulc_utils import simulate
from lulc_utils.simulate.satellite import atmosphere, cover, fields, seasons

PLAIN, COAST, SAVANNA, MIOMBO, PAMPAS, HUMID = simulate.REGIONS
B02, B03, B04, B05, B06, B07, B08, B8A, B11, B12 = range(10)


def test_border_pixels_are_mixtures_of_their_neighbors():
    ground = np.zeros((10, 24, 24), np.float32)
    ground[:, :, 11:] = 0.4
    ground[:, 5:9, 3:6] = 0.3
    seen = atmosphere.sense(ground)
    low, high = (f(ground, (1, 7, 7)) for f in (ndimage.minimum_filter, ndimage.maximum_filter))
    assert (seen >= low - 1e-6).all() and (seen <= high + 1e-6).all()
    assert 0 < seen[B04, 15, 10] < seen[B04, 15, 11] < 0.4  # 10 m band: a border one pixel to either side
    assert seen[B04, 15, 8] == 0 and seen[B04, 15, 13] == pytest.approx(0.4)
    for band in (B05, B06, B07, B8A, B11, B12):  # 20 m bands: blocks of two by two
        blocks = seen[band].reshape(12, 2, 12, 2)
        assert np.ptp(blocks, (1, 3)).max() == 0
    assert 0.1 < seen[B11, 15, 10] < 0.3
    assert seen.mean() == pytest.approx(ground.mean(), abs=1e-3)


def test_wheat_beside_soil_is_mixed_in_a_scene_before_noise():
    region = simulate.REGIONS[PLAIN]
    ground = fields.draw_ground(np.random.default_rng(1), region, 64)
    now = seasons.weather(region.climate, 51, 10, 140)
    pure = cover.reflectance(ground, region, now, 35.0)
    seen = atmosphere.sense(pure)
    low, high = (f(pure, (1, 7, 7)) for f in (ndimage.minimum_filter, ndimage.maximum_filter))
    assert ((seen >= low - 1e-6) & (seen <= high + 1e-6)).all()
    assert seen.std() < pure.std()


def test_haze_raises_blue_most():
    clear, hazy = (simulate.satellite(4, PLAIN, 200, haze=h).pixels for h in (0, 0.5))
    change = (hazy - clear).mean((1, 2))
    assert change.argmax() == B02 and change[B02] > 0.03 and (np.diff(change[[B02, B03, B04, B11]]) < 0).all()
    assert np.ptp(hazy[B04]) < np.ptp(clear[B04])  # and takes contrast


def test_clouds_brighten_and_cast_shadows_away_from_the_sun():
    clear, cloudy = (simulate.satellite(5, PLAIN, 172, clouds=c).pixels for c in (0, 0.2))
    change = cloudy - clear
    white = cloudy[B02] > 0.35
    assert 0.1 < white.mean() < 0.3 and change[:, white].mean() > 0.25
    shade = (change[B08] < -0.05) & ~white
    assert 0.03 < shade.mean() < 0.3
    lost = -change[:, shade].mean(1) / clear[:, shade].mean(1)
    assert lost[B02] < lost[B08]  # the blue sky lights shadows
    sun = (np.radians(45), np.radians(180))  # in the south: shadows fall north, to smaller rows
    flat = np.full((10, 100, 100), 0.3, np.float32)
    seen = atmosphere.add_clouds(np.random.default_rng(0), flat, 0.1, sun)
    white, dark = seen[B08] > 0.32, seen[B08] < 0.28
    best = max(range(0, 100), key=lambda r: (np.roll(white, -r, 0) & dark).sum() / max(dark.sum(), 1))
    assert 25 < best < 95 and (np.roll(white, -best, 0) & dark).sum() > 0.7 * dark.sum()
    assert simulate.satellite(5, clouds=1.0, size=32).pixels[B02].min() > 0.4


def test_reflectance_stays_in_range_whatever_the_weather():
    for seed, region in enumerate(simulate.REGIONS):
        for haze, clouds in ((0, 0), (1, 0.5)):
            pixels = simulate.satellite(seed, region, 15, size=48, haze=haze, clouds=clouds, place=(65, 3)).pixels
            assert np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1
            assert 0.005 < pixels.mean() < 0.7


def test_slopes_facing_the_sun_are_brighter():
    hill = np.tile(np.linspace(2, -2, 64, dtype=np.float32)[:, None], (1, 64))  # high in the north, facing south
    south = atmosphere.hillshade(hill, 1.0, (np.radians(40), np.pi))
    assert south.mean() > 1.01 and atmosphere.hillshade(hill, 1.0, (np.radians(40), 0.0)).mean() < 0.99
    assert atmosphere.hillshade(np.zeros((64, 64)), 1.0, (1.0, 2.0)) == pytest.approx(1)

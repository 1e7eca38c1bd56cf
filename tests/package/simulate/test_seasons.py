"""Seasons on both hemispheres: when each crop is green, and that everything moves smoothly with place and day."""

from functools import cache

import numpy as np
import pytest

from lulc_utils import simulate
from lulc_utils.legends import Satellite
from lulc_utils.simulate.satellite import seasons

PLAIN, COAST, SAVANNA, MIOMBO, PAMPAS, HUMID = simulate.REGIONS
WINTER, SUMMER = Satellite.WINTER_CROP, Satellite.SUMMER_CROP


@cache
def peaks(region, dates=range(8, 366, 15), seeds=range(5)):
    """{class: day of the year with the highest sum of its NDVI} for either kind of crop."""
    sums = {label: np.zeros((len(seeds), len(dates))) for label in (WINTER, SUMMER)}
    for n, seed in enumerate(seeds):
        for i, scene in enumerate(simulate.satellite_year(seed, region, dates=dates, size=64)):
            green = simulate.ndvi(scene.pixels)
            for label, of in sums.items():
                of[n, i] = green[scene.labels == label].sum()
    return {label: dates[int(of.sum(0).argmax())] for label, of in sums.items()}


@pytest.mark.parametrize(
    "region, label, first, last",
    [
        (PLAIN, WINTER, 120, 180), (PLAIN, SUMMER, 190, 260), (COAST, WINTER, 70, 125), (COAST, SUMMER, 165, 230),
        (SAVANNA, SUMMER, 215, 275), (SAVANNA, WINTER, 1, 70), (MIOMBO, SUMMER, 15, 80), (MIOMBO, WINTER, 190, 260),
        (PAMPAS, WINTER, 255, 320), (PAMPAS, SUMMER, 8, 85), (HUMID, SUMMER, 1, 60), (HUMID, WINTER, 190, 260),
    ],
)  # fmt: skip
def test_ndvi_peaks_in_the_right_season_on_both_hemispheres(region, label, first, last):
    assert first <= peaks(region)[label] <= last


def test_the_same_green_field_means_another_crop_in_another_season_or_hemisphere():
    def winter_share(region, day):
        scenes = [simulate.satellite(s, region, day, size=64) for s in range(8)]
        green = np.concatenate([s.labels[simulate.ndvi(s.pixels) > 0.75] for s in scenes])
        return (green == WINTER).sum() / np.isin(green, (WINTER, SUMMER)).sum()

    assert winter_share(PLAIN, 125) > 0.85 and winter_share(PLAIN, 225) < 0.2
    assert winter_share(PAMPAS, 35) < 0.3 and winter_share(PAMPAS, 275) > 0.85


def test_phenology_is_continuous_in_place_and_day_and_later_poleward():
    climate = simulate.REGIONS[PLAIN].climate
    for latitude in np.arange(-59.0, 69, 0.5):
        a = seasons.weather(climate, latitude, 10.0, 130)
        for b in (
            seasons.weather(climate, latitude + 0.01, 10.0, 130),
            seasons.weather(climate, latitude, 10.05, 130),
            seasons.weather(climate, latitude, 10.0, 130.1),
        ):
            turn = abs((b.day - a.day + 180) % seasons.DAYS_PER_YEAR - 180)
            assert max(turn, abs(b.delay - a.delay)) < 0.6
            assert abs(b.warmth - a.warmth) < 0.2 and abs(b.moisture - a.moisture) < 0.01
    assert seasons.season_day(130, 50) == 130 and seasons.season_day(130, -50) == pytest.approx(130 + 182.625)
    crop = simulate.REGIONS[PLAIN].winter[0]
    days = np.arange(0, 365.25, 0.25)
    leaves = seasons.crop_growth(crop, days).leaves
    assert np.abs(np.diff(leaves, append=leaves[0])).max() < 0.05 and leaves.max() > 0.99 and leaves.min() == 0
    assert seasons.weather(climate, 54, 10, 130).delay - seasons.weather(climate, 48, 10, 130).delay > 15


def test_moving_a_ground_north_delays_it_and_keeps_it():
    south, north = (simulate.satellite(3, PLAIN, 110, place=(lat, 10.0)) for lat in (46.0, 56.0))
    assert np.array_equal(south.labels, north.labels)
    wheat = south.labels == WINTER
    assert wheat.any() and simulate.ndvi(south.pixels)[wheat].mean() > simulate.ndvi(north.pixels)[wheat].mean() + 0.1
    west, low, _, _ = north.bounds_latlon()
    assert (round(west, 1), round(low, 1)) == (10.0, 56.0)

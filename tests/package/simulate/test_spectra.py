"""Spectra: red edge, leaves, water and soil, the table of PROSAIL, and medians of classes in scenes."""

import numpy as np
import pytest
from scipy import ndimage

from lulc_utils import simulate
from lulc_utils.legends import Satellite
from lulc_utils.simulate.satellite import spectra
from lulc_utils.simulate.satellite.spectra import Canopy

WATER, TREES, GRASS, WINTER, SUMMER, BUILT, BARE, WETLAND = Satellite
B02, B03, B04, B05, B06, B07, B08, B8A, B11, B12 = range(10)


def plants(lai, chlorophyll=42.0, brown=0.05, water=0.012, steep=0.6, soil="loam", sun=40.0):
    """Spectra [U, 10] of canopies over one dry soil."""
    traits = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(t, float)) for t in (lai, chlorophyll, brown, water, steep))
    )
    return spectra.vegetation(Canopy(*traits), np.tile(np.float32(spectra.SOILS[soil]), (len(traits[0]), 1)), sun)


def test_red_edge_in_green_canopies_and_not_in_soil_or_dead_leaves():
    green = plants([2, 4, 6])
    assert (green[:, B07] > 4 * green[:, B05] - 0.1).all() and (green[:, B08] > 6 * green[:, B04]).all()
    assert (np.diff(green[:, B04 : B07 + 1], axis=1) > 0.02).all()
    assert (green[:, B03] > green[:, B02]).all() and (green[:, B03] > green[:, B04]).all()  # leaves look green
    soils = spectra.table_of(spectra.SOILS)
    assert (soils[:, B08] < 2.2 * soils[:, B04]).all() and (np.diff(soils[:, :B11], axis=1) > 0).all()
    dead = plants(3, chlorophyll=4, brown=1.2, water=0.003)[0]
    assert dead[B07] / dead[B05] < 2 < green[0, B07] / green[0, B05]


def test_more_leaves_more_ndvi_less_swir_and_without_leaves_the_ground():
    mixed = plants([0, 0.3, 1, 2, 4, 7])
    assert mixed[0] == pytest.approx(np.float32(spectra.SOILS["loam"]), abs=1e-6)
    assert (np.diff(simulate.ndvi(mixed.T)) > 0).all()
    assert (np.diff(mixed[:, B12]) < 0).all()
    assert (plants(3, water=0.02)[0] < plants(3, water=0.005)[0])[[B11, B12]].all()  # water in leaves absorbs
    assert plants(3, chlorophyll=60)[0, B05] < plants(3, chlorophyll=15)[0, B05]  # chlorophyll moves the red edge


def test_table_has_the_documented_grid_and_interpolation_returns_its_entries():
    cube, axes = spectra._canopy_table()
    assert cube.shape == (*(len(a) for a in axes.values()), 3, 10) and np.isfinite(cube).all()
    assert cube.min() >= 0 and cube[..., 2, :].max() < 1
    at = (1, 1, 4, 2, 1, 1)
    sun, angle, *traits = (a[i] for a, i in zip(axes.values(), at, strict=True))
    above, through, back = cube[at]
    soil = np.float32(spectra.SOILS["red"])
    steep = (angle - axes["leaf_angle"][0]) / np.ptp(axes["leaf_angle"])
    assert plants(*traits, steep, "red", sun)[0] == pytest.approx(above + through * soil / (1 - back * soil), abs=1e-5)
    between = plants(*traits, steep, "red", sun + 5)[0], plants(*traits, steep, "red", sun + 25)[0]
    assert not np.allclose(*between, atol=1e-3)  # the height of the sun matters


def test_a_known_canopy_of_prosail():
    """Full PROSAIL run (PROSPECT-D, 4SAIL; LAI 3.4, 45 ug/cm2, spherical-like 58 degrees, sun 45) over soil 0.1."""
    gray = np.full((1, 10), 0.1, np.float32)
    canopy = Canopy(*(np.array([v]) for v in (3.4, 45.0, 0.0, 0.010, 1.0)))
    golden = [0.0202, 0.0516, 0.0141, 0.0711, 0.3157, 0.4139, 0.4140, 0.4136, 0.2133, 0.0905]
    assert spectra.vegetation(canopy, gray, 45.0)[0] == pytest.approx(golden, abs=2e-3)


def test_water_is_darkest_in_the_infrared_and_wet_soil_darker_than_dry():
    waters = spectra.table_of(spectra.WATERS)
    others = np.concatenate([spectra.table_of(t) for t in (spectra.SOILS, spectra.MATERIALS)])
    assert waters[:, B08:].max() < 0.06 < others[:, B08:].min()
    assert (waters[:, B12] < waters[:, [B02, B03]].min(1)).all()
    soils = spectra.table_of(spectra.SOILS)
    damp = spectra.wet(soils, np.full(len(soils), 0.7))
    assert (damp < soils).all() and ((damp / soils)[:, B12] < (damp / soils)[:, B08]).all()


@pytest.mark.parametrize("region", simulate.REGIONS)
def test_class_spectra_of_scenes(region):
    """Medians over pixels away from borders: water darkest in the infrared, trees darker than fields, red edge."""
    pixels = {k: [] for k in Satellite}
    for seed in range(10):
        for scene in simulate.satellite_year(seed, region, dates=4, size=96):
            inner = ndimage.minimum_filter(scene.labels, 5) == ndimage.maximum_filter(scene.labels, 5)
            for k in pixels:
                pixels[k].append(scene.pixels[:, inner & (scene.labels == k)])
    median = {k: np.median(np.concatenate(v, 1), 1) for k, v in pixels.items() if sum(x.shape[1] for x in v) > 200}
    assert {WATER, TREES, GRASS, SUMMER} <= set(median)
    for k, values in median.items():
        assert k == WATER or (values[[B8A, B11, B12]] > median[WATER][[B8A, B11, B12]]).all(), k
    assert median[TREES][B04] < median[GRASS][B04] and median[TREES][B11] < median[GRASS][B11]
    assert median[TREES][B07] > 2.5 * median[TREES][B05]
    for k in {BARE, BUILT} & set(median):
        assert median[k][B07] < 2.2 * median[k][B05]

"""Rows with place and date: simulated squares, US sites and EuroSAT."""

import os

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils import data, simulate
from lulc_utils.data import sites

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
BOX = sites.Box("temperate plain, Europe", (44, 56), (-60, 0), (90, 270))
CLASSES = ("trees", "winter crop", "summer crop")


def test_simulated_rows_come_from_the_box_and_are_the_same_twice():
    found = sites.simulated(40_000, 6, BOX, CLASSES)
    again = sites.simulated(40_000, 6, BOX, CLASSES)
    for a, b in zip(found[:6], again[:6], strict=True):
        np.testing.assert_array_equal(a, b)
    assert found.x.shape == (len(found.y), 20) and found.x.dtype == np.float32
    assert len(found.names) == 20 and [c.name for c in found.classes] == list(CLASSES)
    assert set(found.y) <= {0, 1, 2}
    for values, (low, high) in ((found.lat, BOX.lat), (found.lon, BOX.lon), (found.day, BOX.day)):
        assert low <= values.min() <= values.max() <= high
    assert len(np.unique(found.group)) <= 6
    part = sites.simulated(40_002, 2, BOX, CLASSES)  # a scene does not depend on its neighbours
    np.testing.assert_array_equal(part.x, found.x[np.isin(found.group, part.group)])


def test_a_row_is_the_mean_and_spread_of_a_square_of_its_class():
    found = sites.simulated(40_000, 1, BOX, CLASSES, per_class=1)
    scene = simulate.satellite(40_000, BOX.region, int(found.day[0]), size=48, place=(found.lat[0], found.lon[0]))
    for x, y in zip(found.x, found.y, strict=True):
        kind, hits = scene.class_names.index(CLASSES[y]), 0
        for row in range(48 - sites.SIDE + 1):
            for col in range(48 - sites.SIDE + 1):
                square = np.s_[..., row : row + sites.SIDE, col : col + sites.SIDE]
                if np.allclose(scene.pixels[square].mean((1, 2)), x[:10], atol=1e-6):
                    hits += 1
                    np.testing.assert_allclose(scene.pixels[square].std((1, 2)), x[10:], atol=1e-5)
                    assert (scene.labels[square] == kind).mean() >= sites.PURE
        assert hits == 1


def test_days_beyond_the_year_are_those_of_the_next():
    found = sites.simulated(40_000, 8, BOX._replace(day=(271, 454)), CLASSES)
    assert found.day.min() >= 1 and found.day.max() <= 365
    assert ((found.day >= 271) | (found.day <= 89)).all()


def test_simulated_classes_must_exist_and_be_found():
    with pytest.raises(ValueError, match="no simulated class 'rice'"):
        sites.simulated(0, 1, BOX, ("rice",))
    with pytest.raises(ValueError, match="None of the scenes"):
        sites.simulated(0, 0, BOX, CLASSES)


def test_rows_chooses_everywhere():
    found = sites.simulated(40_000, 4, BOX, CLASSES)
    part = found.rows(found.y == 1)
    assert (part.y == 1).all() and len(part.x) == len(part.group) == (found.y == 1).sum()
    assert part.classes == found.classes


@pytest.fixture
def us_folder(tmp_path):
    """Two places; their rows share a month, and some months are missing, flooded, snowy or cloudy."""
    series = np.zeros((3, 3, 18))
    series[..., 0], series[..., 2] = -12, 1000  # VV in dB, blue
    series[..., 13] = 290  # temperature must not come through
    series[0, :, 5] = 100, 200, 300
    series[1, :, 5] = 200, 300, 400  # the same place a month later
    series[2, :, 2] = 9500, 1000, 1000  # a cloud
    kinds = np.array([[1, 2, 5], [2, 5, 0], [1, 9, 7]], np.uint8)
    months = np.array([[0, 1, 2], [1, 2, 3], [4, 5, 11]])
    places = np.array([[40.0, -120.0], [40.0, -120.0], [35.0, -100.0]])
    for name, values in zip(
        ("s1_s2_era5_srtm", "dynamic_world", "month", "latlon"), (series, kinds, months, places), strict=True
    ):
        np.save(tmp_path / f"{name}.npy", values)
    return tmp_path


def test_us_sites_takes_every_month_of_a_place_once_and_drops_what_is_no_land_cover(us_folder):
    found = sites.read_us_sites(us_folder)
    assert [found.classes[k].name for k in found.y] == ["trees", "grass", "shrub", "bare"]
    assert found.day.tolist() == [15, 46, 75, 350]
    assert found.lat.tolist() == [40, 40, 40, 35] and found.lon.tolist() == [-120, -120, -120, -100]
    assert found.x.shape == (4, 13) == (4, len(found.names))
    np.testing.assert_allclose(found.x[:, 0], -12)  # radar as it is, reflectance as a share
    np.testing.assert_allclose(found.x[:, 5], [0.01, 0.02, 0.03, 0], atol=1e-7)
    assert found.group[0] == found.group[2] != found.group[3]


def eurosat_files(folder, names):
    for i, name in enumerate(names):
        (folder / name).mkdir()
        path, pixels = folder / name / f"{name}_1.tif", np.full((13, 4, 4), 100 * (i + 1), np.uint16)
        pixels[0, :, :2] += 100
        where = {"crs": CRS.from_epsg(32633), "transform": from_origin(500_000 - 20, 5_000_000 + 20, 10, 10)}
        with rasterio.open(path, "w", driver="GTiff", width=4, height=4, count=13, dtype="uint16", **where) as file:
            file.write(pixels)
        yield path


def test_eurosat_is_mean_and_spread_at_the_middle_of_the_patch(tmp_path):
    names = "AnnualCrop Forest HerbaceousVegetation Highway Industrial Pasture PermanentCrop Residential River SeaLake"
    found = sites.read_eurosat(list(eurosat_files(tmp_path, names.split())))
    assert found.x.shape == (10, 26) and found.y.tolist() == list(range(10))
    np.testing.assert_allclose(found.x[0, [0, 1, 13, 14]], [0.015, 0.01, 0.005, 0], atol=1e-6)
    np.testing.assert_allclose(found.lon, 15, atol=1e-4)  # the central meridian of the zone
    np.testing.assert_allclose(found.lat, 45.15, atol=0.01)
    assert np.isnan(found.day).all()


def test_eurosat_needs_all_ten_folders(tmp_path):
    with pytest.raises(ValueError, match="not 2"):
        sites.read_eurosat(list(eurosat_files(tmp_path, ["Forest", "River"])))


def test_data_asks_for_the_files_it_needs_and_no_others(us_folder, monkeypatch):
    asked = {}

    def fetch(name, files=None, progress=True):
        asked[name] = files
        return us_folder

    monkeypatch.setattr(sites, "fetch", fetch)
    monkeypatch.setattr(sites, "US_FOLDER", ".")
    assert len(data.us_sites(progress=False).y) == 4
    assert len(asked["us-sites"]) == 4 and not any("algae" in f for f in asked["us-sites"])


@pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")
def test_the_real_files(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    us = data.us_sites(progress=False)
    assert us.x.shape == (4194, 13) and len(set(us.group)) == 153 and np.isfinite(us.x).all()
    assert 28 < us.lat.min() < us.lat.max() < 49 and -124 < us.lon.min() < us.lon.max() < -82
    found = data.eurosat(progress=False)
    assert found.x.shape == (100, 26) and np.bincount(found.y).tolist() == [10] * 10
    assert 35 < found.lat.min() < found.lat.max() < 59 and -8 < found.lon.min() < found.lon.max() < 33

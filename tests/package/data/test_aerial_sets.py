"""Photographs from the air: kinds of scenes, vegetation, buildings."""

import os
from collections import Counter

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils import data, ladder
from lulc_utils.data import aerial
from lulc_utils.scene import Scene

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
with_mirror = pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")
UTM, DEGREES = CRS.from_epsg(32611), CRS.from_epsg(4326)


def write(path, pixels, driver="GTiff", **where):
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver=driver, count=count, height=height, width=width, dtype=pixels.dtype, **where
    ) as file:
        file.write(pixels)
    return path


def test_numbers_that_are_not_for_scoring_are_refused():
    for number in (0, 69, 86, 99):
        with pytest.raises(ValueError, match=f"the numbers 70 to 85 here, not {number}: those below are for training"):
            data.uc_merced([70, number])
    with pytest.raises(ValueError, match="no image of 'palm_springs' in 2020; there are chico, claremont, riverside, "):
        data.urban_trees(["chico", "palm_springs"])
    with pytest.raises(ValueError, match="no image of 'chico' in 2016"):
        data.urban_trees("chico", 2016)
    with pytest.raises(ValueError, match="buildings of Kampala and Nairobi, not of 'Dubai'"):
        data.buildings("Dubai")


def test_only_the_files_asked_for_are_fetched(monkeypatch, tmp_path):
    asked = []

    def fetch(name, files, progress):
        asked.extend(files)
        return tmp_path

    monkeypatch.setattr(aerial, "fetch", fetch)
    monkeypatch.setattr(aerial, "read_rgb", lambda path: np.zeros((3, 2, 2), np.uint8))
    scenes = data.uc_merced([71, 71, 84])
    assert len(asked) == len(scenes) == 42 and [s.name for s in scenes[20:22]] == ["tennis court 71", "agricultural 84"]
    assert asked[2] == "UCMerced_LandUse/Images/baseballdiamond/baseballdiamond71.tif"
    asked.clear()
    monkeypatch.setattr(aerial, "naip_scene", lambda path: path.stem)
    assert data.urban_trees(["riverside"], 2018) == ["riverside_2018_1", "riverside_2018_10", "riverside_2018_19"]
    assert len(asked) == 3


def test_a_reader_sees_the_names_of_cities_and_not_of_files():
    shown = {"long_beach": "Long Beach", "riverside 1": "Riverside 1", "eureka 2 2020": "Eureka 2 2020"}
    assert {place: data.place_title(place) for place in shown} == shown
    for other in ("tile 3 (seen)", "Kampala", "all", "8 unseen", "bishopric"):
        assert data.place_title(other) == other
    of = {"mine": {"long_beach": 0.5, "tile 3": 0.25}, "rival": {"long_beach": 0.25, "tile 3": 0.25}}
    rows = ladder.gain_rows(of, {"rival": (0.1, 0.0, 0.2)}, "mine")
    assert [*rows["above rival"]] == ["Long Beach", "tile 3", "all"]


def test_vegetation_is_what_the_infrared_says_and_the_infrared_stays_outside(tmp_path):
    pixels = np.zeros((4, 2, 2), np.uint8)
    pixels[0], pixels[3] = [[40, 41], [0, 200]], [[60, 60], [0, 255]]  # NDVI 0.2, 0.19, none, 0.12
    where = {"crs": UTM, "transform": from_origin(400_000, 3_700_000, 0.6, 0.6)}
    scene = aerial.naip_scene(write(tmp_path / "long_beach_2018_7.tif", pixels, **where))
    assert scene.labels.tolist() == [[1, 0], [0, 0]] and scene.class_names == ("other", "vegetation")
    assert scene.bands == data.RGB and np.array_equal(scene.pixels, pixels[:3])
    assert scene.name == "Long Beach 7 2018" and scene.group == "long_beach" and "Long Beach 7" in scene.source
    assert data.ground_resolution(scene) == pytest.approx(0.6)


@pytest.mark.parametrize("high", [1, 255])
def test_masks_of_both_kinds_read_the_same_and_bring_their_place(tmp_path, high):
    mask = np.array([[[0, high, 0], [high, 0, 0]]], np.uint8)
    where = {"crs": DEGREES, "transform": from_origin(36.0, -1.0, 360 / 2**28, 360 / 2**28)}  # zoom 20: 256 in a tile
    write(tmp_path / "mask.tif", mask, **where)
    image = write(tmp_path / "OAM-5-6-20.png", np.full((3, 2, 3), 9, np.uint8), "PNG")
    scene = aerial.building_scene(image, tmp_path / "mask.tif", "Nairobi")
    assert scene.labels.tolist() == [[0, 1, 0], [1, 0, 0]] and scene.class_names == ("other", "building")
    assert scene.name == "Nairobi 20/5/6" and scene.group == "Nairobi" and scene.pixels.shape == (3, 2, 3)
    assert data.ground_resolution(scene) == pytest.approx(156_543.034 / 2**20 * np.cos(np.radians(1)), rel=1e-4)


def test_the_ground_shrinks_toward_the_pole_and_is_unknown_without_a_place():
    pixels = np.zeros((1, 2, 2), np.uint8)
    for lat, meters in ((0, 111_319.5), (60, 55_659.7)):
        place = Scene("a", pixels, ("x",), "s", transform=from_origin(10, lat + 0.001, 0.001, 0.001), crs=DEGREES)
        assert data.ground_resolution(place) == pytest.approx(meters / 1000, rel=1e-4)
    with pytest.raises(ValueError, match="'a' has no coordinate reference system"):
        data.ground_resolution(Scene("a", pixels, ("x",), "s"))


@with_mirror
@pytest.mark.filterwarnings("error")
def test_uc_merced_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    scenes = data.uc_merced(progress=False)
    assert Counter(s.group for s in scenes) == dict.fromkeys(data.UC_MERCED_KINDS, 16)
    assert len({s.name for s in scenes}) == 336 and scenes[0].pixels.dtype == np.uint8
    assert {s.name: s.pixels.shape[1:] for s in scenes if s.pixels.shape != (3, 256, 256)} == {
        "overpass 70": (247, 247), "overpass 71": (247, 247), "airplane 76": (256, 253), "river 83": (249, 256),
    }  # fmt: skip


@with_mirror
def test_urban_trees_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    scenes = data.urban_trees(progress=False)
    count = {"chico": 16, "claremont": 16, "riverside": 16, "eureka": 21, "bishop": 10, "long_beach": 24}
    assert Counter(s.group for s in scenes) == count and set(count) == {*data.CITIES_TO_FIT, *data.CITIES_TO_SCORE}
    share = {city: np.mean([s.labels.mean() for s in scenes if s.group == city]) for city in count}
    assert list(share.values()) == pytest.approx([0.336, 0.227, 0.220, 0.390, 0.411, 0.228], abs=1e-3)
    assert {s.crs.to_epsg() for s in scenes} == {26910, 26911} and {s.pixels.shape for s in scenes} == {(3, 256, 256)}
    assert all(data.ground_resolution(s) == pytest.approx(0.6) for s in scenes)
    today = {s.name: s.transform for s in scenes}
    for year in (2016, 2018):
        before = data.urban_trees(["riverside", "long_beach"], year, progress=False)
        assert Counter(s.group for s in before) == {"riverside": 3, "long_beach": 3}
        for s in before:
            assert s.transform.almost_equals(today[s.name.replace(str(year), "2020")]), "the same ground"


@with_mirror
@pytest.mark.filterwarnings("error")
def test_buildings_really_load(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    for place, zooms, share in (
        ("Kampala", {"19": 6, "20": 24, "21": 88}, 0.233),
        ("Nairobi", {"19": 21, "20": 79}, 0.293),
    ):
        scenes = data.buildings(place, progress=False)
        assert Counter(s.name.split()[1].split("/")[0] for s in scenes) == zooms
        assert np.mean([s.labels.mean() for s in scenes]) == pytest.approx(share, abs=1e-3)
        assert {s.pixels.shape for s in scenes} == {(3, 256, 256)} and {s.group for s in scenes} == {place}
        for s in scenes:
            zoom = int(s.name.split()[1].split("/")[0])
            assert data.ground_resolution(s) == pytest.approx(156_543.034 / 2**zoom, rel=1e-3)

"""Crop or not: tables, and the places of some of their rows."""

import os

import numpy as np
import pytest

from lulc_utils import data
from lulc_utils.data import crops

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")


@pytest.fixture
def table(tmp_path):
    (tmp_path / "table.txt").write_text("# Class blue_S1 slope\n1.0 0.1 4.0\n0.0 0.2 5.5\n1.0 0.3 6.0\n")
    (tmp_path / "places.txt").write_text("3.1e+06 -3.9e+05\n3.1e+06 -3.01e+05\n3.2e+06 1.0e+04\n")
    return tmp_path


def test_rows_have_a_block_of_a_hundred_kilometers_where_places_are_known(table):
    fields = crops.read_crops("eastern", table / "table.txt", table / "places.txt")
    assert fields.names == ("blue_S1", "slope") and fields.x.dtype == np.float32
    np.testing.assert_allclose(fields.x, [[0.1, 4], [0.2, 5.5], [0.3, 6]], rtol=1e-6)
    assert [fields.classes[k].name for k in fields.y] == ["crop", "other", "crop"]
    assert fields.easting.tolist() == [3.1e6, 3.1e6, 3.2e6] and fields.northing[2] == 1e4
    assert fields.group.tolist() == ["eastern 31 -4", "eastern 31 -4", "eastern 32 0"]
    assert fields.rows(fields.y == 0).group.tolist() == ["eastern 31 -4"] and len(fields.rows([0, 2]).x) == 2


def test_rows_without_places_share_their_region(table):
    fields = crops.read_crops("sahel", table / "table.txt")
    assert np.isnan(fields.easting).all() and np.isnan(fields.northing).all() and set(fields.group) == {"sahel"}


def test_places_and_rows_must_be_as_many(table):
    (table / "places.txt").write_text("1 2\n")
    with pytest.raises(ValueError, match="has 3 rows but places.txt has 1 places"):
        crops.read_crops("eastern", table / "table.txt", table / "places.txt")
    with pytest.raises(ValueError, match="crops of central, eastern, .* not of 'north'"):
        data.africa_crops("north")


@pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")
def test_africa_crops_really_load(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    regions = {region: data.africa_crops(region, progress=False) for region in data.CROP_REGIONS}
    assert {region: len(fields.y) for region, fields in regions.items()} == {
        "central": 3509, "eastern": 4444, "indian_ocean": 1777, "northern": 3447, "sahel": 6153, "south_eastern": 4177,
        "southern": 4445, "western": 2113,
    }  # fmt: skip
    y = np.concatenate([fields.y for fields in regions.values()])
    assert len(y) == 30_065 and y.mean() == pytest.approx(0.41, abs=0.005)
    names = regions["sahel"].names
    assert len(names) == 33 and [n[:-3] for n in names[:16]] == [n[:-3] for n in names[16:32]] and names[32] == "slope"
    for region, fields in regions.items():
        assert fields.x.shape == (len(fields.y), 33) and np.isfinite(fields.x).all() and fields.names == names
        placed = region in data.CROP_COORDINATES
        assert np.isfinite(fields.easting).all() == np.isfinite(fields.northing).all() == placed
        assert (len(set(fields.group)) > 200) == placed

"""The readings of buildings that the model card compares (scripts/measure/ch1_buildings.py)."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils.scene import LandCover, Scene

ROOT = Path(__file__).resolve().parents[2]
KINDS = (LandCover("ground", "#aaaaaa"), LandCover("building", "#000000"))


@pytest.fixture
def buildings(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts" / "measure")
    return importlib.import_module("ch1_buildings")


def test_fine_tiles_are_averaged_and_coarse_left_as_they_are(buildings):
    pixels = np.zeros((3, 256, 256), np.uint8)
    pixels[:, ::2] = 100  # every second row
    labels = np.zeros((256, 256), np.uint8)
    labels[:, :16] = 1
    for meters, side in ((0.15, 112), (0.3, 224)):
        where = {"transform": from_origin(500_000, 0, meters, meters), "crs": CRS.from_epsg(32636)}
        tile = Scene("a", pixels, ("red", "green", "blue"), "drawn", labels=labels, classes=KINDS, **where)
        brought, truth = buildings.brought(tile, 0.3)
        assert brought.shape == (1, 3, side, side) and brought.max() == (50 if side == 112 else 100)
        assert truth.shape == (side // 8,) * 2 and truth.sum() == truth[:, : 16 * side // 224 // 8].size


def test_standardizing_by_place_keeps_tiles_apart(buildings):
    tiles = [(np.full((2, 2, 3), value, np.float32), np.zeros((2, 2))) for value in (1.0, 3.0)]
    low, high = (x for x, _ in buildings.standardized(tiles))
    assert np.allclose(low, -1, atol=1e-4) and np.allclose(high, 1, atol=1e-4)

"""Real scenes, where a mirror of them is there."""

import csv
import os
from collections import Counter

import numpy as np
import pytest
import rasterio

from lulc_utils import data
from lulc_utils.data import datasets, sentinel
from lulc_utils.scene import UNLABELLED, labels_from_colors

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
with_mirror = pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")


def test_labels_from_colors_by_hand():
    rgb = np.array([[[226, 132, 0]], [[169, 41, 0]], [[41, 246, 0]]], np.uint8)  # [3, 1, 3]
    assert labels_from_colors(rgb, data.DUBAI_COLORS).tolist() == [[0, 1, UNLABELLED]]
    stranger = np.concatenate([rgb, np.full((3, 1, 2), 7, np.uint8)], axis=2)
    with pytest.raises(ValueError, match="2 pixels of the mask have the color #070707, "):
        labels_from_colors(stranger, data.DUBAI_COLORS)
    relaxed = labels_from_colors(stranger, data.DUBAI_COLORS, allow_other=True)
    assert relaxed.tolist() == [[0, 1, UNLABELLED, UNLABELLED, UNLABELLED]] and relaxed.dtype == np.uint8
    with pytest.raises(ValueError, match=r"must be \(3, rows, cols\) uint8"):
        labels_from_colors(rgb.transpose(1, 2, 0), data.DUBAI_COLORS)


@pytest.mark.filterwarnings("error")
def test_palette_and_rgb_masks_read_the_same(tmp_path):
    colors = [tuple(bytes.fromhex(c[1:])) for c in data.DUBAI_COLORS]
    index = np.arange(35, dtype=np.uint8).reshape(5, 7) % len(colors)
    rgb = np.array(colors, np.uint8)[index].transpose(2, 0, 1)
    blank = dict(driver="PNG", height=5, width=7, dtype="uint8")
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        with rasterio.open(tmp_path / "palette.png", "w", count=1, **blank) as out:
            out.write(index, 1)
            out.write_colormap(1, dict(enumerate(colors)))
        with rasterio.open(tmp_path / "rgb.png", "w", count=3, **blank) as out:
            out.write(rgb)
    for name in ("palette.png", "rgb.png"):
        assert np.array_equal(datasets.read_rgb(tmp_path / name), rgb)


@with_mirror
def test_dubai_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    some = data.dubai([3], progress=False)
    assert [scene.name for scene in some] == [f"tile 3 part {part:03d}" for part in range(1, 10)]
    assert len(data.missing("dubai")) == 145 - 18, "only the files of tile 3 were fetched"
    scenes = data.dubai(progress=False)
    assert Counter(scene.group for scene in scenes) == {
        **{f"tile {tile}": 9 for tile in (1, 2, 3, 5, 6, 7)},
        "tile 4+8": 18,
    }
    assert len({scene.name for scene in scenes}) == 72
    first = scenes[0]
    assert first.bands == ("red", "green", "blue") and first.pixels.dtype == np.uint8
    assert first.source == "Dubai (MBRSC), tile 1 part 001" and not first.simulated
    counts = sum(np.bincount(scene.labels.ravel(), minlength=256) for scene in scenes)
    share = 100 * counts / counts.sum()
    assert share[:5] == pytest.approx([13.6, 52.4, 9.4, 13.3, 10.3], abs=0.1)
    assert share[UNLABELLED] == pytest.approx(1.06, abs=0.05)
    assert {(509, 544), (2149, 1479), (1817, 2062)} <= {(scene.width, scene.height) for scene in scenes}


def test_reflectance_takes_off_what_the_processing_added():
    rng = np.random.default_rng(0)
    numbers = rng.integers(20, 4000, (3, 40, 40)).astype(np.uint16)
    plain = sentinel.reflectance(numbers)
    assert plain.dtype == np.float32 and np.allclose(plain, numbers / 1e4)
    shifted = numbers + 1000
    shifted[0, 0, :2] = 0, 900  # a gap and an overshoot: neither may hide the offset or become negative
    again = sentinel.reflectance(shifted)
    assert sentinel.offset(shifted) == 1000 and sentinel.offset(numbers) == 0
    assert np.allclose(again[:, 1:], plain[:, 1:]) and again[0, 0, :2].tolist() == [0, 0]


@with_mirror
def test_terramesh_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    scenes = {scene.group: scene for scene in data.terramesh(progress=False)}
    assert list(scenes) == ["Brazil", "Tanzania", "Chile", "Ontario", "Denmark"]
    chile = scenes["Chile"]
    assert chile.name == "Chile 433D" and str(chile.date) == "2020-04-08" and chile.crs.to_epsg() == 32718
    assert chile.pixels.shape == (12, 224, 224) and chile.pixels.dtype == np.float32 and chile.bands[8] == "B8A"
    west, south, east, north = chile.bounds_latlon()
    assert west < -72.48 < east and south < -38.83 < north
    count = np.bincount(chile.labels.ravel(), minlength=8)
    assert dict(zip(chile.class_names, count, strict=True)) == {
        "water": 3127, "trees": 10396, "flooded vegetation": 90, "crops": 21213,
        "built": 11742, "bare": 0, "snow": 0, "rangeland": 3608,
    }  # fmt: skip
    assert set(np.unique(scenes["Ontario"].labels)) == {6} and scenes["Brazil"].labels.max() < 8
    red, infrared = (np.median(chile.select(b)[0][chile.labels == 1]) for b in ("B04", "B08"))
    assert (infrared - red) / (infrared + red) > 0.8  # the offset is off: with it, trees had an NDVI of 0.47
    for scene in scenes.values():
        assert scene.pixels.min() >= 0 and np.median(scene.pixels) < 1 and not scene.simulated


@with_mirror
def test_satclip_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    usable = data.satclip(progress=False)
    assert (
        len(usable) == 20
        and usable[3].source == "Sentinel-2 (SatCLIP), patch 252161, 32.8 S 19.9 E"
        and len(data.missing("satclip")) == 4
    )
    every = data.satclip(usable=False, progress=False)
    plain = {s.name for s in every} - {s.name for s in usable}
    assert plain == {"patch 25630", "patch 74721", "patch 752389"}
    with open(data.fetch("satclip", progress=False) / "figures/ssl4eo/example/index.csv", newline="") as stream:
        table = {
            row["fn"][:-4].replace("_", " "): (float(row["lat"]), float(row["lon"])) for row in csv.DictReader(stream)
        }
    for scene in every:
        assert scene.pixels.shape == (12, 256, 256) and scene.labels is None and scene.date is None
        assert 0 <= scene.pixels.min() and np.percentile(scene.pixels, 99) < 1.3
        west, south, east, north = scene.bounds_latlon()
        if scene.name in table:
            lat, lon = table[scene.name]
            assert ((south + north) / 2, (west + east) / 2) == pytest.approx((lat, lon), abs=2e-3)
    assert {s.name for s in every} - set(table) == {"patch 33188", "patch 445", "patch 8845"}
    calm = [np.median(s.pixels.std((1, 2))) for s in every if s.name in plain]
    assert max(calm) < 0.006 < min(np.median(s.pixels.std((1, 2))) for s in usable)

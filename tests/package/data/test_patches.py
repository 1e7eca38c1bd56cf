"""Satellite patches at 30 m with two kinds of labels, EuroSAT in color, and the checked files of Galileo."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from lulc_utils import data
from lulc_utils.data import patches
from lulc_utils.legends import WORLDCOVER_NUMBERS
from lulc_utils.scene import UNLABELLED

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
with_mirror = pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")


def write(path, pixels, driver):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    with rasterio.open(path, "w", driver=driver, count=count, height=height, width=width, dtype=pixels.dtype) as file:
        file.write(pixels)


def test_one_patch_has_two_kinds_of_labels_and_only_reflectance_as_pixels(tmp_path):
    numbers = np.arange(12, dtype=np.int16)[:, None, None] * np.full((1, 2, 6), 100, np.int16)
    numbers[0, 0, 0] = -50
    numbers[10] = np.array([*WORLDCOVER_NUMBERS, 0]).reshape(2, 6)
    water = np.eye(2, 6, dtype=np.uint8)[None]
    write(tmp_path / "7.tif", numbers, "GTiff")
    write(tmp_path / "7.png", water, "PNG")
    cover, wet = patches.hls_scenes(tmp_path / "7.tif", tmp_path / "7.png", "3")
    assert cover.labels.ravel().tolist() == [*range(11), UNLABELLED] and np.array_equal(wet.labels, water[0])
    assert cover.pixels is wet.pixels and cover.pixels.shape == (7, 2, 6) and cover.pixels.dtype == np.float32
    assert cover.pixels[:, 1, 1] == pytest.approx(np.arange(7) / 100) and cover.pixels[0, 0, 0] == 0
    assert cover.group == wet.group == "group 3" and cover.name == "patch 7" and wet.class_names == ("other", "water")


@pytest.fixture
def whole(tmp_path):
    """The folder of all patches, of which there are three, and their lists."""
    names = {"west": ["River_2.jpg", "Forest_1.jpg"], "east": ["SeaLake_9.jpg"]}
    for split, those in names.items():
        path = tmp_path / f"splits/eurosat-spatial-{patches.EUROSAT_SPLITS[split]}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(those) + "\n")
        for i, name in enumerate(those):
            write(tmp_path / "2750" / name.split("_")[0] / name, np.full((3, 8, 8), 50 * i + 50, np.uint8), "JPEG")
    return tmp_path


def test_eurosat_is_read_from_the_folder_of_all_patches(whole, monkeypatch):
    asked = []

    def fetch(name, files, progress):
        asked.extend(files)
        return whole

    monkeypatch.setattr(patches, "fetch", fetch)
    west, east = (data.eurosat_rgb(split, whole=whole / "2750") for split in ("west", "east"))
    assert asked == ["splits/eurosat-spatial-train.txt", "splits/eurosat-spatial-test.txt"], (
        "only the lists are fetched"
    )
    assert [west.classes[k].name for k in west.y] == ["river", "forest"] and east.y.tolist() == [9]
    assert west.pixels.shape == (2, 3, 8, 8) and west.pixels[1].mean() == pytest.approx(100, abs=2)
    assert west.names.tolist() == ["River_2.jpg", "Forest_1.jpg"]
    (whole / "2750/River/River_2.jpg").unlink()
    with pytest.raises(ValueError, match="lacks 1 of 2 patches, for example River_2.jpg"):
        data.eurosat_rgb("west", whole=whole / "2750")
    with pytest.raises(ValueError, match="split into west and east; there is no 'train'"):
        data.eurosat_rgb("train")


def test_the_subset_of_eurosat_has_every_class_as_the_description_says():
    folders = Counter(Path(file.name).parent.name for file in data.registry("eurosat-rgb"))
    assert folders.pop("splits") == 2
    assert folders == {name: 515 if name == "Pasture" else 550 for name in patches.EUROSAT_FOLDERS}


def test_every_flood_patch_has_a_group():
    text = (data.manifest_folder() / "flood_hls_groups.csv").read_text().split()[1:]
    groups = dict(line.split(",") for line in text)
    names = [Path(file.name) for file in data.registry("flood-hls")]
    for suffix in (".tif", ".png"):
        assert {path.stem for path in names if path.suffix == suffix} == set(groups) and len(groups) == 126
    assert len(set(groups.values())) == 111


@with_mirror
@pytest.mark.filterwarnings("error")
def test_flood_hls_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    flood = data.flood_hls(progress=False)
    assert len(flood.land_cover) == len(flood.water) == 126
    for cover, water in zip(*flood, strict=True):
        assert cover.pixels is water.pixels and cover.pixels.shape == (7, 128, 128) and cover.name == water.name
        assert cover.crs is None and cover.date is None and 0 <= cover.pixels.min() and cover.pixels.max() < 1
    assert np.mean([s.labels.mean() for s in flood.water]) == pytest.approx(0.2563, abs=1e-4)
    labels = np.stack([s.labels for s in flood.land_cover])
    count = dict(zip(flood.land_cover[0].class_names, np.bincount(labels.ravel(), minlength=11), strict=True))
    assert count == {
        "trees": 513840, "shrubs": 40298, "grass": 481825, "crops": 719741, "built-up": 36434, "bare": 44929,
        "snow and ice": 1, "water": 218865, "wetland": 5992, "mangroves": 0, "moss and lichen": 2459,
    }  # fmt: skip
    green, red, infrared = (np.stack([s.select(b)[0] for s in flood.land_cover]) for b in data.HLS_BANDS[2:5])
    wet = np.stack([s.labels for s in flood.water]) == 1
    assert np.median(infrared[labels == 0]) > 2 * np.median(red[labels == 0]), "trees are bright in the infrared"
    assert np.median((green - infrared)[wet]) > np.median((green - infrared)[~wet]) + 0.1, "and water is dark"


@with_mirror
@pytest.mark.filterwarnings("error")
def test_eurosat_rgb_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    east = data.eurosat_rgb("east", progress=False)
    assert east.pixels.shape == (1465, 3, 64, 64) and np.bincount(east.y).tolist() == [150] * 5 + [115] + [150] * 4
    brightness = [east.pixels[east.y == k].mean() for k in range(10)]
    assert {int(np.argmin(brightness)), int(np.argsort(brightness)[1])} == {1, 9}, "forest and sea are the darkest"
    folder = data.fetch("eurosat-rgb", files=["splits/eurosat-spatial-train.txt"], progress=False)
    western = set((folder / "splits/eurosat-spatial-train.txt").read_text().split())
    assert len(western) == 16_200 and not western & set(east.names)
    kept = {Path(file.name).name for file in data.registry("eurosat-rgb")} & western
    assert Counter(name.split("_")[0] for name in kept) == dict.fromkeys(patches.EUROSAT_FOLDERS, 400)


@with_mirror
def test_the_files_of_galileo_are_weights_settings_and_spread(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    files = data.galileo_nano(progress=False)
    weights = torch.load(files.encoder, map_location="cpu", weights_only=True)
    assert sum(value.numel() for value in weights.values()) == 1_037_856
    settings = json.loads(files.config.read_text())["model"]["encoder"]
    assert [settings[key] for key in ("embedding_size", "depth", "num_heads", "max_patch_size")] == [128, 4, 8, 8]
    assert settings["max_sequence_length"] == 24
    spread = json.loads(files.normalization.read_text())["13"]
    assert len(spread["mean"]) == len(spread["std"]) == 13

"""Small satellite patches: Landsat and Sentinel-2 at 30 m with two kinds of labels, and EuroSAT in color."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lulc_utils.data.datasets import picture, read_rgb
from lulc_utils.data.download import fetch
from lulc_utils.data.manifest import manifest_folder, registry
from lulc_utils.legends import EUROSAT_CLASSES, WATER_CLASSES, WORLDCOVER_CLASSES, WORLDCOVER_NUMBERS
from lulc_utils.scene import UNLABELLED, LandCover, Scene

HLS_BANDS = ("coastal", "blue", "green", "red", "near infrared", "short-wave infrared 1", "short-wave infrared 2")
WORLDCOVER_BAND = 10  # of the file, counted from 0
EUROSAT_FOLDERS = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop", "Residential",
    "River", "SeaLake",
)  # fmt: skip
EUROSAT_ROOT = "data/EuroSAT/2750"
EUROSAT_SPLITS = {"west": "train", "east": "test"}  # as the published lists are called


class Flood(NamedTuple):
    """The same patches, in the same order and with the same pixels, under two kinds of labels."""

    land_cover: list[Scene]
    water: list[Scene]


class Patches(NamedTuple):
    """N patches with one class each.

    pixels  [N, 3, 64, 64] uint8, red, green and blue
    y       [N] index into classes
    names   [N] str: name of the file
    """

    pixels: np.ndarray
    y: np.ndarray
    names: np.ndarray
    classes: tuple[LandCover, ...]


def flood_hls(*, progress: bool = True) -> Flood:
    """126 Harmonized Landsat-Sentinel patches with land cover and with hand-drawn water, fetched if needed.

    Pixels are (7, 128, 128) float32 reflectance in HLS_BANDS at 30 m; no place, no date. `land_cover` has the labels of
    WORLDCOVER_CLASSES, a model's answers at 10 m made 30, hence weak; `water` has WATER_CLASSES, drawn by hand. Patches
    that touch on the ground share their `group`: split by it. By its bands track 2 of the IEEE GRSS data fusion contest
    2024 (Li et al. 2026), openly available according to its paper; no license text was found. DataUnavailable when
    files are missing.
    """
    with open(manifest_folder() / "flood_hls_groups.csv", newline="", encoding="utf-8") as stream:
        groups = {row["patch"]: row["group"] for row in csv.DictReader(stream)}
    folder = fetch("flood-hls", progress=progress)
    both = [hls_scenes(folder / f"data/images/{n}.tif", folder / f"data/labels/{n}.png", g) for n, g in groups.items()]
    return Flood(*map(list, zip(*both, strict=True)))


def hls_scenes(image: Path, mask: Path, group: str) -> tuple[Scene, Scene]:
    """One patch of `flood_hls`, with its land cover and with its water."""
    with picture(image) as file, picture(mask) as drawn:
        numbers, water = file.read(), drawn.read(1)
    table = np.full(256, UNLABELLED, np.uint8)
    table[list(WORLDCOVER_NUMBERS)] = range(len(WORLDCOVER_CLASSES))
    common = {
        "name": f"patch {image.stem}",
        "pixels": np.maximum(numbers[: len(HLS_BANDS)], 0).astype(np.float32) / 10_000,  # below 0: overshoots in shadow
        "bands": HLS_BANDS,
        "source": f"Harmonized Landsat and Sentinel-2, patch {image.stem}",
        "group": f"group {group}",
    }
    cover = Scene(labels=table[numbers[WORLDCOVER_BAND]], classes=WORLDCOVER_CLASSES, **common)
    return cover, Scene(labels=water, classes=WATER_CLASSES, **common)


def eurosat_rgb(split: str, *, whole: Path | None = None, progress: bool = True) -> Patches:
    """EuroSAT in red, green and blue, Sentinel-2 at 10 m, split by longitude; fetched if needed.

    split  "west" (400 patches of each of the ten classes) or "east" (150, of pasture 115)
    whole  <root>/eurosat/2750, where torchvision.datasets.EuroSAT(root, download=True) puts all 27 000 from one
           archive: every patch of the split is read from there (16 200 and 5 400); None: the subset, file by file

    The place of a single patch is not known. MIT (Helber et al. 2019). ValueError for another split or a folder that
    lacks a patch, DataUnavailable when files are missing.
    """
    if split not in EUROSAT_SPLITS:
        raise ValueError(f"EuroSAT is split into {' and '.join(EUROSAT_SPLITS)}; there is no '{split}'.")
    listed = f"splits/eurosat-spatial-{EUROSAT_SPLITS[split]}.txt"
    names = (fetch("eurosat-rgb", files=[listed], progress=progress) / listed).read_text().split()
    if whole is None:
        listed_files = {Path(f.name).name for f in registry("eurosat-rgb")}
        names = [name for name in names if name in listed_files]
        files = [f"{EUROSAT_ROOT}/{_folder(name)}/{name}" for name in names]
        whole = fetch("eurosat-rgb", files=files, progress=progress) / EUROSAT_ROOT
    return read_eurosat_rgb(whole, names)


def read_eurosat_rgb(folder: Path, names: list[str]) -> Patches:
    """Patches <class>_<number>.jpg from folders named after their class. ValueError when one is not there."""
    files = [folder / _folder(name) / name for name in names]
    if absent := [file for file in files if not file.is_file()]:
        raise ValueError(f"{folder} lacks {len(absent)} of {len(files)} patches, for example {absent[0].name}.")
    y = np.array([EUROSAT_FOLDERS.index(_folder(name)) for name in names])
    return Patches(np.stack([read_rgb(file) for file in files]), y, np.array(names), EUROSAT_CLASSES)


def _folder(name: str) -> str:
    return name.split("_")[0]

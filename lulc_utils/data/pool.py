"""The pool that the embedded backbone was trained on: public photographs from above, without labels.

`data_manifest/pool.csv` lists every file with its size and SHA-256. They are fetched, checked and stored as JPEG, in a
folder for each source with a table `images.csv`: which place a file shows, meters per pixel, license. What chapters
score on is not in it: numbers from 70 of UC Merced, the other cities of NAIP, all other places of the drone chips.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import rasterio
from PIL import Image
from tqdm import tqdm

from lulc_utils.data.cache import DataUnavailable, cache_folder
from lulc_utils.data.download import ORIGIN, bring
from lulc_utils.data.manifest import File, check_inside, manifest_folder
from lulc_utils.files import complete_or_absent

QUALITY = 92  # of the JPEGs: a tenth of the originals' size
AT_ONCE = 64  # originals that are on the disk at the same time


class Source(NamedTuple):
    """Where images come from (owner/repository/commit/folder/), under which license, and meters per pixel."""

    folder: str
    license: str
    meters: float | None  # None: web-Mercator tiles, which carry it in their names


SOURCES = {
    "uc-merced": Source(
        "527760681/Keras-Remote-sensing-image-retrieval/ab097bbb1a790b47dee3f01da27b0abda0fb4b96/UCMerced_LandUse/Images/",
        "public domain (USGS National Map Urban Area Imagery); cite Yang and Newsam 2010",
        0.3,
    ),
    "naip": Source(
        "jonathanventura/urban-tree-detection-data/78e81bdbb484048472e77cbedd3afb49a6b621c6/images/",
        "CC BY 4.0 (Urban Tree Detection, Ventura et al. 2024); NAIP is in the public domain",
        0.6,
    ),
    "nepal": Source(
        "hotosm/fAIr-utilities/61f15156c4d399be9068ea1fa3e9b85915345076/ramp-data/TRAIN/HOTOSM/2/data/3/",
        "not stated by the host; imagery of OpenAerialMap is usually CC BY 4.0",
        None,
    ),
}


def pool_files(source: str) -> list[File]:
    """The files of one of SOURCES, named as below its folder."""
    start, path = ORIGIN + SOURCES[source].folder, manifest_folder() / "pool.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["source"] == source]
    for row in rows:
        check_inside(row["path"], path)
    return [File(r["path"], f"sha256:{r['sha256']}", int(r["bytes"]), start + r["path"]) for r in rows]


def build(folder: str | Path | None = None, *, progress: bool = True, workers: int = 8) -> Path:
    """Fetch the pool into a folder (default: `pool` in the cache) and return it; what is there already stays.

    About 570 MB are read and 68 MB kept. DataUnavailable when a file cannot be brought; the same call then continues.
    """
    folder = Path(folder or cache_folder() / "pool")
    todo = {source: pool_files(source) for source in SOURCES}
    with tqdm(total=sum(map(len, todo.values())), desc="pool", unit="image", disable=not progress) as bar:
        for source, files in todo.items():
            lacking = [file for file in files if not _target(folder / source, file).exists()]
            bar.update(len(files) - len(lacking))
            for first in range(0, len(lacking), AT_ONCE):
                some = lacking[first : first + AT_ONCE]
                _add(some, folder / source, workers)
                bar.update(len(some))
            _write_table(source, files, folder / source)
    return folder


def place_of(source: str, stem: str) -> str:
    """What a file shows: "chico 7" for NAIP's chico_2018_7 and chico_2020_7, elsewhere each a place of its own."""
    city, _, number = stem.rpartition("_")
    return f"{city.rpartition('_')[0]} {number}" if source == "naip" else stem


def meters_of(source: str, stem: str) -> float:
    """Meters on the ground per pixel."""
    if SOURCES[source].meters:
        return SOURCES[source].meters
    row, zoom = map(int, stem.split("-")[-2:])
    latitude = math.atan(math.sinh(math.pi * (1 - 2 * (row + 0.5) / 2**zoom)))
    return round(156543.034 * math.cos(latitude) / 2**zoom, 3)


def _target(folder: Path, file: File) -> Path:
    return folder / f"{Path(file.name).stem}.jpg"


def _add(files: list[File], folder: Path, workers: int) -> None:
    """Fetch some originals and store them as JPEG."""
    with TemporaryDirectory() as originals:
        if failed := bring("pool", files, Path(originals), False, workers):
            file, reasons = next(iter(failed.items()))
            raise DataUnavailable(
                f"The pool lacks '{file.name}' and {len(failed) - 1} more because {' and '.join(reasons)}; get them "
                "with `python -m lulc_utils data pool`, or set LULC_DATA_MIRROR to a copy."
            )
        for file in files:
            with rasterio.open(Path(originals) / file.name) as image:
                pixels = image.read((1, 2, 3))
            with complete_or_absent(_target(folder, file)) as part:
                Image.fromarray(np.moveaxis(pixels, 0, -1)).save(part, "JPEG", quality=QUALITY)


def _write_table(source: str, files: list[File], folder: Path) -> None:
    with complete_or_absent(folder / "images.csv") as part, part.open("w", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(["file", "place", "meters", "license"])
        for target in (_target(folder, file) for file in files):
            stem = target.stem
            table.writerow([target.name, place_of(source, stem), meters_of(source, stem), SOURCES[source].license])

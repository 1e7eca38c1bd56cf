"""Points for a person to label: a table that is written, filled in and read again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from rasterio.warp import transform as reproject

from lulc_utils import files
from lulc_utils.literal import as_cell
from lulc_utils.scene import UNLABELLED, LandCover, Scene


def write_points(path: str | Path, spots: np.ndarray, scenes: Sequence[Scene], images: Sequence[str]) -> Path:
    """Write places [K, 3] as a table (CSV) with longitude and latitude and an empty column `class` to fill in.

    images   a name for each scene; the scenes need a coordinate reference system
    """
    with files.complete_or_absent(path) as part, open(part, "w", newline="", encoding="utf8") as table:
        writer = csv.writer(table)
        writer.writerow(["point", "image", "longitude", "latitude", "class"])
        for k, (number, row, col) in enumerate(spots):
            writer.writerow([k, as_cell(images[number]), *_lonlat(scenes[number], row, col), ""])
    return Path(path)


def read_points(path: str | Path, n: int) -> tuple[np.ndarray, tuple[LandCover, ...]]:
    """(class of every point [n] uint8, classes) of a filled-in table; an empty `class` is UNLABELLED.

    ValueError unless the table has the points 0 to n - 1, each once, and the columns of `write_points`.
    FileNotFoundError or PermissionError when it cannot be read.
    """
    files.check_readable(path, "table")
    try:
        with open(path, newline="", encoding="utf-8-sig") as table:
            lines = list(csv.DictReader(table))
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path} is no table of text; save it as CSV in UTF-8.") from None
    if not lines or not {"point", "class"} <= set(lines[0]):
        raise ValueError(f"{path} must be a table with the columns point and class, separated by commas.")
    words = [(line["class"] or "").strip() for line in lines]
    if sorted(line["point"] or "" for line in lines) != sorted(map(str, range(n))):
        raise ValueError(f"{path} must have the points 0 to {n - 1}, each once.")
    of_point = {int(line["point"]): word for line, word in zip(lines, words, strict=True)}
    legend = sorted(set(words) - {""})
    if len(legend) > UNLABELLED:
        raise ValueError(f"{path} names {len(legend)} classes; a map can hold {UNLABELLED} at most.")
    number = {word: i for i, word in enumerate(legend)} | {"": UNLABELLED}
    names = np.array([number[of_point[k]] for k in range(n)], np.uint8)
    return names, tuple(LandCover(w, to_hex(plt.cm.tab20(i % 20))) for i, w in enumerate(legend))


def _lonlat(scene: Scene, row: int, col: int) -> tuple[float, float]:
    """Longitude and latitude of the middle of a pixel."""
    x, y = scene.transform * (col + 0.5, row + 0.5)
    lon, lat = reproject(scene.crs, "EPSG:4326", [x], [y])
    return round(lon[0], 6), round(lat[0], 6)

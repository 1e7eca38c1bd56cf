"""Real scenes: of Dubai, and Sentinel-2 patches of TerraMesh and SatCLIP."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from lulc_utils.data import sentinel
from lulc_utils.data.download import fetch
from lulc_utils.data.manifest import registry
from lulc_utils.legends import DUBAI_CLASSES
from lulc_utils.scene import UNLABELLED, Scene, labels_from_colors

DUBAI_COLORS = {
    "#e2a929": 0,
    "#8429f6": 1,
    "#6ec1e4": 2,
    "#3c1098": 3,
    "#fedd3a": 4,
    "#9b9b9b": UNLABELLED,
    "#000000": UNLABELLED,  # 0.56 % of the pixels, not in the legend that comes with the data
}

RGB = ("red", "green", "blue")
SATCLIP_PLAIN = ("25630", "74721", "752389")  # without texture: their bands vary by less than a view's noise


def dubai(tiles: Iterable[int] | None = None, *, progress: bool = True) -> list[Scene]:
    """Scenes of Dubai with their masks, nine for each of the tiles 1 to 8 (default: all), fetched if needed.

    Pixels are (3, rows, cols) uint8 with bands red, green, blue; labels index DUBAI_CLASSES. `group` is what a
    spatial split keeps together: "tile 3", and "tile 4+8" for the two tiles that may overlap on the ground.
    ValueError for a tile that does not exist, DataUnavailable when files are missing.
    """
    tiles = [tiles] if isinstance(tiles, int) else list(range(1, 9) if tiles is None else tiles)
    if strange := [tile for tile in tiles if tile not in range(1, 9)]:
        raise ValueError(f"Dubai has the tiles 1 to 8, not {strange[0]}.")
    parts = [(tile, part) for tile in dict.fromkeys(tiles) for part in range(1, 10)]
    images = [f"dataset/Tile {tile}/images/image_part_{part:03d}.jpg" for tile, part in parts]
    masks = [image.replace("images", "masks").replace(".jpg", ".png") for image in images]
    folder = fetch("dubai", files=images + masks, progress=progress)
    return [
        Scene(
            name=f"tile {tile} part {part:03d}",
            pixels=read_rgb(folder / image),
            bands=RGB,
            source=f"Dubai (MBRSC), tile {tile} part {part:03d}",
            labels=labels_from_colors(read_rgb(folder / mask), DUBAI_COLORS),
            classes=DUBAI_CLASSES,
            group="tile 4+8" if tile in (4, 8) else f"tile {tile}",
        )
        for (tile, part), image, mask in zip(parts, images, masks, strict=True)
    ]


def terramesh(*, progress: bool = True) -> list[Scene]:
    """Five Sentinel-2 patches of 224 x 224 pixels at 10 m with a weak land-cover map, fetched if needed.

    Pixels are float32 surface reflectance in the twelve bands of sentinel.ALL_BANDS, labels index ESRI_CLASSES.
    Name ("Chile 433D"), group ("Chile"), date, CRS and transform are set. DataUnavailable when files are missing.
    """
    folder = fetch("terramesh", progress=progress)
    images = [file.name for file in registry("terramesh") if "/S2L2A/" in file.name]
    return [sentinel.terramesh_scene(folder / n, folder / n.replace("/S2L2A/", "/LULC/")) for n in images]


def satclip(usable: bool = True, *, progress: bool = True) -> list[Scene]:
    """Sentinel-2 patches of 256 x 256 pixels at 10 m from all continents, without labels, fetched if needed.

    Pixels are float32 surface reflectance in the twelve bands of sentinel.ALL_BANDS; the place is that of the GeoTIFF
    header; there is no date. usable=True leaves out the three without texture (an ice sheet, a lake, the open sea),
    which gives 20; one of these, 511198, is about a third cloud. DataUnavailable when files are missing.
    """
    files = [f.name for f in registry("satclip") if f.name.endswith(".tif")]
    names = [f for f in files if not (usable and Path(f).stem.removeprefix("patch_") in SATCLIP_PLAIN)]
    folder = fetch("satclip", files=names, progress=progress)
    return [sentinel.satclip_scene(folder / name) for name in names]


@contextmanager
def picture(path: Path) -> Iterator[rasterio.DatasetReader]:
    """An image that has no place on Earth, opened without the warning that it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as source:
            yield source


def read_rgb(path: Path) -> np.ndarray:
    """(3, rows, cols) uint8 of a JPEG, PNG or TIFF; a palette is expanded."""
    with picture(path) as source:
        if source.count >= 3:
            return source.read((1, 2, 3))
        colors = np.zeros((256, 3), np.uint8)
        for index, color in source.colormap(1).items():
            colors[index] = color[:3]
        return np.ascontiguousarray(colors[source.read(1)].transpose(2, 0, 1))  # [3, rows, cols]

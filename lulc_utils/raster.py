"""Scenes in and out of GeoTIFF, one window or one tile at a time, with checks that speak plainly.

A Scene is stored as two files side by side: `NAME.tif` holds the pixels, `NAME.labels.tif` the mask with its
color table. Both carry what the Scene knows (names, date, source) as TIFF tags, so any GIS can open them and
nothing is lost on the way back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from lulc_utils import ground
from lulc_utils.files import check_target, complete_or_absent
from lulc_utils.literal import plain
from lulc_utils.reading import (
    check_alpha,
    masked_bands,
    measured,
    opened,
    plain_bands,
    read_labels,
    read_tag,
    whole_window,
)
from lulc_utils.scene import UNLABELLED, LandCover, Scene

TAG = "LULC_SCENE"  # one TIFF tag with everything GeoTIFF has no place for, as JSON


def labels_path(path: str | Path) -> Path:
    """Where the mask of the scene at `path` lies: `NAME.tif` -> `NAME.labels.tif`."""
    return Path(path).with_suffix(".labels.tif")


def write_scene(scene: Scene, path: str | Path) -> Path:
    """Write a Scene as tiled, losslessly compressed GeoTIFF; the mask, if any, goes to `labels_path(path)`.

    Both files get their final names only when both are complete. Returns the path of the pixels.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; create it before writing {path.name}.")
    tag = {"name": scene.name, "source": scene.source, "group": scene.group}
    tag["date"] = scene.date and scene.date.isoformat()
    tag["classes"] = [list(c) for c in scene.classes]
    check_target(labels_path(path))
    with ExitStack() as both:  # both files move to their places when both are written: never half a scene
        part = both.enter_context(complete_or_absent(path))
        _write(part, scene, scene.pixels, scene.bands, tag, scene.nodata)
        if scene.labels is None:
            labels_path(path).unlink(missing_ok=True)  # the mask of an older scene must not be taken for ours
        else:
            part = both.enter_context(complete_or_absent(labels_path(path)))
            mask = scene.labels.astype(np.uint8)[None]  # [1, rows, cols]
            _write(part, scene, mask, ("land cover",), tag, UNLABELLED, scene.classes)
    for new in (path, labels_path(path)):
        remove_sidecars(new)
    return path


def remove_sidecars(path: Path) -> None:
    """Forget what GDAL kept beside an older raster of this name: notes, a mask, overviews."""
    for suffix in (".aux.xml", ".msk", ".ovr"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _write(
    path: Path,
    scene: Scene,
    array: np.ndarray,
    names: Sequence[str],
    tag: dict,
    nodata: float | None,
    classes: Sequence[LandCover] = (),
) -> None:
    profile = {"driver": "GTiff", "dtype": array.dtype, "count": len(array), "nodata": nodata}
    profile |= {"height": scene.height, "width": scene.width, "crs": scene.crs, "transform": scene.transform}
    profile |= {"compress": "deflate", "tiled": min(array.shape[1:]) >= 256, "photometric": "minisblack"}
    profile = {k: v for k, v in profile.items() if v is not None}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        if classes:
            file.write_colormap(1, {i: _rgba(c.color) for i, c in enumerate(classes)})
        file.write(array)
        file.descriptions = [plain(name) for name in names]
        file.update_tags(**{TAG: json.dumps(tag)})
        if scene.measured is not None and not classes:
            file.write_mask(scene.measured)


def _rgba(color: str) -> tuple[int, int, int, int]:
    return (*bytes.fromhex(color.lstrip("#")), 255)


def read_scene(
    path: str | Path,
    *,
    bands: tuple[str, ...] | None = None,
    window: Window | None = None,
    labels: str | Path | None = None,
    classes: tuple[LandCover, ...] = (),
    require_crs: bool = False,
) -> Scene:
    """Read a raster that GDAL knows (GeoTIFF, COG, JPEG, PNG) as a Scene.

    bands        names to read, in this order; all when None. Unnamed bands are called "band 1", "band 2", ...; an
                 alpha band is a mask, and no band.
    window       part to read, in pixels; all when None. Only these pixels leave the disk. The edges of a window from
                 coordinates are moved to the nearest pixels.
    labels       the mask's path; when None, `labels_path(path)` is read if it exists.
    classes      legend of the mask when the file does not carry one itself.
    require_crs  refuse an image that has no place on Earth.

    FileNotFoundError, or ValueError for a file that is no raster, unexpected bands, a missing CRS, a window
    outside the image, a mask of another size or place or with numbers beyond the legend, or an image in which nothing
    was measured.
    """
    with opened(path) as file:
        part = whole_window(file, window, path)
        if require_crs:
            _check_crs(file, path)
        numbers, names = _numbers(file, path, bands)
        tag = read_tag(file, path, TAG)
        classes = tag["classes"] or tuple(classes)
        labels = labels or (labels_path(path) if labels_path(path).exists() else None)
        pixels = file.read(numbers, window=part)
        scene = Scene(
            name=tag.get("name", Path(path).stem),
            pixels=pixels,
            bands=names,
            source=tag.get("source", Path(path).name),
            labels=labels and read_labels(labels, file, part, len(classes)),
            classes=classes,
            transform=None if file.transform.is_identity else window_transform(part, file.transform),
            crs=file.crs,
            date=tag["date"],
            group=tag.get("group", ""),
            **_nodata(file, numbers, part, pixels),
        )
    if not scene.valid.any():
        raise ValueError(f"{path} holds only nodata in the part that was asked for; there is nothing to map.")
    return scene


def _check_crs(file: DatasetReader, path: str | Path) -> None:
    if file.crs is None:
        raise ValueError(
            f"{path} has no coordinate reference system; assign one first (for example with "
            "`rio edit-info --crs EPSG:32633`)."
        )


def _numbers(file: DatasetReader, path: str | Path, bands: Sequence[str] | None) -> tuple[list[int], tuple[str, ...]]:
    """GDAL's numbers and the names of the bands to read; an alpha band is a mask, and no band."""
    plain = plain_bands(file)
    names = [file.descriptions[i - 1] or f"band {i}" for i in plain]
    if not bands:
        check_alpha(file, path)
        return plain, tuple(names)
    if missing := [b for b in bands if b not in names]:
        raise ValueError(f"{path} has no band {', '.join(missing)}; it has {', '.join(names)}.")
    return [plain[names.index(b)] for b in bands], tuple(bands)


def _nodata(file: DatasetReader, numbers: list[int], part: Window, pixels: np.ndarray) -> dict:
    """What a Scene knows of empty pixels: one nodata value for all bands and, if there is more to know, a mask."""
    values = {str(file.nodatavals[i - 1]): file.nodatavals[i - 1] for i in numbers}  # by text, as NaN is not NaN
    kinds = {kind for i in masked_bands(file, numbers) for kind in file.mask_flag_enums[i - 1]}
    nodata = values.popitem()[1] if len(values) == 1 else None
    simple = not values and kinds <= {MaskFlags.nodata} and len(plain_bands(file)) == file.count
    return {"nodata": nodata, "measured": None if simple else measured(file, numbers, part, pixels)}


def read_classes(path: str | Path, window: Window | None = None) -> np.ndarray:
    """The classes of a map, its first band, [rows, cols] uint8; UNLABELLED where it has no data.

    FileNotFoundError or ValueError as for `read_scene`, or for numbers that no class can have.
    """
    with opened(path) as file:
        part = whole_window(file, window, path)
        values = file.read([1], window=part)
        values = np.where(measured(file, [1], part, values), values[0], UNLABELLED)
    if (wrong := values != values.astype(np.uint8)).any():
        raise ValueError(f"{path} holds {values[wrong][0]}; classes are whole numbers from 0 to {UNLABELLED - 1}.")
    return values.astype(np.uint8)


def pixel_hectares(path: str | Path) -> np.ndarray:
    """Area of every pixel on the Earth's ellipsoid in hectares, [rows, cols]; ValueError without a place on Earth."""
    with opened(path) as file:
        _check_crs(file, path)
        return ground.pixel_hectares(file.crs, file.transform, file.shape)


def middle_window(path: str | Path, height: int, width: int, block: int = 1) -> Window:
    """A window of this size in the middle of an image; where the image is smaller, its size in whole blocks."""
    with opened(path) as file:
        rows, cols = (min(n, size) // block * block for n, size in ((height, file.height), (width, file.width)))
        return Window((file.width - cols) // 2, (file.height - rows) // 2, cols, rows)


def tiles(height: int, width: int, size: int, overlap: int = 0) -> Iterator[Window]:
    """Windows of `size` pixels that cover a raster, neighbors sharing at least `overlap` pixels.

    The last window of a row or column is moved inwards rather than cut, so that all have the same size; a
    raster smaller than `size` gives one window of its own size. ValueError unless 0 <= overlap < size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"The overlap ({overlap}) must be at least 0 and smaller than the tile size ({size}).")
    for row in starts(height, size, overlap):
        for col in starts(width, size, overlap):
            yield Window(col, row, min(size, width), min(size, height))


def starts(length: int, size: int, overlap: int) -> list[int]:
    """Where windows of `size` begin that cover an axis and overlap by `overlap` or more; the last is moved inwards."""
    last = max(length - size, 0)
    return [*range(0, last, size - overlap), last]


def crops(scene: Scene, size: int, overlap: int = 0) -> list[Scene]:
    """The scene cut into square crops of `size` pixels by `tiles`; they inherit its group.

    ValueError when the scene is smaller than one crop.
    """
    if min(scene.height, scene.width) < size:
        raise ValueError(
            f"Scene '{scene.name}' is {scene.height} x {scene.width} pixels, smaller than a crop of {size}; "
            "choose a smaller crop."
        )
    windows = tiles(scene.height, scene.width, size, overlap)
    return [scene.crop(w.row_off, w.col_off, w.height, w.width) for w in windows]

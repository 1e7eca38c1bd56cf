"""Scenes in and out of GeoTIFF, one window or one tile at a time, with checks that speak plainly.

A Scene is stored as two files side by side: `NAME.tif` holds the pixels, `NAME.labels.tif` the mask with its
colour table. Both carry what the Scene knows (names, date, source) as TIFF tags, so any GIS can open them and
nothing is lost on the way back.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from lulc_utils.files import check_readable, check_target, complete_or_absent
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
    return path


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
    with rasterio.open(path, "w", **{k: v for k, v in profile.items() if v is not None}) as file:
        if classes:
            file.write_colormap(1, {i: _rgba(c.color) for i, c in enumerate(classes)})
        file.write(array)
        file.descriptions = names
        file.update_tags(**{TAG: json.dumps(tag)})


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

    bands        names to read, in this order; all when None. Unnamed bands are called "band 1", "band 2", ...
    window       part to read, in pixels; all when None. Only these pixels leave the disk.
    labels       the mask's path; when None, `labels_path(path)` is read if it exists.
    classes      legend of the mask when the file does not carry one itself.
    require_crs  refuse an image that has no place on Earth.

    FileNotFoundError, or ValueError for a file that is no raster, unexpected bands, a missing CRS, a window
    outside the image, a mask of another size, or an image in which nothing was measured.
    """
    with opened(path) as file:
        names = tuple(d or f"band {i}" for i, d in enumerate(file.descriptions, 1))
        part = _window_inside(file, window, path)
        if require_crs and file.crs is None:
            raise ValueError(
                f"{path} has no coordinate reference system; assign one first (for example with "
                "`rio edit-info --crs EPSG:32633`)."
            )
        missing = [b for b in bands or () if b not in names]
        if missing:
            raise ValueError(f"{path} has no band {', '.join(missing)}; it has {', '.join(names)}.")
        bands = tuple(bands or names)
        tag = json.loads(file.tags().get(TAG, "{}"))
        scene = Scene(
            name=tag.get("name", Path(path).stem),
            pixels=file.read([names.index(b) + 1 for b in bands], window=part),
            bands=bands,
            source=tag.get("source", Path(path).name),
            transform=None if file.transform.is_identity else window_transform(part, file.transform),
            crs=file.crs,
            date=tag.get("date") and datetime.date.fromisoformat(tag["date"]),
            nodata=file.nodata,
            group=tag.get("group", ""),
            **_read_labels(path, labels, part, (file.height, file.width), classes, tag),
        )
    if not scene.valid.any():
        raise ValueError(f"{path} holds only nodata in the part that was asked for; there is nothing to map.")
    return scene


def read_classes(path: str | Path, window: Window | None = None) -> np.ndarray:
    """The classes of a map, its first band, [rows, cols]; FileNotFoundError or ValueError as for `read_scene`."""
    with opened(path) as file:
        return file.read(1, window=window)


def middle_window(path: str | Path, height: int, width: int, block: int = 1) -> Window:
    """A window of this size in the middle of an image; where the image is smaller, its size in whole blocks."""
    with opened(path) as file:
        rows, cols = (min(n, size) // block * block for n, size in ((height, file.height), (width, file.width)))
        return Window((file.width - cols) // 2, (file.height - rows) // 2, cols, rows)


def _read_labels(
    path: str | Path,
    labels: str | Path | None,
    part: Window,
    shape: tuple[int, int],
    classes: Sequence[LandCover],
    tag: dict,
) -> dict:
    classes = tuple(LandCover(*c) for c in tag.get("classes", ())) or tuple(classes)
    file = labels or (labels_path(path) if labels_path(path).exists() else None)
    if file is None:
        return {"classes": classes}
    with opened(file) as mask:
        if (mask.height, mask.width) != shape:
            raise ValueError(
                f"The mask {file} is {mask.height} x {mask.width} pixels but the image {path} is "
                f"{shape[0]} x {shape[1]}; they must cover the same pixels."
            )
        if mask.count != 1:
            raise ValueError(f"The mask {file} has {mask.count} bands; a mask of class numbers has one.")
        return {"labels": mask.read(1, window=part).astype(np.uint8), "classes": classes}


@contextmanager
def opened(path: str | Path) -> Iterator[DatasetReader]:
    """A raster open for reading: a file, a URL or whatever else GDAL reads. FileNotFoundError, ValueError."""
    remote = "://" in str(path) or str(path).startswith("/vsi")
    if not remote and not Path(path).is_dir():  # some formats are folders
        check_readable(path)
    try:
        with rasterio.open(path) as file:
            yield file
    except RasterioIOError as error:
        raise ValueError(f"{path} cannot be read as a raster ({reason(error)}); is it complete?") from error


def reason(error: BaseException) -> str:
    """What went wrong in the first place, in one line: rasterio often only says "see previous exception"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())


def _window_inside(file: DatasetReader, window: Window | None, path: str | Path) -> Window:
    if window is None:
        return Window(0, 0, file.width, file.height)
    right, bottom = window.col_off + window.width, window.row_off + window.height
    if min(window.col_off, window.row_off) < 0 or right > file.width or bottom > file.height:
        raise ValueError(f"The window {window} reaches outside {path}, which is {file.height} x {file.width} pixels.")
    return window


def tiles(height: int, width: int, size: int, overlap: int = 0) -> Iterator[Window]:
    """Windows of `size` pixels that cover a raster, neighbours sharing at least `overlap` pixels.

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

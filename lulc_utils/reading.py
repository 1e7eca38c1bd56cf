"""Rasters as they are read: opened, a window of whole pixels, the pixels that were measured, labels that fit.

Few imports: every worker of a cluster loads this file.
"""

from __future__ import annotations

import datetime
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import floor
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as reproject
from rasterio.windows import Window

from lulc_utils import ground
from lulc_utils.files import check_readable
from lulc_utils.scene import UNLABELLED, LandCover

SLACK = 0.1  # pixels by which the corners of an image and its mask may differ


@contextmanager
def opened(path: str | Path) -> Iterator[DatasetReader]:
    """A raster open for reading: a file, a URL or whatever else GDAL reads. FileNotFoundError, ValueError."""
    remote = "://" in str(path) or str(path).startswith("/vsi")
    if not remote and not Path(path).is_dir():  # some formats are folders
        check_readable(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a photograph has no place, and need not
            file = rasterio.open(path)
        with file:
            yield file
    except UnicodeEncodeError:
        raise ValueError(f"The name {str(path)!a} holds bytes that are not UTF-8; rename the file.") from None
    except RasterioIOError as error:
        raise ValueError(f"{path} cannot be read as a raster ({reason(error)}); is it complete?") from error


def reason(error: BaseException) -> str:
    """What went wrong in the first place, in one line: rasterio often only says "see previous exception"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())


def whole_window(file: DatasetReader, window: Window | None, path: str | Path) -> Window:
    """The window with its edges moved to the nearest edges of pixels; the whole raster when None.

    Windows from coordinates are fractions of pixels, if only by rounding. ValueError when it reaches outside, or has
    no pixel.
    """
    if window is None:
        return Window(0, 0, file.width, file.height)
    left, top, right, bottom = (
        floor(edge + 0.5)
        for edge in (
            window.col_off,
            window.row_off,
            window.col_off + window.width,
            window.row_off + window.height,
        )
    )
    if min(left, top) < 0 or right > file.width or bottom > file.height:
        raise ValueError(f"The window {window} reaches outside {path}, which is {file.height} x {file.width} pixels.")
    if right <= left or bottom <= top:
        raise ValueError(f"The window {window} of {path} holds no pixel; choose a larger one.")
    return Window(left, top, right - left, bottom - top)


# ------------------------------------------------------------------------------------------- what was measured


def plain_bands(file: DatasetReader | WarpedVRT) -> list[int]:
    """GDAL's numbers, from 1, of all bands but alpha."""
    return [i for i, kind in enumerate(file.colorinterp, 1) if kind != ColorInterp.alpha]


def masked_bands(file: DatasetReader | WarpedVRT, bands: Sequence[int]) -> list[int]:
    """Those of the bands that have a nodata value or a mask in the file or beside it."""
    return [b for b in bands if MaskFlags.all_valid not in file.mask_flag_enums[b - 1]]


def check_alpha(file: DatasetReader, path: str | Path) -> None:
    """ValueError when the last of four or more bands of whole numbers looks like an alpha band that nobody marked.

    That is a band without a name or a meaning that is 0 where all others are 0, and has its type's largest number
    everywhere else. Its pixels at 25 places are looked at; writers lose the mark easily.
    """
    *others, last = file.indexes
    dtype = np.dtype(file.dtypes[-1])
    unknown = file.colorinterp[-1] == ColorInterp.undefined and not file.descriptions[-1]
    if len(others) < 3 or dtype.kind not in "ui" or not unknown or file.nodatavals[-1] is not None:
        return
    h, w = (min(64, length) for length in file.shape)
    rows, cols = (np.linspace(0, length - part, 5).astype(int) for length, part in ((file.height, h), (file.width, w)))
    pixels = [file.read(window=Window(col, row, w, h)).reshape(last, -1) for row in rows for col in cols]
    alpha, full = np.concatenate([p[-1] for p in pixels]), np.iinfo(dtype).max
    empty = np.concatenate([(p[:-1] == 0).all(0) for p in pixels])
    if set(np.unique(alpha)) == {0, full} and empty[alpha == 0].all():
        raise ValueError(
            f"Band {last} of {path} looks like an alpha band that is not marked as one: it is 0 where all others are, "
            f"and {full} elsewhere. Mark it (gdal_edit.py -colorinterp_{last} alpha), or name the bands to read."
        )


def measured(file: DatasetReader | WarpedVRT, bands: Sequence[int], window: Window, pixels: np.ndarray) -> np.ndarray:
    """[h, w] bool: every band measured, by nodata, masks, alpha bands and NaN. pixels: of the window, [C, h, w]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NodataShadowWarning)  # of two masks GDAL uses one, and here both are
        masks = [file.read_masks(b, window=window) for b in masked_bands(file, bands)]
    # GDAL takes an alpha band for a mask in files of two or four bands of whole numbers only
    masks += [file.read(b, window=window) for b in range(1, file.count + 1) if b not in plain_bands(file)]
    valid = np.isfinite(pixels).all(0) if pixels.dtype.kind == "f" else np.ones(pixels.shape[1:], bool)
    for mask in masks:
        valid &= mask > 0
    return valid


# ------------------------------------------------------------------------------------- what a file says of itself


def read_tag(file: DatasetReader, path: str | Path, tag: str) -> dict:
    """What `raster.write_scene` keeps in a TIFF tag: name, source, group, date, classes; what is missing is left out.

    ValueError when a stranger has written something else there.
    """
    try:
        about = json.loads(file.tags().get(tag, "{}"))
        classes = tuple(LandCover(*c) for c in about.get("classes", ()))
        texts = {key: about[key] for key in ("name", "source", "group") if key in about}
        colors = [re.fullmatch("#[0-9a-fA-F]{6}", c.color) for c in classes]
        if not all(colors) or len(classes) > UNLABELLED:
            raise ValueError("colors")
        if not all(isinstance(text, str) for text in [*texts.values(), *(c.name for c in classes)]):
            raise TypeError("texts")
        date = about.get("date") and datetime.date.fromisoformat(about["date"])
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ValueError(
            f"The tag {tag} of {path} is damaged; write the scene again, or remove the tag (gdal_edit.py -unsetmd)."
        ) from None
    return texts | {"classes": classes, "date": date or None}


# ----------------------------------------------------------------------------------------------- labels that fit


def read_labels(path: str | Path, image: DatasetReader, window: Window, n_classes: int) -> np.ndarray:
    """Labels [rows, cols] uint8 of a window of an image; what the mask has no data for is UNLABELLED.

    ValueError when the mask at `path` does not lie on the image, or holds numbers that are no classes.
    """
    with opened(path) as mask:
        _check_place(mask, path, image)
        bands = plain_bands(mask)
        if len(bands) != 1:
            raise ValueError(f"The mask {path} has {len(bands)} bands; a mask of class numbers has one.")
        values = mask.read(bands, window=window)
        known = measured(mask, bands, window, values) & (values[0] != UNLABELLED)
    values = values[0]
    wrong = known & ~np.isin(values, np.arange(n_classes))
    if wrong.any():
        raise ValueError(
            f"The mask {path} holds the number {values[wrong][0]:g}, which is none of its {n_classes} classes; pass "
            "classes=... for all its numbers, or make what is not labelled nodata."
        )
    return np.where(known, values, UNLABELLED).astype(np.uint8)


def _check_place(mask: DatasetReader, path: str | Path, image: DatasetReader) -> None:
    """ValueError unless the mask has the image's size and, where both have a place, its place."""
    if mask.shape != image.shape:
        raise ValueError(
            f"The mask {path} is {mask.height} x {mask.width} pixels but the image {image.name} is "
            f"{image.height} x {image.width}; they must cover the same pixels."
        )
    if mask.transform.is_identity or image.transform.is_identity:
        return
    rows, cols = np.array([0, 0, mask.height, mask.height]), np.array([0, mask.width, 0, mask.width])
    xs, ys = mask.transform * (cols, rows)
    if mask.crs and image.crs and mask.crs != image.crs:
        xs, ys = (np.array(v) for v in reproject(mask.crs, image.crs, xs, ys))
    at = np.array(~image.transform * (xs, ys))
    if (abs(at - (cols, rows)) > SLACK).any() or not np.isfinite(at).all():
        raise ValueError(
            f"The mask {path} does not lie on the image {image.name}: {_difference(mask, image)}. Make a mask on the "
            "image's own grid, for example with gdalwarp."
        )


def _difference(mask: DatasetReader, image: DatasetReader) -> str:
    """How far apart two rasters of one size are, in words."""
    crs = image.crs or mask.crs
    if crs:
        apart = _length(ground.distance((mask.crs or crs, mask.transform), (image.crs or crs, image.transform)))
    else:
        apart = f"{np.hypot(*np.subtract(mask.transform * (0, 0), image.transform * (0, 0))):g} units"
    apart = f"their upper left corners are {apart} apart"
    (sx, sy), (wx, wy) = mask.res, image.res
    if not np.allclose((sx, sy), (wx, wy), rtol=1e-3):
        apart += f", its pixels are {sx:g} x {sy:g}, the image's {wx:g} x {wy:g}"
    if mask.crs and image.crs and mask.crs != image.crs:
        apart += f", it is in {mask.crs}, the image in {image.crs}"
    return apart


def _length(meters: float) -> str:
    return f"{meters / 1000:.0f} km" if meters >= 10_000 else f"{meters:.3g} m" if meters < 1000 else f"{meters:.0f} m"

"""The raster to map: opened, warped where another grid is asked for, its bands chosen, its valid pixels known.

Few imports: every worker of a cluster loads this file.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window

CACHE = 64  # MB of blocks that GDAL may keep; its default, 5 % of the machine, would look like growing memory


@dataclass(frozen=True)
class Warp:
    """Another grid for the map, made by GDAL's WarpedVRT; the source's own when neither crs nor resolution is given.

    crs          reference system; None: the source's
    resolution   pixel size in units of the reference system; None: what GDAL finds nearest to the source's
    resampling   a name of rasterio.enums.Resampling
    """

    crs: str | CRS | None = None
    resolution: float | None = None
    resampling: str = "bilinear"


@contextmanager
def gdal() -> Iterator[None]:
    """A small cache, and no warning about images without a place on Earth: their maps have none either."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def on_grid(file: DatasetReader, source: str, warp: Warp) -> Iterator[DatasetReader | WarpedVRT]:
    """The raster itself or, where another grid is asked for, a view that GDAL warps as it is read."""
    if warp.resampling not in Resampling.__members__:
        raise ValueError(
            f"There is no resampling '{warp.resampling}'; choose 'nearest', 'bilinear', 'cubic' or 'average'."
        )
    if warp.crs is None and warp.resolution is None:
        yield file
        return
    if file.crs is None:
        raise ValueError(f"{source} has no coordinate reference system, so it cannot be warped; assign one first.")
    if warp.resolution is not None and not warp.resolution > 0:
        raise ValueError(f"The resolution must be above 0, not {warp.resolution}.")
    target = file.crs if warp.crs is None else _reference_system(warp.crs)
    transform, width, height = calculate_default_transform(
        file.crs, target, file.width, file.height, *file.bounds, resolution=warp.resolution
    )
    if target == file.crs and (height, width) == file.shape and transform.almost_equals(file.transform):
        yield file
        return
    masked = file.nodata is not None or ColorInterp.alpha in file.colorinterp
    grid = {"crs": target, "transform": transform, "width": width, "height": height}
    # without nodata, an alpha band tells apart what the source does not reach
    with WarpedVRT(file, **grid, resampling=Resampling[warp.resampling], add_alpha=not masked) as view:
        yield view


def _reference_system(crs: str | CRS) -> CRS:
    try:
        return CRS.from_user_input(crs)
    except CRSError:
        raise ValueError(f"'{crs}' is no coordinate reference system; write it like EPSG:32633.") from None


def grid_of(view: DatasetReader | WarpedVRT) -> list:
    """Size, reference system and place of the map."""
    return [view.height, view.width, view.crs and view.crs.to_wkt(), list(view.transform)[:6]]


def valid_pixels(view: DatasetReader | WarpedVRT, bands: list[int], window: Window, pixels: np.ndarray) -> np.ndarray:
    """[h, w] bool: every band measured, by nodata, alpha, mask file or NaN. pixels: those of the window, [C, h, w]."""
    if all(MaskFlags.all_valid in view.mask_flag_enums[b - 1] for b in bands):
        valid = np.ones(pixels.shape[1:], bool)
    else:
        valid = (view.read_masks(bands, window=window) > 0).all(0)
    return valid & np.isfinite(pixels).all(0) if pixels.dtype.kind == "f" else valid


# ------------------------------------------------------------------------------------- what a model can do with it


def band_numbers(
    file: DatasetReader, source: str, asked: Sequence[str | int] | None, wanted: Sequence[str] | None
) -> list[int]:
    """GDAL's numbers, from 1, of the bands to read: those asked for, else those the model wants, else all but alpha.

    The bands of a raster without any names are taken in their order, if there are as many as the model wants.
    ValueError when there are no such bands, or another number than the model takes.
    """
    names, plain = _band_names(file), [i for i, kind in enumerate(file.colorinterp, 1) if kind != ColorInterp.alpha]
    if asked is None and wanted is None:
        return _real_numbers(file, source, plain)
    request = list(wanted if asked is None else asked)
    missing = [str(b) for b in request if b not in names and not (isinstance(b, int) and 1 <= b <= file.count)]
    nameless = not any(file.descriptions) and not {"red", "green", "blue"} & set(names)
    if missing and not (nameless and request == list(wanted or ()) and len(plain) == len(request)):
        raise ValueError(
            f"{source} has no band {', '.join(missing)}; it has {', '.join(names)}. Choose with bands=..., by name "
            "or by number from 1."
        )
    numbers = plain if missing else [b if isinstance(b, int) else names.index(b) + 1 for b in request]
    if not numbers or (wanted is not None and len(numbers) != len(wanted)):
        raise ValueError(f"The model takes the bands {', '.join(wanted or ())}, but {len(numbers)} bands were chosen.")
    return _real_numbers(file, source, numbers)


def _band_names(file: DatasetReader) -> list[str]:
    kinds = [c.name if c.name in ("red", "green", "blue") else "" for c in file.colorinterp]
    return [d or kind or f"band {i}" for i, (d, kind) in enumerate(zip(file.descriptions, kinds, strict=True), 1)]


def _real_numbers(file: DatasetReader, source: str, bands: list[int]) -> list[int]:
    if not bands:
        raise ValueError(f"{source} has no band but an alpha band; there is nothing to map.")
    if np.dtype(file.dtypes[bands[0] - 1]).kind not in "uif":
        raise ValueError(f"{source} holds {file.dtypes[bands[0] - 1]} numbers; only real numbers can be mapped.")
    return bands


def check_resolution(file: DatasetReader, source: str, asked: float | None, wanted: float | None) -> None:
    """ValueError when the model was trained at another resolution: at 10 m it sees nothing it knows from 0.5 m."""
    if asked is not None or wanted is None or file.crs is None or not file.crs.is_projected:
        return
    have = abs(file.res[0]) * file.crs.linear_units_factor[1]
    if not 0.8 <= have / wanted <= 1.25:
        raise ValueError(
            f"{source} has pixels of {have:g} m, but the model was trained at {wanted:g} m; pass resolution={wanted:g} "
            "to warp it, or another resolution to insist."
        )


# ---------------------------------------------------------------------------------------------- what a map notes


def fingerprint(file: DatasetReader, source: str) -> str:
    """Hash of the size and time of a local file, of the grid, and of pixels at the corners and in the middle."""
    digest = hashlib.sha256(repr((file.shape, file.dtypes, file.crs, tuple(file.transform), file.nodatavals)).encode())
    if Path(source).is_file():
        stat = Path(source).stat()
        digest.update(repr((stat.st_size, stat.st_mtime_ns)).encode())
    h, w = min(16, file.height), min(16, file.width)
    bottom, right = file.height - h, file.width - w
    for row, col in ((0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)):
        digest.update(file.read(window=Window(col, row, w, h)).tobytes())
    return digest.hexdigest()


def without_secrets(text: str) -> str:
    """Addresses without user names, passwords and signed parameters: maps are passed on."""
    text = re.sub(r"(?<=://)[^/@\s]*@", "", text)
    return re.sub(r"(https?://[^\s?'\"]*)\?[^\s'\"]*", r"\1", text)

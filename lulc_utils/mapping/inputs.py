"""The raster to map: opened, warped where another grid is asked for, its bands chosen, its valid pixels known.

Few imports: every worker of a cluster loads this file.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil, inf, prod, sqrt
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from lulc_utils import ground, reading
from lulc_utils.mapping.alpha import with_alpha

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
def on_grid(file: DatasetReader, source: str, warp: Warp, bands: Sequence[int]) -> Iterator[DatasetReader | WarpedVRT]:
    """The raster itself or, where another grid is asked for, a view that GDAL warps as it is read.

    bands   those to be read: what was not measured in one of them does not count in the pixels around it either
    """
    if warp.resampling not in Resampling.__members__:
        raise ValueError(
            f"There is no resampling '{warp.resampling}'; choose 'nearest', 'bilinear', 'cubic' or 'average'."
        )
    if warp.crs is None and warp.resolution is None:
        yield file
        return
    if file.crs is None:
        raise ValueError(f"{source} has no coordinate reference system, so it cannot be warped; assign one first.")
    grid = _grid(file, source, warp)
    same = grid["crs"] == file.crs and (grid["height"], grid["width"]) == file.shape
    if same and grid["transform"].almost_equals(file.transform):
        yield file
        return
    # an alpha band of the view tells apart what was not measured, and what the source does not reach
    masked = len(reading.plain_bands(file)) < file.count or bool(reading.masked_bands(file, bands))
    with rasterio.open(with_alpha(file, bands)) if masked else nullcontext(file) as whole:
        options = {"resampling": Resampling[warp.resampling], "add_alpha": not masked}
        with WarpedVRT(whole, **grid, **options) as view:
            yield view


def _grid(file: DatasetReader, source: str, warp: Warp) -> dict:
    """Reference system, transform, width and height of the view; ValueError when there can be none."""
    resolution = warp.resolution
    if resolution is not None and not 0 < resolution < inf:
        raise ValueError(f"The resolution must be above 0, not {resolution}.")
    target = file.crs if warp.crs is None else _reference_system(warp.crs)
    try:
        with WarpedVRT(file, crs=target) as view:  # GDAL's choice, which knows all four corners
            size, transform = (view.width, view.height), view.transform
    except RasterioError as error:
        why = reading.reason(error)
        raise ValueError(f"{source} cannot be warped to {target} ({why}); choose another system.") from error
    if resolution is not None:
        extent = size[0] * transform.a, -size[1] * transform.e
        if resolution > max(extent):
            raise ValueError(
                f"A pixel of resolution={resolution:g} is larger than {source}: the number is in units of {target} "
                f"({target.units_factor[0]}), in which the raster is {extent[0]:g} wide and {extent[1]:g} high."
            )
        size = tuple(ceil(length / resolution) for length in extent)
        transform = Affine(resolution, 0, transform.c, 0, -resolution, transform.f)
    return {"crs": target, "transform": transform, "width": size[0], "height": size[1]}


def _reference_system(crs: str | CRS) -> CRS:
    try:
        return CRS.from_user_input(crs)
    except CRSError:
        raise ValueError(f"'{crs}' is no coordinate reference system; write it like EPSG:32633.") from None


def grid_of(view: DatasetReader | WarpedVRT) -> list:
    """Size, reference system and place of the map."""
    return [view.height, view.width, view.crs and view.crs.to_wkt(), list(view.transform)[:6]]


# ------------------------------------------------------------------------------------- what a model can do with it


def band_numbers(
    file: DatasetReader, source: str, asked: Sequence[str | int] | None, wanted: Sequence[str] | None
) -> list[int]:
    """GDAL's numbers, from 1, of the bands to read: those asked for, else those the model wants, else all but alpha.

    The bands of a raster without any names are taken in their order, if there are as many as the model wants.
    ValueError when there are no such bands, or another number than the model takes.
    """
    names, plain = _band_names(file), reading.plain_bands(file)
    if asked is None:
        reading.check_alpha(file, source)
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


def check_resolution(file: DatasetReader, source: str, warp: Warp, wanted: float | None) -> None:
    """ValueError when the model was trained at another resolution: at 10 m it sees nothing it knows from 0.5 m.

    wanted   meters on the ground; a resolution that is asked for is taken as it is
    """
    if warp.resolution is not None or wanted is None or not (file.crs and ground.on_earth(file.crs)):
        return
    across, down = ground.pixel_meters(file.crs, file.transform, file.shape)
    if not 0.8 <= sqrt(across * down) / wanted <= 1.25:
        size = f"{across:.3g}" if abs(across / down - 1) < 0.01 else f"{across:.3g} x {down:.3g}"
        raise ValueError(
            f"{source} has pixels of {size} m, but the model was trained at {wanted:g} m; pass "
            f"{_advice(file, warp, wanted)} to warp it, or another resolution to insist."
        )


def _advice(file: DatasetReader, warp: Warp, meters: float) -> str:
    """The arguments that warp to pixels of so many meters, in the units of the reference system."""
    target = file.crs if warp.crs is None else _reference_system(warp.crs)
    lon, lat = (float(v) for v in ground.lonlat(file.crs, file.transform, file.height / 2, file.width / 2))
    if target.is_geographic:  # no pixel is a square there
        zone = int((lon + 180) // 6) % 60 + 1
        return f"crs='EPSG:{(32600 if lat >= 0 else 32700) + zone}', resolution={meters:g}"
    (x,), (y,) = transform_points("EPSG:4326", target, [lon], [lat])
    unit = sqrt(prod(ground.pixel_meters(target, Affine(1, 0, x, 0, -1, y), (0, 0))))
    name, nominal = target.linear_units_factor
    unit = nominal if abs(unit / nominal - 1) < 0.01 else unit  # the scale of UTM is not worth a word
    return f"resolution={meters / unit:g}" + ("" if name == "metre" else f" ({name})")


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

"""Windows of remote images on one grid, by byte ranges.

Why not odc-stac: it reads the same pixels, but opens any kind of remote file that GDAL knows (a VRT can name files on
this machine), merges images band by band (we take all bands of a pixel from one image, each with its own offset and
clouds, so it would be called once per image), and does not say whether a file was missing or broken, or which one. It
would replace `read_band` and add xarray, pandas, shapely and pyproj (140 MB).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import urlsplit

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine, from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from tqdm import tqdm

from lulc_utils import data
from lulc_utils.places import web
from lulc_utils.places.box import Box

if TYPE_CHECKING:
    from pystac import Asset, Item

ASSETS = {  # Sentinel-2 name -> name of the asset in Earth Search; a catalog may also use the former
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B08": "nir",
    "B8A": "nir08",
    "B11": "swir16",
    "B12": "swir22",
}
CLASSIFICATION = "SCL"  # of every pixel, by ESA: vegetation, water, cloud, ...; "scl" in Earth Search
PIXEL = 10.0  # meters
LONGEST = 5000  # pixels along a side of a place: ten bands of 50 km would be a gigabyte
WORKERS = 4  # files read in parallel
GDAL = {  # reads byte ranges, lists no folders, looks for no files next to an image
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": web.CONNECT_TIMEOUT,
    "GDAL_HTTP_TIMEOUT": 3 * web.READ_TIMEOUT,
    "GDAL_HTTP_LOW_SPEED_TIME": web.READ_TIMEOUT,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,  # bytes per second
    "GDAL_HTTP_MULTIRANGE": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32_768,
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",  # a server that failed once must be asked again
    "GDAL_CACHEMAX": 64,
}

Answer = TypeVar("Answer")


class Grid(NamedTuple):
    """Pixels of 10 m on one UTM grid."""

    crs: CRS
    transform: Affine
    height: int
    width: int


def asset_of(item: Item, band: str) -> tuple[Asset, str]:
    """(asset, absolute address) of a band; ValueError when the item does not have it.

    DataUnavailable when an item from the web names a file elsewhere.
    """
    key = next((k for k in (ASSETS.get(band), band, band.lower()) if k in item.assets), None)
    if key is None:
        raise ValueError(
            f"The image {item.id} has no band {band}; it has {', '.join(sorted(item.assets))}. Choose other dates or "
            "another collection."
        )
    href = item.assets[key].get_absolute_href()
    if web.is_web(item.get_self_href()):
        web.check_web(href, f"The image {item.id}")
    return item.assets[key], href


def grid_of(items: Sequence[Item], bbox: Box) -> Grid:
    """Whole pixels of 10 m that cover the box, in the UTM zone of the image that covers most of it."""
    _, href = asset_of(items[0], "B02")
    if data.offline() and "://" in href:
        raise data.DataUnavailable(f"LULC_OFFLINE is set, so {urlsplit(href).netloc} is not asked.")
    crs = _opened(href, lambda file: file.crs)  # not from the item, whose entry might name a file or an address
    check_exists(crs, href)
    if not crs.is_projected:
        raise ValueError(f"The image {items[0].id} is not on a UTM grid; choose another collection.")
    west, south, east, north = transform_bounds("EPSG:4326", crs, *bbox)
    left, top = math.floor(west / PIXEL) * PIXEL, math.ceil(north / PIXEL) * PIXEL
    width, height = math.ceil((east - left) / PIXEL), math.ceil((top - south) / PIXEL)
    if max(width, height) > LONGEST:
        raise ValueError(
            f"The box is {width * PIXEL / 1000:.0f} x {height * PIXEL / 1000:.0f} km; a place is at most "
            f"{LONGEST * PIXEL / 1000:.0f} km along a side. Choose a smaller box."
        )
    return Grid(crs, from_origin(left, top, PIXEL, PIXEL), height, width)


def check_exists(content: object, href: str) -> None:
    """DataUnavailable when the result of reading a file is None."""
    if content is None:
        raise data.DataUnavailable(
            f"The catalog names {web.short(href)}, but there is no such file; choose other dates."
        )


def read_bands(jobs: Sequence[tuple[str, Resampling]], grid: Grid, progress: bool) -> list[np.ndarray | None]:
    """`read_band` for several (address, resampling), WORKERS in parallel; the first error ends all."""
    bar = tqdm(total=len(jobs), desc="reading", unit="file", disable=not progress)
    with bar, ThreadPoolExecutor(WORKERS) as pool:
        waiting = [pool.submit(read_band, href, grid, how) for href, how in jobs]
        try:
            bands = []
            for job in waiting:
                bands.append(job.result())
                bar.update()
            return bands
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def read_band(href: str, grid: Grid, resampling: Resampling) -> np.ndarray | None:
    """One band of a remote file on the grid, [rows, cols] float32, NaN where it has no data; None: no such file.

    data.DataUnavailable when the file cannot be read in TRIES tries.
    """

    def warped(file: rasterio.DatasetReader) -> np.ndarray:
        nodata = 0 if file.nodata is None else file.nodata  # Sentinel-2 and WorldCover: 0 is no data
        options = {"src_nodata": nodata, "nodata": nodata, "resampling": resampling, "dtype": "float32"}
        with WarpedVRT(file, **options, **grid._asdict()) as view:
            values = view.read(1)
        return np.where(values == nodata, np.float32("nan"), values)

    return _opened(href, warped)


def _opened(href: str, use: Callable[[rasterio.DatasetReader], Answer]) -> Answer | None:
    """`use(file)`; None: no such file. It is opened as GeoTIFF only, because other formats can name further files."""
    local = Path(href.removeprefix("file://"))
    if not web.is_web(href) and local.exists() and not local.is_file():
        raise data.DataUnavailable(f"{href} is not a regular file; it is not opened.")
    why = ""
    for attempt in range(web.TRIES):
        if attempt:
            time.sleep(web.BACKOFF * 2 ** (attempt - 1))
        try:
            with rasterio.Env(**GDAL), rasterio.open(href, driver="GTiff") as file:
                return use(file)
        except (RasterioError, OSError) as error:
            why = str(error.__cause__ or error).replace("\n", " ")
            if "404" in why or "No such file" in why:
                return None
    raise data.DataUnavailable(
        f"{web.short(href)} could not be read in {web.TRIES} tries ({why}); try again later, or choose other dates."
    )

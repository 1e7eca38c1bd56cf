"""Any place on Earth: a Sentinel-2 scene and its weak labels from public catalogues, by windowed reads over HTTP.

A STAC catalogue says which satellite images exist; the images are Cloud-Optimized GeoTIFFs, of which only the bytes
under the box leave the server. Two public services are the defaults:

    Sentinel-2 level 2A   Earth Search (Element 84), collection sentinel-2-l2a. Contains modified Copernicus data.
    ESA WorldCover        public bucket in tiles of 3 x 3 degrees; labels by a model, hence weak. CC BY 4.0.

Needs the extra `stac` (pystac-client) and, unless the catalogue is a local one, the network.

    python -m lulc_utils.places --bbox 9.80 57.20 9.86 57.23 --dates 2023-06-01/2023-08-31 --out place.tif
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import math
import re
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine, from_bounds, from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from tqdm import tqdm

from lulc_utils import data, raster
from lulc_utils.legends import WORLDCOVER_CLASSES
from lulc_utils.scene import UNLABELLED, Scene

CATALOGUE = "https://earth-search.aws.element84.com/v1"
COLLECTION = "sentinel-2-l2a"
WORLDCOVER = (
    "https://esa-worldcover.s3.eu-central-1.amazonaws.com/{version}/{year}/map/"
    "ESA_WorldCover_10m_{year}_{version}_{tile}_Map.tif"
)
WORLDCOVER_VERSIONS = {2020: "v100", 2021: "v200"}  # two algorithms: do not read their difference as change

ASSETS = {  # Sentinel-2 name -> name of the asset in Earth Search; a catalogue may also use the former
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
CLOUDS = (1, 3, 8, 9, 10)  # scene classification: defective, cloud shadow, cloud (medium, high), cirrus
ADDED = 0.1  # reflectance that products of baseline 04.00 and later carry on top; see `scale_and_offset`
IMPOSSIBLE = -0.05  # surface reflectance below this in 5 % of a band: the offset was taken off twice

WORLDCOVER_NUMBERS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)  # in the file, in the order of the classes

PIXEL = 10.0  # metres
LONGEST = 5000  # pixels along a side of a place: ten bands of 50 km would be a gigabyte
CONNECT_TIMEOUT, READ_TIMEOUT = 8, 20  # seconds
TRIES = 3  # per file
BACKOFF = 1.0  # seconds before the second try; doubles with the third
WORKERS = 4  # files read at once
POINTS = 64  # side of the lattice on which a footprint is compared with the box


class Grid(NamedTuple):
    """Pixels of 10 m on one UTM grid."""

    crs: CRS
    transform: Affine
    height: int
    width: int


# ------------------------------------------------------------------------------------------------- what is asked


def around(lat: float, lon: float, size: float) -> tuple[float, float, float, float]:
    """The box (west, south, east, north) in degrees of a square of `size` metres around a point.

    ValueError for a point off the Earth or a size that is not positive.
    """
    if not (-90 < lat < 90 and -180 <= lon <= 180 and size > 0):
        raise ValueError(f"There is no square of {size:g} m around latitude {lat:g}, longitude {lon:g}.")
    half = size / 2 / 111_320  # degrees of latitude
    wide = half / math.cos(math.radians(lat))
    return lon - wide, lat - half, lon + wide, lat + half


def parse_bbox(text: str) -> tuple[float, float, float, float]:
    """Four numbers in a string, with commas or spaces: "9.80, 57.20, 9.86, 57.23". ValueError if they are not."""
    try:
        west, south, east, north = (float(x) for x in re.split(r"[,\s]+", text.strip()))
    except ValueError:
        raise ValueError(f"A box is four numbers, west south east north in degrees, not '{text}'.") from None
    return west, south, east, north


def _checked_bbox(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    if len(bbox) != 4 or not all(math.isfinite(x) for x in bbox):
        raise ValueError(f"A box is four numbers, west south east north in degrees, not {bbox!r}.")
    west, south, east, north = map(float, bbox)
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise ValueError(
            f"Longitudes lie between -180 and 180, but the box reaches from {west:g} to {east:g}; a box across the "
            "antimeridian must be cut in two there."
        )
    if west >= east:
        raise ValueError(
            f"The box's west ({west:g}) must be smaller than its east ({east:g}); if it is meant to cross the "
            "antimeridian (180 degrees), cut it in two there."
        )
    if south >= north:
        raise ValueError(f"The box's south ({south:g}) must be smaller than its north ({north:g}).")
    if south < -80 or north > 84:
        raise ValueError(f"UTM grids reach from 80 S to 84 N, but the box reaches from {south:g} to {north:g}.")
    return west, south, east, north


def _checked_dates(dates: str) -> tuple[datetime.date, datetime.date]:
    parts = str(dates).split("/")
    try:
        first, last = (datetime.date.fromisoformat(p.strip()) for p in (parts * 2 if len(parts) == 1 else parts))
    except ValueError:
        raise ValueError(f"Dates look like 2023-06-01/2023-08-31 (or one day, 2023-06-01), not '{dates}'.") from None
    if first > last:
        raise ValueError(f"The first day ({first}) is later than the last ({last}); swap them.")
    return first, last


# ------------------------------------------------------------------------------------------------- the catalogue


def _is_web(href: str) -> bool:
    return str(href).startswith(("http://", "https://"))


def _check_web(href: str, source: str) -> None:
    """Refuse to follow what a catalogue on the web names elsewhere: files of this machine, GDAL's special names."""
    if not _is_web(href):
        raise data.DataUnavailable(
            f"{source} is on the web but names {str(href)[:80]!r}, which is not (http or https); it is not opened."
        )


def _client(catalogue: str):
    """The catalogue, opened with timeouts and retries."""
    try:
        import pystac_client
        from pystac_client.stac_api_io import StacApiIO
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'Places on Earth need the package pystac-client; install it with `pip install "lulc-utils[stac]"`.'
        ) from None
    from pystac_client.warnings import PystacClientWarning
    from urllib3.util.retry import Retry

    class WebOnly(StacApiIO):
        """Reads for a catalogue on the web, which must not make us open files of this machine."""

        def read_text(self, source, *args, **kwargs) -> str:
            _check_web(getattr(source, "href", source), catalogue)
            return super().read_text(source, *args, **kwargs)

        def stac_object_from_dict(self, d, *args, **kwargs):
            if not str(d.get("stac_version")).startswith("1."):  # for older ones pystac opens what they name
                raise data.DataUnavailable(f"The catalogue {catalogue} is older than STAC 1.0; use a newer one.")
            return super().stac_object_from_dict(d, *args, **kwargs)

    warnings.simplefilter("ignore", PystacClientWarning)  # a static catalogue is fine; the caller restores the filter
    again = Retry(
        total=TRIES - 1,
        backoff_factor=BACKOFF,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
    )
    io = (WebOnly if _is_web(catalogue) else StacApiIO)(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), max_retries=again)
    return pystac_client.Client.open(catalogue, stac_io=io)


def search(
    bbox: Sequence[float], dates: str, *, catalogue: str = CATALOGUE, collection: str = COLLECTION
) -> list[object]:
    """All items of a collection that touch a box on some days, sorted by date and name, whatever their clouds.

    bbox       west, south, east, north in degrees
    dates      "2023-06-01/2023-08-31", both days included, or one day
    catalogue  address of a STAC API, or of a static catalogue (slower: every item is looked at), or its path

    ValueError for a wrong box or dates, or a collection that is not there; data.DataUnavailable when the catalogue
    cannot be reached; ModuleNotFoundError without pystac-client.
    """
    west, south, east, north = _checked_bbox(bbox)
    first, last = _checked_dates(dates)
    with _catalogue_errors(catalogue), warnings.catch_warnings():
        client = _client(catalogue)
        if _is_web(catalogue) and client.conforms_to("ITEM_SEARCH"):
            days = f"{first}T00:00:00Z/{last}T23:59:59Z"
            query = client.search(collections=[collection], bbox=[west, south, east, north], datetime=days, limit=100)
            found = list(query.items())
        else:
            child = next((c for c in client.get_collections() if c.id == collection), None)
            if child is None:
                raise ValueError(f"The catalogue {catalogue} has no collection '{collection}'.")
            found = list(child.get_items(recursive=True))
    for item in found:  # an item's own link says where it is from, and so what it may name: do not take its word
        if _is_web(catalogue) and not _is_web(item.get_self_href()):
            item.set_self_href(catalogue)
    return sorted(
        (i for i in found if first <= _day(i) <= last and _share(i, (west, south, east, north)).any()),
        key=lambda i: (_day(i), i.id),
    )


@contextmanager
def _catalogue_errors(catalogue: str):
    if data.offline() and "://" in catalogue:
        raise data.DataUnavailable(f"LULC_OFFLINE is set, so the catalogue {catalogue} is not asked.")
    try:
        yield
    except (ModuleNotFoundError, data.DataUnavailable):
        raise
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise data.DataUnavailable(f"What {catalogue} answers is no STAC catalogue ({error!r}).") from error
    except Exception as error:
        if isinstance(error.__cause__, data.DataUnavailable):  # ours, on its way through pystac
            raise error.__cause__ from None
        if isinstance(error, ValueError) and not _is_stac(error):
            raise
        status = getattr(error, "status_code", None)
        why = f"answered {status}" if status else "cannot be reached or read"
        raise data.DataUnavailable(
            f"The catalogue {catalogue} {why}; try again later, check the network, or use a GeoTIFF of your own."
        ) from error


def _is_stac(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("pystac", "pystac_client", "requests", "urllib3")


def _day(item) -> datetime.date:
    return (item.datetime or item.common_metadata.start_datetime).date()


def _clouds(item) -> float:
    """Cloud cover of the whole image in percent; unknown counts as all."""
    value = item.properties.get("eo:cloud_cover")
    return 100.0 if value is None else float(value)


def _share(item, bbox) -> np.ndarray:
    """[POINTS, POINTS] bool: which points of a lattice in the box lie in the item's footprint."""
    lattice = from_bounds(*bbox, POINTS, POINTS)
    return rasterize([item.geometry], (POINTS, POINTS), transform=lattice, all_touched=False).astype(bool)


def choose(items: Sequence[object], bbox: Sequence[float], max_cloud: float) -> list[object]:
    """The images of one pass of one satellite that cover the box, those with the fewest clouds.

    A box may lie in several images (their squares of 110 km overlap), or need several. Only images of one satellite
    and day go together, so that no seam in a mosaic is a change of season. Of the days that cover the box, the one
    with the lowest mean cloud cover is taken, then the earliest; `eo:cloud_cover` is of the whole image. ValueError,
    saying what there is, when no day fits.
    """
    bbox = _checked_bbox(bbox)
    if not 0 <= max_cloud <= 100:
        raise ValueError(f"The cloud limit is a percentage from 0 to 100, not {max_cloud:g}.")
    if not items:
        raise ValueError("No image of this place exists in these days; choose other dates.")
    clear = [i for i in items if _clouds(i) <= max_cloud]
    if not clear:
        raise ValueError(
            f"All {len(items)} images of this place in these days are more than {max_cloud:g} % cloud (the clearest "
            f"{min(map(_clouds, items)):.0f} %); choose other dates or a higher limit."
        )
    passes, best = defaultdict(list), 0.0
    for item in clear:
        passes[_day(item), item.properties.get("platform", "")].append(item)
    fitting = []
    for (day, platform), members in passes.items():
        used, share = _cover(members, bbox)
        best = max(best, share)
        if share == 1:
            fitting.append((float(np.mean([_clouds(i) for i in used])), day, platform, used))
    if not fitting:
        raise ValueError(
            f"No single day covers the whole box with at most {max_cloud:g} % cloud (the best covers {best:.0%}); "
            "choose a smaller box, other dates or a higher limit."
        )
    return min(fitting, key=lambda f: f[:3])[3]


def _cover(items: Sequence[object], bbox) -> tuple[list[object], float]:
    """As few items as cover the box, the one that covers most first, and the share they cover together."""
    shares = {i.id: _share(i, bbox) for i in items}
    covered, used, left = np.zeros((POINTS, POINTS), bool), [], sorted(items, key=lambda i: (_clouds(i), i.id))
    while left and not covered.all():
        item = max(left, key=lambda i: (shares[i.id] & ~covered).sum())  # the first of equals
        if not (shares[item.id] & ~covered).any():
            break
        covered |= shares[item.id]
        used.append(item)
        left.remove(item)
    return used, float(covered.mean())


# --------------------------------------------------------------------------------------------------- reflectance


def scale_and_offset(item, asset, offset: float | None = None) -> tuple[float, float]:
    """(scale, offset) of one band: surface reflectance = number * scale + offset, from the item's metadata.

    Since processing baseline 04.00 (January 2022) ESA adds 0.1, so that no number has to be negative. Earth Search has
    taken it off again in most items of `sentinel-2-l2a` and says so in `earthsearch:boa_offset_applied`, while its
    `raster:bands` still states -0.1 in either case; its maintainers call the former the truth (Element84/earth-search,
    issue 9). So: applied -> 0; an older baseline -> 0; otherwise what `raster:bands` states, and -0.1 when nothing is
    stated. ValueError when the item says nothing from which this follows. `offset` overrules the metadata.
    """
    stated = (asset.extra_fields.get("raster:bands") or [{}])[0]
    stated = {k: asset.extra_fields.get(f"raster:{k}", stated.get(k)) for k in ("scale", "offset")}
    scale = float(stated["scale"] or 1e-4)
    if offset is not None:
        return scale, offset
    applied = item.properties.get("earthsearch:boa_offset_applied")
    baseline = item.properties.get("s2:processing_baseline", item.properties.get("processing:version"))
    if applied is True or (baseline is not None and float(baseline) < 4):
        return scale, 0.0
    if stated["offset"] is not None and not (applied is False and float(stated["offset"]) == 0):
        return scale, float(stated["offset"])
    if baseline is None:
        raise ValueError(
            f"The image {item.id} does not say whether {ADDED:g} was added to its reflectance (no processing baseline "
            "and no offset); pass offset=0 or offset=-0.1 if you know."
        )
    return scale, -ADDED


def _reflectance(numbers: np.ndarray, item, asset, band: str, offset: float | None) -> np.ndarray:
    """Numbers [rows, cols], NaN where nothing was measured -> reflectance, none below 0."""
    scale, stated = scale_and_offset(item, asset, offset)
    values = numbers * np.float32(scale) + np.float32(stated)
    known = values[np.isfinite(values)]
    if offset is None and stated < 0 and known.size and np.percentile(known, 5) < IMPOSSIBLE:
        raise ValueError(
            f"The catalogue says that {-stated:g} was added to the reflectance of {item.id}, but without it much of "
            f"band {band} would be below {IMPOSSIBLE:g}, which no ground is; such errors are known. Pass offset=0 "
            "(--offset 0) or choose other dates."
        )
    return np.maximum(values, 0)


# ------------------------------------------------------------------------------------------------------- reading


@contextmanager
def _gdal():
    """GDAL reads ranges of bytes, tries again after a passing error, and lists no folders."""
    options = {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_CONNECTTIMEOUT": CONNECT_TIMEOUT,
        "GDAL_HTTP_TIMEOUT": 3 * READ_TIMEOUT,
        "GDAL_HTTP_LOW_SPEED_TIME": READ_TIMEOUT,
        "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,  # bytes per second
        "GDAL_HTTP_MULTIRANGE": "YES",
        "GDAL_INGESTED_BYTES_AT_OPEN": 32_768,
        "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",  # a server that failed once must be asked again
        "GDAL_CACHEMAX": 64,
    }
    with rasterio.Env(**options):
        yield


def _read(href: str, grid: Grid, resampling: Resampling) -> np.ndarray | None:
    """One band of a remote file on the grid, [rows, cols] float32, NaN where it has no data; None: no such file.

    Tried TRIES times; data.DataUnavailable when the file can still not be read.
    """
    why = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        try:
            with _gdal(), rasterio.open(href, driver="GTiff") as file:
                nodata = 0 if file.nodata is None else file.nodata  # Sentinel-2 and WorldCover: 0 is no data
                options = {"src_nodata": nodata, "nodata": nodata, "resampling": resampling, "dtype": "float32"}
                options |= {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
                with WarpedVRT(file, **options) as view:
                    values = view.read(1)
            return np.where(values == nodata, np.float32("nan"), values)
        except (RasterioError, OSError) as error:
            why = str(error.__cause__ or error).replace("\n", " ")
            if "404" in why or "No such file" in why:
                return None
    raise data.DataUnavailable(
        f"{_short(href)} could not be read in {TRIES} tries ({why}); try again later, or choose other dates."
    )


def _short(href: str) -> str:
    """An address without what may be secret in it."""
    return href.split("?")[0]


def _asset(item, band: str):
    """(asset, absolute address) of a band; ValueError when the item does not have it.

    DataUnavailable when an item from the web names a file elsewhere.
    """
    key = next((k for k in (ASSETS.get(band, band), band) if k in item.assets), None)
    if key is None:
        raise ValueError(
            f"The image {item.id} has no band {band}; it has {', '.join(sorted(item.assets))}. Choose other dates or "
            "another collection."
        )
    href = item.assets[key].get_absolute_href()
    if _is_web(item.get_self_href()):
        _check_web(href, f"The image {item.id}")
    return item.assets[key], href


def _grid(items: Sequence[object], bbox) -> Grid:
    """Whole pixels of 10 m that cover the box, in the UTM zone of the image that covers most of it."""
    _, href = _asset(items[0], "B02")
    if data.offline() and "://" in href:
        raise data.DataUnavailable(f"LULC_OFFLINE is set, so {urlsplit(href).netloc} is not asked.")
    code = items[0].properties.get("proj:code") or items[0].properties.get("proj:epsg")
    number = str(code).removeprefix("EPSG:")  # only a number: other texts may name a file or an address
    crs = CRS.from_epsg(int(number)) if number.isdecimal() else _crs(href)
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


def _crs(href: str) -> CRS:
    try:
        with _gdal(), rasterio.open(href, driver="GTiff") as file:
            return file.crs
    except RasterioError as error:
        raise data.DataUnavailable(f"{_short(href)} could not be read ({error}); choose other dates.") from error


def worldcover_tiles(bbox: Sequence[float]) -> list[str]:
    """Names ("N57E009") of the 3 x 3 degree tiles of ESA WorldCover under a box: their south-western corners."""
    west, south, east, north = _checked_bbox(bbox)
    lats = range(3 * math.floor(south / 3), math.ceil(north), 3)
    lons = range(3 * math.floor(west / 3), math.ceil(east), 3)
    return [f"{'NS'[y < 0]}{abs(y):02d}{'EW'[x < 0]}{abs(x):03d}" for y in lats for x in lons]


def _labels(numbers: Iterable[np.ndarray | None], grid: Grid) -> np.ndarray:
    """WorldCover numbers of several tiles -> labels [rows, cols]; what no tile covers (open sea) stays unlabelled."""
    table = np.full(256, UNLABELLED, np.uint8)
    table[list(WORLDCOVER_NUMBERS)] = range(len(WORLDCOVER_NUMBERS))
    labels = np.full((grid.height, grid.width), UNLABELLED, np.uint8)
    for tile in numbers:
        if tile is not None:
            known = np.isfinite(tile)
            labels[known] = table[tile[known].astype(np.uint8)]
    return labels


# ------------------------------------------------------------------------------------------------- a whole place


def place(
    bbox: Sequence[float],
    dates: str,
    *,
    max_cloud: float = 20,
    mask_clouds: bool = True,
    labels: bool = True,
    offset: float | None = None,
    year: int = 2021,
    catalogue: str = CATALOGUE,
    collection: str = COLLECTION,
    worldcover: str = WORLDCOVER,
    progress: bool = True,
) -> Scene:
    """A place on Earth as a Scene: ten bands of Sentinel-2 surface reflectance at 10 m and ESA WorldCover labels.

    bbox         west, south, east, north in degrees; `around` makes one from a point
    dates        "2023-06-01/2023-08-31": the pass with the fewest clouds in these days is taken (`choose`)
    max_cloud    highest cloud cover of an image, percent (of the whole image, not of the box)
    mask_clouds  NaN where the scene classification says cloud, cloud shadow or defective
    labels       read ESA WorldCover of `year` (2020 or 2021) as labels; it is a model's map, hence weak
    offset       reflectance to add, where you know better than the metadata (`scale_and_offset`)

    float32 pixels in the bands B02 B03 B04 B05 B06 B07 B08 B8A B11 B12, NaN where nothing was measured. The grid is
    that of the image which covers most of the box, so its 10 m bands are not resampled; the 20 m bands are bilinear, as
    is an image of a neighbouring UTM zone. Where images overlap, the one that covers most comes first.

    ValueError: wrong box, dates or limit, no fitting image, a missing band, contradictory metadata.
    data.DataUnavailable: no network, or a server that fails. ModuleNotFoundError without pystac-client.
    """
    bbox = _checked_bbox(bbox)
    if labels and year not in WORLDCOVER_VERSIONS:
        raise ValueError(f"ESA WorldCover exists for 2020 and 2021, not for {year}.")
    items = choose(search(bbox, dates, catalogue=catalogue, collection=collection), bbox, max_cloud)
    grid = _grid(items, bbox)
    tiles = worldcover_tiles(bbox) if labels else []
    urls = [worldcover.format(tile=t, year=year, version=WORLDCOVER_VERSIONS[year]) for t in tiles]
    pixels, cloudy, numbers = _all_bands(items, grid, urls, mask_clouds, offset, progress)
    scene = _as_scene(items, grid, pixels, cloudy)
    if labels:
        scene = replace(scene, labels=_labels(numbers, grid), classes=WORLDCOVER_CLASSES)
    return scene


def open_place(text: str, *, cache: str | Path | None = None, progress: bool = True, **options) -> list[Path]:
    """The GeoTIFFs of a place that is named in one string, ready for `raster.read_scene`.

    text     a GeoTIFF; a folder, of which all GeoTIFFs but masks (`.labels.tif`) are taken, sorted by name; or a box
             with dates, "9.80 57.20 9.86 57.23 2023-06-01/2023-08-31", which `place` reads, with `options`
    cache    folder that keeps what was read, so that the same question needs no network again; None: the folder
             "places" in `data.cache_folder()`

    ValueError or FileNotFoundError when it is none of these, or when the files of a folder do not have the same bands.
    """
    words = re.split(r"[,\s]+", str(text).strip())
    if len(words) == 5 and all(re.fullmatch(r"[-+]?[\d.]+", w) for w in words[:4]):
        asked = json.dumps([[*map(float, words[:4])], words[4], options], sort_keys=True)
        kept = Path(cache or data.cache_folder() / "places") / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.tif"
        if not kept.exists():  # complete, if it is there
            scene = place(parse_bbox(" ".join(words[:4])), words[4], progress=progress, **options)
            kept.parent.mkdir(parents=True, exist_ok=True)
            raster.write_scene(scene, kept)
        return [kept]
    path = Path(text).expanduser()
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(
                f"There is no file or folder '{text}', and it is no box with dates either, which looks like "
                "'9.80 57.20 9.86 57.23 2023-06-01/2023-08-31'."
            )
        return [path]
    files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in (".tif", ".tiff"))
    files = [p for p in files if not p.stem.endswith(".labels")]
    if not files:
        raise ValueError(f"The folder {path} holds no GeoTIFF (.tif).")
    kinds = {}
    for file in files:
        with raster.opened(file) as opened:
            kinds.setdefault((opened.descriptions, opened.dtypes), file.name)
    if len(kinds) > 1:
        a, b = list(kinds.values())[:2]
        raise ValueError(f"{a} and {b} do not have the same bands and number type; a place needs images of one kind.")
    return files


def _all_bands(items, grid: Grid, urls: list[str], mask_clouds: bool, offset, progress: bool):
    """(pixels [10, rows, cols], share of the box that was cloud, WorldCover numbers by tile), several files at once."""
    near, smooth = Resampling.nearest, Resampling.bilinear
    jobs = {(i, b): (_asset(i_, b)[1], smooth) for i, i_ in enumerate(items) for b in ASSETS}
    if mask_clouds:
        jobs |= {(i, "scl"): (_asset(item, "scl")[1], near) for i, item in enumerate(items)}
    jobs |= {("labels", url): (url, near) for url in urls}
    with (
        tqdm(total=len(jobs), desc="reading", unit="file", disable=not progress) as bar,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        waiting = {key: pool.submit(_read, href, grid, how) for key, (href, how) in jobs.items()}
        try:
            found = {}
            for key, job in waiting.items():
                found[key] = job.result()
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    lost = next((jobs[key][0] for key, v in found.items() if v is None and key[0] != "labels"), None)
    if lost:
        raise data.DataUnavailable(
            f"The catalogue names {_short(lost)}, but there is no such file; choose other dates."
        )
    pixels = np.full((len(ASSETS), grid.height, grid.width), np.nan, np.float32)
    cloudy = np.zeros((grid.height, grid.width), bool)
    for i, item in enumerate(items):
        one = [_reflectance(found[i, b], item, _asset(item, b)[0], b, offset) for b in ASSETS]
        one = np.stack(one)  # [10, rows, cols]
        new = np.isfinite(one).all(0) & ~np.isfinite(pixels).all(0)
        if mask_clouds:
            hidden = new & np.isin(found[i, "scl"], CLOUDS)
            cloudy |= hidden
            new &= ~hidden
        pixels[:, new] = one[:, new]
    return pixels, float((cloudy & ~np.isfinite(pixels[0])).mean()), [found["labels", url] for url in urls]


def _as_scene(items, grid: Grid, pixels: np.ndarray, cloudy: float) -> Scene:
    day, names = _day(items[0]), ", ".join(i.id for i in items)
    if not np.isfinite(pixels).all(0).any():
        raise ValueError(
            f"Nothing is left of {names}: the box is cloud or was not measured; choose other dates, or keep the clouds "
            "(mask_clouds=False, --keep-clouds)."
        )
    scene = Scene(
        name=f"place {day}",
        pixels=pixels,
        bands=tuple(ASSETS),
        source=f"Sentinel-2 ({names}), {day}, {cloudy:.0%} of the box masked as cloud",
        transform=grid.transform,
        crs=grid.crs,
        date=day,
        nodata=float("nan"),
    )
    west, south, east, north = scene.bounds_latlon()
    lat, lon = (south + north) / 2, (west + east) / 2
    where = f"{abs(lat):.2f} {'NS'[lat < 0]} {abs(lon):.2f} {'EW'[lon < 0]}"
    return replace(scene, name=f"{where} {day}", group=where)


# -------------------------------------------------------------------------------------------------- command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lulc_utils.places",
        description="Read a place on Earth as a GeoTIFF: Sentinel-2 surface reflectance (ten bands at 10 m), and "
        "beside it ESA WorldCover as weak labels.",
        epilog="The pass with the fewest clouds that covers the box on one day is taken. LULC_OFFLINE=1 forbids the "
        "network. Exit status: 0 fine, 1 data not to be had, 2 wrong usage.",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--bbox", nargs=4, type=float, metavar=("W", "S", "E", "N"), help="box in degrees")
    where.add_argument("--around", nargs=3, type=float, metavar=("LAT", "LON", "METRES"), help="square around a point")
    parser.add_argument("--dates", required=True, metavar="A/B", help="such as 2023-06-01/2023-08-31")
    parser.add_argument("--max-cloud", type=float, default=20, help="percent of the whole image (%(default)g)")
    parser.add_argument("--keep-clouds", action="store_true", help="do not mask clouds and their shadows")
    parser.add_argument("--no-labels", action="store_true", help="no ESA WorldCover")
    parser.add_argument("--year", type=int, default=2021, help="of ESA WorldCover, 2020 or 2021 (%(default)s)")
    parser.add_argument("--offset", type=float, help="reflectance to add instead of what the metadata says")
    parser.add_argument("--catalogue", default=CATALOGUE, help="STAC API or static catalogue (%(default)s)")
    parser.add_argument("--collection", default=COLLECTION, help="(%(default)s)")
    parser.add_argument("--worldcover", default=WORLDCOVER, help="address of its tiles (%(default)s)")
    parser.add_argument("--out", required=True, help="GeoTIFF to write; the labels go to OUT.labels.tif beside it")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    o = _parser().parse_args(arguments)
    try:
        if not Path(o.out).parent.is_dir():
            raise ValueError(f"The folder {Path(o.out).parent} does not exist; create it first.")
        scene = place(
            o.bbox or around(*o.around), o.dates, max_cloud=o.max_cloud, mask_clouds=not o.keep_clouds,
            labels=not o.no_labels, offset=o.offset, year=o.year, catalogue=o.catalogue, collection=o.collection,
            worldcover=o.worldcover, progress=not o.quiet,
        )  # fmt: skip
        raster.write_scene(scene, o.out)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except (data.DataUnavailable, ModuleNotFoundError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130
    if not o.quiet:
        print(f"{o.out}: {scene.height} x {scene.width} pixels of 10 m, {scene.crs}; {scene.source}")
    return 0

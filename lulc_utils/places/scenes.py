"""A whole place as a Scene."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import Resampling

from lulc_utils import data, raster
from lulc_utils.legends import WORLDCOVER_CLASSES
from lulc_utils.places import web
from lulc_utils.places.box import checked_bbox, parse_bbox
from lulc_utils.places.choose import choose, day_of
from lulc_utils.places.read import ASSETS, CLASSIFICATION, Grid, asset_of, check_exists, grid_of, read_bands
from lulc_utils.places.reflectance import to_reflectance
from lulc_utils.places.search import CATALOG, COLLECTION, search
from lulc_utils.places.worldcover import WORLDCOVER, warn_of_missing, worldcover_addresses, worldcover_labels
from lulc_utils.scene import Scene

if TYPE_CHECKING:
    from pystac import Item

CLOUDS = (1, 3, 8, 9, 10)  # scene classification: defective, cloud shadow, cloud (medium, high), cirrus


def place(
    bbox: Sequence[float],
    dates: str,
    *,
    max_cloud: float = 20,
    mask_clouds: bool = True,
    labels: bool = True,
    offset: float | None = None,
    year: int = 2021,
    catalog: str = CATALOG,
    collection: str = COLLECTION,
    worldcover: str = WORLDCOVER,
    progress: bool = True,
) -> Scene:
    """A place on Earth as a Scene: ten bands of Sentinel-2 surface reflectance at 10 m and ESA WorldCover labels.

    bbox         west, south, east, north in degrees; `around` makes one from a point
    dates        "2023-06-01/2023-08-31": the pass with the fewest clouds in these days is used (`choose`)
    max_cloud    highest cloud cover of an image, percent (of the whole image, not of the box)
    mask_clouds  NaN where the scene classification says cloud, cloud shadow or defective
    labels       read ESA WorldCover of `year` (2020 or 2021) as labels; it is a model's map, hence weak
    offset       reflectance to add, if you know better than the metadata (`scale_and_offset`)

    float32 pixels in the bands B02 B03 B04 B05 B06 B07 B08 B8A B11 B12, NaN where nothing was measured. The grid is
    that of the image that covers most of the box, so its 10 m bands are not resampled; the 20 m bands are bilinear, as
    is an image of a neighboring UTM zone. Where images overlap, the one that covers most comes first. A warning names
    tiles of WorldCover that do not exist.

    ValueError: wrong box, dates or limit, no suitable image, a missing band, contradictory metadata.
    data.DataUnavailable: no network, or a server that fails. ModuleNotFoundError without pystac-client.
    """
    bbox = checked_bbox(bbox)
    addresses = worldcover_addresses(bbox, year, worldcover) if labels else []
    items = choose(search(bbox, dates, catalog=catalog, collection=collection), bbox, max_cloud)
    grid = grid_of(items, bbox)
    names = (*ASSETS, CLASSIFICATION) if mask_clouds else tuple(ASSETS)
    hrefs = [asset_of(item, name)[1] for item in items for name in names]
    how = [Resampling.nearest if name == CLASSIFICATION else Resampling.bilinear for name in names] * len(items)
    jobs = [*zip(hrefs, how, strict=True), *((address, Resampling.nearest) for address in addresses)]
    bands = read_bands(jobs, grid, progress)
    for href, band in zip(hrefs, bands, strict=False):
        check_exists(band, href)
    numbers = [bands[i : i + len(names)] for i in range(0, len(hrefs), len(names))]  # of each item
    scene = _as_scene(items, grid, *_mosaic(items, numbers, offset, mask_clouds))
    if not labels:
        return scene
    tiles = bands[len(hrefs) :]
    warn_of_missing([web.short(a) for a, tile in zip(addresses, tiles, strict=True) if tile is None])
    return replace(scene, labels=worldcover_labels(tiles, grid), classes=WORLDCOVER_CLASSES)


def _mosaic(
    items: Sequence[Item], numbers: Sequence[Sequence[np.ndarray]], offset: float | None, mask_clouds: bool
) -> tuple[np.ndarray, float]:
    """(reflectance [10, rows, cols], share of the box that was cloud).

    numbers  for each item its bands and, if clouds are to be masked, its classification, each [rows, cols]

    A pixel takes all bands from one image, the first that has them, or none.
    """
    shape = numbers[0][0].shape
    pixels, cloudy = np.full((len(ASSETS), *shape), np.nan, np.float32), np.zeros(shape, bool)
    for item, bands in zip(items, numbers, strict=True):
        assets = [asset_of(item, name)[0] for name in ASSETS]
        named = zip(ASSETS, assets, bands, strict=False)  # without the classification
        image = np.stack([to_reflectance(n, item, asset, name, offset) for name, asset, n in named])
        new = np.isfinite(image).all(0) & ~np.isfinite(pixels).all(0)
        if mask_clouds:
            hidden = new & np.isin(bands[-1], CLOUDS)
            cloudy |= hidden
            new &= ~hidden
        pixels[:, new] = image[:, new]
    return pixels, float((cloudy & ~np.isfinite(pixels[0])).mean())


def _as_scene(items: Sequence[Item], grid: Grid, pixels: np.ndarray, cloudy: float) -> Scene:
    day, names = day_of(items[0]), ", ".join(i.id for i in items)
    if not np.isfinite(pixels).all(0).any():
        raise ValueError(
            f"Nothing is left of {names}: the box is cloudy or not measured; choose other dates, or keep the clouds "
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
    position = f"{abs(lat):.2f} {'NS'[lat < 0]} {abs(lon):.2f} {'EW'[lon < 0]}"
    return replace(scene, name=f"{position} {day}", group=position)


def open_place(text: str, *, cache: str | Path | None = None, progress: bool = True, **options: object) -> list[Path]:
    """The GeoTIFFs of a place that is named in one string, ready for `raster.read_scene`.

    text     a GeoTIFF; a folder, with all its GeoTIFFs except masks (`.labels.tif`), sorted by name; or a box
             with dates, "9.80 57.20 9.86 57.23 2023-06-01/2023-08-31", read by `place` with `options`
    cache    folder for what was read, so that the same request needs no network again; None: the folder
             "places" in `data.cache_folder()`

    ValueError or FileNotFoundError when it is none of these, or when the files of a folder do not have the same bands.
    """
    words = re.split(r"[,\s]+", str(text).strip())
    if len(words) == 5 and all(re.fullmatch(r"[-+]?[\d.]+", w) for w in words[:4]):
        asked = json.dumps([[*map(float, words[:4])], words[4], options], sort_keys=True)
        file = Path(cache or data.cache_folder() / "places") / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.tif"
        if not file.exists():  # complete, if it exists
            scene = place(parse_bbox(" ".join(words[:4])), words[4], progress=progress, **options)
            file.parent.mkdir(parents=True, exist_ok=True)
            raster.write_scene(scene, file)
        return [file]
    path = Path(text).expanduser()
    if path.is_dir():
        return _files_in(path)
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file or folder '{text}', and it is not a box with dates either, such as "
            "'9.80 57.20 9.86 57.23 2023-06-01/2023-08-31'."
        )
    return [path]


def _files_in(folder: Path) -> list[Path]:
    """The GeoTIFFs of a folder except masks; ValueError unless they have the same bands."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in (".tif", ".tiff"))
    files = [p for p in files if not p.stem.endswith(".labels")]
    if not files:
        raise ValueError(f"The folder {folder} contains no GeoTIFF (.tif).")
    kinds = {}
    for file in files:
        with raster.opened(file) as image:
            kinds.setdefault((image.descriptions, image.dtypes), file.name)
    if len(kinds) > 1:
        a, b = list(kinds.values())[:2]
        raise ValueError(f"{a} and {b} do not have the same bands and number type; a place needs images of one kind.")
    return files

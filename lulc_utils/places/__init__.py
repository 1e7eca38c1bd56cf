"""Any place on Earth: a Sentinel-2 scene and weak labels from public catalogs, by windowed reads over HTTP.

A STAC catalog says which satellite images exist; the images are Cloud-Optimized GeoTIFFs, of which only the bytes
inside the box are downloaded. Two public services are the defaults:

    Sentinel-2 level 2A   Earth Search (Element 84), collection sentinel-2-l2a. Contains modified Copernicus data.
    ESA WorldCover        public bucket in tiles of 3 x 3 degrees; labels by a model, hence weak. CC BY 4.0.

Needs the extra `stac` (pystac-client) and, unless the catalog is a local one, the network.

    python -m lulc_utils place --bbox 9.80 57.20 9.86 57.23 --dates 2023-06-01/2023-08-31 --out place.tif

box          boxes in degrees, and days
search       the images in a catalog
choose       which of them to use
read         their pixels on one grid
reflectance  from numbers to surface reflectance
worldcover   weak labels
scenes       the whole place
web          what may be opened, and how long to wait for a server
"""

from lulc_utils.legends import WORLDCOVER_CLASSES, WORLDCOVER_NUMBERS
from lulc_utils.places.box import around, parse_bbox
from lulc_utils.places.choose import choose
from lulc_utils.places.command import add_options, run
from lulc_utils.places.read import ASSETS, Grid
from lulc_utils.places.reflectance import scale_and_offset
from lulc_utils.places.scenes import open_place, place
from lulc_utils.places.search import CATALOG, COLLECTION, search
from lulc_utils.places.worldcover import WORLDCOVER, worldcover_tiles

__all__ = [
    "ASSETS",
    "CATALOG",
    "COLLECTION",
    "WORLDCOVER",
    "WORLDCOVER_CLASSES",
    "WORLDCOVER_NUMBERS",
    "Grid",
    "add_options",
    "around",
    "choose",
    "open_place",
    "parse_bbox",
    "place",
    "run",
    "scale_and_offset",
    "search",
    "worldcover_tiles",
]

"""`python -m lulc_utils place --bbox W S E N --dates A/B --out place.tif`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lulc_utils import raster
from lulc_utils.places.box import around
from lulc_utils.places.scenes import place
from lulc_utils.places.search import CATALOG, COLLECTION
from lulc_utils.places.worldcover import WORLDCOVER


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.description = (
        "Read a place on Earth as a GeoTIFF: Sentinel-2 surface reflectance (ten bands at 10 m), with ESA "
        "WorldCover as weak labels."
    )
    parser.epilog = (
        "The pass with the fewest clouds that covers the box on one day is used. LULC_OFFLINE=1 forbids the network. "
        "Exit status: 0 success, 1 data cannot be read, 2 wrong usage."
    )
    area = parser.add_mutually_exclusive_group(required=True)
    area.add_argument("--bbox", nargs=4, type=float, metavar=("W", "S", "E", "N"), help="box in degrees")
    area.add_argument("--around", nargs=3, type=float, metavar=("LAT", "LON", "METERS"), help="square around a point")
    parser.add_argument("--dates", required=True, metavar="A/B", help="for example 2023-06-01/2023-08-31")
    parser.add_argument("--max-cloud", type=float, default=20, help="percent of the whole image (%(default)g)")
    parser.add_argument("--keep-clouds", action="store_true", help="do not mask clouds and their shadows")
    parser.add_argument("--no-labels", action="store_true", help="do not read ESA WorldCover")
    parser.add_argument("--year", type=int, default=2021, help="of ESA WorldCover, 2020 or 2021 (%(default)s)")
    parser.add_argument("--offset", type=float, help="reflectance to add instead of what the metadata says")
    parser.add_argument("--catalog", default=CATALOG, help="STAC API or static catalog (%(default)s)")
    parser.add_argument("--collection", default=COLLECTION, help="(%(default)s)")
    parser.add_argument("--worldcover", default=WORLDCOVER, help="address of its tiles (%(default)s)")
    parser.add_argument("--out", required=True, help="GeoTIFF to write; the labels go to OUT.labels.tif next to it")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no report")


def run(options: argparse.Namespace) -> None:
    """Read the place and write it. ValueError, DataUnavailable, ModuleNotFoundError: as `place`."""
    o = options
    if not Path(o.out).parent.is_dir():
        raise ValueError(f"The folder {Path(o.out).parent} does not exist; create it first.")
    scene = place(
        o.bbox or around(*o.around), o.dates, max_cloud=o.max_cloud, mask_clouds=not o.keep_clouds,
        labels=not o.no_labels, offset=o.offset, year=o.year, catalog=o.catalog, collection=o.collection,
        worldcover=o.worldcover, progress=not o.quiet,
    )  # fmt: skip
    raster.write_scene(scene, o.out)
    if not o.quiet:
        print(f"{o.out}: {scene.height} x {scene.width} pixels of 10 m, {scene.crs}; {scene.source}")

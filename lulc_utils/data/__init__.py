"""Real data: from the manifest to verified local files, and from there to scenes.

`data_manifest/` names every file with its size, SHA-256 and public address; nothing else is ever trusted. Files
arrive in `<cache>/<dataset>/<file>`, under their final name only after the SHA-256 matched.

    LULC_DATA_DIR     where files are kept (default: the platform's cache folder)
    LULC_DATA_MIRROR  a folder or http(s) address to try first; contains <owner>/<repository>/<commit>/<path>
    LULC_OFFLINE      1: never touch the network (a mirror folder still counts)

From a terminal: `python -m lulc_utils data list | info NAME | fetch NAME ... | verify NAME`.
"""

from lulc_utils.data.aerial import (
    CITIES_TO_FIT,
    CITIES_TO_SCORE,
    UC_MERCED_KINDS,
    UC_MERCED_METERS,
    buildings,
    ground_resolution,
    place_title,
    uc_merced,
    urban_trees,
)
from lulc_utils.data.cache import DataUnavailable, cache_folder, leftovers, missing, offline, verify
from lulc_utils.data.crops import CROP_COORDINATES, CROP_REGIONS, Fields, africa_crops
from lulc_utils.data.datasets import DUBAI_COLORS, RGB, SATCLIP_PLAIN, dubai, satclip, terramesh
from lulc_utils.data.download import fetch
from lulc_utils.data.manifest import File, about, manifest_folder, names, registry
from lulc_utils.data.patches import HLS_BANDS, Flood, Patches, eurosat_rgb, flood_hls
from lulc_utils.data.sites import Sites
from lulc_utils.data.weights import GalileoFiles, galileo_nano
from lulc_utils.legends import DUBAI_CLASSES

__all__ = [
    "CITIES_TO_FIT",
    "CITIES_TO_SCORE",
    "CROP_COORDINATES",
    "CROP_REGIONS",
    "DUBAI_CLASSES",
    "DUBAI_COLORS",
    "HLS_BANDS",
    "RGB",
    "SATCLIP_PLAIN",
    "UC_MERCED_KINDS",
    "UC_MERCED_METERS",
    "DataUnavailable",
    "Fields",
    "File",
    "Flood",
    "GalileoFiles",
    "Patches",
    "Sites",
    "about",
    "africa_crops",
    "buildings",
    "cache_folder",
    "dubai",
    "eurosat_rgb",
    "fetch",
    "flood_hls",
    "galileo_nano",
    "ground_resolution",
    "leftovers",
    "manifest_folder",
    "missing",
    "names",
    "offline",
    "place_title",
    "registry",
    "satclip",
    "terramesh",
    "uc_merced",
    "urban_trees",
    "verify",
]

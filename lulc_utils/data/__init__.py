"""Real data: from the manifest to verified local files, and from there to scenes.

`data_manifest/` names every file with its size, SHA-256 and public address; nothing else is ever trusted. Files
arrive in `<cache>/<dataset>/<file>`, under their final name only after the SHA-256 matched.

    LULC_DATA_DIR     where files are kept (default: the platform's cache folder)
    LULC_DATA_MIRROR  a folder or http(s) address to try first; contains <owner>/<repository>/<commit>/<path>
    LULC_OFFLINE      1: never touch the network (a mirror folder still counts)

From a terminal: `python -m lulc_utils data list | info NAME | fetch NAME ... | verify NAME`.
"""

from lulc_utils.data.cache import DataUnavailable, cache_folder, leftovers, missing, offline, verify
from lulc_utils.data.datasets import DUBAI_COLORS, SATCLIP_PLAIN, dubai, satclip, terramesh
from lulc_utils.data.download import fetch
from lulc_utils.data.manifest import File, about, manifest_folder, names, registry
from lulc_utils.data.sites import Sites, eurosat, us_sites
from lulc_utils.legends import DUBAI_CLASSES

__all__ = [
    "DUBAI_CLASSES",
    "DUBAI_COLORS",
    "SATCLIP_PLAIN",
    "DataUnavailable",
    "File",
    "Sites",
    "about",
    "cache_folder",
    "dubai",
    "eurosat",
    "fetch",
    "leftovers",
    "manifest_folder",
    "missing",
    "names",
    "offline",
    "registry",
    "satclip",
    "terramesh",
    "us_sites",
    "verify",
]

"""Sentinel-2 patches in GeoTIFF files -> Scenes of surface reflectance: the samples of TerraMesh and SatCLIP.

Both store reflectance times 10 000. Products made since January 2022, and older ones that ESA has reprocessed,
add 1000, so that no number has to be negative (processing baseline 04.00). These files do not say which kind they
are, so `reflectance` infers it; a network that met both without knowing would learn the processing date.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

from lulc_utils.legends import ESRI_CLASSES
from lulc_utils.scene import UNLABELLED, Scene

ALL_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")  # level 2A: no B10
SCALE = 10_000  # digital numbers per unit of reflectance
OFFSET = 1000  # added to every number since processing baseline 04.00
NO_OFFSET_BELOW = 850  # where the darkest 1 % of some band lie below this, nothing can have been added

ESRI_NUMBERS = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 9: 7}  # in the file -> index; 0 nothing, 8 cloud

TERRAMESH_PLACES = {
    "282D": ("Brazil", "the coast of southern Brazil"),
    "38D": ("Tanzania", "Tanzania"),
    "433D": ("Chile", "southern Chile"),
    "609U": ("Ontario", "northern Ontario, Canada"),
    "637U": ("Denmark", "northern Denmark"),
}


def offset(numbers: np.ndarray) -> int:
    """The offset in the digital numbers [bands, rows, cols] of a level 2A patch: 0 or OFFSET.

    Inferred: somewhere in 2.5 km there is water, shadow or forest, which reflects almost nothing in some band.
    If not even the darkest 1 % of the darkest band is near 0, 1000 was added. Where there is only bright desert
    or snow, this may be wrong.
    """
    darkest = np.percentile(numbers, 1, axis=(1, 2)).min()
    return OFFSET if darkest >= NO_OFFSET_BELOW else 0


def reflectance(numbers: np.ndarray) -> np.ndarray:
    """Digital numbers of a level 2A patch, [bands, rows, cols] -> surface reflectance, float32.

    The offset is subtracted, then everything below 0 becomes 0 (atmospheric correction overshoots in shadow). There
    is no nodata value: the few zeros in these files are single dark pixels, or a corner of a few dozen pixels.
    Snow, cloud and sun glint can exceed 1.
    """
    return np.maximum(numbers.astype(np.float32) - offset(numbers), 0) / SCALE


def terramesh_scene(image: Path, mask: Path) -> Scene:
    """One TerraMesh sample: twelve bands of reflectance with the Esri land cover of the same pixels.

    The labels are a model's predictions for a whole year, hence weak. The date is the image's (TIFF tag `datetime`,
    in the mask only). ValueError when image and mask do not cover the same pixels (from Scene).
    """
    code = image.name.split("_")[0]
    place, words = TERRAMESH_PLACES[code]
    with rasterio.open(mask) as file:
        numbers, date = file.read(1), datetime.date.fromisoformat(file.tags()["datetime"][:10])
    table = np.full(256, UNLABELLED, np.uint8)
    table[list(ESRI_NUMBERS)] = list(ESRI_NUMBERS.values())
    return Scene(
        name=f"{place} {code}",
        source=f"Sentinel-2 (TerraMesh), {words}, {date}",
        labels=table[numbers],
        classes=ESRI_CLASSES,
        date=date,
        group=place,
        **_read(image),
    )


def satclip_scene(image: Path) -> Scene:
    """One SatCLIP patch: twelve bands of reflectance, placed by the GeoTIFF header; no labels and no date."""
    name = image.stem.replace("_", " ")
    scene = Scene(name=name, source="", **_read(image))
    west, south, east, north = scene.bounds_latlon()
    lat, lon = (south + north) / 2, (west + east) / 2
    where = f"{abs(lat):.1f} {'N' if lat >= 0 else 'S'} {abs(lon):.1f} {'E' if lon >= 0 else 'W'}"
    return replace(scene, source=f"Sentinel-2 (SatCLIP), {name}, {where}", group=name)


def _read(image: Path) -> dict:
    with rasterio.open(image) as file:
        return {
            "pixels": reflectance(file.read()),
            "bands": ALL_BANDS,
            "transform": file.transform,
            "crs": file.crs,
        }

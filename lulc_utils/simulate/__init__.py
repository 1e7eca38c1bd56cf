"""Simulated landscapes: every pixel's truth is known, and nothing has to be downloaded."""

from lulc_utils.legends import AERIAL_CLASSES, SATELLITE_CLASSES
from lulc_utils.simulate.aerial import aerial, aerial_scenes
from lulc_utils.simulate.satellite import (
    DEFAULT_YEAR,
    GROUND_BANDS,
    REGIONS,
    Region,
    ndvi,
    region_of,
    satellite,
    satellite_year,
)

__all__ = [
    "AERIAL_CLASSES",
    "DEFAULT_YEAR",
    "GROUND_BANDS",
    "REGIONS",
    "SATELLITE_CLASSES",
    "Region",
    "aerial",
    "aerial_scenes",
    "ndvi",
    "region_of",
    "satellite",
    "satellite_year",
]

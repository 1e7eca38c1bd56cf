"""Simulated landscapes: every pixel's truth is known, and nothing has to be downloaded."""

from lulc_utils.simulate.aerial import AERIAL_CLASSES, aerial, aerial_scenes
from lulc_utils.simulate.satellite import region_of, satellite, satellite_year
from lulc_utils.simulate.satellite.regions import REGIONS, SATELLITE_CLASSES, Region
from lulc_utils.simulate.satellite.spectra import BANDS, ndvi

__all__ = [
    "AERIAL_CLASSES",
    "BANDS",
    "REGIONS",
    "Region",
    "SATELLITE_CLASSES",
    "aerial",
    "aerial_scenes",
    "ndvi",
    "region_of",
    "satellite",
    "satellite_year",
]

"""Simulated Sentinel-2 scenes: surface reflectance in ten bands at 10 m, with the class of every pixel known."""

from lulc_utils.simulate.satellite.regions import REGIONS, Region
from lulc_utils.simulate.satellite.scene import DEFAULT_YEAR, region_of, satellite, satellite_year
from lulc_utils.simulate.satellite.spectra import GROUND_BANDS, ndvi

__all__ = ["DEFAULT_YEAR", "GROUND_BANDS", "REGIONS", "Region", "ndvi", "region_of", "satellite", "satellite_year"]

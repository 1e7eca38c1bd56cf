"""Where a scene lies, as pixels on the grid of its UTM zone, and checks of the numbers that both simulators take."""

from __future__ import annotations

import operator

from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform as to_crs


def utm(latitude: float, longitude: float, pixel: float, grid: float) -> tuple[CRS, Affine]:
    """(CRS, transform) of an image whose upper left corner is at a place, moved to a multiple of `grid` meters.

    pixel   side of a pixel in meters
    """
    zone = int((longitude + 180) // 6) + 1
    crs = CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)
    east, north = to_crs("EPSG:4326", crs, [longitude], [latitude])
    return crs, from_origin(round(east[0] / grid) * grid, round(north[0] / grid) * grid, pixel, pixel)


def checked(seed: int, size: int, smallest: int) -> tuple[int, int]:
    """Seed and size of a scene as integers; ValueError when the seed is negative or the size below the smallest."""
    seed, size = operator.index(seed), operator.index(size)
    if seed < 0:
        raise ValueError(f"The seed of a simulated scene must not be negative, but it is {seed}.")
    if size < smallest:
        raise ValueError(f"A simulated scene needs at least {smallest} x {smallest} pixels, not {size} x {size}.")
    return seed, size

"""Meters, hectares and degrees of a raster on the Earth's ellipsoid (WGS84), whatever its reference system.

A pixel of a map projection is larger or smaller than the ground it shows: in Web Mercator four times as large at a
latitude of 60 degrees, in degrees it has no size at all, in feet another number.
"""

from __future__ import annotations

from math import floor

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform as reproject

A, E2 = 6378137.0, 0.0066943799901413165  # WGS84: half the larger axis in meters, eccentricity squared
E = np.sqrt(E2)
NODES = 256  # along an axis; between them areas are interpolated, to 2e-5 of their value for a map of the world
EDGE = 22  # points along each edge of a raster whose bounds are sought, as GDAL takes


def on_earth(crs: CRS) -> bool:
    """Whether a reference system is one of the Earth, and not of a building site."""
    return crs.is_geographic or crs.is_projected


def lonlat(
    crs: CRS, transform: Affine, rows: np.ndarray | float, cols: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes in degrees of places given in (fractions of) pixels; NaN beyond the projection.

    ValueError when the reference system has no place on Earth.
    """
    if not on_earth(crs):
        raise ValueError(f"The reference system {crs} has no place on Earth; choose a geographic or projected one.")
    rows, cols = np.broadcast_arrays(np.asarray(rows, float), np.asarray(cols, float))
    xs, ys = _place(transform, cols.ravel(), rows.ravel())
    lon, lat = (v.reshape(rows.shape) for v in _degrees(crs, xs, ys))
    outside = ~(np.isfinite(lon) & np.isfinite(lat))
    return np.where(outside, np.nan, lon), np.where(outside, np.nan, lat)


def _place(transform: Affine, cols: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`transform * (cols, rows)`, of which newer releases of affine warn; older ones do not know their `@`."""
    a, b, c, d, e, f = transform[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f


def _degrees(crs: CRS, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """[2, n]; GDAL refuses all points when the projection does not reach one of them, hence in halves."""
    try:
        return np.array(reproject(crs, "EPSG:4326", xs, ys), float)
    except Exception:  # rasterio's classes of GDAL's errors are private
        if len(xs) == 1:
            return np.full((2, 1), np.nan)
        half = len(xs) // 2
        return np.concatenate([_degrees(crs, xs[:half], ys[:half]), _degrees(crs, xs[half:], ys[half:])], 1)


def pixel_hectares(crs: CRS, transform: Affine, shape: tuple[int, int]) -> np.ndarray:
    """Area of every pixel of a raster on the ellipsoid, in hectares, [rows, cols]; 0 beyond the projection.

    Corners go to the sphere of equal area (Snyder 1987, "Map projections", equations 3-11 and 3-12), where half the
    cross product of the diagonals is the area: neither poles nor the line of 180 degrees are special there.
    """
    nodes = [np.unique(np.linspace(0, n - 1, min(n, NODES)).round()) for n in shape]
    rows, cols = np.meshgrid(*nodes, indexing="ij")
    corner = [_equal_area(*lonlat(crs, transform, rows + i, cols + j)) for i, j in ((0, 0), (1, 1), (0, 1), (1, 0))]
    area = np.linalg.norm(np.cross(corner[1] - corner[0], corner[3] - corner[2]), axis=-1) / 2 / 10_000
    area = np.nan_to_num(area)
    for axis, (at, n) in enumerate(zip(nodes, shape, strict=True)):
        if len(at) < n:
            area = np.apply_along_axis(lambda v, n=n, at=at: np.interp(np.arange(n), at, v), axis, area)
    return area


def _equal_area(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Points in meters on the sphere whose areas are those of the ellipsoid, [..., 3]."""

    def q(sine: np.ndarray | float) -> np.ndarray | float:
        return (1 - E2) * (sine / (1 - E2 * sine**2) + np.arctanh(E * sine) / E)

    sine = q(np.sin(np.radians(np.clip(lat, -90, 90)))) / q(1.0)
    cosine, lon = np.sqrt(np.maximum(1 - sine**2, 0)), np.radians(lon)
    return A * np.sqrt(q(1.0) / 2) * np.stack([cosine * np.cos(lon), cosine * np.sin(lon), sine], -1)


def _in_space(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Points of the ellipsoid in meters from the middle of the Earth, [..., 3]."""
    lon, lat = np.radians(lon), np.radians(lat)
    normal = A / np.sqrt(1 - E2 * np.sin(lat) ** 2)
    return np.stack(
        [normal * np.cos(lat) * np.cos(lon), normal * np.cos(lat) * np.sin(lon), normal * (1 - E2) * np.sin(lat)], -1
    )


def distance(a: tuple[CRS, Affine], b: tuple[CRS, Affine]) -> float:
    """Meters, in a straight line, between the upper left corners of two rasters."""
    corners = [_in_space(*lonlat(crs, transform, 0, 0)) for crs, transform in (a, b)]
    return float(np.linalg.norm(corners[0] - corners[1]))


def pixel_meters(crs: CRS, transform: Affine, shape: tuple[int, int]) -> tuple[float, float]:
    """Meters on the ground along and across the rows of the pixel in the middle of a raster."""
    row, col = shape[0] / 2, shape[1] / 2
    at = np.array([[row, col - 0.5], [row, col + 0.5], [row - 0.5, col], [row + 0.5, col]])
    points = _in_space(*lonlat(crs, transform, *at.T))
    return float(np.linalg.norm(points[1] - points[0])), float(np.linalg.norm(points[3] - points[2]))


def bounds(crs: CRS, transform: Affine, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees of a raster; east is above 180 where it crosses that line.

    ValueError when no part of its edge has a place on Earth.
    """
    side, (height, width) = np.linspace(0, 1, EDGE), shape
    rows = height * np.concatenate([0 * side, side, 0 * side + 1, side[::-1]])
    cols = width * np.concatenate([side, 0 * side + 1, side[::-1], 0 * side])
    lon, lat = lonlat(crs, transform, rows, cols)
    known = np.isfinite(lon)
    if not known.any():
        raise ValueError("No edge of this raster lies on the Earth; check its reference system and coordinates.")
    lon, lat = lon[known], lat[known]
    if crs.is_geographic:  # its own numbers run on where degrees start again
        lon += 360 * np.round((_place(transform, cols, rows)[0][known] - lon) / 360)
    else:
        lon = np.unwrap(lon, period=360)
    south, north = float(lat.min()), float(lat.max())
    if abs(lon[-1] - lon[0]) > 180:  # once around a pole
        return (-180.0, south, 180.0, 90.0) if lat.mean() > 0 else (-180.0, -90.0, 180.0, north)
    west, east = float(lon.min()), float(lon.max())
    turns = 360.0 * floor((west + 180 + 1e-6) / 360)  # a world that begins at -180, but for rounding, begins there
    return west - turns, south, east - turns, north

"""From surfaces to a photograph: shading, cast shadows, haze, blur and noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

AERIAL_PIXEL = 0.5  # meters


def shading(relief: np.ndarray, elevation: float, azimuth: float) -> np.ndarray:
    """Sunlight on a surface (Lambert's cosine law), [rows, cols]; 1 on level ground. relief in meters."""
    slope_x, slope_y = np.zeros_like(relief), np.zeros_like(relief)
    slope_x[:, 1:-1] = (relief[:, 2:] - relief[:, :-2]) / (2 * AERIAL_PIXEL)
    slope_y[1:-1] = (relief[2:] - relief[:-2]) / (2 * AERIAL_PIXEL)
    to_x, to_y = np.sin(azimuth) / np.tan(elevation), -np.cos(azimuth) / np.tan(elevation)  # y points south
    lambert = 1 - np.float32(to_x) * slope_x - np.float32(to_y) * slope_y
    return np.maximum(lambert, 0) / np.sqrt(1 + slope_x**2 + slope_y**2)


def cast_shadow(top: np.ndarray, elevation: float, azimuth: float) -> np.ndarray:
    """How deep every pixel lies in shadow, [rows, cols], 0 (sunlit) to 1. top: height of the surface in meters.

    A pixel is in shadow when the ray to the sun passes below a top on its way: the tops, lowered by the ray's
    climb, are moved toward us by 1, 2, 4, ... pixels, so that seven steps cover 127 pixels.
    """
    step = np.array([-np.cos(azimuth), np.sin(azimuth)])  # toward the sun: rows, cols
    climb = np.float32(np.tan(elevation) * AERIAL_PIXEL)  # meters per pixel
    horizon = top.copy()
    for i in range(7):
        dy, dx = np.rint(step * 2**i).astype(int)
        if max(abs(dy), abs(dx)) >= min(top.shape):
            break
        inside, source = (_overlap(dy), _overlap(dx)), (_overlap(-dy), _overlap(-dx))
        horizon[inside] = np.maximum(horizon[inside], horizon[source] - climb * 2**i)
    return np.clip((horizon - top) / np.float32(0.6), 0, 1)


def _overlap(shift: int) -> slice:
    """Rows (or columns) that still lie inside when the image is moved by `shift`."""
    return slice(None, -shift) if shift > 0 else slice(-shift, None)


def illuminate(albedo: np.ndarray, top: np.ndarray, relief: np.ndarray, sun: tuple, sky: float) -> np.ndarray:
    """Color under sun and sky, [3, rows, cols]. sky: share of the light that comes from the blue sky."""
    lit = shading(relief, *sun) * (1 - cast_shadow(top, *sun))
    around = ndimage.uniform_filter(top, 13)  # high neighbors hide a part of the sky
    open_sky = 1 - 0.45 * np.clip((around - top) / 6, 0, 1)
    blue = np.array([0.9, 1.0, 1.13], np.float32)
    return np.stack([a * ((1 - sky) * lit + sky * b * open_sky) for a, b in zip(albedo, blue, strict=True)])


def photograph(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """What the camera makes of the light: exposure, color cast, haze, blur, gamma, noise; [3, rows, cols] uint8."""
    size = light.shape[-1]
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.045, 3))
    haze = rng.uniform(0, 0.13) * np.array([0.9, 1.0, 1.12])
    gamma, sigma, grain = rng.uniform(0.75, 1.1), rng.uniform(0.45, 0.85), rng.uniform(0.004, 0.012)
    ramp = np.linspace(-1, 1, size, dtype=np.float32) * np.float32(rng.normal(0, 0.04))  # bright and dark side
    noise = rng.standard_normal(light.shape, dtype=np.float32) * np.float32(grain)
    shot = np.empty_like(light)
    for band in range(3):
        seen = light[band] * (np.float32(gain[band] * (1 - haze[band])) * (1 + ramp)) + np.float32(haze[band])
        seen = ndimage.gaussian_filter(seen, sigma, truncate=2.5)
        shot[band] = np.maximum(seen, 0) ** np.float32(gamma)
    return (np.clip(shot + noise, 0, 1) * 255 + 0.5).astype(np.uint8)

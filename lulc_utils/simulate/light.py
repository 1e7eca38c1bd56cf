"""From surfaces to a photograph: where the sun stands, shading, cast shadows, haze, blur and noise."""

from __future__ import annotations

import datetime

import numpy as np
from scipy import fft, ndimage

METRES = 0.5  # ground size of a pixel


def fractal_noise(rng: np.random.Generator, size: int, slope: float) -> np.ndarray:
    """[size, size] float32 noise, mean 0 and deviation 1; amplitude falls as frequency ** -slope.

    slope 0 is white noise, 1 grainy, 2 and more cloudy. Made in the frequency domain with one FFT.
    """
    n = fft.next_fast_len(size, real=True)
    fy = fft.fftfreq(n).astype(np.float32)[:, None]
    fx = fft.rfftfreq(n).astype(np.float32)[None]
    power = np.maximum(fy * fy + fx * fx, 1 / n**2)
    spectrum = rng.standard_normal((n, n // 2 + 1, 2), dtype=np.float32).view(np.complex64)[..., 0]
    spectrum *= power ** (-slope / 2)
    spectrum[0, 0] = 0
    noise = fft.irfft2(spectrum, s=(n, n))[:size, :size]
    return (noise - noise.mean()) / noise.std()


def sun_position(latitude: float, date: datetime.date, hour: float) -> tuple[float, float]:
    """(elevation, azimuth) of the sun in radians; azimuth from north over east, hour in solar time (12 = noon)."""
    declination = np.radians(-23.44) * np.cos(2 * np.pi * (date.timetuple().tm_yday + 10) / 365.25)
    phi, angle = np.radians(latitude), np.radians(15 * (hour - 12))
    east = -np.cos(declination) * np.sin(angle)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(angle)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
    return float(np.arcsin(up)), float(np.arctan2(east, north) % (2 * np.pi))


def shading(relief: np.ndarray, elevation: float, azimuth: float) -> np.ndarray:
    """Sunlight on a surface (Lambert's cosine law), [rows, cols]; 1 on level ground. relief in metres."""
    slope_x, slope_y = np.zeros_like(relief), np.zeros_like(relief)
    slope_x[:, 1:-1] = (relief[:, 2:] - relief[:, :-2]) / (2 * METRES)
    slope_y[1:-1] = (relief[2:] - relief[:-2]) / (2 * METRES)
    to_x, to_y = np.sin(azimuth) / np.tan(elevation), -np.cos(azimuth) / np.tan(elevation)  # y points south
    lambert = 1 - np.float32(to_x) * slope_x - np.float32(to_y) * slope_y
    return np.maximum(lambert, 0) / np.sqrt(1 + slope_x**2 + slope_y**2)


def cast_shadow(top: np.ndarray, elevation: float, azimuth: float) -> np.ndarray:
    """How deep every pixel lies in shadow, [rows, cols], 0 (sunlit) to 1. top: height of the surface in metres.

    A pixel is in shadow when the ray to the sun passes below a top on its way: the tops, lowered by the ray's
    climb, are moved towards us by 1, 2, 4, ... pixels, so that seven steps cover 127 pixels.
    """
    step = np.array([-np.cos(azimuth), np.sin(azimuth)])  # towards the sun: rows, cols
    climb = np.float32(np.tan(elevation) * METRES)  # metres per pixel
    horizon = top.copy()
    for i in range(7):
        dy, dx = np.rint(step * 2**i).astype(int)
        if max(abs(dy), abs(dx)) >= min(top.shape):
            break
        here = _overlap(dy), _overlap(dx)
        there = _overlap(-dy), _overlap(-dx)
        raised = horizon[there] - climb * 2**i
        horizon[here] = np.maximum(horizon[here], raised)
    return np.clip((horizon - top) / np.float32(0.6), 0, 1)


def _overlap(shift: int) -> slice:
    """Rows (or columns) that still lie inside when the image is moved by `shift`."""
    return slice(None, -shift) if shift > 0 else slice(-shift, None)


def illuminate(albedo: np.ndarray, top: np.ndarray, relief: np.ndarray, sun: tuple, sky: float) -> np.ndarray:
    """Colour under sun and sky, [3, rows, cols]. sky: share of the light that comes from the blue sky."""
    lit = shading(relief, *sun) * (1 - cast_shadow(top, *sun))
    around = ndimage.uniform_filter(top, 13)  # high neighbours hide a part of the sky
    open_sky = 1 - 0.45 * np.clip((around - top) / 6, 0, 1)
    blue = np.array([0.9, 1.0, 1.13], np.float32)
    return np.stack([a * ((1 - sky) * lit + sky * b * open_sky) for a, b in zip(albedo, blue, strict=True)])


def photograph(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """What the camera makes of the light: exposure, colour cast, haze, blur, gamma, noise; [3, rows, cols] uint8."""
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

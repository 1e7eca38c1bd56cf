"""What both simulators share: noise, and where the sun stands."""

from __future__ import annotations

import datetime

import numpy as np
from scipy import fft


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

"""Between the ground and the data: sun on hills, the sensor's blur, haze, cloud and noise."""

from __future__ import annotations

import numpy as np

from lulc_utils.simulate.light import fractal_noise
from lulc_utils.simulate.satellite.spectra import CLOUD, COARSE, GROUND_BANDS, WAVELENGTHS

_BLUE = (492 / np.array(WAVELENGTHS, np.float32)) ** 2.0  # haze decreases from blue to infrared: [10], 1 in B02
_FINE = [i for i in range(len(GROUND_BANDS)) if i not in COARSE]
EDGE = 4  # pixels drawn around a scene, so that blur and shadows know what lies outside


def hillshade(hill: np.ndarray, steepness: float, sun: tuple[float, float]) -> np.ndarray:
    """Sunlight on hills relative to level ground, [n, n]; what remains after terrain correction."""
    elevation, azimuth = sun
    down, right = np.gradient(hill)
    toward = down * np.float32(np.cos(azimuth)) - right * np.float32(np.sin(azimuth))  # rows go south
    strength = steepness * len(hill) / 128 * 1.1 / np.tan(max(elevation, 0.35))
    return np.clip(1 + np.float32(strength) * toward, 0.45, 1.5)


def _smooth(image: np.ndarray, a: float) -> np.ndarray:
    """Every pixel takes the share `a` from its neighbors above and below, then left and right."""
    out = image.copy()
    out[..., 1:-1, :] += a * (image[..., 2:, :] + image[..., :-2, :] - 2 * image[..., 1:-1, :])
    image = out.copy()
    out[..., 1:-1] += a * (image[..., 2:] + image[..., :-2] - 2 * image[..., 1:-1])
    return out


def sense(ground: np.ndarray) -> np.ndarray:
    """What the sensor's optics make of reflectance [10, n, n], n even: blur, and 20 m bands on 10 m pixels.

    The blur leaves about a quarter of the contrast at the finest scale, as Sentinel-2 does. A pixel of a 20 m band is
    the mean of four, repeated four times. Every value is a mean of its surroundings: nothing becomes brighter or darker
    than they are.
    """
    out = np.empty_like(ground)
    out[_FINE] = _smooth(ground[_FINE], 0.18)
    n = ground.shape[-1] // 2
    pairs = ground[list(COARSE)]
    pairs = pairs[:, ::2] + pairs[:, 1::2]
    coarse = _smooth((pairs[..., ::2] + pairs[..., 1::2]) * np.float32(0.25), 0.12)  # [6, n, n]
    blocks = np.broadcast_to(coarse[:, :, None, :, None], (len(COARSE), n, 2, n, 2))
    out[list(COARSE)] = blocks.reshape(len(COARSE), 2 * n, 2 * n)
    return out


def add_haze(rng: np.random.Generator, pixels: np.ndarray, amount: float) -> np.ndarray:
    """Thin haze over [10, n, n]: light is scattered in, most of all blue, and the ground's contrast falls."""
    if not amount:
        return pixels
    density = amount * np.clip(1 + 0.25 * fractal_noise(rng, pixels.shape[-1], 2.4), 0, 2)
    veil = np.clip(density * _BLUE[:, None, None], 0, 1).astype(np.float32)
    return pixels * (1 - 0.6 * veil) + np.float32(0.18) * veil


def add_clouds(rng: np.random.Generator, pixels: np.ndarray, share: float, sun: tuple[float, float]) -> np.ndarray:
    """Clouds over about `share` of [10, n, n], and their shadows, moved away from the sun by the height of the clouds.

    Clouds are white, less so at 1.6 and 2.2 um where ice and water absorb; shadows keep the light of the sky, most of
    all blue. Clouds outside the scene cast shadows into it.
    """
    if not share:
        return pixels
    n = pixels.shape[-1]
    noise = fractal_noise(rng, n, 2.0)
    level = np.quantile(noise, 1 - share)
    opacity = np.clip((noise - level) / 0.6 + (0.5 if share < 1 else 1), 0, 1).astype(np.float32)
    elevation, azimuth = sun
    reach = rng.uniform(300, 900) / np.tan(max(elevation, 0.2)) / 10  # pixels
    moved = (int(round(np.cos(azimuth) * reach)), int(round(-np.sin(azimuth) * reach)))  # rows go south
    shadow = np.roll(opacity, moved, (0, 1)) * (1 - opacity)
    sky = (0.12 + 0.3 * _BLUE)[:, None, None]
    pixels = pixels * (1 - shadow * (1 - sky))
    return pixels + opacity * (np.array(CLOUD, np.float32)[:, None, None] - pixels)


def record(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Data as delivered: small errors of the atmospheric correction, the same all over the scene, and noise; 0 to 1."""
    gain = np.exp(rng.normal(0, 0.04) + rng.normal(0, 0.02, len(GROUND_BANDS)))
    offset = rng.normal(0.003, 0.007) * _BLUE + rng.normal(0, 0.001, len(GROUND_BANDS))
    out = pixels * gain[:, None, None].astype(np.float32) + offset[:, None, None].astype(np.float32)
    noise = rng.standard_normal(out.shape, dtype=np.float32)
    noise *= np.float32(0.008) * out + np.float32(0.0012)
    out += noise
    return np.clip(out, 0, 1, out=out)

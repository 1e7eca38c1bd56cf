"""What surfaces reflect in ten bands of Sentinel-2: soils, water, town materials, and leaves above any of them.

Plant canopies come from a table made with the PROSAIL model by `scripts/measure/canopy_table.py`. Everything else is a
list of ten typical reflectances (0 to 1), written by hand and not measured; they are listed here for a reader to judge
them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

# the ten bands of Sentinel-2 that look at the ground; the others look at the atmosphere
GROUND_BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
WAVELENGTHS = (492, 560, 665, 704, 741, 783, 833, 865, 1614, 2202)  # nanometers, centers of GROUND_BANDS
COARSE = (3, 4, 5, 7, 8, 9)  # index in GROUND_BANDS of those with 20 m pixels; the others have 10 m

SOILS = {  # dry
    "loam": (0.085, 0.115, 0.150, 0.175, 0.195, 0.215, 0.235, 0.250, 0.340, 0.290),
    "dark": (0.050, 0.066, 0.084, 0.098, 0.112, 0.126, 0.142, 0.155, 0.235, 0.205),
    "red": (0.052, 0.086, 0.172, 0.212, 0.235, 0.252, 0.266, 0.278, 0.385, 0.315),
    "clay": (0.100, 0.126, 0.152, 0.167, 0.180, 0.195, 0.210, 0.221, 0.310, 0.255),
    "chalk": (0.165, 0.220, 0.275, 0.298, 0.318, 0.338, 0.355, 0.370, 0.450, 0.400),
    "sand": (0.120, 0.175, 0.245, 0.275, 0.295, 0.315, 0.335, 0.350, 0.460, 0.420),
}
LITTER = (0.075, 0.110, 0.155, 0.185, 0.210, 0.235, 0.260, 0.280, 0.360, 0.265)  # straw, stubble, dead leaves
WATERS = {
    "clear": (0.022, 0.021, 0.013, 0.011, 0.009, 0.008, 0.007, 0.006, 0.004, 0.003),
    "turbid": (0.070, 0.105, 0.120, 0.112, 0.072, 0.070, 0.056, 0.050, 0.012, 0.008),
    "green": (0.026, 0.056, 0.031, 0.046, 0.027, 0.026, 0.021, 0.018, 0.006, 0.004),
}
MATERIALS = {
    "tile": (0.060, 0.085, 0.165, 0.205, 0.225, 0.245, 0.262, 0.275, 0.350, 0.330),
    "concrete": (0.150, 0.178, 0.200, 0.210, 0.220, 0.230, 0.237, 0.245, 0.300, 0.290),
    "asphalt": (0.070, 0.080, 0.090, 0.095, 0.100, 0.106, 0.114, 0.118, 0.155, 0.150),
    "metal": (0.270, 0.290, 0.310, 0.317, 0.324, 0.330, 0.335, 0.338, 0.360, 0.345),
    "thatch": (0.085, 0.118, 0.165, 0.188, 0.208, 0.225, 0.243, 0.256, 0.350, 0.300),
}
CLOUD = (0.62, 0.61, 0.62, 0.63, 0.64, 0.65, 0.65, 0.66, 0.46, 0.34)
_DRYING = (0.50, 0.50, 0.50, 0.50, 0.49, 0.49, 0.48, 0.48, 0.58, 0.64)  # share of light that full wetness takes away


_TRAITS = ("leaf_angle", "lai", "chlorophyll", "brown", "water")  # axes of the canopy table besides the sun


class Canopy(NamedTuple):
    """Plants on many places, each an array [U]: what the table of canopies asks for."""

    lai: np.ndarray  # leaf area per ground area, 0 to 7.5
    chlorophyll: np.ndarray  # micrograms per square centimeter of leaf, 4 to 65
    brown: np.ndarray  # 0 (fresh) to 1.2 (dead)
    water: np.ndarray  # centimeters of water in the leaf, 0.003 to 0.022
    steep: np.ndarray  # 0: flat leaves (beet), 1: steep leaves (wheat)


def table_of(spectra: dict[str, tuple]) -> np.ndarray:
    """The spectra of one of the tables above in its order, [K, 10] float32."""
    return np.array(list(spectra.values()), np.float32)


def wet(soil: np.ndarray, moisture: np.ndarray | float) -> np.ndarray:
    """Soil [..., 10] with moisture 0 (dry) to 1 (soaked): darker, most of all where water absorbs (1.6 and 2.2 um)."""
    moisture = np.asarray(moisture, np.float32)
    return soil * (1 - moisture[..., None] * np.array(_DRYING, np.float32))


@cache
def _canopy_table() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(terms [sun, leaf angle, lai, chlorophyll, brown, water, term, band] float32, the axes by name)."""
    with (files(__package__) / "canopy.npz").open("rb") as stream:
        stored = np.load(stream, allow_pickle=False)
        axes = {n: stored[n] for n in ("sun", *_TRAITS)}
        return stored["terms"].astype(np.float32), axes


def _place(axis: np.ndarray, value: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """(index of the grid point below, share of the way to the next); values outside are moved to the end."""
    value = np.clip(np.asarray(value, np.float32), axis[0], axis[-1])
    below = np.clip(np.searchsorted(axis, value, side="right") - 1, 0, len(axis) - 2)
    return below, (value - axis[below]) / (axis[below + 1] - axis[below])


def vegetation(canopy: Canopy, background: np.ndarray, sun_zenith: float) -> np.ndarray:
    """Reflectance of plants over a background, [U, 10].

    background  [U, 10] reflectance of what lies under the leaves: soil, litter or water
    sun_zenith  degrees; the table holds 20 to 70, and lower or higher suns count as these

    Multilinear between the grid points of the PROSAIL table; see `scripts/measure/canopy_table.py` for the three terms.
    """
    cube, axes = _canopy_table()
    at, share = _place(axes["sun"], sun_zenith)
    cube = cube[at] * (1 - share) + cube[at + 1] * share
    shape = cube.shape[:5]  # leaf angle, lai, chlorophyll, brown, water
    rows = cube.reshape(-1, 3 * len(GROUND_BANDS))
    angle = axes["leaf_angle"][0] + np.asarray(canopy.steep) * np.ptp(axes["leaf_angle"])
    values = (angle, canopy.lai, canopy.chlorophyll, canopy.brown, canopy.water)
    grid = [_place(axes[name], value) for name, value in zip(_TRAITS, values, strict=True)]
    steps = np.cumprod((1, *shape[:0:-1]))[::-1]  # rows between neighbors along each axis
    row, weight = np.zeros((1, len(background)), np.int64), np.ones((1, len(background)), np.float32)
    for (below, share), step in zip(grid, steps, strict=True):  # after it: [32, U], the corners around each canopy
        row = np.concatenate([row + below * step, row + (below + 1) * step])
        weight = np.concatenate([weight * (1 - share), weight * share])
    terms = weight.T[:, None].astype(np.float32) @ rows[row.T]  # [U, 1, 32] @ [U, 32, 30]
    above, through, back = terms.reshape(-1, 3, len(GROUND_BANDS)).transpose(1, 0, 2)
    return above + through * background / (1 - back * background)


def ndvi(pixels: np.ndarray) -> np.ndarray:
    """Normalized difference vegetation index of [10, ...] reflectances in GROUND_BANDS: (B08 - B04) / (B08 + B04)."""
    red, infrared = pixels[GROUND_BANDS.index("B04")], pixels[GROUND_BANDS.index("B08")]
    return (infrared - red) / np.maximum(infrared + red, 1e-6)

"""A published foundation model for satellite imagery, re-written for reading: Galileo (Tseng et al. 2025, MIT license).

    described = galileo.describe(scene.pixels, scene.bands, month=7, lonlat=(9.8, 57.2))  # [h / 4, w / 4, 128]

network     the encoder; equal to the authors' own (tests/golden/galileo_11.npz)
describe    from reflectance to a description of every patch

Code after the paper; numbers and weights are those of nasaharvest/galileo, commit 0f0b5b9. Radar is known to the
encoder, but no scene of this book has it; elevation, weather and maps, which it was trained with too, are left out.
"""

from lulc_utils.galileo.describe import describe, load, measurements, shared_facts
from lulc_utils.galileo.network import BANDS, GROUPS, Encoder

__all__ = ["BANDS", "GROUPS", "Encoder", "describe", "load", "measurements", "shared_facts"]

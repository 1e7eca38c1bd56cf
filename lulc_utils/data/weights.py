"""Published weights, as checked files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lulc_utils.data.download import fetch


class GalileoFiles(NamedTuple):
    """Where the three files of a Galileo encoder lie.

    encoder        a plain state dict: torch.load(encoder, map_location="cpu", weights_only=True)
    config         JSON: width, depth, heads, ... under ["model"]["encoder"]
    normalization  JSON: mean and standard deviation of the bands; those of space and time are under "13"
    """

    encoder: Path
    config: Path
    normalization: Path


def galileo_nano(*, progress: bool = True) -> GalileoFiles:
    """The smallest published Galileo encoder (Tseng et al. 2025; MIT), checked by SHA-256, fetched if needed.

    A band enters as (x - (mean - 2 std)) / (4 std), reflectance times 10 000, NDVI as it is; the order is VV VH B2 B3
    B4 B5 B6 B7 B8 B8A B11 B12 NDVI. DataUnavailable when files are missing.
    """
    folder = fetch("galileo-nano", progress=progress)
    names = ("data/models/nano/encoder.pt", "data/models/nano/config.json", "config/normalization.json")
    return GalileoFiles(*(folder / name for name in names))

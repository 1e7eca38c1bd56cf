"""From the numbers in the files to surface reflectance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lulc_utils.places.choose import baseline

if TYPE_CHECKING:
    from pystac import Asset, Item

ADDED = 0.1  # reflectance added by baseline 04.00 and later; see `scale_and_offset`
IMPOSSIBLE = -0.05  # surface reflectance below this in 5 % of a band: the offset was subtracted twice


def scale_and_offset(item: Item, asset: Asset, offset: float | None = None) -> tuple[float, float]:
    """(scale, offset) of one band: surface reflectance = number * scale + offset, from the item's metadata.

    Since processing baseline 04.00 (January 2022) ESA adds 0.1, so that no number has to be negative. Earth Search has
    subtracted it again in most items of `sentinel-2-l2a` and says so in `earthsearch:boa_offset_applied`, while its
    `raster:bands` still states -0.1 in either case; its maintainers say to trust the former (Element84/earth-search,
    issue 9). So: applied -> 0; an older baseline -> 0; otherwise what the band states, or -0.1 when it states nothing.
    ValueError when the item does not say enough to decide. `offset` overrides the metadata.
    """
    stated = {key: _stated(asset, key) for key in ("scale", "offset")}
    scale = float(stated["scale"] or 1e-4)
    if offset is not None:
        return scale, offset
    applied, version = item.properties.get("earthsearch:boa_offset_applied"), baseline(item)
    if applied is True or (version is not None and version < (4, 0)):
        return scale, 0.0
    if stated["offset"] is not None and not (applied is False and float(stated["offset"]) == 0):
        return scale, float(stated["offset"])
    if version is None:
        raise ValueError(
            f"The image {item.id} does not say whether {ADDED:g} was added to its reflectance (no processing baseline "
            "and no offset); pass offset=0 or offset=-0.1 if you know."
        )
    return scale, -ADDED


def _stated(asset: Asset, key: str) -> float | None:
    """A number of the band by STAC's raster extension: of the asset, or of its band in STAC 1.1 or 1.0."""
    fields = asset.extra_fields
    new, old = ((fields.get(name) or [{}])[0] for name in ("bands", "raster:bands"))
    return next(
        (v for v in (fields.get(f"raster:{key}"), new.get(f"raster:{key}"), old.get(key)) if v is not None), None
    )


def to_reflectance(numbers: np.ndarray, item: Item, asset: Asset, band: str, offset: float | None) -> np.ndarray:
    """Numbers [rows, cols], NaN where nothing was measured -> reflectance, none below 0.

    ValueError when the pixels contradict the metadata.
    """
    scale, stated = scale_and_offset(item, asset, offset)
    values = numbers * np.float32(scale) + np.float32(stated)
    known = values[np.isfinite(values)]
    if offset is None and stated < 0 and known.size and np.percentile(known, 5) < IMPOSSIBLE:
        raise ValueError(
            f"The catalog says that {-stated:g} was added to the reflectance of {item.id}, but without it much of "
            f"band {band} would be below {IMPOSSIBLE:g}, which is impossible; such errors are known. Pass offset=0 "
            "(--offset 0) or choose other dates."
        )
    return np.maximum(values, 0)

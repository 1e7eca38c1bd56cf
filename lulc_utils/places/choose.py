"""Which images to use: one pass of one satellite that covers the box, with the fewest clouds."""

from __future__ import annotations

import datetime
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rasterio.features import rasterize
from rasterio.transform import from_bounds

from lulc_utils.places.box import Box, checked_bbox

if TYPE_CHECKING:
    from pystac import Item

POINTS = 64  # side of the lattice on which a footprint is compared with the box


def day_of(item: Item) -> datetime.date:
    """The day on which an image was taken, in universal time."""
    return _time(item).date()


def share_of(item: Item, bbox: Box) -> np.ndarray:
    """[POINTS, POINTS] bool: which points of a lattice in the box lie in the item's footprint."""
    lattice = from_bounds(*bbox, POINTS, POINTS)
    return rasterize([item.geometry], (POINTS, POINTS), transform=lattice, all_touched=False).astype(bool)


def choose(items: Sequence[Item], bbox: Sequence[float], max_cloud: float) -> list[Item]:
    """The images of the one satellite pass that covers the box with the fewest clouds.

    A box may lie in several images (their squares of 110 km overlap) or need several. Only images of one satellite
    and day are combined, so that no seam in a mosaic is a change of season. If an image was processed twice, the
    newer baseline is used. Of the days that cover the box, the one with the lowest mean cloud cover is chosen, then the
    earliest; `eo:cloud_cover` refers to the whole image. ValueError, saying what there is, when no day fits.
    """
    bbox = checked_bbox(bbox)
    if not 0 <= max_cloud <= 100:
        raise ValueError(f"The cloud limit is a percentage from 0 to 100, not {max_cloud:g}.")
    if not items:
        raise ValueError("No image of this place exists in these days; choose other dates.")
    items = _newest(items, bbox)
    clear = [i for i in items if _clouds(i) <= max_cloud]
    if not clear:
        raise ValueError(
            f"All {len(items)} images of this place in these days are more than {max_cloud:g} % cloud (the clearest "
            f"{min(map(_clouds, items)):.0f} %); choose other dates or a higher limit."
        )
    passes = defaultdict(list)
    for item in clear:
        passes[day_of(item), item.properties.get("platform", "")].append(item)
    covers = {key: cover(members, bbox) for key, members in passes.items()}
    fitting = [(np.mean([_clouds(i) for i in used]), *key) for key, (used, share) in covers.items() if share == 1]
    if not fitting:
        best = max(share for _, share in covers.values())
        raise ValueError(
            f"No single day covers the whole box with at most {max_cloud:g} % cloud (the best covers {best:.0%}); "
            "choose a smaller box, other dates or a higher limit."
        )
    _, day, platform = min(fitting)
    return covers[day, platform][0]


def cover(items: Sequence[Item], bbox: Box) -> tuple[list[Item], float]:
    """A few items that cover the box, largest share first, and the share they cover together."""
    shares = {i.id: share_of(i, bbox) for i in items}
    covered, used, left = np.zeros((POINTS, POINTS), bool), [], sorted(items, key=lambda i: (_clouds(i), i.id))
    while left and not covered.all():
        item = max(left, key=lambda i: (shares[i.id] & ~covered).sum())  # the first one in a tie
        if not (shares[item.id] & ~covered).any():
            break
        covered |= shares[item.id]
        used.append(item)
        left.remove(item)
    return used, float(covered.mean())


def baseline(item: Item) -> tuple[int, int] | None:
    """The processing baseline, "05.11" or "5.11.0" as (5, 11); None when the item does not give it."""
    version = item.properties.get("s2:processing_baseline", item.properties.get("processing:version"))
    numbers = re.match(r"N?(\d+)\.(\d+)", str(version))
    return numbers and (int(numbers[1]), int(numbers[2]))


def _newest(items: Sequence[Item], bbox: Box) -> list[Item]:
    """The items without older versions of the same image: same satellite, moment and square."""
    newest = defaultdict(lambda: (0, 0))
    keys = [_acquisition(item, bbox) for item in items]
    for key, item in zip(keys, items, strict=True):
        newest[key] = max(newest[key], baseline(item) or (0, 0))
    return [i for key, i in zip(keys, items, strict=True) if (baseline(i) or (0, 0)) == newest[key]]


def _acquisition(item: Item, bbox: Box) -> tuple:
    """Key shared by all versions of one image; without a named square, it includes the part of the box they cover."""
    properties = item.properties
    square = properties.get("grid:code") or properties.get("s2:mgrs_tile") or share_of(item, bbox).tobytes()
    return str(properties.get("platform")).lower(), _time(item).replace(second=0, microsecond=0), square


def _time(item: Item) -> datetime.datetime:
    return item.datetime or item.common_metadata.start_datetime


def _clouds(item: Item) -> float:
    """Cloud cover of the whole image in percent; unknown counts as all."""
    value = item.properties.get("eo:cloud_cover")
    return 100.0 if value is None else float(value)

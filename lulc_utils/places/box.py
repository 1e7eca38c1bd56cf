"""Where and when: boxes in degrees, and days."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence

Box = tuple[float, float, float, float]  # west, south, east, north in degrees


def around(lat: float, lon: float, size: float) -> Box:
    """The box (west, south, east, north) in degrees of a square of `size` meters around a point.

    ValueError for a point off the Earth or a size that is not positive.
    """
    if not (-90 < lat < 90 and -180 <= lon <= 180 and size > 0):
        raise ValueError(f"There is no square of {size:g} m around latitude {lat:g}, longitude {lon:g}.")
    half = size / 2 / 111_320  # degrees of latitude
    wide = half / math.cos(math.radians(lat))
    return lon - wide, lat - half, lon + wide, lat + half


def parse_bbox(text: str) -> Box:
    """Four numbers in a string, with commas or spaces: "9.80, 57.20, 9.86, 57.23". ValueError if they are not."""
    try:
        west, south, east, north = (float(x) for x in re.split(r"[,\s]+", text.strip()))
    except ValueError:
        raise ValueError(f"A box is four numbers, west south east north in degrees, not '{text}'.") from None
    return west, south, east, north


def checked_bbox(bbox: Sequence[float]) -> Box:
    """The same box as floats; ValueError, saying what is wrong, unless it lies on the UTM grids of the Earth."""
    if len(bbox) != 4 or not all(math.isfinite(x) for x in bbox):
        raise ValueError(f"A box is four numbers, west south east north in degrees, not {bbox!r}.")
    west, south, east, north = map(float, bbox)
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise ValueError(
            f"Longitudes lie between -180 and 180, but the box reaches from {west:g} to {east:g}; a box across the "
            "antimeridian must be cut in two there."
        )
    if west >= east:
        raise ValueError(
            f"The box's west ({west:g}) must be smaller than its east ({east:g}); if it is meant to cross the "
            "antimeridian (180 degrees), cut it in two there."
        )
    if south >= north:
        raise ValueError(f"The box's south ({south:g}) must be smaller than its north ({north:g}).")
    if south < -80 or north > 84:
        raise ValueError(f"UTM grids reach from 80 S to 84 N, but the box reaches from {south:g} to {north:g}.")
    return west, south, east, north


def checked_dates(dates: str) -> tuple[datetime.date, datetime.date]:
    """First and last day of "2023-06-01/2023-08-31", or of one day; ValueError when it is neither."""
    parts = str(dates).split("/")
    try:
        first, last = (datetime.date.fromisoformat(p.strip()) for p in (parts * 2 if len(parts) == 1 else parts))
    except ValueError:
        raise ValueError(f"Dates look like 2023-06-01/2023-08-31 (or one day, 2023-06-01), not '{dates}'.") from None
    if first > last:
        raise ValueError(f"The first day ({first}) is later than the last ({last}); swap them.")
    return first, last

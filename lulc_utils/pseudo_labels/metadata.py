"""Where and when an image was taken, as numbers that a network can use.

An encoding is a function (latitude [B], longitude [B], day [B]) -> [B, E]. Several are joined by `encode`, for
example the place on the unit sphere and the day on the circle of the year. Unknown metadata is NaN in all
columns of its encoding: a network must give it a separate embedding (`pseudo_labels.Embedding` learns one), and
code that forgets to do so gets NaN instead of a place in the Gulf of Guinea.

Source of the problem: Bernhard et al. 2024 (arXiv 2404.18583), whose code uses `scaled_place` and `season`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

YEAR = 365.25  # days
Array = np.ndarray | torch.Tensor | Sequence[float]
Encoding = Callable[[Array, Array, Array], torch.Tensor]

# ------------------------------------------------------------------------------------------------- encodings


def scaled_place(lat: Array, lon: Array, day: Array) -> torch.Tensor:
    """Latitude / 90 and longitude / 180, [B, 2] in -1..1. It jumps at longitude 180 (Bernhard et al. 2024)."""
    lat, lon, _ = check(lat, lon, day, unknown_places=True)
    return torch.stack([lat / 90, lon / 180], 1).float()


def unit_sphere(lat: Array, lon: Array, day: Array) -> torch.Tensor:
    """The place as a point x, y, z of the unit sphere, [B, 3]: nearby places have nearby codes everywhere."""
    lat, lon, _ = check(lat, lon, day, unknown_places=True)
    lat, lon = lat.deg2rad(), lon.deg2rad()
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], 1).float()


def nearby(lat: Array, lon: Array, day: Array, middle: tuple[float, float], scale: tuple[float, float]) -> torch.Tensor:
    """The place in units of one region, [B, 2]: (latitude - middle) / scale and the same of longitude.

    Across a few hundred kilometers a point of the unit sphere hardly moves; here the region is as wide as 1. Only for
    regions that do not reach over longitude 180. Use it with `functools.partial`.
    """
    lat, lon, _ = check(lat, lon, day, unknown_places=True)
    return torch.stack([(lat - middle[0]) / scale[0], (lon - middle[1]) / scale[1]], 1).float()


def sphere_fourier(lat: Array, lon: Array, day: Array, frequencies: int = 4) -> torch.Tensor:
    """The point p of the unit sphere with sin and cos of 2^k pi p, k < frequencies: [B, 3 + 6 frequencies].

    Every frequency halves the distance at which the code changes; the 4th repeats after a quarter of the Earth's
    radius (about 1600 km). Fine detail helps to memorize places and says nothing about those in between.
    Source: Fourier features (Tancik et al. 2020, arXiv 2006.10739), here of a point of the sphere.
    """
    if frequencies < 1:
        raise ValueError(f"frequencies must be at least 1, not {frequencies}; use unit_sphere for none.")
    point = unit_sphere(lat, lon, day).double()
    angles = torch.cat([point * (torch.pi * 2**k) for k in range(frequencies)], 1)  # [B, 3 frequencies]
    return torch.cat([point, angles.sin(), angles.cos()], 1).float()


def season(lat: Array, lon: Array, day: Array) -> torch.Tensor:
    """The day of the year on a circle, sin and cos of 2 pi day / 365.25: [B, 2]; NaN where the day is unknown.

    The end of December lies next to the beginning of January. It is the calendar's season: what it means for
    plants is opposite north and south of the equator, so give it together with a place.
    """
    _, _, day = check(lat, lon, day, unknown_places=True)
    angle = 2 * torch.pi * day / YEAR
    return torch.stack([angle.sin(), angle.cos()], 1).float()


def nothing(lat: Array, lon: Array, day: Array) -> torch.Tensor:
    """No metadata, [B, 0]: the control."""
    return torch.zeros(len(check(lat, lon, day, unknown_places=True)[0]), 0)


# ------------------------------------------------------------------------------------------ joining, checking


def encode(
    lat: Array, lon: Array, day: Array, encodings: Sequence[Encoding], place_known: Array | None = None
) -> torch.Tensor:
    """Encodings side by side, [B, sum E] float32, with NaN in all columns of unknown metadata.

    lat, lon      [B] degrees, north and east positive
    day           [B] day of the year 1..366, NaN = unknown
    encodings     functions of this module, or others with the same signature
    place_known   [B] bool; where False, lat and lon are ignored and the place is unknown; None: all are known

    ValueError when a place or a day is impossible, or a place is NaN without `place_known` saying so.
    """
    lat, lon = (torch.as_tensor(np.asarray(v), dtype=torch.float64).clone() for v in (lat, lon))
    if place_known is not None:
        hidden = ~torch.as_tensor(np.asarray(place_known)).bool()
        if hidden.shape != lat.shape or hidden.shape != lon.shape:
            raise ValueError(
                f"place_known has shape {tuple(hidden.shape)}, but there are {len(lat)} latitudes and "
                f"{len(lon)} longitudes; give one value for each."
            )
        lat[hidden] = lon[hidden] = torch.nan
    check(lat, lon, day, unknown_places=place_known is not None)
    return torch.cat([torch.zeros(len(lat), 0), *(encoding(lat, lon, day) for encoding in encodings)], 1)


def widths(encodings: Sequence[Encoding]) -> tuple[int, ...]:
    """How many columns each encoding has; a network needs to know which belong together."""
    return tuple(encoding([0.0], [0.0], [1.0]).shape[1] for encoding in encodings)


def unknown(count: int, encodings: Sequence[Encoding]) -> torch.Tensor:
    """Metadata of `count` images whose place and date are unknown, [count, sum E]: all NaN."""
    return torch.full((count, sum(widths(encodings))), torch.nan)


def check(
    lat: Array, lon: Array, day: Array, unknown_places: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latitude, longitude and day as float64 tensors [B]; ValueError names the first that is impossible.

    A day may be NaN (unknown). A place may be NaN only with `unknown_places`, and then in both coordinates.
    """
    lat, lon, day = (torch.as_tensor(np.asarray(v), dtype=torch.float64) for v in (lat, lon, day))
    if not lat.ndim == lon.ndim == day.ndim == 1 or not len(lat) == len(lon) == len(day):
        shapes = ", ".join(str(tuple(v.shape)) for v in (lat, lon, day))
        raise ValueError(f"Latitude, longitude and day must have the same length, but their shapes are {shapes}.")
    _refuse(lat, lat.abs() > 90, "Latitude", "outside -90..90 degrees; are latitude and longitude swapped?")
    _refuse(lon, lon.abs() > 180, "Longitude", "outside -180..180 degrees; subtract 360 from values over 180.")
    _refuse(day, (day < 1) | (day > 366), "Day of the year", "outside 1..366; use NaN for an unknown date.")
    missing = lat.isnan() | lon.isnan()
    if unknown_places:
        missing &= lat.isnan() != lon.isnan()
    if missing.any():
        row = int(missing.nonzero()[0])
        raise ValueError(f"The place of row {row} is not a number; set place_known to False there if it is unknown.")
    return lat, lon, day


def _refuse(values: torch.Tensor, wrong: torch.Tensor, name: str, reason: str) -> None:
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(f"{name} {float(values[row]):g} of row {row} lies {reason}")

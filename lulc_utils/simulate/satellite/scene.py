"""Simulated Sentinel-2 scenes: surface reflectance in ten bands at 10 m, with the class of every pixel known.

1. ground      Rivers, towns, forests and fields of a region are laid out once per seed (fields.py).
2. season      Latitude, climate and crop calendar give every plant's stage on the day (seasons.py, regions.py).
3. spectra     PROSAIL canopies above soil, litter or water, and mixtures of roofs (spectra.py, cover.py).
4. hills, sensor, atmosphere: shading, blur, 20 m bands, haze, cloud and shadow, noise (atmosphere.py).

The same seed shows the same ground on every date. A single pixel on a single day does not know its class: a green field
in May is wheat at 50 degrees north and weeds in a savanna. Season, place and surroundings tell which. The regions are
invented; nothing looks like this at the coordinates of a scene.
"""

from __future__ import annotations

import datetime
import operator
import zlib
from collections.abc import Iterable

import numpy as np

from lulc_utils.legends import SATELLITE_CLASSES
from lulc_utils.scene import Scene
from lulc_utils.simulate.light import sun_position
from lulc_utils.simulate.place import checked, utm
from lulc_utils.simulate.satellite.atmosphere import EDGE, add_clouds, add_haze, hillshade, record, sense
from lulc_utils.simulate.satellite.cover import reflectance
from lulc_utils.simulate.satellite.fields import SATELLITE_PIXEL, Ground, draw_ground
from lulc_utils.simulate.satellite.regions import REGIONS, Region
from lulc_utils.simulate.satellite.seasons import season_day, weather
from lulc_utils.simulate.satellite.spectra import GROUND_BANDS

SMALLEST_SATELLITE = 16  # pixels
DEFAULT_YEAR = 2020  # of scenes whose date is given as a day of the year; a leap year, so that it has a day 366
FIRST_YEAR, YEARS = 2018, 6  # from which dates are drawn
OVERPASS = 10.5  # solar time at which Sentinel-2 passes, hours


def satellite(
    seed: int,
    region: str = "temperate plain, Europe",
    date: datetime.date | int | None = None,
    *,
    size: int = 128,
    haze: float = 0.0,
    clouds: float = 0.0,
    place: tuple[float, float] | None = None,
) -> Scene:
    """One simulated Sentinel-2 scene, the same for the same arguments.

    seed     which ground: fields, towns, rivers
    region   a key of REGIONS
    date     a date, a day of the year 2020 (1 to 366), or None: drawn from the region's season by the seed
    haze     0 (none) to 1 (thick)
    clouds   share of the sky under cloud, 0 to 1; labels say what lies below
    place    (latitude, longitude) to which the region's ground, crops and rains move; None: drawn within the region

    Returns a Scene: pixels [10, size, size] float32 reflectance 0 to 1 in the order of GROUND_BANDS, labels
    [size, size] uint8 without gaps, classes SATELLITE_CLASSES, in UTM. `group` is region and seed: all dates of one
    ground are one group.
    ValueError for a region that does not exist and for numbers out of range.
    """
    seed, size, land = _checked(seed, size, region, haze, clouds)
    when = _drawn_date(seed, land) if date is None else _as_date(date)
    ground, where = _ground_and_place(seed, land, size, place)
    return _seen(seed, land, ground, size, where, when, haze, clouds)


def satellite_year(
    seed: int,
    region: str = "temperate plain, Europe",
    *,
    dates: int | Iterable[datetime.date | int] = 12,
    size: int = 128,
    haze: float = 0.0,
    clouds: float = 0.0,
    place: tuple[float, float] | None = None,
) -> list[Scene]:
    """`satellite` for many dates of one ground, which is laid out only once.

    dates    how many, evenly over the year 2020, or the dates themselves; the rest as for `satellite`
    """
    seed, size, land = _checked(seed, size, region, haze, clouds)
    if isinstance(dates, int | np.integer):
        if not 1 <= dates <= 366:
            raise ValueError(f"A year of scenes needs 1 to 366 dates, not {dates}.")
        dates = [1 + int((i + 0.5) * 366 / dates) for i in range(dates)]
    days = [_as_date(d) for d in dates]
    ground, where = _ground_and_place(seed, land, size, place)
    return [_seen(seed, land, ground, size, where, day, haze, clouds) for day in days]


def region_of(scene: Scene) -> str:
    """Name of the region that a simulated scene was drawn from; ValueError for any other scene."""
    name = scene.group.rpartition(": ")[0]
    if name not in REGIONS:
        raise ValueError(f"Scene '{scene.name}' was not drawn by simulate.satellite, so it has no region.")
    return name


# ------------------------------------------------------------------------------------------------ arguments


def _checked(seed: int, size: int, region: str, haze: float, clouds: float) -> tuple[int, int, Region]:
    seed, size = checked(seed, size, SMALLEST_SATELLITE)
    if region not in REGIONS:
        raise ValueError(f"There is no simulated region '{region}'; there are: {'; '.join(REGIONS)}.")
    for name, value in (("haze", haze), ("clouds", clouds)):
        if not 0 <= value <= 1:
            raise ValueError(f"The argument {name} must lie in 0..1, but it is {value}.")
    return seed, size, REGIONS[region]


def _as_date(date: datetime.date | int) -> datetime.date:
    """A date from a date or from a day of the year 2020."""
    if isinstance(date, datetime.datetime):
        return date.date()
    if isinstance(date, datetime.date):
        return date
    day = operator.index(date)
    if not 1 <= day <= 366:
        raise ValueError(f"The day of the year must lie in 1..366, but it is {day}.")
    return datetime.date(DEFAULT_YEAR, 1, 1) + datetime.timedelta(days=day - 1)


def _rng(seed: int, region: Region, *more: int) -> np.random.Generator:
    """Numbers that depend on seed, region and purpose, and on nothing else."""
    return np.random.default_rng([seed, zlib.crc32(region.name.encode()), *more])


def _middle(region: Region) -> tuple[float, float]:
    return sum(region.latitudes) / 2, sum(region.longitudes) / 2


def _drawn_date(seed: int, region: Region) -> datetime.date:
    """A day of the growing season in one of several years."""
    rng = _rng(seed, region, 1)
    day = season_day(rng.uniform(*region.season), _middle(region)[0])  # half a year off either way is the same
    return datetime.date(FIRST_YEAR + int(rng.integers(YEARS)), 1, 1) + datetime.timedelta(days=min(int(day), 364))


def _ground_and_place(seed: int, region: Region, size: int, place: tuple | None) -> tuple[Ground, tuple[float, float]]:
    """(ground with EDGE pixels and more around it, (latitude, longitude))."""
    rng = _rng(seed, region, 0)
    drawn = rng.uniform(*region.latitudes), rng.uniform(*region.longitudes)
    latitude, longitude = drawn if place is None else map(float, place)
    if not (-60 <= latitude <= 70 and -180 <= longitude < 180):
        raise ValueError(
            "A place is (latitude, longitude) with latitude in -60..70 and longitude in -180..180, "
            f"not ({latitude:g}, {longitude:g})."
        )
    return draw_ground(rng, region, size + size % 2 + 2 * EDGE), (latitude, longitude)


# ------------------------------------------------------------------------------------------------ the scene


def _seen(
    seed: int,
    region: Region,
    ground: Ground,
    size: int,
    place: tuple[float, float],
    date: datetime.date,
    haze: float,
    clouds: float,
) -> Scene:
    """The ground on one date, through sensor and atmosphere."""
    day, (latitude, longitude) = date.timetuple().tm_yday, place
    sun = sun_position(latitude, date, OVERPASS)
    odd = _rng(date.year, region, 2).normal(0, (5, 0.05))  # the year: days late, extra moisture; one for all seeds
    now = weather(region.climate, latitude, longitude, day, tuple(odd))
    pixels = reflectance(ground, region, now, float(90 - np.degrees(sun[0])))
    pixels *= hillshade(ground.hill, region.relief, sun)
    inner = np.s_[..., EDGE : EDGE + size, EDGE : EDGE + size]
    rngs = [_rng(seed, region, 3 + i, date.toordinal()) for i in range(3)]  # so that haze does not move the clouds
    pixels = add_haze(rngs[0], sense(pixels)[inner], haze)
    pixels = record(rngs[2], add_clouds(rngs[1], pixels, clouds, sun))
    crs, transform = utm(latitude, longitude, SATELLITE_PIXEL, grid=SATELLITE_PIXEL)
    group = f"{region.name}: {seed:04d}"
    return Scene(
        name=f"{group} {date.isoformat()}",
        pixels=pixels,
        bands=GROUND_BANDS,
        source=f"simulated satellite scene, {region.name}, seed {seed}",
        labels=np.ascontiguousarray(ground.labels[inner]),
        classes=SATELLITE_CLASSES,
        transform=transform,
        crs=crs,
        date=date,
        group=group,
    )

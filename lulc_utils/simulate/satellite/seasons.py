"""Phenology: what the day of the year does to temperature, moisture and plants, at any latitude.

All calendars are written in *season days*: days of the year as a farmer of the northern hemisphere counts them. South
of the equator the same season comes half a year later; close to the equator the calendar slides from one to the other.
Everything is a continuous function of latitude, longitude and day.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DAYS_PER_YEAR = 365.25
COLDEST = 20  # season day


class Climate(NamedTuple):
    """The year of a region at its reference place, and how it changes around it."""

    latitude: float  # the reference place
    longitude: float
    mean: float  # temperature of the year, degrees Celsius; 0.7 degrees less per degree of latitude poleward
    swing: float  # half the difference of the hottest and the coldest day
    swing_inland: float  # what a degree of longitude eastward adds to it
    wetness: float  # moisture of the soil, mean of the year, 0 to 1
    wet_swing: float  # half the difference of the wettest and the driest day
    wettest: float  # season day
    drier: float  # change of wetness per degree of latitude poleward
    delay: tuple[float, float] = (3.0, 0.4)  # days by which crops are later per degree poleward, per degree eastward


class Weather(NamedTuple):
    """A place on one day."""

    day: float  # season day, 0 to 365.25, shifted because this year is early or late
    warmth: float  # degrees Celsius, as the climate has it
    moisture: float  # of the soil, 0 to 1
    delay: float  # days by which crops are later than at the reference place


class Crop(NamedTuple):
    """A crop's calendar in season days, and its plants at their best."""

    name: str
    sown: float
    start: float  # the main growth begins (for winter crops: in spring),
    full: float  # and ends with all leaves out
    ripe: float  # leaves begin to turn
    gone: float  # harvested
    lai: float
    steep: float  # 0: flat leaves, 1: steep leaves
    young: float = 0.06  # share of the leaves between sowing and `start`


class Growth(NamedTuple):
    """State of crops on many fields, arrays [U]."""

    leaves: np.ndarray  # share of the full leaf area
    ripeness: np.ndarray  # 0 green to 1 dead
    residue: np.ndarray  # share of the ground under stubble


def step(value: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, smooth between (low > high: the other way round)."""
    t = np.clip((np.asarray(value, float) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def season_day(day: float, latitude: float) -> float:
    """Day of the year as season day: unchanged north of 4 degrees north, half a year off south of 4 degrees south."""
    return float((day + DAYS_PER_YEAR / 2 * step(latitude, 4, -4)) % DAYS_PER_YEAR)


def weather(climate: Climate, latitude: float, longitude: float, day: float, year: tuple = (0, 0)) -> Weather:
    """The climate at a place on a day of the year (1 to 366).

    year  how this year differs: (days by which everything is later, extra moisture)
    """
    now = (season_day(day, latitude) - year[0]) % DAYS_PER_YEAR
    poleward = abs(latitude) - abs(climate.latitude)
    east = longitude - climate.longitude
    swing = max(climate.swing + 0.35 * poleward + climate.swing_inland * east, 0.5)
    warmth = climate.mean - 0.7 * poleward - swing * np.cos(2 * np.pi * (now - COLDEST) / DAYS_PER_YEAR)
    rain = climate.wet_swing * np.cos(2 * np.pi * (now - climate.wettest) / DAYS_PER_YEAR)
    moisture = np.clip(climate.wetness + year[1] + climate.drier * poleward + rain, 0, 1)
    delay = climate.delay[0] * poleward + climate.delay[1] * east
    return Weather(now, float(warmth), float(moisture), float(delay))


def greenness(now: Weather) -> float:
    """How well wild grass grows, 0 (frost or drought) to 1."""
    return float(step(now.warmth, -3, 9) * step(now.moisture, 0.12, 0.55))


def leaf_out(now: Weather, by_rain: float) -> np.ndarray:
    """Leaves of trees that shed them, 0 to 1; by_rain: 0 where cold makes them do so, 1 where drought does."""
    return (1 - by_rain) * step(now.warmth, 5, 13) + by_rain * step(now.moisture, 0.1, 0.5)


def crop_growth(crop: Crop, day: np.ndarray) -> Growth:
    """State of a crop on season days [U], which already contain the delay of the place and of the field.

    Leaves rise in two steps (young plants, then the main growth) and fall when ripe; stubble stays after the harvest
    and fades within about three months, or is plowed under a month before the next sowing.
    """
    since = (np.asarray(day, float) - crop.sown) % DAYS_PER_YEAR
    start, full, ripe, gone = ((d - crop.sown) % DAYS_PER_YEAR for d in (crop.start, crop.full, crop.ripe, crop.gone))
    young = crop.young * step(since, 5, 35)
    standing = young + (1 - young) * step(since, start, full)
    ripeness = step(since, ripe - 8, gone)
    cut = step(since, gone + 3, gone - 3)
    leaves = standing * (1 - 0.55 * ripeness) * cut
    unplowed = step(since, DAYS_PER_YEAR - 10, DAYS_PER_YEAR - 40)
    residue = (1 - cut) * np.exp(-np.maximum(since - gone, 0) / 60) * unplowed
    return Growth(leaves, ripeness * cut, residue)

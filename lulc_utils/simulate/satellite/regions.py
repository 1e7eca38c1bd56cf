"""The regions of the satellite simulator: invented, each simulated after a type of place.

The numbers are round and come from general knowledge, not from a survey, and none was fitted to data. The windows from
which dates are drawn (`season`) keep the classes hard to tell apart, but not hopeless. Calendars are in season days
(see seasons.py): on the southern hemisphere, day 200 is in January.
"""

from __future__ import annotations

from typing import NamedTuple

from lulc_utils.simulate.satellite.seasons import Climate, Crop


class Region(NamedTuple):
    """A type of place: where it lies, its climate, and what people and plants make of it."""

    name: str
    continent: str
    latitudes: tuple[float, float]
    longitudes: tuple[float, float]
    climate: Climate
    mix: tuple[float, ...]  # mean share of the classes, in the order of SATELLITE_CLASSES
    parcel: float  # longest side of a usual field, meters
    strips: float  # how much longer than wide fields are
    wild: float  # share of trees and grass that is not in fields
    soils: dict[str, float]  # share of each soil of spectra.SOILS
    roofs: dict[str, float]  # share of each material of spectra.MATERIALS in towns
    gardens: float  # share of green in towns
    waters: dict[str, float]  # share of each water of spectra.WATERS
    evergreen: float  # share of trees that keep their leaves
    by_rain: float  # 1: the others shed them in drought, 0: in the cold
    relief: float  # steepness of hills, 0 to 1
    winter: tuple[Crop, ...]  # crops of the cool or dry season
    summer: tuple[Crop, ...]  # crops of the warm or wet season
    second: float  # share of winter crops that a summer crop follows in the same year
    season: tuple[float, float]  # season days between which scenes are taken when no date is asked for


_EUROPE_PLAIN = Region(
    "temperate plain, Europe", "Europe", (48, 54), (0, 20),
    Climate(51, 10, 9.5, 9.0, 0.15, 0.55, 0.18, 15, 0.0, (3.5, 0.5)),
    mix=(0.06, 0.20, 0.19, 0.22, 0.15, 0.10, 0.04, 0.04), parcel=230, strips=1.5, wild=0.55,
    soils={"loam": 0.5, "clay": 0.2, "dark": 0.2, "chalk": 0.1},
    roofs={"tile": 0.35, "concrete": 0.25, "asphalt": 0.3, "metal": 0.1}, gardens=0.35,
    waters={"clear": 0.5, "green": 0.35, "turbid": 0.15}, evergreen=0.4, by_rain=0, relief=0.25,
    winter=(Crop("wheat", 285, 78, 132, 170, 204, 5.0, 1, 0.15),
            Crop("rapeseed", 243, 72, 118, 168, 198, 4.6, 0.4, 0.3)),
    summer=(Crop("maize", 118, 140, 200, 245, 278, 4.6, 0.6), Crop("beet", 95, 132, 190, 270, 300, 4.4, 0)),
    second=0.05, season=(90, 255),
)  # fmt: skip
_MEDITERRANEAN = Region(
    "Mediterranean coast, Europe", "Europe", (37, 42), (-4, 24),
    Climate(39.5, 10, 16.5, 8.5, 0.08, 0.40, 0.34, 5, 0.01, (3.0, 0.2)),
    mix=(0.08, 0.20, 0.20, 0.19, 0.11, 0.11, 0.08, 0.03), parcel=140, strips=1.4, wild=0.5,
    soils={"chalk": 0.35, "clay": 0.25, "red": 0.25, "loam": 0.15},
    roofs={"tile": 0.45, "concrete": 0.35, "asphalt": 0.15, "metal": 0.05}, gardens=0.2,
    waters={"clear": 0.8, "green": 0.1, "turbid": 0.1}, evergreen=0.85, by_rain=0, relief=0.8,
    winter=(Crop("wheat", 315, 40, 98, 132, 166, 3.4, 1, 0.2), Crop("barley", 310, 35, 88, 120, 150, 3.0, 1, 0.2)),
    summer=(Crop("maize", 112, 138, 188, 232, 268, 4.2, 0.6), Crop("tomato", 105, 130, 180, 215, 245, 3.0, 0)),
    second=0.1, season=(30, 240),
)  # fmt: skip
_WEST_AFRICA = Region(
    "savanna, West Africa", "Africa", (9, 13), (-8, 8),
    Climate(11, 0, 27.5, 2.5, 0.0, 0.36, 0.40, 228, -0.025, (-2.0, 0.0)),
    mix=(0.03, 0.17, 0.33, 0.05, 0.25, 0.06, 0.08, 0.03), parcel=95, strips=1.2, wild=0.85,
    soils={"red": 0.6, "sand": 0.25, "clay": 0.15},
    roofs={"metal": 0.3, "thatch": 0.45, "concrete": 0.1, "asphalt": 0.15}, gardens=0.15,
    waters={"turbid": 0.7, "green": 0.2, "clear": 0.1}, evergreen=0.35, by_rain=1, relief=0.15,
    winter=(Crop("onion", 318, 335, 20, 60, 85, 2.6, 1), Crop("dry-season rice", 330, 350, 40, 80, 105, 3.8, 1)),
    summer=(Crop("sorghum", 160, 178, 228, 272, 312, 2.6, 0.6), Crop("cotton", 158, 180, 232, 282, 330, 2.3, 0.2)),
    second=0.1, season=(185, 345),
)  # fmt: skip
_MIOMBO = Region(
    "miombo upland, southern Africa", "Africa", (-17, -12), (26, 34),
    Climate(-14.5, 30, 20.5, 3.6, 0.0, 0.44, 0.42, 208, -0.02, (-2.0, 0.0)),
    mix=(0.04, 0.27, 0.25, 0.06, 0.21, 0.05, 0.06, 0.06), parcel=120, strips=1.3, wild=0.85,
    soils={"red": 0.45, "loam": 0.25, "sand": 0.3},
    roofs={"metal": 0.45, "thatch": 0.25, "concrete": 0.15, "asphalt": 0.15}, gardens=0.25,
    waters={"green": 0.4, "turbid": 0.3, "clear": 0.3}, evergreen=0.35, by_rain=0.9, relief=0.35,
    winter=(Crop("irrigated wheat", 312, 338, 20, 68, 98, 4.4, 1),),
    summer=(Crop("maize", 142, 160, 212, 265, 305, 3.2, 0.6), Crop("groundnut", 148, 168, 215, 255, 285, 2.6, 0)),
    second=0.35, season=(150, 330),
)  # fmt: skip
_PAMPAS = Region(
    "southern pampas, South America", "South America", (-39, -34), (-64, -58),
    Climate(-36.5, -61, 15.2, 7.4, -0.05, 0.50, 0.10, 195, -0.01, (3.0, -0.3)),
    mix=(0.06, 0.08, 0.27, 0.21, 0.25, 0.05, 0.03, 0.05), parcel=520, strips=1.25, wild=0.3,
    soils={"dark": 0.55, "loam": 0.45},
    roofs={"metal": 0.35, "concrete": 0.35, "asphalt": 0.2, "tile": 0.1}, gardens=0.4,
    waters={"turbid": 0.6, "green": 0.35, "clear": 0.05}, evergreen=0.4, by_rain=0, relief=0.08,
    winter=(Crop("wheat", 343, 45, 96, 134, 164, 4.2, 1, 0.15), Crop("barley", 350, 40, 86, 120, 146, 3.8, 1, 0.15)),
    summer=(Crop("soybean", 132, 152, 215, 258, 295, 5.0, 0), Crop("maize", 95, 122, 182, 225, 270, 4.6, 0.6)),
    second=0.45, season=(55, 285),
)  # fmt: skip
_HUMID_COAST = Region(
    "humid coast, South America", "South America", (-27, -23), (-52, -48),
    Climate(-25, -50, 20.0, 4.2, 0.0, 0.70, 0.14, 205, 0.0, (1.5, 0.0)),
    mix=(0.12, 0.36, 0.17, 0.07, 0.09, 0.09, 0.03, 0.07), parcel=170, strips=1.3, wild=0.75,
    soils={"red": 0.45, "clay": 0.3, "sand": 0.25},
    roofs={"tile": 0.4, "concrete": 0.25, "asphalt": 0.2, "metal": 0.15}, gardens=0.35,
    waters={"turbid": 0.45, "clear": 0.35, "green": 0.2}, evergreen=0.95, by_rain=0, relief=1.0,
    winter=(Crop("oat", 310, 340, 20, 70, 100, 3.6, 1),),
    summer=(Crop("maize", 105, 125, 185, 225, 262, 4.4, 0.6), Crop("soybean", 125, 145, 205, 245, 280, 4.6, 0)),
    second=0.5, season=(20, 300),
)  # fmt: skip

REGIONS = {r.name: r for r in (_EUROPE_PLAIN, _MEDITERRANEAN, _WEST_AFRICA, _MIOMBO, _PAMPAS, _HUMID_COAST)}

"""From ground and season to reflectance: what every field, stand, lake and roof looks like on one day.

Each unit of the ground gets plants (a Canopy), a background under them and a patchiness; the PROSAIL table turns
them into spectra. Pixels then vary around the spectrum of their unit: more or fewer leaves, darker or brighter.

Leaf area of grass, shades and the share of sand were set by hand so that medians resemble four real patches; the book's
page on simulated satellite scenes shows both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lulc_utils.legends import Satellite
from lulc_utils.simulate.satellite.fields import Ground, water_of
from lulc_utils.simulate.satellite.regions import Region
from lulc_utils.simulate.satellite.seasons import Crop, Weather, crop_growth, greenness, leaf_out, step
from lulc_utils.simulate.satellite.spectra import LITTER, MATERIALS, SOILS, WATERS, Canopy, table_of, vegetation, wet

MORE = 1.35  # pixels differ in leaf area: one step of texture is this factor
UNEVEN = {  # patchy leaves, fine leaves, patchy brightness, fine brightness
    Satellite.WATER: (0, 0, 0.05, 0.02),
    Satellite.TREES: (0.4, 0.5, 0.05, 0.11),
    Satellite.GRASS: (0.9, 0.5, 0.05, 0.05),
    Satellite.WINTER_CROP: (0.5, 0.15, 0.05, 0.02),
    Satellite.SUMMER_CROP: (0.5, 0.2, 0.05, 0.02),
    Satellite.BUILT: (0, 0, 0.03, 0.05),
    Satellite.BARE: (0.6, 0.5, 0.09, 0.06),
    Satellite.WETLAND: (0.9, 0.5, 0.06, 0.04),
}


@dataclass
class _State:
    """Plants and background of all units on one day, arrays [U] and [U, 10]; filled class by class."""

    lai: np.ndarray
    chlorophyll: np.ndarray
    brown: np.ndarray
    water: np.ndarray
    steep: np.ndarray
    background: np.ndarray
    shade: np.ndarray  # light left by shadows between plants, of trees most of all


def reflectance(ground: Ground, region: Region, now: Weather, sun_zenith: float) -> np.ndarray:
    """Surface reflectance of the ground on one day, [10, n, n] float32, before hills, sensor and atmosphere."""
    state = _state(ground, region, now, sun_zenith)
    plants = Canopy(state.lai, state.chlorophyll, state.brown, state.water, state.steep)
    denser = plants._replace(lai=state.lai * MORE)
    twice = Canopy(*(np.concatenate([a, b]) for a, b in zip(plants, denser, strict=True)))
    spectra = vegetation(twice, np.tile(state.background, (2, 1)), sun_zenith) * np.tile(state.shade, 2)[:, None]
    usual, more = np.ascontiguousarray(spectra.T, np.float32).reshape(10, 2, -1).transpose(1, 0, 2)  # [10, U] each
    uneven = np.array([UNEVEN[k] for k in Satellite], np.float32)[ground.kind]  # [U, 4]
    uneven *= np.exp(0.3 * ground.traits[:, 7:]).astype(np.float32)
    patchy, fine, fine2 = ground.grain
    leaves, brightness = (
        uneven.T[i][ground.unit] * patchy + uneven.T[i + 1][ground.unit] * (fine if i == 0 else fine2) for i in (0, 2)
    )
    pixels = np.take(usual, ground.unit, 1)  # [10, n, n]
    pixels += np.clip(leaves, -2.2, 2.2) * np.take(more - usual, ground.unit, 1)
    _draw_towns(pixels, ground, region, now, usual, sun_zenith)
    pixels *= np.clip(1 + brightness, 0.4, 1.8)
    return np.maximum(pixels, np.float32(0.001))


def _state(ground: Ground, region: Region, now: Weather, sun_zenith: float) -> _State:
    count, traits = len(ground.kind), ground.traits
    moisture = np.clip(0.85 * now.moisture - 0.1 + 0.13 * traits[:, 0], 0, 1)
    soil = wet(ground.soil, moisture)
    chlorophyll = 42 * np.exp(0.17 * traits[:, 1])
    state = _State(np.zeros(count), chlorophyll, np.zeros(count), np.full(count, 0.011), np.full(count, 0.6),
                   soil.copy(), np.full(count, 1 - 0.2 * step(sun_zenith, 40, 75), np.float32))  # fmt: skip
    state.brown += 0.05 * np.exp(0.6 * traits[:, 6])
    for kind, crops in ((Satellite.WINTER_CROP, region.winter), (Satellite.SUMMER_CROP, region.summer)):
        _crops(state, ground, kind, crops, now, soil, region)
    _grass(state, ground, now, soil)
    _trees(state, ground, region, now, soil, sun_zenith)
    _bare(state, ground, now, soil)
    _water_and_wetland(state, ground, region, now, soil)
    return state


def _litter(soil: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Soil [U, 10] with a share, [U] or one number, of dead leaves on it."""
    return soil + (np.array(LITTER, np.float32) - soil) * np.asarray(share, np.float32)[..., None]


def _crops(
    state: _State, ground: Ground, kind: int, crops: tuple[Crop, ...], now: Weather, soil: np.ndarray, region: Region
) -> None:
    """Fields: every one has its species, its sowing date and its vigor; some are sown again after the harvest."""
    species = np.minimum((ground.choice[:, 0] * len(crops)).astype(int), len(crops) - 1)
    followed = (kind == Satellite.WINTER_CROP) & (ground.choice[:, 1] < region.second)
    for number, crop in enumerate(crops):
        units = (ground.kind == kind) & (species == number)
        _grow(state, ground, units, crop, now, soil)
        if (units & followed).any():
            _grow_after(state, ground, units & followed, crop, region.summer[0], now, soil)


def _grow(state: _State, ground: Ground, units: np.ndarray, crop: Crop, now: Weather, soil: np.ndarray) -> None:
    traits = ground.traits[units]
    growth = crop_growth(crop, now.day - now.delay - 11 * traits[:, 2])
    vigor = np.exp(0.25 * traits[:, 3])
    state.lai[units] = crop.lai * vigor * growth.leaves + 0.12 * np.maximum(traits[:, 4], 0)  # and weeds
    state.chlorophyll[units] *= 1 - 0.85 * growth.ripeness
    state.brown[units] += 0.55 * growth.ripeness
    state.water[units] = 0.013 - 0.009 * growth.ripeness
    state.steep[units] = np.clip(crop.steep + 0.15 * traits[:, 5], 0, 1)
    state.background[units] = _litter(soil[units], 0.75 * growth.residue + 0.05)


def _grow_after(
    state: _State, ground: Ground, units: np.ndarray, crop: Crop, usual: Crop, now: Weather, soil: np.ndarray
) -> None:
    """A second crop, sown into the stubble and over within four months; it lags behind one sown on time."""
    late = Crop("second crop", *(crop.gone + np.array([8, 25, 70, 100, 125])), lai=0.8 * usual.lai, steep=usual.steep)
    growth = crop_growth(late, now.day - now.delay - 11 * ground.traits[units][:, 2])
    if growth.leaves.max() > 0.02:
        _grow(state, ground, units, late, now, soil)


def _grass(state: _State, ground: Ground, now: Weather, soil: np.ndarray) -> None:
    """Meadows, pastures and rangeland: green with warmth and rain, some of them mown, grazed or shrubby."""
    units = ground.kind == Satellite.GRASS
    traits, green = ground.traits[units], greenness(now)
    mown = np.cos(2 * np.pi * (now.day / 55 + ground.choice[units, 0])) > 0.75  # cut every eight weeks or so,
    meadow = ground.choice[units, 1] < 0.35  # on the third that is well tended
    tended = np.where(meadow, np.where(mown, 1.2, 3.0), 1.0)
    state.lai[units] = (0.1 + (0.12 + 0.9 * green) * tended) * np.exp(0.4 * traits[:, 3])
    dead = np.clip(0.85 - 0.6 * green - 0.25 * meadow * green + 0.1 * traits[:, 2], 0.03, 0.95)
    state.chlorophyll[units] *= 1 - 0.85 * dead
    state.brown[units] += 0.3 * dead
    state.water[units] = 0.011 - 0.006 * dead
    state.steep[units] = 0.9
    state.shade[units] *= np.where(meadow, 1.0, 0.82)  # tufts, shrubs and gaps cast shadows, a lawn does not
    state.background[units] = _litter(soil[units], 0.35 + 0.5 * dead)


def _trees(state: _State, ground: Ground, region: Region, now: Weather, soil: np.ndarray, sun_zenith: float) -> None:
    """Forest, groves and orchards: crowns over litter and grass, with shade between them, more under a low sun."""
    units = ground.kind == Satellite.TREES
    traits, choice = ground.traits[units], ground.choice[units]
    evergreen = choice[:, 0] < region.evergreen
    out = leaf_out(now._replace(warmth=now.warmth + 0.8 * traits[:, 2]), region.by_rain)
    leaves = np.where(evergreen, 1.0, 0.12 + 0.88 * out)
    orchard = choice[:, 1] < 0.18
    crowns = np.where(orchard, 1.3, 4.2) * np.exp(0.25 * traits[:, 3])
    if region.by_rain:
        crowns *= 0.65  # savanna woodland is open
    state.lai[units] = crowns * leaves + 0.3 * greenness(now)
    turning = np.where(evergreen, 0.15, 4 * out * (1 - out) * 0.6)
    state.brown[units] += 0.6 * turning
    state.chlorophyll[units] *= 1.15 - 0.6 * turning
    state.water[units] = 0.014
    state.steep[units] = 0.35
    state.background[units] = _litter(soil[units], 0.55)
    needles = np.where(evergreen, 0.14, 0.0)
    shade = 0.72 - needles - 0.2 * np.clip(sun_zenith / 70, 0, 1) ** 2 + 0.05 * traits[:, 5]
    state.shade[units] = np.clip(shade + 0.15 * orchard, 0.3, 1) + 0.12 * (1 - leaves)


def _bare(state: _State, ground: Ground, now: Weather, soil: np.ndarray) -> None:
    """Quarries, beaches, river beds and eroded ground: soil, gravel or sand, drier than fields, with a few plants."""
    units = ground.kind == Satellite.BARE
    traits = ground.traits[units]
    state.lai[units] = (0.04 + 0.08 * greenness(now)) * np.exp(0.6 * traits[:, 3])
    sand = 1.15 * np.array(SOILS["sand"], np.float32)
    ground_there = ground.soil[units] + (sand - ground.soil[units]) * 0.9 * ground.choice[units, :1]
    dry = wet(ground_there, np.clip(0.5 * now.moisture - 0.2, 0, 1))
    state.background[units] = dry * (1.2 + 0.1 * traits[:, 4:5])
    state.brown[units] += 0.1


def _water_and_wetland(state: _State, ground: Ground, region: Region, now: Weather, soil: np.ndarray) -> None:
    """Lakes and rivers, muddier in the wet season; reed, swamp and flooded grass over water or mud."""
    waters = water_of(region, ground.choice[:, 2]) @ table_of(WATERS)
    muddy = 1 + 0.5 * (now.moisture - 0.5) + 0.1 * ground.traits[:, 3]
    units = ground.kind == Satellite.WATER
    state.background[units] = (waters * np.clip(muddy, 0.5, 1.6)[:, None])[units]
    units = ground.kind == Satellite.WETLAND
    traits, green = ground.traits[units], greenness(now._replace(moisture=min(1.0, now.moisture + 0.35)))
    flooded = np.clip(0.55 + 0.5 * now.moisture + 0.2 * traits[:, 0], 0, 1)[:, None]
    mud = wet(soil[units] / 1.2, np.ones(len(traits)))
    state.background[units] = waters[units] * flooded + mud * (1 - flooded)
    state.lai[units] = (0.45 + 2.0 * green) * np.exp(0.4 * traits[:, 3])
    state.brown[units] += 0.5 * (1 - green)
    state.chlorophyll[units] *= 0.5 + 0.5 * green
    state.steep[units] = 0.95


def _draw_towns(
    pixels: np.ndarray, ground: Ground, region: Region, now: Weather, usual: np.ndarray, sun_zenith: float
) -> None:
    """Built pixels: mixtures of materials, gardens and bare ground that change from pixel to pixel."""
    built = ground.labels == Satellite.BUILT
    if built.any():
        green = greenness(now)
        lai, each = np.array([0.6 + 2.2 * (0.35 + 0.65 * green)]), np.ones(1)
        plants = Canopy(lai, 22 + 20 * green * each, 0.4 * (1 - green) * each, 0.010 * each, 0.4 * each)
        soil = usual[:, ground.kind == Satellite.BUILT].mean(1)
        gardens = vegetation(plants, soil[None], sun_zenith) * 0.85
        shade = 0.9 - 0.2 * min(sun_zenith / 70, 1) ** 2  # streets lie in the shadow of houses
        pixels[:, built] = shade * (ground.town @ np.concatenate([table_of(MATERIALS), gardens, soil[None]])).T

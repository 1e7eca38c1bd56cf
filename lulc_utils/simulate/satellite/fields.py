"""The ground of a satellite scene: which class lies where, in which parcel, and how parcels differ.

Rivers, lakes, towns, forests and open land follow smooth noise; the rest is cut into fields. The ground has no date:
the same one is seen in every season.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lulc_utils.legends import Satellite
from lulc_utils.scene import UNLABELLED
from lulc_utils.simulate.layout import draw_grid, to_grid
from lulc_utils.simulate.light import fractal_noise
from lulc_utils.simulate.satellite.regions import Region
from lulc_utils.simulate.satellite.spectra import MATERIALS, SOILS, WATERS, table_of

SATELLITE_PIXEL = 10.0  # meters
FIELDS = np.array([Satellite.TREES, Satellite.GRASS, Satellite.WINTER_CROP, Satellite.SUMMER_CROP], np.uint8)
STANDS = 6  # kinds of stands that each wild class consists of, told apart by noise


@dataclass(frozen=True)
class Ground:
    """Land without a date: [n, n] maps, and arrays [U] about its units (fields, stands of trees, lakes).

    A unit's `traits` are deviations of a standard normal: what they mean is decided when the unit is drawn.
    """

    labels: np.ndarray  # [n, n] uint8
    unit: np.ndarray  # [n, n] int: which unit a pixel belongs to
    kind: np.ndarray  # [U] class of the unit
    soil: np.ndarray  # [U, 10] its dry soil
    traits: np.ndarray  # [U, 8]
    choice: np.ndarray  # [U, 3] uniform 0..1: which species, whether a second crop follows, which water
    town: np.ndarray  # [built pixels, materials + 2] shares of materials, plants and soil
    grain: np.ndarray  # [3, n, n] noises, deviation 1: patchy, fine, and fine again
    hill: np.ndarray  # [n, n] smooth noise: relief


def draw_ground(rng: np.random.Generator, region: Region, size: int) -> Ground:
    """Land of a region, size x size pixels of 10 m."""
    hill, cover, wet, patchy, fine, fine2 = (fractal_noise(rng, size, s) for s in (2.8, 2.1, 2.6, 1.5, 0.5, 0.3))
    y, x = np.mgrid[:size, :size].astype(np.float32)
    u, v = to_grid(draw_grid(rng, size), x, y)
    parcel, cells = cut_parcels(rng, u, v, region.parcel / SATELLITE_PIXEL, region.strips)
    mix = rng.dirichlet(8 * np.array(region.mix))
    labels = np.full((size, size), UNLABELLED, np.uint8)
    _take(labels, Satellite.WATER, _rivers_and_lakes(rng, wet, hill), mix)
    shore = wet if rng.random() < 0.5 else -abs(wet)
    _take(labels, Satellite.WETLAND, shore - 0.5 * hill + 0.35 * patchy, mix)
    _take(labels, Satellite.BUILT, _settlements(rng, u, v, cover), mix)
    _take(labels, Satellite.BARE, 0.8 * hill + patchy + 0.3 * fine, mix)
    wild = np.array([region.wild if c in (Satellite.TREES, Satellite.GRASS) else 0 for c in Satellite]) * mix
    _take(labels, Satellite.TREES, cover + 0.35 * patchy + 0.1 * fine, wild)
    _take(labels, Satellite.GRASS, cover + 0.4 * hill + 0.25 * patchy, wild)
    field = labels == UNLABELLED
    weights = (mix - wild)[FIELDS]
    use = rng.choice(FIELDS, cells, p=weights / weights.sum())
    labels[field] = use[parcel[field]]
    stand = np.searchsorted(np.linspace(-1.3, 1.3, STANDS - 1), patchy + hill).astype(np.int64)
    unit = np.where(field, parcel, cells + STANDS * labels.astype(np.int64) + stand)
    kind = np.concatenate([use, np.repeat(np.arange(len(Satellite), dtype=np.uint8), STANDS)])
    traits, choice = rng.standard_normal((len(kind), 8)), rng.random((len(kind), 3))
    soil, visible = _soils(rng, region, len(kind)), np.bincount(unit.ravel(), minlength=len(kind)) > 0
    unit = (np.cumsum(visible) - 1)[unit]  # fields that lie under a lake are forgotten
    town, grain = _town(rng, region, cover[labels == Satellite.BUILT]), np.stack([patchy, fine, fine2])
    return Ground(labels, unit, kind[visible], soil[visible], traits[visible], choice[visible], town, grain, hill)


def cut_parcels(
    rng: np.random.Generator, u: np.ndarray, v: np.ndarray, longest: float, strips: float = 1.0
) -> tuple[np.ndarray, int]:
    """(parcel of every pixel [n, n] int, number of parcels): rectangles in grid coordinates u, v.

    A parcel longer than about `longest` pixels is cut again near its middle, all of them in one step. With strips > 1
    parcels come out longer in u than in v.
    """
    w = v * np.float32(strips)
    parcel = np.zeros(u.shape, np.int64)
    box = np.array([[u.min(), u.max(), w.min(), w.max()]])
    done = np.zeros(1, bool)
    while not done.all():
        sides = box[:, 1::2] - box[:, ::2]  # [boxes, 2]
        longer, axis = sides.max(1), sides.argmax(1)
        halved = ~done & (longer > longest * np.exp(rng.normal(0, 0.35, len(box))))
        each = np.arange(len(box))
        at = box[each, 2 * axis] + longer * rng.uniform(0.36, 0.64, len(box))
        first = each + np.cumsum(halved) - halved  # number of a box, or of its first half, in the next round
        beyond = np.where(axis[parcel] == 0, u, w) > np.where(halved, at, np.inf).astype(np.float32)[parcel]
        parcel = first[parcel] + beyond
        box = np.repeat(box, 1 + halved, 0)
        lower, axis, at = first[halved], axis[halved], at[halved]
        box[lower, 2 * axis + 1] = at
        box[lower + 1, 2 * axis] = at
        done = np.repeat(~halved, 1 + halved)
    return parcel, len(box)


def _take(labels: np.ndarray, label: int, score: np.ndarray, mix: np.ndarray) -> None:
    """Give a class the share mix[label] of the scene, where its score is highest among what is still free."""
    free = labels == UNLABELLED
    wanted = min(int(round(mix[label] * labels.size)), int(free.sum()))
    if wanted:
        score = np.where(free, score, -np.inf)
        labels[score >= np.partition(score.ravel(), -wanted)[-wanted]] = label


def _rivers_and_lakes(rng: np.random.Generator, wet: np.ndarray, hill: np.ndarray) -> np.ndarray:
    """Score: along a level line of the noise (a river) or around its tops (lakes, a coast)."""
    return -abs(wet - rng.normal(0, 0.4)) if rng.random() < 0.5 else wet - 0.3 * hill


def _settlements(rng: np.random.Generator, u: np.ndarray, v: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Score: near one of a few centers, in blocks with straight sides; single farms lie further out."""
    size = len(u)
    blocks = [np.floor(a / 3) * 3 for a in (u, v)]
    middles = rng.uniform(u.min() * 0.7, u.max() * 0.7, (rng.integers(1, 5), 2))
    distance = np.min([np.hypot(blocks[0] - a, blocks[1] - b) * rng.uniform(0.6, 1.6) for a, b in middles], 0) / size
    lots = rng.random((97, 89))[(blocks[0] // 3).astype(int) % 97, (blocks[1] // 3).astype(int) % 89]  # one per block
    return -distance + 0.16 * lots - 0.06 * cover


def _soils(rng: np.random.Generator, region: Region, count: int) -> np.ndarray:
    """Dry soil of every unit, [U, 10]: mixtures of the region's soils, mostly of what is usual in this scene."""
    shares = np.array([region.soils.get(name, 0) for name in SOILS]) + 1e-6
    scene = rng.dirichlet(4 * shares) + 0.02 * shares
    mixed = np.array([rng.dirichlet(25 * scene / scene.sum() + 1e-3) for _ in range(16)])  # 16 soils, then drawn from
    brightness = np.exp(rng.normal(0, 0.13, (count, 1)))
    return (mixed[rng.integers(16, size=count)] @ table_of(SOILS) * brightness).astype(np.float32)


def _town(rng: np.random.Generator, region: Region, density: np.ndarray) -> np.ndarray:
    """Shares of [materials ..., plants, soil] in every built pixel, rows sum to 1."""
    roofs = np.array([region.roofs.get(name, 0) for name in MATERIALS]) + 1e-3
    mean = np.concatenate([roofs / roofs.sum() * (1 - region.gardens) * 0.85, [region.gardens, 0.15]])
    shares = rng.standard_gamma(np.maximum(1.6 * rng.dirichlet(30 * mean), 0.02), (len(density), len(mean)))
    shares[:, -2] *= np.exp(0.5 * density)  # greener at one end of the town
    return (shares / (shares.sum(1, keepdims=True) + 1e-9)).astype(np.float32)


def water_of(region: Region, choice: np.ndarray) -> np.ndarray:
    """Shares of spectra.WATERS in lakes and rivers, [U, 3], from choice [U]: neighbors in 0..1 are alike."""
    shares = np.array([region.waters.get(name, 0) for name in WATERS])
    middle = np.cumsum(shares) - shares / 2
    closeness = np.exp(-abs(choice[:, None] - middle) / 0.15) * shares
    return closeness / closeness.sum(1, keepdims=True)

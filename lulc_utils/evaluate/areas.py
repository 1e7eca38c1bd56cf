"""How large is each class, and how good is the map, from a random sample of places that a person has labelled.

Counting the pixels of a map gives the wrong area: what is missed and what is claimed falsely rarely cancel. A
stratified random sample with reference labels corrects the area and says how uncertain it is. Strata are the classes
of the map.
Estimators: Olofsson et al. 2014, "Good practices for estimating area and assessing accuracy of land change", Remote
Sensing of Environment 148, equations 1 to 13. Areas may be in any unit (pixels, hectares).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from lulc_utils.literal import counted
from lulc_utils.scene import UNLABELLED


@dataclass(frozen=True)
class Estimate:
    """What a sample says about a map of K classes; standard errors end in _se. NaN: the sample cannot say.

    area       [K] estimated area of every reference class, in the unit of `mapped`
    mapped     [K] area of every class on the map: pixel counting
    users      [K] user's accuracy: share of what is mapped as the class that is the class
    producers  [K] producer's accuracy: share of the class that is mapped as the class
    overall    share of the map that is right
    """

    area: np.ndarray
    area_se: np.ndarray
    mapped: np.ndarray
    users: np.ndarray
    users_se: np.ndarray
    producers: np.ndarray
    producers_se: np.ndarray
    overall: float
    overall_se: float


def estimate(sample: np.ndarray, mapped: np.ndarray) -> Estimate:
    """Areas and accuracies with standard errors from a stratified random sample.

    sample  [K, K] counts of sampled places: rows are the class on the map (the strata), columns the reference
    mapped  [K] area of every class on the map

    ValueError for other shapes, negative numbers, or a mapped class with fewer than two samples.
    """
    n, area = _checked(np.asarray(sample, float), np.asarray(mapped, float))
    rows, used, weight = n.sum(1), area > 0, area / area.sum()
    share = np.divide(n, rows[:, None], where=used[:, None], out=np.zeros_like(n))  # [K mapped, K reference]
    # variance of each cell of the table of shares, [K, K]
    variance = weight[:, None] ** 2 * share * (1 - share) / np.maximum(rows - 1, 1)[:, None]
    proportion, hit = weight @ share, np.diagonal(share)  # [K] each
    with np.errstate(invalid="ignore", divide="ignore"):
        producers = weight * hit / proportion
        own = np.diagonal(variance)
        elsewhere = variance.sum(0) - own
        producers_se = np.sqrt((1 - producers) ** 2 * own + producers**2 * elsewhere) / proportion
    return Estimate(
        area=proportion * area.sum(),
        area_se=np.sqrt(variance.sum(0)) * area.sum(),
        mapped=area,
        users=np.where(used, hit, np.nan),
        users_se=np.where(used, np.sqrt(hit * (1 - hit) / np.maximum(rows - 1, 1)), np.nan),
        producers=producers,
        producers_se=producers_se,
        overall=float(weight @ hit),
        overall_se=float(np.sqrt(np.diagonal(variance).sum())),
    )


def _checked(n: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both of them, when a sample [K, K] can be weighted with areas [K]; ValueError says why not."""
    if n.shape != (len(area), len(area)) or (n < 0).any() or (area < 0).any() or not area.sum() > 0:
        raise ValueError(
            f"A sample of K classes is a [K, K] table of counts with K mapped areas, not {n.shape} with {area.shape}."
        )
    rows = n.sum(1)
    if (short := np.flatnonzero((area > 0) & (rows < 2))).size:
        has = counted(int(rows[short[0]]), "sample")
        raise ValueError(f"Class {short[0]} of the map has {has}; each needs at least 2.")
    if (rows[area == 0] > 0).any():
        raise ValueError("A class that is not on the map has samples; its mapped area must be given.")
    return n, area


def interval(value: np.ndarray | float, se: np.ndarray | float, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of a normal confidence interval; it can reach below 0 where a sample is small."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    return value - z * np.asarray(se), value + z * np.asarray(se)


def limits(sample: np.ndarray, mapped: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """(low [K], high [K]) of the areas of `estimate`, never without width: half a place is added to every cell.

    The usual error is 0 where a sample has met no error of a class, as if there were none; then its interval is one
    point and misses the truth. Here the error is that of shares (n_ij + 1/2) / (n_i + 1); the estimate stays as it is.
    """
    n, area = _checked(np.asarray(sample, float), np.asarray(mapped, float))
    rows, weight = n.sum(1, keepdims=True), (area / area.sum())[:, None]
    share = (n + 0.5) / (rows + 1)
    error = np.sqrt((weight**2 * share * (1 - share) / np.maximum(rows, 1)).sum(0)) * area.sum()
    low, high = interval(estimate(n, area).area, error, level)
    return low.clip(0), high.clip(None, area.sum())


def quantity_disagreement(claimed: np.ndarray, true: np.ndarray) -> float:
    """Share of the ground whose class the claimed areas [K] have wrong at least, both adding up to the same ground.

    Half the sum of the differences, since what one class has too much another has too little (Pontius and Millones
    2011).
    """
    claimed, true = np.asarray(claimed, float), np.asarray(true, float)
    return float(abs(claimed - true).sum() / 2 / true.sum())


def sample_size(mapped: np.ndarray, users: np.ndarray, overall_se: float, *, optimal: bool = False) -> int:
    """How many samples the overall accuracy needs for a standard error, with user's accuracies as expected, [K].

    optimal   False: samples in proportion to area, n = sum W U (1 - U) / S^2. True: Neyman's allocation, more samples
              where a class of the map is mixed (in proportion to W sqrt(U (1 - U))), n = (sum W sqrt(U (1 - U)) / S)^2,
              which is never more (Cochran 1977, chapter 5; the second is equation 13 of Olofsson et al.)
    """
    weight, users = np.asarray(mapped, float) / np.sum(mapped), np.asarray(users, float)
    mixed = users * (1 - users)
    variance = (weight @ np.sqrt(mixed)) ** 2 if optimal else weight @ mixed
    return int(np.ceil(variance / overall_se**2))


def allocate(pixels: np.ndarray, n: int, least: int = 50) -> np.ndarray:
    """n samples over the classes of a map, [K] int: `least` for the small ones, the rest in proportion to area.

    pixels  [K] pixels of every class on the map; no class gets more samples than it has pixels

    ValueError when n is too small to give every class its least, or larger than the map.
    """
    area = np.asarray(pixels, float)
    floor = np.minimum(least, area)
    if n > area.sum():
        raise ValueError(f"{n} samples are more than the {area.sum():.0f} pixels of the map; take fewer.")
    if n < floor.sum():
        raise ValueError(f"{n} samples cannot give each of {(area > 0).sum()} classes at least {least}; take more.")
    large = area > 0
    while True:
        share = np.where(large, area, 0) / max(area[large].sum(), 1) * (n - floor[~large].sum())
        small = large & (share < floor)
        if not small.any():
            break
        large &= ~small
    share = np.where(large, share, floor)
    whole = np.floor(share).astype(int)
    for k in np.argsort(-(share % 1), kind="stable")[: n - whole.sum()]:  # what rounding down left over
        whole[k] += 1
    return whole


def draw(labels: np.ndarray, per_class: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(rows [n], cols [n]) of a stratified random sample of a class map [H, W], without replacement.

    per_class  [K] samples of every class (`allocate`); ValueError when a class has fewer pixels. UNLABELLED pixels are
    never drawn.
    """
    labels, rng, flat = np.asarray(labels), np.random.default_rng(seed), []
    for k, n in enumerate(per_class):
        where = np.flatnonzero(labels == k)
        if n > len(where):
            raise ValueError(f"Class {k} has {len(where)} pixels, too few for {n} samples.")
        flat.append(rng.choice(where, n, replace=False))
    return np.unravel_index(np.concatenate(flat), labels.shape)


def table(mapped: np.ndarray, reference: np.ndarray, n_classes: int) -> np.ndarray:
    """[K, K] counts of a sample, rows by map and columns by reference; places without reference are left out.

    ValueError when the map or the reference holds anything but 0..K-1 at the other places.
    """
    mapped, reference = np.asarray(mapped).ravel(), np.asarray(reference).ravel()
    if len(mapped) != len(reference):
        raise ValueError(
            f"Every place needs a class on the map and a reference, not {len(mapped)} and {len(reference)}."
        )
    known = reference != UNLABELLED
    mapped, reference = mapped[known], reference[known]
    for name, values in (("map", mapped), ("reference", reference)):
        wrong = ~np.isin(values, np.arange(n_classes))
        if wrong.any():
            raise ValueError(
                f"The {name} says {values[wrong][0]} at {wrong.sum()} of {len(values)} places, which is none of the "
                f"{n_classes} classes 0 to {n_classes - 1}; add a class, or leave these places out ({UNLABELLED} as "
                "reference)."
            )
    cells = np.bincount(mapped.astype(int) * n_classes + reference.astype(int), minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes)

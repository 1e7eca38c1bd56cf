"""What has changed between two dates: how strongly each pixel speaks for change, thresholds, filters, and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from lulc_utils.evaluate import areas, surveys
from lulc_utils.scene import Scene

Answer = Callable[[np.ndarray], np.ndarray]  # pixels [C, h, w] -> probabilities [K, h, w]


def otsu(values: np.ndarray) -> float:
    """The threshold with the least variance within the two groups it makes (Otsu 1979); values of any shape."""
    counts, edges = np.histogram(values, 256)
    middle = (edges[:-1] + edges[1:]) / 2
    left, sums = np.cumsum(counts), np.cumsum(counts * middle)
    between = (sums[-1] * left / left[-1] - sums)[:-1] ** 2
    return middle[(between / (left * (left[-1] - left))[:-1]).argmax()]


def of_bands(before: Scene, after: Scene) -> np.ndarray:
    """Length [h, w] of the difference of two scenes of one ground, each band in units of its own spread."""
    first, second = (scene.pixels.astype(np.float32) for scene in (before, after))
    spread = first.std((1, 2), keepdims=True)
    return np.sqrt((((second - first) / np.where(spread > 0, spread, 1)) ** 2).sum(0))


def of_models(
    before: Scene, after: Scene, model_before: Answer, model_after: Answer
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """(share of the probability that went to other classes [h, w], both maps [h, w]) of two scenes of one ground."""
    p, q = np.asarray(model_before(before.pixels)), np.asarray(model_after(after.pixels))
    return abs(p - q).sum(0) / 2, (p.argmax(0), q.argmax(0))


def smooth(values: np.ndarray, side: int = 5) -> np.ndarray:
    """The mean of the square of `side` pixels around every pixel, [h, w]."""
    return ndimage.uniform_filter(np.asarray(values, np.float32), side)


def sieve(changed: np.ndarray, least: int = 25) -> np.ndarray:
    """Change [h, w] bool without patches smaller than `least` pixels, the minimum mapping unit; corners connect."""
    patches, _ = ndimage.label(changed, np.ones((3, 3)))
    return changed & (np.bincount(patches.ravel()) >= least)[patches]


def score(changed: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(F1 of change, share of the unchanged ground that is called changed); both [h, w] bool."""
    hits = (changed & truth).sum()
    return float(2 * hits / (changed.sum() + truth.sum())), float(changed[~truth].mean())


def precision(values: np.ndarray, truth: np.ndarray, recalls: Sequence[float]) -> np.ndarray:
    """Share of true change above the threshold at which each share of the change is found, for all thresholds at once.

    values   [h, w], larger where change is more likely; truth [h, w] bool; pixels of equal value count together
    """
    flat, real = np.ravel(values).astype(float), np.ravel(truth).astype(float)
    _, at, size = np.unique(-flat, return_inverse=True, return_counts=True)
    recall = np.cumsum(np.bincount(at.ravel(), real)) / real.sum()
    pure = recall * real.sum() / np.cumsum(size)
    return pure[np.searchsorted(recall, np.asarray(recalls) - 1e-12)]


def efficiency(changed: np.ndarray, truth: np.ndarray) -> float:
    """How many places drawn anywhere one place is worth when a map of change makes the strata, for the area of change.

    p (1 - p) / (sum W sqrt(p_h (1 - p_h)))^2, with p the true share of change, p_h that in stratum h (mapped as changed
    or not) and W its share of the ground: Neyman's allocation. 1: the map is worth nothing; infinite: it is right.
    """
    p, parts = truth.mean(), [truth[changed], truth[~changed]]
    spread = sum(part.size / truth.size * np.sqrt(part.mean() * (1 - part.mean())) for part in parts if part.size)
    return float(p * (1 - p) / spread**2) if spread else float("inf")


def area(changed: np.ndarray, truth: np.ndarray, n: int, seed: int = 0) -> tuple[float, float, float, float]:
    """(counted, estimated, low, high) pixels of change, [h, w] bool, from n places whose truth is looked up.

    The strata are the pixels mapped as changed and as unchanged, each with at least a third of the places.
    """
    both = (changed.astype(np.uint8), truth.astype(np.uint8))
    sample, estimate = surveys.survey(*both, n, 2, seed, least=n // 3)
    low, high = areas.limits(sample, estimate.mapped)
    return float(estimate.mapped[1]), float(estimate.area[1]), float(low[1]), float(high[1])

"""What has changed between two dates: thresholds, three ways to detect change, and their scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lulc_utils.evaluate import areas
from lulc_utils.scene import Scene

Answer = Callable[[np.ndarray], np.ndarray]  # pixels [C, h, w] -> probabilities [K, h, w]


def otsu(values: np.ndarray) -> float:
    """The threshold with the least variance within the two groups it makes (Otsu 1979); values of any shape."""
    counts, edges = np.histogram(values, 256)
    middle = (edges[:-1] + edges[1:]) / 2
    left, sums = np.cumsum(counts), np.cumsum(counts * middle)
    between = (sums[-1] * left / left[-1] - sums)[:-1] ** 2
    return middle[(between / (left * (left[-1] - left))[:-1]).argmax()]


def three_ways(
    before: Scene, after: Scene, model_before: Answer, model_after: Answer
) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """({way: where two scenes of one ground differ, [h, w] bool}, both maps [h, w]).

    Post-classification compares the two maps; the differences of bands (each in units of its own spread) and of
    probabilities are compared with `otsu`'s threshold.
    """
    p, q = np.asarray(model_before(before.pixels)), np.asarray(model_after(after.pixels))
    spread = before.pixels.std((1, 2), keepdims=True)
    bands = np.sqrt((((after.pixels - before.pixels) / spread) ** 2).sum(0))
    soft = abs(p - q).sum(0) / 2
    first, second = p.argmax(0), q.argmax(0)
    ways = {
        "post-classification": first != second,
        "difference of bands": bands > otsu(bands),
        "difference of probabilities": soft > otsu(soft),
    }
    return ways, (first, second)


def score(changed: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(F1 of change, share of the unchanged ground that is called changed); both [h, w] bool."""
    hits = (changed & truth).sum()
    return float(2 * hits / (changed.sum() + truth.sum())), float(changed[~truth].mean())


def area(changed: np.ndarray, truth: np.ndarray, n: int, seed: int = 0) -> tuple[float, float, float, float]:
    """(counted, estimated, low, high) pixels of change, [h, w] bool, from n places whose truth is looked up.

    The strata are the pixels mapped as changed and as unchanged, each with at least a third of the places.
    """
    sample, estimate = areas.survey(changed.astype(np.uint8), truth.astype(np.uint8), n, 2, seed, least=n // 3)
    low, high = areas.interval(estimate.area[1], estimate.area_se[1])
    return float(estimate.mapped[1]), float(estimate.area[1]), float(low), float(high)

"""How far a score may be off: bootstrap over tiles, over seeds and tiles, and Student's t over repeats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from lulc_utils.evaluate.scoring import SCORES, scores


def with_interval(
    confusions: Sequence[np.ndarray], score: str = "miou", *, repeats: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float]:
    """(value, low, high): a score of all tiles together, with the interval of `bootstrap`."""
    low, high = bootstrap(confusions, score, repeats=repeats, seed=seed, level=level)
    return float(scores(_stack(confusions).sum(0))[score]), low, high


def bootstrap(
    confusions: Sequence[np.ndarray],
    score: str = "miou",
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """(low, high) of a score when the TILES are drawn again, with replacement (percentile bootstrap).

    confusions    one matrix per tile, [T, n, m]; pixels of a tile are similar, so resampling pixels would promise far
                  too much. With a handful of tiles even this interval is too narrow.
    score         one of SCORES
    repeats       how many times the tiles are drawn
    level         share of the draws that lie in the interval

    ValueError for fewer than two tiles or an unknown score.
    """
    drawn = _resample(_stack(confusions), score, repeats, seed)
    return _interval(drawn, level)


def bootstrap_difference(
    confusions_a: Sequence[np.ndarray],
    confusions_b: Sequence[np.ndarray],
    score: str = "miou",
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(difference, low, high) of score(a) - score(b), paired: every draw takes the same tiles for both.

    Entry i of both lists must be the same tile. An interval that contains 0 shows no difference.
    """
    a, b = _stack(confusions_a), _stack(confusions_b)
    if len(a) != len(b):
        raise ValueError(f"A paired comparison needs the same tiles twice, not {len(a)} and {len(b)}.")
    drawn = _resample(a, score, repeats, seed) - _resample(b, score, repeats, seed)
    return (float(scores(a.sum(0))[score] - scores(b.sum(0))[score]), *_interval(drawn, level))


def over_seeds(
    confusions: np.ndarray,
    other: np.ndarray | None = None,
    score: str = "miou",
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """(mean over the seeds, low, high) of a score when SEEDS AND TILES are drawn again, each with replacement.

    confusions    [S, T, n, m]: one matrix per training (seed) and tile
    other         the same for another method: then the score is the difference, paired by seed and tile

    A difference seen in these few trainings may be luck, and so may one seen in these few tiles; this
    interval allows for both. ValueError when there is only one seed or tile, or when the shapes differ.
    """
    a = np.asarray(confusions)
    b = None if other is None else np.asarray(other)
    if a.ndim != 4 or min(a.shape[:2]) < 2 or (b is not None and b.shape[:2] != a.shape[:2]):
        raise ValueError(f"An interval over seeds needs [seeds, tiles, n, m], at least two of each, not {a.shape}.")
    rng = np.random.default_rng(seed)
    seeds, tiles = (rng.multinomial(n, np.full(n, 1 / n), repeats) for n in a.shape[:2])  # how often each is drawn
    value, drawn = 0.0, np.zeros(repeats)
    for tables, sign in ((a, 1), (b, -1)):
        if tables is not None:
            each = np.stack([scores(np.tensordot(tiles, table, 1))[score] for table in tables], 1)  # [R, S]
            value += sign * float(np.mean(scores(tables.sum(1))[score]))
            drawn += sign * (seeds * each).sum(1) / len(a)
    return (value, *_interval(drawn, level))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high) by Student's t, of scores of independent repeats or of their paired differences.

    The bounds are NaN for fewer than two values.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()) if len(values) else float("nan"), float("nan"), float("nan")
    half = float(stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()), float(values.mean()) - half, float(values.mean()) + half


def _stack(confusions: Sequence[np.ndarray]) -> np.ndarray:
    """[T, n, m] of at least two tiles."""
    if len(confusions) < 2:
        raise ValueError(f"An interval needs at least two tiles, not {len(confusions)}.")
    return np.stack([np.asarray(c) for c in confusions])


def _resample(confusions: np.ndarray, score: str, repeats: int, seed: int) -> np.ndarray:
    """The score of `repeats` draws of T tiles out of T, [repeats]."""
    if score not in SCORES:
        raise ValueError(f"Unknown score '{score}'; choose one of {', '.join(SCORES)}.")
    tiles = len(confusions)
    times = np.random.default_rng(seed).multinomial(tiles, np.full(tiles, 1 / tiles), repeats)  # [R, T]
    return scores(np.tensordot(times, confusions, 1))[score]  # [R, n, m] -> [R]


def _interval(drawn: np.ndarray, level: float) -> tuple[float, float]:
    """Percentiles around the middle of the draws [R]; draws without a score (NaN) are left out."""
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        return float("nan"), float("nan")
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)

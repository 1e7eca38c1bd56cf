"""Looking at places of a map whose truth is known: the areas it then has, and whether intervals keep their promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lulc_utils.evaluate import areas
from lulc_utils.scene import UNLABELLED


def survey(
    mapped: np.ndarray,
    truth: np.ndarray,
    n: int,
    n_classes: int,
    seed: int = 0,
    least: int = 20,
    size: np.ndarray | None = None,
) -> tuple[np.ndarray, areas.Estimate]:
    """Look at n places of a map whose truth is known: (sample [K, K], its estimate).

    mapped, truth   [H, W] labels; pixels without a label in either are left out
    least           places in every class of the map (`allocate`)
    size            [H, W] area of every pixel, whose unit the estimate has (`raster.pixel_hectares`); None: all are 1

    A class of fewer than two mapped pixels is no stratum and is left out.
    """
    pixels = np.bincount(mapped.ravel(), minlength=UNLABELLED + 1)
    mapped = np.where((pixels < 2)[mapped] | (truth == UNLABELLED), UNLABELLED, mapped)
    known = mapped != UNLABELLED
    places = areas.draw(mapped, areas.allocate(np.bincount(mapped[known], minlength=n_classes), n, least), seed)
    sample = areas.table(mapped[places], truth[places], n_classes)
    return sample, areas.estimate(sample, np.bincount(mapped[known], None if size is None else size[known], n_classes))


def promise(mapped: np.ndarray, truth: np.ndarray, n: int, n_classes: int, draws: int) -> dict[str, float]:
    """How a map's areas come out when `draws` samples of n places are drawn: do 95 % intervals hold the truth?

    The shares of intervals that hold the true area of their class: by the usual formula, of all and of classes above
    5 % of the ground with an error in the sample, and by `areas.limits`; the mean width of both, as a share of the
    ground; the share of classes of which the sample met no error, so that the usual interval has no width; the share
    of the ground in the wrong class (`areas.quantity_disagreement`) by counting and by the estimates.
    """
    real = np.bincount(truth[truth != UNLABELLED], minlength=n_classes)
    runs = [survey(mapped, truth, n, n_classes, seed) for seed in range(draws)]
    wrong = np.array([s.sum(0) + s.sum(1) - 2 * s.diagonal() for s, _ in runs])
    usual = np.array([areas.interval(e.area, e.area_se) for _, e in runs])  # [draws, 2, K]
    wider = np.array([areas.limits(s, e.mapped) for s, e in runs])
    held, cured = ((of[:, 0] <= real) & (real <= of[:, 1]) for of in (usual, wider))  # [draws, K]
    common = (wrong > 0) & (real > 0.05 * real.sum())
    return {
        "intervals that hold": float(held.mean()),
        "of classes above 5 %, some errors in the sample": float(held[common].mean()) if common.any() else float("nan"),
        "classes of which the sample met no error": float((wrong == 0).mean()),
        "intervals that hold, half a place added": float(cured.mean()),
        "width": float(np.diff(usual, axis=1).mean() / real.sum()),
        "width, half a place added": float(np.diff(wider, axis=1).mean() / real.sum()),
        "error of counting": areas.quantity_disagreement(runs[0][1].mapped, real),
        "error of the estimate": float(np.mean([areas.quantity_disagreement(e.area, real) for _, e in runs])),
    }


def shares(mapped: np.ndarray, truth: np.ndarray, n: int, n_classes: int, seed: int = 0) -> np.ndarray:
    """Shares of the labelled ground, [5, K]: true, counted on the map, estimated from n places, low, high."""
    known = truth[truth != UNLABELLED]
    sample, e = survey(mapped, truth, n, n_classes, seed)
    true = np.bincount(known, minlength=n_classes)
    return np.stack([true, e.mapped, e.area, *areas.limits(sample, e.mapped)]) / known.size


def accuracy_rows(sample: np.ndarray, of: areas.Estimate, names: Sequence[str]) -> list[list[str]]:
    """A row for every class: name, samples, user's and producer's accuracy, each with its standard error."""
    columns = (names, sample.sum(1), of.users, of.users_se, of.producers, of.producers_se)
    return [
        [name, str(int(count)), _pm(users, users_se), _pm(producers, producers_se)]
        for name, count, users, users_se, producers, producers_se in zip(*columns, strict=True)
    ]


def _pm(value: float, error: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f} ± {error:.2f}"

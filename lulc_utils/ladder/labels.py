"""What a handful of labels is worth: the score of a probe by how many labelled patches of each class it has seen."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from lulc_utils import evaluate
from lulc_utils.evaluate.probes import as_rows
from lulc_utils.ladder.crops import Crops
from lulc_utils.ladder.scoring import Interval
from lulc_utils.scene import UNLABELLED, group_of

COUNTS = (1, 3, 10, 30, 100)  # labelled patches of each class
STRENGTH = 30.0  # inverse weight decay, chosen for all descriptions together on places that no table uses


def few_labels(labels: np.ndarray, per_class: int, seed: int = 0) -> np.ndarray:
    """Rows of labels [...] (flattened): `per_class` of every class, drawn at random; all where a class has fewer."""
    labels = np.asarray(labels).ravel()
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(labels != UNLABELLED))
    return np.concatenate([drawn[labels[drawn] == k][:per_class] for k in np.unique(labels[drawn])])


def by_few_labels(train: Crops, test: Crops, rows: np.ndarray) -> np.ndarray:
    """Classes of the test patches, [N, h, w] uint8, by logistic regression on some rows of the training patches.

    Features are standardized by all training patches, which needs no label (seven rows would not do for that), and
    divided by the square root of their number, so that six numbers and 192 are held back alike.
    """
    mean, spread = train.statistics
    spread = spread * np.sqrt(len(mean))
    x = train.features.reshape(-1, len(mean))[torch.from_numpy(rows)].numpy()
    probe = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")  # one label of each is what is asked for
        probe.fit((x - mean) / spread, train.patch_labels.ravel()[rows])
    probe.coef_ = probe.coef_ / spread  # from here on it takes features as they are
    probe.intercept_ = probe.intercept_ - probe.coef_ @ mean
    return probe.predict(as_rows(test.features)).reshape(test.patch_labels.shape).astype(np.uint8)


def label_curve(
    folds: Sequence[tuple[Crops, Crops]], counts: Sequence[int] = COUNTS, draws: int = 5, seed: int = 0
) -> dict[int, Interval]:
    """mIoU by labelled patches of each class, {count: (mean over draws, low, high)}; (to fit on, to score on) a fold.

    The interval is over draws and places (`evaluate.over_seeds`); places of several folds stand side by side.
    """

    def table(count: int, draw: int) -> np.ndarray:
        answers = [
            (test, by_few_labels(train, test, few_labels(train.patch_labels, count, seed + draw)))
            for train, test in folds
        ]
        return np.concatenate(
            [
                evaluate.confusions_by_group(t.patch_labels, a, [group_of(s) for s in t.scenes], t.n_classes)
                for t, a in answers
            ]
        )

    return {count: evaluate.over_seeds(np.stack([table(count, d) for d in range(draws)])) for count in counts}


def labels_for(curve: Mapping[int, Interval], score: float) -> float:
    """How many labels of each class a curve {labels: (score, low, high)} needs for a score, read between its points.

    The axis is logarithmic. inf when it does not reach the score, its first number when that is enough.
    """
    counts = np.array([float(count) for count in curve])
    reached = np.maximum.accumulate([value for value, _, _ in curve.values()])
    if score > reached[-1]:
        return float("inf")
    return float(np.exp(np.interp(score, reached, np.log(counts))))


def alike(crops: Crops, near: int = 20, per_class: int = 40, seed: int = 0) -> dict[str, float]:
    """How many of the patches of *other* scenes most similar to a patch (by cosine) have its class, {class: share}.

    near       how many of the most similar patches are looked at
    per_class  how many patches of every class are asked
    """
    n, h, w, _ = crops.features.shape
    unit = as_rows(crops.features)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    labels, scene = crops.patch_labels.ravel(), np.repeat(np.arange(n), h * w)
    rows = few_labels(labels, per_class, seed)
    similar = np.where(scene[rows][:, None] == scene, -2, unit[rows] @ unit.T)  # [asked, all patches]
    nearest = np.argpartition(-similar, near, axis=1)[:, :near]
    right = (labels[nearest] == labels[rows][:, None]).mean(1)
    return {c.name: float(right[labels[rows] == k].mean()) for k, c in enumerate(crops.scenes[0].classes)}

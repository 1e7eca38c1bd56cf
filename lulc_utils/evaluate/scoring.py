"""Labels of patches, the confusion matrix, and the scores computed from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lulc_utils.scene import UNLABELLED

SCORES = ("accuracy", "miou", "macro_f1")


def patch_labels(labels: np.ndarray, patch: int) -> np.ndarray:
    """Most frequent label of every patch: [H, W] or [N, H, W] -> [..., ceil(H/patch), ceil(W/patch)] uint8.

    UNLABELLED is a candidate like any class but loses ties; among classes the smaller index wins. A
    patch that reaches over the right or bottom edge votes with its real pixels only.
    """
    labels = np.asarray(labels)
    if labels.ndim not in (2, 3):
        raise ValueError(f"Labels must be [rows, cols] or [N, rows, cols], not an array of shape {labels.shape}.")
    if patch < 1:
        raise ValueError(f"The patch size must be at least 1 pixel, not {patch}.")
    height, width = labels.shape[-2:]
    edge = [(0, 0)] * (labels.ndim - 2) + [(0, -height % patch), (0, -width % patch)]
    padded = np.pad(labels.astype(np.int16), edge, constant_values=-1)  # -1 counts for no class
    grid = (*labels.shape[:-2], padded.shape[-2] // patch, patch, padded.shape[-1] // patch, patch)
    blocks = padded.reshape(grid)  # [..., h, p, w, p]
    values = np.unique(labels)  # ascending, so that UNLABELLED comes last and argmax prefers a class
    votes = np.stack([(blocks == v).sum((-3, -1), dtype=np.int32) for v in values])  # [V, ..., h, w]
    return values[votes.argmax(0)].astype(np.uint8)


def at_pixels(labels: np.ndarray, patch: int, size: tuple[int, int]) -> np.ndarray:
    """Labels of patches [N, h, w] as labels of their pixels, [N, *size]."""
    return labels.repeat(patch, 1).repeat(patch, 2)[:, : size[0], : size[1]]


def majority_class(labels: np.ndarray, n_classes: int) -> int:
    """The most frequent class, the baseline every map must beat; ValueError when nothing is labelled."""
    labels = np.asarray(labels)
    counts = np.bincount(labels[labels != UNLABELLED].ravel(), minlength=n_classes)
    if not counts.any():
        raise ValueError("There is no labelled sample, so there is no majority class.")
    return int(counts.argmax())


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int, n_predicted: int | None = None) -> np.ndarray:
    """Counts, [n_classes, n_predicted + 1] int64: rows are the truth, columns the answers.

    truth, predicted   arrays of one shape; samples whose truth is UNLABELLED are left out
    n_predicted        number of clusters when `predicted` holds clusters; default: n_classes

    The last column counts UNLABELLED answers (say, of a cluster without a class). They stay in every score as
    errors; UnsupervisedMetrics of STEGO's reference code silently drops such samples. The shape is the same
    for every tile, so that matrices can be added up. ValueError for any other value.
    """
    truth, predicted = np.asarray(truth).ravel(), np.asarray(predicted).ravel()
    if truth.shape != predicted.shape:
        raise ValueError(f"There are {truth.size} true labels but {predicted.size} predictions.")
    columns = n_classes if n_predicted is None else n_predicted
    if max(n_classes, columns) > UNLABELLED:
        raise ValueError(f"At most {UNLABELLED} classes or clusters are possible: {UNLABELLED} means unlabelled.")
    known = truth != UNLABELLED
    truth, predicted = truth[known].astype(np.int64), predicted[known].astype(np.int64)
    answered = predicted != UNLABELLED
    for what, values, n in (("True label", truth, n_classes), ("Prediction", predicted[answered], columns)):
        bad = values[(values < 0) | (values >= n)]
        if bad.size:
            raise ValueError(f"{what} {bad[0]} is neither in 0..{n - 1} nor UNLABELLED ({UNLABELLED}).")
    predicted = np.where(answered, predicted, columns)
    cells = np.bincount(truth * (columns + 1) + predicted, minlength=n_classes * (columns + 1))
    return cells.reshape(n_classes, columns + 1)


def confusions_by_group(truth: np.ndarray, predicted: np.ndarray, groups: Sequence[str], n_classes: int) -> np.ndarray:
    """One confusion matrix per group (tile), [G, n_classes, n_classes + 1], groups in sorted order.

    truth and predicted are [N, ...], groups has N entries (`group_of(scene)`); `with_interval` takes the result.
    """
    groups = np.asarray(groups)
    if len(groups) != len(truth) or len(groups) != len(predicted):
        raise ValueError(
            f"{len(truth)} labels and {len(predicted)} predictions need as many groups, not {len(groups)}."
        )
    parts = [groups == g for g in np.unique(groups)]
    return np.stack([confusion(np.asarray(truth)[p], np.asarray(predicted)[p], n_classes) for p in parts])


def _mean_known(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    count = known.sum(-1)
    return np.where(count, np.where(known, values, 0).sum(-1) / np.maximum(count, 1), np.nan)


def scores(confusion: np.ndarray) -> dict:
    """accuracy, miou, macro_f1 (all 0..1) and iou (one per class) of [..., n, n + 1] or square counts.

    A class that is neither in the truth nor among the answers has IoU NaN and is left out of both means; one
    that is only answered has IoU 0 and is counted. Without any labelled sample everything is NaN.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    n = counts.shape[-2]
    if counts.shape[-1] not in (n, n + 1):
        raise ValueError(
            f"Scores need one column per class (and one for no answer), not a table of shape {counts.shape}; "
            "match clusters to classes first."
        )
    hit = np.diagonal(counts, axis1=-2, axis2=-1)  # [..., n]
    truth, answered = counts.sum(-1), counts.sum(-2)[..., :n]
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = hit / (truth + answered - hit)
        f1 = 2 * hit / (truth + answered)
        accuracy = hit.sum(-1) / counts.sum((-2, -1))
    result = {"accuracy": accuracy, "miou": _mean_known(iou), "macro_f1": _mean_known(f1)}
    if counts.ndim == 2:
        result = {name: float(value) for name, value in result.items()}
    return {**result, "iou": iou}


def miou(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> float:
    """Mean intersection over union of answers, both of one shape: `scores(confusion(...))["miou"]`."""
    return scores(confusion(truth, predicted, n_classes))["miou"]


def class_accuracy(y: np.ndarray, probs: np.ndarray, classes: int) -> float:
    """Share of y [N] that probs [N, K] get right, mean over the classes that occur: rare ones count as much."""
    y, right = np.asarray(y), np.asarray(probs).argmax(1) == y
    return float(np.mean([right[y == c].mean() for c in range(classes) if (y == c).any()]))

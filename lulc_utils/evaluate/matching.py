"""Clusters have no names: find the class that each of them stands for."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from lulc_utils.scene import UNLABELLED


def match(confusion: np.ndarray) -> np.ndarray:
    """Hungarian matching: the class of every cluster, [clusters] uint8, one cluster per class at most.

    confusion is `confusion(truth, clusters, n_classes, n_predicted)`, [classes, clusters + 1]; its last
    column (no cluster) is not matched. Clusters that get no class become UNLABELLED. Fit it on one split, use
    it on another with `apply_match`. Source: Kuhn 1955; maximizes the matched counts, as STEGO's code does.
    """
    counts = np.asarray(confusion)[:, :-1]
    classes, clusters = linear_sum_assignment(counts, maximize=True)
    mapping = np.full(counts.shape[1], UNLABELLED, np.uint8)
    mapping[clusters] = classes
    return mapping


def match_many(confusion: np.ndarray) -> np.ndarray:
    """Many-to-one: every cluster gets its most frequent class, [clusters] uint8; UNLABELLED when empty.

    Same input as `match`. The more clusters there are, the more it flatters, so say which of the two a score used.
    """
    counts = np.asarray(confusion)[:, :-1]
    return np.where(counts.any(0), counts.argmax(0), UNLABELLED).astype(np.uint8)


def apply_match(clusters: np.ndarray, mapping: np.ndarray) -> np.ndarray:
    """Clusters [...] -> classes [...] uint8 by a mapping of `match`; UNLABELLED stays UNLABELLED."""
    clusters = np.asarray(clusters)
    known = clusters != UNLABELLED
    if known.any() and not 0 <= clusters[known].min() <= clusters[known].max() < len(mapping):
        raise ValueError(f"A cluster outside 0..{len(mapping) - 1} has no entry in the mapping.")
    classes = np.full(clusters.shape, UNLABELLED, np.uint8)
    classes[known] = np.asarray(mapping)[clusters[known]]
    return classes

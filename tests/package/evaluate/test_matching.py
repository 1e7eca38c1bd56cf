"""Matching of clusters to classes: golden numbers, brute force, and clusters that find no class."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from lulc_utils import evaluate
from lulc_utils.scene import UNLABELLED

GOLDEN = Path(__file__).parents[2] / "golden"


def test_golden_metrics_of_the_stego_reference():
    golden = np.load(GOLDEN / "stego_11.npz", allow_pickle=False)
    truth = np.where(golden["metric_target"] < 0, UNLABELLED, golden["metric_target"])
    clusters = golden["metric_pred"]
    mapping = evaluate.match(evaluate.confusion(truth, clusters, 7, 7))
    result = evaluate.scores(evaluate.confusion(truth, evaluate.apply_match(clusters, mapping), 7))
    assert 100 * result["accuracy"] == pytest.approx(float(golden["metric_accuracy"]), abs=1e-4)
    assert 100 * result["miou"] == pytest.approx(float(golden["metric_miou"]), abs=1e-4)


def test_match_is_the_best_of_all_permutations(rng):
    counts = rng.integers(0, 50, (5, 5))
    mapping = evaluate.match(np.column_stack([counts, np.full(5, 999)]))  # the last column must not matter
    best = max(sum(counts[p[c], c] for c in range(5)) for p in permutations(range(5)))
    assert counts[mapping, np.arange(5)].sum() == best
    assert sorted(mapping) == list(range(5))


def test_clusters_beyond_the_classes_stay_unmatched_and_cost_accuracy():
    truth = np.array([0, 0, 0, 1, 1, 1, 1])
    clusters = np.array([0, 0, 2, 1, 1, 3, 3])
    counts = evaluate.confusion(truth, clusters, 2, 4)
    single, many = evaluate.match(counts), evaluate.match_many(counts)
    assert (single == UNLABELLED).sum() == 2 and single[0] == 0
    assert many.tolist() == [0, 1, 0, 1]
    assert evaluate.match_many(evaluate.confusion(truth, clusters, 2, 5))[4] == UNLABELLED
    score = evaluate.scores(evaluate.confusion(truth, evaluate.apply_match(clusters, single), 2))
    assert score["accuracy"] == pytest.approx(4 / 7)


def test_match_with_fewer_clusters_than_classes_and_on_another_split():
    mapping = evaluate.match(np.array([[0, 0, 0], [1, 9, 0], [8, 2, 0]]))
    assert mapping.tolist() == [2, 1]
    result = evaluate.apply_match(np.array([[1, 0], [UNLABELLED, 1]]), mapping)
    assert result.tolist() == [[1, 2], [UNLABELLED, 1]] and result.dtype == np.uint8
    with pytest.raises(ValueError, match="outside 0..1"):
        evaluate.apply_match(np.array([2]), mapping)

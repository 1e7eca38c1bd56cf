"""Labels of patches, confusion and scores by hand and in closed form."""

import numpy as np
import pytest

from lulc_utils import evaluate
from lulc_utils.scene import UNLABELLED


@pytest.mark.parametrize("shape, patch", [((13, 18), 4), ((2, 16, 16), 8), ((3, 5, 7), 8), ((9, 9), 1)])
def test_patch_labels_is_the_majority_of_the_real_pixels(rng, shape, patch):
    labels = rng.choice([0, 1, 6, UNLABELLED], shape, p=[0.2, 0.3, 0.2, 0.3]).astype(np.uint8)
    result = evaluate.patch_labels(labels, patch)
    flat, result3 = labels.reshape(-1, *shape[-2:]), result.reshape(-1, *result.shape[-2:])
    assert result.shape == (*shape[:-2], -(-shape[-2] // patch), -(-shape[-1] // patch))
    assert result.dtype == np.uint8
    for n, r, c in np.ndindex(result3.shape):
        block = flat[n, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch]
        assert result3[n, r, c] == np.bincount(block.ravel()).argmax()  # ties: the smaller value


def test_patch_labels_unlabelled_majority_and_tie():
    labels = np.array([[255, 255, 3, 255], [255, 1, 3, 255]], np.uint8)
    assert evaluate.patch_labels(labels, 2).tolist() == [[255, 3]]
    with pytest.raises(ValueError, match=r"\[rows, cols\]"):
        evaluate.patch_labels(np.zeros(4), 2)


def test_majority_class_ignores_unlabelled():
    assert evaluate.majority_class(np.array([[2, 2, 1], [255, 255, 255]]), 4) == 2
    with pytest.raises(ValueError, match="no labelled sample"):
        evaluate.majority_class(np.full((2, 2), 255), 3)


def test_confusion_rows_are_truth_and_unanswered_samples_count_as_errors():
    truth = np.array([0, 0, 1, 1, 2, 255])
    predicted = np.array([0, 1, 1, 255, 255, 0])
    counts = evaluate.confusion(truth, predicted, 3)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert counts.dtype == np.int64
    result = evaluate.scores(counts)
    assert result["accuracy"] == pytest.approx(2 / 5)  # not 2 / 3, as if unanswered samples did not exist
    assert result["iou"] == pytest.approx([1 / 2, 1 / 3, 0])
    assert result["miou"] == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 2 / 4) / 3)


@pytest.mark.parametrize("truth, predicted", [([0, 3], [0, 0]), ([0, 1], [0, 3]), ([0, 1], [-1, 0]), ([-1], [0])])
def test_values_outside_the_legend_are_refused(truth, predicted):
    with pytest.raises(ValueError, match="neither in 0..2"):
        evaluate.confusion(np.array(truth), np.array(predicted), 3)


def test_confusion_refuses_different_sizes_and_too_many_clusters():
    with pytest.raises(ValueError, match="2 true labels but 3"):
        evaluate.confusion(np.zeros(2), np.zeros(3), 2)
    with pytest.raises(ValueError, match="means unlabelled"):
        evaluate.confusion(np.zeros(2), np.zeros(2), 2, 256)


def test_scores_drop_absent_classes_but_keep_invented_ones():
    absent = evaluate.scores(evaluate.confusion(np.array([0, 0, 1]), np.array([0, 0, 1]), 3))
    assert np.isnan(absent["iou"][2]) and absent["miou"] == absent["macro_f1"] == 1
    invented = evaluate.scores(evaluate.confusion(np.array([0, 0, 1]), np.array([0, 2, 1]), 3))
    assert invented["iou"][2] == 0 and invented["miou"] == pytest.approx(1.5 / 3)
    empty = evaluate.scores(np.zeros((2, 3), int))
    assert np.isnan([empty["miou"], empty["accuracy"], empty["macro_f1"]]).all()
    with pytest.raises(ValueError, match="match clusters to classes first"):
        evaluate.scores(np.zeros((2, 5)))


def test_scores_of_many_tables_are_those_of_each(rng):
    tables = rng.integers(0, 9, (4, 3, 4))
    together = evaluate.scores(tables)
    for i, table in enumerate(tables):
        for name in ("accuracy", "miou", "macro_f1"):
            assert together[name][i] == pytest.approx(evaluate.scores(table)[name])


def test_confusions_by_group_add_up(rng):
    truth, predicted = rng.integers(0, 3, (2, 5, 4, 4))
    groups = ["b", "a", "b", "c", "a"]
    parts = evaluate.confusions_by_group(truth, predicted, groups, 3)
    assert parts.shape == (3, 3, 4)
    assert (parts.sum(0) == evaluate.confusion(truth, predicted, 3)).all()
    assert (parts[2] == evaluate.confusion(truth[3], predicted[3], 3)).all()
    with pytest.raises(ValueError, match="as many groups"):
        evaluate.confusions_by_group(truth, predicted, groups[:2], 3)


def test_miou_is_that_of_the_scores(rng):
    truth, answer = rng.integers(0, 3, (2, 40))
    assert evaluate.miou(truth, answer, 3) == evaluate.scores(evaluate.confusion(truth, answer, 3))["miou"]


def test_class_accuracy_counts_rare_classes_as_much():
    y, answer = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    probs = np.eye(3)[answer]
    assert evaluate.class_accuracy(y, probs, 3) == pytest.approx((0.75 + 0.5) / 2)  # class 2 does not occur

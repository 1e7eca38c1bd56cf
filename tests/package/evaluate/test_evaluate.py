"""Scores, matching, probes, intervals and splits against golden numbers, brute force and closed forms."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lulc_utils import evaluate
from lulc_utils.scene import UNLABELLED

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Samples this few lose more to waiting threads than they gain, above all on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize("shape, patch", [((13, 18), 4), ((2, 16, 16), 8), ((3, 5, 7), 8), ((9, 9), 1)])
def test_patch_labels_is_the_majority_of_the_real_pixels(rng, shape, patch):
    labels = rng.choice([0, 1, 6, UNLABELLED], shape, p=[0.2, 0.3, 0.2, 0.3]).astype(np.uint8)
    found = evaluate.patch_labels(labels, patch)
    flat, found3 = labels.reshape(-1, *shape[-2:]), found.reshape(-1, *found.shape[-2:])
    assert found.shape == (*shape[:-2], -(-shape[-2] // patch), -(-shape[-1] // patch))
    assert found.dtype == np.uint8
    for n, r, c in np.ndindex(found3.shape):
        block = flat[n, r * patch : (r + 1) * patch, c * patch : (c + 1) * patch]
        assert found3[n, r, c] == np.bincount(block.ravel()).argmax()  # ties: the smaller value


def test_patch_labels_unlabelled_majority_and_tie():
    labels = np.array([[255, 255, 3, 255], [255, 1, 3, 255]], np.uint8)
    assert evaluate.patch_labels(labels, 2).tolist() == [[255, 3]]
    with pytest.raises(ValueError, match=r"\[rows, cols\]"):
        evaluate.patch_labels(np.zeros(4), 2)


def test_majority_class_ignores_unlabelled():
    assert evaluate.majority_class(np.array([[2, 2, 1], [255, 255, 255]]), 4) == 2
    with pytest.raises(ValueError, match="no labelled sample"):
        evaluate.majority_class(np.full((2, 2), 255), 3)


# ---------------------------------------------------------------------------------------------- confusion


def test_confusion_rows_are_truth_and_unanswered_samples_count_as_errors():
    truth = np.array([0, 0, 1, 1, 2, 255])
    predicted = np.array([0, 1, 1, 255, 255, 0])
    counts = evaluate.confusion(truth, predicted, 3)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert counts.dtype == np.int64
    found = evaluate.scores(counts)
    assert found["accuracy"] == pytest.approx(2 / 5)  # not 2 / 3, as if unanswered samples did not exist
    assert found["iou"] == pytest.approx([1 / 2, 1 / 3, 0])
    assert found["miou"] == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 4) / 3)


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


# --------------------------------------------------------------------------------------------- matching


def test_golden_metrics_of_the_stego_reference():
    golden = np.load(GOLDEN / "stego_11.npz", allow_pickle=False)
    truth = np.where(golden["metric_target"] < 0, UNLABELLED, golden["metric_target"])
    clusters = golden["metric_pred"]
    mapping = evaluate.match(evaluate.confusion(truth, clusters, 7, 7))
    found = evaluate.scores(evaluate.confusion(truth, evaluate.apply_match(clusters, mapping), 7))
    assert 100 * found["accuracy"] == pytest.approx(float(golden["metric_accuracy"]), abs=1e-4)
    assert 100 * found["miou"] == pytest.approx(float(golden["metric_miou"]), abs=1e-4)


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
    one, many = evaluate.match(counts), evaluate.match_many(counts)
    assert (one == UNLABELLED).sum() == 2 and one[0] == 0
    assert many.tolist() == [0, 1, 0, 1]
    assert evaluate.match_many(evaluate.confusion(truth, clusters, 2, 5))[4] == UNLABELLED
    score = evaluate.scores(evaluate.confusion(truth, evaluate.apply_match(clusters, one), 2))
    assert score["accuracy"] == pytest.approx(4 / 7)


def test_match_with_fewer_clusters_than_classes_and_on_another_split():
    mapping = evaluate.match(np.array([[0, 0, 0], [1, 9, 0], [8, 2, 0]]))
    assert mapping.tolist() == [2, 1]
    found = evaluate.apply_match(np.array([[1, 0], [UNLABELLED, 1]]), mapping)
    assert found.tolist() == [[1, 2], [UNLABELLED, 1]] and found.dtype == np.uint8
    with pytest.raises(ValueError, match="outside 0..1"):
        evaluate.apply_match(np.array([2]), mapping)


# ---------------------------------------------------------------------------------------------- features


def blobs(rng, shape=(3, 8, 8), dim=6, classes=3, noise=0.3):
    centres = 3 * np.eye(classes, dim)
    labels = rng.integers(0, classes, shape)
    return (centres[labels] + noise * rng.normal(size=(*shape, dim))).astype(np.float32), labels


def test_golden_knn_of_the_dino_reference():
    golden = np.load(GOLDEN / "dino_11.npz", allow_pickle=False)
    args = golden["knn_train"], golden["knn_train_y"], golden["knn_test"]
    found = evaluate.knn_predict(*args, k=20, temperature=0.07)
    assert 100 * (found == golden["knn_test_y"]).mean() == pytest.approx(float(golden["knn_top1"]), abs=1e-5)
    few = evaluate.knn_predict(*args[:2], args[2][:7], batch_size=3)  # the reference fails below 100 images
    assert (few == found[:7]).all()


def test_knn_weights_similarity_and_skips_unlabelled():
    train = np.array([[1, 0], [0, 1], [0.1, 1], [1, 0.01]])
    labels = np.array([0, 1, 1, UNLABELLED])
    test = np.array([[[1.0, 0.05]]])
    assert evaluate.knn_predict(train, labels, test, k=3).tolist() == [[0]]  # one near beats two far
    assert evaluate.knn_predict(train, labels, test, k=99, temperature=1e3).tolist() == [[1]]  # a plain vote
    assert evaluate.knn_predict(train, labels, test[..., ::-1], temperature=1e-4).tolist() == [[1]]  # overflow
    with pytest.raises(ValueError, match="2 numbers each, test features 3"):
        evaluate.knn_predict(train, labels, np.zeros((1, 3)))


def test_probe_and_kmeans_recover_blobs_and_repeat_exactly(rng):
    features, labels = blobs(rng)
    probe = evaluate.linear_probe(features, labels)
    assert (evaluate.predict(probe, features) == labels).mean() > 0.99
    again = evaluate.linear_probe(features, labels)
    assert (again[-1].coef_ == probe[-1].coef_).all()
    for normalise in (False, True):
        clusters = evaluate.predict(evaluate.kmeans(features, 3, 1, normalise=normalise), features)
        mapping = evaluate.match(evaluate.confusion(labels, clusters, 3, 3))
        assert (evaluate.apply_match(clusters, mapping) == labels).mean() > 0.99
    a, b = (evaluate.kmeans(features, 3, 1)[-1].cluster_centers_ for _ in range(2))
    assert (a == b).all()


def test_kmeans_normalise_looks_at_directions_only(rng):
    angle = np.repeat([0.2, 1.3], 50)
    length = np.tile([1, 60], 50)
    features = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    clusters = evaluate.predict(evaluate.kmeans(features, 2, normalise=True), features)
    assert len(set(clusters[:50])) == len(set(clusters[50:])) == 1 and clusters[0] != clusters[-1]


def test_probe_leaves_out_unlabelled_samples(rng):
    features, labels = blobs(rng)
    spoiled = labels.copy()
    spoiled[0] = UNLABELLED
    found = evaluate.linear_probe(features, spoiled)
    alone = evaluate.linear_probe(features[1:], labels[1:])
    assert set(found.classes_) == {0, 1, 2} and (found[-1].coef_ == alone[-1].coef_).all()
    holes = features.copy()
    holes[0] = np.nan  # features of unlabelled samples do not matter
    evaluate.linear_probe(holes, spoiled)


def test_probe_subsample_is_seeded(rng):
    features, labels = blobs(rng)
    a, b, c = (evaluate.linear_probe(features, labels, samples=40, seed=s)[-1].coef_ for s in (1, 1, 2))
    assert (a == b).all() and not (a == c).all()


def test_bad_features_get_one_sentence(rng):
    features, labels = blobs(rng)
    with pytest.raises(ValueError, match="at least two classes"):
        evaluate.linear_probe(features, np.ones_like(labels))
    with pytest.raises(ValueError, match="None of the training samples"):
        evaluate.linear_probe(features, np.full_like(labels, UNLABELLED))
    with pytest.raises(ValueError, match="cannot go with labels"):
        evaluate.linear_probe(features, labels[:2])
    with pytest.raises(ValueError, match="65 clusters cannot be made of 64"):
        evaluate.kmeans(features[0], 65)
    features[1, 2, 3, 4] = np.nan
    for call in (
        lambda: evaluate.kmeans(features, 3),
        lambda: evaluate.linear_probe(features, labels),
        lambda: evaluate.knn_predict(features[:1], labels[:1], features),
    ):
        with pytest.raises(ValueError, match="NaN"):
            call()


# ---------------------------------------------------------------------------------------------- intervals


def accuracies(values):
    return [np.array([[round(100 * v), 100 - round(100 * v)], [0, 0]]) for v in values]


def test_bootstrap_interval_is_that_of_the_mean_over_tiles(rng):
    values = rng.uniform(0.3, 0.9, 60).round(2)
    low, high = evaluate.bootstrap(accuracies(values), "accuracy", repeats=4000)
    error = values.std() / np.sqrt(60)  # closed form: normal approximation of the mean
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.006)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.006)
    narrow = evaluate.bootstrap(accuracies(values), "accuracy", level=0.5)
    assert low < narrow[0] < narrow[1] < high
    assert evaluate.bootstrap(accuracies(values)) == evaluate.bootstrap(accuracies(values))


def test_bootstrap_difference_is_paired(rng):
    values = rng.uniform(0.2, 0.8, 12).round(2)
    better = accuracies(values + 0.05)  # every tile is better by 5 points, though tiles differ by 60
    difference, low, high = evaluate.bootstrap_difference(better, accuracies(values), "accuracy")
    assert difference == pytest.approx(0.05) and low == pytest.approx(0.05) and high == pytest.approx(0.05)
    same = evaluate.bootstrap_difference(better, better, "miou")
    assert same == (0, 0, 0)


def test_bootstrap_refuses_one_tile_and_unknown_scores():
    with pytest.raises(ValueError, match="at least two tiles"):
        evaluate.bootstrap(accuracies([0.5]))
    with pytest.raises(ValueError, match="same tiles"):
        evaluate.bootstrap_difference(accuracies([0.5, 0.6]), accuracies([0.5, 0.6, 0.7]))
    with pytest.raises(ValueError, match="choose one of"):
        evaluate.bootstrap(accuracies([0.5, 0.6]), "iou")


# ------------------------------------------------------------------------------------------------- splits


def test_split_groups_keeps_groups_whole():
    groups = [f"tile {i % 7}" for i in range(50)]
    train, test = evaluate.split_groups(groups, 0.3, seed=3)
    named = np.array(groups)
    assert not set(named[train]) & set(named[test])
    assert sorted([*train, *test]) == list(range(50)) and len(set(named[test])) == 2
    assert (evaluate.split_groups(groups, 0.3, seed=3)[1] == test).all()
    assert any((len(t) != len(test)) or (t != test).any() for _, t in [evaluate.split_groups(groups, 0.3, 4)])
    for share in (0.01, 0.99):  # both sides always get something
        assert all(len(side) for side in evaluate.split_groups(["a", "b"], share))
    with pytest.raises(ValueError, match="at least two groups"):
        evaluate.split_groups(["a", "a"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        evaluate.split_groups(groups, 1.0)


def test_leave_groups_out():
    train, test = evaluate.leave_groups_out(["a", "b", "a", "c"], "a")
    assert train.tolist() == [1, 3] and test.tolist() == [0, 2]
    assert evaluate.leave_groups_out(["a", "b", "a", "c"], ["b", "c"])[1].tolist() == [1, 3]
    with pytest.raises(ValueError, match="no group d; there are a, b"):
        evaluate.leave_groups_out(["a", "b"], ["a", "d"])
    with pytest.raises(ValueError, match="nothing is left"):
        evaluate.leave_groups_out(["a", "b"], ["a", "b"])


def test_split_blocks_are_whole_and_split_pixels_are_not():
    mask = evaluate.split_blocks(50, 70, 16, 0.25, seed=1)
    assert mask.shape == (50, 70) and mask.dtype == bool
    for r in range(0, 50, 16):
        for c in range(0, 70, 16):
            assert len(np.unique(mask[r : r + 16, c : c + 16])) == 1
    blocks = mask[::16, ::16]
    assert blocks.sum() == 5  # a quarter of 4 x 5
    naive = evaluate.split_pixels(50, 70, 0.25, seed=1)
    assert naive.sum() == 875 and (naive[:, 1:] != naive[:, :-1]).mean() > 0.3
    with pytest.raises(ValueError, match="smaller blocks"):
        evaluate.split_blocks(10, 10, 16)


def test_over_seeds_draws_seeds_and_tiles():
    rng = np.random.default_rng(0)
    tables = rng.integers(1, 50, (3, 6, 2, 3))
    value, low, high = evaluate.over_seeds(tables)
    assert value == pytest.approx(np.mean([evaluate.scores(t.sum(0))["miou"] for t in tables]))
    assert low < value < high
    assert evaluate.over_seeds(tables, tables) == (0, 0, 0), "paired by seed and tile"
    same = np.repeat(tables[:1], 3, 0)  # seeds that agree: only the tiles differ
    assert evaluate.over_seeds(same)[1:] == pytest.approx(evaluate.bootstrap(tables[0], repeats=4000), abs=0.02)
    odd = tables.copy()
    odd[0] = [[1, 40, 0], [40, 1, 0]]  # one seed is much worse, in every tile
    assert evaluate.over_seeds(odd)[2] - evaluate.over_seeds(odd)[1] > high - low


def test_over_seeds_refuses_what_cannot_be_drawn():
    for shape in ((1, 4, 2, 3), (3, 1, 2, 3), (4, 2, 3)):
        with pytest.raises(ValueError, match="at least two of each"):
            evaluate.over_seeds(np.ones(shape))
    with pytest.raises(ValueError, match="at least two of each"):
        evaluate.over_seeds(np.ones((3, 4, 2, 3)), np.ones((3, 5, 2, 3)))

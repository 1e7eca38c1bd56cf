"""k-means, probes and k-NN on blobs, by hand, and against golden numbers of DINO's code."""

from pathlib import Path

import numpy as np
import pytest

from lulc_utils import cluster, evaluate
from lulc_utils.scene import UNLABELLED

GOLDEN = Path(__file__).parents[2] / "golden"


def blobs(rng, shape=(3, 8, 8), dim=6, classes=3, noise=0.3):
    centers = 3 * np.eye(classes, dim)
    labels = rng.integers(0, classes, shape)
    return (centers[labels] + noise * rng.normal(size=(*shape, dim))).astype(np.float32), labels


def test_golden_knn_of_the_dino_reference():
    golden = np.load(GOLDEN / "dino_11.npz", allow_pickle=False)
    args = golden["knn_train"], golden["knn_train_y"], golden["knn_test"]
    result = evaluate.knn_predict(*args, k=20, temperature=0.07)
    assert 100 * (result == golden["knn_test_y"]).mean() == pytest.approx(float(golden["knn_top1"]), abs=1e-5)
    few = evaluate.knn_predict(*args[:2], args[2][:7], batch_size=3)  # the reference fails below 100 images
    assert (few == result[:7]).all()


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
    for normalize in (False, True):
        clusters = evaluate.predict(cluster.kmeans(features, 3, 1, normalize=normalize), features)
        mapping = evaluate.match(evaluate.confusion(labels, clusters, 3, 3))
        assert (evaluate.apply_match(clusters, mapping) == labels).mean() > 0.99
    a, b = (cluster.kmeans(features, 3, 1)[-1].cluster_centers_ for _ in range(2))
    assert (a == b).all()


def test_kmeans_normalize_looks_at_directions_only(rng):
    angle = np.repeat([0.2, 1.3], 50)
    length = np.tile([1, 60], 50)
    features = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    clusters = evaluate.predict(cluster.kmeans(features, 2, normalize=True), features)
    assert len(set(clusters[:50])) == len(set(clusters[50:])) == 1 and clusters[0] != clusters[-1]


def test_probe_leaves_out_unlabelled_samples(rng):
    features, labels = blobs(rng)
    spoiled = labels.copy()
    spoiled[0] = UNLABELLED
    result = evaluate.linear_probe(features, spoiled)
    alone = evaluate.linear_probe(features[1:], labels[1:])
    assert set(result.classes_) == {0, 1, 2} and (result[-1].coef_ == alone[-1].coef_).all()
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
    with pytest.raises(ValueError, match="do not fit labels"):
        evaluate.linear_probe(features, labels[:2])
    with pytest.raises(ValueError, match="65 clusters cannot be made of 64"):
        cluster.kmeans(features[0], 65)
    features[1, 2, 3, 4] = np.nan
    for call in (
        lambda: cluster.kmeans(features, 3),
        lambda: evaluate.linear_probe(features, labels),
        lambda: evaluate.knn_predict(features[:1], labels[:1], features),
    ):
        with pytest.raises(ValueError, match="NaN"):
            call()

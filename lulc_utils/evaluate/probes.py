"""What frozen features know: a linear probe and k-nearest neighbors."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from lulc_utils.scene import UNLABELLED


def as_rows(features: np.ndarray) -> np.ndarray:
    """[..., D] -> [M, D] float32, checked."""
    features = np.asarray(features)
    if features.ndim < 2:
        raise ValueError(f"Features must be [..., D] with one row per sample, not {features.shape}.")
    rows = np.ascontiguousarray(features.reshape(-1, features.shape[-1]), dtype=np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("The features hold NaN or infinite values; mask or fill them first.")
    return rows


def _labelled(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels of the labelled samples, checked."""
    shape, labels = np.shape(features)[:-1], np.asarray(labels)
    if labels.shape != shape:
        raise ValueError(f"Features for samples of shape {shape} do not fit labels of shape {labels.shape}.")
    known = labels.ravel() != UNLABELLED
    if not known.any():
        raise ValueError("None of the training samples is labelled.")
    features = np.asarray(features).reshape(-1, np.shape(features)[-1])
    return as_rows(features[known]), labels.ravel()[known].astype(np.int64)


def linear_probe(
    features: np.ndarray, labels: np.ndarray, *, C: float = 1.0, samples: int | None = None, seed: int = 0
) -> Pipeline:
    """Standardized features [..., D] -> logistic regression (lbfgs); use it with `predict`.

    Unlabelled samples are left out. C is scikit-learn's inverse weight decay. `samples` caps the training
    samples, drawn at random with `seed`; all else is deterministic. ValueError for fewer than two classes.
    """
    rows, labels = _labelled(features, labels)
    if samples is not None and samples < len(rows):
        sample = np.random.default_rng(seed).choice(len(rows), samples, replace=False)
        rows, labels = rows[sample], labels[sample]
    if len(np.unique(labels)) < 2:
        raise ValueError(
            f"A linear probe needs at least two classes to train on; all samples are of class {labels[0]}."
        )
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=500, tol=1e-3)).fit(rows, labels)


def predict(model: Pipeline, features: np.ndarray) -> np.ndarray:
    """Classes or clusters [...] uint8 of features [..., D] by `linear_probe` or `cluster.kmeans`."""
    return model.predict(as_rows(features)).reshape(np.shape(features)[:-1]).astype(np.uint8)


def knn_predict(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    *,
    k: int = 20,
    temperature: float = 0.07,
    n_classes: int | None = None,
    batch_size: int = 512,
) -> np.ndarray:
    """Weighted k-NN by cosine, [...] uint8: the k most similar samples vote with weight exp(similarity / T).

    train [..., D] with train_labels [...] (unlabelled ones left out), test [..., D]; all vote when there are
    fewer than k. Source: DINO, eval_knn.py (k 20, T 0.07), whose batching fails below 100 test samples.
    """
    bank, labels = _labelled(train, train_labels)
    queries = as_rows(test)
    if bank.shape[1] != queries.shape[1]:
        raise ValueError(f"Training features have {bank.shape[1]} numbers each, test features {queries.shape[1]}.")
    if k < 1 or temperature <= 0:
        raise ValueError(f"k-NN needs k >= 1 and a temperature above 0, not k = {k} and T = {temperature}.")
    bank, queries = Normalizer().transform(bank), Normalizer().transform(queries)
    k, classes = min(k, len(bank)), max(n_classes or 0, int(labels.max()) + 1)
    answers = np.empty(len(queries), np.uint8)
    for start in range(0, len(queries), batch_size):
        similarity = queries[start : start + batch_size] @ bank.T  # [B, M]
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]  # [B, k]
        highest = np.take_along_axis(similarity, nearest, 1)
        weight = np.exp((highest - highest.max(1, keepdims=True)) / temperature)  # the maximum cancels; no overflow
        votes = np.zeros((len(highest), classes))
        np.add.at(votes, (np.arange(len(highest))[:, None], labels[nearest]), weight)
        answers[start : start + batch_size] = votes.argmax(1)
    return answers.reshape(np.shape(test)[:-1])

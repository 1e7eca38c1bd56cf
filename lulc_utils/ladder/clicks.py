"""A handful of labelled patches, "clicks": where to click, and the maps learned from nothing else."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from lulc_utils import cluster
from lulc_utils.crf import dense_crf
from lulc_utils.evaluate.probes import as_rows
from lulc_utils.ladder.crops import Crops
from lulc_utils.ladder.labels import STRENGTH
from lulc_utils.scene import UNLABELLED


def clicks_at_random(crops: Crops, n: int, seed: int = 0) -> np.ndarray:
    """Numbers of n labelled patches of all crops, drawn at random, [n]; ValueError when there are fewer."""
    labelled = np.flatnonzero(crops.patch_labels != UNLABELLED)
    if n > len(labelled):
        raise ValueError(f"{n} patches cannot be clicked where {len(labelled)} are labelled.")
    return np.random.default_rng(seed).choice(labelled, n, replace=False)


def clicks_by_kmeans(crops: Crops, n: int, seed: int = 0) -> np.ndarray:
    """Numbers of the patches in the middle of n groups of all crops' patches, [n]; no label is used to find them.

    Fewer than n where the patch in the middle has no label.
    """
    groups = cluster.by_cosine(crops.features, n, seed)
    chosen = np.unique(cluster.middles(groups, crops.features.flatten(0, 2)))
    return chosen[crops.patch_labels.ravel()[chosen] != UNLABELLED]


def learn_clicks(crops: Crops, clicks: np.ndarray) -> Pipeline:
    """Logistic regression on the features and labels of the clicked patches; use it with `evaluate.predict`.

    Features are standardized by all patches of the crops, which needs no label (seven rows would not do for that), and
    divided by the square root of their number, so that six numbers and 192 are held back alike. Clicks of one class
    only give a model that always answers with it.
    """
    rows, labels = as_rows(crops.features), crops.patch_labels.ravel()[clicks]
    scale = StandardScaler().fit(rows)
    scale.scale_ *= np.sqrt(rows.shape[1])
    alone = len(np.unique(labels)) == 1
    model = DummyClassifier() if alone else LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
    return Pipeline([("scale", scale), ("learn", model.fit(scale.transform(rows[clicks]), labels))])


def maps_from_clicks(model: Pipeline, crops: Crops, *, crf: bool = False) -> np.ndarray:
    """The class of every pixel, [N, H, W], by a model of patches; probabilities are interpolated between patches."""
    answers = []
    for scene, features in zip(crops.scenes, crops.features, strict=True):
        p = model.predict_proba(features.flatten(0, 1).numpy()).reshape(*features.shape[:2], -1)  # [h, w, K]
        p = cluster.to_pixels(torch.from_numpy(p).float(), crops.patch, (scene.height, scene.width))
        p = dense_crf(torch.from_numpy(scene.pixels), p) if crf else p
        answers.append(model.classes_[p.argmax(0).numpy()].astype(np.uint8))
    return np.stack(answers)

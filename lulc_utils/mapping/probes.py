"""Two models that train in seconds: a probe on the patches of a frozen backbone, and a classifier of single pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lulc_utils import cluster, evaluate
from lulc_utils.backbone import Backbone, patch_features
from lulc_utils.mapping.models import Model, pixel_model
from lulc_utils.scene import Scene


def patch_probe(backbone: Backbone, scenes: Sequence[Scene], *, samples: int = 3000, seed: int = 0) -> Model:
    """A linear probe on the frozen patch features of labelled scenes of one size, as a model.

    Probabilities are interpolated between the middles of the patches. samples: patches to learn from.
    """
    features = patch_features(backbone, np.stack([s.pixels for s in scenes]))
    labels = evaluate.patch_labels(np.stack([s.labels for s in scenes]), backbone.patch)
    probe = evaluate.linear_probe(features, labels, samples=samples, seed=seed)

    def predict(pixels: np.ndarray) -> torch.Tensor:
        features = patch_features(backbone, pixels[None])[0]  # [h, w, D]
        p = torch.zeros(*features.shape[:2], len(scenes[0].classes))
        known = probe.predict_proba(features.flatten(0, 1).numpy()).astype(np.float32)
        p[..., probe.classes_] = torch.from_numpy(known).view(*p.shape[:2], -1)
        return cluster.to_pixels(p, backbone.patch, pixels.shape[1:])

    digest = hashlib.sha256(probe[-1].coef_.tobytes()).hexdigest()  # so that a map resumes with this probe only
    name = f"linear probe on {backbone.name} features"
    return Model(predict, name, digest, scenes[0].classes, ("red", "green", "blue"), None)


def pixel_probe(
    scenes: Sequence[Scene], *, samples: int = 6000, seed: int = 0, resolution: float | None = None
) -> Model:
    """A logistic regression on the bands of single pixels of labelled scenes, as a model."""
    rows = np.concatenate([s.pixels.reshape(len(s.pixels), -1).T for s in scenes])
    labels = np.concatenate([s.labels.ravel() for s in scenes])
    some = np.random.default_rng(seed).choice(len(labels), samples, replace=False)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(rows[some], labels[some])
    return pixel_model(fitted, scenes[0].classes, bands=scenes[0].bands, resolution=resolution)

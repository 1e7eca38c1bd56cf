"""Crops with the features of their patches, and what groups of features make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from lulc_utils import cluster, evaluate
from lulc_utils.crf import dense_crf
from lulc_utils.scene import Scene, labels_of


@dataclass(frozen=True)
class Crops:
    """Labelled scenes of one size and the features of their patches, [N, h, w, D]."""

    scenes: Sequence[Scene]
    features: torch.Tensor

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every pixel, [N, H, W]."""
        return labels_of(self.scenes)

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return self.scenes[0].height // self.features.shape[1]

    @cached_property
    def patch_labels(self) -> np.ndarray:
        """Class of most pixels of every patch, [N, h, w]."""
        return evaluate.patch_labels(self.labels, self.patch)

    @cached_property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the features of all patches, [D] each; no label is needed for them."""
        rows = self.features.flatten(0, 2)
        return rows.mean(0).numpy(), rows.std(0, correction=0).numpy() + np.float32(1e-6)

    @property
    def n_classes(self) -> int:
        """Number of classes of the legend."""
        return len(self.scenes[0].classes)

    def part(self, keep: np.ndarray) -> Crops:
        """The crops where `keep` [N] is True."""
        rows = np.flatnonzero(keep)
        return Crops([self.scenes[i] for i in rows], self.features[torch.from_numpy(rows)])

    def described_by(self, features: torch.Tensor) -> Crops:
        """The same crops with other features of the same patches."""
        return replace(self, features=features)


def names(groups: cluster.Groups, crops: Crops) -> np.ndarray:
    """The class of every group by the labels of the crops; one to one unless there are more groups than classes."""
    k, n = len(groups.centers), crops.n_classes
    return cluster.names(crops.patch_labels, cluster.of_patches(groups, crops.features), n, k, many=k > n)


def patch_tables(groups: cluster.Groups, train: Crops, test: Crops) -> np.ndarray:
    """Confusion of every test crop on patches, [N, n, n + 1]; groups are named on the training crops."""
    answer = evaluate.apply_match(cluster.of_patches(groups, test.features), names(groups, train))
    return evaluate.confusions_by_group(test.patch_labels, answer, [s.name for s in test.scenes], test.n_classes)


def maps(groups: cluster.Groups, names: np.ndarray, crops: Crops, *, crf: bool = False) -> np.ndarray:
    """The class of every pixel, [N, H, W], after a CRF if wanted."""
    answers = []
    for scene, features in zip(crops.scenes, crops.features, strict=True):
        p = cluster.of_pixels(groups, features[None], (scene.height, scene.width))[0]  # [K, H, W]
        p = dense_crf(torch.from_numpy(scene.pixels), p) if crf else p
        answers.append(evaluate.apply_match(p.argmax(0).numpy(), names))
    return np.stack(answers)


def probe_maps(train: Crops, test: Crops, samples: int, seed: int = 0) -> np.ndarray:
    """The class of every pixel, [N, H, W], by a linear probe that has seen `samples` labelled patches."""
    probe = evaluate.linear_probe(train.features, train.patch_labels, samples=samples, seed=seed)
    return evaluate.at_pixels(evaluate.predict(probe, test.features), test.patch, test.labels.shape[1:])

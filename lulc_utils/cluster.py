"""Groups of features: made by cosine without labels, named with labels, and turned into maps.

    groups = cluster.by_cosine(features, 7)                        # [N, h, w, D] -> 7 centers
    patches = cluster.of_patches(groups, features)                 # [N, h, w], numbers of groups
    names = cluster.names(labels, patches, n_classes, 7)           # [7], the class of each group
    p = cluster.of_pixels(groups, features, (224, 224))            # [N, 7, 224, 224] probabilities
    p = cluster.as_classes(p[0], names, n_classes)                 # [n_classes, 224, 224]

STEGO's groups (`stego.Stego`) are used in the same way: what differs is how a feature becomes a code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from torch.nn import functional as F

from lulc_utils.evaluate import confusion, match, match_many
from lulc_utils.evaluate.probes import as_rows

SAMPLES = 10_000  # rows for k-means; more change nothing and take longer


class Groups(Protocol):
    """Anything that turns features [..., D] into codes [..., C] and has centers [K, C] to compare them with."""

    centers: torch.Tensor

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Codes of features."""


def _unchanged(features: torch.Tensor) -> torch.Tensor:
    return features


class Clusters(NamedTuple):
    """Centers [K, C] of groups, and how features [..., D] become the codes [..., C] that are compared with them."""

    centers: torch.Tensor
    change: Callable[[torch.Tensor], torch.Tensor] = _unchanged

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Codes of features; ValueError for NaN."""
        return self.change(checked(features, self.centers.device))


def checked(features: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Features as float32 on a device; ValueError when they are not finite."""
    features = torch.as_tensor(features).to(device, torch.float32)
    if not torch.isfinite(features).all():
        raise ValueError("The features hold NaN or infinite values; mask or fill the images first.")
    return features


def kmeans(features: np.ndarray, k: int, seed: int = 0, *, normalize: bool = False) -> Pipeline:
    """k-means on features [..., D] (3 restarts); use it with `evaluate.predict`. Needs no labels.

    normalize=True scales every feature vector to length 1; Euclidean distance then gives the same order as cosine.
    ValueError when there are fewer samples than clusters.
    """
    rows = as_rows(features)
    if not 1 <= k <= len(rows):
        raise ValueError(f"{k} clusters cannot be made of {len(rows)} samples.")
    first = Normalizer() if normalize else "passthrough"
    return make_pipeline(first, KMeans(k, n_init=3, max_iter=100, random_state=seed)).fit(rows)


def find_centers(codes: torch.Tensor, k: int, seed: int = 0) -> torch.Tensor:
    """k-means by cosine: k centers of length 1, [k, C], of codes [..., C], on the device of the codes."""
    rows = F.normalize(codes.flatten(0, -2), dim=-1).cpu()
    some = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:SAMPLES]
    fit = kmeans(rows[some].numpy(), k, seed, normalize=True)
    return F.normalize(torch.from_numpy(fit[-1].cluster_centers_).float(), dim=-1).to(codes.device)


def by_cosine(
    features: torch.Tensor, k: int, seed: int = 0, change: Callable[[torch.Tensor], torch.Tensor] = _unchanged
) -> Clusters:
    """k groups of features [..., D] by k-means and cosine; `change` is applied first, say a projection."""
    features = checked(features, torch.as_tensor(features).device)
    return Clusters(find_centers(change(features), k, seed), change)


def similarity(codes: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Cosine of every code with every center: [..., C], [K, C] -> [..., K]."""
    return F.normalize(codes, dim=-1) @ F.normalize(centers, dim=-1).T


def logits(codes: torch.Tensor, centers: torch.Tensor, alpha: float = 2.0) -> torch.Tensor:
    """Log-probabilities of the groups, [..., C] -> [..., K]: log-softmax of alpha times the cosine."""
    return torch.log_softmax(alpha * similarity(codes, centers), dim=-1)


@torch.inference_mode()
def of_patches(groups: Groups, features: torch.Tensor) -> np.ndarray:
    """The nearest group of every patch: [..., D] -> [...] uint8."""
    return logits(groups.encode(features), groups.centers).argmax(-1).cpu().numpy().astype(np.uint8)


@torch.inference_mode()
def of_pixels(
    groups: Groups, features: torch.Tensor, size: tuple[int, int], *, flipped: torch.Tensor | None = None
) -> torch.Tensor:
    """Probabilities of the groups in every pixel, [N, h, w, D] -> [N, K, *size]; codes are interpolated, then compared.

    size      rows and columns of the image
    flipped   features of the same images mirrored left to right; their codes are mirrored back and averaged in
    """
    codes = groups.encode(features)
    if flipped is not None:
        if flipped.shape != features.shape:
            raise ValueError(f"The features are {tuple(features.shape)}, but mirrored {tuple(flipped.shape)}.")
        codes = (codes + groups.encode(flipped).flip(2)) / 2
    codes = F.interpolate(codes.permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False)  # [N, C, H, W]
    return logits(codes.permute(0, 2, 3, 1), groups.centers).exp().permute(0, 3, 1, 2).cpu()


@torch.inference_mode()
def middles(groups: Groups, features: torch.Tensor) -> np.ndarray:
    """The row of features [M, D] most similar to each center, [K]: where to look in order to name a group."""
    return similarity(groups.encode(features), groups.centers).argmax(0).cpu().numpy()


def names(truth: np.ndarray, clusters: np.ndarray, n_classes: int, k: int, *, many: bool = False) -> np.ndarray:
    """The class of every group, [k] uint8, from labels and groups of the same patches, two arrays of one shape.

    Each class names at most one group (`evaluate.match`); with many=True a group gets its most frequent class
    (`evaluate.match_many`). A group without a class is UNLABELLED.
    """
    table = confusion(truth, clusters, n_classes, k)
    return match_many(table) if many else match(table)


def as_classes(p: torch.Tensor, of: Sequence[int], n_classes: int) -> torch.Tensor:
    """Values of groups [K, ...] -> of classes [n_classes, ...]: a class gets that of its most likely group, or 0.

    of   the class of every group, [K]; a group without a class (UNLABELLED) is ignored
    """
    members = [torch.from_numpy(np.flatnonzero(np.asarray(of) == c)) for c in range(n_classes)]
    return torch.stack([p[m].amax(0) if len(m) else p.new_zeros(p.shape[1:]) for m in members])


def to_pixels(values: torch.Tensor, patch: int, size: tuple[int, int]) -> torch.Tensor:
    """Values of patches [h, w, K] -> of pixels [K, *size], interpolated between the middles of the patches.

    size   rows and columns of the image, where the last patches may reach over its edge
    """
    large = F.interpolate(values.permute(2, 0, 1)[None], scale_factor=patch, mode="bilinear", align_corners=False)
    return large[0, :, : size[0], : size[1]]

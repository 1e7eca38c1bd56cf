"""The pairs of a step of STEGO: an image with itself, with one of its nearest neighbors, and with random images."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lulc_utils.cluster import checked

NEIGHBORS, NEGATIVES, SAMPLES = 7, 5, 121  # as in the authors' configuration (121 = 11 x 11 positions)


def images_of(features: torch.Tensor, neighbors: int) -> torch.Tensor:
    """[N, h, w, D] float, finite, more images than neighbors; ValueError otherwise."""
    features = torch.as_tensor(features)
    if features.ndim != 4 or 0 in features.shape:
        raise ValueError(f"Features must be [images, rows, columns, numbers], not {tuple(features.shape)}.")
    if len(features) <= neighbors:
        raise ValueError(f"{neighbors} neighbors need more than {len(features)} images; give more or ask for fewer.")
    return checked(features, features.device)


def nearest_images(features: torch.Tensor, k: int = NEIGHBORS) -> torch.Tensor:
    """The k images most similar to each image, by cosine of mean features: [N, h, w, D] -> [N, k]; never itself.

    Computed from the frozen features without dropout; the authors' code leaves dropout on here, so that its
    neighbors change from run to run.
    """
    if len(features) <= k:
        raise ValueError(f"{k} neighbors need more than {len(features)} images; give more or ask for fewer.")
    mean = F.normalize(features.flatten(1, -2).mean(1), dim=-1)  # [N, D]
    similarity = mean @ mean.T
    return similarity.fill_diagonal_(-torch.inf).topk(k).indices


def random_others(n: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """For each of n images `count` others, [n, count]: never itself and never the same twice."""
    if n <= count:
        raise ValueError(f"{count} different other images need a batch of at least {count + 1}, not {n}.")
    order = torch.rand(n, n, generator=generator).fill_diagonal_(2.0)  # itself comes last
    return order.argsort(1)[:, :count]


def positions(n: int, patches: int, samples: int, generator: torch.Generator) -> torch.Tensor:
    """Random patches for each of n images, none twice, [n, min(samples, patches)]."""
    return torch.rand(n, patches, generator=generator).topk(min(samples, patches), sorted=False).indices


def drop(features: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Dropout of whole feature dimensions, the same ones in all patches of an image: [B, P, D] -> [B, P, D]."""
    keep = torch.rand(len(features), 1, features.shape[-1], generator=generator) >= share
    return features * (keep / (1 - share)).to(features.device)

"""STEGO's three shifts, and how to choose them without a label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from lulc_utils.cluster import kmeans
from lulc_utils.evaluate import predict
from lulc_utils.stego.loss import centered, correspondence
from lulc_utils.stego.pairs import NEGATIVES, NEIGHBORS, SAMPLES, images_of, nearest_images, positions

TIMES = 1.5  # as many pairs attract as k-means puts together; of five rules the best where no chapter scores


class Shifts(NamedTuple):
    """b of the three terms: pairs of patches whose centered similarity exceeds it attract, others repel."""

    itself: float = 0.18
    neighbor: float = 0.12
    random: float = 0.46


PUBLISHED_SHIFTS = Shifts()


def sampled_correspondences(
    features: torch.Tensor, *, images: int = 64, samples: int = SAMPLES, neighbors: int = NEIGHBORS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Centered correspondences of the three kinds of pairs, {"itself", "neighbor", "random": [M]}: to look at.

    features [N, h, w, D]; computed as in training, but from at most `images` images.
    """
    features = images_of(features, neighbors)
    generator = torch.Generator().manual_seed(seed)
    flat, near = features.flatten(1, 2), nearest_images(features, neighbors)
    n = min(images, len(flat))
    chosen = torch.randperm(len(flat), generator=generator)[:n]
    pick = near[chosen, torch.randint(neighbors, (n,), generator=generator)]
    x, y, z = (flat[who[:, None], positions(n, flat.shape[1], samples, generator)] for who in (chosen, pick, chosen))
    several = [(x, z.roll(step, 0)) for step in range(1, min(NEGATIVES, n - 1) + 1)]  # a few partners each
    return {
        name: torch.cat([centered(correspondence(*p)).flatten() for p in pairs]).cpu().numpy()
        for name, pairs in zip(Shifts._fields, ([(x, x)], [(x, y)], several), strict=True)
    }


def same_cluster_shares(features: torch.Tensor, clusters: int, *, neighbors: int = NEIGHBORS, seed: int = 0) -> Shifts:
    """How often two patches share a k-means cluster, for the three kinds of pairs: three numbers in 0..1."""
    features = images_of(features, neighbors)
    rows = features.flatten(0, -2).cpu()
    some = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:10_000]
    cluster = predict(kmeans(rows[some].numpy(), clusters, seed, normalize=True), rows.numpy())  # [N * h * w]
    cluster = torch.from_numpy(cluster.astype(np.int64)).view(len(features), -1).to(features.device)
    parts = F.one_hot(cluster, clusters).float().mean(1)  # [N, K], share of each image in each cluster
    near, everywhere = parts[nearest_images(features, neighbors)], parts.mean(0)  # [N, k, K], [K]
    together = (parts * parts).sum(1).mean(), (parts[:, None] * near).sum(-1).mean(), (everywhere**2).sum()
    return Shifts(*map(float, together))


def choose_shifts(
    features: torch.Tensor, clusters: int, *, times: float = TIMES, neighbors: int = NEIGHBORS, seed: int = 0
) -> Shifts:
    """Shifts without labels: `times` as many pairs attract as k-means on the features puts into one cluster.

    Each shift is the quantile of the centered correspondences above which that share lies (never more than all). This
    rule is ours; the authors chose theirs by hand for each data set and backbone, and none of their sets fits another
    backbone.
    """
    share = same_cluster_shares(features, clusters, neighbors=neighbors, seed=seed)
    pairs = sampled_correspondences(features, neighbors=neighbors, seed=seed)
    return Shifts(*(float(np.quantile(pairs[name], max(1 - times * s, 0))) for name, s in share._asdict().items()))

"""The head that turns features into codes, and its training.

Shapes: N images of h x w patches; B images of a batch, P sampled patches each; D, C and K as in the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from lulc_utils.cluster import checked, find_centers
from lulc_utils.stego.loss import cluster_loss, correspondence_loss
from lulc_utils.stego.pairs import (
    NEGATIVES,
    NEIGHBORS,
    SAMPLES,
    drop,
    images_of,
    nearest_images,
    positions,
    random_others,
)
from lulc_utils.stego.shifts import PUBLISHED_SHIFTS, Shifts
from lulc_utils.training import Checked, option, own_randomness, seed_option

WEIGHTS = (0.67, 0.25, 0.63)  # of the three terms: the image itself, a nearest neighbor, random images


@dataclass(frozen=True)
class Settings(Checked):
    """How STEGO is trained. The authors use lr 5e-4 for thousands of steps; ten epochs of few images need more.

    shifts    b of the three terms, see `choose_shifts`
    weights   of the three terms; with weight 0 for the second, no neighbors are searched
    samples   patches drawn per image and step
    center, clamp   as in `correspondence_loss`
    """

    code_dim: int = option(12, least=1)
    shifts: Shifts = PUBLISHED_SHIFTS
    weights: tuple[float, float, float] = option(WEIGHTS, least=0)
    center: bool = True
    clamp: bool = True
    epochs: int = option(10, least=1)
    batch_size: int = option(16, least=1)
    samples: int = option(SAMPLES, least=2)
    neighbors: int = option(NEIGHBORS, least=1)
    negatives: int = option(NEGATIVES, least=1)
    dropout: float = option(0.1, least=0, most=0.99)
    lr: float = option(3e-3, least=0)
    probe_lr: float = option(5e-3, least=0)
    seed: int = seed_option()


class Head(nn.Module):
    """Features [..., D] -> codes [..., C]: a linear and a non-linear branch, added (1x1 convolutions in STEGO)."""

    def __init__(self, dim: int, code_dim: int):
        super().__init__()
        self.linear = nn.Linear(dim, code_dim)
        self.nonlinear = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, code_dim))

    def forward(self, features: torch.Tensor, dropped: tuple[torch.Tensor, torch.Tensor] | None = None) -> torch.Tensor:
        """`dropped`: in training, the features as each branch sees them, with some numbers left out."""
        a, b = dropped or (features, features)
        return self.linear(a) + self.nonlinear(b)


class Stego(NamedTuple):
    """The result of training: the head, cluster centers [K, C] and one record of losses per epoch."""

    head: Head
    centers: torch.Tensor
    history: list[dict[str, float]]

    @torch.no_grad()  # not inference_mode: a reader may train a probe on the codes
    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """Codes of features, [..., D] -> [..., C]; ValueError for NaN or features of another backbone."""
        features, wanted = checked(features, self.centers.device), self.head.linear.in_features
        if features.shape[-1] != wanted:
            raise ValueError(f"The head needs features of {wanted} numbers, but these have {features.shape[-1]}.")
        return self.head(features)


def train(features: torch.Tensor, clusters: int, settings: Settings = Settings(), *, progress: bool = False) -> Stego:
    """Train head and cluster probe on frozen features [N, h, w, D], on the device of the features (CPU or GPU).

    clusters   K of the cluster probe; `with_clusters` makes other numbers of clusters afterward

    Training takes seconds, so it writes no checkpoints. The probe learns on codes with their gradient cut, so it does
    not influence the head. ValueError for fewer images than a batch, too few neighbors, or features not finite.
    """
    s, features = settings, images_of(features, settings.neighbors if settings.weights[1] else 0)
    n, flat = len(features), features.flatten(1, 2)  # [N, h * w, D]
    if clusters < 2:
        raise ValueError("STEGO needs at least 2 clusters.")
    if s.batch_size > n:
        raise ValueError(f"A batch of {s.batch_size} needs as many images, but there are {n}; lower batch_size.")
    near = nearest_images(features, s.neighbors) if s.weights[1] else None
    generator = torch.Generator().manual_seed(s.seed)
    head, centers = initial(features.shape[-1], s.code_dim, clusters, s.seed)
    head, centers = head.to(flat.device), nn.Parameter(centers.to(flat.device))
    groups = [{"params": head.parameters(), "lr": s.lr}, {"params": [centers], "lr": s.probe_lr}]
    optimizer, history = torch.optim.Adam(groups, foreach=True), []
    for _ in tqdm(range(s.epochs), desc="STEGO", unit="epoch", disable=not progress):
        records = []
        for batch in torch.randperm(n, generator=generator).split(s.batch_size)[: n // s.batch_size]:
            # 1. Compare codes of the batch at random positions with those of itself, neighbors and random images.
            terms, codes = step_losses(flat, batch, near, head, s, generator)
            # 2. The probe moves its centers toward the codes; no gradient reaches the head.
            probe = cluster_loss(codes.detach(), centers)
            # 3. One update of head and centers.
            optimizer.zero_grad()
            (sum(terms) + probe).backward()
            optimizer.step()
            records.append([float(torch.as_tensor(t).detach()) for t in (*terms, probe)])
        mean = np.mean(records, 0).tolist()
        history.append(dict(zip((*Shifts._fields, "probe"), mean, strict=True)) | {"loss": sum(mean[:3])})
    return Stego(head.eval().requires_grad_(False), centers.detach(), history)


def step_losses(
    flat: torch.Tensor,
    batch: torch.Tensor,
    near: torch.Tensor | None,
    head: Head,
    s: Settings,
    generator: torch.Generator,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The three weighted terms of one step, and the codes [B, P, C] of the batch.

    flat [N, h * w, D], batch [B]: numbers of its images, near [N, k]: neighbors of every image or None
    """
    first = draw(flat, batch, head, s.samples, s.dropout, generator)
    second, third = [], []
    if near is not None:  # one of the neighbors of each image
        pick = near[batch, torch.randint(s.neighbors, (len(batch),), generator=generator)]
        second = [draw(flat, pick, head, s.samples, s.dropout, generator)]
    if s.weights[2]:
        # Every image has its own positions and dropout, so a batch drawn once serves as its own negatives.
        others = random_others(len(batch), s.negatives, generator).T  # [negatives, B]
        third = [[t[other] for t in first] for other in others]
    terms = []
    for weight, shift, pairs in zip(s.weights, s.shifts, ([first], second, third), strict=True):
        losses = [correspondence_loss(first[0], x, first[1], code, shift, s.center, s.clamp) for x, code in pairs]
        terms.append(sum(weight / len(pairs) * loss for loss in losses))
    return terms, first[1]


def draw(
    flat: torch.Tensor, images: torch.Tensor, head: Head, samples: int, dropout: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [B, P, D] at random patches of the given images (rows of [N, h * w, D]), and their codes [B, P, C].

    Three draws of dropout as in the authors' code: one per branch and one on the features that the loss compares.
    """
    x = flat[images[:, None], positions(len(images), flat.shape[1], samples, generator)]
    a, b, seen = (drop(x, dropout, generator) for _ in range(3)) if dropout else (x, x, x)
    return seen, head(x, (a, b))


def initial(dim: int, code_dim: int, clusters: int, seed: int) -> tuple[Head, torch.Tensor]:
    """Head and centers [K, C] drawn from the seed; the global random state is unchanged."""
    with own_randomness(seed):
        return Head(dim, code_dim), torch.randn(clusters, code_dim)


def with_clusters(stego: Stego, features: torch.Tensor, clusters: int, *, seed: int = 0) -> Stego:
    """The same head with new centers: k-means by cosine on the codes of `features` [N, h, w, D], no labels.

    The probe that is trained with the head starts anywhere and gets only a few steps in ten epochs; k-means with
    restarts finds better centers of the same codes, for any number of clusters.
    """
    return stego._replace(centers=find_centers(stego.encode(features), clusters, seed))

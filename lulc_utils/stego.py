"""STEGO: from frozen features to a land-cover map without a label (Hamilton et al. 2022).

A small *head* turns every patch feature into a short *code*. Where two patches have similar features, their codes
are pulled together; where they have not, pushed apart. Clusters of the codes are the map. The backbone is never
trained, so its features are computed once; and because the head treats each patch by itself, training needs it
only at the few positions that a step samples.

Shapes: B images, P sampled patches each, D numbers per feature, C per code, K clusters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from lulc_utils.evaluate import kmeans, predict

WEIGHTS = (0.67, 0.25, 0.63)  # of the three terms: the image itself, a nearest neighbour, random images
NEIGHBOURS, NEGATIVES, SAMPLES = 7, 5, 121  # as in the authors' configuration (121 = 11 x 11 positions)


class Shifts(NamedTuple):
    """b of the three terms: pairs of patches whose centred similarity exceeds it attract, others repel."""

    itself: float = 0.18
    neighbour: float = 0.12
    random: float = 0.46


PUBLISHED_SHIFTS = Shifts()


class Stego(NamedTuple):
    """What training leaves: the head, cluster centres [K, C] and one record of losses per epoch."""

    head: Head
    centres: torch.Tensor
    history: list[dict[str, float]]


# ---------------------------------------------------------------------------------------------- the idea


def correspondence(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of every patch with every patch: [B, P, D], [B, Q, D] -> [B, P, Q]."""
    return F.normalize(a, dim=-1, eps=1e-10) @ F.normalize(b, dim=-1, eps=1e-10).transpose(1, 2)


def centered(similarity: torch.Tensor) -> torch.Tensor:
    """Spatial centring of [B, P, Q]: each patch's mean similarity is taken off; the overall mean stays.

    Without it a patch that is like everything (say, grass in a meadow) attracts everything. The published formula
    has only the first half; the authors' code adds the overall mean again, and so do we.
    """
    return similarity - similarity.mean(-1, keepdim=True) + similarity.mean()


def correspondence_loss(
    features_a: torch.Tensor,
    features_b: torch.Tensor,
    codes_a: torch.Tensor,
    codes_b: torch.Tensor,
    shift: float,
    center: bool = True,
    clamp: bool = True,
    reduction: str = "mean",
) -> torch.Tensor:
    """Codes shall be as alike as features are, above a shift: -max(S, 0) * (F - b), a scalar.

    features [B, P, D] and [B, Q, D] (no gradient), codes [B, P, C] and [B, Q, C]; F and S are their cosine
    correspondences. clamp: codes that are already at right angles or beyond are not pushed any further.
    reduction "none" returns [B, P, Q]. Source: STEGO, equation 4 and `ContrastiveCorrelationLoss.helper`.
    """
    with torch.no_grad():
        f = correspondence(features_a, features_b)
        f = centered(f) if center else f
    s = correspondence(codes_a, codes_b)
    loss = (s.relu() if clamp else s) * (shift - f)
    return loss if reduction == "none" else loss.mean()


class Head(nn.Module):
    """Features [..., D] -> codes [..., C]: a linear and a non-linear branch, added (1x1 convolutions in STEGO)."""

    def __init__(self, dim: int, code_dim: int):
        super().__init__()
        self.linear = nn.Linear(dim, code_dim)
        self.nonlinear = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, code_dim))

    def forward(self, features: torch.Tensor, dropped: tuple[torch.Tensor, torch.Tensor] | None = None):
        """`dropped`: in training, the features as each branch sees them, with some numbers left out."""
        a, b = dropped or (features, features)
        return self.linear(a) + self.nonlinear(b)


def drop(features: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Dropout of whole feature numbers, the same ones in all patches of an image: [B, P, D] -> [B, P, D]."""
    keep = torch.rand(len(features), 1, features.shape[-1], generator=generator) >= share
    return features * (keep / (1 - share)).to(features.device)


def cluster_loss(codes: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Cluster probe, k-means by gradient: minus the mean cosine of each code [..., C] to its best centre [K, C]."""
    return -(F.normalize(codes, dim=-1) @ F.normalize(centres, dim=-1).T).amax(-1).mean()


def cluster_logits(codes: torch.Tensor, centres: torch.Tensor, alpha: float = 2.0) -> torch.Tensor:
    """Log-probabilities of the clusters, [..., C] -> [..., K]: log-softmax of alpha times the cosine."""
    return torch.log_softmax(alpha * F.normalize(codes, dim=-1) @ F.normalize(centres, dim=-1).T, dim=-1)


# -------------------------------------------------------------------------------------- who meets whom


def nearest_images(features: torch.Tensor, k: int = NEIGHBOURS) -> torch.Tensor:
    """The k images most like each image, by the cosine of their mean features: [N, h, w, D] -> [N, k]; never itself.

    Taken from the frozen features without dropout; the authors' code leaves dropout on here, so that its
    neighbours change from run to run.
    """
    if len(features) <= k:
        raise ValueError(f"{k} neighbours need more than {len(features)} images; give more or ask for fewer.")
    mean = F.normalize(features.flatten(1, -2).mean(1), dim=-1)  # [N, D]
    similarity = mean @ mean.T
    return similarity.fill_diagonal_(-torch.inf).topk(k).indices


def random_others(n: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """For each of n images `count` others, [n, count]: never itself and never twice the same."""
    if n <= count:
        raise ValueError(f"{count} different other images need a batch of at least {count + 1}, not {n}.")
    order = torch.rand(n, n, generator=generator).fill_diagonal_(2.0)  # itself comes last
    return order.argsort(1)[:, :count]


def positions(n: int, patches: int, samples: int, generator: torch.Generator) -> torch.Tensor:
    """For each of n images some of its patches at random, none twice, [n, min(samples, patches)]."""
    return torch.rand(n, patches, generator=generator).topk(min(samples, patches), sorted=False).indices


# ------------------------------------------------------------------------------- shifts, without a label


def sampled_correspondences(
    features: torch.Tensor, *, images: int = 64, samples: int = SAMPLES, neighbours: int = NEIGHBOURS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Centred correspondences of the three kinds of pairs, {"itself", "neighbour", "random": [M]}: to look at.

    features [N, h, w, D]; as in training, but of at most `images` images.
    """
    features = _checked(features, neighbours)
    generator = torch.Generator().manual_seed(seed)
    flat, near = features.flatten(1, 2), nearest_images(features, neighbours)
    n = min(images, len(flat))
    chosen = torch.randperm(len(flat), generator=generator)[:n]
    pick = torch.randint(neighbours, (n,), generator=generator)
    x, y, z = (
        flat[who[:, None], positions(n, flat.shape[1], samples, generator)]
        for who in (chosen, near[chosen, pick], chosen)
    )
    found = {"itself": [(x, x)], "neighbour": [(x, y)]}
    found["random"] = [(x, z.roll(step, 0)) for step in range(1, min(NEGATIVES, n - 1) + 1)]  # a few partners each
    return {
        name: torch.cat([centered(correspondence(*p)).flatten() for p in pairs]).cpu().numpy()
        for name, pairs in found.items()
    }


def same_cluster_shares(
    features: torch.Tensor, clusters: int, *, neighbours: int = NEIGHBOURS, seed: int = 0
) -> Shifts:
    """How often two patches share a k-means cluster, for the three kinds of pairs: three numbers in 0..1."""
    features = _checked(features, neighbours)
    rows = features.reshape(-1, features.shape[-1])
    some = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:10_000]
    found = predict(kmeans(rows[some].cpu().numpy(), clusters, seed, normalize=True), rows.cpu().numpy())  # [N * h * w]
    found = torch.from_numpy(found.astype(np.int64)).view(len(features), -1).to(features.device)
    parts = F.one_hot(found, clusters).float().mean(1)  # [N, K], how much of each image each cluster takes
    near, everywhere = parts[nearest_images(features, neighbours)], parts.mean(0)  # [N, k, K], [K]
    together = (parts * parts).sum(1).mean(), (parts[:, None] * near).sum(-1).mean(), (everywhere**2).sum()
    return Shifts(*map(float, together))


def choose_shifts(features: torch.Tensor, clusters: int, *, neighbours: int = NEIGHBOURS, seed: int = 0) -> Shifts:
    """Shifts without labels: as many pairs attract as k-means on the features puts into one cluster.

    The shift is the quantile of the centred correspondences above which that share lies. This rule is ours; the
    authors chose theirs by hand for each data set and backbone, and none of their sets fits another backbone.
    """
    share = same_cluster_shares(features, clusters, neighbours=neighbours, seed=seed)
    found = sampled_correspondences(features, neighbours=neighbours, seed=seed)
    return Shifts(*(float(np.quantile(c, 1 - s)) for c, s in zip(found.values(), share, strict=True)))


# ------------------------------------------------------------------------------------------------ training


def train(
    features: torch.Tensor,
    clusters: int,
    *,
    code_dim: int = 12,
    shifts: Shifts = PUBLISHED_SHIFTS,
    weights: tuple[float, float, float] = WEIGHTS,
    center: bool = True,
    clamp: bool = True,
    epochs: int = 10,
    batch_size: int = 16,
    samples: int = SAMPLES,
    neighbours: int = NEIGHBOURS,
    negatives: int = NEGATIVES,
    dropout: float = 0.1,
    lr: float = 3e-3,
    probe_lr: float = 5e-3,
    seed: int = 0,
    progress: bool = False,
) -> Stego:
    """Train head and cluster probe on frozen features [N, h, w, D] (CPU or GPU: where the features are).

    clusters       K of the cluster probe; `with_clusters` makes others afterwards
    shifts         b of the three terms, see `choose_shifts`
    weights        of the three terms; with weight 0 for the second no neighbours are looked for
    samples        patches drawn per image and step
    lr, probe_lr   Adam; the authors use lr 5e-4 for thousands of steps, ten epochs of few images need more

    The probe learns on codes whose gradient is cut, so it does not influence the head. ValueError for fewer images
    than a batch, too few neighbours or negatives, and features that are not finite.
    """
    features = _checked(features, neighbours if weights[1] else 0)
    n, flat = len(features), features.flatten(1, 2)  # [N, h * w, D]
    if not 0 < batch_size <= n:
        raise ValueError(f"A batch of {batch_size} needs as many images, but there are {n}; lower batch_size.")
    if clusters < 2 or code_dim < 1 or epochs < 1 or samples < 2:
        raise ValueError("STEGO needs at least 2 clusters, 1 number per code, 1 epoch and 2 samples per image.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie between 0 and 1 (1 would leave nothing), not at {dropout}.")
    near = nearest_images(features, neighbours) if weights[1] else None
    generator = torch.Generator().manual_seed(seed)
    head, centres = _initial(features.shape[-1], code_dim, clusters, seed)
    head.to(flat.device)
    centres = nn.Parameter(centres.to(flat.device))
    optimiser = torch.optim.Adam(
        [{"params": head.parameters(), "lr": lr}, {"params": [centres], "lr": probe_lr}], foreach=True
    )
    history, steps = [], n // batch_size
    for _ in tqdm(range(epochs), desc="STEGO", unit="epoch", disable=not progress):
        batches = torch.randperm(n, generator=generator)[: steps * batch_size].view(steps, batch_size)
        records = []
        for batch in batches:
            first = _draw(flat, batch, head, samples, dropout, generator)
            pairs = [("itself", weights[0], shifts.itself, first)]
            if near is not None:
                pick = near[batch, torch.randint(neighbours, (batch_size,), generator=generator)]
                near_one = _draw(flat, pick, head, samples, dropout, generator)
                pairs.append(("neighbour", weights[1], shifts.neighbour, near_one))
            # Every image has positions and dropout of its own, so a batch drawn once serves as its own negatives.
            others = random_others(batch_size, negatives, generator).T if weights[2] else []
            for other in others:  # [B]: one other image for each
                pairs.append(("random", weights[2] / negatives, shifts.random, [t[other] for t in first]))
            terms = dict.fromkeys(("itself", "neighbour", "random"), 0.0)
            for name, weight, shift, (x, code) in pairs:
                loss = correspondence_loss(first[0], x, first[1], code, shift, center, clamp)
                terms[name] = terms[name] + weight * loss
            probe = cluster_loss(first[1].detach(), centres)
            optimiser.zero_grad()
            (sum(terms.values()) + probe).backward()
            optimiser.step()
            records.append([float(torch.as_tensor(t).detach()) for t in (*terms.values(), probe)])
        mean = np.mean(records, 0)
        history.append(dict(zip((*terms, "probe"), mean.tolist(), strict=True)) | {"loss": float(mean[:3].sum())})
    return Stego(head.eval().requires_grad_(False), centres.detach(), history)


def _draw(flat, images, head: Head, samples: int, dropout: float, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [B, P, D] at random patches of the given images, and their codes [B, P, C].

    Three draws of dropout as in the authors' code: one per branch and one on the features that the loss compares.
    """
    x = flat[images[:, None], positions(len(images), flat.shape[1], samples, generator)]
    a, b, seen = (drop(x, dropout, generator) for _ in range(3)) if dropout else (x, x, x)
    return seen, head(x, (a, b))


def _initial(dim: int, code_dim: int, clusters: int, seed: int) -> tuple[Head, torch.Tensor]:
    """Head and centres [K, C] drawn from the seed; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return Head(dim, code_dim), torch.randn(clusters, code_dim)


def _checked(features: torch.Tensor, neighbours: int) -> torch.Tensor:
    """[N, h, w, D] float, finite, more images than neighbours; one plain sentence otherwise."""
    features = torch.as_tensor(features)
    if features.ndim != 4 or 0 in features.shape:
        raise ValueError(f"Features must be [images, rows, columns, numbers], not {tuple(features.shape)}.")
    if not torch.isfinite(features).all():
        raise ValueError("The features hold NaN or infinite values; mask or fill the images first.")
    if len(features) <= neighbours:
        raise ValueError(f"{neighbours} neighbours need more than {len(features)} images; give more or ask for fewer.")
    return features.float()


# ----------------------------------------------------------------------------------------------------- use


@torch.no_grad()  # not inference_mode: a reader may train a probe on the codes
def codes(stego: Stego, features: torch.Tensor) -> torch.Tensor:
    """Codes of features, [..., D] -> [..., C]; ValueError for NaN or features of another backbone."""
    features = torch.as_tensor(features).to(stego.centres.device, torch.float32)
    wanted = getattr(getattr(stego.head, "linear", None), "in_features", features.shape[-1])
    if features.shape[-1] != wanted:
        raise ValueError(f"The head was trained on features of {wanted} numbers, these have {features.shape[-1]}.")
    if not torch.isfinite(features).all():
        raise ValueError("The features hold NaN or infinite values; mask or fill the images first.")
    return stego.head(features)


def with_clusters(stego: Stego, features: torch.Tensor, clusters: int, *, seed: int = 0) -> Stego:
    """The same head with new centres: k-means by cosine on the codes of `features` [N, h, w, D], no labels.

    The probe that learns beside the head starts anywhere and has only a few steps in ten epochs; k-means with
    restarts finds better centres of the same codes, and any number of them.
    """
    rows = F.normalize(codes(stego, features).flatten(0, -2), dim=-1).cpu()
    some = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:10_000]
    fit = kmeans(rows[some].numpy(), clusters, seed, normalize=True)
    centres = torch.from_numpy(fit[-1].cluster_centers_).float()
    return stego._replace(centres=F.normalize(centres, dim=-1).to(stego.centres.device))


@torch.inference_mode()
def cluster_patches(stego: Stego, features: torch.Tensor) -> np.ndarray:
    """The nearest cluster of every patch: [N, h, w, D] -> [N, h, w] uint8."""
    return cluster_logits(codes(stego, features), stego.centres).argmax(-1).cpu().numpy().astype(np.uint8)


@torch.inference_mode()
def cluster_pixels(
    stego: Stego, features: torch.Tensor, size: tuple[int, int], *, flipped: torch.Tensor | None = None
) -> torch.Tensor:
    """Cluster probabilities of every pixel, [N, h, w, D] -> [N, K, *size]: codes are interpolated, then compared.

    size      rows and columns of the image
    flipped   features of the same images mirrored left to right; their codes are mirrored back and averaged in
    """
    found = codes(stego, features)
    if flipped is not None:
        if flipped.shape != features.shape:
            raise ValueError(f"The mirrored features are {tuple(flipped.shape)}, the others {tuple(features.shape)}.")
        found = (found + codes(stego, flipped).flip(2)) / 2
    found = F.interpolate(found.permute(0, 3, 1, 2), size, mode="bilinear", align_corners=False)  # [N, C, H, W]
    return cluster_logits(found.permute(0, 2, 3, 1), stego.centres).exp().permute(0, 3, 1, 2).cpu()

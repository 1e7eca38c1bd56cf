"""Pre-training without labels: a U-Net whose pixels recognize the same ground in another view."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from timm.optim import param_groups_weight_decay
from torch import nn
from torch.nn import functional as F

from lulc_utils.contrastive.loss import near_neighbors, symmetric_info_nce
from lulc_utils.contrastive.stacks import about, images_and_bands
from lulc_utils.contrastive.unet import Result, UNet, fresh
from lulc_utils.contrastive.views import JITTER, Jitter, at_points, matching_points, two_views
from lulc_utils.scene import Scene
from lulc_utils.training import (
    Checked,
    Run,
    Saving,
    autocast,
    checked_device,
    cosine_schedule,
    descend,
    my_rows,
    option,
    own_randomness,
    processes,
    rank,
    seed_option,
    step_generator,
)


@dataclass(frozen=True)
class Pretraining(Checked):
    """How to pre-train.

    batch_size    patches per step, over all processes of a distributed run; all their points are negatives
    points        n per patch; points of one patch closer than `radius` pixels are not negatives
    overlap, zoom, turns, jitter    how the two views differ; see `two_views`
    projection    length of an embedding; 0: the loss is applied to the features themselves
    precision     "fp32" or "bf16" (autocast)
    """

    steps: int = option(400, "updates; more than before continues a finished run", least=1)
    batch_size: int = option(16, "patches per update, over all processes", least=1)
    crop: int = option(32, "side of a crop, pixels", least=16)
    points: int = option(64, "points per patch", least=1)
    tau: float = option(0.1, "temperature", above=0)
    radius: float = option(8.0, "distance in pixels below which points of a patch are not negatives", least=0)
    overlap: float = option(0.25, least=0, most=1)
    zoom: tuple[float, float] = option((1.0, 1.0), above=0)
    turns: bool = True
    jitter: Jitter = JITTER
    projection: int = option(64, least=0)
    lr: float = option(3e-3, "highest learning rate", above=0)
    weight_decay: float = option(0.01, least=0)
    seed: int = seed_option("of the weights and of every batch")
    precision: str = option("fp32", "bf16: autocast", choices=("fp32", "bf16"))


class Projection(nn.Module):
    """Features [N, D] -> embeddings [N, dim]; what the loss ignores is lost here, so it is discarded in the end."""

    def __init__(self, features: int, hidden: int = 64, dim: int = 64):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two 1 x 1 convolutions, computed only at the points."""
        return self.layers(x)


def pretrain(
    images: np.ndarray | torch.Tensor | Sequence[Scene],
    settings: Pretraining = Pretraining(),
    saving: Saving = Saving(),
    *,
    bands: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    model: UNet | None = None,
) -> Result:
    """Pre-train a U-Net on patches without labels.

    images        [P, C, H, W] reflectance; or [P, T, C, H, W], T dates of the same ground, of which every pair of
                  views shows two; or scenes of one size
    bands         names of the C bands; those of the scenes, or "band 1", ... when None
    model         continue from this network instead of from random weights

    A record holds step, loss, matched (the share of points nearest to their partner) and lr. A step depends on the
    weights, the seed and its number only, so a resumed run equals an unbroken one. ValueError says what does not fit.
    """
    s, device = settings, checked_device(device)
    images, bands = images_and_bands(images, bands, s.crop)
    # The network, followed by a projection that absorbs what the loss distorts; only the network is kept.
    net = fresh(bands, images, s.seed) if model is None else copy.deepcopy(model)
    std = net.std.cpu().clone()
    with own_randomness(s.seed):
        projection = Projection(net.dim, dim=s.projection) if s.projection else nn.Identity()
    both = nn.ModuleDict({"net": net, "projection": projection}).to(device).train()
    optimizer = torch.optim.AdamW(param_groups_weight_decay(both, s.weight_decay))
    rates = cosine_schedule(s.lr, s.lr / 100, s.steps, min(50, s.steps // 10), s.lr / 100)
    rows = my_rows(s.batch_size)
    same = about(images, bands, random=model is None)
    run = Run(s, saving, {"model": both, "optimizer": optimizer}, about=same)
    for step in run.steps("pre-training"):
        # 1. Two crops of every patch of the batch, and n places that both of them show. Every process cuts the whole
        #    batch, which is cheap, and sends its own rows through the network.
        a, b, points = _pairs(images, s, std, step_generator(s.seed, step))
        # 2. An embedding for every place in either crop, [2 B n, 64]; then those of all processes, [N, 64] each.
        with autocast(device, s.precision):
            features = net.features(torch.cat([a.pixels[rows], b.pixels[rows]]).to(device))
        places = torch.cat([points.a[rows], points.b[rows]]).to(device)
        embeddings = projection(at_points(features.float(), places))
        za, zb = (_gather(F.normalize(z, dim=-1)) for z in embeddings.chunk(2))
        # 3. Every place must find itself in the other view among all places, except those next door.
        loss = symmetric_info_nce(za, zb, s.tau, near_neighbors(points.ground, s.radius).to(device))
        # 4. A gradient step, and a record of it.
        descend(both, loss, optimizer, rates[step])
        run.record({"loss": loss.item(), "matched": _matched(za, zb), "lr": float(rates[step])})
    return Result(net.eval(), run.records)


def _pairs(images: torch.Tensor, s: Pretraining, std: torch.Tensor, generator: torch.Generator) -> tuple:
    """Views a and b of every patch of a batch, and the points that both show."""
    first, other = draw_patches(images, s.batch_size, generator)
    more = {"overlap": s.overlap, "zoom": s.zoom, "turns": s.turns, "jitter": s.jitter, "std": std}
    a, b = two_views(first, s.crop, generator, other=other, **more)
    return a, b, matching_points(a, b, s.points, generator)


def draw_patches(
    images: torch.Tensor, batch_size: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Patches [B, C, H, W] and, when there are several dates, the same patches on another one (else None)."""
    chosen = torch.randperm(len(images), generator=generator)[:batch_size]
    if len(chosen) < batch_size:  # few patches: some come twice
        more = torch.randint(len(images), (batch_size - len(chosen),), generator=generator)
        chosen = torch.cat([chosen, more])
    if images.ndim == 4:
        return images[chosen], None
    dates = torch.rand(batch_size, images.shape[1], generator=generator).topk(min(2, images.shape[1]), 1).indices
    return images[chosen, dates[:, 0]], images[chosen, dates[:, -1]]


def _gather(z: torch.Tensor) -> torch.Tensor:
    """The embeddings of all processes in batch order; only those of this process carry a gradient."""
    if processes() == 1:
        return z
    parts = [torch.empty_like(z) for _ in range(processes())]
    dist.all_gather(parts, z.detach().contiguous())
    parts[rank()] = z
    return torch.cat(parts)


def _matched(za: torch.Tensor, zb: torch.Tensor) -> float:
    """The share of points of view a that are nearest to their partner in view b."""
    nearest = (za.detach() @ zb.detach().T).argmax(1).cpu()
    return float((nearest == torch.arange(len(nearest))).float().mean())

"""Dense contrastive pre-training: pixels learn to recognise the same ground in another view, then few labels do.

After Embedding Earth (Tarasiou & Zafeiriou 2022, arXiv 2203.06041): pre-train a U-Net on unlabelled Sentinel-2 patches
with a contrastive loss per pixel, then fine-tune all of it on few labels. The authors never released their code, and
the paper leaves much open. So how pairs are cut and sampled, what counts as a negative, and every constant here are
OURS, chosen on simulated landscapes; the loss is the standard dense InfoNCE (van den Oord et al. 2018).

B patches per batch, C bands, s pixels across a crop, n points per patch, N = B n points, D numbers per embedding.
Points are (col, row) in pixels; the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from lulc_utils import data as load_data
from lulc_utils import evaluate, raster, simulate
from lulc_utils.contrastive import unet
from lulc_utils.scene import UNLABELLED, Scene
from lulc_utils.simulate.satellite.atmosphere import add_haze
from lulc_utils.simulate.satellite.seasons import season_day
from lulc_utils.training import (
    cosine_schedule,
    my_rows,
    processes,
    rank,
    restore,
    save_checkpoint,
    share_gradients,
    sum_over_processes,
    write_lines,
)

# How much the radiometry of two views differs, on top of what dates and haze do: sensors. Factors are 1 +- x; the rest
# is in band standard deviations; drop is the chance of a band to be replaced by its mean. Twice as much costs a lot: in
# land cover, small differences of reflectance are the evidence.
JITTER = {"brightness": 0.05, "gain": 0.02, "offset": 0.05, "noise": 0.05, "drop": 0.0}
STILL = dict.fromkeys(JITTER, 0.0)

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")  # those that look at the ground
FIRST_SEED = 10_000  # of the simulated scenes that the command line trains on; chapters and tests use smaller ones


# -------------------------------------------------------------------------------------------------- the idea


def info_nce(za: torch.Tensor, zb: torch.Tensor, tau: float = 0.1, exclude: torch.Tensor | None = None) -> torch.Tensor:
    """How badly every point of view a finds its partner among all points of view b; a scalar.

    za, zb    [N, D]; row i of both is the same place on the ground; made unit length here
    tau       temperature: the smaller, the more the nearest negatives count
    exclude   [N, N] bool: pairs that are no negatives (near neighbours); the diagonal is never excluded

    `-log exp(z_i . z_i+ / tau) / sum_k exp(z_i . z_k / tau)`, mean over i; log N when it cannot tell them apart.
    Source: van den Oord et al. 2018, arXiv 1807.03748.
    """
    logits = F.normalize(za, dim=-1) @ F.normalize(zb, dim=-1).T / tau  # [N, N]
    here = torch.arange(len(logits), device=logits.device)
    if exclude is not None:
        logits = logits.masked_fill(exclude & (here[:, None] != here), -torch.inf)
    return F.cross_entropy(logits, here)


def symmetric_info_nce(
    za: torch.Tensor, zb: torch.Tensor, tau: float = 0.1, exclude: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean of `info_nce` from a to b and from b to a; a scalar. Arguments as there."""
    back = None if exclude is None else exclude.T
    return (info_nce(za, zb, tau, exclude) + info_nce(zb, za, tau, back)) / 2


def near_neighbours(ground: torch.Tensor, radius: float) -> torch.Tensor:
    """Pairs of points of one patch closer than `radius` pixels: [B, n, 2] -> [B n, B n] bool, without the diagonal.

    Land cover is smooth: the pixel next door most likely shows the same thing and must not count as its opposite.
    """
    batch, n = ground.shape[:2]
    close = torch.cdist(ground, ground, compute_mode="donot_use_mm_for_euclid_dist") < radius  # [B, n, n]
    close &= ~torch.eye(n, dtype=torch.bool, device=ground.device)
    return torch.block_diag(*close) if batch > 1 else close[0]


# ----------------------------------------------------------------------------------------------------- views


class View(NamedTuple):
    """One crop of every patch of a batch: pixels [B, C, s, s] and map [B, 2, 3], from its points to the patch's."""

    pixels: torch.Tensor
    map: torch.Tensor


class Points(NamedTuple):
    """The same n places of every patch, [B, n, 2] each: in view a, in view b, and in the patch."""

    a: torch.Tensor
    b: torch.Tensor
    ground: torch.Tensor


def two_views(
    pixels: torch.Tensor,
    crop: int,
    generator: torch.Generator,
    *,
    other: torch.Tensor | None = None,
    overlap: float = 0.25,
    zoom: tuple[float, float] = (1.0, 1.0),
    turns: bool = True,
    jitter: dict[str, float] = JITTER,
    std: torch.Tensor | None = None,
) -> tuple[View, View]:
    """Two overlapping crops of every patch, each turned by quarters, flipped and jittered on its own.

    pixels    [B, C, H, W] reflectance
    other     [B, C, H, W]: the same ground on another date, which the second view then shows
    overlap   least share of a crop's area that the other one shares (of the smaller one, when they are zoomed)
    zoom      patch pixels per crop pixel, drawn between the two for every view; (1, 1): pixels stay as they are
    turns     False: neither turned nor flipped
    jitter    how much the radiometry changes; see JITTER
    std       [C] standard deviation of every band, the unit of offset and noise; ones when None

    ValueError when the crop does not fit into the patch.
    """
    batch, bands, height, width = pixels.shape
    if other is not None and other.shape != pixels.shape:
        raise ValueError(f"The two dates must have one shape, not {tuple(pixels.shape)} and {tuple(other.shape)}.")
    if crop * max(zoom) > min(height, width):
        raise ValueError(
            f"A crop of {crop} pixels at zoom {max(zoom)} does not fit into patches of {height} x {width}; "
            "use larger patches or a smaller crop."
        )
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    room = torch.tensor([width, height])
    zooms = zoom[0] * (zoom[1] / zoom[0]) ** draw(2, batch, 1)
    side = crop * zooms  # [2, B, 1] patch pixels
    first = draw(batch, 2) * (room - side[0])  # top left corner of view a, in patch pixels
    reach = (1 - math.sqrt(overlap)) * side.amin(0)  # how far apart the centres may be, along either axis
    second = first + (side[0] - side[1]) / 2 + (2 * draw(batch, 2) - 1) * reach
    second = second.clamp_min(0).minimum(room - side[1])  # being pushed inwards brings them closer, never apart
    views = []
    for source, corner, scale in ((pixels, first, zooms[0]), (pixels if other is None else other, second, zooms[1])):
        corner = corner.floor() if zoom == (1.0, 1.0) else corner
        turn = torch.randint(8, (batch,), generator=generator) * int(turns)
        place = crop_map(corner, scale, turn, crop)
        views.append(View(change(resample(source, place, crop), generator, jitter, std), place))
    return views[0], views[1]


def crop_map(corner: torch.Tensor, zoom: torch.Tensor, turn: torch.Tensor, size: int) -> torch.Tensor:
    """Affine maps [B, 2, 3] from points of a crop to points of its patch.

    corner [B, 2] the crop's top left edge in patch pixels, zoom [B, 1] patch pixels per crop pixel, turn [B] 0..7:
    turn % 4 quarter turns, mirrored from 4 on.
    """
    angle = turn % 4
    cos, sin = torch.tensor([1.0, 0.0, -1.0, 0.0])[angle], torch.tensor([0.0, 1.0, 0.0, -1.0])[angle]
    mirror = torch.where(turn >= 4, -1.0, 1.0)
    linear = torch.stack([torch.stack([cos * mirror, -sin], -1), torch.stack([sin * mirror, cos], -1)], -2)  # [B, 2, 2]
    middle = torch.full((2,), (size - 1) / 2)
    shift = corner - 0.5 + zoom * (middle + 0.5 - linear @ middle)  # turned about the crop's own centre
    return torch.cat([zoom.unsqueeze(-1) * linear, shift.unsqueeze(-1)], -1)


def to_patch(points: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Points [B, n, 2] of crops -> points [B, n, 2] of their patches; place [B, 2, 3]."""
    return points @ place[:, :, :2].mT + place[:, None, :, 2]


def to_crop(points: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Points [B, n, 2] of patches -> points [B, n, 2] of the crops; the inverse of `to_patch`."""
    return (points - place[:, None, :, 2]) @ torch.linalg.inv(place[:, :, :2]).mT


def resample(pixels: torch.Tensor, place: torch.Tensor, size: int, mode: str = "bilinear") -> torch.Tensor:
    """Crops [B, C, size, size] of patches [B, C, H, W] at the places [B, 2, 3]."""
    ground = to_patch(_grid(size).to(place).expand(len(place), -1, -1), place).view(-1, size, size, 2)
    return _sample(pixels, ground, mode)


def at_points(features: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Features [B, D, H, W] at points [B, n, 2], bilinear: [B n, D], one patch after the other."""
    return _sample(features, points.unsqueeze(2)).squeeze(-1).mT.flatten(0, 1)


def matching_points(a: View, b: View, n: int, generator: torch.Generator) -> Points:
    """n places of every patch that both views show, drawn without repetition among the pixels of view a.

    ValueError when the views share fewer than n pixels.
    """
    size = a.pixels.shape[-1]
    candidates = _grid(size).expand(len(a.map), -1, -1)  # [B, s s, 2]
    ground = to_patch(candidates, a.map)
    there = to_crop(ground, b.map)
    shared = ((there > -1e-3) & (there < size - 1 + 1e-3)).all(-1)  # [B, s s]
    if int(shared.sum(1).min()) < n:
        raise ValueError(
            f"Two views share only {int(shared.sum(1).min())} pixels, fewer than {n} points; "
            "take fewer points, larger crops or more overlap."
        )
    lots = torch.rand(shared.shape, generator=generator)
    chosen = ((1 + lots) * shared).topk(n, 1).indices.unsqueeze(-1).expand(-1, -1, 2)  # [B, n, 2]
    return Points(*(x.gather(1, chosen) for x in (candidates, there, ground)))


def change(
    x: torch.Tensor, generator: torch.Generator, jitter: dict[str, float], std: torch.Tensor | None = None
) -> torch.Tensor:
    """Reflectance [B, C, s, s] as under another sun, haze and sensor; `jitter` as JITTER, std [C] its unit."""
    batch, bands = x.shape[:2]
    draw = lambda *shape: 2 * torch.rand(*shape, 1, 1, generator=generator) - 1  # noqa: E731
    unit = torch.ones(bands, 1, 1) if std is None else std.cpu().view(-1, 1, 1)
    factor = (1 + jitter["brightness"] * draw(batch, 1)) * (1 + jitter["gain"] * draw(batch, bands))
    offset, amount = jitter["offset"] * draw(batch, bands), jitter["noise"] * draw(batch, 1).abs()
    dropped = draw(batch, bands) / 2 + 0.5 < jitter["drop"]
    x = x * factor + offset * unit
    if jitter["noise"]:
        x = x + torch.randn(x.shape, generator=generator) * (amount * unit)
    return torch.where(dropped, x.mean((-2, -1), keepdim=True), x)


def _grid(size: int) -> torch.Tensor:
    """All pixels of a crop as points, [s s, 2], row by row."""
    rows, cols = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return torch.stack([cols, rows], -1).flatten(0, 1)


def _sample(pixels: torch.Tensor, points: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """[B, C, H, W] at points [B, h, w, 2] -> [B, C, h, w]."""
    height, width = pixels.shape[-2:]
    scaled = 2 * points / torch.tensor([width - 1, height - 1]).to(points) - 1
    return F.grid_sample(pixels, scaled, mode=mode, padding_mode="border", align_corners=True)


# ---------------------------------------------------------------------------------------------- pre-training


class Result(NamedTuple):
    """A trained network and one record per logged step."""

    model: unet.UNet
    history: list[dict]


class Projection(nn.Module):
    """Features [N, D] -> embeddings [N, dim]; takes the loss's blind spots upon itself and is thrown away."""

    def __init__(self, features: int, hidden: int = 64, dim: int = 64):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A 1 x 1 convolution twice, but only where there are points."""
        return self.layers(x)


def fresh(bands: Sequence[str], images: np.ndarray | torch.Tensor, seed: int = 0, **shape) -> unet.UNet:
    """A U-Net with random weights that standardises by these images [..., C, H, W]; shape as `unet.UNet`'s."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return unet.UNet(bands, **shape).standardise(torch.as_tensor(images))


def pretrain(
    images: np.ndarray | torch.Tensor | Sequence[Scene],
    *,
    bands: Sequence[str] | None = None,
    steps: int = 400,
    batch_size: int = 16,
    crop: int = 32,
    points: int = 64,
    tau: float = 0.1,
    radius: float = 8.0,
    overlap: float = 0.25,
    zoom: tuple[float, float] = (1.0, 1.0),
    turns: bool = True,
    jitter: dict[str, float] = JITTER,
    projection: int = 64,
    lr: float = 3e-3,
    weight_decay: float = 0.01,
    seed: int = 0,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
    model: unet.UNet | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
    resume: bool = True,
    history: str | Path | None = None,
    log_every: int = 10,
    progress: bool = False,
) -> Result:
    """Pre-train a U-Net on patches without labels.

    images        [P, C, H, W] reflectance; or [P, T, C, H, W], T dates of the same ground, of which every pair of
                  views shows two; or scenes of one size
    bands         names of the C bands; those of the scenes, or "band 1", ... when None
    batch_size    patches per step, over all processes of a distributed run; all their points are negatives
    points        n per patch; those closer than `radius` pixels in the same patch are no negatives
    overlap, zoom, turns, jitter    how the two views differ; see `two_views`
    projection    length of an embedding; 0: the loss is applied to the features themselves
    precision     "fp32" or "bf16" (autocast)
    model         continue from this network instead of from random weights
    checkpoint    file to continue from, if it exists and `resume`, and to write every `checkpoint_every` steps
    history       JSON-lines file that receives the records as they come

    A record holds step, loss, lr and `matched`, the share of points nearest to their partner. A step depends on the
    weights, the seed and its number only, so a resumed run equals an unbroken one. ValueError says what does not fit.
    """
    arguments = dict(locals())
    images, bands = _stack(images, bands)
    settings = _settings(arguments, images, bands)
    _check(settings, steps, torch.device(device), images.shape)
    net = fresh(bands, images, seed) if model is None else copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        head = Projection(net.dim, dim=projection) if projection else nn.Identity()
    run = _start(nn.ModuleDict({"net": net, "projection": head}), weight_decay, device)
    std = net.std.cpu().clone()

    def loss_of(generator: torch.Generator) -> tuple[torch.Tensor, dict]:
        first, other = _draw(images, batch_size, generator)
        a, b = two_views(
            first, crop, generator, other=other, overlap=overlap, zoom=zoom, turns=turns, jitter=jitter, std=std
        )  # every process cuts the whole batch (cheap) and sends its own rows through the network
        places = matching_points(a, b, points, generator)
        rows, parts = my_rows(batch_size), run["model"]
        pair = torch.cat([a.pixels[rows], b.pixels[rows]]).to(device)
        where = torch.cat([places.a[rows], places.b[rows]]).to(device)
        with _autocast(device, precision):
            features = parts["net"].features(pair)
        embeddings = parts["projection"](at_points(features.float(), where))  # [2 N, 64]
        za, zb = (_gather(F.normalize(z, dim=-1)) for z in embeddings.chunk(2))
        loss = symmetric_info_nce(za, zb, tau, near_neighbours(places.ground, radius).to(device))
        nearest = (za.detach() @ zb.detach().T).argmax(1).cpu()
        return loss, {
            "loss": float(loss.detach()),
            "matched": float((nearest == torch.arange(len(nearest))).float().mean()),
        }

    _fit(run, loss_of, settings, "pre-training", arguments)
    return Result(run["model"]["net"].eval(), run["records"])


# ----------------------------------------------------------------------------------------------- fine-tuning


def label_fraction(labels: np.ndarray, fraction: float, seed: int = 0, block: int | None = None) -> np.ndarray:
    """Keep the labels of a share of the patches, at least of one, and hide the rest; [P, H, W] uint8.

    Whole patches, because a labelled pixel next door would give the answer away; block=b: whole blocks of b x b
    pixels instead, for a few large patches. With one seed, a smaller share is part of a larger one. Units without
    any label are not counted. ValueError for a fraction outside 0..1 or when nothing is labelled.
    """
    labels = np.asarray(labels)
    if not 0 < fraction <= 1:
        raise ValueError(f"The fraction of labels must lie above 0 and at most at 1, not at {fraction}.")
    patches, height, width = labels.shape
    block = block or max(height, width)
    rows, cols = -(-height // block), -(-width // block)
    unit = np.arange(height)[:, None] // block * cols + np.arange(width) // block  # [H, W]
    unit = unit + np.arange(patches)[:, None, None] * (rows * cols)  # [P, H, W], one number per unit
    known = np.unique(unit[labels != UNLABELLED])
    if not len(known):
        raise ValueError("None of the patches is labelled.")
    order = np.random.default_rng(seed).permutation(known)
    kept = order[: max(1, round(fraction * len(known)))]
    return np.where(np.isin(unit, kept), labels, UNLABELLED).astype(np.uint8)


def finetune(
    model: unet.UNet | None,
    images: np.ndarray | torch.Tensor,
    labels: np.ndarray,
    classes: int,
    *,
    bands: Sequence[str] | None = None,
    steps: int = 150,
    batch_size: int = 8,
    crop: int = 32,
    lr: float = 4e-3,
    weight_decay: float = 0.01,
    jitter: dict[str, float] = JITTER,
    probe: bool | None = None,
    freeze: bool = False,
    seed: int = 0,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 100,
    resume: bool = True,
    history: str | Path | None = None,
    log_every: int = 10,
    progress: bool = False,
) -> Result:
    """Train a copy of the network, with a new linear head, on labelled patches by cross-entropy.

    model         a pre-trained network; None: random weights, standardised by these images
    images        [P, C, H, W] reflectance
    labels        [P, H, W] uint8, UNLABELLED where nobody knows; patches without any label are not used
    probe         start from the linear head that is best for the features as they are (logistic regression), not from
                  a random one, whose first gradients would spoil them (Kumar et al. 2022, arXiv 2202.10054); None:
                  only when there is a model
    freeze        True: train the head alone, on frozen features
    seed          of the head, of the batches and, when model is None, of the weights

    The other arguments and what is checked: as in `pretrain`; records hold step, loss and lr.
    """
    arguments = dict(locals())
    images, bands = _stack(images, bands or (model and model.bands))
    labels = np.asarray(labels)
    settings = _settings(arguments, images, bands) | {"labelled": int((labels != UNLABELLED).sum())}
    _check(settings, steps, torch.device(device), images.shape)
    _check_labels(images, labels, classes, model)
    known = torch.from_numpy((labels != UNLABELLED).any((1, 2)))
    truth = torch.from_numpy(labels)[known][:, None].float()  # [P, 1, H, W]
    images = images[known]
    net = fresh(bands, images, seed) if model is None else copy.deepcopy(model).train()
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        net.classes, net.head = classes, nn.Conv2d(net.dim, classes, 1)
    if model is not None if probe is None else probe:
        probed_head(net, images, truth[:, 0].byte().numpy(), seed)
    net.requires_grad_(not freeze).head.requires_grad_(True)
    run = _start(net, weight_decay, device)
    net.train(not freeze)  # frozen features keep the statistics of the unlabelled images, too
    std = net.std.cpu().clone()

    def loss_of(generator: torch.Generator) -> tuple[torch.Tensor, dict]:
        chosen = torch.randint(len(images), (batch_size,), generator=generator)
        room = torch.tensor([images.shape[-1] - crop + 1, images.shape[-2] - crop + 1])
        corner = (torch.rand(batch_size, 2, generator=generator) * room).floor()
        turn = torch.randint(8, (batch_size,), generator=generator)
        place = crop_map(corner, torch.ones(batch_size, 1), turn, crop)
        x = change(resample(images[chosen], place, crop), generator, jitter, std)
        y = resample(truth[chosen], place, crop, "nearest")[:, 0].long()  # [B, s, s]
        rows, labelled = my_rows(batch_size), int((y != UNLABELLED).sum())
        with _autocast(device, precision):
            scores = run["model"](x[rows].to(device))
        total = F.cross_entropy(scores.float(), y[rows].to(device), ignore_index=UNLABELLED, reduction="sum")
        loss = total / max(labelled, 1)  # the processes' gradients are added up, so each divides by the whole batch
        return loss, {"loss": float(sum_over_processes(loss.detach()))}

    _fit(run, loss_of, settings, "fine-tuning", arguments)
    return Result(run["model"].requires_grad_(True).eval(), run["records"])


@torch.no_grad()
def probed_head(net: unet.UNet, images: torch.Tensor, labels: np.ndarray, seed: int = 0, samples: int = 5000) -> None:
    """Set the head by logistic regression from features to labels [P, H, W], on at most `samples` pixels.

    A class without any label gets a score that never wins. The network is changed in place, its features are not.
    """
    known = labels != UNLABELLED
    x = features(net, images)[known]  # [N, D]
    if len(np.unique(labels[known])) < 2:
        return  # nothing to tell apart: the random head will do
    scaler, regression = evaluate.linear_probe(x, labels[known], samples=samples, seed=seed)
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    classes = regression.classes_.astype(int)  # a rare class may be in none of the samples
    if len(classes) == 2:  # scikit-learn then keeps one row of weights, for the second class
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    net.head.weight.zero_()
    net.head.bias.fill_(float(bias.min()) - 10)
    net.head.weight[classes] = torch.as_tensor(weight).float()[..., None, None]
    net.head.bias[classes] = torch.as_tensor(bias).float()


@torch.no_grad()
def features(model: unet.UNet, images: np.ndarray | torch.Tensor, batch_size: int = 16) -> np.ndarray:
    """Features of every pixel: reflectance [P, C, H, W] -> [P, H, W, D] float32."""
    training, device = model.training, model.mean.device
    model.eval()
    parts = [model.features(part.to(device)).cpu() for part in torch.as_tensor(images).split(batch_size)]
    model.train(training)
    return torch.cat(parts).movedim(1, -1).numpy()


@torch.no_grad()
def predict(model: unet.UNet, images: np.ndarray | torch.Tensor, batch_size: int = 16) -> np.ndarray:
    """Most likely class of every pixel: reflectance [P, C, H, W] -> [P, H, W] uint8."""
    device = model.mean.device
    model.eval()
    parts = torch.as_tensor(images).split(batch_size)
    return torch.cat([model(part.to(device)).argmax(1).byte().cpu() for part in parts]).numpy()


# ------------------------------------------------------------------------------------------------- both of them

_FREE = (  # arguments that may change between an interrupted run and its continuation, or are compared otherwise
    "images labels model steps device checkpoint checkpoint_every resume history log_every progress".split()
)


def _settings(arguments: dict, images: torch.Tensor, bands: Sequence[str]) -> dict:
    """What must be the same when a run continues."""
    kept = {key: value for key, value in arguments.items() if key not in _FREE}
    about = {"bands": list(bands), "shape": list(images.shape), "mean": f"{float(images.double().mean()):.6g}"}
    return {**kept, **about, "random": arguments["model"] is None}


def _start(model: nn.Module, weight_decay: float, device: str | torch.device) -> dict:
    """Everything that changes during training, at step 0."""
    model = model.to(device).train()
    weights = [w for w in model.parameters() if w.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return {"step": 0, "model": model, "optimizer": torch.optim.AdamW(groups), "records": []}


def _fit(run: dict, loss_of: Callable, settings: dict, title: str, arguments: dict) -> None:
    """Step by step until the end: `loss_of(generator)` gives a loss and its record; `run` is changed in place.

    Every process holds the loss of its own rows, as part of the global one, so their gradients are added up.
    """
    steps, main = arguments["steps"], rank() == 0
    checkpoint, history = (arguments[name] and Path(arguments[name]) for name in ("checkpoint", "history"))
    if checkpoint and arguments["resume"] and checkpoint.exists():
        restore(checkpoint, settings, run, arguments["device"])
    if history and main:
        write_lines(history, run["records"], "w")
    rates = cosine_schedule(arguments["lr"], arguments["lr"] / 100, steps, min(50, steps // 10), arguments["lr"] / 100)
    bar = tqdm(total=steps, initial=min(run["step"], steps), desc=title, disable=not (arguments["progress"] and main))
    while run["step"] < steps:
        rate = float(rates[run["step"]])
        loss, record = loss_of(torch.Generator().manual_seed(arguments["seed"] * 1_000_003 + run["step"]))
        run["step"] += 1
        if not math.isfinite(record["loss"]):
            raise ValueError(f"The loss is not finite at step {run['step']}; lower lr, or look for NaN in the images.")
        _update(run, loss, rate)
        if run["step"] % arguments["log_every"] == 0 or run["step"] == steps:
            run["records"].append({"step": run["step"], **record, "lr": rate})
            bar.set_postfix({name: f"{value:.2f}" for name, value in record.items()})
            if history and main:
                write_lines(history, run["records"][-1:], "a")
        if checkpoint and main and (run["step"] % arguments["checkpoint_every"] == 0 or run["step"] == steps):
            save_checkpoint(checkpoint, settings, run)
        bar.update()
    bar.close()


def _update(run: dict, loss: torch.Tensor, rate: float) -> None:
    weights = [w for w in run["model"].parameters() if w.requires_grad]
    run["optimizer"].zero_grad()
    loss.backward()
    share_gradients(weights)
    nn.utils.clip_grad_norm_(weights, 1.0)
    for group in run["optimizer"].param_groups:
        group["lr"] = rate
    run["optimizer"].step()


def _gather(z: torch.Tensor) -> torch.Tensor:
    """Everybody's embeddings in the order of the batch; only one's own carry a gradient."""
    if processes() == 1:
        return z
    parts = [torch.empty_like(z) for _ in range(processes())]
    dist.all_gather(parts, z.detach().contiguous())
    parts[rank()] = z
    return torch.cat(parts)


def _draw(images: torch.Tensor, batch_size: int, generator: torch.Generator):
    """Patches [B, C, H, W] and, when there are several dates, the same patches on another one (else None)."""
    chosen = torch.randperm(len(images), generator=generator)[:batch_size]
    if len(chosen) < batch_size:  # few patches: some come twice
        more = torch.randint(len(images), (batch_size - len(chosen),), generator=generator)
        chosen = torch.cat([chosen, more])
    if images.ndim == 4:
        return images[chosen], None
    dates = torch.rand(batch_size, images.shape[1], generator=generator).topk(min(2, images.shape[1]), 1).indices
    return images[chosen, dates[:, 0]], images[chosen, dates[:, -1]]


def _stack(images, bands: Sequence[str] | None) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Images as one float32 tensor, and the names of their bands."""
    if len(images) and isinstance(images[0], Scene):
        images, bands, _ = patches(images, bands=bands)
    images = torch.as_tensor(np.asarray(images) if not isinstance(images, torch.Tensor) else images).float()
    if images.ndim not in (4, 5) or not len(images):
        raise ValueError(
            f"Images must be [patches, bands, rows, cols], with dates [patches, dates, bands, rows, cols], "
            f"not an array of shape {tuple(images.shape)}."
        )
    if not torch.isfinite(images).all():
        raise ValueError("The images hold NaN or infinite values; mask or fill them first.")
    bands = tuple(bands or (f"band {i}" for i in range(1, images.shape[-3] + 1)))
    if len(bands) != images.shape[-3]:
        raise ValueError(f"The images have {images.shape[-3]} bands but {len(bands)} names of bands.")
    return images, bands


def patches(
    scenes: Sequence[Scene], size: int | None = None, bands: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray | None]:
    """Scenes cut into squares: images [P, C, size, size] float32, band names, labels [P, size, size] or None.

    size    None: the scenes as they are; all must then be of one size
    bands   which bands, in this order; None: those of the first scene

    Labels are None unless every scene has them. ValueError names the scene that does not fit.
    """
    if not len(scenes):
        raise ValueError("There are no scenes to train on.")
    bands = tuple(bands or scenes[0].bands)
    pieces = [piece for scene in scenes for piece in (raster.crops(scene, size) if size else [scene])]
    shapes = {piece.pixels.shape[1:] for piece in pieces}
    if len(shapes) > 1:
        raise ValueError(f"The scenes have {len(shapes)} different sizes; cut them to one with patches(scenes, size).")
    images = np.stack([piece.select(*bands) for piece in pieces]).astype(np.float32)
    whole = all(scene.labels is not None for scene in scenes)
    return images, bands, np.stack([piece.labels for piece in pieces]) if whole else None


def _autocast(device: str | torch.device, precision: str):
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")


def _check(settings: dict, steps: int, device: torch.device, shape: Sequence[int]) -> None:
    """One plain sentence for settings that cannot work."""
    crop, batch_size = settings["crop"], settings["batch_size"]
    if steps < 1 or batch_size < 1:
        raise ValueError("Training needs at least one step and one patch per batch.")
    if batch_size % processes():
        raise ValueError(f"A batch of {batch_size} cannot be shared equally by {processes()} processes.")
    if crop < 16 or crop > min(shape[-2:]):
        raise ValueError(f"A crop of {crop} pixels must have at least 16 and fit into patches of {tuple(shape[-2:])}.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("There is no CUDA device here; use device 'cpu'.")
    if settings["precision"] not in ("fp32", "bf16"):
        raise ValueError(f"Unknown precision '{settings['precision']}'; choose 'fp32' or 'bf16'.")
    if "tau" in settings and settings["tau"] <= 0:
        raise ValueError(f"The temperature tau must be above 0, not {settings['tau']}.")


def _check_labels(images: torch.Tensor, labels: np.ndarray, classes: int, model: unet.UNet | None) -> None:
    if labels.shape != (len(images), *images.shape[-2:]) or images.ndim != 4:
        raise ValueError(f"Images {tuple(images.shape)} cannot go with labels of shape {labels.shape}.")
    known = labels[labels != UNLABELLED]
    if not known.size:
        raise ValueError("None of the patches is labelled.")
    if known.max() >= classes:
        raise ValueError(f"Label {known.max()} is neither in 0..{classes - 1} nor UNLABELLED ({UNLABELLED}).")
    if model is not None and len(model.bands) != images.shape[1]:
        raise ValueError(f"The network knows {len(model.bands)} bands, the images have {images.shape[1]}.")


# ------------------------------------------------------------------------------------------------ command line


def simulated_dates(
    region: str, seeds: Sequence[int], dates: int = 1, size: int = 64, *, haze: float = 0.8, progress: bool = False
) -> list[list[Scene]]:
    """Simulated acquisitions of many grounds, one list of len(seeds) scenes per date.

    Every ground has dates of its own, drawn from the region's growing season, and every acquisition its own haze,
    drawn from 0 to `haze`: what differs between two dates of one ground is what the network shall learn to look
    through. The same arguments give the same scenes. ValueError for a region that does not exist.
    """
    if region not in simulate.REGIONS:
        raise ValueError(f"There is no region '{region}'; there are {'; '.join(simulate.REGIONS)}.")
    about, rows = simulate.REGIONS[region], []
    for seed in tqdm(seeds, desc="simulating", disable=not progress):
        rng = np.random.default_rng([seed, 3])
        days = [season_day(day, sum(about.latitudes) / 2) for day in rng.uniform(*about.season, dates)]
        found = simulate.satellite_year(seed, region, dates=[max(1, int(day)) for day in days], size=size)
        rows.append([replace(s, pixels=add_haze(rng, s.pixels, haze * rng.random())) for s in found])
    return [list(scenes) for scenes in zip(*rows, strict=True)]


def date_stacks(dates: Sequence[Sequence[Scene]], depth: int) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Several dates as one image with more bands: images [P, K, depth * C, H, W], their bands, labels [P, H, W].

    dates    `simulated_dates`, or any lists of scenes of the same P grounds, one per date
    depth    dates per stack, sorted by date; K = len(dates) // depth stacks of different dates of every ground

    With K = 1 take images[:, 0] to fine-tune on; K >= 2 is what `pretrain` takes, and pairs one with another.
    ValueError when there are too few dates.
    """
    if not 1 <= depth <= len(dates):
        raise ValueError(f"Stacks of {depth} dates cannot be made of {len(dates)}.")
    stacks = []
    for first in range(0, len(dates) - depth + 1, depth):
        grounds = zip(*dates[first : first + depth], strict=True)
        sorted_grounds = [sorted(scenes, key=lambda s: s.date.timetuple().tm_yday) for scenes in grounds]
        stacks.append(np.stack([np.concatenate([s.pixels for s in scenes]) for scenes in sorted_grounds]))
    names = tuple(f"{band} {i}" for i in range(1, depth + 1) for band in dates[0][0].bands)
    return np.stack(stacks, 1), names, np.stack([s.labels for s in dates[0]])


def scenes_for(
    data: str, regions: Sequence[str] = (), n: int = 100, dates: int = 1, size: int = 64, *, progress: bool = False
) -> list[list[Scene]]:
    """Scenes for training, one list per date, of "simulated", "satclip", "terramesh" or a folder of GeoTIFFs.

    regions   of the simulator, or parts of their names; all when empty. n patches of each.
    dates     simulated only: how many dates of the same ground

    Simulated scenes have seeds from 10000, which no chapter uses. ValueError, FileNotFoundError or DataUnavailable
    when there is nothing to train on.
    """
    if data in ("satclip", "terramesh"):
        found = getattr(load_data, data)(progress=progress)
        return [[piece for scene in found for piece in raster.crops(scene, size)]]
    if data != "simulated":
        return [[piece for scene in _read_folder(Path(data)) for piece in raster.crops(scene, size)]]
    if n < 1 or dates < 1:
        raise ValueError(f"At least one patch on one date must be simulated, not {n} on {dates}.")
    if strange := [part for part in regions if not any(part in name for name in simulate.REGIONS)]:
        raise ValueError(f"There is no region '{strange[0]}'; there are {'; '.join(simulate.REGIONS)}.")
    chosen = [name for name in simulate.REGIONS if not regions or any(part in name for part in regions)]
    seeds = range(FIRST_SEED, FIRST_SEED + n)
    parts = [simulated_dates(region, seeds, dates, size, progress=progress) for region in chosen]
    return [[scene for part in same for scene in part] for same in zip(*parts, strict=True)]


def _read_folder(folder: Path) -> list[Scene]:
    """All GeoTIFFs of a folder in the order of their names; masks lie beside as NAME.labels.tif."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}; --data takes simulated, satclip, terramesh or a folder of GeoTIFFs."
        )
    files = [f for f in sorted(folder.glob("*.tif")) if not f.name.endswith(".labels.tif")]
    if not files:
        raise ValueError(f"{folder} holds no GeoTIFF (*.tif).")
    return [raster.read_scene(file) for file in files]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lulc_utils.contrastive", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, steps, batch_size, lr, words in (
        ("pretrain", 400, 16, 3e-3, "train a U-Net without labels"),
        ("finetune", 150, 8, 4e-3, "train a U-Net, pre-trained or not, on labels"),
    ):
        command = commands.add_parser(
            name,
            help=words,
            description=f"{words.capitalize()}, on one process or under torchrun.",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        add = command.add_argument
        add("--data", required=True, help="simulated, satclip, terramesh, or a folder of GeoTIFFs (reflectance 0..1)")
        add("--out", type=Path, required=True, help="weights, .safetensors; NAME.checkpoint, NAME.jsonl lie beside")
        add("--region", action="append", default=[], help="of the simulator, or part of its name; repeat for more")
        add("--patches", type=int, default=100, help="how many patches to simulate per region")
        add("--size", type=int, default=64, help="side of a patch, pixels")
        add("--bands", default=" ".join(BANDS), help="names of the bands to use, in one string")
        add("--steps", type=int, default=steps, help="updates; more than before continues a finished run")
        add("--batch-size", type=int, default=batch_size, help="patches per update, over all processes")
        add("--crop", type=int, default=32, help="side of a crop, pixels")
        add("--lr", type=float, default=lr, help="greatest learning rate")
        add("--seed", type=int, default=0, help="of the weights and of every batch")
        add("--device", default="cpu", help="cpu or cuda")
        add("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16: autocast")
        add("--checkpoint-every", type=int, default=100, help="updates that a crash may lose")
        add("--log-every", type=int, default=10, help="updates between two records")
        add("--fresh", action="store_true", help="start again even if there is a checkpoint")
        if name == "pretrain":
            add("--dates", type=int, default=6, help="dates of the same ground to simulate; 1: no season pairs")
            add("--points", type=int, default=64, help="points per patch")
            add("--tau", type=float, default=0.1, help="temperature")
            add("--radius", type=float, default=8.0, help="closer points of a patch are no negatives, pixels")
        else:
            add("--weights", default="random", help="what pretrain wrote, or 'random'")
            add("--fraction", type=float, default=1.0, help="share of the patches whose labels are used")
            add("--freeze", action="store_true", help="train the head alone")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code. One plain sentence for anything that does not fit."""
    options = vars(_parser().parse_args(arguments))
    already = dist.is_initialized()
    try:
        _run(options)
    except (ValueError, OSError, load_data.DataUnavailable) as error:
        if os.environ.get("RANK", "0") == "0":  # once, however many processes there are
            print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; the same command continues from the last checkpoint.", file=sys.stderr)
        return 130
    finally:
        if dist.is_initialized() and not already:
            dist.destroy_process_group()
    return 0


def _run(options: dict) -> None:
    out, weights = options["out"], options.get("weights", "random")
    if out.suffix != ".safetensors":
        raise ValueError(f"Weights are written as .safetensors; call the file {out.stem}.safetensors.")
    model = None if weights == "random" else unet.load(weights)  # a typing error should not wait for the data
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if options["device"] == "cuda" else "gloo")
        if options["device"] == "cuda":
            options["device"] = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(options["device"])
    where = (options["data"], options["region"], options["patches"], options.get("dates", 1), options["size"])
    dates = scenes_for(*where, progress=rank() == 0)
    bands = tuple(options["bands"].split()) if model is None else model.bands
    stacks = [patches(scenes, bands=bands) for scenes in dates]
    images, labels = (stacks[0][0] if len(stacks) == 1 else np.stack([s[0] for s in stacks], 1)), stacks[0][2]
    names = "steps batch_size crop lr seed device precision checkpoint_every log_every".split()
    names += "points tau radius".split() if options["command"] == "pretrain" else ["freeze"]
    same = {name: options[name] for name in names} | {"bands": bands}
    same |= {"checkpoint": out.with_suffix(".checkpoint"), "history": out.with_suffix(".jsonl")}
    same |= {"resume": not options["fresh"], "progress": True}
    notes = {"data": options["data"], "steps": str(options["steps"]), "seed": str(options["seed"])}
    if options["command"] == "pretrain":
        result = pretrain(images, **same)
        notes["method"] = "dense contrastive pre-training"
    else:
        if labels is None:
            raise ValueError(f"'{options['data']}' has no labels; fine-tuning needs a mask for every image.")
        labels = label_fraction(labels, options["fraction"], options["seed"])
        classes = dates[0][0].class_names
        result = finetune(model, images, labels, len(classes), **same)
        notes |= {"method": "fine-tuned", "class_names": ", ".join(classes), "fraction": str(options["fraction"])}
    if rank() == 0:
        unet.save(result.model, out, **notes)
        print(f"Wrote {out}; read it with lulc_utils.contrastive.unet.load('{out}').")

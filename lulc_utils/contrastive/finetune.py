"""Fine-tuning: a copy of a network and a new linear head learn from the few patches or points that are labelled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from timm.optim import param_groups_weight_decay
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lulc_utils import evaluate
from lulc_utils.contrastive.stacks import about, images_and_bands
from lulc_utils.contrastive.unet import Result, UNet, features, fresh
from lulc_utils.contrastive.views import JITTER, Jitter, change, crop_map, resample
from lulc_utils.scene import UNLABELLED
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
    seed_option,
    step_generator,
    sum_over_processes,
)


@dataclass(frozen=True)
class Finetuning(Checked):
    """How to fine-tune.

    probe     start from the best linear head for the unchanged features (logistic regression), not from a
              random one, whose first gradients would spoil them (Kumar et al. 2022, arXiv 2202.10054); None: only
              when there is a model
    freeze    True: train only the head, on frozen features
    average   0: the learning rate falls to its end, and the last weights are the result; above 0: it stays, and the
              result is a running average of the weights with this decay, which is near its best after any step but
              the first few times 1 / (1 - average), so that one run shows a whole curve
    seed      of the head, of the batches and, when there is no model, of the weights
    """

    steps: int = option(150, "updates; more than before continues a finished run", least=1)
    batch_size: int = option(8, "patches per update, over all processes", least=1)
    crop: int = option(32, "side of a crop, pixels", least=16)
    lr: float = option(4e-3, "highest learning rate", above=0)
    weight_decay: float = option(0.01, least=0)
    jitter: Jitter = JITTER
    probe: bool | None = None
    freeze: bool = option(False, "train only the head")
    average: float = option(0.0, "decay of averaged weights; 0: a falling learning rate", least=0, most=0.9999)
    seed: int = seed_option("of the weights and of every batch")
    precision: str = option("fp32", "bf16: autocast", choices=("fp32", "bf16"))


def finetune(
    model: UNet | None,
    images: np.ndarray | torch.Tensor,
    labels: np.ndarray,
    classes: int,
    settings: Finetuning = Finetuning(),
    saving: Saving = Saving(),
    *,
    bands: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    watch: Callable[[int, UNet], None] | None = None,
) -> Result:
    """Train a copy of the network with a new linear head on labelled patches, by cross-entropy.

    model         a pre-trained network; None: random weights, standardized by these images
    images        [P, C, H, W] reflectance
    labels        [P, H, W] uint8, UNLABELLED where unknown; patches without any label are not used
    bands         names of the C bands; those of the model, or "band 1", ... when None
    watch         called after every step with the number of steps done and the network as it would be returned then

    Every crop holds a labelled pixel. Records hold step, loss and lr; otherwise as `pretrain`.
    """
    s, device = settings, checked_device(device)
    images, bands = images_and_bands(images, bands or (model and model.bands), s.crop)
    labels = np.asarray(labels)
    _check_labels(images, labels, classes, model)
    same = about(images, bands, random=model is None) | {"labelled": int((labels != UNLABELLED).sum())}
    known = torch.from_numpy((labels != UNLABELLED).any((1, 2)))
    images, truth = images[known], torch.from_numpy(labels)[known]
    net = _start(model, images, truth.numpy(), classes, bands, s)
    std = net.std.cpu().clone()
    net.requires_grad_(not s.freeze).head.requires_grad_(True)
    net.to(device).train(not s.freeze)  # frozen features also keep the statistics of the unlabelled images
    optimizer = torch.optim.AdamW(param_groups_weight_decay(net, s.weight_decay))
    rates = cosine_schedule(s.lr, s.lr if s.average else s.lr / 100, s.steps, min(50, s.steps // 10), s.lr / 100)
    rows, result = my_rows(s.batch_size), _Average(net, s.average)
    run = Run(s, saving, {"model": net, "optimizer": optimizer, **result.parts}, about=same)
    for step in run.steps("fine-tuning"):
        # 1. A crop of every patch of the batch, turned and jittered, and its labels.
        x, y = _crops(images, truth, s, std, step_generator(s.seed, step))
        # 2. The cross-entropy of this process's rows, divided by all labelled pixels of the batch: the processes'
        #    losses, and so their gradients, add up to the mean.
        with autocast(device, s.precision):
            scores = net(x[rows].to(device))
        total = F.cross_entropy(scores.float(), y[rows].to(device), ignore_index=UNLABELLED, reduction="sum")
        loss = total / max(int((y != UNLABELLED).sum()), 1)
        # 3. A gradient step, and a record of it.
        descend(net, loss, optimizer, rates[step])
        result.add(net, step, watch)
        run.record({"loss": sum_over_processes(loss.detach()).item(), "lr": float(rates[step])})
    return Result(result.net.requires_grad_(True).eval(), run.records)


class _Average:
    """The network that a training returns: itself, or the running average of its weights."""

    def __init__(self, net: UNet, decay: float):
        average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None
        self.parts = {"average": average} if decay else {}
        self.net = average.module if decay else net

    def add(self, net: UNet, step: int, watch: Callable[[int, UNet], None] | None) -> None:
        """Take in the weights after a step, and show the result to whoever watches."""
        for average in self.parts.values():
            average.update_parameters(net)
        if watch:
            watch(step + 1, self.net)


def _start(
    model: UNet | None, images: torch.Tensor, labels: np.ndarray, classes: int, bands: Sequence[str], s: Finetuning
) -> UNet:
    """The network before the first step: a copy of the model, or a random one, with a new head."""
    net = (fresh(bands, images, s.seed) if model is None else copy.deepcopy(model)).train()
    with own_randomness(s.seed):
        net.classes, net.head = classes, nn.Conv2d(net.dim, classes, 1)
    if s.probe or (s.probe is None and model is not None):
        probed_head(net, images, labels, s.seed)
    return net


def _crops(
    images: torch.Tensor, truth: torch.Tensor, s: Finetuning, std: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Reflectance [B, C, s, s] and labels [B, s, s] of random crops of random patches, each with a labelled pixel."""
    chosen = torch.randint(len(images), (s.batch_size,), generator=generator)
    corner = _corners(truth[chosen] != UNLABELLED, s.crop, generator)
    turn = torch.randint(8, (s.batch_size,), generator=generator)
    place = crop_map(corner, torch.ones(s.batch_size, 1), turn, s.crop)
    x = change(resample(images[chosen], place, s.crop), generator, s.jitter, std)
    y = resample(truth[chosen, None].float(), place, s.crop, "nearest")
    return x, y[:, 0].long()


def _corners(known: torch.Tensor, crop: int, generator: torch.Generator) -> torch.Tensor:
    """Where crops begin, [B, 2] (col, row), so that each holds one of the pixels known [B, H, W] of its patch."""
    batch, height, width = known.shape
    room = torch.tensor([width - crop, height - crop])
    if known.all():  # whole patches: any crop will do
        return (torch.rand(batch, 2, generator=generator) * (room + 1)).floor()
    pixel = (torch.rand(batch, height * width, generator=generator) * known.flatten(1)).argmax(1)
    at = torch.stack([pixel % width, pixel // width], 1)
    return (at - (torch.rand(batch, 2, generator=generator) * crop).floor()).clamp_min(0).minimum(room)


@torch.no_grad()
def probed_head(net: UNet, images: torch.Tensor, labels: np.ndarray, seed: int = 0, samples: int = 5000) -> None:
    """Set the head by logistic regression from features to labels [P, H, W], on at most `samples` pixels.

    A class without any label gets a score that never wins. The network is changed in place; its features are not.
    """
    known = labels != UNLABELLED
    x = features(net, images)[known]  # [N, D]
    if len(np.unique(labels[known])) < 2:
        return  # only one class, nothing to separate: the random head will do
    scaler, regression = evaluate.linear_probe(x, labels[known], samples=samples, seed=seed)
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    classes = regression.classes_.astype(int)  # a rare class may be in none of the samples
    if len(classes) == 2:  # scikit-learn then has one row of weights, for the second class
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    net.head.weight.zero_()
    net.head.bias.fill_(float(bias.min()) - 10)
    net.head.weight[classes] = torch.as_tensor(weight).float()[..., None, None]
    net.head.bias[classes] = torch.as_tensor(bias).float()


def label_fraction(labels: np.ndarray, fraction: float, seed: int = 0, block: int | None = None) -> np.ndarray:
    """Keep the labels of a share of the patches (at least one) and hide the rest; [P, H, W] uint8.

    Whole patches, because a labelled pixel next door would give the answer away; block=b: whole blocks of b x b
    pixels instead, for a few large patches. With one seed, a smaller share is part of a larger one. Units without
    any label are not counted. ValueError for a fraction outside 0..1 or when nothing is labelled.
    """
    labels = np.asarray(labels)
    if not 0 < fraction <= 1:
        raise ValueError(f"The fraction of labels must be above 0 and at most 1, not {fraction}.")
    patches, height, width = labels.shape
    block = block or max(height, width)
    rows, cols = -(-height // block), -(-width // block)
    unit = np.arange(height)[:, None] // block * cols + np.arange(width) // block  # [H, W]
    unit = unit + np.arange(patches)[:, None, None] * (rows * cols)  # [P, H, W], one number per unit
    known = np.unique(unit[labels != UNLABELLED])
    if not len(known):
        raise ValueError("None of the patches is labelled.")
    order = np.random.default_rng(seed).permutation(known)
    selected = order[: max(1, round(fraction * len(known)))]
    return np.where(np.isin(unit, selected), labels, UNLABELLED).astype(np.uint8)


def label_points(labels: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Keep the labels of n single pixels, equally many of each class, and hide the rest; [P, H, W] uint8.

    Points are what a person would name: spread over all patches, with rare classes among them. Where n is no multiple
    of the number of classes, some have one more; a class with too few pixels gives all it has. ValueError when n is
    below the number of classes.
    """
    labels = np.asarray(labels)
    classes, counts = np.unique(labels[labels != UNLABELLED], return_counts=True)
    if not 1 <= len(classes) <= n:
        raise ValueError(f"{n} points cannot be shared among {len(classes)} classes; take at least one for each.")
    rng = np.random.default_rng(seed)
    share = np.full(len(classes), n // len(classes))
    share[rng.permutation(len(classes))[: n % len(classes)]] += 1
    few = np.full_like(labels, UNLABELLED)
    for k, many in zip(classes, np.minimum(share, counts), strict=True):
        few.flat[rng.choice(np.flatnonzero(labels == k), many, replace=False)] = k
    return few


def _check_labels(images: torch.Tensor, labels: np.ndarray, classes: int, model: UNet | None) -> None:
    if labels.shape != (len(images), *images.shape[-2:]) or images.ndim != 4:
        raise ValueError(f"Images of shape {tuple(images.shape)} do not fit labels of shape {labels.shape}.")
    known = labels[labels != UNLABELLED]
    if not known.size:
        raise ValueError("None of the patches is labelled.")
    if known.max() >= classes:
        raise ValueError(f"Label {known.max()} is neither in 0..{classes - 1} nor UNLABELLED ({UNLABELLED}).")
    if model is not None and len(model.bands) != images.shape[1]:
        raise ValueError(f"The network takes {len(model.bands)} bands, but the images have {images.shape[1]}.")

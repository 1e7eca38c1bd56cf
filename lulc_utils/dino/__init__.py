"""DINO from scratch (Caron et al. 2021, arXiv 2104.14294): a vision transformer learns from unlabelled aerial images.

A student must predict what its own slowly moving average, the teacher, says about another view of the same ground.
The teacher's answers are centred and sharpened; without either of the two everything collapses. A second term asks
the same of every patch, some of them masked (after iBOT, Zhou et al. 2022), which is what a map is made of.

Logits are cosines of features and K prototypes. V views, B images per batch, K prototypes, n patches per view.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from lulc_utils import backbone as bb
from lulc_utils import data as load_data
from lulc_utils import raster, simulate
from lulc_utils.scene import Scene
from lulc_utils.training import (
    cosine_schedule,
    mean_over_processes,
    my_rows,
    processes,
    rank,
    restore,
    save_checkpoint,
    share_gradients,
    write_lines,
)

MODELS = {
    "vit_tiny8": bb.EMBEDDED,
    "vit_mini8": {"img_size": 96, "patch_size": 8, "embed_dim": 64, "depth": 3, "num_heads": 2},
}
# How much colours vary between views: as sensors and weather do, or as the recipes for natural photographs have it.
MILD = {"brightness": 0.3, "contrast": 0.25, "saturation": 0.25, "channel": 0.1, "blur": 0.3, "grey": 0.0}
STRONG = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "channel": 0.2, "blur": 0.5, "grey": 0.2}
TRAINING_TILES = (1, 2, 4, 6, 8)  # of Dubai; 3, 5 and 7 are never trained on, so that every chapter may test on them
FIRST_SEED = 10_000  # of the simulated scenes trained on; chapters and tests use smaller ones


# -------------------------------------------------------------------------------------------------- the idea


def dino_loss(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    center: torch.Tensor | float,
    student_temp: float = 0.1,
    teacher_temp: float = 0.04,
) -> torch.Tensor:
    """Cross-entropy between teacher and student, mean over all pairs of different views; a scalar.

    student_logits   [V, B, K], the views that the teacher saw first
    teacher_logits   [T, B, K], T <= V; no gradient flows into them
    center           [K] or [1, K], `c`; subtracted from the teacher's logits so that no prototype takes all

    Source: DINOLoss in main_dino.py, whose student layout is [V * B, K], one view after the other.
    """
    target = F.softmax((teacher_logits.detach() - center) / teacher_temp, dim=-1)
    answer = F.log_softmax(student_logits / student_temp, dim=-1)
    pairs = [(t, v) for t in range(len(target)) for v in range(len(answer)) if t != v]
    return sum(-(target[t] * answer[v]).sum(-1).mean() for t, v in pairs) / len(pairs)


def patch_loss(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    index: torch.Tensor,
    center: torch.Tensor | float,
    student_temp: float = 0.1,
    teacher_temp: float = 0.04,
) -> torch.Tensor:
    """The same cross-entropy for patches that show the same ground in two views; a scalar.

    student_logits   [B, n, K] of one view, teacher_logits [B, m, K] of another
    index            [B, n] of `same_ground`: the teacher's patch at the place of every student patch, or -1

    Mean over an image's shared patches, then over the batch. Source: iBOT, across views instead of within one.
    """
    target = F.softmax((teacher_logits.detach() - center) / teacher_temp, dim=-1)  # [B, m, K]
    target = target.gather(1, index.clamp_min(0).unsqueeze(-1).expand(-1, -1, target.shape[-1]))  # [B, n, K]
    loss = -(target * F.log_softmax(student_logits / student_temp, dim=-1)).sum(-1)  # [B, n]
    shared = (index >= 0).float()
    return ((loss * shared).sum(1) / shared.sum(1).clamp_min(1)).mean()


def update_center(center: torch.Tensor, teacher_logits: torch.Tensor, momentum: float = 0.9) -> torch.Tensor:
    """The new centre `c <- m c + (1 - m) mean(teacher logits)`, [K] or [1, K]; call it AFTER the loss.

    teacher_logits [..., K]. In a distributed run the mean is over all processes, each with as many logits.
    """
    mean = teacher_logits.detach().float().flatten(0, -2).mean(0)
    return momentum * center + (1 - momentum) * mean_over_processes(mean)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move every teacher weight towards the student's, in place: `theta_t <- l theta_t + (1 - l) theta_s`."""
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - momentum)


class Head(nn.Module):
    """Features [..., D] -> logits [..., K]: MLP, bottleneck of length 1, cosine with K prototypes of length 1.

    hidden=0 makes the MLP a linear map: what the loss asks for must then be done by the backbone itself.
    Both lengths are fixed in `forward`, which replaces torch's deprecated `weight_norm` of the reference.
    """

    def __init__(self, dim: int, prototypes: int = 512, hidden: int = 512, bottleneck: int = 128):
        super().__init__()
        deep = [nn.Linear(dim, hidden), nn.GELU()] if hidden else []
        self.mlp = nn.Sequential(*deep, nn.Linear(hidden or dim, bottleneck))
        self.prototypes = nn.Parameter(torch.randn(prototypes, bottleneck))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits in -1..1, float32."""
        points = F.normalize(self.mlp(features).float(), dim=-1)
        with torch.autocast(points.device.type, enabled=False):  # bf16 cosines are too coarse for temperature 0.04
            return F.linear(points, F.normalize(self.prototypes, dim=-1))


class Network(nn.Module):
    """A ViT with a head; teacher and student are two of these."""

    def __init__(self, architecture: dict, prototypes: int, hidden: int = 512):
        super().__init__()
        self.vit = VisionTransformer(**architecture, num_classes=0, dynamic_img_size=True)
        self.head = Head(self.vit.embed_dim, prototypes, hidden)
        self.mask_token = nn.Parameter(torch.zeros(self.vit.embed_dim))

    def forward(self, view: View, masked: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the CLS token [B, K] and of the patches [B, n, K]."""
        vit = self.vit
        x = vit.patch_embed(_standardised(view.pixels))  # [B, h, w, D]
        if masked:
            x = torch.where(view.masked.unsqueeze(-1), self.mask_token.to(x.dtype), x)
        grid = resample_abs_pos_embed(vit.pos_embed, (view.grid, view.grid), num_prefix_tokens=1)[0]  # [1 + G G, D]
        x = x.flatten(1, 2) + grid[1:][view.positions]  # [B, n, D]
        x = torch.cat([(vit.cls_token + grid[:1]).expand(len(x), -1, -1), x], 1)  # [B, 1 + n, D]
        logits = self.head(vit.norm(vit.blocks(x)))
        return logits[:, 0], logits[:, 1:]


# ----------------------------------------------------------------------------------------------------- views


class View(NamedTuple):
    """One view of every image of a batch.

    pixels      [B, 3, s, s] in 0..1
    cells       [B, h, h] which cell of the common window every patch shows (the ground, whatever the turn)
    masked      [B, h, h] bool: patches hidden from the student
    positions   [B, h * h] which place in a grid x grid position table every patch is told it has
    grid        side of that table, the same for the batch
    """

    pixels: torch.Tensor
    cells: torch.Tensor
    masked: torch.Tensor
    positions: torch.Tensor
    grid: int


def multi_crop(
    images: Sequence[torch.Tensor],
    generator: torch.Generator,
    batch_size: int,
    *,
    patch: int = 8,
    crop: int = 80,
    n_local: int = 0,
    local_crop: int = 40,
    zoom: tuple[float, float] = (0.7, 1.4),
    jitter: dict[str, float] = MILD,
    mask: tuple[float, float] = (0.1, 0.5),
    largest_grid: int = 28,
    chances: torch.Tensor | None = None,
    rows: slice = slice(None),
) -> list[View]:
    """Two global and `n_local` local views of `batch_size` random places; the global ones first.

    images        uint8 tensors [3, H, W], of any sizes
    zoom          source pixels per pixel of a view: a metre must stay about a metre, so keep it near 1
    mask          least and greatest share of patches masked, drawn per view
    largest_grid  views pretend to be windows of images of up to this many patches a side, because maps are
                  made from larger images than one can train on
    chances       [len(images)] chance of each image; equal when None
    rows          which of the batch to make (all random draws are those of the whole batch)

    Views are patch-aligned windows of one common window, then turned by quarters and flipped: both are free seen
    from above. Colours vary only as much as weather and sensors vary (`MILD`): in land cover, colour is evidence.
    """
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    side, local = crop // patch, local_crop // patch
    window = side + max(1, round(0.3 * side))  # patches
    if chances is None:
        chances = torch.ones(len(images))
    chosen = torch.multinomial(chances, batch_size, replacement=True, generator=generator)
    zooms, corners = zoom[0] * (zoom[1] / zoom[0]) ** draw(batch_size), draw(batch_size, 2)
    ground = [
        _cut(images[i], window * patch, float(z), *c.tolist())
        for i, z, c in zip(chosen[rows], zooms[rows], corners[rows], strict=True)
    ]
    ground = torch.stack(ground).float() / 255  # [B, 3, window * patch, window * patch]
    views = []
    for size in [side] * 2 + [local] * n_local:
        grid = int(torch.randint(size, max(largest_grid, size) + 1, (), generator=generator))
        corner, turn, place = draw(batch_size, 2), draw(batch_size), draw(batch_size, 2)
        color, hidden = draw(batch_size, 8), draw(batch_size, size, size)
        share = mask[0] + (mask[1] - mask[0]) * draw(batch_size, 1, 1)
        cells = _windows(window, size, corner[rows])  # [B, h * h]
        pixels = _take(ground, (corner[rows] * (window - size + 1)).long() * patch, size * patch)
        turn = (turn[rows] * 8).long()
        pixels = _jitter(_turn(pixels, turn), color[rows], jitter)
        cells = _turn(cells.view(-1, size, size), turn)
        views.append(View(pixels, cells, hidden[rows] < share[rows], _windows(grid, size, place[rows]), grid))
    return views


def same_ground(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Cells [B, h, h] of two views -> [B, h * h]: which teacher patch shows a student patch's ground, -1 if none."""
    student, teacher = student.flatten(1), teacher.flatten(1)
    table = torch.full((len(teacher), 1 + int(max(student.max(), teacher.max()))), -1, device=teacher.device)
    table.scatter_(1, teacher, torch.arange(teacher.shape[1], device=teacher.device).expand_as(teacher))
    return table.gather(1, student)


def _cut(image: torch.Tensor, size: int, zoom: float, down: float, right: float) -> torch.Tensor:
    """A square of zoom * size source pixels (less in a small image), resampled to [3, size, size] uint8."""
    height, width = image.shape[-2:]
    side = min(round(size * zoom), height, width)
    top, left = int(down * (height - side + 1)), int(right * (width - side + 1))
    part = image[None, :, top : top + side, left : left + side]
    if side == size:
        return part[0]
    return F.interpolate(part, (size, size), mode="bilinear", antialias=True, align_corners=False)[0]


def _windows(whole: int, size: int, corner: torch.Tensor) -> torch.Tensor:
    """Flat cell numbers [B, size * size] of a size x size window in a whole x whole grid; corner in 0..1, [B, 2]."""
    first = (corner * (whole - size + 1)).long()  # [B, 2]
    steps = torch.arange(size)
    cells = (first[:, :1, None] + steps[:, None]) * whole + first[:, 1:, None] + steps  # [B, size, size]
    return cells.flatten(1)


def _take(pixels: torch.Tensor, corner: torch.Tensor, size: int) -> torch.Tensor:
    """[B, 3, S, S] -> [B, 3, size, size], every image at its own corner."""
    return torch.stack([p[:, r : r + size, c : c + size] for p, (r, c) in zip(pixels, corner.tolist(), strict=True)])


def _turn(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Every [..., h, h] of the batch by its own quarter turns (turn % 4), mirrored where turn >= 4."""
    result = x.clone()
    for t in range(1, 8):
        if (chosen := turn == t).any():
            turned = torch.rot90(x[chosen], t % 4, (-2, -1))
            result[chosen] = turned.flip(-1) if t >= 4 else turned
    return result


def _jitter(x: torch.Tensor, u: torch.Tensor, jitter: dict[str, float]) -> torch.Tensor:
    """Colours [B, 3, s, s] changed by factors near 1; u [B, 8] uniform in 0..1 decides how."""
    factor = 2 * u[:, :, None, None] - 1  # [B, 8, 1, 1] in -1..1
    x = x * (1 + jitter["brightness"] * factor[:, :1])
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + jitter["contrast"] * factor[:, 1:2]) + mean
    grey = x.mean(1, keepdim=True)
    strength = (1 + jitter["saturation"] * factor[:, 2:3]) * (u[:, 3, None, None, None] >= jitter["grey"])
    x = ((x - grey) * strength + grey) * (1 + jitter["channel"] * factor[:, 4:7])
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return torch.where(u[:, 7, None, None, None] < jitter["blur"], soft, x).clamp(0, 1)


def _standardised(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(v, device=pixels.device).view(3, 1, 1) for v in bb.IMAGENET)
    return (pixels - mean) / std


# -------------------------------------------------------------------------------------------------- collapse


def entropies(teacher_probs: torch.Tensor) -> tuple[float, float]:
    """(mean entropy of the answers, entropy of the mean answer) of [..., K], in nats, 0..log K.

    Healthy: the first is well below the second. Both near log K: every answer is uniform. Both near 0: every
    answer is the same prototype.
    """
    probs = teacher_probs.detach().float().flatten(0, -2)
    each = mean_over_processes(torch.special.entr(probs).sum(-1).mean())
    return float(each), float(torch.special.entr(mean_over_processes(probs.mean(0))).sum())


def collapse_warning(sample_entropy: float, mean_entropy: float, prototypes: int) -> str | None:
    """One plain sentence when `entropies` tell of a collapse to the uniform or to a single answer, else None."""
    top = math.log(prototypes)
    if mean_entropy < 0.1 * top:
        return (
            f"Collapse to one point: nearly all images get the same prototype (entropy of the mean "
            f"{mean_entropy:.2f} of {top:.2f}); use centring (center_momentum 0.9) or a higher teacher temperature."
        )
    if sample_entropy > 0.95 * top:
        return (
            f"Collapse to the uniform answer: the teacher prefers no prototype (entropy per image "
            f"{sample_entropy:.2f} of {top:.2f}); lower the teacher temperature or the learning rate."
        )
    return None


# -------------------------------------------------------------------------------------------------- training


class Result(NamedTuple):
    """What `train` returns: the teacher as a frozen backbone, one record per logged step, warnings of collapse."""

    backbone: bb.Backbone
    history: list[dict]
    warnings: list[str]


def train(
    scenes: Sequence[Scene],
    *,
    model: str | dict = "vit_tiny8",
    steps: int = 1000,
    batch_size: int = 40,
    crop: int = 80,
    n_local: int = 0,
    local_crop: int = 40,
    zoom: tuple[float, float] = (0.7, 1.4),
    jitter: dict[str, float] = MILD,
    mask: tuple[float, float] = (0.1, 0.5),
    patch_weight: float = 1.0,
    prototypes: int = 512,
    hidden: int = 512,
    lr: float = 1e-3,
    warmup_steps: int = 100,
    weight_decay: float = 0.04,
    clip_grad: float = 1.0,
    freeze_steps: int = 50,
    teacher_momentum: float = 0.99,
    teacher_temp: tuple[float, float] = (0.04, 0.07),
    student_temp: float = 0.1,
    center_momentum: float | None = 0.9,
    shares: Sequence[float] | None = None,
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
    """Train a backbone on the pixels of RGB scenes; their labels are not looked at.

    model             a name in MODELS, or the arguments of a timm VisionTransformer
    steps             of another length than an interrupted run's, the schedules are stretched from there on
    batch_size        global: every process of a distributed run takes its share of it
    patch_weight      weight of the patch term; 0 leaves plain DINO
    warmup_steps      linear warm-up of the learning rate, of at most a tenth of all steps
    clip_grad         greatest norm of the whole gradient (the reference clips every tensor by itself, to 3)
    freeze_steps      the prototypes stay put at first, at most for a tenth of all steps
    teacher_momentum  rises to 1 along a cosine
    teacher_temp      from, to: rises over the first third; equal to `student_temp`, sharpening is off
    center_momentum   None: no centring
    shares            chance of every scene to be drawn; equal when None
    precision         "fp32" or "bf16" (autocast)
    checkpoint        file to continue from, if it exists and `resume`, and to write every `checkpoint_every` steps
    history           JSON-lines file that receives the records as they come

    A step depends on the weights, the seed and its number only, so that a resumed run equals an unbroken one.
    ValueError says in one sentence what does not fit. A collapse is warned of, not stopped.
    """
    settings = {key: value for key, value in locals().items() if key not in _FREE}
    settings |= {"model": _architecture(model), "scenes": len(scenes)}
    _check(settings, steps, torch.device(device))
    images = [_rgb(scene, crop) for scene in scenes]
    plan = {
        "lr": cosine_schedule(lr, lr / 1000, steps, min(warmup_steps, steps // 10)),
        "momentum": cosine_schedule(teacher_momentum, 1.0, steps),
        "temp": np.interp(np.arange(steps), [0, max(steps // 3, 1)], teacher_temp),
        "frozen": np.arange(steps) < min(freeze_steps, steps // 10),
    }
    run = _start(settings, device)
    if checkpoint and resume and Path(checkpoint).exists():
        restore(Path(checkpoint), settings, run, device)
    views = {key: settings[key] for key in ("crop", "n_local", "local_crop", "zoom", "jitter", "mask")}
    views |= {"patch": settings["model"]["patch_size"], "rows": my_rows(batch_size)}
    views["chances"] = None if shares is None else torch.tensor(shares, dtype=torch.float64)
    main = rank() == 0
    if history and main:
        write_lines(Path(history), run["records"], "w")
    bar = tqdm(total=steps, initial=min(run["step"], steps), desc="DINO", disable=not (progress and main))
    while run["step"] < steps:
        now = {key: float(values[run["step"]]) for key, values in plan.items()}
        generator = torch.Generator().manual_seed(seed * 1_000_003 + run["step"])
        batch = [_to(view, device) for view in multi_crop(images, generator, batch_size, **views)]
        run["step"] += 1
        logged = run["step"] % log_every == 0 or run["step"] == steps
        record = _step(run, batch, now, settings, logged)
        if logged:
            calm = run["step"] <= 0.3 * steps  # before that, uniform answers are normal
            _log(run, record, prototypes, calm, bar, Path(history) if history and main else None)
        if checkpoint and main and (run["step"] % checkpoint_every == 0 or run["step"] == steps):
            save_checkpoint(Path(checkpoint), settings, run)
        bar.update()
    bar.close()
    view = crop if crop >= 3 * views["patch"] else None
    return Result(bb.wrap(run["teacher"].vit, "our DINO", view=view), run["records"], run["warnings"])


_FREE = (  # arguments that may change between an interrupted run and its continuation
    "scenes steps device checkpoint checkpoint_every resume history log_every progress".split()
)


def _step(run: dict, batch: list[View], now: dict, settings: dict, logged: bool) -> dict | None:
    """One update of student, teacher and centres; the record when it is to be logged."""
    student, teacher, centers = run["student"], run["teacher"], run["centers"]
    temps = settings["student_temp"], now["temp"]
    device = batch[0].pixels.device.type
    with torch.autocast(device, torch.bfloat16, enabled=settings["precision"] == "bf16"):
        with torch.no_grad():
            teacher_cls, teacher_patches = zip(*[teacher(view) for view in batch[:2]], strict=True)
        student_cls, student_patches = zip(*[student(v, masked=i < 2) for i, v in enumerate(batch)], strict=True)
    loss = cls_loss = dino_loss(torch.stack(student_cls), torch.stack(teacher_cls), centers[0], *temps)
    losses, answers = {"cls": cls_loss}, {"cls": torch.cat(teacher_cls)}
    if settings["patch_weight"]:
        losses["patch"] = _cross_view_loss(batch, student_patches, teacher_patches, centers[1], temps)
        answers["patch"] = torch.cat(teacher_patches).flatten(0, 1)
        loss = cls_loss + settings["patch_weight"] * losses["patch"]
    run["optimizer"].zero_grad()
    loss.backward()
    share_gradients(list(student.parameters()), mean_over_processes)
    if now["frozen"]:
        student.head.prototypes.grad = None
    nn.utils.clip_grad_norm_(student.parameters(), settings["clip_grad"])
    for group in run["optimizer"].param_groups:
        group["lr"] = now["lr"]
    run["optimizer"].step()
    update_teacher(teacher, student, now["momentum"])
    record = _record(run["step"], loss, losses, answers, centers, now) if logged else None
    if settings["center_momentum"] is not None:
        for i, logits in enumerate(answers.values()):
            centers[i] = update_center(centers[i], logits, settings["center_momentum"])
    return record


def _cross_view_loss(batch: list[View], student: tuple, teacher: tuple, center: torch.Tensor, temps: tuple):
    """`patch_loss` over all pairs of a view of the teacher and another one of the student."""
    pairs = [(t, v) for t in range(len(teacher)) for v in range(len(student)) if t != v]
    found = [
        patch_loss(student[v], teacher[t], same_ground(batch[v].cells, batch[t].cells), center, *temps)
        for t, v in pairs
    ]
    return sum(found) / len(found)


def _record(step: int, loss: torch.Tensor, losses: dict, answers: dict, centers: torch.Tensor, now: dict) -> dict:
    """The numbers of a step, over all processes."""
    record = {"step": step, "loss": float(mean_over_processes(loss.detach()))}
    for center, (name, logits) in zip(centers, answers.items(), strict=False):
        record[f"{name}_loss"] = float(mean_over_processes(losses[name].detach()))
        probs = F.softmax((logits - center) / now["temp"], dim=-1)
        record[f"{name}_entropy"], record[f"{name}_entropy_of_mean"] = entropies(probs)
    return {**record, "lr": now["lr"], "momentum": now["momentum"], "teacher_temp": now["temp"]}


def _log(run: dict, record: dict, prototypes: int, calm: bool, bar: tqdm, path: Path | None) -> None:
    """Keep and show a record; warn once of each kind of collapse."""
    if not math.isfinite(record["loss"]):
        raise ValueError(f"The loss is not finite at step {record['step']}; lower lr, or use precision 'fp32'.")
    run["records"].append(record)
    bar.set_postfix(loss=f"{record['loss']:.2f}", H=f"{record['cls_entropy']:.2f}/{record['cls_entropy_of_mean']:.2f}")
    if path:
        write_lines(path, [record], "a")
    for name, where in (("cls", ""), ("patch", " (patches)")):
        if f"{name}_entropy" not in record:
            continue
        text = collapse_warning(record[f"{name}_entropy"], record[f"{name}_entropy_of_mean"], prototypes)
        if text and not calm and not any(old[:20] == text[:20] for old in run["warnings"]):
            run["warnings"].append(text)
            warnings.warn(f"Step {record['step']}{where}: {text}", stacklevel=3)


# ------------------------------------------------------------------------------- beginnings and continuations


def _architecture(model: str | dict) -> dict:
    if isinstance(model, dict):
        return dict(model)
    if model not in MODELS:
        raise ValueError(f"There is no model '{model}'; choose one of {', '.join(MODELS)}.")
    return dict(MODELS[model])


def _check(settings: dict, steps: int, device: torch.device) -> None:
    """One plain sentence for settings that cannot work."""
    patch = settings["model"]["patch_size"]
    if not settings["scenes"]:
        raise ValueError("There are no scenes to train on.")
    if settings["shares"] is not None and len(settings["shares"]) != settings["scenes"]:
        raise ValueError(f"{settings['scenes']} scenes need as many shares, not {len(settings['shares'])}.")
    if steps < 1 or settings["batch_size"] < 2:
        raise ValueError("Training needs at least one step and a batch of two images.")
    if settings["batch_size"] % processes():
        raise ValueError(f"A batch of {settings['batch_size']} cannot be shared equally by {processes()} processes.")
    for name in ("crop", "local_crop") if settings["n_local"] else ("crop",):
        if settings[name] % patch or settings[name] < 2 * patch:
            raise ValueError(f"{name} must be a multiple of the patch of {patch} pixels, two at least.")
    if settings["n_local"] and settings["local_crop"] > settings["crop"]:
        raise ValueError("Local crops cannot be larger than global ones.")
    if settings["precision"] not in ("fp32", "bf16"):
        raise ValueError(f"Unknown precision '{settings['precision']}'; choose 'fp32' or 'bf16'.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("There is no CUDA device here; use device 'cpu'.")


def _rgb(scene: Scene, crop: int) -> torch.Tensor:
    """Red, green and blue of a scene, [3, H, W] uint8; ValueError when they cannot be had."""
    colors = ("red", "green", "blue")
    if set(colors) <= set(scene.bands):
        pixels = scene.select(*colors)
    elif len(scene.bands) == 3:
        pixels = scene.pixels
    else:
        raise ValueError(
            f"'{scene.name}' is not an RGB image: it has {len(scene.bands)} bands; keep red, green and blue."
        )
    if pixels.dtype != np.uint8:
        raise ValueError(f"'{scene.name}' holds {pixels.dtype} numbers; convert it to 8 bits per colour (uint8).")
    if min(pixels.shape[1:]) < crop:
        raise ValueError(
            f"'{scene.name}' is {scene.height} x {scene.width} pixels, too small for crops of {crop}; "
            "use larger images or a smaller crop."
        )
    return torch.from_numpy(np.ascontiguousarray(pixels))


def _start(settings: dict, device: str | torch.device) -> dict:
    """Everything that changes during training, at step 0."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(settings["seed"])
        student, teacher = (Network(*(settings[k] for k in ("model", "prototypes", "hidden"))) for _ in range(2))
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    if torch.device(device).type == "cpu":
        for block in student.vit.blocks:  # on the CPU the gradient of torch's fused attention takes twice as long
            block.attn.fused_attn = False
    student, teacher = student.to(device), teacher.to(device)
    spared = ("pos_embed", "cls_token", "mask_token")  # like biases and norms, they are no weights of a product
    kinds = {False: [], True: []}
    for name, weight in student.named_parameters():
        kinds[weight.ndim > 1 and name.split(".")[-1] not in spared].append(weight)
    groups = [{"params": kinds[True], "weight_decay": settings["weight_decay"]}]
    groups += [{"params": kinds[False], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    centers = torch.zeros(2, settings["prototypes"], device=device)  # of CLS tokens, of patches
    parts = {"student": student, "teacher": teacher, "optimizer": optimizer, "centers": centers}
    return {"step": 0, **parts, "records": [], "warnings": []}


def _to(view: View, device: str | torch.device) -> View:
    return View(*(x.to(device) if isinstance(x, torch.Tensor) else x for x in view))


# ------------------------------------------------------------------------------------------------ command line


def scenes_for(data: str, n_simulated: int = 300, *, progress: bool = False) -> tuple[list[Scene], list[float]]:
    """(scenes, shares) for "simulated", "dubai", a folder of RGB images, or several of them joined by "+".

    Each part is drawn equally often. Of Dubai, tiles 3, 5 and 7 are left out for testing. Simulated scenes have
    seeds from 10000, which no chapter uses. ValueError or FileNotFoundError when a part has no images.
    """
    scenes, shares = [], []
    for part in data.split("+"):
        if part == "simulated":
            if n_simulated < 1:
                raise ValueError(f"At least one scene must be simulated, not {n_simulated}.")
            seeds = range(FIRST_SEED, FIRST_SEED + n_simulated)
            found = simulate.aerial_scenes(seeds, progress=progress)
        elif part == "dubai":
            found = load_data.dubai(TRAINING_TILES, progress=progress)
        else:
            found = _read_folder(Path(part))
        scenes += found
        shares += [1 / len(found)] * len(found)
    return scenes, shares


def _read_folder(folder: Path) -> list[Scene]:
    """All images of a folder that rasterio can read, in the order of their names."""
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; --data takes simulated, dubai or a folder of images.")
    files = [f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.endswith(".labels.tif")]
    scenes = []
    for file in files:
        try:
            scenes.append(raster.read_scene(file))
        except ValueError:
            continue  # a note or a legend beside the images
    if not scenes:
        raise ValueError(f"{folder} holds no image that can be read (GeoTIFF, JPEG or PNG).")
    return scenes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lulc_utils.dino", description=__doc__.split("\n\n")[0])
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "train",
        help="train a backbone without labels",
        description="Train a backbone on aerial images without labels, on one process or under torchrun.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = command.add_argument
    add("--data", required=True, help="simulated, dubai, a folder of RGB images, or several joined by +")
    add("--out", type=Path, required=True, help="the backbone, .safetensors; NAME.checkpoint and NAME.jsonl lie beside")
    add("--model", default="vit_tiny8", help=f"one of {', '.join(MODELS)}")
    add("--scenes", type=int, default=300, help="how many scenes to simulate")
    add("--steps", type=int, default=1000, help="updates; more than before continues a finished run")
    add("--batch-size", type=int, default=40, help="images per update, over all processes")
    add("--crop", type=int, default=80, help="side of a global view, pixels")
    add("--n-local", type=int, default=0, help="number of local views")
    add("--local-crop", type=int, default=40, help="side of a local view, pixels")
    add("--lr", type=float, default=1e-3, help="greatest learning rate")
    add("--patch-weight", type=float, default=1.0, help="weight of the patch term; 0: plain DINO")
    add("--prototypes", type=int, default=512, help="K, size of the answers")
    add("--hidden", type=int, default=512, help="width of the head's hidden layer; 0: the head is linear")
    add("--teacher-momentum", type=float, default=0.99, help="at the start; rises to 1")
    add("--teacher-temp", type=float, nargs=2, default=(0.04, 0.07), metavar=("FROM", "TO"), help="sharpening")
    add("--seed", type=int, default=0, help="of the weights and of every batch")
    add("--device", default="cpu", help="cpu or cuda")
    add("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16: autocast")
    add("--checkpoint-every", type=int, default=100, help="updates that a crash may lose")
    add("--log-every", type=int, default=10, help="updates between two records")
    add("--fresh", action="store_true", help="start again even if there is a checkpoint")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code. One plain sentence for anything that does not fit."""
    options = vars(_parser().parse_args(arguments))
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
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


def _run(options: dict) -> None:
    out = options["out"]
    if out.suffix != ".safetensors":
        raise ValueError(f"The backbone is written as .safetensors; call it {out.stem}.safetensors.")
    _architecture(options["model"])  # a typing error should not wait for the data
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("nccl" if options["device"] == "cuda" else "gloo")
        if options["device"] == "cuda":
            options["device"] = f"cuda:{os.environ['LOCAL_RANK']}"
    scenes, shares = scenes_for(options["data"], options["scenes"], progress=rank() == 0)
    same = (
        "model steps batch_size crop n_local local_crop lr patch_weight prototypes hidden teacher_momentum seed device "
        "precision checkpoint_every log_every"
    ).split()
    result = train(
        scenes,
        **{key: options[key] for key in same},
        teacher_temp=tuple(options["teacher_temp"]),
        shares=shares,
        checkpoint=out.with_suffix(".checkpoint"),
        history=out.with_suffix(".jsonl"),
        resume=not options["fresh"],
        progress=True,
    )
    if rank() == 0:
        notes = {"data": options["data"], "steps": str(options["steps"]), "seed": str(options["seed"])}
        bb.save(result.backbone, out, method="DINO with a cross-view patch term", **notes)
        print(f"Wrote {out}; use it with lulc_utils.backbone.load('embedded', weights='{out}').")

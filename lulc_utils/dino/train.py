"""The training of a backbone by DINO: the loop, what can be chosen about it, and what it records of itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from timm.optim import param_groups_weight_decay
from torch import nn
from torch.nn import functional as F

from lulc_utils import backbone as bb
from lulc_utils.dino.loss import collapse_warning, cross_view_loss, dino_loss, entropies, update_center
from lulc_utils.dino.network import MODELS, architecture_of, start_networks, update_teacher
from lulc_utils.dino.views import JITTERS, View, chance_of_pieces, joined, multi_crop, on_device, rgb_of
from lulc_utils.scene import Scene
from lulc_utils.training import (
    Checked,
    Run,
    Saving,
    autocast,
    checked_device,
    cosine_schedule,
    mean_over_processes,
    my_rows,
    option,
    share_gradients,
    step_generator,
)


@dataclass(frozen=True)
class Settings(Checked):
    """All that can be chosen about a training; ValueError for what cannot be.

    model             a name in MODELS, or the arguments of a timm VisionTransformer
    steps             of another length than an interrupted run's, the schedules are stretched from there on
    batch_size        global: every process of a distributed run takes its share of it
    zoom, spread, dates, mask   of the views, see `multi_crop`; jitter, local_jitter: names in JITTERS
    patch_weight      weight of the patch term; 0 leaves plain DINO
    warmup_steps      linear warm-up of the learning rate, of at most a tenth of all steps
    clip_grad         greatest norm of the whole gradient (the reference clips every tensor by itself, to 3)
    freeze_steps      the prototypes stay put at first, at most for a tenth of all steps
    teacher_momentum  rises to 1 along a cosine
    teacher_temp      from, to: rises over the first third; equal to `student_temp`, sharpening is off
    center_momentum   None: no centering
    last_phase        share of the steps, at the end, with views of `last_crop` pixels and so many fewer places that a
                      batch shows as much ground: the network learns to read large images at once
    precision         "fp32" or "bf16" (autocast)
    """

    model: str | dict = option("vit_tiny8", f"one of {', '.join(MODELS)}")
    steps: int = option(1000, "updates; more than before continues a finished run", least=1)
    batch_size: int = option(40, "images per update, over all processes", least=2)
    crop: int = option(80, "side of a global view, pixels", least=16)
    n_local: int = option(0, "number of local views", least=0)
    local_crop: int = option(40, "side of a local view, pixels", least=16)
    zoom: tuple[float, float] = option((0.7, 1.4), "source pixels per pixel of a view: least, greatest", above=0)
    spread: float = option(0.3, "how much larger than a view the window is that holds all views of a place", least=0)
    dates: bool = option(False, "show a place on two days in its two global views, where there are two")
    jitter: str = option("mild", "change of colors between global views", choices=tuple(JITTERS))
    local_jitter: str = option("mild", "the same for local views", choices=tuple(JITTERS))
    mask: tuple[float, float] = option((0.1, 0.5), least=0, most=1)
    patch_weight: float = option(1.0, "weight of the patch term; 0: plain DINO", least=0)
    prototypes: int = option(512, "K, size of the answers", least=2)
    hidden: int = option(512, "width of the head's hidden layer; 0: the head is linear", least=0)
    lr: float = option(1e-3, "greatest learning rate", above=0)
    warmup_steps: int = option(100, least=0)
    weight_decay: float = option(0.04, least=0)
    clip_grad: float = option(1.0, above=0)
    freeze_steps: int = option(50, least=0)
    teacher_momentum: float = option(0.99, "at the start; rises to 1", least=0, most=1)
    teacher_temp: tuple[float, float] = option((0.04, 0.07), "sharpening: from, to", above=0)
    student_temp: float = option(0.1, above=0)
    center_momentum: float | None = 0.9
    last_phase: float = option(0.0, "share of the steps at the end with larger views", least=0, most=1)
    last_crop: int = option(224, "side of those views, pixels", least=16)
    seed: int = option(0, "of the weights and of every batch")
    precision: str = option("fp32", "bf16: autocast", choices=("fp32", "bf16"))

    def __post_init__(self) -> None:
        """Limits of every field, and what must fit together."""
        super().__post_init__()
        patch = architecture_of(self.model)["patch_size"]
        sides = ["crop"] + ["local_crop"] * bool(self.n_local) + ["last_crop"] * bool(self.last_phase)
        for name in sides:
            if getattr(self, name) % patch or getattr(self, name) < 2 * patch:
                raise ValueError(f"{name} must be a multiple of the patch of {patch} pixels, two at least.")
        if self.n_local and self.local_crop > self.crop:
            raise ValueError("Local crops cannot be larger than global ones.")


class Result(NamedTuple):
    """What `train` returns: the teacher as a frozen backbone, one record per logged step, warnings of collapse."""

    backbone: bb.Backbone
    history: list[dict]
    warnings: list[str]


def train(
    scenes: Sequence[Scene],
    settings: Settings = Settings(),
    saving: Saving = Saving(),
    *,
    shares: Sequence[float] | None = None,
    places: Sequence[str] = (),
    device: str | torch.device = "cpu",
    compiled: bool = False,
) -> Result:
    """Train a backbone on the pixels of RGB scenes; their labels are not looked at.

    shares     chance of every scene to be drawn; equal when None
    places     one name per scene; scenes with the same name show the same ground on several days, pixel by pixel
    compiled   compile the blocks of the network (a GPU then takes a sixth less time; it needs a C compiler)

    A step depends on the weights, the seed and its number only, so that a resumed run equals an unbroken one.
    ValueError says in one sentence what does not fit. A collapse is warned of, not stopped.
    """
    s, device, architecture = settings, checked_device(device), architecture_of(settings.model)
    images = on_device([rgb_of(scene, s.crop) for scene in scenes], places, device)
    views = partial(multi_crop, images, patch=architecture["patch_size"], n_local=s.n_local, local_crop=s.local_crop)
    views = partial(views, zoom=s.zoom, dates=s.dates, mask=s.mask, chances=chance_of_pieces(images, shares))
    views = partial(views, jitter=JITTERS[s.jitter], local_jitter=JITTERS[s.local_jitter])
    student, teacher = start_networks(architecture, s.prototypes, s.hidden, s.seed, device, compiled)
    spared = ("vit.pos_embed", "vit.cls_token")  # like biases and norms, they are no weights of a product
    groups = param_groups_weight_decay(student, s.weight_decay, spared)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=device.type == "cuda")
    centers = torch.zeros(2, s.prototypes, device=device)  # of CLS tokens, of patches
    parts = {"student": student, "teacher": teacher, "optimizer": optimizer, "centers": centers, "warnings": []}
    run = Run(s, saving, parts, device=device, about={"model": architecture, "scenes": len(scenes)})
    plan = schedules(s)

    for step in run.steps("DINO"):
        # 1. Cut and color two global views of every place of the batch, and local ones; large ones in the last phase.
        now = {name: float(values[step]) for name, values in plan.items()}
        crop, size, spread = phase(s, step)
        batch = views(step_generator(s.seed, step), size, crop=crop, spread=spread, rows=my_rows(size))
        # 2. The teacher answers for the global views; the student, who does not see all of their patches, for all.
        with autocast(device, s.precision):
            with torch.no_grad():
                teacher_cls, teacher_patches = answers(teacher, batch[:2])
            student_cls, student_patches = answers(student, batch[:2], masked=True)
            if s.n_local:
                local_cls, local_patches = answers(student, batch[2:])
                student_cls, student_patches = torch.cat([student_cls, local_cls]), [*student_patches, *local_patches]
        # 3. Student and teacher should agree across views: about the place, and patch by patch about shared ground.
        temps = s.student_temp, now["temp"]
        losses = {"cls": dino_loss(student_cls, teacher_cls, centers[0], *temps)}
        if s.patch_weight:
            cells = [view.cells for view in batch]
            losses["patch"] = cross_view_loss(cells, student_patches, teacher_patches, centers[1], *temps)
        loss = losses["cls"] + s.patch_weight * losses.get("patch", 0)
        # 4. One step of the student; its prototypes stay put at first.
        optimizer.zero_grad()
        loss.backward()
        share_gradients(list(student.parameters()), mean_over_processes)
        if now["frozen"]:
            student.head.prototypes.grad = None
        nn.utils.clip_grad_norm_(student.parameters(), s.clip_grad)
        for group in optimizer.param_groups:
            group["lr"] = now["lr"]
        optimizer.step()
        # 5. The teacher follows slowly.
        update_teacher(teacher, student, now["momentum"])
        logits = {"cls": teacher_cls, "patch": teacher_patches}
        if run.due:
            run.record(numbers(loss, losses, logits, centers, now))
            run.parts["warnings"] += new_warnings(run, s)
        # 6. So do the centers, which keep any one prototype from taking everything.
        if s.center_momentum is not None:
            for center, values in zip(centers, logits.values(), strict=True):
                center.copy_(update_center(center, values, s.center_momentum))

    largest = s.last_crop if s.last_phase else s.crop
    view = largest if largest >= 3 * architecture["patch_size"] else None
    return Result(bb.wrap(teacher.vit, "our DINO", view=view), run.records, run.parts["warnings"])


def answers(network: nn.Module, views: Sequence[View], masked: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of the CLS tokens [V, B, K] and of the patches [V, B, n, K] of views of one size, all at once."""
    cls, patches = network(joined(views), masked)
    return cls.unflatten(0, (len(views), -1)), patches.unflatten(0, (len(views), -1))


def schedules(s: Settings) -> dict[str, np.ndarray]:
    """What changes from step to step, one number for each."""
    return {
        "lr": cosine_schedule(s.lr, s.lr / 1000, s.steps, min(s.warmup_steps, s.steps // 10)),
        "momentum": cosine_schedule(s.teacher_momentum, 1.0, s.steps),
        "temp": np.interp(np.arange(s.steps), [0, max(s.steps // 3, 1)], s.teacher_temp),
        "frozen": np.arange(s.steps) < min(s.freeze_steps, s.steps // 10),
    }


def phase(s: Settings, step: int) -> tuple[int, int, float]:
    """(side of the global views, places in the batch, spread of the views) of a step."""
    if step < s.steps * (1 - s.last_phase):
        return s.crop, s.batch_size, s.spread
    fewer = s.batch_size * (s.crop / s.last_crop) ** 2
    return s.last_crop, 8 * max(1, round(fewer / 8)), min(s.spread, 0.1)  # of 8, to be shared by 2, 4 or 8 processes


def numbers(loss: torch.Tensor, losses: dict, logits: dict, centers: torch.Tensor, now: dict) -> dict[str, float]:
    """The record of a step, over all processes."""
    record = {"loss": float(mean_over_processes(loss.detach()))}
    for center, (name, value) in zip(centers, losses.items(), strict=False):
        record[f"{name}_loss"] = float(mean_over_processes(value.detach()))
        probs = F.softmax((logits[name] - center) / now["temp"], dim=-1)
        record[f"{name}_entropy"], record[f"{name}_entropy_of_mean"] = entropies(probs)
    return {**record, "lr": now["lr"], "momentum": now["momentum"], "teacher_temp": now["temp"]}


def new_warnings(run: Run, s: Settings) -> list[str]:
    """Sentences about collapse in the last record, one of each kind, also shown as warnings."""
    if run.step + 1 <= 0.3 * s.steps:  # before that, uniform answers are normal
        return []
    record, said = run.records[-1], []
    for name, where in (("cls", ""), ("patch", " (patches)")):
        if f"{name}_entropy" not in record:
            continue
        text = collapse_warning(record[f"{name}_entropy"], record[f"{name}_entropy_of_mean"], s.prototypes)
        if text and not any(old[:20] == text[:20] for old in run.parts["warnings"] + said):
            said.append(text)
            warnings.warn(f"Step {record['step']}{where}: {text}", stacklevel=3)
    return said

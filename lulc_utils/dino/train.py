"""The training of a backbone by DINO: the loop, and what it records of itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from timm.optim import param_groups_weight_decay
from torch import nn
from torch.nn import functional as F

from lulc_utils import backbone as bb
from lulc_utils.dino.images import chance_of_pieces, on_device, rgb_of
from lulc_utils.dino.loss import collapse_warning, cross_view_loss, dino_loss, entropies, update_center
from lulc_utils.dino.network import Network, architecture_of, start_networks, update_teacher
from lulc_utils.dino.settings import Settings, largest_view, phase, schedules
from lulc_utils.dino.views import View, joined, multi_crop
from lulc_utils.scene import Scene
from lulc_utils.training import (
    Run,
    Saving,
    autocast,
    checked_device,
    mean_over_processes,
    my_rows,
    share_gradients,
    step_generator,
)


class Networks(NamedTuple):
    """What learns: student and teacher, the student's optimizer, the centers [2, K] of CLS tokens and of patches."""

    student: Network
    teacher: Network
    optimizer: torch.optim.Optimizer
    centers: torch.Tensor


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
    watch: Callable[[torch.Tensor], None] | None = None,
) -> Result:
    """Train a backbone on the pixels of RGB scenes; their labels are not looked at.

    shares     chance of every scene to be drawn; equal when None
    places     one name per scene; scenes with the same name show the same ground on several days, pixel by pixel
    compiled   compile the blocks of the network (a GPU then takes a sixth less time; it needs a C compiler)
    watch      called at every logged step with the teacher's answers about the views of its batch, [2 B, K]

    A step depends on the weights, the seed and its number only, so that a resumed run equals an unbroken one.
    ValueError says in one sentence what does not fit. A collapse is warned of, not stopped.
    """
    s, device = settings, checked_device(device)
    images = on_device([rgb_of(scene, s.crop) for scene in scenes], places, device)
    chances = chance_of_pieces(images, shares)
    parts = {**(n := start(s, device, compiled))._asdict(), "warnings": []}
    run = Run(s, saving, parts, about={"model": architecture_of(s.model), "scenes": len(scenes)})
    plan = schedules(s)

    for step in run.steps("DINO"):
        now = {name: float(values[step]) for name, values in plan.items()}
        # 1. Two global views of every place of the batch, and local ones, cut and colored on the device.
        crops, size = phase(s, step)
        views = multi_crop(images, step_generator(s.seed, step), size, crops, chances=chances, rows=my_rows(size))
        # 2. The teacher answers for the global views, the student, who does not see all of their patches, for all.
        with autocast(device, s.precision):
            target, answer = answers(n, views)
        # 3. They should agree across views: about the place, and patch by patch about the ground that views share.
        losses = losses_of(answer, target, [view.cells for view in views], n.centers, now["temp"], s)
        # 4. One step of the student, which the teacher follows slowly.
        descend(n, losses["loss"], now, s)
        update_teacher(n.teacher, n.student, now["momentum"])
        if run.due:
            run.record(numbers(losses, answer, target, n.centers, now, s))
            parts["warnings"] += new_warnings(run, s)
            if watch:
                watch(F.softmax((target.cls - n.centers[0]) / now["temp"], dim=-1).flatten(0, 1).cpu())
        # 5. So do the centers, which keep any one prototype from taking everything.
        update_centers(n.centers, target, s)
    return Result(bb.wrap(n.teacher.vit, "our DINO", view=largest_view(s)), run.records, parts["warnings"])


def start(s: Settings, device: torch.device, compiled: bool) -> Networks:
    """Networks before the first step, their weights drawn from the seed."""
    student, teacher = start_networks(architecture_of(s.model), s.prototypes, s.hidden, s.seed, device, compiled)
    spared = ("vit.pos_embed", "vit.cls_token")  # like biases and norms, they are no weights of a product
    groups = param_groups_weight_decay(student, s.weight_decay, spared)
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=device.type == "cuda")
    return Networks(student, teacher, optimizer, torch.zeros(2, s.prototypes, device=device))


class Answers(NamedTuple):
    """Logits about V views: cls [V, B, K] of whole views, patches V x [B, n, K]."""

    cls: torch.Tensor
    patches: Sequence[torch.Tensor]


def answers(n: Networks, views: Sequence[View]) -> tuple[Answers, Answers]:
    """(the teacher's about the two global views, the student's about all); views of one size go through together."""
    both, rest = joined(views[:2]), views[2:]
    with torch.no_grad():
        teacher = _by_view(n.teacher(both), 2)
    student = _by_view(n.student(both, masked=True), 2)
    if rest:
        local = _by_view(n.student(joined(rest)), len(rest))
        student = Answers(torch.cat([student.cls, local.cls]), [*student.patches, *local.patches])
    return teacher, student


def _by_view(logits: tuple[torch.Tensor, torch.Tensor], count: int) -> Answers:
    return Answers(*(part.unflatten(0, (count, -1)) for part in logits))


def losses_of(
    answer: Answers,
    target: Answers,
    cells: list[torch.Tensor],
    centers: torch.Tensor,
    temp: float,
    s: Settings,
) -> dict[str, torch.Tensor]:
    """ "loss", which is to fall, and its parts "cls" and, if it counts, "patch"; cells: the ground of every view."""
    losses = {"cls": dino_loss(answer.cls, target.cls, centers[0], s.student_temp, temp)}
    if s.patch_weight:
        patches = answer.patches, target.patches
        losses["patch"] = cross_view_loss(cells, *patches, centers[1], s.student_temp, temp)
    return {"loss": losses["cls"] + s.patch_weight * losses.get("patch", 0), **losses}


def descend(n: Networks, loss: torch.Tensor, now: dict[str, float], s: Settings) -> None:
    """One step of the student; its prototypes stay put at first."""
    n.optimizer.zero_grad()
    loss.backward()
    share_gradients(list(n.student.parameters()), mean_over_processes)
    if now["frozen"]:
        n.student.head.prototypes.grad = None
    nn.utils.clip_grad_norm_(n.student.parameters(), s.clip_grad)
    for group in n.optimizer.param_groups:
        group["lr"] = now["lr"]
    n.optimizer.step()


def update_centers(centers: torch.Tensor, target: Answers, s: Settings) -> None:
    """Move the centers [2, K] toward the mean of the teacher's answers, in place."""
    if s.center_momentum is not None:
        for center, logits in zip(centers, target, strict=True):
            center.copy_(update_center(center, logits, s.center_momentum))


def numbers(
    losses: dict[str, torch.Tensor],
    answer: Answers,
    target: Answers,
    centers: torch.Tensor,
    now: dict[str, float],
    s: Settings,
) -> dict[str, float]:
    """The record of a step, over all processes; "student_entropy" is that of one answer about a whole view."""
    record = {"loss": float(mean_over_processes(losses["loss"].detach()))}
    for name, logits, center in zip(("cls", "patch"), target, centers, strict=True):
        if name in losses:
            record[f"{name}_loss"] = float(mean_over_processes(losses[name].detach()))
            probs = F.softmax((logits - center) / now["temp"], dim=-1)
            record[f"{name}_entropy"], record[f"{name}_entropy_of_mean"] = entropies(probs)
    record["student_entropy"], _ = entropies(F.softmax(answer.cls.detach() / s.student_temp, dim=-1))
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

"""The training: teacher and student, from labelled and unlabelled samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from lulc_utils.pseudo_labels.batches import Samples, draw_batch, make_pool
from lulc_utils.pseudo_labels.loss import Batch, Pseudo, objective
from lulc_utils.pseudo_labels.network import MetadataTransformer, start_networks
from lulc_utils.pseudo_labels.rules import State, find_method, start_state
from lulc_utils.pseudo_labels.settings import Settings
from lulc_utils.training import Run, Saving, checked_device, cosine_schedule


class Trained(NamedTuple):
    """What `train` returns: moving averages of teacher and student, one record per logged step.

    With one network ("both", "none", "dropout") teacher and student are the same.
    """

    teacher: MetadataTransformer
    student: MetadataTransformer
    history: list[dict]


def train(
    labelled: Samples,
    unlabelled: Samples,
    settings: Settings = Settings(),
    saving: Saving = Saving(),
    *,
    classes: int,
    device: str | torch.device = "cpu",
) -> Trained:
    """Train on labelled and unlabelled samples; the hidden truth of the unlabelled ones goes only into the history.

    Records: step, loss (of both), lr, loss_teacher, loss_student; mask (mean weight of the pseudo-labels); with a
    hidden truth pseudo_accuracy (of all) and accepted_accuracy (weighted; None where none is accepted). Each but lr
    is the mean since the last record. ValueError when the samples do not fit together.
    """
    device, pool = checked_device(device), make_pool(labelled, unlabelled, classes, settings)
    teacher, student = start_networks(torch.cat([pool.x, pool.x_u]), classes, settings)
    networks = nn.ModuleList([teacher] if student is None else [teacher, student]).to(device)
    draw = partial(draw_batch, pool, settings, mean=teacher.mean, std=teacher.std)
    objective_of = partial(objective, teacher, student, settings=settings)
    about = {"classes": classes, "samples": [len(pool.x), len(pool.x_u)]}
    averages, history = learn(networks, draw, objective_of, start_state(classes, device), settings, saving, about)
    return Trained(averages[0].eval(), averages[-1].eval(), history)


def learn(
    networks: nn.Module,
    draw: Callable[[int], tuple[Batch, torch.Tensor | None]],
    objective: Callable[[Batch, State], tuple[Pseudo, State, torch.Tensor, torch.Tensor]],
    state: State,
    settings: Settings,
    saving: Saving,
    about: dict[str, Any],
) -> tuple[nn.Module, list[dict]]:
    """(moving average of the networks, history): the loop, for one training and for many at once (together.py).

    networks    everything that is trained
    draw        step -> (batch, hidden truth or None)
    objective   (batch, the rule's state) -> (pseudo-labels, new state, L_T, L_S). Of R trainings at once all of these
                have one more dimension in front, and records hold lists of R numbers
    about       what, besides the settings, must be the same for a training to continue
    """
    averages = copy.deepcopy(networks)
    optimizer = torch.optim.AdamW(networks.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=True)
    rates = cosine_schedule(settings.lr, settings.lr / 100, settings.steps, settings.steps // 20)
    parts = {"networks": networks, "averages": averages, "optimizer": optimizer, "state": tuple(state), "recent": []}
    run = Run(settings, saving, parts, about=_in_words(settings) | about)

    for step in run.steps("pseudo-labels"):
        # 1. Draw labelled images, weak and strong views of unlabelled ones, and where and when they were taken.
        batch, truth = draw(step)
        # 2. The teacher labels the weak views; both networks predict; two losses.
        pseudo, state, l_t, l_s = objective(batch, State(*run.parts["state"]))
        # 3. One step of both networks. No gradient flows between them, so one step on the sum equals two steps.
        optimizer.param_groups[0]["lr"] = float(rates[step])
        optimizer.zero_grad(set_to_none=True)
        (l_t + l_s).sum().backward()
        optimizer.step()
        # 4. Their moving averages, which are smoother, are returned in the end.
        with torch.no_grad():
            for slow, fast in zip(averages.parameters(), networks.parameters(), strict=True):
                slow.lerp_(fast, 1 - min(settings.ema, (1 + step) / (10 + step)))
        # 5. Keep the rule's state, and measure how the step went.
        run.parts["state"] = tuple(state)
        run.parts["recent"].append(measure(pseudo, l_t, l_s, truth))
        if run.due:
            run.record({"lr": float(rates[step]), **summarize(run.parts["recent"])})
            run.parts["recent"].clear()
    return averages, run.records


def measure(pseudo: Pseudo, l_t: torch.Tensor, l_s: torch.Tensor, truth: torch.Tensor | None) -> dict[str, Any]:
    """Numbers (or lists of R, see `learn`) about one step: means, except for the sums `right` and `trust`."""
    numbers = {"loss_teacher": l_t, "loss_student": l_s, "mask": pseudo.weight.mean(-1)}
    if truth is not None:
        right = (pseudo.label == truth).float()
        numbers |= {
            "pseudo_accuracy": right.mean(-1),
            "right": (pseudo.weight * right).sum(-1),
            "trust": pseudo.weight.sum(-1),
        }
    return {name: value.tolist() for name, value in numbers.items()}


def summarize(recent: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of some steps of `measure`: numbers, or lists of R numbers; `loss` is always a number."""
    steps = {name: np.stack([step[name] for step in recent], -1) for name in recent[0]}  # [(R,) n]
    means = {name: values.mean(-1) for name, values in steps.items() if name not in ("right", "trust")}
    if "trust" in steps:
        right, trust = steps["right"].sum(-1), steps["trust"].sum(-1)
        means["accepted_accuracy"] = np.where(trust > 0, right / np.where(trust > 0, trust, 1), None)
    loss = float((means["loss_teacher"] + means["loss_student"]).sum())
    return {"loss": loss, **{name: values.tolist() for name, values in means.items()}}


def _in_words(settings: Settings) -> dict[str, Any]:
    """The functions among the settings by name, as stored in a checkpoint."""
    method = find_method(settings.method)._asdict()
    method["rule"] = _name(method["rule"])
    return {"method": method, "encoding": [_name(encoding) for encoding in settings.encoding]}


def _name(function: Callable) -> str:
    if isinstance(function, partial):
        return f"{_name(function.func)} with {function.args} {sorted(function.keywords.items())}"
    return getattr(function, "__qualname__", repr(function))

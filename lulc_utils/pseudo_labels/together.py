"""Several repeats of one training at once: with networks this small, five take hardly longer than two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from lulc_utils.pseudo_labels.batches import Samples, draw_batch, make_pool
from lulc_utils.pseudo_labels.loss import Batch, Pseudo, objective
from lulc_utils.pseudo_labels.network import MetadataTransformer, start_networks
from lulc_utils.pseudo_labels.rules import State, start_state
from lulc_utils.pseudo_labels.settings import Settings
from lulc_utils.pseudo_labels.train import Trained, learn
from lulc_utils.training import Saving, checked_device


class Stack(nn.Module):
    """R networks of one architecture as one module: every weight is [R, ...]."""

    def __init__(self, networks: Sequence[MetadataTransformer]) -> None:
        super().__init__()
        weights, self.constants = torch.func.stack_module_state(list(networks))
        self.names, self.weights = list(weights), nn.ParameterList(weights.values())
        self.architecture = [networks[0]]  # in a list, so that its weights are not part of this module
        for block in networks[0].blocks:
            block.attn.fused_attn = False  # vmap would take the fused one apart, repeat by repeat

    def tensors(self) -> tuple[dict, dict]:
        """Weights and buffers by name, each [R, ...]."""
        return dict(zip(self.names, self.weights, strict=True)), self.constants

    def call(self, tensors: tuple[dict, dict], x: torch.Tensor, meta: torch.Tensor | None = None) -> torch.Tensor:
        """The output of one of the networks, given its `tensors` without the first dimension."""
        return torch.func.functional_call(self.architecture[0], tensors, (x, meta))

    def write_to(self, networks: Sequence[MetadataTransformer]) -> None:
        """Give each of the networks its weights."""
        for name, weight in zip(self.names, self.weights, strict=True):
            for network, own in zip(networks, weight.detach(), strict=True):
                network.get_parameter(name).data.copy_(own)


def train_together(
    labelled: Sequence[Samples],
    unlabelled: Sequence[Samples],
    seeds: Sequence[int],
    settings: Settings = Settings(),
    saving: Saving = Saving(),
    *,
    classes: int,
    device: str | torch.device = "cpu",
) -> list[Trained]:
    """`train` for R repeats at once: the same numbers, except for rounding, in a third of the time.

    labelled, unlabelled   R sets of samples of one shape; seeds: R seeds, used instead of `settings.seed`
    """
    device = checked_device(device)
    own = [replace(settings, seed=seed) for seed in seeds]
    pools = [make_pool(*samples, classes, s) for *samples, s in zip(labelled, unlabelled, own, strict=True)]
    pairs = [start_networks(torch.cat([p.x, p.x_u]), classes, s) for p, s in zip(pools, own, strict=True)]
    kinds = [kind for kind in zip(*pairs, strict=True) if kind[0] is not None]  # R teachers and perhaps R students
    for network in (network for kind in kinds for network in kind):
        network.to(device)
    stacks = nn.ModuleList(Stack(kind) for kind in kinds)

    def draw(step: int) -> tuple[Batch, torch.Tensor | None]:
        drawn = [
            draw_batch(pool, s, step, mean=teacher.mean, std=teacher.std)
            for pool, s, (teacher, _) in zip(pools, own, pairs, strict=True)
        ]
        batches, truths = zip(*drawn, strict=True)
        return Batch(*map(_stacked, zip(*batches, strict=True))), _stacked(truths)

    even = start_state(classes, device)
    state = State(*(torch.stack([part] * len(seeds)) for part in even))
    about = {"classes": classes, "seed": list(seeds), "samples": [[len(p.x), len(p.x_u)] for p in pools]}
    averages, history = learn(stacks, draw, partial(_objectives, stacks, settings), state, settings, saving, about)
    for stack, kind in zip(averages, kinds, strict=True):
        stack.write_to(kind)
    return [
        Trained(teacher.eval(), (student or teacher).eval(), [_of_repeat(r, record) for record in history])
        for r, (teacher, student) in enumerate(pairs)
    ]


def _objectives(
    stacks: nn.ModuleList, settings: Settings, batch: Batch, state: State
) -> tuple[Pseudo, State, torch.Tensor, torch.Tensor]:
    """`objective` of every repeat, each part [R, ...]."""

    def objective_of_one(tensors: list, batch: Batch, state: State) -> tuple:
        networks = [partial(stack.call, own) for stack, own in zip(stacks, tensors, strict=True)]
        return objective(networks[0], networks[1] if len(networks) == 2 else None, batch, state, settings)

    first = Batch(*(None if part is None else 0 for part in batch))  # the dimension of the repeats
    every = torch.func.vmap(objective_of_one, in_dims=(0, first, 0))
    return every([stack.tensors() for stack in stacks], batch, state)


def _stacked(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    return None if parts[0] is None else torch.stack(parts)


def _of_repeat(r: int, record: dict) -> dict:
    """The record of one repeat, from a record of lists; its loss is its own, not the sum of all."""
    own = {name: values[r] if isinstance(values, list) else values for name, values in record.items()}
    return own | {"loss": own["loss_teacher"] + own["loss_student"]}

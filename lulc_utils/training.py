"""What every training of this package shares: schedules, checkpoints, records, and several processes under torchrun.

Not an engine: each method writes its own loop (dino.py, contrastive.py) and takes from here what has nothing to do
with the method.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn


def cosine_schedule(base: float, final: float, steps: int, warmup_steps: int = 0, start: float = 0.0) -> np.ndarray:
    """One value per step, [steps]: linear from `start` to `base`, then half a cosine towards `final`.

    As in the reference (utils.cosine_scheduler) the last value stays one step short of `final`.
    """
    warmup_steps = min(warmup_steps, steps)
    rest = steps - warmup_steps
    falling = final + 0.5 * (base - final) * (1 + np.cos(np.pi * np.arange(rest) / max(rest, 1)))
    return np.concatenate([np.linspace(start, base, warmup_steps), falling])


def write_lines(path: Path, records: list[dict], mode: str) -> None:
    """Write ("w") or append ("a") records as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def save_checkpoint(path: Path, settings: dict, run: dict) -> None:
    """All of `run` as tensors and plain values; the old file stays until the new one is complete."""
    content = {k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in run.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save({**content, "settings": _plain(settings)}, part)
    os.replace(part, path)


def restore(path: Path, settings: dict, run: dict, device: str | torch.device) -> None:
    """Fill `run` from a checkpoint; ValueError when it is damaged or of another training."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        old = content.pop("settings")
    except Exception as error:
        raise ValueError(
            f"{path} is not a complete checkpoint ({type(error).__name__}); delete it to start again."
        ) from None
    changed = [key for key, value in _plain(settings).items() if old.get(key) != value]
    if changed:
        raise ValueError(
            f"{path} was written with another {', '.join(changed)}; use the same settings, another checkpoint, "
            "or resume=False (--fresh) to start again."
        )
    for key, value in content.items():
        if hasattr(run[key], "load_state_dict"):
            run[key].load_state_dict(value)
        else:
            run[key] = value


def _plain(settings: dict) -> dict:
    return json.loads(json.dumps(settings))


# ----------------------------------------------------------------------------------------- several processes


def processes() -> int:
    """How many processes train together; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process; 0 is the one that writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def my_rows(batch_size: int) -> slice:
    """The part of the global batch that this process works on."""
    each = batch_size // processes()
    return slice(rank() * each, (rank() + 1) * each)


def sum_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The sum of every process's value, on each of them; itself when there is one process."""
    if processes() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def mean_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The mean of every process's value, on each of them."""
    return sum_over_processes(value) / processes()


def share_gradients(weights: Sequence[nn.Parameter], combine=sum_over_processes) -> None:
    """Replace the gradients of the weights by their sum, or mean, over the processes."""
    if processes() > 1:
        weights = [w for w in weights if w.grad is not None]
        flat = combine(torch.cat([w.grad.flatten() for w in weights]))
        for weight, part in zip(weights, flat.split([w.numel() for w in weights]), strict=True):
            weight.grad.copy_(part.view_as(weight))

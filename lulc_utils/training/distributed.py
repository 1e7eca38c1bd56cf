"""Several processes that train one network under torchrun, and the device each one uses.

torch's DistributedDataParallel averages gradients of equal parts of a batch. Here the global loss is not always such
an average (InfoNCE compares all points of a batch; only some pixels are labelled), and the book shows that two
processes compute what one does. So gradients are added or averaged explicitly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn


def checked_device(device: str | torch.device) -> torch.device:
    """The device; ValueError, in one sentence, when this machine does not have it."""
    try:
        checked = torch.device(device)
    except RuntimeError:
        raise ValueError(f"There is no device '{device}'; use 'cpu' or 'cuda'.") from None
    if checked.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"There is no device '{device}'; use 'cpu' or 'cuda'.")
    if checked.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("There is no CUDA device here; use device 'cpu'.")
    if checked.type == "cuda" and (checked.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"There is no device '{device}'; the last one is 'cuda:{torch.cuda.device_count() - 1}'.")
    return checked


@contextmanager
def under_torchrun(device: str) -> Iterator[str]:
    """Join the processes that torchrun started, if it did, and leave them afterward; yields this process's device.

    A process group that already exists is used and left open.
    """
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several and checked_device(device).type == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    if not several or dist.is_initialized():
        yield device
        return
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def processes() -> int:
    """How many processes train together; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process; 0 is the one that writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def my_rows(batch_size: int) -> slice:
    """The part of the global batch that this process works on; ValueError when the parts would not be equal."""
    if batch_size % processes():
        raise ValueError(f"A batch of {batch_size} cannot be shared equally by {processes()} processes.")
    each = batch_size // processes()
    return slice(rank() * each, (rank() + 1) * each)


def sum_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The sum of every process's value, on each of them; the value itself when there is one process."""
    if processes() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def mean_over_processes(value: torch.Tensor) -> torch.Tensor:
    """The mean of every process's value, on each of them."""
    return sum_over_processes(value) / processes()


def share_gradients(
    weights: Sequence[nn.Parameter], combine: Callable[[torch.Tensor], torch.Tensor] = sum_over_processes
) -> None:
    """Replace the gradients of the weights by their sum, or mean, over the processes."""
    if processes() > 1:
        weights = [w for w in weights if w.grad is not None]
        flat = combine(torch.cat([w.grad.flatten() for w in weights]))
        for weight, part in zip(weights, flat.split([w.numel() for w in weights]), strict=True):
            weight.grad.copy_(part.view_as(weight))


def descend(
    model: nn.Module, loss: torch.Tensor, optimizer: torch.optim.Optimizer, rate: float, clip_norm: float = 1.0
) -> None:
    """One optimizer step at the given rate; the gradient, summed over the processes, is clipped to `clip_norm`."""
    weights = [w for w in model.parameters() if w.requires_grad]
    optimizer.zero_grad()
    loss.backward()
    share_gradients(weights)
    nn.utils.clip_grad_norm_(weights, clip_norm)
    for group in optimizer.param_groups:
        group["lr"] = float(rate)
    optimizer.step()

"""What a training step depends on besides weights and data: its number and the seed, never earlier draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# Step i of seed s draws from stream s * STEPS_PER_SEED + i. A prime, larger than any number of steps here, so that no
# two seeds share a stream: seed 1 does not continue where seed 0 ended.
STEPS_PER_SEED = 1_000_003


def step_generator(seed: int, step: int) -> torch.Generator:
    """A CPU generator for one step: the same for the same seed and step, whether or not a run was interrupted."""
    return torch.Generator().manual_seed(seed * STEPS_PER_SEED + step)


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator for the block (modules draw their first weights from it), then restore it.

    CUDA's generators are not touched, so weights are drawn on the CPU and are the same whatever the device.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def autocast(device: str | torch.device, precision: str) -> torch.autocast:
    """Context in which networks compute: for precision "bf16", bfloat16 where it is safe; otherwise unchanged."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")


def cosine_schedule(base: float, final: float, steps: int, warmup_steps: int = 0, start: float = 0.0) -> np.ndarray:
    """One value per step, [steps]: linear from `start` to `base`, then half a cosine down to `final`.

    As in DINO's reference code (utils.cosine_scheduler), the last value is one step short of `final`.
    """
    warmup_steps = min(warmup_steps, steps)
    rest = steps - warmup_steps
    falling = final + 0.5 * (base - final) * (1 + np.cos(np.pi * np.arange(rest) / max(rest, 1)))
    return np.concatenate([np.linspace(start, base, warmup_steps), falling])

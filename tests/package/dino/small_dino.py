"""A tiny network, tiny scenes and the command that trains on them, for the tests beside."""

import os
import sys
from pathlib import Path

import numpy as np

from lulc_utils import dino
from lulc_utils.scene import Scene

ROOT = Path(__file__).parents[3]
TINY = {
    "model": {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2},
    "batch_size": 8,
    "crop": 32,
    "local_crop": 16,
    "prototypes": 32,
}


def tiny(**changes) -> dino.Settings:
    return dino.Settings(**TINY | changes)


def drawn(n: int = 4, size: int = 64) -> list[Scene]:
    """Scenes in which every image has colors and stripes of its own."""
    rng = np.random.default_rng(0)
    scenes = []
    for i in range(n):
        wave = np.sin(np.arange(size) * rng.uniform(0.2, 1.5))[None, None, :] * 40
        pixels = rng.uniform(60, 190, (3, 1, 1)) + wave + rng.normal(0, 8, (3, size, size))
        scenes.append(Scene(f"drawn {i}", pixels.clip(0, 255).astype(np.uint8), ("red", "green", "blue"), "drawn"))
    return scenes


def command(folder: Path, out: Path, *more: str, launcher: tuple[str, ...] = ("-m",)) -> list[str]:
    small = "--model vit_mini8 --batch-size 8 --crop 32 --prototypes 32 --log-every 1 --checkpoint-every 1"
    start = [sys.executable, *launcher, "lulc_utils", "dino", "train", "--data", str(folder), "--out", str(out)]
    return [*start, *small.split(), *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

"""Chapter 3 on real imagery: unlabelled patches, then few labels of flood-hls, split by group, two tasks.

    python scripts/measure/ch3_flood.py run [--device cuda]    continues where it stopped
    python scripts/measure/ch3_flood.py collect                writes book/measured/contrastive_flood.json

A draw holds a third of the groups of patches back, pre-trains on the images of the others (with those of satclip and
terramesh, averaged to 30 m), and labels some points or whole patches of theirs. Tasks: seven classes of ESA WorldCover,
and water drawn by hand. Galileo, frozen, is told that pixels are 30 m wide; places and months are not known.
80 cells take about two minutes each on one core; `run` can be stopped at any time.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
from cells import command, finished
from ch3_compare import LADDER, Task, ends, fresh, gain, trained_both

from lulc_utils import contrastive as co
from lulc_utils import data, evaluate, galileo
from lulc_utils.contrastive import unet
from lulc_utils.evaluate import mean_interval
from lulc_utils.scene import UNLABELLED, Scene, labels_of, pixels_of

ROOT = Path(__file__).resolve().parents[2]
CELLS = ROOT / "scripts" / "measure" / "kept" / "ch3_flood.jsonl"
KEPT = ROOT / "_build" / "ch3_flood"
DRAWS = range(10)
TASKS = ("land_cover", "water")
BUDGETS = ("24 points", "3 patches", "96 points", "384 points")  # in order of importance
AT_10_M = ("B01", "B02", "B03", "B04", "B8A", "B11", "B12")  # what data.HLS_BANDS are on Sentinel-2
PRETRAINING = {"steps": 200, "crop": 32}
SIDE, PATCH = 40, 4  # pixels of an unlabelled square, and along a patch of Galileo


@functools.cache
def flood() -> data.Flood:
    """The patches under both kinds of labels."""
    return data.flood_hls(progress=False)


def squares(images: np.ndarray) -> np.ndarray:
    """Images [P, C, H, W] cut into squares [N, C, SIDE, SIDE]."""
    rows, cols = (n // SIDE for n in images.shape[-2:])
    cut = images[..., : rows * SIDE, : cols * SIDE].reshape(*images.shape[:2], rows, SIDE, cols, SIDE)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, images.shape[1], SIDE, SIDE)


@functools.cache
def elsewhere() -> np.ndarray:
    """Squares of satclip and terramesh in the bands of flood-hls, 3 x 3 pixels of 10 m averaged to one."""
    parts = []
    for scene in [*data.satclip(progress=False), *data.terramesh(progress=False)]:
        side = min(scene.height, scene.width) // 3
        image = scene.select(*AT_10_M)[:, : 3 * side, : 3 * side].reshape(len(AT_10_M), side, 3, side, 3).mean((2, 4))
        parts.append(squares(image[None]))
    return np.concatenate(parts).astype(np.float32)


def split(draw: int) -> tuple[list[int], list[int]]:
    """Numbers of the patches to learn from and of those held back: a third of the groups, drawn."""
    groups = [scene.group for scene in flood().water]
    names = sorted(set(groups))
    held = set(np.random.default_rng(draw).permutation(names)[: len(names) // 3])
    return [i for i, g in enumerate(groups) if g not in held], [i for i, g in enumerate(groups) if g in held]


def pretrained(draw: int, device: str) -> tuple[unet.UNet, unet.UNet]:
    """A network with random weights, and the same after pre-training on the images of a draw."""
    learn, _ = split(draw)
    images = np.concatenate([squares(pixels_of([flood().water[i] for i in learn])), elsewhere()])
    start, path = fresh(data.HLS_BANDS, images, draw), KEPT / f"{draw}, {PRETRAINING['steps']} steps.safetensors"
    if not path.exists():
        settings = co.Pretraining(seed=draw, **PRETRAINING)
        unet.save(co.pretrain(images, settings, bands=data.HLS_BANDS, device=device, model=start).model.cpu(), path)
    return start, unet.load(path)


@functools.cache
def described(number: int) -> np.ndarray:
    """Galileo's description of every pixel of a patch, [h, w, 128]: that of the square of 4 x 4 pixels around it."""
    scene = flood().water[number]
    rows = galileo.describe(scene.pixels, scene.bands, patch_size=PATCH, meters=30).numpy()
    return rows.repeat(PATCH, 0).repeat(PATCH, 1)[: scene.height, : scene.width]


def few(scenes: list[Scene], budget: str, draw: int) -> np.ndarray:
    """Their labels, all hidden but those of the budget."""
    n, what = budget.split()
    labels = labels_of(scenes)
    if what == "points":
        return co.label_points(labels, int(n), draw)
    return co.label_fraction(labels, int(n) / len(labels), draw)


def cell(task: str, budget: str, draw: int, device: str) -> dict:
    """Every contestant with the same labels of one draw."""
    learn, held = split(draw)
    scenes = getattr(flood(), task)
    near, far = [scenes[i] for i in learn], [scenes[i] for i in held]
    labels, truth = few(near, budget, draw), labels_of(far)
    contest = Task(pixels_of(near), labels, pixels_of(far), truth, len(scenes[0].classes))
    starts = dict(zip(("random", "pre-trained"), pretrained(draw, device), strict=True))
    outcome = trained_both(contest, starts, draw, device)
    known = labels != UNLABELLED
    rows = np.concatenate([described(i)[k] for i, k in zip(learn, known, strict=True) if k.any()])
    probe = evaluate.linear_probe(rows, labels[known], samples=5000, seed=draw)
    answer = np.stack([evaluate.predict(probe, described(i)) for i in held])
    outcome["scores"]["Galileo, frozen"] = contest.score(answer)
    return {"task": task, "budget": budget, "seed": draw} | outcome


def cells(device: str) -> dict:
    """Name -> work; all draws of the two smallest budgets, for which the question is asked, then the others."""
    names = [(t, b, draw) for some in (BUDGETS[:2], BUDGETS[2:]) for draw in DRAWS for b in some for t in TASKS]
    return {f"{t}, {b}, {d}": functools.partial(cell, t, b, d, device) for t, b, d in names}


def collect() -> dict:
    """Means and Student's t intervals over draws, paired."""
    done, grid = list(finished(CELLS).values()), {}
    for task in TASKS:
        for budget in BUDGETS:
            some = [c for c in done if (c["task"], c["budget"]) == (task, budget)]
            if len(some) < 5:  # too few to say anything
                continue
            ours, names = ends(some, "pre-trained"), list(some[0]["scores"])
            gains = {f"minus {n}": gain(ours, ends(some, n)) for n in names if n != "pre-trained"}
            galileo_gains = {f"minus {n}": gain(ends(some, "Galileo, frozen"), ends(some, n)) for n in names[:3]}
            grid.setdefault(task, {})[budget] = {
                "draws": len(some),
                "scores": {name: mean_interval(ends(some, name)) for name in names},
                "pre-trained": gains,
                "Galileo, frozen": galileo_gains,
            }
    return {"settings": {"ladder": LADDER, "draws asked": len(DRAWS), "cells": len(done)}, "grid": grid}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return command(__doc__, CELLS, cells, collect, ROOT / "book" / "measured" / "contrastive_flood.json", arguments)


if __name__ == "__main__":
    sys.exit(main())

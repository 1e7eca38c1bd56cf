"""Chapter 3's main grid: one hazy date of a ground, labels as scattered points, both starts trained until they stop.

    python scripts/measure/ch3_space.py run [--device cuda]    continues where it stopped; about 160 cells
    python scripts/measure/ch3_space.py collect                writes book/measured/contrastive_space.json

A cell is one region, one seed and one number of points. Seeds come first, so that any part of the grid is a smaller
grid; what happens at the side (other regions, one date, other heads) comes last. Nothing is chosen with test grounds.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from cells import finished, measure
from ch3_compare import LADDER, Task, fresh, trained_both

from lulc_utils import contrastive as co
from lulc_utils import results, simulate
from lulc_utils.cli import exit_status
from lulc_utils.contrastive import unet
from lulc_utils.evaluate import mean_interval

ROOT = Path(__file__).resolve().parents[2]
CELLS = ROOT / "scripts" / "measure" / "kept" / "ch3_space.jsonl"
WEIGHTS = ROOT / "_build" / "ch3_space"
REGIONS = tuple(simulate.REGIONS)[:4]  # two in Europe, two in Africa
POINTS = (24, 384, 96, 1536)  # in order of importance
SIDE = (24, 384)  # for which the side experiments are made
SEEDS, SIDE_SEEDS = range(10), range(5)
CLASSES = len(simulate.SATELLITE_CLASSES)
PRETRAINING = {"steps": 200}  # of 2 x 16 crops: as many crops as SAME steps of fine-tuning with 8
SAME = 800  # so a network that was pre-trained has had, after n steps, as much as another after n + SAME


@functools.lru_cache(1)
def bed(region: str, seed: int) -> co.Bed:
    """The grounds of one region and seed."""
    return co.draw_bed(region, seed)


def pretrained(region: str, seed: int, device: str, dates: int = 2) -> unet.UNet:
    """The network pre-trained there, from the folder where it was kept or anew; dates=1: both views of one date."""
    path = WEIGHTS / f"{region.split(',')[0]} {seed} {dates}.safetensors"
    if not path.exists():
        images = bed(region, seed).images
        images = images if dates > 1 else images[:, 0]
        settings, start = co.Pretraining(seed=seed, **PRETRAINING), fresh(co.GROUND_BANDS, images, seed)
        model = co.pretrain(images, settings, bands=co.GROUND_BANDS, device=device, model=start).model
        unet.save(model.cpu(), path)
    return unet.load(path)


def task(region: str, seed: int, points: int) -> Task:
    """Points of the region's grounds; the label of a point holds on every date."""
    here = bed(region, seed)
    images, labels = here.every_date(co.label_points(here.labels, points, seed))
    return Task(images, labels, here.test_images, here.truth, CLASSES)


def main_cell(region: str, seed: int, points: int, device: str) -> dict:
    """Every contestant with the same points."""
    start = fresh(co.GROUND_BANDS, bed(region, seed).images, seed)
    starts = {"random": start, "pre-trained": pretrained(region, seed, device)}
    return about(region, seed, points) | trained_both(task(region, seed, points), starts, seed, device)


def side_cell(what: str, region: str, seed: int, points: int, device: str) -> dict:
    """One thing changed: where it was pre-trained, what the views were, or how the head starts."""
    start, probe = None, True
    if what in REGIONS:
        start = pretrained(what, seed, device)
    elif what == "views of one date":
        start = pretrained(region, seed, device, dates=1)
    elif what == "random, fitted head":
        start = fresh(co.GROUND_BANDS, bed(region, seed).images, seed)
    elif what == "pre-trained, random head":
        start, probe = pretrained(region, seed, device), False
    scores, _ = task(region, seed, points).curve(start, seed, device, probe)
    return about(region, seed, points) | {"what": what, "scores": scores}


def about(region: str, seed: int, points: int) -> dict:
    """Which cell it is."""
    return {"region": region, "seed": seed, "points": points}


def cells(device: str) -> dict:
    """Name -> work, the main contrast before everything else."""
    todo = {}
    for seed in SEEDS:
        for region in REGIONS:
            for points in POINTS:
                todo[f"{points} points, {region}, {seed}"] = functools.partial(main_cell, region, seed, points, device)
    for seed in SIDE_SEEDS:
        for region in REGIONS:
            others = [r for r in REGIONS if r != region]
            for what in ("views of one date", "random, fitted head", "pre-trained, random head", *others):
                for points in SIDE:
                    name = f"{what} -> {points} points, {region}, {seed}"
                    todo[name] = functools.partial(side_cell, what, region, seed, points, device)
    return todo


def differences(found: list[dict], a: str, b: str, at_a: int = LADDER[-1], at_b: int = LADDER[-1]) -> list[float]:
    """Score of a minus that of b in each of the cells; those that were trained, after so many steps."""

    def of(cell: dict, name: str, step: int) -> float:
        value = cell["scores"][name]
        return value[str(step)] if isinstance(value, dict) else value

    return [of(cell, a, at_a) - of(cell, b, at_b) for cell in found]


def summary(found: list[dict]) -> dict:
    """Means with intervals over cells of one number of points."""
    scores = {}
    for name, value in found[0]["scores"].items():
        every = [cell["scores"][name] for cell in found]
        curve = isinstance(value, dict)
        scores[name] = {s: mean_interval([e[s] for e in every]) for s in value} if curve else mean_interval(every)
    gains = {
        "random": differences(found, "pre-trained", "random"),
        "random, equal compute": differences(found, "pre-trained", "random", LADDER[-1] - SAME),
        "random, 200 steps each": differences(found, "pre-trained", "random", 200, 200),
        "pixels": differences(found, "pre-trained", "pixels"),
        "neighborhoods": differences(found, "pre-trained", "neighborhoods"),
        "pre-trained, frozen": differences(found, "pre-trained", "pre-trained, frozen"),
    }
    classes = np.array([np.subtract(c["classes"]["pre-trained"], c["classes"]["random"]) for c in found], float)
    names = [c.name for c in simulate.SATELLITE_CLASSES]
    return {
        "cells": len(found),
        "scores": scores,
        "pre-trained minus": {name: mean_interval(values) for name, values in gains.items()},
        "by class": {n: mean_interval(v[np.isfinite(v)]) for n, v in zip(names, classes.T, strict=True)},
    }


def collect() -> dict:
    """Means and Student's t intervals over the finished cells, paired by region and seed."""
    done = list(finished(CELLS).values())
    main = [cell for cell in done if "what" not in cell]
    by_points = {p: [c for c in main if c["points"] == p] for p in sorted(POINTS)}
    found = {"grid": {p: summary(c) for p, c in by_points.items() if len(c) > 1}}
    found["regions"] = {}
    for points, of in by_points.items():
        there = {region: [cell for cell in of if cell["region"] == region] for region in REGIONS}
        gains = {region: mean_interval(differences(c, "pre-trained", "random")) for region, c in there.items()}
        found["regions"][points] = gains
    usual = {(c["region"], c["seed"], c["points"]): c["scores"] for c in main}
    side: dict = {}
    for cell in done:
        key = (cell["region"], cell["seed"], cell["points"])
        if "what" in cell and key in usual:
            what = f"{cell['what']} -> {cell['region']}" if cell["what"] in REGIONS else cell["what"]
            base, end = usual[key], str(LADDER[-1])
            values = side.setdefault(what, {}).setdefault(cell["points"], {"random": [], "pre-trained": []})
            for start, kept in values.items():
                kept.append(cell["scores"][end] - base[start][end])
    found["side"] = {
        what: {p: {f"minus {s}": mean_interval(v) for s, v in of.items()} for p, of in points.items()}
        for what, points in side.items()
    }
    settings = {"regions": REGIONS, "ladder": LADDER, "same": SAME, "cells": len(main), "asked": len(SEEDS)}
    return {"settings": settings, **found}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "collect"), help="measure what is missing; write the results")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args(arguments)
    if options.command == "run":
        return exit_status(lambda: measure(CELLS, cells(options.device)), "Stopped; the same command continues.")
    path = ROOT / "book" / "measured" / "contrastive_space.json"
    return exit_status(lambda: results.save(path, "contrastive_space", collect()))


if __name__ == "__main__":
    sys.exit(main())

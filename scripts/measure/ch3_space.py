"""Chapter 3's main grid: one hazy date of a ground, labels as scattered points, both starts trained until they stop.

    python scripts/measure/ch3_space.py run [--device cuda]    continues where it stopped
    python scripts/measure/ch3_space.py collect                writes book/measured/contrastive_space.json

A pre-training takes two minutes on one core, a main cell one, one at the side half a minute, or two if it gets an equal
amount of compute: 160 and 256 cells. One process at a time may run, and it can be stopped at any moment. A cell is one
region, one seed and one number of points. Two numbers of points come first, with all seeds; what happens at the side
(other regions, one date, other heads) comes last. Nothing is chosen with a cell's own test grounds.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from cells import command, finished
from ch3_compare import LADDER, Task, ends, fresh, gain, stops, trained_both

from lulc_utils import contrastive as co
from lulc_utils import simulate
from lulc_utils.contrastive import unet
from lulc_utils.evaluate import mean_interval

ROOT = Path(__file__).resolve().parents[2]
CELLS = ROOT / "scripts" / "measure" / "kept" / "ch3_space.jsonl"
WEIGHTS = ROOT / "_build" / "ch3_space"
REGIONS = tuple(simulate.REGIONS)[:4]  # two in Europe, two in Africa
POINTS = (24, 384, 96, 1536)  # in order of importance
SIDE = (24, 384)  # for which the side experiments are made
SEEDS, SIDE_SEEDS, EQUAL_SEEDS = range(10), range(5), range(2)
CLASSES = len(simulate.SATELLITE_CLASSES)
BED = {"grounds": 300, "test": 40}
PRETRAINING = {"steps": 2000}  # on a seed that is not reported, 200, 800 and 2000 were better one after the other
CHANGES = ("views of one date", "random, fitted head", "pre-trained, random head")
EQUAL = "random, equal compute"
LONG = 1600 + 2000 * 2 * 16 // 8  # fine-tuning steps of 8 crops that cost as much as both trainings of the other


@functools.lru_cache(1)
def bed(region: str, seed: int) -> co.Bed:
    """The grounds of one region and seed."""
    return co.draw_bed(region, seed, **BED)


def pretrained(region: str, seed: int, device: str, dates: int = 2) -> unet.UNet:
    """The network pre-trained there, from the folder where it was kept or anew; dates=1: both views of one date."""
    steps = PRETRAINING["steps"]
    path = WEIGHTS / f"{region.split(',')[0]}, {seed}, {dates} dates, {steps} steps.safetensors"
    if not path.exists():
        images = bed(region, seed).images
        images = images if dates > 1 else images[:, 0]
        settings, start = co.Pretraining(seed=seed, **PRETRAINING), fresh(co.GROUND_BANDS, images, seed)
        model = co.pretrain(images, settings, bands=co.GROUND_BANDS, device=device, model=start).model
        unet.save(model.cpu(), path)
    return unet.load(path)


def task(region: str, seed: int, points: int) -> Task:
    """Points of the region's grounds; the label of a point holds on every date."""
    drawn = bed(region, seed)
    images, labels = drawn.every_date(co.label_points(drawn.labels, points, seed))
    return Task(images, labels, drawn.test_images, drawn.truth, CLASSES)


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
    elif what in ("random, fitted head", EQUAL):
        start = fresh(co.GROUND_BANDS, bed(region, seed).images, seed)
    elif what == "pre-trained, random head":
        start, probe = pretrained(region, seed, device), False
    probe, steps = probe and what != EQUAL, LONG if what == EQUAL else LADDER[-1]
    scores, _ = task(region, seed, points).curve(start, seed, device, probe, steps)
    return about(region, seed, points) | {"what": what, "scores": scores}


def about(region: str, seed: int, points: int) -> dict:
    """Which cell it is."""
    return {"region": region, "seed": seed, "points": points}


def cells(device: str) -> dict:
    """Name -> work, the main contrast before everything else."""
    main, changed = itertools.product(SEEDS, REGIONS, POINTS[:2]), itertools.product(SIDE_SEEDS, REGIONS)
    todo = _main(main, device) | _side([(EQUAL, *at) for at in itertools.product(EQUAL_SEEDS, REGIONS)], device)
    todo |= _main(itertools.product(SEEDS, REGIONS, POINTS[2:]), device)
    return todo | _side([(w, *at) for at in changed for w in (*CHANGES, *REGIONS) if w != at[1]], device)


def _main(which: Iterable[tuple[int, str, int]], device: str) -> dict:
    return {f"{n} points, {r}, {seed}": functools.partial(main_cell, r, seed, n, device) for seed, r, n in which}


def _side(which: Iterable[tuple[str, int, str]], device: str) -> dict:
    return {
        f"{what} -> {n} points, {r}, {seed}": functools.partial(side_cell, what, r, seed, n, device)
        for what, seed, r in which
        for n in SIDE
    }


def summary(cells: list[dict]) -> dict:
    """Means with intervals over cells of one number of points, paired by region and seed."""
    names = list(cells[0]["scores"])
    ours = ends(cells, "pre-trained")
    gains = {f"minus {name}": gain(ours, ends(cells, name)) for name in names if name != "pre-trained"}
    gains["minus random, 200 steps each"] = gain(ends(cells, "pre-trained", 200), ends(cells, "random", 200))
    rivals = ("pixels", "neighborhoods")
    random_gains = {f"minus {n}": gain(ends(cells, "random"), ends(cells, n)) for n in rivals}
    classes = np.array([np.subtract(c["classes"]["pre-trained"], c["classes"]["random"]) for c in cells], float)
    legend = [c.name for c in simulate.SATELLITE_CLASSES]
    curves = {n: {s: mean_interval(ends(cells, n, s)) for s in LADDER} for n in ("random", "pre-trained")}
    return {
        "cells": len(cells),
        "seeds": len({cell["seed"] for cell in cells}),
        "scores": {name: mean_interval(ends(cells, name)) for name in names},
        "stops": {name: sorted(set(stops(cells, name))) for name in curves},
        "curves": curves,
        "pre-trained": gains,
        "random": random_gains,
        "by class": {n: mean_interval(v[np.isfinite(v)]) for n, v in zip(legend, classes.T, strict=True)},
    }


def collect() -> dict:
    """Means and Student's t intervals over the finished cells, paired by region and seed."""
    done = list(finished(CELLS).values())
    main = [cell for cell in done if "what" not in cell]
    by_points = {p: [c for c in main if c["points"] == p] for p in sorted(POINTS)}
    by_points = {p: of for p, of in by_points.items() if len({c["seed"] for c in of}) > 1}
    settings = {
        "regions": REGIONS,
        "ladder": LADDER,
        "bed": BED,
        "pre-training": PRETRAINING["steps"],
        "long": LONG,
        "cells": sum(map(len, by_points.values())),
        "seeds asked": len(SEEDS),
    }
    settings |= {"seeds": len({cell["seed"] for cell in main}), "at the side": len(done) - len(main)}
    side = [cell for cell in done if "what" in cell]
    settings["seeds at equal compute"] = len({cell["seed"] for cell in side if cell["what"] == EQUAL})
    settings["seeds at the side"] = len({cell["seed"] for cell in side if cell["what"] != EQUAL})
    grid = {points: summary(of) for points, of in by_points.items()}
    for points, interval in equal_compute(by_points, [cell for cell in side if cell["what"] == EQUAL]).items():
        grid[points]["pre-trained"][f"minus {EQUAL}"] = interval
    return {
        "settings": settings,
        "grid": grid,
        "regions": {points: by_region(of) for points, of in by_points.items()},
        "side": aside(by_points, [cell for cell in side if cell["what"] != EQUAL]),
    }


def equal_compute(by_points: dict[int, list[dict]], long: list[dict]) -> dict[int, tuple[float, float, float]]:
    """Pre-trained, where it stops, minus random weights after LONG steps, in the cells in which this was measured."""
    after = {(c["region"], c["seed"], c["points"]): c["scores"][str(LONG)] for c in long}
    differences: dict[int, list[float]] = {}
    for points, cells in by_points.items():
        for cell, ours in zip(cells, ends(cells, "pre-trained"), strict=True):
            if (rival := after.get((cell["region"], cell["seed"], points))) is not None:
                differences.setdefault(points, []).append(ours - rival)
    return {points: mean_interval(values) for points, values in differences.items() if len(values) > 1}


def by_region(cells: list[dict]) -> dict:
    """Pre-trained minus random in every region."""
    ours, random = ends(cells, "pre-trained"), ends(cells, "random")
    indices = {r: [i for i, cell in enumerate(cells) if cell["region"] == r] for r in REGIONS}
    return {r: gain([ours[i] for i in at], [random[i] for i in at]) for r, at in indices.items()}


def aside(by_points: dict[int, list[dict]], side: list[dict]) -> dict:
    """What was changed at the side, minus both usual starts in the same cells, each where it stops.

    A row may pool several cells of one region and seed: these share labels and rivals, so their mean counts once.
    """
    usual = {
        (c["region"], c["seed"], points): {"random": random, "pre-trained": ours}
        for points, of in by_points.items()
        for c, random, ours in zip(of, ends(of, "random"), ends(of, "pre-trained"), strict=True)
    }
    kept: dict = {}
    for cell, score in where_they_stop(side):
        place = (cell["region"], cell["seed"], cell["points"])
        for row in rows_of(cell["what"], cell["region"]) if place in usual else []:
            minus = {start: score - usual[place][start] for start in usual[place]}
            kept.setdefault((row, cell["points"]), {}).setdefault(place, []).append(minus)
    table: dict = {what: {} for what in CHANGES}
    for (row, points), places in kept.items():
        gains = {
            f"minus {start}": mean_interval([np.mean([minus[start] for minus in of]) for of in places.values()])
            for start in ("random", "pre-trained")
        }
        table.setdefault(row, {})[points] = gains
    return table


def where_they_stop(side: list[dict]) -> Iterable[tuple[dict, float]]:
    """Every cell, scored where its kind was best in other seeds; without those of which there is one seed only."""
    kinds: dict = {}
    for cell in side:
        kind = "another region" if cell["what"] in REGIONS else cell["what"]
        kinds.setdefault((kind, cell["points"]), []).append(cell)
    for cells in kinds.values():
        if len({cell["seed"] for cell in cells}) > 1:
            yield from zip(cells, ends([c | {"scores": {"it": c["scores"]}} for c in cells], "it"), strict=True)


def rows_of(what: str, region: str) -> list[str]:
    """The rows to which a cell at the side belongs."""
    if what not in REGIONS:
        return [what]
    far = continent(what) != continent(region)
    return [f"{what} -> {region}", "pre-trained in another region", *["pre-trained on another continent"] * far]


def continent(region: str) -> str:
    """Europe or Africa, by the end of a region's name."""
    return region.split()[-1]


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    return command(__doc__, CELLS, cells, collect, ROOT / "book" / "measured" / "contrastive_space.json", arguments)


if __name__ == "__main__":
    sys.exit(main())

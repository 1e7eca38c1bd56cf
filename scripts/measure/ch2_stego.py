"""The full-size measurements of chapter 2; a stopped run goes on, and --keep writes book/measured/stego_runs.json.

    python scripts/measure/ch2_stego.py shifts      which shift rule? on simulated scenes and training places
    python scripts/measure/ch2_stego.py places      STEGO and its rivals on real places that nothing was learned from
    python scripts/measure/ch2_stego.py simulated   the same on the chapter's crops; code sizes, groups, changes, clicks

Groups are made without labels and named on the crops that were learned from: as many groups as classes, one to one;
where there are two classes eight groups, many to one. k-means and STEGO are run with one seed (shifts), three (places)
or five (simulated). Each command takes about a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import ch2_jobs as do
import ch2_places as places
import numpy as np
from jobs import Jobs

from lulc_utils import evaluate
from lulc_utils.files import complete_or_absent

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "book" / "measured" / "stego_runs.json"
SEEDS = {"shifts": range(1), "places": range(3), "simulated": range(5)}
PAIRS = (  # ways of `compare` whose differences are kept
    ("STEGO", "k-means, frozen features"),
    ("STEGO + CRF", "k-means, frozen features + CRF"),
    ("STEGO + CRF", "k-means, frozen features"),
    ("k-means, frozen features + CRF", "k-means, frozen features"),
    ("k-means, frozen features", "k-means, raw color"),
    ("k-means, frozen features + CRF", "k-means, raw color + CRF"),
    ("k-means, frozen features", "k-means, random ViT"),
    ("STEGO", "k-means, raw color"),
    ("28 clicks by k-means, frozen features", "28 clicks by k-means, raw color"),
    ("28 clicks by k-means, frozen features", "28 clicks by k-means, random ViT"),
    ("28 clicks by k-means, frozen features", "28 clicks at random, frozen features"),
    ("28 clicks by k-means, frozen features", "STEGO"),
    ("28 clicks by k-means, frozen features", "STEGO + CRF"),
    ("28 clicks by k-means, frozen features", "k-means, frozen features + CRF"),
)


def jobs_of(work: Callable, names: Iterable[str], seeds: Iterable[int]) -> dict[str, Callable]:
    """A job for every fold of every kind of ground and every seed."""
    folds = {name: do.crops_of(name)[0] for name in names}
    return {
        f"{work.__name__} {name}, {fold}, {seed}": partial(work, name, fold, seed)
        for seed in seeds
        for name in names
        for fold in folds[name]
    }


def shifts(kept: Jobs) -> dict:
    """{naming: {kind of ground: {rule: mean mIoU over places and seeds}}}, and the mean of all for each rule."""
    kept.run(jobs_of(do.choose, places.CHOOSING, SEEDS["shifts"]))
    result = {naming: {} for naming in do.NAMINGS}
    for name in places.CHOOSING:
        runs = [kept.load(job) for job in jobs_of(do.choose, [name], SEEDS["shifts"])]
        for naming in do.NAMINGS:
            values = {w: [v for run in runs for v in run[naming][w].values()] for w in runs[0][naming]}
            result[naming][name] = {way: float(np.mean(v)) for way, v in values.items()}
    every = [of for by_kind in result.values() for of in by_kind.values()]
    return {"shifts": result, "rules": {rule: float(np.mean([of[rule] for of in every])) for rule in every[0]}}


def real(kept: Jobs) -> dict:
    """Scores of every place (mean over seeds), and paired differences with intervals over places."""
    kept.run(jobs_of(do.compare, places.REAL, SEEDS["places"]))
    scored = {name: {} for name in places.REAL}
    for name in places.REAL:
        for job in jobs_of(do.compare, [name], [0]):
            runs = [kept.load(job.removesuffix("0") + str(seed)) for seed in SEEDS["places"]]
            for place in runs[0]["STEGO"]:
                scored[name][place] = {way: mean_scores([run[way][place] for run in runs]) for way in runs[0]}
    return {"places": scored, "means": means(together(scored)), "differences": differences(together(scored))}


def mean_scores(tables: list) -> dict[str, float]:
    """{score: mean over the seeds} of one place."""
    values = [evaluate.scores(np.array(table)) for table in tables]
    return {score: float(np.mean([v[score] for v in values])) for score in ("accuracy", "miou")}


def together(scored: dict) -> dict[str, list[dict]]:
    """Which places: their scores."""
    groups = {name: list(of.values()) for name, of in scored.items()}
    tiles = {f"tile {number}" for number in places.UNSEEN_TILES}
    groups["Dubai, unseen"] = [of for tile, of in scored["Dubai"].items() if tile in tiles]
    groups["Dubai, seen"] = [of for tile, of in scored["Dubai"].items() if tile not in tiles]
    groups["unseen"] = [*groups["Dubai, unseen"], *groups["vegetation"], *groups["buildings"]]
    return groups | {"all": [*groups["unseen"], *groups["Dubai, seen"]]}


def means(groups: dict[str, list[dict]]) -> dict:
    """{which places: {way: {score: (mean, low, high)}}}, Student's t over places."""
    return {
        which: {
            way: {score: evaluate.mean_interval([of[way][score] for of in some]) for score in ("accuracy", "miou")}
            for way in some[0]
        }
        for which, some in groups.items()
    }


def differences(groups: dict[str, list[dict]]) -> dict:
    """{pair: {score: {which places: (mean, low, high)}}}, Student's t over places."""
    return {
        f"{a} minus {b}": {
            score: {
                which: evaluate.mean_interval([of[a][score] - of[b][score] for of in some])
                for which, some in groups.items()
            }
            for score in ("miou", "accuracy")
        }
        for a, b in PAIRS
    }


def simulated(kept: Jobs) -> dict:
    """The comparison, all seeds together, with intervals over crops; sweeps, changes and clicks: (mean, low, high)."""
    seeds, works = SEEDS["simulated"], (do.sweeps, do.ablation, do.clicks)
    for seed in seeds:
        kept.run(jobs_of(do.compare, places.CHAPTER, [seed]))
        kept.run({f"{work.__name__} {seed}": partial(work, seed) for work in works})
    runs = [kept.load(job) for job in jobs_of(do.compare, places.CHAPTER, seeds)]
    each = {way: np.array([[*run[way].values()] for run in runs]) for way in runs[0]}  # [S, T, n, n + 1]
    tables = {way: t.sum(0) for way, t in each.items()}
    scores = {
        name: {way: evaluate.with_interval(t, score) for way, t in tables.items()}
        for name, score in (("accuracy", "accuracy"), ("mIoU", "miou"))
    }
    miou = {way: evaluate.scores(t.sum(1))["miou"] for way, t in each.items()}  # [S]
    gains = {f"{a} minus {b}": evaluate.paired_interval(tables[a], tables[b]) for a, b in PAIRS}
    alone = {f"{a} minus {b}": (miou[a] - miou[b]).tolist() for a, b in PAIRS}
    spreads = {work.__name__: spread([kept.load(f"{work.__name__} {seed}") for seed in seeds]) for work in works}
    return {"simulated": {"seeds": len(seeds), "scores": scores, "gains": gains, "alone": alone} | spreads}


def spread(runs: list) -> dict | tuple[float, float, float]:
    """(mean, lowest, highest) of numbers, in the same nested dictionaries."""
    if isinstance(runs[0], dict):
        return {key: spread([run[key] for run in runs]) for key in runs[0]}
    return float(np.mean(runs)), min(runs), max(runs)


def main() -> int:
    """Run the jobs of one command, and print or keep what they give."""
    parser = argparse.ArgumentParser("python scripts/measure/ch2_stego.py", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("shifts", "places", "simulated"))
    parser.add_argument("--jobs", type=Path, default=ROOT / "build" / "ch2", help="folder of the finished jobs")
    parser.add_argument("--keep", action="store_true", help=f"write the numbers to {KEPT.name}")
    asked = parser.parse_args()
    asked.jobs.mkdir(parents=True, exist_ok=True)
    result = {"shifts": shifts, "places": real, "simulated": simulated}[asked.what](Jobs(asked.jobs))
    if not asked.keep:
        print(json.dumps(result, indent=1))
        return 0
    before = json.loads(KEPT.read_text(encoding="utf8"))["results"] if KEPT.exists() else {}
    with complete_or_absent(KEPT) as part:
        part.write_text(json.dumps({"results": before | rounded(result)}, indent=1) + "\n", encoding="utf8")
    return 0


def rounded(value: object) -> object:
    """The same with four digits."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())

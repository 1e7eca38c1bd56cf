"""Chapter 3 at full size: every region, label fraction, initialization and seed; ablations; real imagery.

    python scripts/measure/ch3_contrastive.py run        all of it, about two hours on one core; start it twice to share
    python scripts/measure/ch3_contrastive.py collect    writes book/measured/contrastive_grid.json

A job is one pre-training with all fine-tunings that start from it; its confusion matrices are saved (jobs.py). Nothing
is chosen with the test patches.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from ch3_jobs import (
    ABLATION_SEEDS,
    ABLATIONS,
    CONTROL_SEEDS,
    FARTHER,
    FRACTIONS,
    HOME,
    REAL_FRACTIONS,
    REGIONS,
    SCARCE,
    SEEDS,
    SHARE,
    TEST,
    jobs,
)
from jobs import Jobs

from lulc_utils import results
from lulc_utils.cli import exit_status
from lulc_utils.evaluate import over_seeds

ROOT = Path(__file__).resolve().parents[2]
KEPT = Jobs(ROOT / "_build" / "contrastive_grid")


def loaded(job: str, part: str, seeds: range = SEEDS) -> np.ndarray:
    """Confusion matrices [S, T, n, m] of a part of a job, over its seeds."""
    return np.stack([np.asarray(KEPT.load(f"{job} {seed}")[part]) for seed in seeds])


def grid(source: str, region: str, fraction: float, seeds: range = SEEDS) -> np.ndarray:
    """Matrices of a region at a share of the labels; source: where pre-trained, "random" or "pixels"."""
    return loaded("linear" if source == "pixels" else f"grid {source}", f"{region}|{fraction}", seeds)


def cells(region: str, fraction: float) -> dict[str, np.ndarray]:
    """Matrices of everything compared in one region at one share."""
    sources = {"random": "random", "here": region, "elsewhere": FARTHER[region], "pixels": "pixels"}
    return {name: grid(source, region, fraction) for name, source in sources.items()}


def by_region(score) -> dict:
    """{region: {share: score(matrices of that cell)}}."""
    return {region: {fraction: score(cells(region, fraction)) for fraction in FRACTIONS} for region in REGIONS}


def transfer(fraction: float) -> dict:
    """{pre-trained in: {fine-tuned and tested in: gain over random weights}}."""
    return {
        source: {r: over_seeds(grid(source, r, fraction), grid("random", r, fraction)) for r in REGIONS}
        for source in REGIONS
    }


def control(region: str, fraction: float) -> dict:
    """Pre-training against random weights with the same training time."""
    long = loaded(f"control {fraction}", region, CONTROL_SEEDS)
    ours, short = (grid(source, region, fraction, CONTROL_SEEDS) for source in (region, "random"))
    return {
        "random": over_seeds(short),
        "random, equal compute": over_seeds(long),
        "pre-trained": over_seeds(ours),
        "pre-trained minus equal compute": over_seeds(ours, long),
    }


def ablations() -> dict:
    """Scores with one setting changed, next to the unchanged and the random network; same seeds."""
    sources = {"random": "random", "ours": HOME}
    scores = {name: over_seeds(grid(source, HOME, SHARE, ABLATION_SEEDS)) for name, source in sources.items()}
    for what, settings in ABLATIONS.items():
        scores[what] = {v: over_seeds(loaded(f"ablation {what}={v}", "", ABLATION_SEEDS)) for v in settings}
    ways = KEPT.load(f"rates {ABLATION_SEEDS[0]}")
    scores["fine-tuning"] = {way: over_seeds(loaded("rates", way, ABLATION_SEEDS)) for way in ways}
    return scores


def real() -> dict:
    """The comparison on TerraMesh, both folds together."""

    def both(name: str, fraction: float) -> np.ndarray:
        return np.concatenate([loaded("real", f"{name}|{fraction}|{fold}") for fold in range(2)], axis=1)

    scores: dict = {}
    for fraction in REAL_FRACTIONS:
        ours, random = both("pre-trained", fraction), both("random", fraction)
        gain = over_seeds(ours, random)
        scores[fraction] = {"random": over_seeds(random), "pre-trained": over_seeds(ours), "gain": gain}
    few = [np.concatenate([both(name, f) for f in REAL_FRACTIONS[:2]]) for name in ("pre-trained", "random")]
    return scores | {"mean gain, two smallest": over_seeds(*few)}


def collect() -> dict:
    """Scores with intervals over seeds and test patches, from the finished jobs."""

    def gains(cell: dict[str, np.ndarray]) -> dict:
        return {name: over_seeds(cell[name], cell["random"]) for name in ("here", "elsewhere", "pixels")}

    return {
        "settings": {"regions": REGIONS, "fractions": FRACTIONS, "seeds": len(SEEDS), "test": len(TEST)},
        "scores": by_region(lambda cell: {name: over_seeds(t) for name, t in cell.items()}),
        "gains": by_region(gains),
        "transfer": {fraction: transfer(fraction) for fraction in SCARCE},
        "against pixels": by_region(lambda cell: over_seeds(cell["here"], cell["pixels"])),
        "control": {f: {region: control(region, f) for region in REGIONS} for f in SCARCE},
        "ablations": ablations(),
        "real": real(),
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "collect"), help="do the remaining jobs; write the results")
    if parser.parse_args(arguments).command == "run":
        return exit_status(lambda: KEPT.run(jobs()), "Stopped; run the same command again to continue.")
    path = ROOT / "book" / "measured" / "contrastive_grid.json"
    return exit_status(lambda: results.save(path, "contrastive_grid", collect()))


if __name__ == "__main__":
    torch.set_num_threads(1)  # several of these share a machine; threads would wait for each other
    sys.exit(main())

"""Chapter 4 at full size: inputs, methods, labels, encodings, injections, distillation; US sites and EuroSAT.

    python scripts/measure/ch4_pseudo_labels.py run        the remaining jobs, most wanted first
    python scripts/measure/ch4_pseudo_labels.py collect    writes book/measured/pseudo_label_grid.json

A job is five trainings at once; their scores are saved (jobs.py), and `collect` may be called at any time. Repeat r
draws new grounds, new labels and a new start. Nothing is chosen with these numbers: steps, threshold and strength of
the views were chosen on other seeds (a million and more).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ch4_worlds import US_WORLDS, WORLDS
from jobs import Jobs

from lulc_utils import evaluate, results
from lulc_utils import pseudo_labels as pl
from lulc_utils.cli import exit_status
from lulc_utils.pseudo_labels import metadata as md

ROOT = Path(__file__).resolve().parents[2]
KEPT = Jobs(ROOT / "_build" / "pseudo_label_grid")
REPEATS = range(5)
LABELS = 64  # per class

MAIN = ("fixmatch", "freematch", "softmatch", "defixmatch")
METHODS = pl.METHODS | {
    "fixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8)),
    "defixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8), 0.5, debias=True),
}
SETTINGS = pl.Settings(encoding=(md.unit_sphere, md.season), dim=64, depth=1, steps=300)
PLAIN, LED, BLIND = "image only", "metadata teacher", "two networks"
INPUTS = {
    PLAIN: {"metadata": "none"},
    "image + metadata": {"metadata": "both"},
    "metadata dropout": {"metadata": "dropout"},
    LED: {"metadata": "teacher"},
    BLIND: {"metadata": "none", "two_networks": True},
}
OTHERS = [name for name in INPUTS if name != PLAIN]
CHANGES = {
    "scaled place": {"encoding": (md.scaled_place, md.season)},
    "sphere + Fourier": {"encoding": (md.sphere_fourier, md.season)},
    "place only": {"encoding": (md.unit_sphere,)},
    "date only": {"encoding": (md.season,)},
    "late": {"injection": "late"},
    "FiLM": {"injection": "film"},
    "no distillation": {"distance": "none"},
    "mae": {"distance": "mae"},
    "cosine": {"distance": "cosine"},
}

# -------------------------------------------------------------------------------------------------------- jobs


class Job(NamedTuple):
    """One line of one table: a training, repeated."""

    part: str
    name: str
    given: str = PLAIN
    method: str = "fixmatch"
    labels: int = LABELS
    world: str = "simulated"
    change: str = ""

    @property
    def key(self) -> str:
        """The name under which it is saved."""
        return f"{self.part}, {self.name}"


def jobs() -> list[Job]:
    """Every job, most wanted first."""
    compared = [(m, g) for m in MAIN for g in INPUTS if m == "fixmatch" or g in (PLAIN, LED, BLIND)]
    compared += [("supervised", PLAIN), ("supervised", "image + metadata")]
    return [
        *(Job("methods", f"{method}, {given}", given, method) for method, given in compared),
        *(Job("season", given, given, world="season") for given in INPUTS),
        *(Job("us", f"{w}: {given}", given, labels=16, world=w) for w in US_WORLDS for given in INPUTS),
        *(Job("labels", f"{n}, {given}", given, labels=n) for n in (16, 4, 1) for given in (PLAIN, LED)),
        *(Job("eurosat", given, given, labels=2, world="EuroSAT", change="place only") for given in INPUTS),
        *(Job("ablation", change, LED, change=change) for change in CHANGES),
    ]


def train(job: Job, repeats: Sequence[int] = REPEATS) -> list[dict]:
    """Train repeats together; accuracy (mean over classes) on every domain, of the student and any teacher."""
    world, classes = WORLDS[job.world]
    rows, tests = zip(*map(world, repeats), strict=True)
    chosen = [pl.few_per_class(r.y, job.labels, classes, repeat) for r, repeat in zip(rows, repeats, strict=True)]
    longest = max(map(len, chosen))  # where a class has fewer rows than needed, some are used twice
    labelled = [pl.Samples.of(r.rows(np.resize(c, longest))) for r, c in zip(rows, chosen, strict=True)]
    settings = replace(SETTINGS, method=METHODS[job.method], **CHANGES.get(job.change, {}) | INPUTS[job.given])
    unlabelled = [pl.Samples.of(r) for r in rows]
    trained = pl.train_together(labelled, unlabelled, repeats, settings, pl.Saving(log_every=20), classes=classes)
    return [scored(job, settings, t, test, classes) for t, test in zip(trained, tests, strict=True)]


def scored(job: Job, settings: pl.Settings, trained: pl.Trained, tests: dict, classes: int) -> dict:
    """The record of one repeat."""
    record = {"history": trained.history, "score": {}, "teacher": {}, "unknown": {}}
    sees = job.given in ("image + metadata", "metadata dropout")
    for domain, test in tests.items():
        meta = pl.Samples.of(test).meta(settings.encoding)
        questions = {"score": (trained.student, meta if sees else None)}
        if job.given == LED:
            questions["teacher"] = (trained.teacher, meta)
        if job.given == "metadata dropout":
            questions["unknown"] = (trained.student, md.unknown(len(test.y), settings.encoding))
        for what, (network, given) in questions.items():
            probs = pl.predict(network, test.x, given)
            record[what][domain] = evaluate.class_accuracy(test.y, probs, classes)
    return record


# ------------------------------------------------------------------------------------------------------ tables


class Grid:
    """The records of finished jobs, and tables of them: means with intervals; differences are paired by repeat."""

    def __init__(self) -> None:
        self.records = {job: KEPT.load(job.key) for job in jobs() if KEPT.path(job.key).exists()}

    def of(self, part: str) -> dict[Job, list[dict]]:
        """The records of one part, a list of repeats for each job."""
        return {job: repeats for job, repeats in self.records.items() if job.part == part}

    def values(self, part: str, name: str, domain: str, what: str = "score") -> list[float]:
        """The scores of one job, one for each repeat."""
        return [r[what][domain] for job, rs in self.of(part).items() for r in rs if job.name == name]

    def table(self, part: str, what: str = "score") -> dict:
        """{name: {domain: (mean, low, high)}} of a part."""
        domains = {job.name: list(repeats[0][what]) for job, repeats in self.of(part).items() if repeats[0][what]}
        return {
            name: {d: evaluate.mean_interval(self.values(part, name, d, what)) for d in own}
            for name, own in domains.items()
        }

    def gains(self, part: str, pairs: dict[str, tuple[str, str]], base_part: str | None = None) -> dict:
        """{row: {domain: (mean, low, high) of a - b}} of pairs {row: (a, b)}, b of `base_part` if given."""
        gains: dict = {}
        for row, (a, b) in pairs.items():
            for domain in dict.fromkeys(d for repeats in self.of(part).values() for d in repeats[0]["score"]):
                x, y = self.values(part, a, domain), self.values(base_part or part, b, domain)
                if x and y:
                    gains.setdefault(row, {})[domain] = evaluate.mean_interval(np.subtract(x, y))
        return gains


def collect(grid: Grid) -> dict:
    """All tables of the chapter. Unfinished jobs are left out."""
    over_plain, simulated = {n: (n, PLAIN) for n in OTHERS}, simulated_tables(grid)
    same = {f"{LABELS}, {n}": simulated["scores"].get(f"fixmatch, {n}", {}) for n in (PLAIN, LED)}
    by_labels = grid.gains("labels", {n: (f"{n}, {LED}", f"{n}, {PLAIN}") for n in ("1", "4", "16")})
    us_pairs = {f"{w}: {n}": (f"{w}: {n}", f"{w}: {PLAIN}") for w in US_WORLDS for n in OTHERS}
    us = {"scores": grid.table("us"), "teachers": grid.table("us", "teacher"), "gains": grid.gains("us", us_pairs)}
    return {
        "simulated": simulated,
        "season": {"scores": grid.table("season"), "gains": grid.gains("season", over_plain)},
        "history": histories(grid),
        "labels": grid.table("labels") | same,
        "labels gain": by_labels | {str(LABELS): simulated["gains"].get("fixmatch", {})},
        "ablation": grid.table("ablation"),
        "ablation gain": grid.gains("ablation", {c: (c, f"fixmatch, {LED}") for c in CHANGES}, "methods"),
        "us_sites": us,
        "eurosat": {"scores": grid.table("eurosat"), "gains": grid.gains("eurosat", over_plain)},
        "repeats": len(REPEATS),
    }


def simulated_tables(grid: Grid) -> dict:
    """Scores of all methods and inputs, and what each input adds."""

    def gains(names: dict[str, tuple[str, str, str]]) -> dict:
        pairs = {row: (f"{method}, {a}", f"{method}, {b}") for row, (method, a, b) in names.items()}
        return grid.gains("methods", pairs)

    return {
        "scores": grid.table("methods"),
        "teachers": grid.table("methods", "teacher"),
        "unknown": grid.table("methods", "unknown"),
        "gains": gains({m: (m, LED, PLAIN) for m in MAIN}),
        "gains over two networks": gains({m: (m, LED, BLIND) for m in MAIN}),
        "metadata at test time": gains({m: (m, "image + metadata", PLAIN) for m in ("supervised", "fixmatch")}),
        "over image only": gains({n: ("fixmatch", n, PLAIN) for n in OTHERS}),
    }


def histories(grid: Grid) -> dict:
    """Diagnostics over training, mean of the repeats, of every method with and without a metadata teacher."""
    names = ("pseudo_accuracy", "accepted_accuracy", "mask")
    tables = {}
    for job, repeats in grid.of("methods").items():
        if job.given in (PLAIN, LED) and job.method != "supervised":
            runs = [repeat["history"] for repeat in repeats]
            values = {n: np.array([[record[n] for record in run] for run in runs], float) for n in names}  # None: NaN
            tables[job.name] = {"step": [record["step"] for record in runs[0]]}
            tables[job.name] |= {n: v.mean(0).tolist() for n, v in values.items()}
    return tables


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "collect"), help="do the remaining jobs; write the results")
    if parser.parse_args(arguments).command == "run":
        todo = {job.key: partial(train, job) for job in jobs()}
        return exit_status(lambda: KEPT.run(todo), "Stopped; run the same command again to continue.")
    path = ROOT / "book" / "measured" / "pseudo_label_grid.json"
    return exit_status(lambda: results.save(path, "pseudo_label_grid", collect(Grid())))


if __name__ == "__main__":
    torch.set_num_threads(1)  # the networks are small: more threads only wait
    sys.exit(main())

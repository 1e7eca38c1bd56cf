"""The grid of chapter 4: the ladder from few labels to every label, four methods, two ways to leave the training data.

    python scripts/measure/ch4_pseudo_labels.py run [--repeats 20] [--together 5] [--device cuda]
    python scripts/measure/ch4_pseudo_labels.py collect    writes book/measured/pseudo_label_grid.json

`run` adds one line to book/measured/pseudo_label_trainings.jsonl for every finished training and skips those that are
there, so it may be stopped at any time and goes on from what is committed; the order is such that the tables are useful
after every block. Repeat r draws new grounds, new labels and a new start. A training is 1 200 steps: about five seconds
of a processor core with one network, ten with two. Nothing is chosen with these numbers: the problem, the steps and
the threshold were chosen on other seeds (ch4_worlds.DESIGN and above).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from ch4_tables import BLIND, CHANGES, DROPOUT, EVERY, FEW, LED, PERFECT, PLAIN, TOLD, collect
from ch4_worlds import CLASSES, world
from tqdm import tqdm

from lulc_utils import evaluate
from lulc_utils import pseudo_labels as pl
from lulc_utils.cli import exit_status
from lulc_utils.files import alone
from lulc_utils.pseudo_labels import metadata as md

ROOT = Path(__file__).resolve().parents[2]
LINES = ROOT / "book" / "measured" / "pseudo_label_trainings.jsonl"
METHODS = pl.METHODS | {
    "fixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8)),
    "defixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8), 0.5, debias=True),
}
SETTINGS = pl.Settings(encoding=(md.unit_sphere, md.season), dim=64, depth=1, steps=1200)
ARMS = {  # what each changes in the settings; FEW and EVERY use no pseudo-labels, whatever the method
    FEW: {"metadata": "none", "method": "supervised"},
    PLAIN: {"metadata": "none"},
    BLIND: {"metadata": "none", "two_networks": True},
    DROPOUT: {"metadata": "dropout"},
    LED: {"metadata": "teacher"},
    PERFECT: {"metadata": "none", "perfect_teacher": True},
    EVERY: {"metadata": "none", "method": "supervised"},
    TOLD: {"metadata": "both"},
    "no distillation": {"metadata": "teacher", "distance": "none"},  # this and the next two: other students
    "date only": {"metadata": "teacher", "encoding": (md.season,)},
    "place only": {"metadata": "teacher", "encoding": (md.unit_sphere,)},
}


class Job(NamedTuple):
    """One cell of the grid: an arm, a method, labels per class and a kind of world."""

    arm: str
    method: str = "fixmatch"
    labels: int = 16
    kind: str = "place"


def blocks() -> list[tuple[range, list[Job]]]:
    """(repeats, jobs), most wanted first."""
    first, last = ([Job(arm) for arm in arms] for arms in ((FEW, PLAIN, LED, BLIND), (EVERY, TOLD, PERFECT, DROPOUT)))
    rules = ("softmatch", "freematch", "defixmatch")
    others, blind = ([Job(arm, rule) for rule in rules for arm in arms] for arms in ((PLAIN, LED), (BLIND,)))
    many, few = ([Job(arm, labels=n) for arm in (FEW, PLAIN, LED, BLIND)] for n in (64, 4))
    season = [job._replace(kind="season") for job in first + last]
    changes = [Job(arm) for arm in CHANGES]
    start, next_five, rest = range(5), range(5, 10), range(10, 20)
    return [
        (start, first + last),
        (next_five, first),
        (next_five, others),
        (next_five, many[:3]),
        (next_five, last),
        (start, season[:3] + season[4:6]),
        (start, others),
        (start, many + few),
        (next_five, blind + many + few),
        (start, blind + changes + season),
        (rest, first + others + blind + many),
        (range(5, 20), season + changes),
        (rest, last + few),
    ]


# ---------------------------------------------------------------------------------------------------- trainings


def records(path: Path) -> list[dict]:
    """All finished trainings; a last line that a crash left unfinished is taken off the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf8")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        path.write_text(text, encoding="utf8")
    return [json.loads(line) for line in text.splitlines()]


def todo(finished: list[dict], repeats: int, together: int) -> Iterator[tuple[Job, list[int]]]:
    """Jobs with the repeats that are not done yet, at most `together` of them at once."""
    done = {(Job(r["arm"], r["method"], r["labels"], r["kind"]), r["repeat"]) for r in finished}
    for block, jobs in blocks():
        for start in range(block.start, min(block.stop, repeats), together):
            for job in jobs:
                own = [r for r in block[start - block.start :][:together] if r < repeats and (job, r) not in done]
                done |= {(job, r) for r in own}
                if own:
                    yield job, own


def run(path: Path, repeats: int, together: int, device: str) -> None:
    """Do what is not done, and add a line for every training."""
    with alone(path):
        for job, own in tqdm(list(todo(records(path), repeats, together)), desc="jobs"):
            lines = train(job, own, device)
            with path.open("a", encoding="utf8") as stream:
                stream.write("".join(json.dumps(record) + "\n" for record in lines))


def train(job: Job, repeats: list[int], device: str = "cpu") -> list[dict]:
    """Train repeats together; accuracy (mean over classes) on every domain, of the student and any teacher."""
    rows, tests = zip(*(world(r, job.kind) for r in repeats), strict=True)
    labels = max(len(r.y) for r in rows) if job.arm == EVERY else job.labels
    chosen = [pl.few_per_class(r.y, labels, len(CLASSES), i) for i, r in zip(repeats, rows, strict=True)]
    settings = replace(SETTINGS, **{"method": METHODS[job.method]} | ARMS[job.arm])
    labelled = [pl.Samples.of(r.rows(c)) for r, c in zip(rows, chosen, strict=True)]
    unlabelled = [pl.Samples.of(r) for r in rows]
    saving = pl.Saving(log_every=200)
    trained = pl.train_together(labelled, unlabelled, repeats, settings, saving, classes=len(CLASSES), device=device)
    return [
        {**job._asdict(), "repeat": i, "rows": len(r.y), "steps": settings.steps} | scored(job, settings, own, test)
        for i, r, own, test in zip(repeats, rows, trained, tests, strict=True)
    ]


def scored(job: Job, settings: pl.Settings, trained: pl.Trained, tests: dict) -> dict:
    """Accuracies by domain: `score` of what is used, `teacher` told all, `untold` of dropout told nothing."""
    with_metadata, last = job.arm in (TOLD, DROPOUT), trained.history[-1]
    record: dict = {"score": {}}
    for domain, test in tests.items():
        meta = pl.Samples.of(test).meta(settings.encoding)
        asked = {"score": (trained.student, meta if with_metadata else None)}
        if job.arm == LED:
            asked["teacher"] = (trained.teacher, meta)
        if job.arm == DROPOUT:
            asked["untold"] = (trained.student, md.unknown(len(test.y), settings.encoding))
        for what, (network, given) in asked.items():
            share = evaluate.class_accuracy(test.y, pl.predict(network, test.x, given), len(CLASSES))
            record.setdefault(what, {})[domain] = round(float(share), 4)
    kept = ("pseudo_accuracy", "accepted_accuracy", "mask")
    return record | {name: None if last[name] is None else round(last[name], 4) for name in kept}


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "collect"), help="do the remaining trainings; write the tables")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--together", type=int, default=5, help="repeats in one training loop; more on a GPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lines", type=Path, default=LINES, help="where finished trainings are kept")
    options = parser.parse_args(arguments)
    if options.command == "run":
        do = partial(run, options.lines, options.repeats, options.together, options.device)
        return exit_status(do, "Stopped; run the same command again to continue.")

    return exit_status(partial(collect, records(options.lines)))


if __name__ == "__main__":
    torch.set_num_threads(1)  # the networks are small: more threads only wait
    sys.exit(main())

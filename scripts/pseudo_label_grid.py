"""Chapter 4 at full size: inputs, methods, labels, encodings, injections, distillation; US sites and EuroSAT.

    python scripts/pseudo_label_grid.py run [PART ...]     what is not done yet, most wanted first
    python scripts/pseudo_label_grid.py collect            writes book/measured/04_metadata_pseudo_labels.json

A job is one training; its scores are appended to a file when it is done, so a run that was stopped continues, and
`collect` may be called at any time. Repeat r draws new grounds, new labels and a new start. Nothing is chosen with
these numbers: steps, threshold and strength of the views were chosen on other seeds (a million and more).
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lulc_utils import data, results, sites
from lulc_utils import metadata as md
from lulc_utils import pseudo_labels as pl

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "_build" / "pseudo_label_grid.jsonl"
NAME = "04_metadata_pseudo_labels"
REPEATS = range(5)

CLASSES = ("trees", "winter crop", "summer crop")
INSIDE = sites.Box("temperate plain, Europe", (44, 56), (-60, 0), (1, 365))
OUTSIDE = {
    "farther east": INSIDE._replace(lon=(0, 60)),
    "other hemisphere": sites.Box("southern pampas, South America", (-44, -32), (-60, 0), (1, 365)),
}
SUMMER = INSIDE._replace(day=(90, 270))  # April to September
WINTER = {"other season": INSIDE._replace(day=(271, 454))}
TRAIN_SCENES, TEST_SCENES, LABELS = 500, 300, 64
METHODS = pl.METHODS | {
    "fixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8)),
    "defixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8), 0.5, debias=True),
}
ENCODING = (md.unit_sphere, md.season)
SETTINGS = {"encoding": ENCODING, "dim": 64, "depth": 1, "steps": 300}

INPUTS = {
    "image only": {"metadata": "none"},
    "image + metadata": {"metadata": "both"},
    "metadata dropout": {"metadata": "dropout"},
    "metadata teacher": {"metadata": "teacher"},
    "two networks": {"metadata": "none", "two_networks": True},
}
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


def samples(s: sites.Sites) -> pl.Samples:
    """Sites as the trainer takes them."""
    return pl.Samples(s.x, s.y, s.lat, s.lon, s.day)


def few(y: np.ndarray, per_class: int, classes: int, seed: int) -> np.ndarray:
    """Indices of `per_class` labelled rows of every class, or all where there are fewer."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(y == c))[:per_class] for c in range(classes)])


# ------------------------------------------------------------------------------------------------------ worlds


@functools.lru_cache(1)
def simulated(repeat: int, inside: sites.Box = INSIDE, outside: str = "place"):
    """(training rows, {domain: rows to score on}) of one repeat."""
    first = 30_000 + 10_000 * repeat + (5000 if outside == "season" else 0)
    boxes = {"inside": inside} | (WINTER if outside == "season" else OUTSIDE)
    tests = {
        name: sites.simulated(first + 1000 * (i + 1), TEST_SCENES, box, CLASSES, per_class=3)
        for i, (name, box) in enumerate(boxes.items())
    }
    return sites.simulated(first, TRAIN_SCENES, inside, CLASSES), tests


@functools.lru_cache(2)
def us(repeat: int, held: str):
    """US sites: (training, {"inside", "outside"}), places never on both sides; `held`: "east" or "winter"."""
    every = data.us_sites(progress=False)
    groups = np.unique(every.group)
    away = np.isin(every.group, np.random.default_rng(repeat).permutation(groups)[: len(groups) // 4])
    out = every.lon > -112 if held == "east" else (every.day < 90) | (every.day > 274)
    outside = out if held == "east" else out & away
    return every.rows(~out & ~away), {"inside": every.rows(~out & away), "outside": every.rows(outside)}


@functools.lru_cache(2)
def euro(repeat: int):
    """EuroSAT: training is two thirds of the western half, "inside" the rest of it, "outside" the eastern half."""
    every = data.eurosat(progress=False)
    west = every.lon < np.median(every.lon)
    rng, train = np.random.default_rng(repeat), np.zeros(len(west), bool)
    train[rng.permutation(np.flatnonzero(west))[: int(west.sum() * 2 / 3)]] = True
    return every.rows(train), {"inside": every.rows(west & ~train), "outside": every.rows(~west)}


US_WORLDS = ("US, east held out", "US, winter held out")
WORLDS = {
    "simulated": (simulated, len(CLASSES)),
    "season": (partial(simulated, inside=SUMMER, outside="season"), len(CLASSES)),
    "US, east held out": (partial(us, held="east"), len(sites.US_CLASSES)),
    "US, winter held out": (partial(us, held="winter"), len(sites.US_CLASSES)),
    "EuroSAT": (euro, len(sites.EUROSAT_CLASSES)),
}


# -------------------------------------------------------------------------------------------------------- jobs


def jobs() -> list[dict]:
    """Every training, most wanted first."""
    found = []

    def add(part, name, method="fixmatch", given="image only", labels=LABELS, world="simulated", **changes):
        for r in REPEATS:
            job = {"part": part, "name": name, "method": method, "given": given, "labels": labels, "world": world}
            found.append(job | {"repeat": r} | changes)

    for method, given in itertools.product(("fixmatch", "freematch", "softmatch", "defixmatch"), INPUTS):
        if method == "fixmatch" or given in ("image only", "metadata teacher", "two networks"):
            add("methods", f"{method}, {given}", method, given)
    for given in ("image only", "image + metadata"):
        add("methods", f"supervised, {given}", "supervised", given)
    for given in INPUTS:
        add("season", given, "fixmatch", given, world="season")
    for world in US_WORLDS:
        for given in INPUTS:
            add("us", f"{world}: {given}", "fixmatch", given, 16, world)
    for labels, given in itertools.product((16, 4, 1), ("image only", "metadata teacher")):
        add("labels", f"{labels}, {given}", "fixmatch", given, labels)
    for change in CHANGES:
        add("ablation", change, "fixmatch", "metadata teacher", change=change)
    for given in INPUTS:
        add("eurosat", given, "fixmatch", given, 2, "EuroSAT", change="place only")
    return found


def key(job: dict) -> str:
    """The name of a job in the file of finished ones."""
    return "|".join(str(job[k]) for k in ("part", "name", "repeat"))


def answer(job: dict) -> dict:
    """Train once; accuracy (mean over classes) on every domain, of the student and, if there is one, its teacher."""
    make, classes = WORLDS[job["world"]]
    train, tests = make(job["repeat"])
    chosen = few(train.y, job["labels"], classes, job["repeat"])
    settings = SETTINGS | CHANGES.get(job.get("change"), {}) | INPUTS[job["given"]]
    trained = pl.train(
        samples(train.rows(chosen)), samples(train), classes=classes, method=METHODS[job["method"]],
        seed=job["repeat"], log_every=20, **settings,
    )  # fmt: skip
    record = {"history": trained.history, "labelled": len(chosen), "score": {}, "teacher": {}, "unknown": {}}
    for name, test in tests.items():
        meta = samples(test).meta(settings["encoding"])
        score = lambda network, m: pl.class_accuracy(test.y, pl.predict(network, test.x, m), classes)  # noqa: E731, B023
        told = job["given"] in ("image + metadata", "metadata dropout")
        record["score"][name] = score(trained.student, meta if told else None)
        if job["given"] == "metadata teacher":
            record["teacher"][name] = score(trained.teacher, meta)
        if job["given"] == "metadata dropout":
            record["unknown"][name] = score(trained.student, md.unknown(len(test.y), settings["encoding"]))
    return record


def kept() -> dict[str, dict]:
    """Finished jobs by key."""
    if not KEPT.exists():
        return {}
    return {r["key"]: r for r in map(json.loads, KEPT.read_text(encoding="utf8").splitlines())}


def run(parts: list[str]) -> None:
    """Do what is not done."""
    torch.set_num_threads(1)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    done = kept()
    todo = [j for j in jobs() if key(j) not in done and (not parts or j["part"] in parts)]
    todo.sort(key=lambda j: (list(dict.fromkeys(k["part"] for k in todo)).index(j["part"]), j["repeat"]))
    for i, job in enumerate(todo):
        start = time.time()
        record = {"key": key(job), "job": job} | answer(job)
        with KEPT.open("a", encoding="utf8") as file:
            file.write(json.dumps(record) + "\n")
        shown = " ".join(f"{k} {v:.3f}" for k, v in record["score"].items())
        print(f"{i + 1}/{len(todo)} {key(job)}: {shown} ({time.time() - start:.0f} s)", flush=True)


# ----------------------------------------------------------------------------------------------------- results


def collect() -> dict:
    """Means with intervals over repeats; differences are paired."""
    done = list(kept().values())

    def values(part, name, domain, what="score"):
        mine = {r["job"]["repeat"]: r for r in done if r["job"]["part"] == part and r["job"]["name"] == name}
        return {k: r[what][domain] for k, r in sorted(mine.items())}

    def table(part, what="score"):
        names = dict.fromkeys(r["job"]["name"] for r in done if r["job"]["part"] == part and r[what])
        domains = dict.fromkeys(d for r in done if r["job"]["part"] == part for d in r[what])
        return {n: {d: pl.mean_interval(list(values(part, n, d, what).values())) for d in domains} for n in names}

    def gain(part, a, b, domain, other=None):
        x, y = values(part, a, domain), values(other or part, b, domain)
        return pl.mean_interval([x[r] - y[r] for r in x if r in y])

    domains = ("inside", *OUTSIDE)
    plain, led, two = ", image only", ", metadata teacher", ", two networks"
    methods = ("fixmatch", "freematch", "softmatch", "defixmatch")
    found = {"simulated": {"scores": table("methods"), "teachers": table("methods", "teacher")}}
    found["simulated"]["unknown"] = table("methods", "unknown")
    found["simulated"]["gains"] = {m: {d: gain("methods", m + led, m + plain, d) for d in domains} for m in methods}
    found["simulated"]["gains over two networks"] = {
        m: {d: gain("methods", m + led, m + two, d) for d in domains} for m in methods
    }
    found["simulated"]["metadata at test time"] = {
        m: {d: gain("methods", m + ", image + metadata", m + plain, d) for d in domains}
        for m in ("supervised", "fixmatch")
    }
    found["season"] = {"scores": table("season"), "gains": {
        given: {d: gain("season", given, "image only", d) for d in ("inside", *WINTER)} for given in list(INPUTS)[1:]
    }}  # fmt: skip
    found["history"] = histories(done)
    found["labels"] = table("labels") | {
        f"64, {given}": found["simulated"]["scores"][f"fixmatch, {given}"] for given in INPUTS if given[0] in "im"
    }
    found["labels gain"] = {
        n: {d: gain("labels", f"{n}{led}", f"{n}{plain}", d) for d in domains} for n in ("1", "4", "16")
    }
    found["ablation"] = {"as in the text": found["simulated"]["scores"]["fixmatch" + led]} | table("ablation")
    found["ablation gain"] = {
        c: {d: gain("ablation", c, "fixmatch" + led, d, "methods") for d in domains} for c in CHANGES
    }
    found["us_sites"] = {"scores": table("us"), "teachers": table("us", "teacher"), "gains": {
        f"{w}: {given}": {d: gain("us", f"{w}: {given}", f"{w}{': image only'}", d) for d in ("inside", "outside")}
        for w in US_WORLDS for given in list(INPUTS)[1:]
    }}  # fmt: skip
    found["eurosat"] = {"scores": table("eurosat"), "gains": {
        given: {d: gain("eurosat", given, "image only", d) for d in ("inside", "outside")} for given in list(INPUTS)[1:]
    }}  # fmt: skip
    found["repeats"] = len(REPEATS)
    return found


def histories(done: list[dict]) -> dict:
    """Diagnostics over training, mean of the repeats, of every method with and without a metadata teacher."""
    found = {}
    for r in done:
        if r["job"]["part"] == "methods" and r["job"]["given"] in ("image only", "metadata teacher"):
            found.setdefault(r["job"]["name"], []).append(r["history"])
    names = ("pseudo_accuracy", "accepted_accuracy", "mask")
    return {
        n: {"step": [h["step"] for h in runs[0]]}
        | {k: np.mean([[h[k] or np.nan for h in run] for run in runs], 0).tolist() for k in names}
        for n, runs in found.items()
        if not n.startswith("supervised")
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2:])
    elif sys.argv[1:] == ["collect"]:
        results.save(ROOT / "book" / "measured" / f"{NAME}.json", NAME, collect())
    else:
        sys.exit(__doc__)

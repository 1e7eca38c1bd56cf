"""Chapter 4 at full size: inputs, methods, labels, encodings, injections, distillation; US sites and EuroSAT.

    python scripts/measure/ch4_pseudo_labels.py run [PART ...]     what is not done yet, most wanted first
    python scripts/measure/ch4_pseudo_labels.py collect            writes book/measured/pseudo_label_grid.json

A job is five trainings side by side; scores are appended to a file when it is done, so a stopped run continues, and
`collect` may be called at any time. Repeat r draws new grounds, new labels and a new start. Nothing is chosen with
these numbers: steps, threshold and strength of the views were chosen on other seeds (a million and more).
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lulc_utils import data, evaluate, results
from lulc_utils import pseudo_labels as pl
from lulc_utils.data import sites
from lulc_utils.pseudo_labels import metadata as md

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "_build" / "pseudo_label_grid.jsonl"
NAME = "pseudo_label_grid"
REPEATS = range(5)

CLASSES = ("trees", "winter crop", "summer crop")
INSIDE = sites.Box("temperate plain, Europe", (44, 56), (-60, 0), (1, 365))
OUTSIDE = {
    "farther east": INSIDE._replace(lon=(0, 60)),
    "other hemisphere": sites.Box("southern pampas, South America", (-44, -32), (-60, 0), (1, 365)),
}
SUMMER = INSIDE._replace(day=(90, 270))  # April to September
WINTER = {"other season": INSIDE._replace(day=(271, 454))}
TRAIN_SCENES, TEST_SCENES, LABELS = 400, 200, 64
METHODS = pl.METHODS | {
    "fixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8)),
    "defixmatch": pl.Method(partial(pl.fixmatch, confidence=0.8), 0.5, debias=True),
}
SETTINGS = pl.Settings(encoding=(md.unit_sphere, md.season), dim=64, depth=1, steps=300)

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


@functools.lru_cache(16)
def simulated(repeat: int, inside: sites.Box = INSIDE, outside: str = "place"):
    """(training rows, {domain: rows to score on}) of one repeat."""
    first = 30_000 + 10_000 * repeat + (5000 if outside == "season" else 0)
    boxes = {"inside": inside} | (WINTER if outside == "season" else OUTSIDE)
    tests = {
        name: sites.simulated(first + 1000 * (i + 1), TEST_SCENES, box, CLASSES, per_class=3)
        for i, (name, box) in enumerate(boxes.items())
    }
    return sites.simulated(first, TRAIN_SCENES, inside, CLASSES), tests


@functools.lru_cache(16)
def us(repeat: int, held: str):
    """US sites: (training, {"inside", "outside"}), places never on both sides; `held`: "east" or "winter"."""
    every = data.us_sites(progress=False)
    groups = np.unique(every.group)
    away = np.isin(every.group, np.random.default_rng(repeat).permutation(groups)[: len(groups) // 4])
    out = every.lon > -112 if held == "east" else (every.day < 90) | (every.day > 274)
    outside = out if held == "east" else out & away
    return every.rows(~out & ~away), {"inside": every.rows(~out & away), "outside": every.rows(outside)}


@functools.lru_cache(16)
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
        job = {"part": part, "name": name, "method": method, "given": given, "labels": labels, "world": world}
        found.append(job | changes)

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
    for given in INPUTS:
        add("eurosat", given, "fixmatch", given, 2, "EuroSAT", change="place only")
    for change in CHANGES:
        add("ablation", change, "fixmatch", "metadata teacher", change=change)
    return found


def key(job: dict) -> str:
    """The name of a job in the file of finished ones."""
    return "|".join(str(job[k]) for k in ("part", "name", "repeat"))


def answers(job: dict, repeats: list[int]) -> list[dict]:
    """Train repeats together; accuracy (mean over classes) on every domain, of the student and any teacher."""
    make, classes = WORLDS[job["world"]]
    worlds = [make(r) for r in repeats]
    chosen = [few(w[0].y, job["labels"], classes, r) for w, r in zip(worlds, repeats, strict=True)]
    if len({len(c) for c in chosen}) > 1:  # a class with fewer rows than asked for: draw again to equal length
        longest = max(map(len, chosen))
        chosen = [np.resize(c, longest) for c in chosen]
    changes = CHANGES.get(job.get("change"), {}) | INPUTS[job["given"]]
    settings = replace(SETTINGS, method=METHODS[job["method"]], **changes)
    labelled = [samples(w[0].rows(c)) for w, c in zip(worlds, chosen, strict=True)]
    unlabelled = [samples(w[0]) for w in worlds]
    trained = pl.train_together(labelled, unlabelled, repeats, settings, pl.Saving(log_every=20), classes=classes)
    return [scored(job, settings, t, w[1], classes) for t, w in zip(trained, worlds, strict=True)]


def scored(job: dict, settings: pl.Settings, trained: pl.Trained, tests: dict, classes: int) -> dict:
    """The record of one repeat."""
    record = {"history": trained.history, "score": {}, "teacher": {}, "unknown": {}}
    told = job["given"] in ("image + metadata", "metadata dropout")
    for name, test in tests.items():
        meta = samples(test).meta(settings.encoding)
        score = lambda network, m: evaluate.class_accuracy(test.y, pl.predict(network, test.x, m), classes)  # noqa: E731, B023
        record["score"][name] = score(trained.student, meta if told else None)
        if job["given"] == "metadata teacher":
            record["teacher"][name] = score(trained.teacher, meta)
        if job["given"] == "metadata dropout":
            record["unknown"][name] = score(trained.student, md.unknown(len(test.y), settings.encoding))
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
    todo = [j for j in jobs() if not parts or j["part"] in parts]
    for i, job in enumerate(todo):
        repeats = [r for r in REPEATS if key(job | {"repeat": r}) not in done]
        if not repeats:
            continue
        start = time.time()
        found = answers(job, repeats)
        with KEPT.open("a", encoding="utf8") as file:
            for r, record in zip(repeats, found, strict=True):
                mine = job | {"repeat": r}
                file.write(json.dumps({"key": key(mine), "job": mine} | record) + "\n")
        means = {d: np.mean([f["score"][d] for f in found]) for d in found[0]["score"]}
        shown = " ".join(f"{d} {v:.3f}" for d, v in means.items())
        print(f"{i + 1}/{len(todo)} {job['part']}, {job['name']}: {shown} ({time.time() - start:.0f} s)", flush=True)


# ----------------------------------------------------------------------------------------------------- results


def collect() -> dict:
    """Means with intervals over repeats; differences are paired. What has not been run is left out."""
    done = list(kept().values())
    methods, plain = ("fixmatch", "freematch", "softmatch", "defixmatch"), "image only"
    led, others = "metadata teacher", list(INPUTS)[1:]

    def values(part, name, domain, what):
        mine = [r for r in done if r["job"]["part"] == part and r["job"]["name"] == name and domain in r[what]]
        return {r["job"]["repeat"]: r[what][domain] for r in mine}

    def table(part, what="score"):
        mine = [r for r in done if r["job"]["part"] == part and r[what]]
        found = {r["job"]["name"]: list(r[what]) for r in mine}
        return {
            n: {d: evaluate.mean_interval(list(values(part, n, d, what).values())) for d in ds}
            for n, ds in found.items()
        }

    def gains(part, pairs, other=None):
        """{row: {domain: difference of the two names}} of pairs {row: (name, name in `other` or part)}."""
        found = {}
        for row, (a, b) in pairs.items():
            for d in dict.fromkeys(d for r in done if r["job"]["part"] == part for d in r["score"]):
                x, y = values(part, a, d, "score"), values(other or part, b, d, "score")
                if both := [x[r] - y[r] for r in x if r in y]:
                    found.setdefault(row, {})[d] = evaluate.mean_interval(both)
        return found

    def against(base, names):
        return {m: (f"{m}, {name}", f"{m}, {base}") for m in methods for name in names}

    simulated = {"scores": table("methods"), "teachers": table("methods", "teacher")}
    simulated |= {
        "unknown": table("methods", "unknown"),
        "gains": gains("methods", against(plain, [led])),
        "gains over two networks": gains("methods", against("two networks", [led])),
        "metadata at test time": gains(
            "methods", {m: (f"{m}, image + metadata", f"{m}, {plain}") for m in ("supervised", "fixmatch")}
        ),
        "over image only": gains("methods", {n: (f"fixmatch, {n}", f"fixmatch, {plain}") for n in others}),
    }
    same = {f"{LABELS}, {n}": simulated["scores"].get(f"fixmatch, {n}", {}) for n in (plain, led)}
    found = {
        "simulated": simulated,
        "season": {"scores": table("season"), "gains": gains("season", {n: (n, plain) for n in others})},
        "history": histories(done),
        "labels": table("labels") | same,
        "labels gain": gains("labels", {n: (f"{n}, {led}", f"{n}, {plain}") for n in ("1", "4", "16")})
        | {str(LABELS): simulated["gains"].get("fixmatch", {})},
        "ablation": table("ablation"),
        "ablation gain": gains("ablation", {c: (c, f"fixmatch, {led}") for c in CHANGES}, "methods"),
        "us_sites": {
            "scores": table("us"),
            "teachers": table("us", "teacher"),
            "gains": gains("us", {f"{w}: {n}": (f"{w}: {n}", f"{w}: {plain}") for w in US_WORLDS for n in others}),
        },
        "eurosat": {"scores": table("eurosat"), "gains": gains("eurosat", {n: (n, plain) for n in others})},
    }
    return found | {"repeats": len(REPEATS)}


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

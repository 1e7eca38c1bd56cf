"""Chapter 4 on real places: crop or not in Africa, with a teacher that knows where the rows lie.

    python scripts/measure/ch4_crops.py     writes book/measured/pseudo_label_crops.json; five minutes of one core

Home is one of the three regions whose rows have places. Of its blocks of 100 km, 70 % are to learn from: a few labelled
rows of each class, all rows without labels. Scored: the other blocks of home, and every other region. The network sees
what the satellite measured (rain and slope, which say where a row lies, are left out); a teacher is told the place as
well. Settings are those of the simulated half with a smaller network and fewer steps; nothing was tuned on these data.
Every repeat draws other blocks, other labels and another start. `trap`: random forests with 200 labels, split by rows
and by blocks.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jobs import Jobs
from rasterio.warp import transform
from sklearn.ensemble import RandomForestClassifier

from lulc_utils import data, evaluate, results
from lulc_utils import pseudo_labels as pl
from lulc_utils.cli import exit_status
from lulc_utils.data import Fields
from lulc_utils.pseudo_labels import metadata as md

ROOT = Path(__file__).resolve().parents[2]
KEPT = Jobs(ROOT / "_build" / "pseudo_label_crops")
REPEATS, LABELS, TO_LEARN = range(10), (16,), 0.7
TRAP_LABELS = 200
FIXMATCH = pl.Method(partial(pl.fixmatch, confidence=0.8))
SETTINGS = pl.Settings(method=FIXMATCH, dim=32, depth=1, steps=300)
ARMS = {
    "supervised": {"metadata": "none", "method": "supervised"},
    "image only": {"metadata": "none"},
    "two networks": {"metadata": "none", "two_networks": True},
    "metadata dropout": {"metadata": "dropout"},
    "student": {"metadata": "teacher"},
    "told at test time": {"metadata": "both"},
    "every label": {"metadata": "none", "method": "supervised"},
    "place only": {"metadata": "none", "method": "supervised"},
}
TOLD, UNTOLD = ("told at test time", "metadata dropout"), "metadata dropout, told nothing"
ORDER = ("supervised", "image only", "two networks", UNTOLD, "student", "every label", TOLD[0], "place only")
RIVALS = {"one network": "image only", "two networks": "two networks", "supervised": "supervised"}


def seen(rows: Fields) -> np.ndarray:
    """What the satellite measured, [N, 30]."""
    return rows.x[:, [not name.startswith(("rain", "slope")) for name in rows.names]]


def samples(rows: Fields, x: np.ndarray) -> pl.Samples:
    """Rows with their places, where there are any."""
    lon, lat = map(np.array, transform("EPSG:6933", "EPSG:4326", rows.easting, rows.northing))
    return pl.Samples(x, rows.y, lat, lon)


def known(rows: Fields) -> bool:
    """Whether the rows have places."""
    return bool(np.isfinite(rows.easting).all())


def halves(rows: Fields, repeat: int) -> tuple[Fields, Fields]:
    """(to learn from, to score on): no block of 100 km is on both sides."""
    blocks = np.unique(rows.group)
    chosen = np.random.default_rng(repeat).permutation(blocks)[: round(TO_LEARN * len(blocks))]
    learn = np.isin(rows.group, chosen)
    return rows.rows(learn), rows.rows(~learn)


# --------------------------------------------------------------------------------------------------- the ladder


def trained(arm: str, parts: list[tuple[Fields, Fields]], labels: int, settings: pl.Settings) -> list[pl.Trained]:
    """All repeats of one arm."""
    sets = [samples(learn, place_of(learn, learn) if arm == "place only" else seen(learn)) for learn, _ in parts]
    few = [
        pl.few_per_class(own.y, len(own.y) if arm == "every label" else labels, 2, repeat)
        for repeat, own in zip(REPEATS, sets, strict=True)
    ]
    labelled = [s._replace(x=s.x[c], y=s.y[c], lat=s.lat[c], lon=s.lon[c]) for s, c in zip(sets, few, strict=True)]
    return pl.train_together(labelled, sets, list(REPEATS), settings, pl.Saving(log_every=SETTINGS.steps), classes=2)


def place_of(rows: Fields, home: Fields) -> np.ndarray:
    """Easting and northing in units of home, [N, 2]."""
    place, origin = (np.stack([r.easting, r.northing], 1) for r in (rows, home))
    return ((place - origin.mean(0)) / origin.std(0)).astype(np.float32)


def ladder(home: str, labels: int, regions: dict[str, Fields]) -> dict:
    """{arm: {domain: [accuracy of every repeat]}}; a domain that an arm cannot answer is left out."""
    parts = [halves(regions[home], repeat) for repeat in REPEATS]
    lat, lon = (getattr(samples(regions[home], seen(regions[home])), c) for c in ("lat", "lon"))
    near = partial(md.nearby, middle=(lat.mean(), lon.mean()), scale=(lat.std(), lon.std()))
    rows: dict = {}
    for arm, change in ARMS.items():
        networks = trained(arm, parts, labels, replace(SETTINGS, encoding=(near,), **change))
        for own, (learn, test) in zip(networks, parts, strict=True):
            domains = {"other blocks": test} | {name: of for name, of in regions.items() if name != home}
            for domain, asked in domains.items():
                for name, score in answers(arm, own, asked, learn, near).items():
                    rows.setdefault(name, {}).setdefault(domain, []).append(score)
    return rows


def answers(arm: str, own: pl.Trained, rows: Fields, learn: Fields, near: md.Encoding) -> dict[str, float]:
    """{name of the arm: accuracy} of one training in one domain."""
    if arm == "place only":
        same = rows.group[0].split()[0] == learn.group[0].split()[0]
        return {arm: accuracy(own.student, rows, place_of(rows, learn))} if same else {}
    asked: dict = {} if arm in TOLD else {arm: (own.student, None)}
    if arm == "metadata dropout":
        asked[UNTOLD] = own.student, md.unknown(len(rows.y), (near,))
    if known(rows):
        meta = samples(rows, rows.x).meta((near,))
        asked |= {arm: (own.student, meta)} if arm in TOLD else {}
        asked |= {"teacher": (own.teacher, meta)} if arm == "student" else {}
    return {name: accuracy(network, rows, seen(rows), meta) for name, (network, meta) in asked.items()}


def accuracy(network: pl.MetadataTransformer, rows: Fields, x: np.ndarray, meta: torch.Tensor | None = None) -> float:
    """Share of rows that are right, mean of the two classes."""
    return evaluate.class_accuracy(rows.y, pl.predict(network, x, meta), 2)


# ---------------------------------------------------------------------------------------------------- the trap


def trap(rows: Fields) -> dict:
    """{split: {input: (mean, low, high)}} of random forests with TRAP_LABELS labels."""
    inputs = {"reflectance": seen(rows), "place": np.stack([rows.easting, rows.northing], 1)}
    inputs["both"] = np.concatenate([*inputs.values()], 1)
    blocks, values = np.unique(rows.group), {}
    for repeat in REPEATS:
        rng = np.random.default_rng(repeat)
        held = {"by rows": rng.random(len(rows.y)) >= TO_LEARN}
        held["by blocks"] = ~np.isin(rows.group, rng.permutation(blocks)[: round(TO_LEARN * len(blocks))])
        for split, test in held.items():
            some = rng.permutation(np.flatnonzero(~test))[:TRAP_LABELS]
            for name, x in inputs.items():
                forest = RandomForestClassifier(100, random_state=repeat).fit(x[some], rows.y[some])
                score = evaluate.class_accuracy(rows.y[test], forest.predict_proba(x[test]), 2)
                values.setdefault(split, {}).setdefault(name, []).append(score)
    return {s: {n: evaluate.mean_interval(v) for n, v in of.items()} for s, of in values.items()}


# ------------------------------------------------------------------------------------------------------- tables


def summary(tables: dict) -> dict:
    """Over draws (mean of the places, t over repeats), over places (mean of the repeats, t over pairs of regions)."""
    pairs = {rival: ("student", arm) for rival, arm in RIVALS.items()} | {"dropout, told nothing": ("student", UNTOLD)}
    pairs |= {"told, over one network": ("told at test time", "image only")}
    pairs |= {"pseudo-labels, over supervised": ("image only", "supervised")}
    summed: dict = {"scores": {}, "gains": {}, "gains over places": {}, "gains by home": {}}
    for n in map(str, LABELS):
        for arm in next(iter(tables.values()))[n]:
            of = {where: cube(tables, n, arm, arm) for where, cube in CUBES.items()}
            row = {where: evaluate.mean_interval(v.mean(0)) for where, v in of.items() if v.size}
            summed["scores"].setdefault(n, {})[arm] = row
        for name, (a, b) in pairs.items():
            gaps = {where: cube(tables, n, a, b) - cube(tables, n, b, a) for where, cube in CUBES.items()}
            for part, axis in (("gains", 0), ("gains over places", 1)):
                row = {where: evaluate.mean_interval(gap.mean(axis)) for where, gap in gaps.items()}
                summed[part].setdefault(n, {})[name] = row
        summed["gains by home"][n] = by_home(tables, n)
    return summed


def inside(tables: dict, labels: str, arm: str, other: str) -> np.ndarray:
    """[homes, repeats]: scores of an arm in the other blocks of home."""
    return np.array([of[labels][arm]["other blocks"] for of in tables.values()])


def outside(tables: dict, labels: str, arm: str, other: str) -> np.ndarray:
    """[pairs of home and other region, repeats]: scores of an arm, where the other arm can be asked as well."""
    asked = [of[labels] for of in tables.values()]
    return np.array([v for of in asked for d, v in of[arm].items() if d != "other blocks" and d in of[other]])


CUBES = {"other blocks": inside, "other regions": outside}


def by_home(tables: dict, labels: str) -> dict:
    """{home: {rival: what the student gains in the other blocks of home}}, t over repeats."""
    return {
        home: {
            rival: evaluate.mean_interval(
                np.subtract(of[labels]["student"]["other blocks"], of[labels][over]["other blocks"])
            )
            for rival, over in RIVALS.items()
        }
        for home, of in tables.items()
    }


def measure() -> None:
    """Everything that is not done yet, and where it is kept."""
    regions = {name: data.africa_crops(name, progress=False) for name in data.CROP_REGIONS}
    homes = list(data.CROP_COORDINATES)
    todo = {f"{home}, {n}": partial(ladder, home, n, regions) for n in LABELS for home in homes}
    KEPT.run(todo | {f"trap, {home}": partial(trap, regions[home]) for home in homes})
    tables = {home: {str(n): KEPT.load(f"{home}, {n}") for n in LABELS} for home in homes}
    about = {"repeats": len(REPEATS), "trap": {home: KEPT.load(f"trap, {home}") for home in homes}}
    about |= {"by region": {home: regional(of) for home, of in tables.items()}}
    summed = summary(tables)
    rungs = {arm: summed["scores"][str(LABELS[0])][arm] for arm in ORDER}
    about |= {"ladder": {w: {arm: of[w] for arm, of in rungs.items() if w in of} for w in CUBES}}
    path = ROOT / "book" / "measured" / "pseudo_label_crops.json"
    results.save(path, "pseudo_label_crops", summed | about)


def regional(tables: dict) -> dict:
    """{labels: {arm: {domain: mean accuracy}}} of one home."""
    return {n: {a: {d: np.mean(v) for d, v in of.items()} for a, of in arms.items()} for n, arms in tables.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(exit_status(measure))

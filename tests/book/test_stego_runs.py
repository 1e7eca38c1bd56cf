"""The measurements of chapter 2: nothing is learned on a place that is scored, and differences are paired by place."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from lulc_utils import data
from lulc_utils.legends import DUBAI_CLASSES, VEGETATION_CLASSES
from lulc_utils.scene import Scene

ROOT = Path(__file__).resolve().parents[2]
RGB = ("red", "green", "blue")


@pytest.fixture
def measure(monkeypatch):
    """Modules of scripts/measure by name."""
    monkeypatch.syspath_prepend(ROOT / "scripts" / "measure")
    return importlib.import_module


def scene(name, group, classes, side=224):
    zeros = np.zeros((side, side), np.uint8)
    return Scene(name, np.zeros((3, side, side), np.uint8), RGB, "test", zeros, classes, group=group)


def fake_dubai(tiles, progress):
    groups = {tile: "tile 4+8" if tile in (4, 8) else f"tile {tile}" for tile in tiles}
    return [scene(f"tile {t} part 00{i}", groups[t], DUBAI_CLASSES) for t in tiles for i in range(1, 10)]


def fake_places(names, **_):
    names = [names] if isinstance(names, str) else names
    return [scene(f"{name} {i}", name, VEGETATION_CLASSES) for name in names for i in range(8)]


def test_no_fold_learns_on_the_place_that_it_scores(measure, monkeypatch):
    places = measure("ch2_places")
    monkeypatch.setattr(data, "dubai", fake_dubai)
    monkeypatch.setattr(data, "urban_trees", fake_places)
    monkeypatch.setattr(data, "buildings", fake_places)
    scored = []
    for ground in (places.dubai(), places.vegetation(), places.buildings()):
        of = np.array([s.group for s in ground.scenes])
        for fold, (fit, score) in ground.folds.items():
            assert not set(of[fit]) & set(of[score]), fold
            scored += sorted(set(of[score].tolist()))
    assert len(scored) == len(set(scored)) == 13
    fit, score = places.dubai().folds["tile 4+8"]
    assert not (fit & score).any() and score.sum() == 10 and fit.sum() == 6 * 9
    chosen = {s.group for ground in (places.dubai(False), places.vegetation(False)) for s in ground.scenes}
    assert chosen == {"tile 1", "tile 2", "tile 4", "tile 6", "tile 8", *data.CITIES_TO_FIT}


def test_differences_are_paired_by_place(measure):
    stego = measure("ch2_stego")
    ways = {way for pair in stego.PAIRS for way in pair}
    of = {"Dubai": [f"tile {i}" for i in range(1, 9)], "vegetation": [*"abc"], "buildings": [*"de"]}
    worth = {"STEGO": 0.5, "k-means, frozen features": 0.3}
    value, scored = 0.0, {}
    for kind, names in of.items():
        for name in names:
            value += 0.01  # places differ, methods by the same amount in each
            each = {way: dict.fromkeys(("accuracy", "miou"), value + worth.get(way, 0)) for way in ways}
            scored.setdefault(kind, {})[name] = each
    groups = stego.together(scored)
    assert {name: len(some) for name, some in groups.items()} == {
        "Dubai": 8, "vegetation": 3, "buildings": 2, "Dubai, unseen": 3, "Dubai, seen": 5, "unseen": 8, "all": 13,
    }  # fmt: skip
    intervals = stego.differences(groups)["STEGO minus k-means, frozen features"]["miou"]
    assert all(interval == pytest.approx((0.2, 0.2, 0.2)) for interval in intervals.values())
    assert stego.means(groups)["all"]["STEGO"]["miou"][0] == pytest.approx(0.5 + 0.07)


def test_the_kept_numbers_are_complete(measure):
    stego, jobs = measure("ch2_stego"), measure("ch2_jobs")
    kept = json.loads(stego.KEPT.read_text(encoding="utf8"))["results"]
    assert sum(len(of) for of in kept["places"].values()) == 13
    names = {f"{a} minus {b}" for a, b in stego.PAIRS}
    assert set(kept["differences"]) == set(kept["simulated"]["gains"]) == names
    assert set(kept["simulated"]["ablation"]) == set(jobs.CHANGES)
    best = max(jobs.RULES, key=kept["rules"].get)
    assert best == jobs.RULE

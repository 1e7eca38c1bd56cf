"""Chapter 3's resumable grids: a cell is measured once, every kind of cell runs, and the summary is right."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from lulc_utils import contrastive as co
from lulc_utils.data import DataUnavailable
from lulc_utils.scene import UNLABELLED, LandCover, Scene

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def measure(monkeypatch):
    """Modules of scripts/measure by name, with trainings of two steps."""
    monkeypatch.syspath_prepend(ROOT / "scripts" / "measure")
    compare = importlib.import_module("ch3_compare")
    monkeypatch.setattr(compare, "LADDER", (1, 2))
    monkeypatch.setattr(compare, "TUNING", {"steps": 2, "average": 0.5, "crop": 16, "batch_size": 2})
    monkeypatch.setattr(compare, "NETWORK", {"widths": (4, 6), "dim": 4})
    return importlib.import_module


def test_a_cell_is_measured_once_and_survives_a_stop(measure, tmp_path):
    cells, calls = measure("cells"), []

    def work(name):
        if name == "breaks":
            raise KeyboardInterrupt
        if name == "no data":
            raise DataUnavailable("The data is not here.")
        return calls.append(name) or {"score": 0.5}

    path = tmp_path / "kept" / "a.jsonl"
    with pytest.raises(KeyboardInterrupt):
        cells.measure(path, {name: lambda name=name: work(name) for name in ("a", "no data", "breaks", "b")})
    assert list(cells.finished(path)) == ["a"]
    cells.measure(path, {name: lambda name=name: work(name) for name in ("a", "b")})
    assert calls == ["a", "b"] and cells.finished(path)["b"] == {"cell": "b", "score": 0.5}


def test_a_network_stops_where_other_seeds_were_best(measure):
    compare = measure("ch3_compare")
    cells = [{"seed": i, "scores": {"net": {"1": a, "2": b}}} for i, (a, b) in enumerate([(0, 1), (0, 1), (9, 1)])]
    assert compare.stops(cells, "net") == [1, 1, 2]  # the third is not asked about itself
    assert compare.ends(cells, "net") == [0, 0, 1] and compare.ends(cells, "net", 2) == [1, 1, 1]


def test_every_kind_of_cell_of_the_simulated_grid_runs(measure, monkeypatch, tmp_path):
    space = measure("ch3_space")
    monkeypatch.setattr(space, "LADDER", (1, 2))
    monkeypatch.setattr(space, "LONG", 3)
    monkeypatch.setattr(space, "WEIGHTS", tmp_path)
    monkeypatch.setattr(space, "CELLS", tmp_path / "cells.jsonl")
    monkeypatch.setattr(space, "PRETRAINING", {"steps": 1, "crop": 16, "batch_size": 2, "points": 8})
    monkeypatch.setattr(space, "bed", lambda region, seed: co.draw_bed(region, seed, grounds=3, test=2, size=32))
    monkeypatch.setattr(space, "ends", lambda cells, name, steps=None: [1.0 * (name == "pre-trained")] * len(cells))
    todo = space.cells("cpu")
    main = [name for name in todo if "->" not in name]
    assert len(main) == 160 and list(todo)[:80] == main[:80] and "24 points" in main[0]
    kinds = {name.split(" -> ")[0]: name for name in reversed(todo) if " -> 24 points, temperate plain" in name}
    assert len(kinds) == 7, "three other regions, one date, two heads, more compute"
    wanted = [*main[:1], *kinds.values()]
    measure("cells").measure(space.CELLS, {name: todo[name] for name in wanted})
    (first, *side) = space.finished(space.CELLS).values()
    assert set(first["scores"]) == {
        "pixels", "neighborhoods", "random, frozen", "pre-trained, frozen", "random", "pre-trained"
    }  # fmt: skip
    assert set(first["scores"]["random"]) == {"1", "2"} and all(set(c["scores"]) >= {"1", "2"} for c in side)
    assert [set(c["scores"]) for c in side if c["what"] == space.EQUAL] == [{"1", "2", "3"}]
    with space.CELLS.open("a") as file:
        file.write(json.dumps(first | {"cell": "again", "seed": 1}) + "\n")
    long = next(cell for cell in side if cell["what"] == space.EQUAL)
    with space.CELLS.open("a") as file:
        file.write(json.dumps(long | {"cell": "long, again", "seed": 1}) + "\n")
    results = space.collect()
    assert results["grid"][24]["pre-trained"]["minus random, equal compute"][0] == round(1 - long["scores"]["3"], 4)
    assert results["grid"][24]["cells"] == 2 and results["grid"][24]["pre-trained"]["minus random"][0] == 1
    assert len(results["grid"][24]["by class"]) == 8 and set(results["regions"][24]) == set(space.REGIONS)


def test_cells_that_share_labels_count_once_in_a_row_of_several(measure):
    space = measure("ch3_space")
    target, near, far, farther = (space.REGIONS[i] for i in (0, 1, 2, 3))
    ends = {"random": {"1": 0.1, "2": 0.2}, "pre-trained": {"1": 0.3, "2": 0.5}}
    main = [{"region": target, "seed": seed, "points": 24, "scores": ends} for seed in range(2)]
    gained = {near: (0.1, 0.3), far: (0.1, 0.5), farther: (0.3, 0.5)}  # in either seed, over random weights
    side = [
        {"region": target, "seed": seed, "points": 24, "what": what, "scores": {"1": 0, "2": 0.2 + gains[seed]}}
        for what, gains in gained.items()
        for seed in range(2)
    ]
    early = side[0] | {"what": "views of one date", "scores": {"1": 0.4, "2": 0.1}}  # best after one step
    one_seed = side[0] | {"what": "random, fitted head"}
    rows = space.aside({24: main}, [*side, early, early | {"seed": 1}, one_seed])
    assert rows[f"{near} -> {target}"][24]["minus random"][0] == pytest.approx(0.2)
    anywhere = rows["pre-trained in another region"][24]["minus random"]
    assert anywhere == pytest.approx(space.mean_interval([0.5 / 3, 1.3 / 3]))  # two values, not six
    other = rows["pre-trained on another continent"][24]
    assert other["minus random"] == pytest.approx(space.mean_interval([0.2, 0.5]))
    assert other["minus pre-trained"][0] == pytest.approx(0.35 - 0.3)
    assert rows["views of one date"][24]["minus random"][0] == pytest.approx(0.4 - 0.2)
    assert rows["random, fitted head"] == {} == rows["pre-trained, random head"]


def test_the_grid_of_real_imagery_runs_and_splits_by_group(measure, monkeypatch, tmp_path):
    flood = measure("ch3_flood")
    rng, legend = np.random.default_rng(0), tuple(LandCover(str(i), "#000000") for i in range(3))

    def scenes():
        for i in range(6):
            labels = rng.integers(0, 3, (40, 40)).astype(np.uint8)
            pixels = rng.random((7, 40, 40), np.float32)
            yield Scene(f"{i}", pixels, flood.data.HLS_BANDS, "drawn", labels=labels, classes=legend, group=f"{i // 2}")

    both = flood.data.Flood(list(scenes()), list(scenes()))
    monkeypatch.setattr(flood, "flood", lambda: both)
    monkeypatch.setattr(flood, "elsewhere", lambda: rng.random((2, 7, 40, 40), np.float32))
    monkeypatch.setattr(flood, "described", lambda number: both.water[number].pixels.transpose(1, 2, 0))
    monkeypatch.setattr(flood, "KEPT", tmp_path)
    monkeypatch.setattr(flood, "PRETRAINING", {"steps": 1, "crop": 16, "batch_size": 2, "points": 8})
    learn, held = flood.split(0)
    assert len(held) == 2 and sorted(learn + held) == list(range(6))
    assert not {both.water[i].group for i in learn} & {both.water[i].group for i in held}
    few = flood.few(both.water[:4], "3 patches", 0)
    assert ((few != UNLABELLED).all((1, 2))).sum() == 3 and ((few == UNLABELLED).all((1, 2))).sum() == 1
    cell = flood.cells("cpu")["water, 24 points, 0"]()
    assert set(cell["scores"]) >= {"pixels", "neighborhoods", "random", "pre-trained", "Galileo, frozen"}
    assert len(flood.cells("cpu")) == 80


def test_squares_are_cut_row_by_row(measure):
    flood = measure("ch3_flood")
    images = np.arange(2 * 90 * 130).reshape(1, 2, 90, 130)
    cut = flood.squares(images)
    assert cut.shape == (6, 2, 40, 40)
    assert np.array_equal(cut[1], images[0, :, :40, 40:80]) and np.array_equal(cut[3], images[0, :, 40:80, :40])

"""The grid of chapter 4: a stopped run continues, and its tables are complete."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lulc_utils.data.sites import Sites

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def grid(monkeypatch, tmp_path):
    """The script, with random rows of numbers and networks that hardly learn."""
    monkeypatch.syspath_prepend(ROOT / "scripts" / "measure")
    script = importlib.import_module("ch4_pseudo_labels")
    worlds = {name: (random_world, classes) for name, (_, classes) in script.WORLDS.items()}
    monkeypatch.setattr(script, "WORLDS", worlds)
    monkeypatch.setattr(script, "SETTINGS", replace(script.SETTINGS, steps=2, batch_size=2, dim=8))
    monkeypatch.setattr(script, "KEPT", script.Jobs(tmp_path))
    return script


def random_world(repeat):
    rng = np.random.default_rng(repeat)

    def rows(n):
        place = rng.uniform(-60, 60, n), rng.uniform(-180, 180, n), rng.uniform(1, 366, n)
        return Sites(rng.normal(size=(n, 3)).astype("f4"), np.arange(n) % 3, *place, np.arange(n).astype(str), (), ())

    return rows(30 + repeat), {"inside": rows(6), "outside": rows(6)}


def test_a_stopped_run_continues_and_the_tables_have_all_that_the_chapter_reads(grid, monkeypatch):
    train, done = grid.train, []

    def power_cut(job):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(job)
        return train(job, range(2))

    monkeypatch.setattr(grid, "train", power_cut)
    assert grid.main(["run"]) == 130
    monkeypatch.setattr(grid, "train", lambda job: done.append(job) or train(job, range(2)))
    assert grid.main(["run"]) == 0
    assert done == grid.jobs() and len({job.key for job in done}) == len(done)
    measured = json.loads((ROOT / "book" / "measured" / "pseudo_label_grid.json").read_text())["results"]
    tables = grid.collect(grid.Grid())
    assert tables.keys() == measured.keys()
    for part in ("scores", "teachers", "unknown", "gains", "gains over two networks", "over image only"):
        assert tables["simulated"][part].keys() == measured["simulated"][part].keys()
    for part in ("labels", "labels gain", "ablation", "ablation gain", "history"):
        assert tables[part].keys() == measured[part].keys()
    mean, low, high = tables["season"]["gains"]["metadata teacher"]["outside"]
    assert low <= mean <= high

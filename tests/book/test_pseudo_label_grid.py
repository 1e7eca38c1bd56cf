"""The grid of chapter 4: its jobs have names of their own, a stopped run continues, and its tables are complete."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lulc_utils.data.sites import Sites

FOLDER = Path(__file__).resolve().parents[2] / "scripts" / "measure"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def grid(monkeypatch, tmp_path):
    """The script, with random rows of numbers and networks that hardly learn."""
    monkeypatch.syspath_prepend(FOLDER)
    script = importlib.import_module("ch4_pseudo_labels")
    worlds = {name: (random_world, classes) for name, (_, classes) in script.WORLDS.items()}
    monkeypatch.setattr(script, "WORLDS", worlds)
    monkeypatch.setattr(script, "SETTINGS", replace(script.SETTINGS, steps=2, batch_size=2, dim=8))
    monkeypatch.setattr(script, "KEPT", tmp_path / "kept.jsonl")
    monkeypatch.setattr(script, "REPEATS", range(2))
    return script


def random_world(repeat):
    rng = np.random.default_rng(repeat)

    def rows(n):
        place = rng.uniform(-60, 60, n), rng.uniform(-180, 180, n), rng.uniform(1, 366, n)
        return Sites(rng.normal(size=(n, 3)).astype("f4"), np.arange(n) % 3, *place, np.arange(n).astype(str), (), ())

    return rows(30 + repeat), {"inside": rows(6), "outside": rows(6)}


def test_jobs_have_names_of_their_own(grid):
    keys = [job.key(0) for job in grid.jobs()]
    assert len(set(keys)) == len(keys)


def test_a_stopped_run_continues_and_every_table_is_full(grid, monkeypatch):
    train, done = grid.train, []

    def power_cut(job, repeats):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(job)
        return train(job, repeats)

    monkeypatch.setattr(grid, "train", power_cut)
    with pytest.raises(KeyboardInterrupt):
        grid.run([])
    monkeypatch.setattr(grid, "train", lambda job, repeats: done.append(job) or train(job, repeats))
    grid.run([])
    assert done == grid.jobs()
    tables = grid.collect(grid.Grid(list(grid.finished().values())))
    assert len(tables["simulated"]["gains"]) == 4 and len(tables["ablation gain"]) == len(grid.CHANGES)
    assert len(tables["history"]) == 8 and len(tables["us_sites"]["gains"]) == 8
    mean, low, high = tables["season"]["gains"]["metadata teacher"]["outside"]
    assert low <= mean <= high

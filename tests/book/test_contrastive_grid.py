"""Jobs are done once and kept; the grid of chapter 3 runs, and its tables are complete."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from lulc_utils import evaluate
from lulc_utils.data import DataUnavailable
from lulc_utils.files import alone

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def measure(monkeypatch):
    """Modules of scripts/measure by name."""
    monkeypatch.syspath_prepend(ROOT / "scripts" / "measure")
    return importlib.import_module


def test_a_job_is_done_once_and_what_is_claimed_is_left_to_the_other(measure, tmp_path):
    kept, calls = measure("jobs").Jobs(tmp_path), []

    def job(name):
        calls.append(name)
        return {"matrix": np.eye(2, dtype=int), "score": np.float32(0.5)}

    def missing():
        raise DataUnavailable("The data is not here.")

    todo = {name: lambda name=name: job(name) for name in ("a, b=1", "a b=1.5", "claimed")} | {"no data": missing}
    with alone(kept.path("claimed")):
        kept.run(todo)
    assert calls == ["a, b=1", "a b=1.5"] and kept.load("a, b=1") == {"matrix": [[1, 0], [0, 1]], "score": 0.5}
    kept.run(todo)
    assert calls == ["a, b=1", "a b=1.5", "claimed"] and len([*tmp_path.iterdir()]) == 3
    with pytest.raises(FileNotFoundError, match="The job 'no data' has not been done yet; call `run` first"):
        kept.load("no data")


def test_a_job_that_fails_leaves_nothing_and_is_done_again(measure, tmp_path):
    kept = measure("jobs").Jobs(tmp_path)
    with pytest.raises(ZeroDivisionError):
        kept.run({"a": lambda: 1 / 0})
    assert not [*tmp_path.iterdir()]
    kept.run({"a": lambda: [1]})
    assert kept.load("a") == [1]


def test_every_kind_of_job_runs_and_the_tables_have_all_that_the_chapter_reads(measure, monkeypatch, tmp_path):
    jobs, grid = measure("ch3_jobs"), measure("ch3_contrastive")
    rng, n = np.random.default_rng(0), jobs.CLASSES
    images, labels = rng.random((4, 2, 3, 32, 32), np.float32), rng.integers(0, n, (4, 32, 32)).astype(np.uint8)
    monkeypatch.setattr(jobs, "landscape", lambda region: (images, tuple("abc"), labels, images[:, 0], labels))
    real = images[:, 0], images[:, 0], labels % 9, images[:, 0], labels % 9
    monkeypatch.setattr(jobs, "quadrants", lambda fold: real)
    monkeypatch.setattr(jobs.co, "GROUND_BANDS", tuple("abc"))
    tiny = {"steps": 1, "crop": 16, "batch_size": 2}
    monkeypatch.setattr(jobs, "PRETRAIN", tiny | {"points": 4})
    monkeypatch.setattr(jobs, "FINETUNE", tiny)
    monkeypatch.setattr(jobs, "LONG", 1)
    monkeypatch.setattr(jobs, "FRACTIONS", (0.5,))
    probe = evaluate.linear_probe
    monkeypatch.setattr(evaluate, "linear_probe", lambda x, y, **how: probe(x, y, **how | {"samples": 50}))
    kept, kinds = grid.KEPT.__class__(tmp_path), {}
    monkeypatch.setattr(grid, "KEPT", kept)
    for name, job in jobs.jobs().items():
        kind = name.split(" ")[0] + (" random" if "random" in name else "")
        if kind not in kinds:
            kinds[kind] = job()
        kept.keep(name, kinds[kind])
    monkeypatch.setattr(grid, "grid", lambda *_: 0)
    monkeypatch.setattr(grid, "over_seeds", lambda *_: (0.0, 0.0, 0.0))
    measured = json.loads((ROOT / "book" / "measured" / "contrastive_grid.json").read_text())["results"]
    assert shape(json.loads(json.dumps(grid.collect()))) == shape(measured)


def shape(value):
    """The keys of a table of tables."""
    return {str(k): shape(v) for k, v in value.items()} if isinstance(value, dict) else None

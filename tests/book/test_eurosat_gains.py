"""The measurement of chapter 4 on EuroSAT: gains are paired by repeat, and the committed file has every cell."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def eurosat(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts" / "measure")
    return importlib.import_module("ch4_eurosat")


def test_a_gain_is_the_mean_difference_of_equal_repeats(eurosat):
    scores = {"4": {"supervised": {"west": [0.5, 0.7, 0.6]}, "FixMatch": {"west": [0.6, 0.8, 0.7]}}}
    tables = eurosat.tables(scores)
    np.testing.assert_allclose(tables["gains"]["4"]["FixMatch"]["west"], [0.1, 0.1, 0.1], atol=1e-9)
    value, low, high = tables["scores"]["4"]["supervised"]["west"]
    half = 4.30265 * 0.1 / np.sqrt(3)  # Student's t with two degrees of freedom
    assert (value, low, high) == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-4)


def test_the_committed_file_has_every_cell(eurosat):
    kept = json.loads((ROOT / "book" / "measured" / "pseudo_label_eurosat.json").read_text(encoding="utf8"))["results"]
    assert kept["repeats"] == len(eurosat.REPEATS)
    assert {int(n) for n in kept["scores"]} == set(eurosat.LABELS)
    for of in kept["scores"].values():
        assert set(of) == set(eurosat.METHODS) and all(set(by) == {"west", "east"} for by in of.values())

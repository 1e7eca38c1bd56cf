"""The real places of chapter 1: split by place, none of them trained on, and read in the same ways."""

import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from rasterio.crs import CRS
from rasterio.transform import Affine

from lulc_utils import backbone, ladder, simulate
from lulc_utils.scene import pixels_of


def at(scene, east, north=4_000_000):
    return replace(scene, crs=CRS.from_epsg(32611), transform=Affine(0.6, 0, 500_000 + east, 0, -0.6, north))


def colors(scenes):
    x = backbone.raw_color(pixels_of(scenes), 8)
    return {"mine": x, "rival": torch.rand(x.shape, generator=torch.Generator().manual_seed(0))}


@pytest.fixture(scope="module")
def scenes():
    return [replace(simulate.aerial(i, 64), group="town") for i in range(6)]


def test_ground_that_is_near_is_one_place(scenes):
    placed = ladder.in_places([at(s, east) for s, east in zip(scenes, (0, 900, 1800, 5000, 5100, 99_000), strict=True)])
    groups = [s.group for s in placed]
    assert len(set(groups)) == 3 and groups[0] == groups[1] == groups[2] and groups[3] == groups[4]
    assert [s.group for s in ladder.in_places([at(scenes[0], 0)])] == ["town 1"]
    assert [ladder.site_of(g) for g in ("tile 3", "long_beach 12", "town 1")] == ["tile 3", "long_beach", "town"]


def test_corner_crops_begin_with_opposite_corners(scenes):
    crops = ladder.corner_crops(scenes[:1], 4, 24)
    for crop, (rows, cols) in zip(crops, ((0, 0), (40, 40), (0, 40), (40, 0)), strict=True):
        assert np.array_equal(crop.pixels, scenes[0].pixels[:, rows : rows + 24, cols : cols + 24])


def test_a_task_is_read_fold_by_fold_and_the_gain_is_over_sites(scenes):
    parts = [[replace(s, group=f"{town} 1") for s in some] for town, some in (("a", scenes[:3]), ("b", scenes[3:]))]
    task = ladder.Task("towns", [ladder.Fold(parts[0], parts[1]), ladder.Fold(parts[1], parts[0])])
    assert task.places == ["b 1", "a 1"]
    summary = ladder.measure([task], colors, "mine", samples=150, draws=2)
    assert set(summary["scores"]["towns"]) == {"k-means", "k-NN", "linear probe"}
    sites = summary["sites"]["linear probe"]
    assert set(sites["mine"]) == {"a", "b"}
    mean, low, high = summary["gains"]["linear probe"]["rival"]
    assert mean == pytest.approx(np.mean([sites["mine"][s] - sites["rival"][s] for s in "ab"])) and low < mean < high
    assert mean > 0.03 and list(summary["curves"]["towns"]["mine"]) == list(ladder.COUNTS)


def test_photographs_are_named_by_their_colors_and_not_by_noise():
    rng = np.random.default_rng(0)
    scene = simulate.aerial(0, 64)
    looks = {"dark": (0, 10), "light": (200, 30), "mixed": (0, 250), "gray": (90, 60)}  # darkest value, range
    photos = [
        replace(
            scene, name=f"{kind} {i}", group=kind, pixels=(low + rng.integers(0, span, (3, 64, 64))).astype(np.uint8)
        )
        for kind, (low, span) in looks.items()
        for i in range(6)
    ]
    fold = ladder.Fold([p for p in photos if p.name[-1] < "4"], [p for p in photos if p.name[-1] >= "4"])
    shares = ladder.name_photographs(fold, colors)
    summary = ladder.photograph_gains(shares, "mine")
    for way in ("5-NN", "linear probe"):
        assert summary["scores"][way]["mine"][0] == 1 and summary["gains"][way]["rival"][0] > 0.3
        assert not math.isnan(summary["gains"][way]["rival"][1])


@pytest.mark.parametrize("draw", range(3))
def test_photographs_to_name_are_no_neighbors_of_those_to_compare_with(draw, monkeypatch):
    asked_for = []
    monkeypatch.setattr(ladder.held_out.data, "uc_merced", lambda numbers: asked_for.append(list(numbers)) or [])
    ladder.photographs(draw=draw)
    bank, asked = asked_for
    assert len(asked) == 6 and len(bank) >= 6
    assert min(abs(a - b) for a in asked for b in bank) > 2


@pytest.mark.skipif(not os.environ.get("LULC_DATA_MIRROR"), reason="LULC_DATA_MIRROR is not set")
def test_the_real_sets_hold_nothing_that_was_trained_on():
    dubai, vegetation, buildings, photographs = ladder.real_sets(every=8)
    (fold,) = dubai.folds
    assert {s.group for s in fold.test} == set(ladder.held_out.DUBAI) and len(dubai.places) == 3
    assert not {s.group for s in fold.train} & set(ladder.held_out.DUBAI)
    assert {ladder.site_of(p) for p in vegetation.places} == {"eureka", "bishop", "long_beach"}
    assert {s.group for s in vegetation.folds[0].train} == {"chico", "claremont", "riverside"}
    assert {ladder.site_of(p) for p in buildings.places} == {"Kampala", "Nairobi"}
    numbers = [{int(s.name.split()[-1]) for s in part} for part in photographs]
    assert min(numbers[1]) - max(numbers[0]) > 2 and min(numbers[0]) >= 70

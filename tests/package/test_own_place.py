"""Chapter 6's helpers: maps, areas and rivals of a place whose truth is known."""

import datetime
import shutil

import numpy as np
import pytest

from lulc_utils import own_place, points, raster, simulate
from lulc_utils.scene import UNLABELLED


@pytest.fixture
def files(tmp_path):
    """A simulated place as a file with labels, and a map of it that is the truth but for one wrong half."""
    (file,) = own_place.opened("", tmp_path, side=64, seed=3)
    drawn = shutil.copy(raster.labels_path(file), tmp_path / "map.tif")
    return [file], [drawn]


def test_areas_of_a_map_that_is_the_truth_are_exact(files):
    checks = own_place.check_areas(*files, 8, 200)
    off = own_place.off_by(checks)
    assert off["inside"] == 8 and off["counting"] == pytest.approx(0, abs=0.02)
    labels = raster.read_scene(files[0][0]).labels
    np.testing.assert_allclose(checks.true, np.bincount(labels.ravel(), minlength=8) * 0.01, rtol=0.05)


def test_without_labels_areas_are_only_counted(files):
    checks = own_place.check_areas(*files, 8, 200, labelled=False)
    assert checks.true is None and checks.estimated is None and own_place.off_by(checks) == {}
    assert checks.counted.sum() > 30, "64 x 64 pixels of 10 m are 41 hectares"


def test_a_model_from_elsewhere_learned_from_other_ground_of_the_same_region_and_day(monkeypatch):
    asked = []
    usual = simulate.satellite
    monkeypatch.setattr(own_place.simulate, "satellite", lambda *a, **k: asked.append(a) or usual(*a, **k))
    scene = usual(5, "savanna, West Africa", datetime.date(2021, 9, 1), size=64)
    (score,) = own_place.miou_elsewhere([scene])
    assert {a[1:] for a in asked} == {("savanna, West Africa", scene.date)} and 5 not in {a[0] for a in asked}
    assert 0.1 < score < 0.9


def test_a_patch_is_mapped_from_points_that_its_own_labels_name(tmp_path):
    scene = simulate.satellite(4, size=64)
    scene.labels[:8] = UNLABELLED
    answer, agreed = own_place.mapped_patch(scene, 24, tmp_path)
    right = (answer == scene.labels)[scene.labels != UNLABELLED].mean()
    assert agreed["accuracy"] == pytest.approx(right) and right > 0.5 and 0 < agreed["miou"] < 1


def test_maps_of_all_pixels_score_as_the_comparison_does():
    scene = simulate.satellite(4, size=64)
    scores = own_place.middle_maps([scene], "reflectance", starts=1)
    compared = points.compare([scene], placements=("middle",), draws=1)["middle points, groups"]
    assert scores.keys() == compared.keys()
    np.testing.assert_allclose([*scores.values()], [*compared.values()], atol=0.01)

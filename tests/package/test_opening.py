"""The picture on the front page: real where the data is, simulated and called so where not; groups, largest first."""

import numpy as np
import pytest

from lulc_utils import data, opening


@pytest.fixture
def nowhere(monkeypatch):
    def missing(*cities, progress):
        raise data.DataUnavailable("not here")

    monkeypatch.setattr(data, "urban_trees", missing)


@pytest.mark.usefixtures("nowhere", "one_thread")
def test_without_data_the_picture_is_simulated_and_says_so(monkeypatch):
    monkeypatch.setattr(opening, "SIMULATED", (2, 96))
    html = opening.figure()._repr_html_()
    assert "A simulated scene" in html and "California" not in html
    assert "group 1" in html and f"group {opening.GROUPS}" in html and 'data-kind="swipe"' in html
    assert ">truth</p>" not in html


@pytest.mark.usefixtures("nowhere", "one_thread")
def test_groups_are_found_in_the_picture_itself_and_the_largest_comes_first(monkeypatch):
    monkeypatch.setattr(opening, "SIMULATED", (2, 96))
    scene = opening.earth()
    labels = opening.without_labels(scene, 4)
    assert labels.shape == (192, 192) and labels.dtype == np.uint8
    counts = np.bincount(labels.ravel(), minlength=4)
    assert counts.sum() == labels.size and list(counts) == sorted(counts, reverse=True)
    # patches of one group are of one kind: water, fields and roofs do not share a group as they would by chance
    truth = scene.labels.repeat(2, 0).repeat(2, 1)
    pure = sum(np.bincount(truth[labels == g]).max() for g in range(4)) / truth.size
    assert pure > np.bincount(truth.ravel()).max() / truth.size + 0.05


def test_a_group_has_its_own_color_made_stronger():
    image = np.zeros((3, 2, 4), np.uint8)
    image[:, :, 2:] = np.array([60, 100, 60])[:, None, None]
    image[:, :, :2] = 128
    gray, green = opening.colors(image, np.array([[0, 0, 1, 1]] * 2))
    assert gray == "#adadad" and int(green[3:5], 16) > 100 and int(green[1:3], 16) < 60


def test_two_groups_of_nearly_one_color_can_be_told_apart():
    image = np.full((3, 2, 4), 200, np.uint8)
    image[:, :, 2:] = 195
    light, dark = opening.colors(image, np.array([[0, 0, 1, 1]] * 2))
    assert int(light[1:3], 16) > int(dark[1:3], 16) + 20


def test_a_few_labels_are_worth_more_on_features_than_on_color():
    curves = opening.few_labels()
    assert list(curves) == ["raw color", "embedded backbone"] and len(curves["raw color"]) >= 5
    assert all(value > curves["raw color"][n][0] + 0.1 for n, (value, _, _) in curves["embedded backbone"].items())

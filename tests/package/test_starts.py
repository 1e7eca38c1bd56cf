"""Chapter 3's figures and tables say what the result files say, also when these are not complete."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lulc_utils import contrastive, simulate, starts
from lulc_utils.plot import Notice
from lulc_utils.scene import UNLABELLED

REGIONS = ("plain, Europe", "savanna, Africa")
UP, DOWN = (0.05, 0.01, 0.09), (-0.02, -0.05, 0.01)


def cell(score):
    names = ("random", *starts.PLAIN)
    return {
        "scores": {name: (score + i / 100, 0, 1) for i, name in enumerate(names)},
        "curves": {name: {"50": (score, 0, 1), "100": (score + 0.1, 0, 1)} for name in starts.NAMES},
        "pre-trained": {f"minus {name}": UP for name in (*starts.RIVALS, "random, 200 steps each")},
        "by class": {"water": UP, "trees": (0.1, None, None)},
    }


GRID = {"24": cell(0.3), "96": cell(0.4), "1536": cell(0.6)}
GRID["24"]["pre-trained"]["minus random, equal compute"] = UP
GAINS = {n: dict.fromkeys(REGIONS, UP) for n in GRID}
SIDE = {
    "views of one date": {"24": {"minus random": DOWN, "minus pre-trained": UP}},
    "random, fitted head": {},
    f"{REGIONS[0]} -> {REGIONS[1]}": {"24": {"minus random": DOWN}},
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_ground_that_is_shown_is_the_one_of_median_gain():
    truth = np.zeros((3, 2, 2), int)
    before, after = np.ones_like(truth), np.ones_like(truth)
    after[1, 0], after[2] = 0, 0  # gains of 0, a part and all
    assert starts.median_ground(truth[[2, 1, 0]], before, after[[2, 1, 0]], 2) == 1
    assert starts.median_ground(truth[[1, 0, 2]], before, after[[1, 0, 2]], 2) == 0


def test_curves_show_the_fewest_and_the_most_points():
    upper, lower = starts.curves(GRID).axes
    assert upper.get_title() == "24 labelled points" and lower.get_title() == "1536 labelled points"
    random, trained, *rings, _, _, _ = (line.get_ydata() for line in lower.lines)
    plain = [line.get_ydata() for line in lower.lines[-3:]]
    assert [list(ring) for ring in rings] == [[0.7], [0.7]]
    assert list(random) == list(trained) == [0.6, 0.7] and [p[0] for p in plain] == pytest.approx([0.61, 0.62, 0.63])
    assert len(starts.curves({"24": GRID["24"]}).axes) == 1


def test_gains_have_a_line_for_every_rival_and_one_at_zero():
    (axis,) = starts.by_points(GRID).axes
    assert len(axis.containers) == len(starts.RIVALS) and axis.lines[-1].get_ydata()[0] == 0
    assert [t.get_text() for t in axis.get_xticklabels()] == list(GRID)


def test_classes_without_an_interval_are_left_out():
    (axis,) = starts.by_class(GRID).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["water"]
    assert [t.get_text() for t in starts.by_region(GAINS).axes[0].get_yticklabels()] == list(REGIONS)


def test_transfer_has_the_region_itself_on_the_diagonal_and_blanks_where_nothing_was_measured():
    axis = starts.transfer(SIDE, GAINS).axes[0]
    assert [t.get_text() for t in axis.texts] == ["+0.05", "\u22120.02", "", "+0.05"]
    assert axis.get_title() == "24 labelled points"
    assert [t.get_text() for t in starts.transfer({}, GAINS).axes[0].texts] == ["+0.05", "", "", "+0.05"]


def test_the_side_is_a_table_or_a_note():
    assert starts.aside(SIDE).rows == [
        ["views of one date", "24", "\u22122.0 (\u22125.0 to +1.0)", "+5.0 (+1.0 to +9.0)"]
    ]
    assert isinstance(starts.aside({"random, fitted head": {}}), Notice)


def test_protocols_stand_side_by_side():
    short = {r: {"0.01": {"here": (0.07 + i / 10, 0, 1)}, "1.0": {"here": (0.04, 0, 1)}} for i, r in enumerate(REGIONS)}
    first, *rest = starts.protocols(GRID, short).rows
    assert first[1:] == ["+7.0 to +17.0", "+4.0 to +4.0"]
    each, equal, stopped = (row[1:] for row in rest)
    assert each == stopped == ["+5.0 (+1.0 to +9.0)"] * 2 and equal == ["+5.0 (+1.0 to +9.0)", "not run"]
    between = {"96": {**GRID["96"], "pre-trained": GRID["24"]["pre-trained"]}}  # equal compute there, too
    table = starts.protocols(GRID | between, short)
    assert table.header[1:] == ["24 points", "96 points", "1536 points"] and table.rows[0][2] == "–"
    assert table.rows[2][1:] == ["+5.0 (+1.0 to +9.0)"] * 2 + ["not run"]


def test_real_patches_have_a_panel_and_rows_for_each_task():
    rivals = ("random", *starts.PLAIN, "Galileo, frozen")
    of = {"pre-trained": {f"minus {n}": DOWN for n in rivals}, "scores": {n: UP for n in (*rivals, "pre-trained")}}
    grid = {"water": {"24 points": of, "3 patches": of}}
    (axis,) = starts.real_gains(grid, {"water": "by hand"}).axes
    assert axis.get_title("left") == "by hand" and len(axis.containers) == len(rivals)
    rows = starts.real_scores(grid, {"water": "by hand"}).rows
    assert [row[0] for row in rows] == ["by hand: 24 points", "by hand: 3 patches"] and set(rows[0][1:]) == {"0.05"}


def test_points_are_disks_on_the_grounds_that_hold_most_of_them():
    few = np.full((3, 8, 8), UNLABELLED, np.uint8)
    few[1, 2, 5], few[1, 3, 3], few[2, 0, 0] = 0, 1, 2
    images = np.random.default_rng(0).random((3, len(contrastive.GROUND_BANDS), 8, 8), np.float32)
    first, second = starts.labelled_points(images, few, simulate.SATELLITE_CLASSES, 2).axes
    assert [first.get_title(), second.get_title()] == ["ground 1", "ground 2"]
    assert [tuple(map(float, (*line.get_xdata(), *line.get_ydata()))) for line in first.lines] == [(5, 2), (3, 3)]


def test_one_run_has_a_curve_for_each_start_and_lines_for_the_rest():
    _, axis = plt.subplots()
    starts.training(axis, {"random weights": {1: 0.1, 50: 0.3}}, {"single pixels": 0.2, "frozen features": 0.4})
    curve, *rest = axis.lines
    assert list(curve.get_ydata()) == [0.1, 0.3] and [line.get_ydata()[0] for line in rest] == [0.2, 0.4]


def test_a_cloud_is_white_and_does_not_darken_the_ground():
    image = np.random.default_rng(0).uniform(0.05, 0.1, (len(contrastive.GROUND_BANDS), 20, 20))
    image[:, :4] = 0.8
    picture = starts.color(image)
    assert picture.shape == (20, 20, 3) and (picture[:4] == 1).all()
    assert 0.3 < picture[4:].mean() < 0.5 and picture.min() == 0

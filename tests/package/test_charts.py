"""Charts show each value in its own row, in the order that they promise."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from lulc_utils import charts, style
from lulc_utils.scene import LandCover


@pytest.fixture
def axes():
    figure, axes = plt.subplots(1, 2)
    yield axes
    plt.close(figure)


def rows(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def test_ranked_ways_are_in_the_order_of_the_last_score_and_keep_their_values(axes):
    values = {"a": (0.3, 0.2, 0.4), "b": (0.1, 0.0, 0.2), "c": (0.5, 0.4, 0.6)}
    shifted = {"a": (0.7, 0.6, 0.8), "b": (0.9, 0.8, 1.0), "c": (0.8, 0.7, 0.9)}
    charts.ranked(axes, {"accuracy": shifted, "mIoU": values}, labelled=["c"])
    assert rows(axes[0]) == rows(axes[1]) == ["b", "a", "c"]
    without, with_labels = (line[0].get_xydata().tolist() for line in axes[0].containers)
    assert without == [[0.9, 0], [0.7, 1]] and with_labels == [[0.8, 2]]


def test_dots_have_a_row_for_each_entry_and_a_mark_for_each_way(axes):
    values = {"water": {"one": 0.2, "two": 0.6}, "road": {"one": 0.3, "two": 0.1}}
    charts.dots(axes[0], values, "IoU")
    assert rows(axes[0]) == ["road", "water"]
    assert [line.get_xdata().tolist() for line in axes[0].lines] == [[0.3, 0.2], [0.1, 0.6]]


def test_shares_are_written_as_per_cents_and_framed_where_asked(axes):
    charts.shares(axes[0], np.array([[0.25, 1.0], [0.75, 0.0]]), ["a", "b"], [0, 1], [(1, 0)])
    assert [text.get_text() for text in axes[0].texts] == ["25", "100", "75", "0"]
    (frame,) = axes[0].patches
    assert frame.get_xy() == (-0.5, 0.5)


def test_names_of_differences_stand_above_their_rows(axes):
    charts.differences(axes[0], {"now": {"a": (0.1, 0.0, 0.2), "b": (0.3, 0.2, 0.4)}})
    charts.names_above(axes[0])
    (marks,) = axes[0].containers
    places = {t.get_text(): t.get_position()[1] for t in axes[0].texts}
    assert [*places] == ["a", "b"] and rows(axes[0]) == []
    assert all(0 < at - y < 0.5 for at, y in zip(marks[0].get_ydata(), places.values(), strict=True))
    low, high = axes[0].get_ylim()
    assert low > max(marks[0].get_ydata()) and high < min(places.values()), "the first row is on top, none is cut"


def test_equal_numbers_are_equal_places_in_equal_colors(axes):
    charts.numbered(axes, [(1, 2), (3, 4)], [(5, 6), (7, 8)])
    first, second = ([(t.get_text(), t.get_position()) for t in axis.texts] for axis in axes)
    assert first == [("1", (1, 2)), ("2", (3, 4))] and second == [("1", (5, 6)), ("2", (7, 8))]
    colors = [[t.get_bbox_patch().get_facecolor() for t in axis.texts] for axis in axes]
    assert colors[0] == colors[1] and colors[0][0] != colors[0][1]


@pytest.mark.parametrize(("panels", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2))])
def test_four_ladders_stand_two_by_two(panels, shape):
    of = {"few": (0.5, 0.4, 0.6), "every": (0.9, 0.8, 1.0)}
    figure = charts.ladders({f"place {i}": of for i in range(panels)}, "few")
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["few", "every"]
    plt.close(figure)


def test_ladders_have_one_scale_that_is_named_below_the_lowest():
    of = {"few": (0.5, 0.4, 0.6)}, {"few": (0.9, 0.8, 1.0)}
    figure = charts.ladders({f"place {i}": of[i % 2] for i in range(4)}, "few")
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "", "accuracy", "accuracy"]
    plt.close(figure)


def test_classes_of_a_scatter_have_the_colors_of_their_maps_and_shapes_of_their_own(axes):
    kinds = {LandCover("maize", "#f3ed46"): np.array([True, False]), LandCover("wheat", "#e69f00"): np.ones(2, bool)}
    charts.scatter(axes[0], np.arange(2), np.arange(2), kinds)
    marks = axes[0].collections
    assert [m.get_label() for m in marks] == ["maize", "wheat"] and [len(m.get_offsets()) for m in marks] == [1, 2]
    assert [to_hex(m.get_facecolors()[0]) for m in marks] == ["#f3ed46", "#e69f00"]
    assert [to_hex(m.get_edgecolors()[0]) for m in marks] == ["#000000"] * 2, "yellow is seen on white paper"
    assert marks[0].get_paths()[0].vertices.shape != marks[1].get_paths()[0].vertices.shape


def test_titles_are_broken_where_they_would_run_into_the_next_one():
    assert style.wrapped("a short one\n", 2) == "a short one\n"
    assert style.wrapped("Kampala 21/1238448/1046528", 1.75) == "Kampala\n21/1238448/1046528"
    assert style.wrapped("21/1238448/1046528 $", 0.5) == "21/1238448/1046528\n$" and style.wrapped("", 1) == ""

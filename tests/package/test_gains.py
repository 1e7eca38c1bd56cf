"""Differences: each in its own row, what is not measured left out, and counted by their intervals."""

import matplotlib.pyplot as plt
import numpy as np

from lulc_utils import gains

UP, NONE, DOWN = (0.05, 0.01, 0.09), (0.01, -0.02, 0.04), (-0.05, -0.09, -0.01)
PARTLY = {"a": {"few": UP, "many": (0.2, None, None)}, "b": {"few": NONE, "all": DOWN}}


def test_panels_have_a_row_for_whatever_was_measured_and_a_mark_for_each_kind():
    figure = gains.stacked({"first": PARTLY, "second": {"a": {"few": UP}}}, "points")
    upper, lower = figure.axes
    assert [t.get_text() for t in upper.get_yticklabels()] == ["few", "all"] == gains.rows_of(PARTLY)
    assert [t.get_text() for t in lower.get_yticklabels()] == ["few"] and lower.get_xlabel() == "points"
    a, b = (bar[0].get_xdata() for bar in upper.containers)
    assert a[0] == UP[0] and np.isnan(a[1]) and b.tolist() == [NONE[0], DOWN[0]]
    assert figure.get_figwidth() == gains.SIZE
    plt.close(figure)


def test_counts_are_of_intervals_and_nothing_measured_is_a_dash():
    table = gains.counts({"over x": PARTLY, "over y": {"a": {}}}, "caption", "rival")
    assert table.header == ["rival", "a", "b"]
    assert table.rows == [["over x", "1 / 0 of 1", "0 / 1 of 2"], ["over y", "\u2013", "\u2013"]]


def test_tables_turn_and_a_difference_is_written_in_points():
    assert gains.turned({"a": {"x": 1, "y": 2}, "b": {"y": 3}}) == {"x": {"a": 1}, "y": {"a": 2, "b": 3}}
    assert gains.in_points(DOWN) == "\u22125.0 (\u22129.0 to \u22121.0)"
    assert gains.in_points((0.1, None, None)) == gains.in_points((0.1, float("nan"), 0.2)) == "\u2013"

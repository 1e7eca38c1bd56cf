"""Diagrams: everything is inside, nothing covers anything, and arrows go where they say."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lulc_utils import charts, diagrams, legends, plot
from lulc_utils.scene import LandCover

FRAMEWORK = ["place", "field", "the", "few", "teacher", "student", "map", "thrown"]
TWO_STEPS = ["a", "the", "one", "few", "network", "network,", "projection", "same", "linear", "map"]


@pytest.mark.parametrize(
    ("draw", "first_words"), [(diagrams.teacher_and_student, FRAMEWORK), (diagrams.pretrain_and_tune, TWO_STEPS)]
)
def test_no_box_is_cut_or_covered(draw, first_words):
    figure = draw()
    figure.canvas.draw()
    (axis,) = figure.axes
    boxed = [text for text in axis.texts if text.get_bbox_patch() is not None]
    assert [text.get_text().split()[0] for text in boxed] == first_words
    frames = [text.get_bbox_patch().get_window_extent() for text in boxed]
    assert not any(a.overlaps(b) for a, b in combinations(frames, 2))
    assert all(figure.bbox.containsx(x) for frame in frames for x in (frame.x0, frame.x1))
    assert min(text.get_fontsize() for text in axis.texts) >= 9 and figure.get_figwidth() <= 7
    plt.close(figure)


def test_an_arrow_needs_two_boxes():
    figure, axis = plt.subplots()
    of = {"a": (0, 0, "a"), "b": (1, 0.5, "b")}
    diagrams.arrows(axis, of, [("a", "b")])
    (arrow,) = axis.texts
    assert arrow.xy == (1, 0.5) and arrow.xyann == (0, 0)
    with pytest.raises(KeyError):
        diagrams.arrows(axis, of, [("a", "c")])
    plt.close(figure)


def test_the_number_of_a_group_stands_on_the_color_of_the_group():
    of, colors = np.array([[0, 0, 2], [0, 1, 2]]), tuple(LandCover(f"group {i}", c) for i, c in enumerate(plot.COLORS))
    figure, (axis, table) = plt.subplots(1, 2)
    charts.shares(table, np.eye(3), "abc", range(3))
    diagrams.groups(axis, of, colors, [table])
    drawn = axis.images[0].get_array() / 255
    for number, label in enumerate(table.get_xticklabels()):
        face = label.get_bbox_patch().get_facecolor()[:3]
        assert label.get_text() == str(number) and np.allclose(drawn[of == number], face, atol=1e-6)
    assert [label.get_color() for label in table.get_xticklabels()] == ["white", "white", "white"] and not axis.axison
    plt.close(figure)


def test_no_group_has_the_color_of_a_class():
    classes = {c.color for c in (*legends.AERIAL_CLASSES, *legends.SATELLITE_CLASSES, *legends.DUBAI_CLASSES)}
    used = [group.color for group in diagrams.GROUPS]
    assert len(set(used)) == len(used) >= len(legends.AERIAL_CLASSES) and not classes & set(used)

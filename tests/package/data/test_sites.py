"""Rows with place and date: simulated squares, seen once or again."""

import numpy as np
import pytest

from lulc_utils import simulate
from lulc_utils.data import sites

BOX = sites.Box("temperate plain, Europe", (44, 56), (0, 30), (90, 270))
CLASSES = ("trees", "winter crop", "summer crop")


def test_simulated_rows_come_from_the_box_and_are_the_same_twice():
    rows = sites.simulated(40_000, 6, BOX, CLASSES)
    again = sites.simulated(40_000, 6, BOX, CLASSES)
    for a, b in zip(rows[:6], again[:6], strict=True):
        np.testing.assert_array_equal(a, b)
    assert rows.x.shape == (len(rows.y), 20) and rows.x.dtype == np.float32
    assert len(rows.names) == 20 and [c.name for c in rows.classes] == list(CLASSES)
    assert set(rows.y) <= {0, 1, 2}
    for values, (low, high) in ((rows.lat, BOX.lat), (rows.lon, BOX.lon), (rows.day, BOX.day)):
        assert low <= values.min() <= values.max() <= high
    assert len(np.unique(rows.group)) <= 6
    part = sites.simulated(40_002, 2, BOX, CLASSES)  # a scene does not depend on its neighbors
    np.testing.assert_array_equal(part.x, rows.x[np.isin(rows.group, part.group)])


def test_a_row_is_the_mean_and_spread_of_a_square_of_its_class():
    rows = sites.simulated(40_000, 1, BOX, CLASSES, per_class=1)
    scene = simulate.satellite(40_000, BOX.region, int(rows.day[0]), size=48, place=(rows.lat[0], rows.lon[0]))
    for x, y in zip(rows.x, rows.y, strict=True):
        kind, hits = scene.class_names.index(CLASSES[y]), 0
        for row in range(48 - sites.SIDE + 1):
            for col in range(48 - sites.SIDE + 1):
                square = np.s_[..., row : row + sites.SIDE, col : col + sites.SIDE]
                if np.allclose(scene.pixels[square].mean((1, 2)), x[:10], atol=1e-6):
                    hits += 1
                    np.testing.assert_allclose(scene.pixels[square].std((1, 2)), x[10:], atol=1e-5)
                    assert (scene.labels[square] == kind).mean() >= sites.PURE
        assert hits == 1


def test_days_beyond_the_year_are_those_of_the_next():
    rows = sites.simulated(40_000, 8, BOX._replace(day=(271, 454)), CLASSES)
    assert rows.day.min() >= 1 and rows.day.max() <= 365
    assert ((rows.day >= 271) | (rows.day <= 89)).all()


def test_a_square_seen_again_is_the_same_square_later():
    once = sites.simulated(40_000, 3, BOX._replace(day=(330, 330)), CLASSES)
    twice = sites.simulated(40_000, 3, BOX._replace(day=(330, 330)), CLASSES, again=(60, 365))
    assert twice.x.shape == (len(once.y), 3, 20) and np.array_equal(twice.day, once.day)
    np.testing.assert_array_equal(twice.x[:, 0], once.x)
    np.testing.assert_array_equal(twice.x[:, 2], once.x)  # after 365 days it is the same day again
    scene = simulate.satellite(40_000, BOX.region, 25, size=48, place=(once.lat[0], once.lon[0]))  # 330 + 60 - 365
    means = [scene.pixels[:, r : r + 9, c : c + 9].mean((1, 2)) for r in range(40) for c in range(40)]
    assert any(np.allclose(mean, twice.x[0, 1, :10], atol=1e-6) for mean in means)


def test_simulated_classes_must_exist_and_be_found():
    with pytest.raises(ValueError, match="no simulated class 'rice'"):
        sites.simulated(0, 1, BOX, ("rice",))
    with pytest.raises(ValueError, match="None of the scenes"):
        sites.simulated(0, 0, BOX, CLASSES)


def test_rows_chooses_everywhere():
    rows = sites.simulated(40_000, 4, BOX, CLASSES)
    part = rows.rows(rows.y == 1)
    assert (part.y == 1).all() and len(part.x) == len(part.group) == (rows.y == 1).sum()
    assert part.classes == rows.classes

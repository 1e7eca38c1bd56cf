"""What to train on: shares of labels, patches, simulated dates and stacks of them."""

import numpy as np
import pytest

from lulc_utils import contrastive as co
from lulc_utils import simulate
from lulc_utils.scene import UNLABELLED, LandCover, Scene


def test_label_fractions_are_nested_whole_patches():
    labels = np.random.default_rng(0).integers(0, 5, (40, 8, 8)).astype(np.uint8)
    labels[7] = UNLABELLED
    shown = {f: co.label_fraction(labels, f, seed=3) != UNLABELLED for f in (0.001, 0.05, 0.1, 0.25, 1.0)}
    counts = [int(x.any((1, 2)).sum()) for x in shown.values()]
    assert counts == [1, 2, 4, 10, 39]
    assert all((x.any((1, 2)) == x.all((1, 2))).all() for x in shown.values())
    for smaller, larger in zip(list(shown.values())[:-1], list(shown.values())[1:], strict=True):
        assert (smaller <= larger).all()
    assert (co.label_fraction(labels, 1.0) == labels).all()
    assert (co.label_fraction(labels, 0.1, seed=4) != co.label_fraction(labels, 0.1, seed=3)).any()
    blocks = co.label_fraction(labels[:2], 0.25, block=4) != UNLABELLED
    assert int(blocks.sum()) == 2 * 16 and (blocks.reshape(2, 2, 4, 2, 4).mean((2, 4)) % 1 == 0).all()
    for bad in (0, 1.1):
        with pytest.raises(ValueError, match="must be above 0"):
            co.label_fraction(labels, bad)
    with pytest.raises(ValueError, match="None of the patches"):
        co.label_fraction(np.full((2, 4, 4), UNLABELLED, np.uint8), 0.5)


def test_patches_are_cut_in_order():
    pixels = np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30)
    scene = Scene("s", pixels, ("x", "y"), "drawn", np.zeros((20, 30), np.uint8), (LandCover("a", "#000000"),))
    images, bands, labels = co.patches([scene], 10, bands=("y", "x"))
    assert images.shape == (6, 2, 10, 10) and bands == ("y", "x") and labels.shape == (6, 10, 10)
    assert (images[1, 0] == pixels[1, :10, 10:20]).all() and images.dtype == np.float32
    other = Scene("t", pixels[:, :10], ("x", "y"), "drawn")
    with pytest.raises(ValueError, match="2 different sizes"):
        co.patches([scene, other])
    assert co.patches([scene, other], 10)[2] is None
    with pytest.raises(ValueError, match="no scenes"):
        co.patches([])


def test_simulated_dates_show_one_ground_through_season_and_haze():
    region = next(iter(simulate.REGIONS))
    dates = co.simulated_dates(region, [3, 4], 3, 32)
    assert [len(scenes) for scenes in dates] == [2, 2, 2]
    for scenes in zip(*dates, strict=True):
        assert len({s.group for s in scenes}) == 1 and len({s.date for s in scenes}) == 3
        assert all(np.array_equal(s.labels, scenes[0].labels) for s in scenes)
    low, high = simulate.REGIONS[region].season  # of a northern region: days of the year
    assert all(low - 1 <= s.date.timetuple().tm_yday <= high + 1 for scenes in dates for s in scenes)
    again, clear = co.simulated_dates(region, [4], 3, 32), co.simulated_dates(region, [4], 3, 32, haze=0)
    assert all(np.array_equal(a[0].pixels, b[1].pixels) for a, b in zip(again, dates, strict=True))
    blue = [a[0].pixels[0].mean() - b[0].pixels[0].mean() for a, b in zip(again, clear, strict=True)]
    assert min(blue) > 0 and max(blue) > 2 * min(blue)
    images, bands, labels = co.date_stacks(dates, 2)  # of three dates, one is left over
    assert images.shape == (2, 1, 20, 32, 32) and bands[10] == "B02 2" and (labels[1] == dates[0][1].labels).all()
    first, second = sorted((dates[0][1], dates[1][1]), key=lambda s: s.date)
    assert (images[1, 0, :10] == first.pixels).all() and (images[1, 0, 10:] == second.pixels).all()
    assert co.date_stacks(dates, 1)[0].shape == (2, 3, 10, 32, 32)
    with pytest.raises(ValueError, match="Stacks of 4 dates cannot be made of 3"):
        co.date_stacks(dates, 4)
    both = co.scenes_for("simulated", ["Africa"], n=1, dates=2, size=32)
    assert len(both) == 2 and len(both[0]) == sum("Africa" in name for name in simulate.REGIONS) > 1
    with pytest.raises(ValueError, match="no region 'Atlantis'"):
        co.simulated_dates("Atlantis", [0])

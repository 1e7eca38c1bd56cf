"""Any raster becomes a complete map; the windows and their seams leave no trace in it."""

import os

import numpy as np
import pytest
from small_rasters import CLASSES, MODEL, classes_of, do, left_over, noise, predict, write

from lulc_utils import mapping
from lulc_utils.mapping import run, worker

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("window, overlap", [(512, 64), (48, 0), (48, 16), (37, 5), (100, 33), (33, 11)])
@pytest.mark.parametrize("height, width", [(130, 97), (20, 300), (48, 48)])
def test_a_pixelwise_model_does_not_notice_the_windows(tmp_path, height, width, window, overlap):
    pixels = noise(height, width)
    source = write(tmp_path / "a.tif", pixels)
    out = do(source, tmp_path / "map.tif", window=window, overlap=overlap)
    np.testing.assert_array_equal(classes_of(out), predict(pixels).argmax(0))
    assert left_over(tmp_path) == []


def test_blending_removes_the_seams_of_a_model_with_border_effects(tmp_path):
    """Two classes whose border lies where a ramp passes 100; near its edges the model is biased to one side."""
    ramp = np.broadcast_to(np.linspace(80, 120, 300), (300, 300)).T
    source = write(tmp_path / "a.tif", np.rint(ramp)[None].astype(np.uint8))
    two = CLASSES[:2]

    def shaky(pixels):
        h, w = pixels.shape[1:]
        edge = np.minimum.outer(
            np.minimum(np.arange(h), np.arange(h)[::-1]), np.minimum(np.arange(w), np.arange(w)[::-1])
        )
        wrong = 40 * np.exp(-edge / 3) * np.sign(np.arange(w) - w / 2)  # opposite on the two sides of a seam
        p = 1 / (1 + np.exp(-(pixels[0] - 100.25 + wrong) / 5))
        return np.stack([1 - p, p])

    def steps(**options):
        labels = classes_of(do(source, tmp_path / "map.tif", mapping.Model(shaky, "shaky", "1", two), **options))
        border = (labels[:, 40:-40] == 0).sum(0).astype(int)  # the row where class 1 begins
        return np.abs(np.diff(border)).max()

    assert steps(window=90, overlap=0) > 50
    assert steps(window=90, overlap=30) <= 8


def test_overlapping_windows_are_averaged_with_their_weights(tmp_path):
    """A model that answers the number of the window: the mix in the cross-over is known in closed form."""
    source = write(tmp_path / "a.tif", noise(30, 50, 1))
    seen = []

    def numbered(pixels):
        seen.append(pixels.shape)
        p = [1.0, 0.0] if len(seen) == 1 else [0.0, 0.25]
        return np.broadcast_to(np.float32(p)[:, None, None], (2, *pixels.shape[1:]))

    labels = classes_of(do(source, tmp_path / "m.tif", numbered, classes=CLASSES[:2], window=30, overlap=10))
    t = (np.arange(10) + 0.5) / 10 * np.pi / 2
    wanted = np.r_[np.zeros(20), 0.25 * np.sin(t) ** 2 > np.cos(t) ** 2, np.ones(20)]
    np.testing.assert_array_equal(labels, np.broadcast_to(wanted, (30, 50)))
    assert seen == [(1, 30, 30)] * 2


def test_memory_waits_only_for_the_rows_of_one_overlap(tmp_path, monkeypatch):
    """By design: what is carried from one row of windows to the next does not know how tall the raster is."""
    carried, read = set(), set()
    whole, compute = run._window_row, worker.compute
    monkeypatch.setattr(run, "_window_row", lambda *a: carried.add(a[3].shape) or whole(*a))
    monkeypatch.setattr(worker, "compute", lambda *a: (r := compute(*a), read.add(sum(part.nbytes for part in r)))[0])
    for height in (100, 400):
        do(write(tmp_path / f"{height}.tif", noise(height, 90)), tmp_path / "m.tif", window=48, overlap=16)
    assert carried == {(3, 16, 90)}
    assert max(read) <= 3 * 48 * 48 * 4


@pytest.mark.parametrize(
    "options, match",
    [
        ({"crs": "nowhere"}, "'nowhere' is no coordinate reference system"),
        ({"resolution": -1.0}, "must be above 0, not -1"),
        ({"resampling": "magic"}, "There is no resampling 'magic'"),
        ({"overlap": 300}, "between 0 and a third"),
        ({"classes": [("water", "blue")]}, "color of class 'water' must look like #1f77b4, not blue"),
        ({"model": predict}, "needs 1 to 255 classes"),
        ({"model": lambda p: p[:2], "classes": CLASSES}, "must answer 3 classes x 40 x 50 pixels"),
        (
            {"model": lambda p: predict(p) * np.nan, "classes": CLASSES},
            "answers NaN or infinity in the window",
        ),
    ],
)
def test_what_cannot_be_mapped_is_refused_in_one_sentence(tmp_path, options, match):
    source = write(tmp_path / "a.tif", noise(40, 50))
    with pytest.raises(ValueError, match=match):
        do(source, tmp_path / "m.tif", **{"model": MODEL} | options)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"], "nothing is in the way of the next try"


def test_paths_that_do_not_work_are_refused(tmp_path):
    source = write(tmp_path / "a.tif", noise(40, 50))
    with pytest.raises(FileNotFoundError, match="no file .*b.tif"):
        do(tmp_path / "b.tif", tmp_path / "m.tif")
    with pytest.raises(FileNotFoundError, match="folder .* does not exist"):
        do(source, tmp_path / "none" / "m.tif")
    with pytest.raises(ValueError, match="is a folder"):
        do(source, tmp_path)
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(ValueError, match="pipe.tif is a pipe"):
        do(source, tmp_path / "pipe.tif")
    with pytest.raises(ValueError, match="pipe.tif is a pipe"):
        do(tmp_path / "pipe.tif", tmp_path / "m.tif")
    with pytest.raises(ValueError, match="would replace its own source"):
        do(source, source)
    (tmp_path / "c.tif").write_text("no raster")
    with pytest.raises(ValueError, match="cannot be read as a raster"):
        do(tmp_path / "c.tif", tmp_path / "m.tif")
    if os.geteuid():  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(RuntimeError, match="could not be written .*Permission denied"):
            do(source, tmp_path / "locked" / "m.tif")
    with pytest.raises(TypeError, match="blend"):
        do(source, tmp_path / "m.tif", blend=True)
    plain = write(tmp_path / "d.tif", noise(40, 50), crs=None)
    with pytest.raises(ValueError, match="no coordinate reference system, so it cannot be warped"):
        do(plain, tmp_path / "m.tif", crs="EPSG:4326")
    wild = write(tmp_path / "e.tif", noise(40, 50).astype(np.complex64))
    with pytest.raises(ValueError, match="only real numbers can be mapped"):
        do(wild, tmp_path / "m.tif")

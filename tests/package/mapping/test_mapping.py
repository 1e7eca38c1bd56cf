"""Any raster becomes a complete, well-formed map; the window size, a kill and the seams leave no trace in it."""

import json
import os
import signal
import time
import zipfile

import numpy as np
import pytest
import rasterio
import torch
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from lulc_utils import backbone, cluster, mapping, raster, stego
from lulc_utils.mapping import worker as windows
from lulc_utils.scene import UNLABELLED, LandCover, Scene

CLASSES = (LandCover("water", "#0072b2"), LandCover("grass", "#7bc97b"), LandCover("bare land", "#e6c79c"))
pytestmark = pytest.mark.usefixtures("one_thread")


def predict(pixels):
    """Three classes by the brightness of the first band: [C, h, w] -> [3, h, w]."""
    x = pixels[0].astype(np.float32)
    return np.stack([-np.abs(x - centre) for centre in (40, 120, 200)])


MODEL = mapping.Model(predict, "nearest brightness", "abc123", CLASSES)


def write(path, pixels, **profile):
    profile = {"crs": CRS.from_epsg(32633), "transform": from_origin(500_000, 6_000_000, 10, 10)} | profile
    profile = {k: v for k, v in profile.items() if v is not None}
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype=pixels.dtype, count=count, height=height, width=width, **profile
    ) as file:
        file.write(pixels)
    return path


def noise(height, width, bands=3, seed=0):
    return np.random.default_rng(seed).integers(1, 250, (bands, height, width)).astype(np.uint8)


def classes_of(path):
    with rasterio.open(path) as file:
        return file.read(1)


def do(source, out, model=MODEL, **options):
    return mapping.map_raster(source, model, out, progress=False, **options)


def left_over(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith((".tif", ".py")))


# ------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("overlap", [0, 1, 5, 10])
@pytest.mark.parametrize("length", [1, 29, 30, 31, 50, 51, 71, 100, 211])
def test_spans_cover_an_axis_and_their_weights_sum_to_one(length, overlap):
    found = mapping.spans(length, 30, overlap)
    total, count = np.zeros(length), np.zeros(length, int)
    for span in found:
        assert 0 <= span.start <= span.begin < span.end <= span.stop <= length
        assert span.stop - span.start == min(30, length)
        total[span.begin : span.end] += mapping.weights(span)
        count[span.begin : span.end] += 1
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert count.max() <= 2 and (count == 2).sum() == overlap * (len(found) - 1)


def test_the_weight_falls_towards_the_edge_of_the_window():
    first, last = mapping.spans(50, 30, 10)
    assert (np.diff(mapping.weights(first)[-10:]) < 0).all() and (np.diff(mapping.weights(last)[:10]) > 0).all()
    assert mapping.weights(first)[-1] < 0.01 and (mapping.weights(first)[:-10] == 1).all()


@pytest.mark.parametrize("window, overlap", [(30, 11), (30, -1), (0, 0)])
def test_an_overlap_that_does_not_fit_is_refused(window, overlap):
    with pytest.raises(ValueError, match="between 0 and a third of the window"):
        mapping.spans(100, window, overlap)


def test_labels_are_the_argmax_and_the_first_on_a_tie():
    p = np.random.default_rng(0).integers(0, 4, (5, 40, 30)).astype(np.float32)
    np.testing.assert_array_equal(windows.labels_of(p), p.argmax(0))


# ------------------------------------------------------------------------------------------------- the map


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
        found = classes_of(do(source, tmp_path / "map.tif", mapping.Model(shaky, "shaky", "1", two), **options))
        border = (found[:, 40:-40] == 0).sum(0).astype(int)  # the row where class 1 begins
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

    found = classes_of(do(source, tmp_path / "m.tif", numbered, classes=CLASSES[:2], window=30, overlap=10))
    t = (np.arange(10) + 0.5) / 10 * np.pi / 2
    wanted = np.r_[np.zeros(20), 0.25 * np.sin(t) ** 2 > np.cos(t) ** 2, np.ones(20)]
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, (30, 50)))
    assert seen == [(1, 30, 30)] * 2


def test_memory_waits_only_for_the_rows_of_one_overlap(tmp_path, monkeypatch):
    """By design: what is carried from one row of windows to the next does not know how tall the raster is."""
    carried, read = set(), set()
    whole, one = mapping._window_row, windows.compute
    monkeypatch.setattr(mapping, "_window_row", lambda *a: carried.add(a[3].shape) or whole(*a))
    monkeypatch.setattr(windows, "compute", lambda *a: (r := one(*a), read.add(sum(part.nbytes for part in r)))[0])
    for height in (100, 400):
        do(write(tmp_path / f"{height}.tif", noise(height, 90)), tmp_path / "m.tif", window=48, overlap=16)
    assert carried == {(3, 16, 90)}
    assert max(read) <= 3 * 48 * 48 * 4


# -------------------------------------------------------------------------------------------------- the file


def test_the_map_is_a_valid_cog_that_knows_what_it_shows(tmp_path):
    pixels = noise(700, 1100)
    source = write(tmp_path / "a.tif", pixels)
    out = do(source, tmp_path / "map.tif", command="python -m lulc_utils.mapping a.tif map.tif")
    with rasterio.open(out) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert file.block_shapes == [(512, 512)] and file.overviews(1) == [2, 4]
        assert file.dtypes == ("uint8",) and file.nodata == UNLABELLED and file.descriptions == ("land cover",)
        assert file.crs == CRS.from_epsg(32633) and file.transform == from_origin(500_000, 6_000_000, 10, 10)
        assert file.colorinterp == (ColorInterp.palette,)
        assert [file.colormap(1)[i][:3] for i in range(3)] == [(0, 114, 178), (123, 201, 123), (230, 199, 156)]
        assert [file.tags(1)[f"CLASS_{i}"] for i in range(3)] == ["water", "grass", "bare land"]
        tags = file.tags()
    assert tags["LULC_MODEL"] == "nearest brightness" and tags["LULC_MODEL_HASH"] == "abc123"
    assert tags["LULC_COMMAND"] == "python -m lulc_utils.mapping a.tif map.tif"
    assert tags["LULC_DATE"].endswith("+00:00") and tags["LULC_SOURCE"].endswith("a.tif")
    scene = raster.read_scene(out)
    assert scene.classes == CLASSES and scene.source == "a.tif, mapped by nearest brightness"
    header = out.read_bytes()[:500]
    assert b"LAYOUT=IFDS_BEFORE_DATA" in header and b"KNOWN_INCOMPATIBLE_EDITION=NO" in header


def test_overviews_hold_only_classes_that_the_map_holds(tmp_path):
    """The mean of class 0 and class 2 would be a class that is not there."""
    pixels = np.where(noise(1024, 1024, 1) > 125, 40, 200).astype(np.uint8)
    out = do(write(tmp_path / "a.tif", pixels), tmp_path / "map.tif")
    with rasterio.open(out, overview_level=0) as file:
        assert file.shape == (512, 512) and set(np.unique(file.read())) == {0, 2}


def test_a_simulated_scene_stays_simulated_and_keeps_its_date(tmp_path):
    scene = Scene("a place", noise(60, 60), ("red", "green", "blue"), "simulated aerial, seed 1", group="g")
    out = do(raster.write_scene(scene, tmp_path / "a.tif"), tmp_path / "map.tif")
    back = raster.read_scene(out)
    assert back.simulated and back.group == "g" and back.name == "map" and back.transform is None


def test_passwords_and_signatures_do_not_travel_with_the_map():
    text = "map https://me:secret@a.org/b.tif?sig=XYZ&t=1 out.tif /vsicurl/https://a.org/c.tif?token=1"
    assert mapping._without_secrets(text) == "map https://a.org/b.tif out.tif /vsicurl/https://a.org/c.tif"


# ------------------------------------------------------------------------------------------------- no data


def test_nodata_and_nan_stay_nodata_and_the_model_never_sees_them(tmp_path):
    pixels = noise(100, 120).astype(np.float32)
    pixels[:, :20, :30] = -9999
    pixels[1, 50, 60] = -9999  # one band is enough
    pixels[2, 70, 80:90] = np.nan
    pixels[0, 99, 119] = np.inf
    seen = []

    def watch(p):
        seen.append((p.min(), p.max()))
        return predict(p)

    source = write(tmp_path / "a.tif", pixels, nodata=-9999)
    out = do(source, tmp_path / "map.tif", mapping.Model(watch, "w", "1", CLASSES), window=30, overlap=10)
    bad = (pixels == -9999).any(0) | ~np.isfinite(pixels).all(0)
    found = classes_of(out)
    np.testing.assert_array_equal(found == UNLABELLED, bad)
    np.testing.assert_array_equal(found[~bad], predict(pixels).argmax(0)[~bad])
    assert 1 <= np.min(seen) <= np.max(seen) < 250
    with rasterio.open(out) as file:
        assert (file.dataset_mask() == 0).sum() == bad.sum()


def test_a_source_that_is_no_local_file_is_read_as_well(tmp_path):
    write(tmp_path / "a.tif", noise(60, 70))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "inside.tif")
    out = do(f"zip://{tmp_path / 'b.zip'}!inside.tif", tmp_path / "map.tif")
    np.testing.assert_array_equal(classes_of(out), predict(noise(60, 70)).argmax(0))
    with pytest.raises(ValueError, match="cannot be read as a raster"):
        do(f"zip://{tmp_path / 'b.zip'}!other.tif", tmp_path / "map.tif")


@pytest.mark.filterwarnings("error::rasterio.errors.NotGeoreferencedWarning")
def test_an_image_without_a_place_is_mapped_without_a_warning(tmp_path):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        source = write(tmp_path / "a.tif", noise(60, 70), crs=None, transform=None)
    do(source, tmp_path / "map.tif")


def test_an_alpha_band_is_a_mask_and_no_band(tmp_path):
    pixels = noise(40, 50, 4)
    pixels[3] = 255
    pixels[3, :10] = 0
    source = write(tmp_path / "a.tif", pixels, photometric="rgb", alpha="yes")
    model = mapping.Model(predict, "m", "1", CLASSES, bands=("red", "green", "blue"))
    found = classes_of(do(source, tmp_path / "map.tif", model))
    np.testing.assert_array_equal(found[10:], predict(pixels).argmax(0)[10:])
    assert (found[:10] == UNLABELLED).all()


def test_a_raster_without_any_data_is_refused_and_leaves_nothing(tmp_path):
    source = write(tmp_path / "a.tif", np.zeros((1, 50, 50), np.uint8), nodata=0)
    with pytest.raises(ValueError, match="holds only nodata; there is nothing to map"):
        do(source, tmp_path / "map.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


# ------------------------------------------------------------------------------------------------- resuming


class Killed(Exception):
    pass


def stopping(after, model=MODEL):
    """The same model, which dies after some windows."""
    left = [after]

    def run(pixels):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return soft(pixels)

    return mapping.Model(run, model.name, model.hash, model.classes)


def soft(pixels):
    """A model with context: every pixel depends on its window, so that blending shows."""
    p = predict(pixels) + pixels[0].mean()
    return np.exp(p / 20 + np.linspace(0, 3, p.shape[1])[:, None] * np.arange(3)[:, None, None])


CONTEXT = mapping.Model(soft, MODEL.name, MODEL.hash, CLASSES)


@pytest.mark.parametrize("overlap", [0, 16])
@pytest.mark.parametrize("after", [0, 3, 5, 11, 14])
def test_a_stopped_run_resumes_to_the_same_pixels(tmp_path, after, overlap):
    source = write(tmp_path / "a.tif", noise(200, 130))
    options = {"window": 48, "overlap": overlap}
    whole = classes_of(do(source, tmp_path / "whole.tif", CONTEXT, **options))
    out = tmp_path / "map.tif"
    with pytest.raises(Killed):
        do(source, out, stopping(after), **options)
    assert not out.exists() and left_over(tmp_path) == ["map.tif.part", "map.tif.state.json"]
    done = json.loads((tmp_path / "map.tif.state.json").read_text())["done"]["windows"]
    calls = []
    count = mapping.Model(lambda p: calls.append(1) or soft(p), MODEL.name, MODEL.hash, CLASSES)
    do(source, out, count, **options)
    np.testing.assert_array_equal(classes_of(out), whole)
    assert left_over(tmp_path) == []
    rows, cols = len(mapping.spans(200, 48, overlap)), len(mapping.spans(130, 48, overlap))
    assert done == after // cols
    again = 1 if overlap and done else 0  # the row whose lower edge was waiting
    assert len(calls) == (rows - done + again) * cols


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_leaves_no_trace_in_the_map(tmp_path):
    source = write(tmp_path / "a.tif", noise(600, 200))
    out, state = tmp_path / "map.tif", tmp_path / "map.tif.state.json"
    options = {"window": 48, "overlap": 16}

    def slow(pixels):
        time.sleep(0.01)
        return soft(pixels)

    if (child := os.fork()) == 0:  # another interpreter would spend its time on importing torch
        try:
            do(source, out, mapping.Model(slow, CONTEXT.name, CONTEXT.hash, CLASSES), **options)
        finally:
            os._exit(0)
    try:
        deadline = time.monotonic() + 60
        while not state.exists() or json.loads(state.read_text())["done"]["windows"] < 3:
            assert time.monotonic() < deadline and not out.exists()
            time.sleep(0.01)
    finally:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and not out.exists()
    assert 3 <= json.loads(state.read_text())["done"]["windows"] < len(mapping.spans(600, 48, 16))
    do(source, out, CONTEXT, **options)
    whole = do(source, tmp_path / "whole.tif", CONTEXT, **options)
    np.testing.assert_array_equal(classes_of(out), classes_of(whole))
    assert left_over(tmp_path) == []


def test_a_run_that_dies_while_the_cog_is_written_goes_on_from_there(tmp_path, monkeypatch):
    source, out = write(tmp_path / "a.tif", noise(100, 100)), tmp_path / "map.tif"
    out.write_text("an older map")

    def full(*_, **__):
        raise rasterio.errors.RasterioIOError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(rasterio.shutil, "copy", full)
        with pytest.raises(RuntimeError, match="no space left.*then run again"):
            do(source, out, window=48, overlap=0)
    assert out.read_text() == "an older map"
    do(source, out, stopping(0), window=48, overlap=0)  # no window is left to compute
    np.testing.assert_array_equal(classes_of(out), predict(noise(100, 100)).argmax(0))


@pytest.mark.parametrize(
    "change, match",
    [
        ({"window": 50}, r"'window' is not what it was \(48, now 50\); start again with resume=False"),
        ({"overlap": 8}, "'overlap' is not what it was"),
        ({"bands": [2]}, "'bands' is not what it was"),
        ({"model": mapping.Model(soft, MODEL.name, "other", CLASSES)}, "'model hash' is not what it was"),
        ({"classes": CLASSES[::-1]}, "'classes' is not what it was"),
        ({"resolution": 20.0}, "'grid' is not what it was"),
    ],
)
def test_other_settings_are_not_resumed(tmp_path, change, match):
    source, out = write(tmp_path / "a.tif", noise(200, 130)), tmp_path / "map.tif"
    options = {"model": CONTEXT, "window": 48, "overlap": 16}
    with pytest.raises(Killed):
        do(source, out, **options | {"model": stopping(9)})
    with pytest.raises(ValueError, match=match):
        do(source, out, **options | change)
    do(source, out, **options | change, resume=False)
    fresh = do(source, tmp_path / "fresh.tif", **options | change)
    np.testing.assert_array_equal(classes_of(out), classes_of(fresh))


def test_a_changed_source_is_not_resumed(tmp_path):
    source, out = write(tmp_path / "a.tif", noise(200, 130)), tmp_path / "map.tif"
    with pytest.raises(Killed):
        do(source, out, stopping(9), window=48, overlap=16)
    write(source, noise(200, 130, seed=1))
    with pytest.raises(ValueError, match="'content of the source' is not what it was"):
        do(source, out, CONTEXT, window=48, overlap=16)


def test_a_model_without_a_hash_starts_again(tmp_path):
    source, out = write(tmp_path / "a.tif", noise(200, 130)), tmp_path / "map.tif"
    with pytest.raises(Killed):
        do(source, out, stopping(9, mapping.Model(soft, "m", "", CLASSES)), window=48, overlap=16)
    do(source, out, predict, classes=CLASSES, window=48, overlap=16)
    np.testing.assert_array_equal(classes_of(out), predict(noise(200, 130)).argmax(0))
    with rasterio.open(out) as file:
        assert file.tags()["LULC_MODEL"] == "predict" and file.tags()["LULC_MODEL_HASH"] == "unknown"


# ------------------------------------------------------------------------------------------- bands and grids


def test_bands_are_chosen_by_name_number_or_the_model(tmp_path):
    scene = Scene("s", noise(40, 50, 4), ("B02", "B03", "B04", "B08"), "somewhere")
    source = raster.write_scene(scene, tmp_path / "a.tif")
    model = mapping.Model(predict, "m", "1", CLASSES, bands=("B08", "B03"))
    wanted = predict(scene.pixels[[3, 1]]).argmax(0)
    for chosen in (None, ["B08", "B03"], [4, 2]):
        np.testing.assert_array_equal(classes_of(do(source, tmp_path / "m.tif", model, bands=chosen)), wanted)
    with pytest.raises(ValueError, match="has no band B11; it has B02, B03, B04, B08"):
        do(source, tmp_path / "m.tif", mapping.Model(predict, "m", "1", CLASSES, bands=("B08", "B11")))
    with pytest.raises(ValueError, match="has no band 5"):
        do(source, tmp_path / "m.tif", model, bands=[5, 1])
    with pytest.raises(ValueError, match="takes the bands B08, B03, but 1 bands were chosen"):
        do(source, tmp_path / "m.tif", model, bands=[1])


def test_bands_without_names_are_taken_in_order_only_if_the_number_fits(tmp_path):
    source = write(tmp_path / "a.tif", noise(40, 50, 2))
    two, three = (mapping.Model(predict, "m", "1", CLASSES, bands=b) for b in (("nir", "red"), ("nir", "red", "green")))
    np.testing.assert_array_equal(classes_of(do(source, tmp_path / "m.tif", two)), predict(noise(40, 50, 2)).argmax(0))
    with pytest.raises(ValueError, match="has no band nir, red, green; it has band 1, band 2"):
        do(source, tmp_path / "m.tif", three)


def test_another_resolution_is_refused_or_warped(tmp_path):
    blocks = np.kron(noise(30, 40, 1), np.ones((1, 2, 2), np.uint8))  # 10 m pixels that come in fours
    source = write(tmp_path / "a.tif", blocks)
    model = mapping.Model(predict, "m", "1", CLASSES, resolution=20)
    with pytest.raises(ValueError, match="pixels of 10 m, but the model was trained at 20 m; pass resolution=20"):
        do(source, tmp_path / "m.tif", model)
    out = do(source, tmp_path / "m.tif", model, resolution=20, resampling="nearest")
    np.testing.assert_array_equal(classes_of(out), predict(blocks[:, ::2, ::2]).argmax(0))
    with rasterio.open(out) as file:
        assert file.res == (20, 20) and file.bounds == (500_000, 5_999_400, 500_800, 6_000_000)
    same = do(source, tmp_path / "m.tif", MODEL, resolution=10, crs="EPSG:32633")
    np.testing.assert_array_equal(classes_of(same), predict(blocks).argmax(0))


def test_another_reference_system_leaves_nodata_where_the_source_does_not_reach(tmp_path):
    source = write(tmp_path / "a.tif", np.full((1, 100, 100), 120, np.uint8), transform=from_origin(3e5, 6e6, 100, 100))
    out = do(source, tmp_path / "m.tif", crs="EPSG:4326")
    with rasterio.open(out) as file:
        found = file.read(1)
        assert file.crs == CRS.from_epsg(4326)
    assert set(np.unique(found)) == {1, UNLABELLED} and 0.5 < (found == 1).mean() < 1
    assert found[0, 0] == UNLABELLED or found[0, -1] == UNLABELLED


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "options, match",
    [
        ({"crs": "nowhere"}, "'nowhere' is no coordinate reference system"),
        ({"resolution": -1.0}, "must be above 0, not -1"),
        ({"resampling": "magic"}, "There is no resampling 'magic'"),
        ({"overlap": 300}, "between 0 and a third"),
        ({"classes": [("water", "blue")]}, "colour of class 'water' must look like #1f77b4, not blue"),
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
    assert not (tmp_path / "m.tif").exists()


def test_paths_that_do_not_work_are_refused(tmp_path):
    source = write(tmp_path / "a.tif", noise(40, 50))
    with pytest.raises(FileNotFoundError, match="no file .*b.tif"):
        do(tmp_path / "b.tif", tmp_path / "m.tif")
    with pytest.raises(FileNotFoundError, match="folder .* does not exist"):
        do(source, tmp_path / "none" / "m.tif")
    with pytest.raises(ValueError, match="is a folder"):
        do(source, tmp_path)
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


def test_a_full_disk_is_noticed_before_anything_is_computed(tmp_path):
    resource = pytest.importorskip("resource")
    source, out = write(tmp_path / "a.tif", noise(600, 600)), tmp_path / "map.tif"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))  # files end there
    try:
        with pytest.raises(RuntimeError, match="map.tif could not be written .*make room"):
            do(source, out, stopping(0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not out.exists()
    do(source, out)
    np.testing.assert_array_equal(classes_of(out), predict(noise(600, 600)).argmax(0))
    assert left_over(tmp_path) == []


def test_two_runs_do_not_write_the_same_map(tmp_path):
    pytest.importorskip("fcntl")
    source, out = write(tmp_path / "a.tif", noise(40, 50)), tmp_path / "map.tif"

    def second(pixels):
        with pytest.raises(RuntimeError, match="Another run is writing .*map.tif"):
            do(source, out)
        return predict(pixels)

    do(source, out, mapping.Model(second, "m", "1", CLASSES))
    do(source, out)
    assert left_over(tmp_path) == []


def test_a_damaged_source_says_where_and_keeps_what_is_done(tmp_path):
    """The fingerprint looks at five places; the damage lies between them."""
    source = write(tmp_path / "a.tif", noise(1500, 300, 1), compress="deflate", blockysize=100)
    data = bytearray(source.read_bytes())
    start = len(data) * 10 // 15  # in the eleventh of fifteen strips
    data[start : start + 2000] = bytes(2000)
    source.write_bytes(data)
    with pytest.raises(RuntimeError, match="could not be read at row .* run again to go on from here"):
        do(source, tmp_path / "m.tif", window=60, overlap=0)
    assert not (tmp_path / "m.tif").exists()
    assert json.loads((tmp_path / "m.tif.state.json").read_text())["done"]["rows"] >= 900


# --------------------------------------------------------------------------------------------------- models


def test_a_scikit_learn_classifier_maps_its_own_classes(tmp_path):
    pixels = noise(60, 70)
    truth = np.where(pixels[0] > 120, 2, 0)  # class 1 is unknown to it
    fitted = LogisticRegression().fit(pixels.reshape(3, -1).T, truth.ravel())
    model = mapping.pixel_model(fitted, CLASSES, name="logistic")
    found = classes_of(do(write(tmp_path / "a.tif", pixels), tmp_path / "m.tif", model, window=30, overlap=10))
    np.testing.assert_array_equal(found, fitted.predict(pixels.reshape(3, -1).T).reshape(60, 70))
    again = LogisticRegression().fit(pixels.reshape(3, -1).T, truth.ravel())
    other = LogisticRegression(C=1e-6).fit(pixels.reshape(3, -1).T, truth.ravel())
    assert model.hash == mapping.pixel_model(again, CLASSES).hash != mapping.pixel_model(other, CLASSES).hash
    certain = RidgeClassifier().fit(pixels.reshape(3, -1).T, truth.ravel())  # knows no probabilities
    p = mapping.pixel_model(certain, CLASSES)(pixels)
    np.testing.assert_array_equal(p.argmax(0), certain.predict(pixels.reshape(3, -1).T).reshape(60, 70))
    assert set(np.unique(p)) == {0, 1} and (p.sum(0) == 1).all()
    with pytest.raises(ValueError, match=r"labels must lie in 0..1, not \[0, 2\]"):
        mapping.pixel_model(fitted, CLASSES[:2])


@pytest.fixture(scope="module")
def trained():
    """An untrained backbone and head: what is tested is the way to the map, not its quality."""
    vit = backbone.load("random")
    head, centers = stego.initial(vit.dim, 6, 4, seed=0)
    return stego.Stego(head.eval().requires_grad_(False), centers, []), vit


def test_a_stego_map_shows_the_class_of_the_nearest_cluster(tmp_path, trained):
    net, vit = trained
    pixels, of = noise(64, 80), np.array([2, 0, 2, 1])
    model = mapping.stego_model(net, vit, CLASSES, of)
    out = do(write(tmp_path / "a.tif", pixels, photometric="rgb"), tmp_path / "m.tif", model)
    clusters = cluster.of_pixels(net, backbone.patch_features(vit, pixels[None]), (64, 80))[0].argmax(0).numpy()
    np.testing.assert_array_equal(classes_of(out), of[clusters])
    assert torch.allclose(model(pixels).sum(0), torch.ones(64, 80))
    crf = mapping.stego_model(net, vit, CLASSES, of, crf=True)
    assert crf(pixels).shape == (3, 64, 80) and not torch.allclose(crf(pixels), model(pixels))
    assert len({model.hash, crf.hash, mapping.stego_model(net, vit, CLASSES, of[::-1]).hash}) == 3
    with pytest.raises(ValueError, match=r"Each of the 4 clusters needs a class in 0..2"):
        mapping.stego_model(net, vit, CLASSES, [0, 1, 2, UNLABELLED])
    with pytest.raises(ValueError, match="Each of the 4 clusters needs a class"):
        mapping.stego_model(net, vit, CLASSES, [0, 1])


def test_a_saved_model_comes_back_the_same(tmp_path, trained):
    net, vit = trained
    file = mapping.save_model(tmp_path / "m.safetensors", net, vit, CLASSES, [2, 0, 2, 1], resolution=0.5)
    back = mapping.load_model(file, backbone=vit)
    before = mapping.stego_model(net, vit, CLASSES, [2, 0, 2, 1], resolution=0.5)
    assert (back.hash, back.name, back.classes, back.bands, back.resolution) == (
        before.hash, before.name, CLASSES, ("red", "green", "blue"), 0.5,
    )  # fmt: skip
    assert torch.equal(back(noise(40, 48)), before(noise(40, 48)))
    with pytest.raises(ValueError, match="random backbone, which has no file"):
        mapping.load_model(file)
    with pytest.raises(ValueError, match="with other weights than this one's"):
        mapping.load_model(file, backbone=backbone.load("random", seed=1))
    backbone.save(vit, tmp_path / "vit.safetensors")
    with pytest.raises(ValueError, match="is no model of lulc_utils.mapping.save_model"):
        mapping.load_model(tmp_path / "vit.safetensors")
    with pytest.raises(FileNotFoundError, match="no weights file"):
        mapping.load_model(tmp_path / "none.safetensors")


# --------------------------------------------------------------------------------------------- command line


@pytest.fixture
def saved(tmp_path):
    vit = backbone.load("embedded")
    head, centers = stego.initial(vit.dim, 6, 3, seed=0)
    net = stego.Stego(head.eval().requires_grad_(False), centers, [])
    return mapping.save_model(tmp_path / "model.safetensors", net, vit, CLASSES)


def test_the_command_line_maps(tmp_path, saved, capsys):
    source = write(tmp_path / "a.tif", noise(70, 100), photometric="rgb")
    arguments = [str(source), str(tmp_path / "m.tif"), "--model", str(saved), "--window", "48", "--overlap", "16"]
    assert mapping.main([*arguments, "--quiet", "--crf"]) == 0
    assert capsys.readouterr().err == ""
    with rasterio.open(tmp_path / "m.tif") as file:
        assert set(np.unique(file.read())) <= {0, 1, 2}
        assert file.tags()["LULC_MODEL"] == "STEGO on embedded with CRF" and "--crf" in file.tags()["LULC_COMMAND"]
    assert mapping.main([*arguments, "--bands", "red,7,2"]) == 1
    assert "has no band 7; it has red, green, blue" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        mapping.main([*arguments, "--blend"])
    assert "unrecognized arguments: --blend" in capsys.readouterr().err


def test_the_command_line_says_what_it_can_do(capsys):
    with pytest.raises(SystemExit) as done:
        mapping.main(["--help"])
    said = capsys.readouterr().out
    assert done.value.code == 0
    for option in ("--window", "--overlap", "--crf", "--no-resume", "--resolution"):
        assert option in said

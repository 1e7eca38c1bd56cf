"""A killed or stopped run is continued to the same pixels, or refused when anything else has changed."""

import json

import numpy as np
import pytest
import rasterio
from small_rasters import (
    CLASSES,
    CONTEXT,
    MODEL,
    Killed,
    classes_of,
    do,
    left_over,
    noise,
    predict,
    soft,
    stopping,
    write,
)

from lulc_utils import mapping


@pytest.mark.parametrize("overlap", [0, 16])
@pytest.mark.parametrize("after", [0, 3, 5, 11, 14])
def test_a_stopped_run_resumes_to_the_same_pixels(tmp_path, after, overlap):
    source = write(tmp_path / "a.tif", noise(200, 130))
    options = {"window": 48, "overlap": overlap}
    whole = classes_of(do(source, tmp_path / "whole.tif", CONTEXT, **options))
    out = tmp_path / "map.tif"
    with pytest.raises(Killed):
        do(source, out, stopping(after), **options)
    cols = len(mapping.spans(130, 48, overlap))
    done = after // cols  # rows of windows
    assert not out.exists() and left_over(tmp_path) == (["map.tif.part", "map.tif.state.json"] if done else [])
    if done:
        assert json.loads((tmp_path / "map.tif.state.json").read_text())["done"]["windows"] == done
    calls = []
    count = mapping.Model(lambda p: calls.append(1) or soft(p), MODEL.name, MODEL.hash, CLASSES)
    do(source, out, count, **options)
    np.testing.assert_array_equal(classes_of(out), whole)
    assert left_over(tmp_path) == []
    rows = len(mapping.spans(200, 48, overlap))
    again = 1 if overlap and done else 0  # the row whose lower edge was waiting
    assert len(calls) == (rows - done + again) * cols


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


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"settings": {}, "done": {"windows": "many"}}'])
def test_a_damaged_note_is_refused_and_can_be_left_behind(tmp_path, content):
    source, out = write(tmp_path / "a.tif", noise(200, 130)), tmp_path / "map.tif"
    (tmp_path / "map.tif.state.json").write_text(content)
    with pytest.raises(ValueError, match="map.tif.state.json is damaged; start again with resume=False"):
        do(source, out, CONTEXT)
    do(source, out, CONTEXT, resume=False)
    assert left_over(tmp_path) == []


def test_a_run_killed_before_its_first_row_does_not_block_another(tmp_path):
    source, out = write(tmp_path / "a.tif", noise(200, 130)), tmp_path / "map.tif"
    (tmp_path / "map.tif.part").touch()
    note = {"settings": {"window": 96}, "done": {"windows": 0, "rows": 0, "mapped": 0}}
    (tmp_path / "map.tif.state.json").write_text(json.dumps(note))
    (tmp_path / ".map.0123456789ab.part.tif").touch()
    do(source, out, CONTEXT, window=48, overlap=16)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "map.tif"]


def test_a_run_killed_while_its_part_was_made_does_not_block_the_next(tmp_path):
    source = write(tmp_path / "a.tif", noise(64, 64))
    (tmp_path / "map.tif.part").write_bytes(b"II*\0\x08\0\0\0")  # the header of a TIFF whose directory was not written
    do(source, tmp_path / "map.tif", MODEL, window=48, overlap=16)
    assert left_over(tmp_path) == [] and classes_of(tmp_path / "map.tif").shape == (64, 64)

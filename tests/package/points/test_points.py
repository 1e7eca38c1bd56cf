"""Chapter 6's method on places small enough to count by hand."""

import csv
import dataclasses
import os

import numpy as np
import pytest
import torch
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils import points, raster, simulate
from lulc_utils.points.compare import FAR, PLACEMENTS, USES, map_from, place_points
from lulc_utils.scene import UNLABELLED, LandCover, Scene

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
CLASSES = (LandCover("water", "#0072b2"), LandCover("sand", "#e69f00"))


def place(nodata_rows=0, dtype=np.float32):
    """Two bands, left half water, right half sand, 16 x 16 pixels in UTM."""
    labels = np.repeat(np.array([[0] * 8 + [1] * 8], np.uint8), 16, 0)
    pixels = np.where(labels == 0, [[[0.1]], [[0.0]]], [[[0.3]], [[0.5]]]).astype(np.float32)
    pixels += np.random.default_rng(0).normal(0, 0.01, pixels.shape).astype(np.float32)
    pixels[:, :nodata_rows] = np.nan
    where = {"crs": CRS.from_epsg(32632), "transform": from_origin(500_000, 5_500_000, 10, 10)}
    return Scene("place", pixels.astype(dtype), ("B03", "B04"), "a test", labels=labels, classes=CLASSES, **where)


def standing(pixels):
    return torch.from_numpy(np.moveaxis(pixels, 0, -1).copy())


def test_rows_are_the_measured_pixels_and_their_places():
    rows, spots = points.rows_of([place(), place(nodata_rows=3)], standing)
    assert rows.shape == (16 * 16 + 13 * 16, 2)
    assert spots[0].tolist() == [0, 0, 0] and spots[-1].tolist() == [1, 15, 15]
    assert spots[spots[:, 0] == 1][:, 1].min() == 3


def test_a_row_of_a_patch_lies_in_its_middle():
    def patches(pixels):
        return torch.from_numpy(pixels[:1, ::8, ::8].copy()).permute(1, 2, 0)

    rows, spots = points.rows_of([place()], patches)
    assert spots[:, 1:].tolist() == [[4, 4], [4, 12], [12, 4], [12, 12]]


def test_two_labels_make_the_right_map_of_two_kinds_of_ground():
    scene = place()
    rows, spots = points.rows_of([scene], standing)
    groups = points.group(rows, 2)
    names, classes = points.name_groups(groups, spots[groups.middles], [scene])
    assert sorted(names.tolist()) == [0, 1] and classes == CLASSES
    p = points.mapper(groups, names, standing, 2)(scene.pixels)
    assert p.shape == (2, 16, 16) and np.array_equal(p.argmax(0).numpy(), scene.labels)


def test_a_group_without_a_name_takes_that_of_the_most_similar_one():
    scene = place()
    rows, spots = points.rows_of([scene], standing)
    groups = points.group(rows, 3)
    scene.labels[:, :8] = UNLABELLED
    names, _ = points.name_groups(groups, spots[groups.middles], [scene])
    assert set(names.tolist()) == {1}
    scene.labels[:] = UNLABELLED
    with pytest.raises(ValueError, match="None of the points has a class"):
        points.name_groups(groups, spots[groups.middles], [scene])


def test_a_table_is_written_filled_in_and_read(tmp_path):
    scene = place()
    spots = np.array([[0, 0, 0], [0, 5, 9]])
    path = points.write_points(tmp_path / "p.csv", spots, [scene], ["a, b.tif"])
    lines = path.read_text().splitlines()
    assert lines[0] == "point,image,longitude,latitude,class" and lines[1].startswith('0,"a, b.tif",9.0000')
    path.write_text("\n".join([lines[0], lines[1] + "sea", lines[2]]))
    names, classes = points.read_points(path, 2)
    assert names.tolist() == [0, UNLABELLED] and [c.name for c in classes] == ["sea"]


@pytest.mark.parametrize("text", ["", "point,class\n0,a\n0,b\n", "point,class\n0,a\n2,b\n", "id,name\n0,a\n1,b\n"])
def test_a_table_that_does_not_fit_is_refused(tmp_path, text):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ValueError, match="must (have the points 0 to 1|be a table)"):
        points.read_points(tmp_path / "p.csv", 2)


def test_points_lie_where_their_way_says():
    scene = place()
    rows, spots = points.rows_of([scene], standing)
    groups = points.group(rows, 4)
    rng = np.random.default_rng(0)
    at = {how: place_points(how, groups, spots, 4, rng) for how in PLACEMENTS}
    assert all(len(set(rows.tolist())) == 4 for rows in at.values())
    assert sorted(groups.member[at["one per group"]]) == sorted(groups.member[at["middle"]]) == [0, 1, 2, 3]
    rows_, cols = spots[at["grid"]][:, 1:].T
    assert np.ptp(rows_) == np.ptp(cols) == 8 and len(set(rows_)) == len(set(cols)) == 2, "a square grid of 2 x 2"


def test_a_grid_of_an_awkward_number_is_filled_up_without_repeats():
    spots = points.rows_of([place(nodata_rows=3)], standing)[1]
    for n in (1, 5, 7, 48, 200):
        at = place_points("grid", None, spots, n, np.random.default_rng(n))
        assert len(at) == len(set(at.tolist())) == n and at.max() < len(spots)


def test_a_group_without_a_point_takes_the_name_of_the_most_similar_one():
    scene = place()
    rows, spots = points.rows_of([scene], standing)
    truth = points.labels_at(spots, [scene])
    groups = points.group(rows, 6)
    one_of_each = np.array([np.flatnonzero(truth == 0)[0], np.flatnonzero(truth == 1)[0]])
    assert np.array_equal(map_from("groups", rows, groups, one_of_each, truth[one_of_each]), truth)
    assert (map_from("classifier", rows, groups, one_of_each[:1], truth[:1]) == truth[0]).all()


def test_comparing_holds_one_choice_fixed_at_a_time():
    scores = {way: {4: [float(i), 2.0 * i]} for i, way in enumerate(points.WAYS)}
    effects = points.effects(scores)
    random, middle = ({use: scores[f"{p} points, {use}"][4] for use in USES} for p in ("random", "middle"))
    gain = {use: np.subtract(middle[use], random[use]) for use in USES}
    np.testing.assert_array_equal(effects["middles, not random; classifier"][4], gain["classifier"])
    np.testing.assert_array_equal(effects["interaction"][4], gain["groups"] - gain["classifier"])
    assert points.with_intervals(effects)["interaction"][4][0] == np.mean(gain["groups"] - gain["classifier"])


def test_all_ways_are_right_where_two_kinds_of_ground_are_told_apart():
    tables = points.compare([place(), place()], (4,), draws=2)
    assert tuple(tables) == points.WAYS and all(len(of[4]) == 2 for of in tables.values())
    assert tables["middle points, groups"][4] == [1, 1] == tables["middle points, classifier"][4]
    by_distance = points.compare([place()], (4,), draws=2, distance=True, placements=("middle",))
    assert by_distance["middle points, groups"][4] == [1] and len(by_distance) == 2


def test_distance_tells_bright_from_dark_where_angles_cannot():
    scene = place()
    gray = scene.labels * 2.0 + 1
    rows = torch.from_numpy(np.stack([gray.ravel(), gray.ravel()], 1)).float() + torch.rand(256, 2) * 0.01
    far = torch.cat([rows, torch.full((256, 1), FAR)], -1)
    groups = points.group(far, 2)
    assert len(set(zip(groups.member.tolist(), scene.labels.ravel().tolist(), strict=True))) == 2


def test_the_middle_of_an_image_is_read_in_whole_blocks(tmp_path):
    scene = place()
    raster.write_scene(scene, tmp_path / "a.tif")
    middle = points.read_middle(tmp_path / "a.tif", 13)
    assert middle.pixels.shape == (2, 8, 8) and np.array_equal(middle.pixels, scene.pixels[:, 4:12, 4:12])


@pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")
def test_galileo_describes_patches_of_two_pixels_and_is_told_the_month(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    scene = simulate.satellite(3, date=130, size=64)
    rows, spots = points.rows_of([scene], points.describer([scene], "Galileo"))
    assert rows.shape == (32 * 32, 128) and spots[1].tolist() == [0, 1, 3]
    torch.testing.assert_close(rows.mean(0), torch.zeros(128), atol=1e-3, rtol=0)
    torch.testing.assert_close(rows.std(0), torch.ones(128), atol=1e-2, rtol=0)
    undated = points.describer([dataclasses.replace(scene, date=None)], "Galileo")(scene.pixels).flatten(0, 1)
    assert not torch.allclose(rows, undated, atol=0.1)
    known, truth = points.with_labels(rows, spots, [scene])
    groups = points.group(known, 24)
    right = (truth[groups.middles][groups.member] == truth).mean()
    assert right > np.bincount(truth).max() / len(truth) + 0.1, "24 named groups say more than one class"


def test_a_table_of_points_that_cannot_be_read_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no table .*none.csv"):
        points.read_points(tmp_path / "none.csv", 1)
    (tmp_path / "p.csv").write_bytes("class,point\nWald \xfc,0\n".encode("latin1"))
    with pytest.raises(ValueError, match="is no table of text; save it as CSV in UTF-8"):
        points.read_points(tmp_path / "p.csv", 1)
    (tmp_path / "p.csv").write_text("class,point\nwood\n")
    with pytest.raises(ValueError, match="must have the points 0 to 0, each once"):
        points.read_points(tmp_path / "p.csv", 1)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(ValueError, match="pipe.csv is a pipe, not a table"):
            points.read_points(tmp_path / "pipe.csv", 1)


def test_a_spreadsheet_computes_nothing_of_a_name(tmp_path):
    names = ["=1+1.tif", "@x.tif", "plain.tif", "\t=2.tif"]
    spots = np.arange(4)[:, None] * [1, 0, 0]
    path = points.write_points(tmp_path / "p.csv", spots, [place()] * 4, names)
    cells = [row["image"] for row in csv.DictReader(path.open(newline="", encoding="utf8"))]
    assert cells == ["'=1+1.tif", "'@x.tif", "plain.tif", "\\t=2.tif"]

"""The file of a map: well formed, complete or absent, written by one run at a time."""

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin
from small_rasters import CLASSES, classes_of, do, left_over, noise, predict, stopping, write

from lulc_utils import mapping, raster
from lulc_utils.scene import UNLABELLED, Scene


def test_the_map_is_a_valid_cog_that_knows_what_it_shows(tmp_path):
    pixels = noise(700, 1100)
    source = write(tmp_path / "a.tif", pixels)
    (tmp_path / "map.tif.aux.xml").write_text("<PAMDataset/>")  # statistics of an older map
    out = do(source, tmp_path / "map.tif", command="python -m lulc_utils.mapping a.tif map.tif")
    with rasterio.open(out) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert file.block_shapes == [(512, 512)] and file.overviews(1) == [2, 4]
        assert file.dtypes == ("uint8",) and file.nodata == UNLABELLED and file.descriptions == ("land cover",)
        assert not (tmp_path / "map.tif.aux.xml").exists()
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

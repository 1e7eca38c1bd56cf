"""A Scene survives the trip to disk and back; whatever does not fit is refused in one plain sentence."""

import dataclasses
import datetime
import json

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.windows import Window

from lulc_utils import mapping, raster
from lulc_utils.scene import UNLABELLED, LandCover, Scene

CLASSES = (LandCover("water", "#0072b2"), LandCover("land", "#e6c79c"))


def make_scene(dtype=np.uint16, nodata=0, height=70, width=90):
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 3000, (3, height, width)).astype(dtype)
    pixels[:, :2, :3] = nodata
    labels = rng.integers(0, 2, (height, width)).astype(np.uint8)
    labels[5:9] = UNLABELLED
    return Scene(
        name="a place",
        pixels=pixels,
        bands=("red", "green", "B8A"),
        source="simulated aerial, seed 0",
        labels=labels,
        classes=CLASSES,
        transform=from_origin(500_000, 6_000_000, 0.5, 0.5),
        crs=CRS.from_epsg(32633),
        date=datetime.date(2024, 2, 29),
        nodata=nodata,
        group="tile 4+8",
    )


@pytest.mark.parametrize("dtype, nodata", [(np.uint16, 0), (np.int16, -1), (np.float32, -9999.5), (np.uint8, 255)])
def test_nothing_is_lost_between_writing_and_reading(tmp_path, dtype, nodata):
    scene = make_scene(dtype, nodata)
    back = raster.read_scene(raster.write_scene(scene, tmp_path / "a.tif"))
    np.testing.assert_array_equal(back.pixels, scene.pixels)
    np.testing.assert_array_equal(back.labels, scene.labels)
    np.testing.assert_array_equal(back.valid, scene.valid)
    assert back.pixels.dtype == scene.pixels.dtype
    for field in "name bands source classes transform crs date nodata group".split():
        assert getattr(back, field) == getattr(scene, field), field


def test_nan_nodata_and_a_scene_without_a_place(tmp_path):
    pixels = np.ones((1, 4, 4), np.float32)
    pixels[0, 0, 0] = np.nan
    scene = Scene("bare", pixels, ("nir",), "somewhere", nodata=float("nan"))
    back = raster.read_scene(raster.write_scene(scene, tmp_path / "b.tif"))
    assert back.crs is None and back.transform is None and back.labels is None and back.date is None
    assert np.isnan(back.nodata) and back.valid.sum() == 15


def test_an_older_mask_does_not_outlive_its_scene(tmp_path):
    path = raster.write_scene(make_scene(), tmp_path / "a.tif")
    raster.write_scene(dataclasses.replace(make_scene(), labels=None), path)
    assert raster.read_scene(path).labels is None


def test_a_gis_sees_class_colors_and_names(tmp_path):
    raster.write_scene(make_scene(), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.labels.tif") as mask:
        assert mask.colormap(1)[0][:3] == (0x00, 0x72, 0xB2)
        assert mask.nodata == UNLABELLED
        assert '"water"' in mask.tags()[raster.TAG]


def test_a_window_reads_the_same_pixels_in_the_same_place(tmp_path):
    scene = make_scene()
    path = raster.write_scene(scene, tmp_path / "a.tif")
    part = raster.read_scene(path, window=Window(20, 10, 30, 40), bands=("B8A", "red"))
    np.testing.assert_array_equal(part.pixels, scene.pixels[[2, 0], 10:50, 20:50])
    np.testing.assert_array_equal(part.labels, scene.labels[10:50, 20:50])
    assert part.transform == scene.crop(10, 20, 40, 30).transform
    assert part.transform * (0, 0) == (500_010, 5_999_995)


@pytest.mark.parametrize(
    "height, width, size, overlap", [(70, 90, 32, 8), (64, 64, 64, 0), (10, 200, 32, 31), (5, 5, 8, 2)]
)
def test_tiles_cover_everything_and_overlap_enough(height, width, size, overlap):
    seen = np.zeros((height, width), int)
    windows = list(raster.tiles(height, width, size, overlap))
    for w in windows:
        assert (w.height, w.width) == (min(size, height), min(size, width))
        seen[w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width] += 1
    assert seen.min() >= 1
    columns = sorted({w.col_off for w in windows})
    assert all(b - a <= size - overlap for a, b in zip(columns, columns[1:], strict=False))


def test_crops_are_whole_and_keep_their_group():
    scene = make_scene()
    parts = raster.crops(scene, 32)
    assert {p.pixels.shape for p in parts} == {(3, 32, 32)} and {p.group for p in parts} == {"tile 4+8"}
    with pytest.raises(ValueError, match="smaller than a crop of 128"):
        raster.crops(scene, 128)


def test_plain_refusals(tmp_path):
    scene = make_scene()
    path = raster.write_scene(scene, tmp_path / "a.tif")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        raster.read_scene(tmp_path / "none.tif")
    with pytest.raises(ValueError, match="has no band swir; it has red, green, B8A"):
        raster.read_scene(path, bands=("red", "swir"))
    with pytest.raises(ValueError, match="reaches outside"):
        raster.read_scene(path, window=Window(80, 0, 30, 10))
    with pytest.raises(ValueError, match="must be at least 0 and smaller"):
        list(raster.tiles(10, 10, 4, 4))
    with pytest.raises(FileNotFoundError, match="folder .* does not exist"):
        raster.write_scene(scene, tmp_path / "no" / "a.tif")
    (tmp_path / "text.tif").write_text("not a raster")
    with pytest.raises(ValueError, match="cannot be read as a raster"):
        raster.read_scene(tmp_path / "text.tif")
    with pytest.raises(ValueError, match="only nodata"):
        raster.read_scene(path, window=Window(0, 0, 3, 2))


def strange(**changes):
    return json.dumps({"name": "x", "classes": [["a", "#ff0000"]]} | changes)


@pytest.mark.parametrize(
    "tag",
    ["{", "[]", "null", "3", "[" * 100_000, strange(name=["x"]), strange(name={}), strange(group=1),
     strange(date="soon"), strange(source=None), strange(classes="x"), strange(classes=[["a"]]),
     strange(classes=[[["a"], "#ff0000"]]), strange(classes=[["a", 5]]), strange(classes=[["a", '#ff0000"><b>']]),
     strange(classes=[["a", "#ff0000"]] * 256)],
    ids=lambda tag: tag[:40],
)  # fmt: skip
def test_what_a_stranger_wrote_into_our_tag_is_refused_in_one_sentence(tmp_path, tag):
    path = raster.write_scene(make_scene(), tmp_path / "a.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(LULC_SCENE=tag)
    with pytest.raises(ValueError, match="The tag LULC_SCENE of .*a.tif is damaged; write the scene again, or remove"):
        raster.read_scene(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = raster.write_scene(make_scene(), tmp_path / "a.tif")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match="cannot be read"):
        raster.read_scene(path)


def test_an_image_without_a_place_is_refused_where_one_is_needed(tmp_path):
    bare = Scene("bare", np.ones((1, 4, 4), np.uint8), ("nir",), "somewhere")
    path = raster.write_scene(bare, tmp_path / "b.tif")
    with pytest.raises(ValueError, match="no coordinate reference system"):
        raster.read_scene(path, require_crs=True)
    with pytest.raises(ValueError, match="cannot be put on a map"):
        bare.bounds_latlon()


def test_a_mask_of_another_size_is_refused(tmp_path):
    path = raster.write_scene(make_scene(), tmp_path / "a.tif")
    other = raster.write_scene(make_scene(height=60), tmp_path / "c.tif")
    with pytest.raises(ValueError, match="60 x 90 pixels but the image .* is 70 x 90"):
        raster.read_scene(path, labels=raster.labels_path(other))


def test_a_failed_write_leaves_what_was_there(tmp_path):
    scene = make_scene()
    path = raster.write_scene(scene, tmp_path / "a.tif")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    broken = make_scene()
    object.__setattr__(broken, "classes", (LandCover("water", "no color"), LandCover("land", "#e6c79c")))
    with pytest.raises(ValueError):
        raster.write_scene(broken, path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_scene_refuses_what_does_not_fit():
    pixels = np.zeros((3, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="3 bands of pixels but 2 band names"):
        Scene("x", pixels, ("red", "green"), "here")
    with pytest.raises(ValueError, match=r"mask is \(4, 5\) but the image is \(4, 4\)"):
        Scene("x", pixels, ("r", "g", "b"), "here", labels=np.zeros((4, 5), np.uint8), classes=CLASSES)
    with pytest.raises(ValueError, match="label 2 has no entry"):
        Scene("x", pixels, ("r", "g", "b"), "here", labels=np.full((4, 4), 2, np.uint8), classes=CLASSES)
    with pytest.raises(ValueError, match="must be .bands, rows, cols."):
        Scene("x", pixels[0], ("r",), "here")
    with pytest.raises(ValueError, match="does not fit"):
        Scene("x", pixels, ("r", "g", "b"), "here").crop(2, 2, 4, 4)
    with pytest.raises(ValueError, match="has no band nir"):
        Scene("x", pixels, ("r", "g", "b"), "here").select("nir")


@pytest.mark.parametrize("dtype, nodata", [("int32", 256), ("float32", np.nan), ("uint8", 7)])
def test_classes_are_read_without_what_has_no_data(tmp_path, dtype, nodata):
    values = np.array([[0, 1], [2, nodata]], dtype)
    with rasterio.open(
        tmp_path / "m.tif", "w", driver="GTiff", width=2, height=2, count=1, dtype=dtype, nodata=nodata
    ) as f:
        f.write(values, 1)
    np.testing.assert_array_equal(raster.read_classes(tmp_path / "m.tif"), np.array([[0, 1], [2, 255]], np.uint8))
    with rasterio.open(tmp_path / "m.tif", "r+") as f:
        f.nodata = 6
        f.write(np.array([[0, 1], [2, 0.5 if dtype == "float32" else 99]], dtype), 1)
    if dtype == "float32":
        with pytest.raises(ValueError, match="holds 0.5; classes are whole numbers from 0 to 254"):
            raster.read_classes(tmp_path / "m.tif")


@pytest.mark.parametrize("code", [32633, 3857, 4326, 3035])
def test_a_map_has_the_same_hectares_in_every_system(tmp_path, code):
    """960 m in UTM at its central meridian are 92.16 ha / 0.9996^2 on the ellipsoid."""
    source = raster.write_scene(
        Scene(
            "a",
            np.ones((1, 96, 96), np.uint8),
            ("a",),
            "here",
            None,
            (),
            from_origin(5e5, 5e6, 10, 10),
            CRS.from_epsg(32633),
        ),
        tmp_path / "a.tif",
    )
    classes = (LandCover("all", "#000000"),)
    out = mapping.map_raster(
        source,
        lambda p: np.ones((1, *p.shape[1:]), np.float32),
        tmp_path / "m.tif",
        classes=classes,
        progress=False,
        crs=f"EPSG:{code}",
        resampling="nearest",
        window=90,
        overlap=10,
    )
    hectares = raster.pixel_hectares(out)[raster.read_classes(out) == 0].sum()
    assert hectares == pytest.approx(92.16 / 0.9996**2, rel=5e-3)  # pixels are in or out


def test_what_lay_beside_an_older_raster_does_not_change_the_new_one(tmp_path):
    classes, constant = (LandCover("all", "#000000"),), lambda p: np.ones((1, *p.shape[1:]), np.float32)
    for round_ in range(2):
        path = raster.write_scene(make_scene(), tmp_path / "a.tif")
        out = mapping.map_raster(path, constant, tmp_path / "map.tif", classes=classes, progress=False)
        assert raster.read_scene(path).valid.sum() == 70 * 90 - 6
        assert (raster.read_classes(out) == 0).sum() == 70 * 90 - 6
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.labels.tif", "a.tif", "map.tif"], round_
        for name in ("a.tif", "a.labels.tif", "map.tif"):  # a mask that says nothing was measured, and more
            (tmp_path / f"{name}.aux.xml").write_text("<PAMDataset><SRS>EPSG:3857</SRS></PAMDataset>")
            (tmp_path / f"{name}.ovr").write_text("overviews")
            with rasterio.open(tmp_path / name) as file:
                profile = {"driver": "GTiff", "width": file.width, "height": file.height, "count": 1, "dtype": "uint8"}
            with rasterio.open(tmp_path / f"{name}.msk", "w", **profile) as mask:
                mask.update_tags(INTERNAL_MASK_FLAGS_1="2")

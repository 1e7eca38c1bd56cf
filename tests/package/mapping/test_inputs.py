"""What is read of a raster: bands, valid pixels and grids, and what is refused."""

import json
import zipfile

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin
from small_rasters import CLASSES, MODEL, classes_of, do, noise, predict, write

from lulc_utils import mapping, raster
from lulc_utils.mapping import inputs
from lulc_utils.scene import UNLABELLED, Scene


def test_passwords_and_signatures_do_not_travel_with_the_map():
    text = "map https://me:secret@a.org/b.tif?sig=XYZ&t=1 out.tif /vsicurl/https://a.org/c.tif?token=1"
    assert inputs.without_secrets(text) == "map https://a.org/b.tif out.tif /vsicurl/https://a.org/c.tif"


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
    labels = classes_of(out)
    np.testing.assert_array_equal(labels == UNLABELLED, bad)
    np.testing.assert_array_equal(labels[~bad], predict(pixels).argmax(0)[~bad])
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
    labels = classes_of(do(source, tmp_path / "map.tif", model))
    np.testing.assert_array_equal(labels[10:], predict(pixels).argmax(0)[10:])
    assert (labels[:10] == UNLABELLED).all()


def test_a_raster_without_any_data_is_refused_and_leaves_nothing(tmp_path):
    source = write(tmp_path / "a.tif", np.zeros((1, 50, 50), np.uint8), nodata=0)
    with pytest.raises(ValueError, match="holds only nodata; there is nothing to map"):
        do(source, tmp_path / "map.tif")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


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
        labels = file.read(1)
        assert file.crs == CRS.from_epsg(4326)
    assert set(np.unique(labels)) == {1, UNLABELLED} and 0.5 < (labels == 1).mean() < 1
    assert labels[0, 0] == UNLABELLED or labels[0, -1] == UNLABELLED


def test_a_damaged_source_says_where_and_keeps_what_is_done(tmp_path):
    """The fingerprint looks at five places; the damage lies between them."""
    source = write(tmp_path / "a.tif", noise(1500, 300, 1), compress="deflate", blockysize=100)
    data = bytearray(source.read_bytes())
    start = len(data) * 10 // 15  # in the eleventh of fifteen strips
    data[start : start + 2000] = bytes(2000)
    source.write_bytes(data)
    with pytest.raises(RuntimeError, match="could not be read at row .* run again to continue from"):
        do(source, tmp_path / "m.tif", window=60, overlap=0)
    assert not (tmp_path / "m.tif").exists()
    assert json.loads((tmp_path / "m.tif.state.json").read_text())["done"]["rows"] >= 900

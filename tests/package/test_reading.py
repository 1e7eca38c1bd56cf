"""What was measured, by whatever a file says it with; windows from coordinates; masks that lie on their image."""

import dataclasses

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window, from_bounds

from lulc_utils import mapping, raster
from lulc_utils.scene import UNLABELLED, LandCover, mosaic

CLASSES = (LandCover("even", "#000000"), LandCover("odd", "#ffffff"))
PLACE = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 10, 10)}
VALID = np.ones((30, 40), bool)
VALID[:, :12] = False
VALID[20:24, 30:33] = False


def write(path, pixels, mask=None, colors=None, **profile):
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype} | profile
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        if colors:
            file.colorinterp = colors
        file.write(pixels)
        if mask is not None:
            file.write_mask(mask)
    return path


@pytest.fixture
def empty(tmp_path):
    """A function (way, bands, type) -> a raster of which VALID was measured."""

    def make(way, bands, dtype):
        pixels = np.random.default_rng(0).integers(50, 200, (bands, *VALID.shape)).astype(dtype)
        if way == "mask":
            return write(tmp_path / "a.tif", pixels, VALID, **PLACE)
        if way == "nodata in one band":
            pixels[-1, ~VALID] = 7
            return write(tmp_path / "a.tif", pixels, nodata=7, **PLACE)
        if way == "alpha and nodata":
            pixels[:, :, :12] = 7
        alpha = np.where(VALID, 255, 0).astype(dtype)
        colors = [ColorInterp.gray] + [ColorInterp.undefined] * (bands - 1) + [ColorInterp.alpha]
        nodata = 7 if way == "alpha and nodata" else None
        return write(tmp_path / "a.tif", np.concatenate([pixels, alpha[None]]), None, colors, nodata=nodata, **PLACE)

    return make


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("way", ["mask", "alpha", "alpha and nodata", "nodata in one band"])
@pytest.mark.filterwarnings("error::rasterio.errors.NodataShadowWarning")
def test_a_scene_knows_what_was_not_measured_and_an_alpha_band_is_no_band(empty, way, bands, dtype):
    scene = raster.read_scene(empty(way, bands, dtype))
    if (way, bands, dtype) in (("mask", 4, "uint8"), ("nodata in one band", 4, "uint8")):
        assert len(scene.bands) == 3, "GDAL writes the fourth of four bytes as alpha"
        return
    assert len(scene.bands) == bands
    np.testing.assert_array_equal(scene.valid, VALID)
    part = scene.crop(15, 20, 12, 15)
    np.testing.assert_array_equal(part.valid, VALID[15:27, 20:35])
    np.testing.assert_array_equal(
        raster.read_scene(empty(way, bands, dtype), window=Window(20, 15, 15, 12)).valid, part.valid
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_last_band_that_looks_like_alpha_must_be_marked_or_left_out(tmp_path, dtype):
    full, names = np.iinfo(dtype).max, ("a", "b", "c", "d", "")
    pixels = np.random.default_rng(0).integers(0, 200, (5, *VALID.shape)).astype(dtype)
    pixels[:, ~VALID], pixels[4, VALID] = 0, full
    path = write(tmp_path / "a.tif", pixels, photometric="rgb", **PLACE)
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
    model = mapping.Model(lambda p: np.stack([p[0] < 100, p[0] >= 100]).astype(np.float32), "m", classes=CLASSES)
    for read in (raster.read_scene, lambda p: mapping.map_raster(p, model, tmp_path / "m.tif", progress=False)):
        with pytest.raises(ValueError, match=f"Band 5 of .* is 0 where all others are, and {full} elsewhere. Mark it"):
            read(path)
    assert raster.read_scene(path, bands=("a", "b")).valid.all()
    with rasterio.open(path, "r+") as file:  # as the sentence says
        file.colorinterp = [*file.colorinterp[:4], ColorInterp.alpha]
    np.testing.assert_array_equal(raster.read_scene(path).valid, VALID)
    for row, col, value in ((0, 0, 7), (2, 20, 0)):  # a third number; or 0 where another band is not
        other = pixels.copy()
        other[4, row, col], other[0, row, col] = value, 9
        assert raster.read_scene(write(tmp_path / "b.tif", other, photometric="rgb", **PLACE)).bands[4] == "band 5"


def test_a_mask_survives_writing_cutting_and_putting_together(empty, tmp_path):
    scene = raster.read_scene(empty("mask", 3, "uint16"))
    np.testing.assert_array_equal(raster.read_scene(raster.write_scene(scene, tmp_path / "b.tif")).valid, VALID)
    halves = [scene.crop(0, col, 30, 20) for col in (0, 20)]
    np.testing.assert_array_equal(mosaic(halves, 2).valid, VALID)
    unmasked = [dataclasses.replace(halves[0], measured=None), halves[1]]
    np.testing.assert_array_equal(mosaic(unmasked, 2).valid, VALID | (np.arange(40) < 20))
    with pytest.raises(ValueError, match=r"`measured` must be \(30, 40\)"):
        dataclasses.replace(scene, measured=VALID[1:])


def per_band_nodata(folder):
    """A VRT of two bands, of which the first has nodata 0 in the top 4 rows, the second 65535 in the top 8."""
    bands = []
    for i, (nodata, rows) in enumerate(((0, 4), (65535, 8)), 1):
        pixels = np.full((1, 30, 40), 300, np.uint16)
        pixels[:, :rows] = nodata
        write(folder / f"{i}.tif", pixels, nodata=nodata, **PLACE)
        bands.append(
            f'<VRTRasterBand dataType="UInt16" band="{i}"><NoDataValue>{nodata}</NoDataValue><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{i}.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        )
    path = folder / "both.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="40" rasterYSize="30"><SRS>EPSG:32633</SRS><GeoTransform>500000,10,0,5000000,0,-10'
        f"</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
    return path


def test_every_band_has_its_own_nodata(tmp_path):
    path = per_band_nodata(tmp_path)
    scene = raster.read_scene(path)
    assert scene.nodata is None and not scene.valid[:8].any() and scene.valid[8:].all()
    first = raster.read_scene(path, bands=("band 1",))
    assert first.nodata == 0 and not first.valid[:4].any() and first.valid[4:].all()


# ------------------------------------------------------------------------------------------- windows


def test_the_bounds_of_a_file_are_a_window_of_it(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(60):
        size = float(rng.choice([0.3, 0.1, 1 / 3600, 8.983152841195215e-05, 0.6]))
        height, width = map(int, rng.integers(50, 400, 2))
        place = from_origin(rng.uniform(-100, 100), rng.uniform(-60, 60), size, size)
        path = write(tmp_path / "a.tif", np.ones((1, height, width), np.uint8), crs="EPSG:4326", transform=place)
        with rasterio.open(path) as file:
            window = from_bounds(*file.bounds, file.transform)
        scene = raster.read_scene(path, window=window)
        assert scene.pixels.shape[1:] == raster.read_classes(path, window).shape == (height, width)
        assert scene.transform == place


@pytest.mark.parametrize("window", [(10.4, 20.4, 5, 5), (10.6, 20.6, 5, 5), (10.5, 20, 5.4, 5), (0.4, -0.4, 6.2, 29.9)])
def test_the_transform_of_a_window_is_that_of_its_pixels_and_labels(tmp_path, window):
    numbers = np.arange(30 * 40, dtype=np.int32).reshape(1, 30, 40)
    path = write(tmp_path / "a.tif", numbers, **PLACE)
    write(tmp_path / "a.labels.tif", (numbers % 2).astype(np.uint8), **PLACE)
    scene = raster.read_scene(path, window=Window(*window), classes=CLASSES)
    row, col = divmod(scene.pixels[0, 0, 0], 40)
    assert scene.transform * (0, 0) == PLACE["transform"] * (col, row)
    assert max(abs(col - window[0]), abs(row - window[1])) <= 0.5
    np.testing.assert_array_equal(scene.labels, scene.pixels[0] % 2)


@pytest.mark.parametrize("window", [(10, 10, 0, 5), (10.1, 10, 0.3, 5)])
def test_a_window_without_a_pixel_is_refused(tmp_path, window):
    path = write(tmp_path / "a.tif", np.ones((1, 30, 40), np.uint8), **PLACE)
    with pytest.raises(ValueError, match="holds no pixel"):
        raster.read_scene(path, window=Window(*window))


# ------------------------------------------------------------------------------------------- labels


@pytest.fixture
def labels_of(tmp_path):
    """A function (mask [rows, cols], profile) -> the labels of an image with this mask beside it."""
    image = write(tmp_path / "a.tif", np.ones((1, 30, 40), np.uint8), **PLACE)

    def read(mask, **profile):
        write(tmp_path / "a.labels.tif", mask[None], **PLACE | profile)
        return raster.read_scene(image, classes=CLASSES).labels

    return read


@pytest.mark.parametrize(
    "dtype, nodata",
    [("uint8", 9), ("int16", -1), ("int32", 256), ("uint16", 65535), ("float32", np.nan), ("int8", -128)],
)
def test_what_a_mask_has_no_data_for_is_unlabelled(labels_of, dtype, nodata):
    mask = (np.indices((30, 40)).sum(0) % 2).astype(dtype)
    mask[:9] = nodata
    labels = labels_of(mask, nodata=nodata)
    assert labels.dtype == np.uint8 and (labels[:9] == UNLABELLED).all()
    np.testing.assert_array_equal(labels[9:], mask[9:])


def test_nan_and_255_are_unlabelled_without_a_nodata_value(labels_of):
    for dtype, empty in (("float32", np.nan), ("int32", 255)):
        mask = np.zeros((30, 40), dtype)
        mask[0] = empty
        np.testing.assert_array_equal(
            labels_of(mask), np.where(np.arange(30) < 1, UNLABELLED, 0)[:, None] + 0 * mask[1:2]
        )


@pytest.mark.parametrize(
    "dtype, value", [("int32", 259), ("int16", -1), ("int32", 256), ("float32", 0.5), ("uint8", 2)]
)
def test_numbers_that_are_no_classes_are_refused_and_named(labels_of, dtype, value):
    mask = np.zeros((30, 40), dtype)
    mask[3, 4] = value
    with pytest.raises(ValueError, match=f"holds the number {value:g}, which is none of its 2 classes"):
        labels_of(mask)


@pytest.mark.parametrize(
    "profile, words",
    [
        ({"transform": from_origin(500_100, 5_000_000, 10, 10)}, "100 m apart"),
        ({"transform": from_origin(500_005, 5_000_000, 10, 10)}, "5 m apart"),
        ({"crs": "EPSG:32634"}, "472 km apart, it is in EPSG:32634, the image in EPSG:32633"),
        ({"transform": from_origin(500_000, 5_000_000, 5, 5)}, "its pixels are 5 x 5, the image's 10 x 10"),
        ({"transform": Affine(10, 0, 500_000, 0, 10, 4_999_700)}, "300 m apart"),
        ({"transform": PLACE["transform"] * Affine.rotation(5)}, "does not lie on the image"),
        ({"crs": None, "transform": from_origin(500_100, 5_000_000, 10, 10)}, "100 m apart"),
    ],
)
def test_a_mask_of_another_place_is_refused_with_how_far_apart_they_are(labels_of, profile, words):
    with pytest.raises(ValueError, match=f"does not lie on the image.*{words}|{words}"):
        labels_of(np.zeros((30, 40), np.uint8), **profile)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"crs": None},
        {"crs": None, "transform": Affine.identity()},
        {"transform": from_origin(500_000.001, 5e6, 10, 10)},
    ],
)
def test_a_mask_of_the_same_place_or_of_none_is_taken(labels_of, profile):
    assert (labels_of(np.ones((30, 40), np.uint8), **profile) == 1).all()

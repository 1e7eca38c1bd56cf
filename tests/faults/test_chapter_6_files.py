"""Chapter 6 on forty kinds of ordinary files: each is mapped, or refused in one sentence that says what to do."""

import chapter_6
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from lulc_utils import simulate

pytestmark = pytest.mark.slow
SATELLITE = simulate.satellite(3, size=96).pixels  # [10, 96, 96] reflectance
NUMBERS = np.round(SATELLITE * 10_000).clip(1, 65_535).astype(np.uint16)
PHOTO = simulate.aerial(1, 128).pixels[:3]  # uint8
EMPTY = PHOTO.copy()
EMPTY[:, :, :56] = 0
ALPHA = np.full((1, 128, 128), 255, np.uint8)
ALPHA[:, :, :56] = 0
GRAY, RED, GREEN, BLUE = ColorInterp.gray, ColorInterp.red, ColorInterp.green, ColorInterp.blue
RGBA = [RED, GREEN, BLUE, ColorInterp.alpha]
EARTH_ENGINE = ("B2", "B3", "B4", "B8")


def tif(path, pixels, names=None, nodata=None, interp=None, crs="EPSG:32633", size=None, transform=None, mask=None, driver="GTiff", **more):  # noqa: E501  # fmt: skip
    size = size or (0.5 if pixels.dtype == np.uint8 else 10)
    grid = {"transform": transform or from_origin(500_000, 5_000_000, size, size), "crs": crs} if crs else {}
    shape = {"width": pixels.shape[2], "height": pixels.shape[1], "count": len(pixels), "dtype": pixels.dtype}
    with rasterio.open(path, "w", driver=driver, nodata=nodata, **shape, **grid, **more) as file:
        file.write(pixels)
        if names:
            file.descriptions = names
        if interp:
            file.colorinterp = interp
        if mask is not None:
            file.write_mask(mask)
    return path


def hole(pixels, value, columns=24):
    pixels = pixels.copy()
    pixels[:, :, :columns] = value
    return pixels


def palette(path, **more):
    with rasterio.open(path, "w", driver="GTiff" if path.suffix == ".tif" else "PNG", width=96, height=96, count=1, dtype="uint8", **more) as file:  # noqa: E501  # fmt: skip
        file.write((NUMBERS[0] % 5).astype(np.uint8), 1)
        file.write_colormap(1, {i: (40 * i, 20 * i, 200 - 40 * i, 255) for i in range(5)})
    return path


KINDS = {
    "ten bands without names": lambda p: tif(p, NUMBERS, nodata=0),
    "names of Earth Engine": lambda p: tif(p, NUMBERS[[0, 1, 2, 6]], EARTH_ENGINE, 0),
    "names of Earth Engine, float": lambda p: tif(p, SATELLITE[[0, 1, 2, 6]], EARTH_ENGINE),
    "names of Landsat": lambda p: tif(p, NUMBERS[:6], [f"SR_B{i}" for i in range(2, 8)], 0),
    "names of ESA": lambda p: tif(p, NUMBERS[[0, 1, 2, 6]], ("B02", "B03", "B04", "B08"), 0),
    "red, green, blue, nir": lambda p: tif(p, NUMBERS[[2, 1, 0, 6]], ("red", "green", "blue", "nir"), 0),
    "Red, Green, Blue, 16 bit": lambda p: tif(p, NUMBERS[[2, 1, 0]], ("Red", "Green", "Blue")),
    "uint16 without names or nodata": lambda p: tif(p, NUMBERS[:3]),
    "two names equal": lambda p: tif(p, NUMBERS[:3], ("B02", "B02", "B04")),
    "one name missing": lambda p: tif(p, NUMBERS[:4], ("B02", "", "B04", "B08")),
    "int16 with negative nodata": lambda p: tif(p, hole(NUMBERS[:4].astype(np.int16), -9999), nodata=-9999),
    "float with NaN": lambda p: tif(p, hole(SATELLITE[:4], np.nan)),
    "float with -3.4e38": lambda p: tif(p, hole(SATELLITE[:4], -3.4e38), nodata=-3.4e38),
    "float64": lambda p: tif(p, SATELLITE[:4].astype(np.float64)),
    "float RGB from 0 to 1": lambda p: tif(p, PHOTO / np.float32(255), photometric="rgb"),
    "a band that is constant": lambda p: tif(p, np.concatenate([NUMBERS[:3], np.full_like(NUMBERS[:1], 7)])),
    "a single band": lambda p: tif(p, NUMBERS[:1], nodata=0),
    "a single float band, NaN": lambda p: tif(p, hole(SATELLITE[:1], np.nan)),
    "two bands (radar, dB)": lambda p: tif(p, -10 + 30 * SATELLITE[:2], ("VV", "VH")),
    "an embedding of 64 bands": lambda p: tif(p, np.tile(SATELLITE[:8], (8, 1, 1)) - 0.1, [f"A{i:02}" for i in range(64)]),  # noqa: E501  # fmt: skip
    "int8 embedding": lambda p: tif(p, (NUMBERS[:4] // 40 % 100).astype(np.int8), [f"A{i:02}" for i in range(4)]),
    "a photograph": lambda p: tif(p, PHOTO, photometric="rgb"),
    "a photograph of 128 x 80": lambda p: tif(p, PHOTO[:, :, :80], photometric="rgb"),
    "a photograph of 80 x 128": lambda p: tif(p, PHOTO[:, :80], photometric="rgb"),
    "a photograph of 101 x 77": lambda p: tif(p, PHOTO[:, :101, :77], photometric="rgb"),
    "a photograph, band names": lambda p: tif(p, PHOTO, ("Red", "Green", "Blue")),
    "a photograph, an alpha band": lambda p: tif(p, np.concatenate([EMPTY, ALPHA]), interp=RGBA),
    "a photograph with nodata 0": lambda p: tif(p, EMPTY, nodata=0, photometric="rgb"),
    "a photograph with an internal mask": lambda p: tif(p, EMPTY, photometric="rgb", mask=ALPHA[0]),
    "a photograph and near infrared": lambda p: tif(p, np.concatenate([PHOTO, PHOTO[:1]])),
    "a photograph in JPEG compression": lambda p: tif(p, PHOTO, compress="jpeg", photometric="ycbcr"),
    "a gray 8-bit photograph": lambda p: tif(p, PHOTO[:1]),
    "a two-band 8-bit image": lambda p: tif(p, PHOTO[:2]),
    "8-bit satellite image of six bands": lambda p: tif(p, (NUMBERS[:6] // 40).clip(0, 255).astype(np.uint8), EARTH_ENGINE + ("B11", "B12")),  # noqa: E501  # fmt: skip
    "a rotated photograph": lambda p: tif(p, PHOTO, transform=Affine.translation(5e5, 5e6) * Affine.rotation(30) * Affine.scale(0.5, -0.5)),  # noqa: E501  # fmt: skip
    "degrees": lambda p: tif(p, NUMBERS[:4], EARTH_ENGINE, crs="EPSG:4326", transform=from_origin(15, 45, 1e-4, 1e-4)),
    "south up": lambda p: tif(p, NUMBERS[:4], transform=Affine(10, 0, 5e5, 0, 10, 5e6)),
    "feet": lambda p: tif(p, PHOTO, crs="EPSG:2263", size=1.64),
    "Web Mercator": lambda p: tif(p, NUMBERS[:4], crs="EPSG:3857"),
    "accents, blanks, quotes, brackets": lambda p: tif(p.with_name("é 'x' [1] {{ü}}.tif"), NUMBERS[:4]),
    "ending .TIF": lambda p: tif(p.with_name("LC08.TIF"), NUMBERS[:4]),
    "few pixels measured": lambda p: tif(p, hole(NUMBERS[:4], 0, 75), nodata=0),
    "smaller than asked": lambda p: tif(p, NUMBERS[:4, :20, :33]),
    "a geographic PNG": lambda p: tif(p.with_suffix(".png"), PHOTO, driver="PNG"),
    "reflectance in steps of 1e-4, scale and offset": lambda p: tif(p, NUMBERS[:4], EARTH_ENGINE),
}  # fmt: skip
REFUSED = {
    "a palette": (lambda p: palette(p, crs="EPSG:32633", transform=from_origin(5e5, 5e6, 10, 10)), "color table"),
    "a palette PNG": (lambda p: palette(p.with_suffix(".png")), "color table"),
    "a JPEG without a place": (
        lambda p: tif(p.with_suffix(".jpg"), PHOTO, crs=None, driver="JPEG"),
        "no coordinate reference system",
    ),  # noqa: E501  # fmt: skip
    "a TIFF without a place": (lambda p: tif(p, NUMBERS, crs=None), "no coordinate reference system"),
    "nothing measured": (lambda p: tif(p, np.zeros_like(NUMBERS[:3]), nodata=0), "holds only nodata"),
    "an alpha band without a mark": (
        lambda p: tif(p, np.concatenate([EMPTY, EMPTY[:1], ALPHA])),
        "looks like an alpha",
    ),
    "complex numbers": (lambda p: tif(p, NUMBERS[:2].astype(np.complex64)), "only real numbers"),
    "seven pixels": (lambda p: tif(p, NUMBERS[:4, :7, :7]), "at least 8"),
    "nothing measured in the middle": (lambda p: tif(p, hole(NUMBERS[:4], 0, 90), nodata=0), "only nodata in the part"),
    "a reference system without a position": (
        lambda p: tif(p, NUMBERS, transform=Affine.identity()),
        "no position in it",
    ),
    "all the same": (lambda p: tif(p, np.full_like(NUMBERS[:3], 7)), "with 1 different values, so 8 groups cannot"),
    "fewer patches than points": (lambda p: tif(p, hole(PHOTO, 0, 94), nodata=0), "0 pixels or patches were measured"),
    "no file": (lambda p: p, "There is no file or folder"),
    "a text file": (lambda p: p.write_text("no raster") and p, "cannot be read as a raster"),
    "half a file": (lambda p: p.write_bytes(tif(p, NUMBERS).read_bytes()[:50_000]) and p, "cannot be read"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_this_kind_is_mapped(kind, tmp_path, tried):
    tried("right")
    place = KINDS[kind](tmp_path / "p.tif")
    answer = chapter_6.run(place, tmp_path)
    with rasterio.open(answer.files[0]) as file:
        measured = file.dataset_mask() > 0
    if "NaN" in kind:
        measured[:, :24] = False
    np.testing.assert_array_equal(answer.mapped[0] != 255, measured)
    scene = answer.scenes[0]
    up, left = ((n - m) // 2 for n, m in zip(measured.shape, scene.pixels.shape[1:], strict=True))
    assert all(measured[up + row, left + col] for _, row, col in answer.middles), "a point lies where nothing was"


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_of_this_kind_is_refused_in_one_sentence(kind, tmp_path, tried):
    tried("refused plainly")
    make, words = REFUSED[kind]
    place = make(tmp_path / "p.tif")
    with pytest.raises((ValueError, FileNotFoundError, RuntimeError), match=words) as error:
        chapter_6.run(place, tmp_path)
    assert "\n" not in str(error.value) and "previous exception" not in str(error.value)


@pytest.mark.parametrize(
    "kind", ["names of Earth Engine", "float with NaN", "a single band", "a photograph of 128 x 80"]
)
def test_a_rival_network_learns_from_it_too(kind, tmp_path, tried):
    tried("right")
    chapter_6.run(KINDS[kind](tmp_path / "p.tif"), tmp_path, features="U-Net")

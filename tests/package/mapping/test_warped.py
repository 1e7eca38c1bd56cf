"""A map has classes where the source was measured and nowhere else; resolutions are meters on the ground."""

from functools import cache

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform as reproject
from small_rasters import CLASSES, do, noise, predict, write

from lulc_utils import mapping
from lulc_utils.scene import UNLABELLED

HEIGHT, WIDTH = 60, 70
VALID = np.ones((HEIGHT, WIDTH), bool)
VALID[:, :20] = False
VALID[30:40, 40:50] = False
NORTH = from_origin(300_000, 6_500_000, 10, 10)
PLACES = {
    "north": NORTH,
    "turned": NORTH * Affine.rotation(25),
    "south-up": Affine(10, 0, 300_000, 0, 10, 6_499_400),
}
FOOT = 0.3048006096


def source_of(path, bands, dtype, way, place):
    """A raster of which VALID was measured, all of it when the way is 'whole'."""
    pixels = noise(HEIGHT, WIDTH, bands).astype(dtype)
    profile = {"transform": PLACES[place], "count": bands}
    if way == "nodata in one band":
        pixels[-1, ~VALID], profile["nodata"] = 0, 0
    elif way == "NaN":
        pixels[0, ~VALID] = np.nan
    elif way == "alpha":
        pixels = np.concatenate([pixels, np.where(VALID, 255, 0).astype(dtype)[None]])
    profile |= {"driver": "GTiff", "dtype": dtype, "crs": "EPSG:32633", "height": HEIGHT, "width": WIDTH}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile | {"count": len(pixels)}) as file,
    ):
        file.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (len(pixels) - 1)]
        if way == "alpha":
            file.colorinterp = [*file.colorinterp[:-1], ColorInterp.alpha]
        file.write(pixels)
        if way == "mask":
            file.write_mask(VALID)
    return path


@cache  # many maps have the same grid
def in_source(crs, transform, shape, place):
    """Columns and rows in the source of the middles of all pixels of a map."""
    rows, cols = np.indices(shape) + 0.5
    xs, ys = reproject(crs, "EPSG:32633", *transform * (cols.ravel(), rows.ravel()))
    return ~PLACES[place] * (np.array(xs), np.array(ys))


def checked(out, place, valid, reach):
    """Mapped pixels with no valid pixel of the source within `reach`, and those lost though all there are valid."""
    with rasterio.open(out) as file:
        mapped = file.read(1) != UNLABELLED
        cols, rows = in_source(file.crs, file.transform, mapped.shape, place)
    near = []
    for down in (-reach, 0, reach):
        for right in (-reach, 0, reach):
            row, col = np.floor(rows + down).astype(int), np.floor(cols + right).astype(int)
            inside = (row >= 0) & (col >= 0) & (row < HEIGHT) & (col < WIDTH)
            near.append(inside & valid[row.clip(0, HEIGHT - 1), col.clip(0, WIDTH - 1)])
    return int((mapped.ravel() & ~np.any(near, 0)).sum()), int((~mapped.ravel() & np.all(near, 0)).sum())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("way", ["whole", "nodata in one band", "NaN", "mask", "alpha"])
def test_nothing_is_mapped_where_nothing_was_measured(tmp_path, way, dtype, place):
    if way == "NaN" and dtype != "float32":
        return
    valid = np.ones_like(VALID) if way == "whole" else VALID
    for bands in (1, 2, 3, 4, 5) if place == "north" else (2, 5):
        source = source_of(tmp_path / "a.tif", bands, dtype, way, place)
        for crs, resampling, reach in (
            (None, "nearest", 0.02),
            ("EPSG:3857", "nearest", 0.02),
            ("EPSG:3035", "bilinear", 1.01),
        ):
            grid = {"crs": crs, "resampling": resampling} if crs else {}
            out = do(source, tmp_path / "map.tif", window=48, overlap=8, resume=False, **grid)
            assert checked(out, place, valid, reach) == (0, 0), (bands, crs)


def test_what_a_warped_pixel_is_made_of_was_measured(tmp_path):
    """Bilinear values are those of a raster without holes wherever the hole is not near, and never the hole's own."""
    for way in ("nodata in one band", "mask", "alpha"):
        source = source_of(tmp_path / "a.tif", 3, "uint8", way, "north")
        with rasterio.open(source, "r+") as file:
            pixels = file.read()
            pixels[:3] = np.where(VALID, 100, 0)
            file.write(pixels)
        seen = []
        watch = mapping.Model(lambda p, seen=seen: seen.append(np.unique(p)) or predict(p), "w", "1", CLASSES)
        do(source, tmp_path / "map.tif", watch, crs="EPSG:3857", resume=False)
        assert set(np.concatenate(seen)) == {100}, way


@pytest.mark.parametrize("target", [None, "EPSG:32633", "EPSG:3857"])
def test_a_turned_raster_keeps_square_pixels_of_its_size(tmp_path, target):
    source = source_of(tmp_path / "a.tif", 1, "uint8", "whole", "turned")
    with rasterio.open(do(source, tmp_path / "map.tif", **({"crs": target} if target else {}))) as file:
        across, down = file.res
    assert across == pytest.approx(down)
    factor = 1.9 if target == "EPSG:3857" else 1  # 1 / cos(58.6 degrees)
    assert across == pytest.approx(10 * factor, rel=0.02)
    with rasterio.open(do(source, tmp_path / "map.tif", crs="EPSG:32633", resolution=5, resume=False)) as file:
        assert file.res == (5, 5) and file.bounds.left == pytest.approx(300_000, abs=260)


# ------------------------------------------------------------------------------------------- resolution


def model_of(meters):
    return mapping.Model(predict, "m", "1", CLASSES, resolution=meters)


def located(path, crs, lon, lat, size):
    (x,), (y,) = reproject("EPSG:4326", crs, [lon], [lat])
    return write(path, noise(50, 60), crs=crs, transform=from_origin(x, y, size, size))


@pytest.mark.parametrize(
    "crs, lon, lat, size, meters, advice",
    [
        ("EPSG:4326", -74, 40.7, 10 / 111_320, 0.5, "crs='EPSG:32618', resolution=0.5"),
        ("EPSG:4326", 18, -34, 1e-4, 30, "crs='EPSG:32734', resolution=30"),
        ("EPSG:2263", -74, 40.7, 1 / FOOT, 0.5, r"resolution=1.64042 \(US survey foot\)"),
        ("EPSG:2263", -74, 40.7, 0.5, 0.5, r"resolution=1.64042 \(US survey foot\)"),
        ("EPSG:3857", 5, 60, 10, 10, "resolution=19.9"),
        ("EPSG:32631", 5, 60, 20, 10, "resolution=10"),
    ],
)
def test_another_resolution_is_refused_in_every_unit_with_advice_that_works(
    tmp_path, crs, lon, lat, size, meters, advice
):
    source = located(tmp_path / "a.tif", crs, lon, lat, size)
    with pytest.raises(ValueError, match=f"the model was trained at {meters:g} m; pass {advice}") as refused:
        do(source, tmp_path / "map.tif", model_of(meters))
    words = str(refused.value).split("pass ")[1].split(" to warp")[0].split(" (")[0]
    out = do(source, tmp_path / "map.tif", model_of(meters), **eval(f"dict({words})"))
    with rasterio.open(out) as file:
        places = file.transform * (np.array([25, 26, 25]), np.array([25, 25, 26]))
        corners = np.array(reproject(file.crs, "EPSG:4326", *places))
    steps = (corners[:, 1:] - corners[:, :1]) * [[np.cos(np.radians(lat))], [1]] * 111_320
    np.testing.assert_allclose(np.hypot(*steps), meters, rtol=0.01)


@pytest.mark.parametrize(
    "crs, lon, lat, size, meters",
    [
        ("EPSG:4326", 5, 0, 10 / 111_320, 10),
        ("EPSG:4326", 5, 45, 10 / 111_320, 10),
        ("EPSG:2263", -74, 40.7, 0.5 / FOOT, 0.5),
        ("EPSG:3857", 5, 60, 20, 10),
        ("EPSG:32631", 5, 60, 10, 10),
    ],
)
def test_the_right_resolution_passes_in_every_unit(tmp_path, crs, lon, lat, size, meters):
    do(located(tmp_path / "a.tif", crs, lon, lat, size), tmp_path / "map.tif", model_of(meters))


def test_a_resolution_in_the_wrong_unit_is_said_to_be_one(tmp_path):
    source = located(tmp_path / "a.tif", "EPSG:4326", -74, 40.7, 10 / 111_320)
    for meters in (10, 0.5):
        with pytest.raises(ValueError, match=rf"resolution={meters:g} is larger than .* units of EPSG:4326 \(degree\)"):
            do(source, tmp_path / "map.tif", resolution=meters)
    for nonsense in (float("inf"), float("nan"), -1, 0):
        with pytest.raises(ValueError, match="resolution must be above 0"):
            do(source, tmp_path / "map.tif", resolution=nonsense)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]

"""Pixels of a place: grid, mosaic, clouds, scale and offset, servers that fail."""

import datetime
import os

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform
from served import BOX, SIZE, epsg_crs, field, get, make_item, write

from lulc_utils import data, places
from lulc_utils.places import read


def test_a_place_is_reflectance_on_one_utm_grid(server):
    server.items = [make_item(server, "A")]
    scene = get(server)
    assert scene.bands == tuple(places.ASSETS) and scene.pixels.dtype == np.float32
    assert scene.crs.to_epsg() == 32632 and scene.date == datetime.date(2023, 7, 1)
    assert scene.transform.a == 10 and scene.transform.e == -10
    assert scene.transform.c % 10 == 0 and scene.transform.f % 10 == 0
    west, south, east, north = scene.bounds_latlon()
    assert west <= BOX[0] and south <= BOX[1] and east >= BOX[2] and north >= BOX[3]
    assert east - west < BOX[2] - BOX[0] + 0.001, "no more than the box asks for"
    assert "A" in scene.source and not scene.simulated and scene.valid.all()
    with rasterio.open(server.folder / "A" / "B03.tif") as file:  # 10 m bands come through untouched
        window = rasterio.windows.from_bounds(
            *rasterio.transform.array_bounds(scene.height, scene.width, scene.transform), file.transform
        )
        assert np.allclose(scene.select("B03")[0], file.read(1, window=window) / 1e4, atol=1e-7)
    for band in ("B02", "B05", "B12"):  # bilinear is exact on a field this smooth, but for rounding to integers
        assert np.abs(scene.select(band)[0] - field(scene, 2000, band)).max() < 1.5e-4, band


def test_only_the_bytes_under_the_box_are_read(server):
    server.items = [make_item(server, "A")]
    noise = np.random.default_rng(0).integers(1, 9000, (2048, 2048)).astype(np.uint16)
    with rasterio.open(server.folder / "A" / "B02.tif") as file:
        corner = file.transform.c, file.transform.f
    write(server.folder / "A" / "B02.tif", noise, 32632, corner, 10)
    get(server)
    size = (server.folder / "A" / "B02.tif").stat().st_size
    assert server.sent["/A/B02.tif"] < 0.1 * size, "a 120-pixel window of a 2048-pixel image"


def test_a_box_in_two_utm_zones_becomes_one_grid(server):
    box = (5.992, 45.01, 6.006, 45.02)  # the zones meet at 6 E; most of the box lies in 31
    for name, epsg, edge in (("W", 32631, 6.0015), ("E", 32632, 5.9995)):
        xs, ys = transform("EPSG:4326", epsg_crs(epsg), [edge, edge], [45.015, 45.015])
        left = round(xs[0] / 20) * 20 - (SIZE * 10 if name == "W" else 0)
        server.items.append(make_item(server, name, epsg=epsg, corner=(left, round(ys[0] / 20) * 20 + SIZE * 5)))
    scene = get(server, box)
    assert scene.crs.to_epsg() == 32631 and "W, E" in scene.source
    inside = scene.valid
    assert inside.mean() > 0.99
    x, _ = scene.transform * np.meshgrid(np.arange(scene.width) + 0.5, np.arange(scene.height) + 0.5)
    for band in ("B04", "B11"):
        error = np.abs(scene.select(band)[0] - field(scene, 2000, band))[inside]
        assert error.max() < 4e-4, "the two images join without a step"


def test_clouds_become_nan_or_stay(server):
    scl = np.full((SIZE // 2, SIZE // 2), 4, np.uint8)
    scl[: SIZE // 4] = 9
    server.items = [make_item(server, "A", scl=scl)]
    masked, kept = get(server), get(server, mask_clouds=False)
    share = 1 - masked.valid.mean()
    assert 0.4 < share < 0.6 and f"{share:.0%} of the box masked" in masked.source
    assert kept.valid.all() and np.allclose(kept.pixels[:, masked.valid], masked.pixels[:, masked.valid])


def test_names_of_esa_will_do(server):
    scl = np.full((SIZE // 2, SIZE // 2), 4, np.uint8)
    scl[: SIZE // 4] = 9
    item = make_item(server, "A", scl=scl)
    server.items = [item]
    expected = get(server)
    names = {key: name for name, key in places.ASSETS.items()} | {"scl": "SCL"}
    item["assets"] = {names[key]: asset for key, asset in item["assets"].items()}
    assert np.array_equal(get(server).pixels, expected.pixels, equal_nan=True)


def test_nodata_is_nan(server):
    item = make_item(server, "A")
    with rasterio.open(server.folder / "A" / "B08.tif") as file:
        numbers, corner = file.read(1), (file.transform.c, file.transform.f)
    numbers[:, :120] = 0
    write(server.folder / "A" / "B08.tif", numbers, 32632, corner, 10)
    server.items = [item]
    scene = get(server)
    assert 0 < scene.valid.mean() < 1
    assert (np.isnan(scene.pixels).all(0) == ~scene.valid).all(), "a pixel is there in all bands or in none"


class Thing:
    def __init__(self, **say):
        self.__dict__.update(say)


@pytest.mark.parametrize(
    ("properties", "band", "expected"),
    [
        ({"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}, {"offset": -0.1}, 0.0),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "05.09"}, {"offset": -0.1}, -0.1),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "04.00"}, {"offset": 0}, -0.1),
        ({"earthsearch:boa_offset_applied": False, "s2:processing_baseline": "02.14"}, {"offset": -0.1}, 0.0),
        ({"s2:processing_baseline": "05.00"}, {"offset": -0.1}, -0.1),
        ({"s2:processing_baseline": "05.00"}, {"offset": 0}, 0.0),  # the catalog has taken it off
        ({"s2:processing_baseline": "05.00"}, {}, -0.1),
        ({"s2:processing_baseline": "03.01"}, {}, 0.0),
        ({}, {"offset": -0.1}, -0.1),
        ({"processing:version": "5.11.0"}, {}, -0.1),
        ({"processing:version": "3.01.2"}, {"offset": -0.1}, 0.0),
        ({"processing:version": "new"}, {"offset": -0.1}, -0.1),
    ],
)
def test_offset_follows_the_metadata(properties, band, expected):
    item = Thing(id="X", properties=properties)
    asset = Thing(extra_fields={"raster:bands": [{"scale": 0.0001, **band}]})
    assert places.scale_and_offset(item, asset) == (0.0001, expected)
    assert places.scale_and_offset(item, asset, 0.25) == (0.0001, 0.25)


def test_scale_and_offset_of_stac_1_1():
    item = Thing(id="X", properties={"s2:processing_baseline": "05.11"})
    band = {"raster:scale": 0.0002, "raster:offset": -0.2}
    for fields in (
        {"bands": [band]},
        band,
        {"bands": [{"name": "B02"}], "raster:bands": [{"scale": 2e-4, "offset": -0.2}]},
    ):
        assert places.scale_and_offset(item, Thing(extra_fields=fields)) == (0.0002, -0.2)


def test_offset_is_not_guessed():
    with pytest.raises(ValueError, match="X does not say whether 0.1 was added"):
        places.scale_and_offset(Thing(id="X", properties={}), Thing(extra_fields={}))


def test_offset_is_taken_off_once(server):
    old = {"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": None}
    server.items = [make_item(server, "old", **old)]
    before = get(server)
    server.items = [make_item(server, "new", base=3000, **{"earthsearch:boa_offset_applied": False})]
    assert np.allclose(before.pixels, get(server).pixels, atol=2e-4)


def test_metadata_that_contradict_the_pixels_are_refused(server):
    """Known in the real catalog: the flag says "not applied" but the numbers have it off already."""
    server.items = [make_item(server, "A", base=-1000, **{"earthsearch:boa_offset_applied": False})]
    with pytest.raises(ValueError, match="says that 0.1 was added .* of A, but .*--offset 0"):
        get(server)
    assert get(server, offset=0.0).valid.all()


def test_a_missing_band_and_a_missing_file(server):
    item = make_item(server, "A")
    server.items = [item]
    (server.folder / "A" / "B11.tif").unlink()
    with pytest.raises(data.DataUnavailable, match=r"names http.*/A/B11.tif, but there is no such file"):
        get(server)
    del item["assets"]["swir16"]
    with pytest.raises(ValueError, match="The image A has no band B11; it has blue, "):
        get(server)


def test_a_server_that_fails_for_a_moment_is_asked_again(server):
    server.items = [make_item(server, "A")]
    server.fail = {"/A/B04.tif": 2, "/": 1}
    assert get(server).valid.all()
    server.fail = {"/A/B04.tif": 1000}
    with pytest.raises(data.DataUnavailable, match="/A/B04.tif could not be read in 3 tries"):
        get(server)
    server.fail = {"/search": True}
    with pytest.raises(data.DataUnavailable, match="The catalog http.* answered 500; try again later"):
        get(server)


def test_a_truncated_file_is_not_taken(server):
    server.items = [make_item(server, "A")]
    path = server.folder / "A" / "B08.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(data.DataUnavailable, match="/A/B08.tif could not be read in 3 tries"):
        get(server)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    grid = places.Grid(None, None, 1, 1)
    with pytest.raises(data.DataUnavailable, match="pipe.tif is not a regular file"):
        read.read_band(str(tmp_path / "pipe.tif"), grid, None)

"""Places on Earth, from a catalogue and files that these tests make and serve on localhost."""

import builtins
import datetime
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform, transform_bounds

from lulc_utils import data, raster, simulate
from lulc_utils import places as stac
from lulc_utils.scene import UNLABELLED

pytest.importorskip("pystac_client")

BOX = (9.02, 45.01, 9.035, 45.02)  # about 1.2 x 1.1 km in UTM zone 32
SIZE = 256  # pixels of 10 m of a made image; Sentinel-2's are 10980


class Server(ThreadingHTTPServer):
    """Files of a folder with byte ranges, a STAC API over `items`, and a list of what was asked."""

    daemon_threads = True

    def __init__(self, folder):
        self.folder, self.items, self.sent, self.fail = Path(folder), [], {}, {}
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked = asked
        if self.server.fail.get("/search"):
            return self.answer(500)
        found = [i for i in self.server.items if i["collection"] in asked["collections"]]
        page = {"type": "FeatureCollection", "features": found, "links": []}
        self.answer(200, json.dumps(page).encode(), Content_Type="application/geo+json")

    def do_GET(self):
        server, path = self.server, self.path.split("?")[0]
        if server.fail.get(path, 0) > 0:
            server.fail[path] -= 1
            return self.answer(500)
        if path == "/":
            return self.answer(200, json.dumps(landing(server.url)).encode(), Content_Type="application/json")
        file = server.folder / path.lstrip("/")
        if not file.is_file():
            return self.answer(404)
        body, asked = file.read_bytes(), self.headers.get("Range")
        if not asked:
            server.sent[path] = server.sent.get(path, 0) + len(body) * (self.command == "GET")
            return self.answer(200, body, Accept_Ranges="bytes")
        start, _, stop = asked.removeprefix("bytes=").partition("-")
        part = body[int(start) : int(stop or len(body)) + 1]
        if not part:
            return self.answer(416)
        server.sent[path] = server.sent.get(path, 0) + len(part)
        where = f"bytes {start}-{int(start) + len(part) - 1}/{len(body)}"
        self.answer(206, part, Accept_Ranges="bytes", Content_Range=where)


def landing(url):
    search = {"rel": "search", "type": "application/geo+json", "href": f"{url}/search"}
    links = [{"rel": "self", "href": url}, {"rel": "root", "href": url}]
    links += [{**search, "method": method} for method in ("GET", "POST")]
    kinds = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
    about = {"type": "Catalog", "id": "small", "stac_version": "1.0.0", "description": "a test"}
    return {**about, "links": links, "conformsTo": kinds}


def write(path, numbers, crs, corner, pixel, **profile):
    """[rows, cols] or [bands, rows, cols] as a small COG, like those of Earth Search."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "COG", "blocksize": 128, "compress": "deflate", "nodata": 0} | profile
    where = from_origin(*corner, pixel, pixel)
    numbers = numbers.reshape(-1, *numbers.shape[-2:])  # [bands, rows, cols]
    shape = dict(zip(("count", "height", "width"), numbers.shape, strict=True)) | {"dtype": numbers.dtype}
    with rasterio.open(path, "w", crs=crs, transform=where, **shape, **profile) as file:
        file.write(numbers)


def numbers_at(x, y, crs, base):
    """A smooth field over the Earth, the same in every UTM zone: digital numbers at coordinates."""
    lon, lat = transform(crs, "EPSG:4326", np.ravel(x), np.ravel(y))
    lon, lat = np.reshape(lon, np.shape(x)), np.reshape(lat, np.shape(x))
    return base + 40_000 * (lon - np.round(lon.mean())) + 40_000 * (lat - 45)


def make_item(
    server, name, *, epsg=32632, corner=None, size=SIZE, day="2023-07-01", cloud=5.0, base=2000, scl=None, **props
):
    """Ten bands and a scene classification as COGs, and the item that names them; returns the item."""
    if corner is None:  # the box lies in the middle
        west, south, east, north = transform_bounds("EPSG:4326", f"EPSG:{epsg}", *BOX)
        corner = (round((west + east) / 40) * 20 - size * 5, round((south + north) / 40) * 20 + size * 5)
    assets, extra = {}, props.pop("bands_say", {"scale": 0.0001, "offset": -0.1})
    for k, (band, key) in enumerate(stac.BANDS.items()):
        pixel = 10 if band in ("B02", "B03", "B04", "B08") else 20
        n = size * 10 // pixel
        x = corner[0] + pixel * (np.arange(n) + 0.5)[None].repeat(n, 0)
        y = corner[1] - pixel * (np.arange(n) + 0.5)[:, None].repeat(n, 1)
        path = server.folder / name / f"{band}.tif"
        write(path, np.rint(numbers_at(x, y, f"EPSG:{epsg}", base + 100 * k)).astype(np.uint16), epsg, corner, pixel)
        assets[key] = {"href": f"{server.url}/{name}/{band}.tif", "raster:bands": [{"nodata": 0, **extra}]}
    classes = np.full((size // 2, size // 2), 4, np.uint8) if scl is None else scl
    write(server.folder / name / "SCL.tif", classes, epsg, corner, 20)
    assets["scl"] = {"href": f"{server.url}/{name}/SCL.tif"}
    bounds = (corner[0], corner[1] - 10 * size, corner[0] + 10 * size, corner[1])
    w, s, e, n = transform_bounds(f"EPSG:{epsg}", "EPSG:4326", *bounds)
    ring = transform(epsg_crs(epsg), "EPSG:4326", *zip(*corners(bounds), strict=True))
    said = {"datetime": f"{day}T10:20:30Z", "eo:cloud_cover": cloud, "platform": "sentinel-2a", "proj:epsg": epsg}
    said |= {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"} | props
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": "sentinel-2-l2a", "links": [],
        "bbox": [w, s, e, n], "assets": assets, "properties": {k: v for k, v in said.items() if v is not None},
        "geometry": {"type": "Polygon", "coordinates": [list(map(list, zip(*ring[:2], strict=True)))]},
    }  # fmt: skip


def epsg_crs(epsg):
    return f"EPSG:{epsg}"


def corners(b):
    return [(b[0], b[1]), (b[2], b[1]), (b[2], b[3]), (b[0], b[3]), (b[0], b[1])]


def write_worldcover(server, tile="N45E009", step=0.0005):
    """One tile of labels, 0.1 x 0.1 degrees of it: columns of trees, grass, crops and water."""
    lat, lon = int(tile[1:3]), int(tile[4:])
    columns = np.array([10, 30, 40, 80], np.uint8)[np.arange(200) // 3 % 4]
    write(server.folder / f"wc_{tile}.tif", np.tile(columns, (200, 1)), 4326, (lon, lat + 0.1), step)
    return columns


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(stac, "BACKOFF", 0.0)
    monkeypatch.delenv("LULC_OFFLINE", raising=False)
    (tmp_path / "web").mkdir()
    one = Server(tmp_path / "web")
    yield one
    one.shutdown()
    one.server_close()


def get(server, bbox=BOX, dates="2023-06-01/2023-08-31", **options):
    options = {"labels": False, "progress": False, "catalogue": server.url} | options
    return stac.place(bbox, dates, worldcover=server.url + "/wc_{tile}.tif", **options)


def field(scene, base, band):
    """What the made images hold at the scene's pixels, as reflectance."""
    x, y = scene.transform * np.meshgrid(np.arange(scene.width) + 0.5, np.arange(scene.height) + 0.5)
    return numbers_at(x, y, scene.crs, base + 100 * list(stac.BANDS).index(band)) / 10_000


# ------------------------------------------------------------------------------------------------------ the scene


def test_a_place_is_reflectance_on_one_utm_grid(server):
    server.items = [make_item(server, "A")]
    scene = get(server)
    assert scene.bands == tuple(stac.BANDS) and scene.pixels.dtype == np.float32
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


def test_labels_are_the_nearest_worldcover_pixel(server):
    columns = write_worldcover(server)
    server.items = [make_item(server, "A")]
    scene = get(server, labels=True)
    assert scene.classes == stac.WORLDCOVER_CLASSES
    x, y = scene.transform * np.meshgrid(np.arange(scene.width) + 0.5, np.arange(scene.height) + 0.5)
    lon = np.reshape(transform(scene.crs, "EPSG:4326", x.ravel(), y.ravel())[0], x.shape)
    truth = columns[((lon - 9) / 0.0005).astype(int)]
    number = np.array(stac.WORLDCOVER_NUMBERS)[scene.labels]
    assert (number == truth).mean() > 0.99  # GDAL's coordinates are good to an eighth of a pixel
    assert set(scene.labels.ravel()) == {0, 2, 3, 7}


def test_where_worldcover_has_no_tile_nothing_is_labelled(server):
    server.items = [make_item(server, "A")]
    assert (get(server, labels=True).labels == UNLABELLED).all()


def test_tiles_of_worldcover():
    assert stac.worldcover_tiles((9.1, 45.1, 9.2, 45.2)) == ["N45E009"]
    assert stac.worldcover_tiles((8.9, 44.9, 9.1, 45.1)) == ["N42E006", "N42E009", "N45E006", "N45E009"]
    assert stac.worldcover_tiles((-46.7, -23.6, -46.6, -23.5)) == ["S24W048"]
    assert stac.worldcover_tiles((-0.5, -0.5, 0.5, 0.5)) == ["S03W003", "S03E000", "N00W003", "N00E000"]
    assert stac.worldcover_tiles((6.0, 45.0, 9.0, 48.0)) == ["N45E006"]
    url = stac.WORLDCOVER.format(tile="N45E009", year=2021, version="v200")
    assert url.endswith("/v200/2021/map/ESA_WorldCover_10m_2021_v200_N45E009_Map.tif")


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


# ------------------------------------------------------------------------------------------------ scale and offset


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
        ({"s2:processing_baseline": "05.00"}, {"offset": 0}, 0.0),  # the catalogue has taken it off
        ({"s2:processing_baseline": "05.00"}, {}, -0.1),
        ({"s2:processing_baseline": "03.01"}, {}, 0.0),
        ({}, {"offset": -0.1}, -0.1),
    ],
)
def test_offset_follows_the_metadata(properties, band, expected):
    item = Thing(id="X", properties=properties)
    asset = Thing(extra_fields={"raster:bands": [{"scale": 0.0001, **band}]})
    assert stac.scale_and_offset(item, asset) == (0.0001, expected)
    assert stac.scale_and_offset(item, asset, 0.25) == (0.0001, 0.25)


def test_offset_is_not_guessed():
    with pytest.raises(ValueError, match="X does not say whether 0.1 was added"):
        stac.scale_and_offset(Thing(id="X", properties={}), Thing(extra_fields={}))


def test_offset_is_taken_off_once(server):
    old = {"s2:processing_baseline": "02.14", "earthsearch:boa_offset_applied": None}
    server.items = [make_item(server, "old", **old)]
    before = get(server)
    server.items = [make_item(server, "new", base=3000, **{"earthsearch:boa_offset_applied": False})]
    assert np.allclose(before.pixels, get(server).pixels, atol=2e-4)


def test_metadata_that_contradict_the_pixels_are_refused(server):
    """Known in the real catalogue: the flag says "not applied" but the numbers have it off already."""
    server.items = [make_item(server, "A", base=-1000, **{"earthsearch:boa_offset_applied": False})]
    with pytest.raises(ValueError, match="says that 0.1 was added .* of A, but .*--offset 0"):
        get(server)
    assert get(server, offset=0.0).valid.all()


# --------------------------------------------------------------------------------------------------------- choice


def test_the_clearest_day_that_covers_the_box_is_taken_and_ties_go_to_the_earliest(server):
    b = make_item(server, "B", cloud=3, day="2023-07-11")
    a = make_item(server, "A", cloud=3, day="2023-07-06")
    west, _, _, north = transform_bounds("EPSG:4326", "EPSG:32632", *BOX)
    partial = (round(west / 20) * 20 + 400, round(north / 20) * 20 + 600)
    clear = make_item(server, "part", cloud=0, day="2023-07-01", corner=partial)
    for items in ([a, b, clear], [clear, b, a]):
        server.items = items
        found = stac.search(BOX, "2023-07-01/2023-07-31", catalogue=server.url)
        assert [i.id for i in found] == ["part", "A", "B"]
        assert [i.id for i in stac.choose(found, BOX, 20)] == ["A"]
    b["properties"]["eo:cloud_cover"] = 2
    assert "(B)" in get(server).source
    server.items = [clear]
    with pytest.raises(ValueError, match="No single day covers the whole box .*the best covers 66%"):
        get(server)


def test_no_more_images_are_read_than_the_box_needs(server):
    server.items = [make_item(server, "A", cloud=4), make_item(server, "A2", cloud=2)]
    found = stac.search(BOX, "2023-07-01", catalogue=server.url)
    assert [i.id for i in stac.choose(found, BOX, 20)] == ["A2"]


def test_no_item_and_all_cloudy(server):
    with pytest.raises(ValueError, match="No image of this place exists in these days"):
        get(server)
    server.items = [make_item(server, "A", cloud=45), make_item(server, "B", cloud=82)]
    with pytest.raises(ValueError, match=r"All 2 images .* more than 20 % cloud \(the clearest 45 %\)"):
        get(server)
    with pytest.raises(ValueError, match="No image of this place exists"):
        get(server, dates="2022-06-01/2022-06-30")  # the server here ignores dates; we do not
    with pytest.raises(ValueError, match="No image of this place exists"):
        get(server, bbox=(19.02, 45.01, 19.03, 45.02))
    scl = np.full((SIZE // 2, SIZE // 2), 9, np.uint8)
    server.items = [make_item(server, "C", scl=scl)]
    with pytest.raises(ValueError, match="Nothing is left of C: the box is cloud"):
        get(server)


def test_the_api_is_asked_for_the_box_and_the_days(server):
    stac.search(BOX, "2023-07-01/2023-07-31", catalogue=server.url)
    assert server.asked["bbox"] == list(BOX) and server.asked["collections"] == ["sentinel-2-l2a"]
    assert server.asked["datetime"] == "2023-07-01T00:00:00Z/2023-07-31T23:59:59Z"


def test_a_static_catalogue_will_do(server, tmp_path):
    item = make_item(server, "A")
    about = {"stac_version": "1.0.0", "description": "a test"}
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-01-01T00:00:00Z", None]]}}
    child = [{"rel": "child", "href": "collection.json"}]
    root = {"type": "Catalog", "id": "r", "links": child, **about}
    collection = {"type": "Collection", "id": "sentinel-2-l2a", "license": "other", "extent": extent, **about}
    collection["links"] = [{"rel": "item", "href": "A/item.json"}]
    for asset in item["assets"].values():
        asset["href"] = "./" + asset["href"].rsplit("/", 1)[1]  # relative, as static catalogues are
    for name, what in (("catalog", root), ("collection", collection), ("A/item", item)):
        (server.folder / f"{name}.json").write_text(json.dumps(what))
    for catalogue in (f"{server.url}/catalog.json", str(server.folder / "catalog.json")):
        scene = get(server, catalogue=catalogue)
        assert scene.valid.all() and "A" in scene.source
        with pytest.raises(ValueError, match="has no collection 'landsat'"):
            get(server, catalogue=catalogue, collection="landsat")


# -------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("bbox", "message"),
    [
        ((9.1, 45, 9.0, 45.1), "west .9.1. must be smaller than its east .9.*antimeridian"),
        ((179.9, -17, -179.9, -16.8), "antimeridian"),
        ((179.9, -17, 180.1, -16.8), "Longitudes lie between -180 and 180"),
        ((9, 45.1, 9.1, 45), "south .45.1. must be smaller than its north"),
        ((9, 85, 9.1, 86), "UTM grids reach from 80 S to 84 N"),
        ((9, float("nan"), 9.1, 46), "four numbers"),
        ((9, 45, 9.1), "four numbers"),
    ],
)
def test_wrong_boxes(bbox, message):
    with pytest.raises(ValueError, match=message):
        stac.place(bbox, "2023-07-01", catalogue="http://127.0.0.1:9")


@pytest.mark.parametrize("dates", ["summer", "2023-07", "2023-07-32", "2023-07-01/2023-07-02/2023-07-03", ""])
def test_wrong_dates(dates):
    with pytest.raises(ValueError, match="Dates look like 2023-06-01/2023-08-31"):
        stac.place(BOX, dates, catalogue="http://127.0.0.1:9")


def test_more_wrong_requests(server):
    with pytest.raises(ValueError, match="first day .2023-08-01. is later than the last"):
        get(server, dates="2023-08-01/2023-07-01")
    with pytest.raises(ValueError, match="percentage from 0 to 100"):
        get(server, max_cloud=120)
    with pytest.raises(ValueError, match="WorldCover exists for 2020 and 2021, not for 2019"):
        get(server, labels=True, year=2019)
    server.items = [make_item(server, "A")]
    server.items[0]["geometry"]["coordinates"] = [[[8, 44], [10, 44], [10, 46], [8, 46], [8, 44]]]
    with pytest.raises(ValueError, match="at most 50 km along a side"):
        get(server, bbox=(8.5, 45, 9.5, 45.2))
    with pytest.raises(ValueError, match="four numbers"):
        stac.parse_bbox("9, 45, 10")
    assert stac.parse_bbox("9,45 9.1, 45.1") == (9, 45, 9.1, 45.1)


def test_around_a_point():
    for lat, lon in ((0, 0), (57.2, 9.8), (-38.8, -72.5)):
        west, south, east, north = stac.around(lat, lon, 2000)
        zone = 32601 + int((lon + 180) // 6) + 100 * (lat < 0)
        left, bottom, right, top = transform_bounds("EPSG:4326", f"EPSG:{zone}", west, south, east, north)
        assert abs(right - left - 2000) < 120 and abs(top - bottom - 2000) < 120
    with pytest.raises(ValueError, match="no square of 100 m around latitude 95"):
        stac.around(95, 0, 100)


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
    with pytest.raises(data.DataUnavailable, match="The catalogue http.* answered 500; try again later"):
        get(server)


def test_a_truncated_file_is_not_taken(server):
    server.items = [make_item(server, "A")]
    path = server.folder / "A" / "B08.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(data.DataUnavailable, match="/A/B08.tif could not be read in 3 tries"):
        get(server)


def test_offline_in_one_sentence(server, monkeypatch):
    gone = "http://127.0.0.1:9"  # the discard port: nothing listens
    with pytest.raises(data.DataUnavailable, match="The catalogue .* cannot be reached .* a GeoTIFF of your own"):
        get(server, catalogue=gone)
    monkeypatch.setenv("LULC_OFFLINE", "1")
    with pytest.raises(data.DataUnavailable, match="LULC_OFFLINE is set"):
        get(server)
    monkeypatch.delenv("LULC_OFFLINE")
    (server.folder / "page").write_text("<html>log in to the hotel network</html>")
    with pytest.raises(data.DataUnavailable, match="catalogue"):
        get(server, catalogue=f"{server.url}/page")


def test_without_pystac_client_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pystac_client"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.delenv("LULC_OFFLINE", raising=False)  # else nothing would be asked, and nothing imported
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "lulc-utils\[stac\]"'):
        stac.search(BOX, "2023-07-01")


# ------------------------------------------------------------------------------------------- cache and command line


def test_a_box_in_a_string_is_read_once_and_kept(server, tmp_path):
    write_worldcover(server)
    server.items = [make_item(server, "A")]
    options = {"catalogue": server.url, "worldcover": server.url + "/wc_{tile}.tif", "progress": False}
    options["cache"] = tmp_path / "kept"
    text = " ".join(map(str, BOX)) + " 2023-06-01/2023-08-31"
    [first] = stac.open_place(text, **options)
    direct, kept = get(server, labels=True), raster.read_scene(first)
    assert np.array_equal(kept.pixels, direct.pixels) and np.array_equal(kept.labels, direct.labels)
    assert (kept.date, kept.source, kept.crs, kept.name) == (direct.date, direct.source, direct.crs, direct.name)
    server.items = []
    assert stac.open_place(text.replace(" ", ", "), **options) == [first], "no network is needed again"
    with pytest.raises(ValueError, match="No image"):
        stac.open_place(text, max_cloud=30, **options)


def test_files_and_folders_are_places_too(server, tmp_path):
    server.items = [make_item(server, "A")]
    scene = get(server)
    for name in ("b", "a"):
        raster.write_scene(scene, tmp_path / f"{name}.tif")
    (tmp_path / "a.labels.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    assert [p.name for p in stac.open_place(str(tmp_path))] == ["a.tif", "b.tif"]
    assert stac.open_place(str(tmp_path / "b.tif")) == [tmp_path / "b.tif"]
    write(tmp_path / "c.tif", np.ones((64, 64), np.uint8), 32632, (5e5, 5e6), 10)
    with pytest.raises(ValueError, match="a.tif and c.tif do not have the same bands"):
        stac.open_place(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no file or folder 'Atlantis', and it is no box with dates"):
        stac.open_place("Atlantis")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no GeoTIFF"):
        stac.open_place(str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="Dates look like"):
        stac.open_place("9 45 9.1 45.1 summer")


def test_command_line_writes_a_whole_place_or_nothing(server, tmp_path, capsys):
    write_worldcover(server)
    server.items = [make_item(server, "A")]
    out = tmp_path / "place.tif"
    box = ["--bbox", *map(str, BOX), "--dates", "2023-06-01/2023-08-31"]
    local = ["--catalogue", server.url, "--worldcover", server.url + "/wc_{tile}.tif", "--out", str(out)]
    server.fail = {"/A/B12.tif": 1000}
    assert stac.main([*box, *local, "--quiet"]) == 1
    assert "could not be read in 3 tries" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["web"], "nothing half-written"
    server.fail = {}
    assert stac.main([*box, *local]) == 0
    assert "pixels of 10 m, EPSG:32632; Sentinel-2 (A), 2023-07-01" in capsys.readouterr().out
    scene = raster.read_scene(out, require_crs=True)
    assert scene.labels is not None and scene.valid.all() and scene.date == datetime.date(2023, 7, 1)
    assert stac.main([*box, *local, "--max-cloud", "1", "--quiet"]) == 2
    assert "more than 1 % cloud" in capsys.readouterr().err
    assert stac.main([*box, *local[:-1], str(tmp_path / "no" / "x.tif")]) == 2
    square = ["--around", "45.015", "9.0275", "500", "--dates", "2023-07-01", "--no-labels", "--keep-clouds"]
    assert stac.main([*square, *local, "--quiet"]) == 0
    assert raster.read_scene(out).labels is None and 50 <= raster.read_scene(out).width <= 54


def test_help():
    done = subprocess.run([sys.executable, "-m", "lulc_utils.places", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--bbox W S E N" in done.stdout and "--max-cloud" in done.stdout


# ------------------------------------------------------------------------------------------------------- chapter 6


def run_chapter(tmp_path, monkeypatch, place, **parameters):
    """Chapter 6 on a place, with few points and without real data; returns the folder it wrote."""
    papermill = pytest.importorskip("papermill")
    monkeypatch.setenv("LULC_OFFLINE", "1")
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.delenv("LULC_DATA_MIRROR", raising=False)
    parameters |= {"place": str(place), "out_folder": str(tmp_path / "out"), "steps": 2, "side": 96}
    notebook = Path(__file__).parents[3] / "notebooks" / "06_your_own_place.ipynb"
    papermill.execute_notebook(notebook, tmp_path / "run.ipynb", parameters, progress_bar=False, kernel_name="python3")
    return tmp_path / "out"


def test_chapter_6_maps_a_geotiff_with_labels(tmp_path, monkeypatch):
    raster.write_scene(simulate.satellite(5, size=120), tmp_path / "mine.tif")
    out = run_chapter(tmp_path, monkeypatch, tmp_path / "mine.tif", n_points=12, n_checks=200)
    with rasterio.open(out / "mine map.tif") as file:
        assert file.shape == (120, 120) and file.crs.is_projected  # all of it, though only the middle was learnt
        truth = raster.read_scene(tmp_path / "mine.tif").labels
        assert (file.read(1) == truth).mean() > 0.5
    assert len((out / "to_label.csv").read_text().splitlines()) == 13


def test_chapter_6_maps_a_folder_of_photos_with_answers(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for i in range(2):
        scene = simulate.aerial(i, size=128)
        write(
            tmp_path / "photos" / f"{i}.tif",
            scene.pixels,
            scene.crs,
            (scene.transform.c, scene.transform.f),
            0.5,
            nodata=None,
        )
    rows = [
        "point,image,longitude,latitude,class",
        *(f"{i},0.tif,0,0,{c}" for i, c in enumerate(["roof", "", "grass"])),
    ]
    (tmp_path / "filled.csv").write_text("\n".join(rows))
    out = run_chapter(tmp_path, monkeypatch, tmp_path / "photos", n_points=3, answers=str(tmp_path / "filled.csv"))
    for i in range(2):
        with rasterio.open(out / f"{i} map.tif") as file:
            assert file.shape == (128, 128) and set(np.unique(file.read(1))) <= {0, 1}
            assert file.tags(1)["CLASS_0"] == "grass" and file.tags(1)["CLASS_1"] == "roof"

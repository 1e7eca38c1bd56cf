"""A catalog and images that the tests make and serve on localhost."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform, transform_bounds

from lulc_utils import places

BOX = (9.02, 45.01, 9.035, 45.02)  # about 1.2 x 1.1 km in UTM zone 32
SIZE = 256  # pixels of 10 m of a made image; Sentinel-2's are 10980


class Server(ThreadingHTTPServer):
    """Files of a folder with byte ranges, a STAC API over `items`, and a list of what was asked."""

    daemon_threads = True

    def __init__(self, folder):
        self.folder, self.items, self.sent, self.fail = Path(folder), [], {}, {}
        self.links = []  # of a page of results
        self.moved = {}  # path -> where it says that it has gone
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


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
        matching = [i for i in self.server.items if i["collection"] in asked["collections"]]
        page = {"type": "FeatureCollection", "features": matching, "links": self.server.links}
        self.answer(200, json.dumps(page).encode(), Content_Type="application/geo+json")

    def do_GET(self):
        server, path = self.server, self.path.split("?")[0]
        if server.fail.get(path, 0) > 0:
            server.fail[path] -= 1
            return self.answer(500)
        if path in server.moved:
            return self.answer(302, Location=server.moved[path])
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
    fields = {}
    for pixel in (10, 20):
        steps = pixel * (np.arange(size * 10 // pixel) + 0.5)
        x, y = np.meshgrid(corner[0] + steps, corner[1] - steps)
        fields[pixel] = numbers_at(x, y, f"EPSG:{epsg}", base)
    for k, (band, key) in enumerate(places.ASSETS.items()):
        pixel = 10 if band in ("B02", "B03", "B04", "B08") else 20
        path = server.folder / name / f"{band}.tif"
        write(path, np.rint(fields[pixel] + 100 * k).astype(np.uint16), epsg, corner, pixel)
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


def get(server, bbox=BOX, dates="2023-06-01/2023-08-31", **options):
    options = {"labels": False, "progress": False, "catalog": server.url} | options
    return places.place(bbox, dates, worldcover=server.url + "/wc_{tile}.tif", **options)


def field(scene, base, band):
    """What the made images hold at the scene's pixels, as reflectance."""
    x, y = scene.transform * np.meshgrid(np.arange(scene.width) + 0.5, np.arange(scene.height) + 0.5)
    return numbers_at(x, y, scene.crs, base + 100 * list(places.ASSETS).index(band)) / 10_000

"""Which images a catalog has, which are taken, and what is refused."""

import builtins
import json

import numpy as np
import pytest
from rasterio.warp import transform_bounds
from served import BOX, SIZE, get, make_item

from lulc_utils import data, places


def test_the_clearest_day_that_covers_the_box_is_taken_and_ties_go_to_the_earliest(server):
    b = make_item(server, "B", cloud=3, day="2023-07-11")
    a = make_item(server, "A", cloud=3, day="2023-07-06")
    west, _, _, north = transform_bounds("EPSG:4326", "EPSG:32632", *BOX)
    partial = (round(west / 20) * 20 + 400, round(north / 20) * 20 + 600)
    clear = make_item(server, "part", cloud=0, day="2023-07-01", corner=partial)
    for items in ([a, b, clear], [clear, b, a]):
        server.items = items
        items = places.search(BOX, "2023-07-01/2023-07-31", catalog=server.url)
        assert [i.id for i in items] == ["part", "A", "B"]
        assert [i.id for i in places.choose(items, BOX, 20)] == ["A"]
    b["properties"]["eo:cloud_cover"] = 2
    assert "(B)" in get(server).source
    server.items = [clear]
    with pytest.raises(ValueError, match="No single day covers the whole box .*the best covers 66%"):
        get(server)


def test_no_more_images_are_read_than_the_box_needs(server):
    server.items = [make_item(server, "A", cloud=4), make_item(server, "A2", cloud=2)]
    items = places.search(BOX, "2023-07-01", catalog=server.url)
    assert [i.id for i in places.choose(items, BOX, 20)] == ["A2"]


@pytest.mark.parametrize("square", [{}, {"grid:code": "MGRS-32TMR"}, {"s2:mgrs_tile": "32TMR"}])
def test_of_two_baselines_the_newer_is_taken(server, square):
    old = make_item(server, "S2A_32TMR_20230701_0_L2A", cloud=1, **{"s2:processing_baseline": "02.14"}, **square)
    new = make_item(server, "S2A_32TMR_20230701_1_L2A", cloud=9, **{"s2:processing_baseline": "05.00"}, **square)
    for items in ([old, new], [new, old]):
        server.items = items
        items = places.search(BOX, "2023-07-01", catalog=server.url)
        assert [i.id for i in places.choose(items, BOX, 20)] == [new["id"]]
    new["properties"]["datetime"] = "2023-07-01T12:00:30Z"  # another pass, which happens near the poles
    items = places.search(BOX, "2023-07-01", catalog=server.url)
    assert [i.id for i in places.choose(items, BOX, 20)] == [old["id"]]


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
    places.search(BOX, "2023-07-01/2023-07-31", catalog=server.url)
    assert server.asked["bbox"] == list(BOX) and server.asked["collections"] == ["sentinel-2-l2a"]
    assert server.asked["datetime"] == "2023-07-01T00:00:00Z/2023-07-31T23:59:59Z"


def test_a_static_catalog_will_do(server, tmp_path):
    item = make_item(server, "A")
    about = {"stac_version": "1.0.0", "description": "a test"}
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-01-01T00:00:00Z", None]]}}
    child = [{"rel": "child", "href": "collection.json"}]
    root = {"type": "Catalog", "id": "r", "links": child, **about}
    collection = {"type": "Collection", "id": "sentinel-2-l2a", "license": "other", "extent": extent, **about}
    collection["links"] = [{"rel": "item", "href": "A/item.json"}]
    for asset in item["assets"].values():
        asset["href"] = "./" + asset["href"].rsplit("/", 1)[1]  # relative, as static catalogs are
    for name, what in (("catalog", root), ("collection", collection), ("A/item", item)):
        (server.folder / f"{name}.json").write_text(json.dumps(what))
    for catalog in (f"{server.url}/catalog.json", str(server.folder / "catalog.json")):
        scene = get(server, catalog=catalog)
        assert scene.valid.all() and "A" in scene.source
        with pytest.raises(ValueError, match="has no collection 'landsat'"):
            get(server, catalog=catalog, collection="landsat")


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
        places.place(bbox, "2023-07-01", catalog="http://127.0.0.1:9")


@pytest.mark.parametrize("dates", ["summer", "2023-07", "2023-07-32", "2023-07-01/2023-07-02/2023-07-03", ""])
def test_wrong_dates(dates):
    with pytest.raises(ValueError, match="Dates look like 2023-06-01/2023-08-31"):
        places.place(BOX, dates, catalog="http://127.0.0.1:9")


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
        places.parse_bbox("9, 45, 10")
    assert places.parse_bbox("9,45 9.1, 45.1") == (9, 45, 9.1, 45.1)


def test_around_a_point():
    for lat, lon in ((0, 0), (57.2, 9.8), (-38.8, -72.5)):
        west, south, east, north = places.around(lat, lon, 2000)
        zone = 32601 + int((lon + 180) // 6) + 100 * (lat < 0)
        left, bottom, right, top = transform_bounds("EPSG:4326", f"EPSG:{zone}", west, south, east, north)
        assert abs(right - left - 2000) < 120 and abs(top - bottom - 2000) < 120
    with pytest.raises(ValueError, match="no square of 100 m around latitude 95"):
        places.around(95, 0, 100)


def test_offline_in_one_sentence(server, monkeypatch):
    gone = "http://127.0.0.1:9"  # the discard port: nothing listens
    with pytest.raises(data.DataUnavailable, match="The catalog .* cannot be reached .* a GeoTIFF of your own"):
        get(server, catalog=gone)
    monkeypatch.setenv("LULC_OFFLINE", "1")
    with pytest.raises(data.DataUnavailable, match="LULC_OFFLINE is set"):
        get(server)
    monkeypatch.delenv("LULC_OFFLINE")
    (server.folder / "page").write_text("<html>log in to the hotel network</html>")
    with pytest.raises(data.DataUnavailable, match="catalog"):
        get(server, catalog=f"{server.url}/page")


def test_without_pystac_client_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pystac_client"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.delenv("LULC_OFFLINE", raising=False)  # else nothing would be asked, and nothing imported
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "lulc-utils\[stac\]"'):
        places.search(BOX, "2023-07-01")

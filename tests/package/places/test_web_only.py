"""A catalog on the web makes nobody open a file of this machine."""

import json
import shutil

import pytest
from served import get, landing, make_item

from lulc_utils import data

VRT = """<VRTDataset rasterXSize="256" rasterYSize="256"><SRS>EPSG:32632</SRS>
<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform><VRTRasterBand dataType="UInt16" band="1">
<SimpleSource><SourceFilename>{path}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""

NAMES = {  # what an item may call its red band -> what reads the file at {path} if it is let
    "file": "file://{path}",
    "absolute": "{path}",
    "two slashes": "/{path}",
    "three steps up": "../../..{path}",
    "inline": VRT,
    "driver": "GTIFF_RAW:{path}",
    "directory of a TIFF": "GTIFF_DIR:1:{path}",
    "vrt": "vrt://{path}",
    "vsisubfile": "/vsisubfile/0,{path}",
    "vsicurl": "/vsicurl/file://{path}",
    "vsizip": "/vsizip/{path}.zip",
    "scheme": "zip+file://{path}.zip!B04.tif",
    "backslashes": "\\\\?\\{path}",
    "capitals": "FILE://{path}",
    "space before": " {path}",
    "no file but a name": "B04",
}


@pytest.fixture
def secret(server, tmp_path):
    """A band that would do, outside of what the server serves; the item "A" lacks it."""
    server.items = [make_item(server, "A")]
    shutil.move(server.folder / "A" / "B04.tif", tmp_path / "B04.tif")
    return tmp_path / "B04.tif"


@pytest.mark.slow
@pytest.mark.parametrize("own_link", [None, "file://{path}", "{path}"])
def test_an_item_cannot_name_a_file_of_this_machine(server, secret, own_link):
    item = server.items[0]
    item["links"] = [{"rel": "self", "href": own_link.format(path=secret.with_name("x.json"))}] if own_link else []
    for name in NAMES.values():
        item["assets"]["red"]["href"] = name.format(path=secret)
        with pytest.raises(data.DataUnavailable) as caught:
            get(server)
            pytest.fail(f"{name} was opened")
        assert "\n" not in str(caught.value)


def test_relative_names_follow_the_catalog_not_what_an_item_says_of_itself(server, secret):
    item = server.items[0]
    item["links"] = [{"rel": "self", "href": str(secret.parent / "x.json")}]
    item["assets"]["red"]["href"] = "B04.tif"
    with pytest.raises(data.DataUnavailable):
        get(server)


def test_a_file_on_the_web_cannot_lead_to_one_of_this_machine(server, secret):
    (server.folder / "A" / "B04.tif").write_text(VRT.format(path=secret))
    with pytest.raises(data.DataUnavailable, match="B04.tif could not be read"):
        get(server)
    server.moved = {"/A/B04.tif": f"file://{secret}"}
    with pytest.raises(data.DataUnavailable, match="B04.tif could not be read"):
        get(server)


def test_files_beside_an_image_are_not_asked_for(server):
    server.items = [make_item(server, "A")]
    for end in ("aux.xml", "ovr", "msk"):
        (server.folder / "A" / f"B04.tif.{end}").write_text("<PAMDataset/>")
    get(server)
    assert not any(path.endswith(("aux.xml", "ovr", "msk")) for path in server.sent)


def test_the_reference_system_is_a_number_or_comes_from_the_file(server, tmp_path):
    (tmp_path / "wkt").write_text("EPSG:4326")
    server.items = [make_item(server, "A")]
    for code in (f"{tmp_path}/wkt", f"file://{tmp_path}/wkt", "http://127.0.0.1:9/wkt", "EPSG:32632", "32632", None):
        server.items[0]["properties"] |= {"proj:code": code, "proj:epsg": None}
        assert get(server).crs.to_epsg() == 32632


def static_catalog(server, folder, name="A"):
    """Writes root, collection and an item as files with relative links, as static catalogs have them."""
    about = {"stac_version": "1.0.0", "description": "a test"}
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2015-01-01T00:00:00Z", None]]}}
    item = make_item(server, name)
    root = {"type": "Catalog", "id": "r", "links": [{"rel": "child", "href": "collection.json"}], **about}
    child = {"type": "Collection", "id": "sentinel-2-l2a", "license": "other", "extent": extent, **about}
    child["links"] = [{"rel": "item", "href": f"{name}/item.json"}]
    (folder / name).mkdir(exist_ok=True)
    for path, what in (("catalog", root), ("collection", child), (f"{name}/item", item)):
        (folder / f"{path}.json").write_text(json.dumps(what))
    return root, child, item


@pytest.mark.parametrize("rel", ["self", "root", "child", "data", "search"])
@pytest.mark.parametrize("start", ["file://", ""])
def test_a_catalog_cannot_link_to_a_file_of_this_machine(server, tmp_path, rel, start):
    (tmp_path / "own").mkdir()
    static_catalog(server, tmp_path / "own", "secret")  # complete, if only it is opened
    root, _, _ = static_catalog(server, server.folder)
    name = "collection" if rel in ("child", "data") else "catalog"
    link = {"rel": rel, "href": f"{start}{tmp_path}/own/{name}.json"}
    root["links"] = [link] if rel == "child" else [*root["links"], link]
    if rel == "search":
        root["conformsTo"] = landing("")["conformsTo"]
    (server.folder / "catalog.json").write_text(json.dumps(root))
    if rel == "self":
        (server.folder / "collection.json").unlink()
    if rel == "data":  # not needed, so not opened
        assert "secret" not in get(server, catalog=f"{server.url}/catalog.json").source
    else:
        with pytest.raises((data.DataUnavailable, ValueError)):
            get(server, catalog=f"{server.url}/catalog.json")


def test_pages_of_results_cannot_lead_to_a_file_of_this_machine(server, tmp_path):
    server.items = [make_item(server, "A")]
    page = {"type": "FeatureCollection", "features": [make_item(server, "B", cloud=0)], "links": []}
    (tmp_path / "page.json").write_text(json.dumps(page))
    server.links = [{"rel": "next", "href": f"file://{tmp_path}/page.json"}]
    with pytest.raises(data.DataUnavailable, match="is on the web but names 'file:///.*it is not opened"):
        get(server)


def test_old_catalogs_whose_items_make_pystac_open_a_link_are_refused(server, tmp_path):
    _, _, item = static_catalog(server, server.folder)
    (tmp_path / "collection.json").write_text(json.dumps({"id": "x", "properties": {"secret": 1}}))
    item["stac_version"] = "0.8.0"
    item["links"] = [{"rel": "collection", "href": f"file://{tmp_path}/collection.json"}]
    (server.folder / "A" / "item.json").write_text(json.dumps(item))
    with pytest.raises(data.DataUnavailable, match="older than STAC 1.0"):
        get(server, catalog=f"{server.url}/catalog.json")


def test_what_a_local_catalog_links_to_on_the_web_is_held_to_it_too(server, secret, tmp_path):
    (tmp_path / "own").mkdir()
    root, child, item = static_catalog(server, tmp_path / "own")
    (server.folder / "A" / "B04.tif").unlink()
    item["assets"]["red"]["href"] = f"file://{secret}"
    (server.folder / "A" / "item.json").write_text(json.dumps(item))
    catalog = str(tmp_path / "own" / "catalog.json")
    (tmp_path / "own" / "A" / "item.json").write_text(json.dumps(item))
    assert get(server, catalog=catalog).valid.all(), "a local item may name a local file"
    child["links"] = [{"rel": "item", "href": f"{server.url}/A/item.json"}]
    (tmp_path / "own" / "collection.json").write_text(json.dumps(child))
    with pytest.raises(data.DataUnavailable, match="image A is on the web but names 'file:///"):
        get(server, catalog=catalog)

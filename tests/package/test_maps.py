"""Two maps of one place side by side: both are there, aligned, and nothing but Leaflet is fetched."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform

from lulc_utils import maps, simulate
from lulc_utils.scene import LandCover, Scene


@pytest.fixture(scope="module")
def scene():
    return simulate.aerial(1, 128)


def test_a_comparison_holds_both_maps_and_two_sliders(scene):
    renamed = replace(scene, name="<other>", labels=(scene.labels + 1) % len(scene.classes))
    page = maps.comparison(scene, renamed, opacity=0.4).get_root().render()
    assert page.count("L.imageOverlay(") == 3
    for pane in ("left", "right"):
        assert re.search(rf'createPane\(\s*"{pane}"', page) and re.search(rf'"pane":\s*"{pane}"', page)
    assert len(set(re.findall(r'"(data:image/png;base64,[^"]+)"', page))) == 3, "image and two different maps"
    corners = [re.findall(r"-?\d+\.\d+", c) for c in re.findall(r"\[\[[-\d., ]+\], \[[-\d., ]+\]\]", page)]
    assert len(corners) >= 4 and np.ptp(np.array(corners, float), 0).max() < 1e-9, "all in the same place"
    assert page.count('type="range"') == 2 and 'value="40"' in page
    assert '"scrollWheelZoom": false' in page, "the wheel scrolls the page around the map"
    assert "absolute" not in page.split("<body>")[1].split("<script>")[0], "sliders or legend cover a part of the map"
    assert "&lt;other&gt;" in page and "<other>" not in page.split("<body>")[1].split("<script>")[0]
    assert page.index("L.imageOverlay(") < page.index('map.on("move'), "the panes exist before they are divided"
    fetched = re.findall(r'(?:src|href)="(https?://[^"]+)"', page)
    assert fetched and all("/leaflet@" in address for address in fetched)


def test_what_cannot_be_compared_is_refused(scene):
    for other in (replace(scene, labels=None), replace(scene, classes=scene.classes[::-1])):
        with pytest.raises(ValueError, match="both need labels of the same classes"):
            maps.comparison(scene, other)
    nowhere = replace(scene, crs=None, labels=np.zeros_like(scene.labels))
    with pytest.raises(ValueError, match="no coordinate reference system"):
        maps.comparison(nowhere, nowhere)


def placed(pixels, crs, left, top, size):
    """A scene whose upper left quarter is bright, at a place in a reference system."""
    transform = rasterio.transform.from_origin(left, top, size, size)
    labels = np.zeros(pixels, np.uint8)
    labels[: pixels[0] // 2, : pixels[1] // 2] = 1
    classes = (LandCover("dark", "#000000"), LandCover("bright", "#ffffff"))
    image = np.repeat(np.where(labels, 200, 50).astype(np.uint8)[None], 3, 0)
    bands = ("red", "green", "blue")
    return Scene("n", image, bands, "drawn", labels, classes, transform, rasterio.crs.CRS.from_user_input(crs))


@pytest.mark.parametrize(
    "crs, left, top, size, west, east",
    [
        ("EPSG:4326", 179.9, 10, 0.002, 179.9, 180.1),
        ("EPSG:4326", -180.1, 10, 0.002, 179.9, 180.1),
        ("EPSG:4326", -179.9, 10, 0.002, -179.9, -179.7),
        ("EPSG:3832", 3328000, 1110000, 200, 179.8958, 180.0755),
        ("EPSG:32660", 810000, 1106000, 200, 179.826, 180.01),
    ],
)
def test_a_scene_across_180_degrees_lies_in_one_piece(crs, left, top, size, west, east):
    scene = placed((100, 100), crs, left, top, size)
    where, area, ((south, w), (north, e)) = maps._place(scene)
    assert (w, e) == pytest.approx((west, east), abs=0.01) and 9 < south < north < 11
    page = maps.scene_map(scene, pixels=64).get_root().render()
    drawn = np.array(Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page).group(1)))))
    assert drawn[8:24, 8:24, 0].mean() > 150 > drawn[40:56, 40:56, 0].mean() and (drawn[8:56, 8:56, 3] == 255).all()


@pytest.mark.parametrize("left, top", [(-10000, 10000), (-100000, 650000)])
def test_a_scene_at_a_pole_is_refused_in_a_sentence(left, top):
    scene = placed((100, 100), "EPSG:3413", left, top, 2000)
    with pytest.raises(ValueError, match="reaches beyond 85 degrees of latitude, where a web map ends"):
        maps.scene_map(scene)


@pytest.mark.parametrize(
    "crs, place",
    [
        ("EPSG:32633", from_origin(500_000, 5_540_000, 10, 10)),
        ("EPSG:32633", from_origin(500_000, 5_540_000, 10, 10) * Affine.rotation(30)),
        ("EPSG:32701", from_origin(175_000, 8_118_000, 100, 100)),
        ("EPSG:3832", from_origin(2_783_000, -1_910_000, 10_000, 10_000)),
        ("EPSG:4326", from_origin(170, 10, 0.2, 0.2)),
        ("EPSG:4326", from_origin(-190, 10, 0.2, 0.2)),
        ("EPSG:4326", from_origin(359, 10, 0.02, 0.02)),
        ("EPSG:4326", from_origin(0, 80, 3, 1.6)),
        ("EPSG:4326", from_origin(-180, 80, 3, 1.6)),
        ("EPSG:3857", from_origin(-20_037_508.34, 20_037_508.34, 333_958.47, 400_750.16)),
        ("EPSG:3031", from_origin(-2_500_000, 1_500_000, 5_000, 5_000)),
        ("EPSG:3995", from_origin(20_000, 1_600_000, 3_000, 3_000)),
    ],
)
def test_a_bright_spot_is_drawn_where_it_lies(monkeypatch, crs, place):
    pixels, row, col = np.full((3, 100, 120), 40, np.uint8), 30, 84
    pixels[:, row - 2 : row + 3, col - 2 : col + 3] = 255
    crs = CRS.from_user_input(crs)
    scene = Scene("spot", pixels, ("red", "green", "blue"), "here", transform=place, crs=crs)
    drawn, overlay = [], maps.folium.raster_layers.ImageOverlay
    monkeypatch.setattr(maps.folium.raster_layers, "ImageOverlay", lambda *a, **k: drawn.append(a) or overlay(*a, **k))
    maps.scene_map(scene)
    picture, ((south, west), (north, east)) = drawn[0]
    y, x = np.argwhere((picture[..., 0] > 150) & (picture[..., 3] > 0)).mean(0) + 0.5
    low, high = np.arcsinh(np.tan(np.radians([south, north])))  # Mercator
    drawn_at = (
        west + (east - west) * x / picture.shape[1],
        np.degrees(np.arctan(np.sinh(high - (high - low) * y / picture.shape[0]))),
    )
    (lon,), (lat,) = transform(crs, "EPSG:4326", *[[v] for v in place * (col + 0.5, row + 0.5)])
    assert abs((drawn_at[0] - lon + 180) % 360 - 180) < (east - west) / picture.shape[1]
    assert abs(drawn_at[1] - lat) < (east - west) / picture.shape[1]
    assert -180 <= west < east <= west + 360 and (picture[..., 3] > 0).mean() > 0.5


def test_a_caption_stands_below_the_map_and_runs_nothing(scene):
    for drawn in (maps.scene_map(scene, caption="Roofs <b>"), maps.comparison(scene, scene, caption="Roofs <b>")):
        page = drawn._repr_html_()
        assert page.startswith("<figure") and page.endswith("Roofs &lt;b&gt;</figcaption></figure>")
        assert page.index("<iframe") < page.index("<figcaption")
    assert "<figure" not in maps.scene_map(scene)._repr_html_()

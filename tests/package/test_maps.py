"""Two maps of one place side by side: both are there, aligned, and nothing but Leaflet is fetched."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from PIL import Image

from lulc_utils import maps, simulate
from lulc_utils.scene import LandCover, Scene


@pytest.fixture(scope="module")
def scene():
    return simulate.aerial(1, 128)


def test_a_comparison_holds_both_maps_and_two_sliders(scene):
    other = replace(scene, name="<other>", labels=(scene.labels + 1) % len(scene.classes))
    page = maps.comparison(scene, other, opacity=0.4).get_root().render()
    assert page.count("L.imageOverlay(") == 3
    for pane in ("left", "right"):
        assert re.search(rf'createPane\(\s*"{pane}"', page) and re.search(rf'"pane":\s*"{pane}"', page)
    assert len(set(re.findall(r'"(data:image/png;base64,[^"]+)"', page))) == 3, "image and two different maps"
    corners = [re.findall(r"-?\d+\.\d+", c) for c in re.findall(r"\[\[[-\d., ]+\], \[[-\d., ]+\]\]", page)]
    assert len(corners) >= 4 and np.ptp(np.array(corners, float), 0).max() < 1e-9, "all in the same place"
    assert page.count('type="range"') == 2 and 'value="40"' in page
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

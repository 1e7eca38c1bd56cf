"""Two maps of one place side by side: both are there, aligned, and nothing but Leaflet is fetched."""

import re
from dataclasses import replace

import numpy as np
import pytest

from lulc_utils import maps, simulate


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

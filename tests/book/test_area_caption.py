"""Chapter 5 says in a caption which interval of an area holds the truth only just; the run that it shows agrees."""

import datetime
import json
from functools import partial
from pathlib import Path

import numpy as np

from lulc_utils import mapping, raster, simulate
from lulc_utils.evaluate import areas, surveys
from lulc_utils.mapping import changes, probes

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "05_mapping_at_scale.ipynb"


def test_the_interval_that_is_said_to_be_tight_is_the_tightest(tmp_path):
    day, ground = datetime.date(2021, 6, 12), partial(simulate.satellite, place=changes.PLACE)
    learned = [ground(n, changes.REGION, day, size=96) for n in range(100, 112)]
    site = ground(0, changes.REGION, day, size=256)
    how = {"window": 192, "overlap": 64, "progress": False}
    path = raster.write_scene(site, tmp_path / "ground.tif")
    mapping.map_raster(path, probes.pixel_probe(learned, seed=0, resolution=10), tmp_path / "map.tif", **how)
    mapped, k = raster.read_classes(tmp_path / "map.tif"), len(site.classes)
    sample, estimate = surveys.survey(mapped, site.labels, 400, k, seed=0)
    low, high = areas.limits(sample, estimate.mapped)
    true = np.bincount(site.labels.ravel(), minlength=k)
    room = dict(zip(site.class_names, np.minimum(true - low, high - true) / (high - low), strict=True))
    tight = {name for name, share in room.items() if share < 0.1}
    assert tight == {"wetland"} and min(room.values()) >= 0, room
    cells = json.loads(NOTEBOOK.read_text(encoding="utf8"))["cells"]
    figures = [cell["metadata"].get("mystnb", {}).get("figure", {}) for cell in cells]
    (caption,) = [figure["caption"] for figure in figures if figure.get("name") == "areas"]
    assert "All eight hold the truth here, that of wetland only just." in caption

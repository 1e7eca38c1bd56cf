"""Figures, maps and tables show what they are given, aligned and named; the doctor says what is wrong."""

import dataclasses
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils import doctor, maps, plot
from lulc_utils.doctor import packages
from lulc_utils.scene import UNLABELLED, LandCover, Scene

CLASSES = (LandCover("water", "#0072b2"), LandCover("land", "#e6c79c"))


@pytest.fixture
def scene():
    pixels = np.zeros((3, 40, 60), np.uint8)
    pixels[0, :, 30:] = 200
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 1
    labels[:5] = UNLABELLED
    place = {"transform": from_origin(500_000, 6_000_000, 0.5, 0.5), "crs": CRS.from_epsg(32633)}
    return Scene("half", pixels, ("red", "green", "blue"), "simulated", labels, CLASSES, **place)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_class_map_has_the_colors_of_the_legend(scene):
    drawn = plot.class_map(scene.labels, scene.classes)
    assert tuple(drawn[20, 0]) == (0x00, 0x72, 0xB2) and tuple(drawn[20, 59]) == (0xE6, 0xC7, 0x9C)
    assert tuple(drawn[0, 0]) == (255, 255, 255)


def test_rgb_keeps_bytes_stretches_reflectance_and_whitens_nodata(scene):
    np.testing.assert_array_equal(plot.rgb(scene)[..., 0], scene.pixels[0])
    reflectance = np.linspace(0, 0.5, 3 * 400, dtype=np.float32).reshape(3, 20, 20)
    reflectance[:, 0, 0] = np.nan
    shown = plot.rgb(Scene("s", reflectance, ("B04", "B03", "B02"), "x"))
    assert shown.dtype == np.uint8 and shown.max() == 255 and tuple(shown[0, 0]) == (255, 255, 255)


@pytest.mark.parametrize(
    ("bands", "order"),
    [
        (("B04", "B03", "B02"), (0, 1, 2)),
        (("B2", "B3", "B4", "B8"), (2, 1, 0)),  # Earth Engine
        (("SR_B2", "SR_B3", "SR_B4"), (2, 1, 0)),  # Landsat 8 and 9
        (("Blue", "GREEN", "red"), (2, 1, 0)),
        (("band 1", "band 2", "band 3", "band 4"), (0, 1, 2)),  # nothing is known: the first three
        (("VV", "VH"), (0, 0, 0)),
        (("nir",), (0, 0, 0)),
    ],
)
def test_rgb_knows_the_bands_by_many_names_and_shows_something_without(bands, order):
    pixels = np.random.default_rng(0).integers(0, 255, (len(bands), 8, 8), np.uint8)
    shown = plot.rgb(Scene("s", pixels, bands, "x"))
    np.testing.assert_array_equal(shown, np.moveaxis(pixels[list(order)], 0, -1))


def test_scenes_figure_names_every_class(scene):
    figure, axes = plot.scenes([scene])
    assert [a.get_title() for a in axes] == ["half", "half: truth"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["water", "land", "not labelled"]


def test_intervals_put_each_score_where_it_belongs():
    _, axes = plot.intervals({"k-means": {"color": (0.2, 0.1, 0.3), "ViT": (0.4, 0.35, 0.5)}}, "mIoU")
    points = [line.get_xdata()[0] for line in axes[0].get_lines() if len(line.get_xdata()) == 1]
    assert {0.2, 0.4} <= set(points)
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["color", "ViT"]


def test_bars_have_the_height_of_their_scores():
    _, axis = plt.subplots()
    plot.bars(axis, {"tile 1": {"accuracy": 0.6, "mIoU": 0.1}, "tile 2": {"accuracy": 0.7, "mIoU": 0.2}}, "t")
    assert [round(p.get_height(), 6) for p in axis.patches] == [0.6, 0.7, 0.1, 0.2]
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["accuracy", "mIoU"]


def test_tables_and_notices_escape_what_they_show():
    table = plot.Table(["method", "mIoU"], [["<b>", 0.256]], "scores & more")
    assert (
        "&lt;b&gt;" in table._repr_html_() and "0.26" in table._repr_html_() and "scores &amp;" in table._repr_html_()
    )
    assert repr(table).splitlines() == ["scores & more", "method  mIoU", "<b>     0.26"]
    assert "&lt;script&gt;" in plot.Notice("t", "<script>")._repr_html_()


def test_map_lies_where_the_scene_lies_and_needs_only_leaflet(scene):
    page = maps.scene_map(scene).get_root().render()
    loaded = re.findall(r'(?:src|href)="(https?://[^"]+)"', page)
    assert loaded and all("/leaflet@" in address for address in loaded)
    assert "openstreetmap" not in page.lower()
    assert all(name in page for name in ("water", "land", "half"))
    west, south, east, north = scene.bounds_latlon()
    corners = [float(v) for v in re.search(r"\[\[([-\d.]+), ([-\d.]+)\], \[([-\d.]+), ([-\d.]+)\]\]", page).groups()]
    np.testing.assert_allclose(corners, [south, west, north, east], atol=2e-4)


def test_a_scene_without_a_place_cannot_be_mapped(scene):
    with pytest.raises(ValueError, match="cannot be put on a map"):
        maps.scene_map(dataclasses.replace(scene, crs=None))


def test_doctor_explains_a_broken_torchvision(monkeypatch):
    def broken(name):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(packages.importlib, "import_module", broken)
    (sentence,) = doctor.problems()
    assert "are not a matching pair" in sentence and "\n" not in sentence
    with pytest.raises(SystemExit, match="cannot run the book"):
        doctor.report()


def test_doctor_names_what_is_missing(monkeypatch):
    monkeypatch.setattr(packages, "PACKAGES", ("numpy", "no-such-package"))
    assert doctor.problems() == ["no-such-package is not installed: run `pip install no-such-package`."]

"""A stranger's text is shown as it is: in maps, legends, interactive figures, plots, tables and notices."""

import io
import json
import re
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup

from lulc_utils import interactive, literal, maps, plot, raster, simulate

TEXTS = [
    "{{ 7*7 }}",
    "{{ broken",
    "{% for %}",
    "{# gone #}",
    "{{ ''.__class__.__mro__ }}",
    """<img src=x onerror="alert(1)">""",
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    """'quotes' "both" & &amp; `${1}`""",
    "$\\frac{$ and $x_1$",
    "\\$ 5 $",
    "_hidden",
    "two\nlines\x1b[2J\udcff",
]
CAPTION = "What is found."
SCENE = simulate.aerial(3, 64)


@pytest.fixture(params=TEXTS, ids=range(len(TEXTS)))
def text(request):
    return request.param


@pytest.fixture
def scene(text):
    """A simulated scene whose name, source and first class are the text."""
    scene = SCENE
    classes = (scene.classes[0]._replace(name=text), *scene.classes[1:])
    return replace(scene, name=text, source=f"simulated {text}", classes=classes)


def visible(text):
    return literal.plain(text, keep="\n")


@pytest.mark.parametrize("kind", ["scene", "comparison"])
def test_a_folium_map_shows_names_and_runs_none(scene, text, kind):
    drawn = maps.scene_map(scene) if kind == "scene" else maps.comparison(scene, scene)
    frame = BeautifulSoup(drawn._repr_html_(), "html.parser").find("iframe")
    assert frame["title"] == f"Map of {visible(text)} (simulated {visible(text)})"
    plain = BeautifulSoup(maps.scene_map(SCENE)._repr_html_(), "html.parser").iframe["srcdoc"]
    page, other = (BeautifulSoup(p, "html.parser") for p in (frame["srcdoc"], plain))
    assert page.get_text().count(visible(text)) >= 2, "the name and the first class"
    assert not page.find_all(onerror=True) and not page.find_all("img")
    assert len(page.find_all("script")) == len(other.find_all("script"))
    assert "49" not in page.body.get_text(), "7*7 is not computed"


def test_a_layer_of_a_map_has_an_inert_name(scene, text):
    layer = maps._labels(scene, text, 1, 64)
    assert BeautifulSoup(layer.layer_name, "html.parser").get_text() == visible(text), "Leaflet reads it as HTML"
    page = maps._empty_map(scene, False, "a caption").add_child(layer).get_root().render()
    alt = re.search(r'"alt": ("(?:[^"\\]|\\.)*")', page).group(1)
    assert json.loads(alt) == f"simulated {visible(text)}: {visible(text)}" and "<" not in alt


def test_interactive_figures_show_text_and_run_none(scene, text):
    features = np.random.default_rng(0).normal(size=(8, 8, 6)).astype("f4")
    for figure in (
        interactive.similarity_explorer(scene, {text: features}, caption=text),
        interactive.swipe(scene, np.zeros_like(scene.labels), caption=text, name=text),
        interactive.shift_slider({text: scene}, [features], (1, 2), caption=text, shifts={text: (0,)}),
        interactive.season_latitude(caption=text, latitudes=(-48, 48), days=(1, 136)),
    ):
        tree = BeautifulSoup(figure.html.encode(), "html.parser")
        assert tree.find("figcaption").get_text() == visible(text)
        assert not tree.find_all(onerror=True) and len(tree.find_all("script")) == 2
        data = tree.find("script", type="application/json").string
        assert not set("<>&") & set(data)
        names = json.dumps(json.loads(data), ensure_ascii=True)
        assert figure.html.count('data-kind="seasons"') or json.dumps(text) in names


def drawn_texts(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), dpi=20)  # all text is laid out, few pixels are painted
    texts = [t for t in figure.findobj(plt.Text) if t.get_text()]
    preprocessed = [t._preprocess_math(t.get_text()) for t in texts]
    plt.close(figure)
    assert all(math is False for _, math in preprocessed), "a name is not a formula"
    return [shown for shown, _ in preprocessed]


def test_plots_draw_names_and_typeset_none(scene, text):
    wanted = visible(text)
    figure, axes = plot.scenes([scene, scene])
    assert drawn_texts(figure).count(wanted) >= 2, "title and legend"
    figure, axes = plot.panels({text: plot.rgb(scene), "other": plot.rgb(scene)})
    plot.heat(axes[0], plot.rgb(scene), np.zeros((4, 4)), text)
    assert wanted in drawn_texts(figure)
    figure, _ = plot.intervals({text: {text: (0.5, 0.4, 0.6)}}, text)
    assert drawn_texts(figure).count(wanted) >= 3, "title, axis and row"
    figure, axes = plt.subplots(1, 2)
    plot.bars(axes[0], {text: {text: 0.5, "other": 0.6}}, text, text)
    plot.bars(axes[1], {"a": {text: 0.5}}, "one series")
    assert drawn_texts(figure).count(wanted) >= 5, "position, legend, title and two axes"


def test_tables_and_notices_show_text(text):
    table, notice = plot.Table([text], [[text], [0.5]], text), plot.Notice(text, text)
    tree = BeautifulSoup(table._repr_html_(), "html.parser")
    assert [tree.caption.get_text(), tree.th.get_text(), tree.tbody.th.get_text()] == [literal.plain(text)] * 3
    code = re.sub("`([^`\n]+)`", r"\1", visible(text))  # between backticks the text of a notice is code, no markup
    assert BeautifulSoup(notice._repr_html_(), "html.parser").get_text() == visible(text) + code
    for shown in (repr(table), repr(notice)):
        assert visible(text) in shown or literal.plain(text) in shown
        assert "\x1b" not in shown and shown.encode()
    assert len(repr(table).splitlines()) == 4, "a line of text cannot become two rows"


def test_names_from_the_tags_of_a_file_stay_inert(tmp_path):
    scene = SCENE
    classes = (scene.classes[0]._replace(name=TEXTS[0]), *scene.classes[1:])
    path = raster.write_scene(replace(scene, name=TEXTS[1], classes=classes), tmp_path / "scene.tif")
    page = BeautifulSoup(maps.scene_map(raster.read_scene(path)).get_root().render(), "html.parser").get_text()
    assert TEXTS[0] in page and TEXTS[1] in page


def test_numbers_have_a_real_minus_sign_and_intervals_stay_on_a_line():
    assert [literal.as_number(v) for v in (-0.126, -0.001, 0.5)] == ["−0.13", "0.00", "0.50"]
    assert literal.as_number(0.0501, 1, "+") == "+0.1"
    of = {-0.0049: "−0.00", 0.0049: "+0.00", 0.0: "0.00", -0.126: "−0.13"}
    assert {v: literal.as_number(v, sign="+") for v in of} == of, "no negative number looks positive"
    assert literal.as_entry("+0.05 (−0.01 to +0.12), up to <5") == "+0.05 (−0.01&nbsp;to&nbsp;+0.12), up to &lt;5"
    assert literal.as_entry("k-means + CRF") == '<span style="white-space:nowrap">k-means</span> + CRF'
    assert literal.as_entry("pre-trained") == "pre-trained"


def test_one_thing_is_singular():
    assert [literal.counted(n, "label") for n in (0, 1, 2, 9600)] == ["0 labels", "1 label", "2 labels", "9 600 labels"]
    assert literal.counted(1, "patch", "patches") == "1 patch" and literal.counted(2, "patch", "patches") == "2 patches"

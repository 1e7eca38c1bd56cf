"""Any text as a name, a class, a source or a tag: it is drawn as it is, and neither runs nor breaks anything."""

import io
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lulc_utils import charts, interactive, literal, maps, plot, raster, simulate

pytestmark = pytest.mark.slow
SCENE = simulate.aerial(3, 64)
SNIPPETS = """{{ }} {% %} {# $ \\ < > & " ' </script> <!-- ` ${ _ ^ é 水 &amp; onerror= x""".split()
SNIPPETS += ["\x00", "\x1b[2J", "\n", "\r", "\u2028", "\u202e", "\udcff", " "]
TEXTS = st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=5), max_size=8).map("".join)
EXAMPLES = 40
fuzz = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def named(text):
    classes = (SCENE.classes[0]._replace(name=text), *SCENE.classes[1:])
    return replace(SCENE, name=text, source=f"simulated {text}", classes=classes)


def scripts(page):
    return len(BeautifulSoup(page, "html.parser").find_all("script"))


USUAL = scripts(maps.scene_map(SCENE, pixels=16).get_root().render())
BOTH = scripts(maps.comparison(SCENE, SCENE, pixels=16).get_root().render())
FEATURES = np.random.default_rng(0).normal(size=(8, 8, 6)).astype(np.float32)
SPAN = {8: (0.5, 0.4, 0.6), 16: (0.6, 0.5, 0.7)}


@given(TEXTS)
@fuzz
def folium(text):
    both = maps.comparison(named(text), replace(named(text), name=text[::-1]), pixels=16).get_root().render()
    assert scripts(both) == BOTH and not BeautifulSoup(both, "html.parser").find_all(onerror=True)
    page = maps.scene_map(named(text), pixels=16).get_root().render()
    assert scripts(page) == USUAL and not BeautifulSoup(page, "html.parser").find_all(onerror=True)
    shown = BeautifulSoup(page, "html.parser").get_text()
    assert literal.plain(text, keep="\n").strip() in shown.replace("\r", "\n")


@given(TEXTS)
@fuzz
def pages(text):
    for shown in (plot.Table([text], [[text], [0.5]], text), plot.Notice(text, text)):
        tree = BeautifulSoup(shown._repr_html_(), "html.parser")
        assert not tree.find_all(["script", "img"]) and shown.__repr__().encode()
    for figure in (
        interactive.swipe(named(text), np.zeros_like(SCENE.labels), caption=f"A {text}", name=text),
        interactive.similarity_explorer(named(text), {text: FEATURES}, caption=f"A {text}"),
    ):
        tree = BeautifulSoup(figure.html.encode(), "html.parser")
        assert len(tree.find_all("script")) == 2 and not tree.find_all(onerror=True)


@given(TEXTS)
@fuzz
def figures(text):
    figure, axes = plt.subplots(1, 2, figsize=(3, 2))
    plot.legend(figure, named(text).classes)
    plot.bars(axes[0], {text: {text: 0.5}}, text, text)
    charts.curves(axes[1], {text: SPAN}, text, text)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support|constrained_layout not applied")
        figure.savefig(io.BytesIO(), dpi=20)
    plt.close(figure)


@given(TEXTS, TEXTS)
@fuzz
def tags(tmp_path, name, band):
    scene = replace(named(name), bands=(band, "green", "blue"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back = raster.read_scene(raster.write_scene(scene, tmp_path / "scene.tif"))
    assert (back.name, back.source, back.classes) == (scene.name, scene.source, scene.classes)


def test_folium_maps(tried):
    tried("right", EXAMPLES)
    folium()


def test_tables_notices_and_interactive_figures(tried):
    tried("right", EXAMPLES)
    pages()


def test_figures(tried):
    tried("right", EXAMPLES)
    figures()


def test_tags_of_a_file(tried, tmp_path):
    tried("right", EXAMPLES)
    tags(tmp_path)

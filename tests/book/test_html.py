"""The built book, if there is one in _build/html (`make book`): nothing broken, nothing that needs the network."""

import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

import nbformat
import pytest
import run_chapters
import stamp
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ.get("LULC_HTML", ROOT / "_build" / "html"))
PAGES = run_chapters.pages()
MB = 1e6

pytestmark = pytest.mark.skipif(not HTML.exists(), reason="the book is not built; run `make book` first")


@cache
def soup(page):
    return BeautifulSoup((HTML / f"{page}.html").read_text(encoding="utf8"), "html.parser")


def article(page):
    return soup(page).find("article")


def test_all_pages_are_there():
    assert not [p for p in PAGES if not (HTML / f"{p}.html").exists()]


@pytest.mark.parametrize("page", PAGES)
def test_no_error_reached_the_page(page):
    text = article(page).get_text()
    for sign in ("Traceback (most recent call last)", "Error in callback", "<!-- datasets -->", "{cite", "WARNING"):
        assert sign not in text


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_has_alt_text_and_a_caption(page):
    for image in article(page).find_all("img"):
        assert len(image.get("alt", "")) > 10, image.get("src")
        around = image.find_parents("figure") or [image]  # the outermost has the caption
        caption = around[-1].find("figcaption")
        assert caption and len(caption.get_text()) > 40, f"{image.get('src')} has no caption"


@pytest.mark.parametrize("page", PAGES)
def test_every_frame_has_a_title_and_every_table_a_head(page):
    for frame in article(page).find_all("iframe"):
        assert len(frame.get("title", "")) > 10
    for table in article(page).find_all("table"):
        assert table.find("th"), table.get_text()[:60]


@pytest.mark.parametrize("chapter", run_chapters.chapters())
def test_every_chapter_has_figures_and_a_launch_link_to_a_tracked_file(chapter):
    assert len(article(f"notebooks/{chapter}").find_all("figure")) >= 4
    name, ref = stamp.repository()
    links = {a["href"] for a in soup(f"notebooks/{chapter}").find_all("a", href=re.compile("colab.research"))}
    assert links == {f"https://colab.research.google.com/github/{name}/blob/{ref}/notebooks/{chapter}.ipynb"}
    assert (ROOT / "notebooks" / f"{chapter}.ipynb").exists()


@pytest.mark.parametrize("page", PAGES)
def test_pages_load_nothing_from_other_hosts(page):
    text = (HTML / f"{page}.html").read_text(encoding="utf8")
    parts = BeautifulSoup(text, "html.parser")
    inner = [BeautifulSoup(f["srcdoc"], "html.parser") for f in parts.find_all("iframe", srcdoc=True)]
    for tree in [parts, *inner]:
        for tag, attribute in (("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")):
            for element in tree.find_all(tag):
                if tag == "link" and not set(element.get("rel", [])) & {"stylesheet", "preload", "icon"}:
                    continue
                address = element.get(attribute) or ""
                assert not urlparse(address).netloc, f"<{tag}> of {page} loads {address}"


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        folder = (HTML / f"{page}.html").parent
        for link in soup(page).find_all("a", href=True):
            target = urlparse(link["href"])
            if target.scheme or target.netloc or not target.path:
                continue
            assert (folder / target.path).resolve().exists(), f"{page} links to {link['href']}"


def test_the_map_is_drawn_by_the_books_own_leaflet():
    maps = [f["srcdoc"] for f in soup("notebooks/00_start_here").find_all("iframe", srcdoc=True)]
    assert maps and all("../_static/leaflet/leaflet.js" in m for m in maps)
    assert (HTML / "_static" / "leaflet" / "leaflet.js").stat().st_size > 100_000


def test_the_data_page_lists_every_data_set():
    from lulc_utils import data

    text = " ".join(article("book/data").get_text().split())  # numbers hold unbroken spaces
    assert all(data.about(name)["title"] in text for name in data.names())


def test_the_site_is_small():
    assert sum(f.stat().st_size for f in HTML.rglob("*") if f.is_file()) <= 60 * MB


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_its_pictures_is_small(page):
    file = HTML / f"{page}.html"
    pictures = {file.parent / i["src"] for i in article(page).find_all("img") if not urlparse(i["src"]).scheme}
    assert file.stat().st_size + sum(p.stat().st_size for p in pictures) <= 3 * MB


def test_the_site_carries_no_scripts_that_no_page_loads():
    static = HTML / "_static"
    assert (static / "mathjax" / "tex-chtml.js").exists()
    for pattern in ("mathjax/tex-svg*", "mathjax/mml-*", "*thebe*", "scripts/*.map"):
        assert not list(static.glob(pattern)), pattern
    assert not [p for p in PAGES if "unpkg.com" in (HTML / f"{p}.html").read_text(encoding="utf8")]


def test_repairs_are_made_once_and_only_where_needed():
    import offline

    broken = (
        '<div role="list" class="citation-list"><div class="citation" id="a" role="doc-biblioentry"></div></div>'
        '<table><tr><th class="head"><p></p></th><th class="head"><p>size</p></th></tr></table>'
        '<div id="pst-primary-sidebar" class="bd-sidebar"></div>'
        '<details><summary><span class="toctree-toggle"></span></summary></details>'
    )
    repaired = offline.repair(broken)
    assert offline.repair(repaired) == repaired
    parts = BeautifulSoup(repaired, "html.parser")
    assert parts.find(id="a")["role"] == "listitem" and len(parts.find_all("th")) == 1
    assert parts.find(id="pst-primary-sidebar")["role"] == "region" and parts.find("summary")["aria-label"]
    script = '<script src="https://cdn.jsdelivr.net/npm/leaflet@1.9.3/dist/leaflet.js"></script>'
    assert offline.local_leaflet(script, "../") == '<script src="../_static/leaflet/leaflet.js"></script>'


@pytest.mark.parametrize("chapter", run_chapters.chapters())
def test_the_build_reproduced_the_golden_cells(chapter):
    """What nbval compares where a chapter runs without data; here the chapter has run with whatever data there is.

    While it draws a page MyST-NB puts the text of a cell's streams of one name into the first of them, and leaves the
    others in the notebook that it keeps: there only the first of each name counts.
    """

    def golden(path, text):
        cells = nbformat.read(path, as_version=4).cells
        tagged = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
        return [
            {o.name: text([p.text for p in cell.outputs if p.name == o.name]) for o in cell.outputs} for cell in tagged
        ]

    built = golden(HTML.parent / "jupyter_execute" / "notebooks" / f"{chapter}.ipynb", lambda texts: texts[0])
    assert built == golden(ROOT / "notebooks" / f"{chapter}.ipynb", "".join)

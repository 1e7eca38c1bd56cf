"""The built book, if there is one in _build/html (`make book`): nothing broken, nothing that needs the network."""

import re
from pathlib import Path
from urllib.parse import urlparse

import pytest
import run_chapters
import stamp
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
PAGES = ["book/welcome", "book/how_to_use", "book/data", "book/simulated_satellite", "book/references"]
PAGES += [f"notebooks/{chapter}" for chapter in run_chapters.chapters()]

pytestmark = pytest.mark.skipif(not HTML.exists(), reason="the book is not built; run `make book` first")


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
def test_every_picture_has_alt_text(page):
    for image in article(page).find_all("img"):
        assert len(image.get("alt", "")) > 10, image.get("src")


@pytest.mark.parametrize("chapter", run_chapters.chapters())
def test_every_chapter_has_captioned_figures_and_a_launch_link_to_a_tracked_file(chapter):
    page = article(f"notebooks/{chapter}")
    figures = page.find_all("figure")
    assert len(figures) >= 4
    for figure in figures:
        assert figure.find("img") and len(figure.find("figcaption").get_text()) > 40
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
            for found in tree.find_all(tag):
                if tag == "link" and not set(found.get("rel", [])) & {"stylesheet", "preload", "icon"}:
                    continue
                address = found.get(attribute) or ""
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

    text = article("book/data").get_text()
    assert all(data.about(name)["title"] in text for name in data.names())

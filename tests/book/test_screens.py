"""What a reader of a built chapter sees: its lead picture on the first screen, and more text and pictures than code.

The two pages of simulated scenes are asked the same.
"""

from pathlib import Path

import pytest
import run_chapters
from test_browser import LAPTOP, address
from test_html import HTML

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HTML.exists(), reason="the book is not built; run `make book` first"),
]
PHONE, TABLET = {"width": 390, "height": 844}, {"width": 768, "height": 1024}
MOST_CODE = {"01_dino_features": 0.25, "02_stego_clustering": 0.25}  # of the height of the page
LEAD = """() => {
  const img = document.querySelector('article .lead img'), {top, bottom, left, right} = img.getBoundingClientRect();
  const cut = [...document.querySelectorAll('article .lead *')].some(e => e.scrollWidth > e.clientWidth + 1);
  return {top, bottom, left, right, cut, scale: 2 * (right - left) / img.naturalWidth};  // drawn for dense screens
}"""
CODE = """() => {
  const visible = [...document.querySelectorAll('article .cell_input')].filter(e => e.checkVisibility());
  const height = e => e.getBoundingClientRect().height;
  return visible.reduce((sum, e) => sum + height(e), 0) / height(document.querySelector('article'));
}"""
STRIPS_IN_A_ROW = """() => [...document.querySelectorAll('article .cell')].filter(e => {
  const cell = c => c?.matches('.cell');
  const quiet = c => cell(c) && c.children.length === 1 && c.firstElementChild.matches('details');
  return quiet(e) && quiet(e.nextElementSibling);
}).map(e => e.textContent.trim().slice(0, 60))"""


@pytest.fixture
def chapter_page(offline_page, request):
    offline_page.set_viewport_size(LAPTOP)
    offline_page.goto(address(request.param))
    offline_page.evaluate("() => window.MathJax?.startup?.promise")
    return offline_page, Path(request.param).name


LED = [f"notebooks/{chapter}" for chapter in run_chapters.chapters()]
LED += ["book/simulated_aerial", "book/simulated_satellite"]
each_chapter = pytest.mark.parametrize("chapter_page", LED, indirect=True)


@each_chapter
def test_the_lead_picture_is_whole_on_the_first_screen(chapter_page):
    page, _ = chapter_page
    lead = page.evaluate(LEAD)
    assert lead["bottom"] < LAPTOP["height"] and lead["bottom"] - lead["top"] < 430, lead
    page.set_viewport_size(TABLET)
    page.wait_for_timeout(100)
    lead = page.evaluate(LEAD)
    assert lead["bottom"] < TABLET["height"] and lead["scale"] > 0.7, lead
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    lead = page.evaluate(LEAD)
    assert lead["top"] < PHONE["height"] / 2 and lead["left"] >= 0 and lead["right"] <= PHONE["width"], lead
    assert not lead["cut"] and lead["scale"] > 0.7, "letters of 9 points become too small"


@each_chapter
def test_a_chapter_is_more_text_and_pictures_than_code(chapter_page):
    page, chapter = chapter_page
    share = page.evaluate(CODE)
    print(f"{chapter}: {share:.1%} of the height of the page is code that is not folded")
    assert share <= MOST_CODE.get(chapter, 0.4)
    assert not page.evaluate(STRIPS_IN_A_ROW), "folded cells that show nothing follow each other"

"""The built book in a real browser, opened from its folder with every other host blocked.

Each page is loaded once; all that is asked of it is asked there. Needs Chromium (see `browser` in conftest.py) and
the book in _build/html, or where LULC_HTML points.
"""

from urllib.parse import urlparse

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from test_html import HTML, PAGES
from watching import watch

from lulc_utils.maps import TILE_HOSTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HTML.exists(), reason="the book is not built; run `make book` first"),
]

WIDE, LAPTOP = {"width": 1200, "height": 900}, {"width": 1280, "height": 800}
PHONE, NARROW = {"width": 390, "height": 800}, {"width": 320, "height": 700}
COLOR_RULES = ["color-contrast", "link-in-text-block"]  # the theme changes colors and nothing else
# axe-core looks at every word of code, minutes for a chapter. So one token of each kind stays, and the others become
# plain text. And what has the same tags, classes and styles all the way up looks the same: while contrast is measured
# one text of each kind stays visible.
ONE_TOKEN_OF_EACH_KIND = """() => {
  const seen = new Set(), again = [];
  for (const token of document.querySelectorAll('article pre span, article code span')) {
    const around = token.closest('div, dt, p, li, td').className;
    const kind = `${token.className} in ${token.parentElement.tagName} in ${around}`;
    seen.has(kind) ? again.push(token) : seen.add(kind);
  }
  for (const token of again) token.replaceWith(...token.childNodes);
}"""
ONE_TEXT_OF_EACH_KIND = """() => {
  const texts = [...document.body.querySelectorAll('*')].filter(e => e.checkVisibility({visibilityProperty: true})
    && [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.textContent.trim()));
  const look = e => `${e.tagName} ${e.getAttribute('class')} ${e.getAttribute('style')} ${(e.rowIndex ?? 0) % 2}`;
  const seen = new Set();
  for (const text of texts) {
    let kind = '';
    for (let e = text; e !== document.body; e = e.parentElement) kind += look(e) + '>';
    text.dataset.again = seen.has(kind);
    seen.add(kind);
  }
  for (const text of texts) text.style.visibility = text.dataset.again === 'true' ? 'hidden' : 'visible';
}"""
# Text in exactly the color of its ground is no violation to axe-core, for it might be meant; here it never is.
VIOLATIONS = """async options => {
  const {violations, incomplete} = await axe.run(options);
  const unseen = incomplete.filter(rule => rule.id === 'color-contrast').flatMap(rule => rule.nodes)
    .filter(node => node.any.some(check => check.data?.messageKey === 'equalRatio'));
  return unseen.length ? [...violations, {id: 'text in the color of its ground', impact: 'serious', nodes: unseen}]
                       : violations;
}"""
FORMULAS = """() => [document.querySelectorAll('.math').length, document.querySelectorAll('mjx-container').length,
                      document.querySelectorAll('mjx-merror').length]"""
PICTURES_MISSING = """() => [...document.querySelectorAll('article img')]
  .filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src)"""
MAP_IMAGES = """() => [...document.querySelectorAll('.leaflet-container img.leaflet-image-layer')]
  .map(i => i.naturalWidth * i.getBoundingClientRect().width)"""
# What a reader cannot reach by scrolling: it ends right of the window, and no box around it scrolls.
STICKS_OUT = """() => {
  const width = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth > width) found.push(`the page, ${document.documentElement.scrollWidth} px`);
  for (const e of document.querySelectorAll('article *')) {
    const box = e.getBoundingClientRect();
    if (box.right <= width + 1 || box.width < 2 || e.closest('mjx-assistive-mml')) continue;
    let around = e;
    while (around.tagName !== 'ARTICLE' && !/auto|scroll/.test(getComputedStyle(around).overflowX))
      around = around.parentElement;
    if (around.tagName === 'ARTICLE' || around.getBoundingClientRect().right > width + 1)
      found.push(`${e.tagName}.${e.className.baseVal ?? e.className}: ${e.textContent.trim().slice(0, 40)}`);
  }
  return found.slice(0, 5);
}"""
# What a reader of an ordinary laptop does not see: code, outputs, formulas and tables that go on right of their box.
CUT = """() => [...document.querySelectorAll('article :is(pre, table, div.math mjx-container)')].filter(e => {
  const box = e.tagName === 'TABLE' ? e.parentElement : e;
  const said = (box.closest('.highlight, div.math') || box).previousElementSibling?.matches('.scrolls-hint');
  return box.checkVisibility() && box.scrollWidth > box.clientWidth + 1 && !said;
}).map(e => `${e.tagName}, ${e.closest('.cell_output') ? 'output' : 'text'}: ${e.textContent.trim().slice(0, 60)}`)"""
SCROLLING_CODE = """() => [...document.querySelectorAll('article pre')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 60))"""
FILTERED = """() => [...document.querySelectorAll('article img, article canvas, article svg')]
  .filter(e => e.closest('.cell_output') && getComputedStyle(e).filter !== 'none').map(e => e.alt)"""
REACHABLE = """() => [...document.querySelectorAll('.pst-scrollable-table-container, pre')]
  .every(e => e.scrollWidth <= e.clientWidth || e.tabIndex === 0)"""
# Every letter of a chart is at least 9 points of its 96 an inch; a phone may shrink it to this width, then it scrolls.
SHRUNK = """() => [...document.querySelectorAll('article .cell_output img.wide')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().width < 550).map(e => e.alt)"""
# Width through height, on the page and in the file, of pictures that are not shown as they are; a frame does not count.
SQUEEZED = """() => [...document.querySelectorAll('article img')].filter(e => e.checkVisibility()).map(e => {
  const {width, height} = e.getBoundingClientRect(), style = getComputedStyle(e);
  const frame = 2 * (parseFloat(style.paddingLeft) + parseFloat(style.borderLeftWidth));
  const ratio = (width - frame) / (height - frame) / (e.naturalWidth / e.naturalHeight);
  return `${ratio.toFixed(3)} ${e.alt.slice(0, 60)}`;
}).filter(said => Math.abs(parseFloat(said) - 1) > 0.015)"""
WIDE_CARDS = """() => [...document.querySelectorAll('article table.cards')]
  .filter(e => e.scrollWidth > e.parentElement.clientWidth + 1).map(e => e.textContent.trim().slice(0, 60))"""
PRINTED = """() => {
  dispatchEvent(new Event('beforeprint'));
  const shown = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden';
  const extra = [...document.querySelectorAll('.bd-sidebar, .bd-header-article, .prev-next-area, .copybtn')];
  const article = document.querySelector('article');
  const result = {extra: extra.filter(shown).map(e => e.className), theme: document.documentElement.dataset.theme,
                  share: article.getBoundingClientRect().width / innerWidth, text: article.innerText.length,
                  open: [...document.querySelectorAll('details.hide')].filter(d => d.open).length};
  dispatchEvent(new Event('afterprint'));
  return result;
}"""


@pytest.fixture(scope="module")
def one_page(browser):
    """One page that visits all others in turn: scripts that are compiled once make that twice as fast."""
    context = browser.new_context()
    page = context.new_page()
    watch(page)
    yield page
    context.close()


def address(page: str) -> str:
    return (HTML / f"{page}.html").as_uri()


def opened(page, name: str):
    """The page, loaded in a wide window, with its formulas set."""
    page.requests_out.clear()
    page.errors.clear()
    page.set_viewport_size(WIDE)
    page.wait_for_function(f"window.innerWidth === {WIDE['width']}")
    page.goto(address(name))
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    return page


def set_theme(page, theme: str) -> None:
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)


def violations(page, **options) -> list[str]:
    """What axe-core finds serious or critical, frames included; `options` are those of `axe.run`."""
    for frame in page.frames:
        if not frame.evaluate("'axe' in window"):
            frame.evaluate(AXE_SCRIPT)
    options |= {"resultTypes": ["violations", "incomplete"], "preload": False}  # preloading serves rules for media
    violations = page.evaluate(VIOLATIONS, options)
    return [
        f"{v['impact']} {v['id']}, {len(v['nodes'])} times, first at {v['nodes'][0]['target']}: "
        f"{v['nodes'][0]['html'][:120]}"
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]


def check_it_is_complete(page) -> None:
    """Nothing but tiles was asked of other hosts; no error; formulas, pictures and maps are drawn."""
    asked = {urlparse(a).hostname for a in page.requests_out}
    assert asked <= set(TILE_HOSTS), f"asks other hosts: {asked}"
    assert not page.errors
    wanted, drawn, failed = page.evaluate(FORMULAS)
    assert drawn >= wanted and not failed, f"{wanted} formulas, {drawn} drawn, {failed} failed"
    assert not page.evaluate(PICTURES_MISSING)
    for frame in page.frames[1:]:
        if "leaflet" in frame.content():
            areas = frame.evaluate(MAP_IMAGES)
            assert areas and min(areas) > 0, "a map without its image"


def check_it_is_accessible(page) -> None:
    """No serious or critical violation of axe-core in the light or the dark theme."""
    page.evaluate(ONE_TOKEN_OF_EACH_KIND)
    page.wait_for_function(REACHABLE)
    assert not violations(page, rules={rule: {"enabled": False} for rule in COLOR_RULES})
    page.evaluate(ONE_TEXT_OF_EACH_KIND)
    for theme in ("light", "dark"):
        set_theme(page, theme)
        assert not violations(page, runOnly=COLOR_RULES), f"{theme} theme"
    page.evaluate("document.querySelectorAll('[data-again]').forEach(e => { e.style.visibility = ''; })")


def check_nothing_is_cut_or_recolored(page) -> None:
    """At 1280 px all code, outputs and tables are whole; pictures keep their colors in the dark and a phone's width."""
    page.set_viewport_size(LAPTOP)
    assert not page.evaluate(CUT), "something is cut at 1280 px and does not say that it scrolls"
    assert not page.evaluate(
        "[...document.querySelectorAll('article pre')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    )
    set_theme(page, "dark")
    assert not page.evaluate(FILTERED), "the dark theme changes the colors of pictures"
    assert not page.evaluate(SQUEEZED)
    page.set_viewport_size(PHONE)
    page.wait_for_function("window.innerWidth === 390")
    page.wait_for_timeout(50)
    assert not page.evaluate(CUT), "something scrolls sideways on a phone and does not say so"
    assert not page.evaluate(WIDE_CARDS), "rows of a table of sentences are cards on a phone and need not scroll"
    assert not page.evaluate(SHRUNK)
    assert not page.evaluate(SQUEEZED)


def check_it_fits_a_narrow_window(page) -> None:
    """At 320 px the page does not scroll sideways, and what does scroll can be reached with the keyboard."""
    page.set_viewport_size(NARROW)
    assert not page.evaluate(STICKS_OUT)
    page.wait_for_function(REACHABLE)  # the theme looks for boxes that scroll a moment after the window has changed
    assert not violations(page, runOnly=["scrollable-region-focusable"])


def check_it_prints(page) -> None:
    """On paper there is only the text, dark on white, with the solutions folded as on the screen."""
    page.emulate_media(media="print")
    printed = page.evaluate(PRINTED)
    page.emulate_media(media="screen")
    assert not printed["extra"] and printed["theme"] == "light" and printed["open"] == 0
    assert printed["share"] > 0.8 and printed["text"] > 100, printed


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_complete_accessible_narrow_and_printable(one_page, name):
    page = opened(one_page, name)
    check_it_is_complete(page)
    check_it_is_accessible(page)
    check_nothing_is_cut_or_recolored(page)
    check_it_fits_a_narrow_window(page)
    check_it_prints(page)


@pytest.mark.parametrize("name", ["search", "genindex"])
def test_pages_made_by_the_tools_are_complete_and_accessible(one_page, name):
    if not (HTML / f"{name}.html").exists():
        pytest.skip(f"this book has no {name} page")
    page = opened(one_page, name)
    check_it_is_complete(page)
    check_it_is_accessible(page)
    check_it_fits_a_narrow_window(page)


def test_the_front_page_is_readable_at_once(offline_page):
    """One second is what we want; the best of three within three, so that a busy machine does not fail."""
    page, loads = offline_page, []
    for _ in range(3):
        page.goto((HTML / "index.html").as_uri())
        page.wait_for_url(address(PAGES[0]))
        page.wait_for_load_state()
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        loads.append((painted, page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")))
    print("front page, ms to the first text and to the complete document:", *(f"{p:.0f} {d:.0f}" for p, d in loads))
    assert min(painted for painted, _ in loads) < 3000 and min(complete for _, complete in loads) < 3000


def test_search_answers_with_links_that_exist(offline_page):
    page = opened(offline_page, PAGES[0])
    page.keyboard.press("Control+k")
    page.keyboard.type("pseudo-labels")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=pseudo-labels*")
    page.wait_for_function("document.querySelector('#search-results')?.innerText.includes('finished')")
    links = page.eval_on_selector_all("#search-results ul.search a", "found => found.map(a => a.href)")
    folder = HTML.as_uri()
    missing = [a for a in links if not (HTML / urlparse(a).path.removeprefix(urlparse(folder).path + "/")).exists()]
    assert any("pseudo_labels.html" in a for a in links) and not missing
    assert not page.requests_out and not page.errors


def test_the_theme_switch_switches_and_is_remembered(offline_page):
    page = opened(offline_page, PAGES[0])
    seen = set()
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.mode"))
    assert seen == {"light", "dark", "auto"}
    page.locator("button.theme-switch-button:visible").first.click()
    before = page.evaluate("document.documentElement.dataset.theme")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == before
    assert not page.errors


def test_a_folded_solution_opens_with_the_keyboard(offline_page):
    page = opened(offline_page, next(p for p in PAGES if p.endswith("00_start_here")))
    solution = page.locator("details.hide").first
    code = solution.locator("pre").first
    assert not code.is_visible()
    solution.locator("summary").focus()
    page.keyboard.press("Enter")
    assert code.is_visible()


def test_the_page_itself_describes_a_sample_picture(offline_page):
    page = opened(offline_page, "book/try_it")
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size(LAPTOP)
    figure = page.locator('figure.lulc-figure[data-kind="try_it"]')
    figure.locator(".lulc-samples button").last.click()
    page.wait_for_function("document.querySelector('.lulc-result').textContent.includes('seconds')", timeout=120_000)
    picture = figure.locator(".lulc-half canvas").first
    seen = [picture.bounding_box()]
    figure.get_by_label("Show:").select_option(label="a map from your clicks")
    seen.append(picture.bounding_box())
    assert all(box["y"] > 0 and box["y"] + box["height"] <= LAPTOP["height"] for box in seen), "out of the window"
    picture.press("Enter")
    assert figure.locator(".lulc-result").last.inner_text().startswith("1 click:")
    assert not page.requests_out and not page.errors

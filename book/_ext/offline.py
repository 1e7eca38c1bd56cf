"""Sphinx extension: the built pages need no network, contain nothing unused, and work with screen readers.

folium writes maps that load Leaflet from a content network. After the build, Leaflet is copied from the package
`xstatic-leaflet` into the site and every address in the pages is changed to that copy. The formula renderer comes
from the package `sphinx-mathjax-offline`; its bundles for other formats are removed. Code that would run cells on
a remote server (thebe) is left out: the chapters are run in Colab or at home. REPAIRS correct what the tools get wrong
for screen readers; each answers a rule of axe-core that the pages broke (tests/book/test_browser.py).
"""

import re
import shutil
from pathlib import Path

from xstatic.pkg import leaflet

ADDRESS = re.compile(r"https://cdn\.jsdelivr\.net/npm/leaflet@[\d.]+/dist/(leaflet\.(?:js|css))")
# The pages load tex-chtml.js, its fonts and, when a reader asks for them in the menu, its extensions.
UNUSED = (
    *("mathjax/mml-*.js", "mathjax/tex-svg*.js", "mathjax/tex-mml-*.js", "mathjax/tex-chtml-full*.js"),
    *("mathjax/node-main.js", "mathjax/latest.js", "sphinx-thebe.*", "scripts/*.map", "styles/*.map"),
)

REPAIRS = (
    # bibliography entries are declared as a list of items that a list may not contain
    (re.compile(r'(<div class="citation" [^>]*)role="doc-biblioentry"'), r'\1role="listitem"'),
    # an empty corner cell of a table is not a header
    (re.compile(r'<th class="(head[^"]*)">(?:<p></p>)?\s*</th>'), r'<td class="\1"></td>'),
    # the sidebar contains the book's title and the search as well as its list of pages
    (
        re.compile(r'<div id="pst-primary-sidebar" class'),
        '<div id="pst-primary-sidebar" role="region" aria-label="The book" class',
    ),
    # the arrow that unfolds the pages below a page has a picture, but no name
    (re.compile(r'<summary>(?=<span class="toctree-toggle")'), '<summary aria-label="Pages below this one">'),
)


def local_leaflet(html: str, to_root: str) -> str:
    """The page with the addresses of Leaflet pointing into the site; `to_root` is "../" for a page one folder deep."""
    return ADDRESS.sub(rf"{to_root}_static/leaflet/\1", html)


def repair(html: str) -> str:
    """The page with every repair applied."""
    for pattern, better in REPAIRS:
        html = pattern.sub(better, html)
    return html


def leave_out_thebe(app, pagename, templatename, context, doctree):
    """Keep pages from loading the scripts and styles of thebe, which would come from the network."""
    for kind in ("script_files", "css_files"):
        context[kind] = [f for f in context.get(kind, []) if "thebe" not in _words(f)]


def _words(file) -> str:
    return f"{getattr(file, 'filename', file)} {getattr(file, 'attributes', {}).get('body', '')}".lower()


def finish(app, exception):
    """Point maps at the site's own Leaflet, repair every page, and remove what no page loads."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf8")
        page.write_text(repair(local_leaflet(text, "../" * (len(page.relative_to(out).parts) - 1))), encoding="utf8")
    static = out / "_static"
    shutil.copytree(
        leaflet.BASE_DIR, static / "leaflet", ignore=shutil.ignore_patterns("*.map", "*src*"), dirs_exist_ok=True
    )
    for pattern in UNUSED:
        for file in static.glob(pattern):
            file.unlink()


def setup(app):
    """Register with Sphinx, after the extensions that copy the files (their priority is 500)."""
    app.connect("html-page-context", leave_out_thebe, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx extension: what the tools leave undone for readers who listen to a page instead of seeing it.

Each mend answers a rule of axe-core that the built pages broke (tests/book/test_browser.py checks them all).
"""

import re
from pathlib import Path

MENDS = (
    # the entries of the bibliography are told to be a list of things that a list may not hold
    (re.compile(r'(<div class="citation" [^>]*)role="doc-biblioentry"'), r'\1role="listitem"'),
    # an empty corner of a table heads nothing
    (re.compile(r'<th class="(head[^"]*)">(?:<p></p>)?\s*</th>'), r'<td class="\1"></td>'),
    # the side bar holds the book's title and the search beside its list of pages
    (
        re.compile(r'<div id="pst-primary-sidebar" class'),
        '<div id="pst-primary-sidebar" role="region" aria-label="The book" class',
    ),
)


def mend(html: str) -> str:
    """The page with every mend applied."""
    for pattern, better in MENDS:
        html = pattern.sub(better, html)
    return html


def mend_pages(app, exception):
    """Mend every page of the built site."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf8")
        mended = mend(text)
        if mended != text:
            page.write_text(mended, encoding="utf8")


def setup(app):
    """Register with Sphinx."""
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

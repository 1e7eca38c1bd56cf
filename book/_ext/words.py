"""Sphinx extension: words of the glossary lead to it where a page first uses them, and numbers keep their units.

- The first time that a paragraph of a page uses a word of the glossary, the word becomes a link to its entry.
- Between a number and its unit, or between the groups of a large number, a line is never broken; nor within a word of
  code that fits into a line of a phone, such as `-m` (book.css).
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

GLOSSARY = Path(__file__).resolve().parents[1] / "glossary.md"
WITHOUT = ("book/glossary", "book/api", "book/references")  # pages that explain or list words themselves
# words that mostly mean something else in plain English
PLAIN = {
    "crop",
    "point",
    "view",
    "head",
    "code",
    "shift",
    "transfer",
    "window",
    "overlap",
    "seed",
    "student",
    "teacher",
}
# words that mean something else on some pages: many machines, labels that lie close together, the weather
ELSEWHERE = {
    "cluster": ("book/performance", "book/limits", "book/scale", "notebooks/04", "notebooks/05"),
    "temperature": ("book/simulated",),
}
NOWHERE = (nodes.title, nodes.caption, nodes.table, nodes.reference, nodes.literal, nodes.literal_block, nodes.math)
WHOLE = 24  # letters; a longer word of code may be broken
TIED = re.compile(r"(?<=\d) (?=(?:%|\d{3}\b|[kMG]B\b|px\b|k?m\b|cm\b|ha\b|kB/s|MB/s))")


def terms() -> dict[str, str]:
    """{a word or its short form as a text uses it, in small letters: the term of the glossary that explains it}."""
    listed = GLOSSARY.read_text(encoding="utf8").split("```{glossary}")[1].split("```")[0]
    known, term = {}, ""
    for line in listed.splitlines():
        term = line if re.match(r"\S", line) else term
        short = re.search(r"Short: (\w+)\.", line)
        known[short[1].lower() if short else re.sub(r" \(.*\)", "", term).lower()] = term
    return {word: term for word, term in known.items() if word not in PLAIN and term}


def tie(app, doctree):
    """Put spaces that do not break between numbers and their units."""
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.literal | nodes.literal_block | nodes.math | nodes.math_block | nodes.raw):
            tied = TIED.sub("\u00a0", text)
            if tied != text:
                text.parent.replace(text, nodes.Text(tied))
    for code in doctree.findall(nodes.literal):
        if max(map(len, code.astext().split()), default=0) <= WHOLE:
            code["classes"].append("whole")


def link(app, doctree):
    """Make links of the words of the glossary where a page first uses them."""
    page = app.env.docname
    if page.startswith(WITHOUT):
        return
    left = {word: term for word, term in terms().items() if not page.startswith(ELSEWHERE.get(word, ()))}
    word = re.compile(rf"\b({'|'.join(map(re.escape, sorted(left, key=len, reverse=True)))})s?\b", re.I)
    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, nodes.paragraph | nodes.strong) and not inside(text):
            _link(text, word, left, page)


def inside(node: nodes.Node) -> bool:
    """Whether something around a node forbids links."""
    while node := node.parent:
        if isinstance(node, NOWHERE):
            return True
    return False


def _link(text: nodes.Text, word: re.Pattern, left: dict[str, str], page: str) -> None:
    pieces, at = [], 0
    for match in word.finditer(text):
        term = left.pop(match[1].lower(), None)
        if term:
            shown = nodes.inline("", match[0], classes=["std", "std-term"])
            to = {"refdomain": "std", "reftype": "term", "reftarget": term, "refexplicit": True, "refwarn": True}
            pieces += [nodes.Text(text[at : match.start()]), addnodes.pending_xref("", shown, refdoc=page, **to)]
            at = match.end()
    if pieces:
        index = text.parent.index(text)
        text.parent[index : index + 1] = [*pieces, nodes.Text(text[at:])]


def setup(app):
    """Register with Sphinx: before it collects titles and references (priority 500)."""
    app.connect("doctree-read", tie, priority=200)
    app.connect("doctree-read", link, priority=210)
    return {"parallel_read_safe": True}

"""The book is spelled as in the United States; words of the glossary become links; numbers keep their units."""

import re
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
import words
from docutils import nodes
from docutils.utils import new_document
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".md", ".ipynb", ".py", ".js", ".css", ".yml", ".yaml", ".json", ".cff", ".toml"}
FOLDERS = ("book", "notebooks", "lulc_utils", "scripts", "tests", "data_manifest", ".github")
OTHERS = re.compile(
    "(?:col|neighb|harb|fav|vig|behavi)our|cent(?:re|ring)|metre|fibre|grey|plough|aeroplane|misspelt|licence|catalogue"
    "|programme(?!r)|modell(?:ed|ing)|towards|afterwards|analyse(?!s)|label(?:ed|ing|er)"  # one of two ways: labelled
    "|(?:general|initial|maxim|minim|normal|optim|organ|random|real|recogn|regular|standard|summar|visual)is(?:e|ing|at)",
    re.IGNORECASE,
)
# names that are not ours, and keys of files written long ago
OF_OTHERS = re.compile(r'Space Centre|Licence Ouverte|cluster_centres|"centres"|"metre"|notes\["licence"\]')


def texts():
    """The files that people read, without the list of references, which quotes titles, and this file."""
    inside = chain.from_iterable((ROOT / folder).rglob("*") for folder in FOLDERS)
    return sorted(path for path in (*ROOT.glob("*.*"), *inside) if path.suffix in TEXT and path != Path(__file__))


@pytest.mark.parametrize("spelling", ("Colour", "grey", "metres", "recentred", "unlabeled", "normalised"))
def test_british_spelling_is_noticed(spelling):
    assert OTHERS.search(f"as {spelling} is")


def test_american_spelling_everywhere():
    assert not OTHERS.search("color parameter analyses realistic promise labelled model licensed analyst programmer")
    british = {}
    for path in texts():
        if spelled := set(OTHERS.findall(OF_OTHERS.sub("", path.read_text(encoding="utf8")))):
            british[path.relative_to(ROOT).as_posix()] = sorted(spelled)
    assert not british


def page(*parts):
    document = new_document("page")
    document += parts
    return document


def app(name="book/some"):
    return SimpleNamespace(env=SimpleNamespace(docname=name))


def test_a_word_is_linked_where_it_first_stands_in_a_paragraph():
    document = page(
        nodes.section("", nodes.title("", "DINO and mIoU")),
        nodes.paragraph("", "", nodes.literal("", "mIoU"), nodes.Text(" is code; the mIoUs and DINO are words.")),
        nodes.paragraph("", "mIoU again, from one point of view."),
    )
    before = document.astext()
    words.link(app(), document)
    links = [(x["reftarget"], x.astext()) for x in document.findall(addnodes.pending_xref)]
    assert links == [("mIoU", "mIoUs"), ("DINO", "DINO")] and document.astext() == before


def test_the_longest_word_wins_and_the_glossary_links_nothing():
    text = nodes.paragraph("", "A cosine similarity within a 95 % interval.")
    document = page(text)
    words.link(app("book/glossary"), document)
    assert not list(document.findall(addnodes.pending_xref))
    words.link(app(), document)
    targets = [x["reftarget"] for x in document.findall(addnodes.pending_xref)]
    assert targets == ["cosine similarity", "interval (95 %)"]


@pytest.mark.parametrize(
    ("name", "linked"),
    [
        ("notebooks/02_stego", ["cluster", "temperature"]),
        ("book/scale", ["temperature"]),
        ("book/simulated", ["cluster"]),
    ],
)
def test_a_word_that_means_something_else_on_a_page_is_no_link_there(name, linked):
    document = page(nodes.paragraph("", "A cluster and its temperature."))
    words.link(app(name), document)
    assert [x["reftarget"] for x in document.findall(addnodes.pending_xref)] == linked
    assert (ROOT / "book" / "scale.md").exists() and set(words.ELSEWHERE) <= set(words.terms())


def test_a_short_form_leads_to_the_word():
    text = nodes.paragraph("", "A ViT, the Hungarian assignment and Student's t.")
    document = page(text)
    words.link(app(), document)
    targets = [x["reftarget"] for x in document.findall(addnodes.pending_xref)]
    assert targets == ["vision transformer", "Hungarian assignment", "Student's t"]


def test_numbers_keep_their_units_except_in_code():
    document = page(nodes.paragraph("", "3 435 places, 95 % of 10 m and 5 maps"), nodes.literal_block("", "95 % 10 m"))
    words.tie(app(), document)
    assert document[0].astext() == "3\u00a0435 places, 95\u00a0% of 10\u00a0m and 5 maps"
    assert document[1].astext() == "95 % 10 m"


def test_short_words_of_code_stay_whole():
    codes = [nodes.literal("", text) for text in ("python -m lulc_utils", "results/a-folder/with-a-long-name.json")]
    words.tie(app(), page(nodes.paragraph("", "", *codes)))
    assert [code["classes"] for code in codes] == [["whole"], []]

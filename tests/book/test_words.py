"""Words of the glossary become links once a page and only in its text; a number is not parted from its unit."""

from types import SimpleNamespace

import words
from docutils import nodes
from docutils.utils import new_document
from sphinx import addnodes


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

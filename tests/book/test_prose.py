"""Numbers in the text of chapters and pages are those of the result files; book/prose.yml says where each is from."""

import json
import re
from pathlib import Path

import pytest
import yaml
from claims import filled_in, holds

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "book" / "measured"
SAID = yaml.safe_load((ROOT / "book" / "prose.yml").read_text(encoding="utf8"))
SENTENCES = [(chapter, text) for chapter, said in SAID.items() for text in said.get("sentences", [])]
RULES = [(chapter, rule) for chapter, said in SAID.items() for rule in said.get("true_if", [])]


def plain(text):
    return re.sub(r"\s+", " ", text).replace("−", "-")


def text_of(chapter):
    """All that a reader reads in a chapter: text and captions; or all of a page, by its name without .md."""
    if (page := ROOT / f"{chapter}.md").exists():
        return plain(page.read_text(encoding="utf8"))
    cells = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text(encoding="utf8"))["cells"]
    texts = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    figures = [c["metadata"].get("mystnb", {}).get("figure", {}) for c in cells]
    texts += [figure.get("caption", "") for figure in figures]
    return plain("\n".join(texts))


@pytest.mark.parametrize(("chapter", "text"), SENTENCES)
def test_a_sentence_has_the_numbers_that_were_measured(chapter, text):
    wanted = plain(filled_in(text, MEASURED))
    assert wanted in text_of(chapter), f"write in the chapter: {wanted}"


@pytest.mark.parametrize(("chapter", "rule"), RULES)
def test_what_a_chapter_concludes_is_still_true(chapter, rule):
    assert holds(rule, MEASURED), f"chapter {chapter} says what is no longer so: {rule}"

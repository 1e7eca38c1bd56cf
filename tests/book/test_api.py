"""The reference of the package is made from its docstrings: complete, in order, and readable."""

import importlib
import inspect
from pathlib import Path

import api
import pytest
import run_chapters
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]

NAMES = api.modules()


def test_every_module_is_in_the_reference_once():
    modules = {p.stem for p in (ROOT / "lulc_utils").glob("*.py")} | {
        p.parent.name for p in (ROOT / "lulc_utils").glob("*/__init__.py")
    }
    assert {name.split(".")[0] for name in NAMES} == {name for name in modules if not name.startswith("_")}
    assert len(set(NAMES)) == len(NAMES)


def test_the_pages_hold_all_modules_in_reading_order_and_stand_so_in_the_table_of_contents():
    pages = api.pages()
    assert sum((api.modules(page.modules) for page in pages), []) == NAMES
    listed = [page for page in run_chapters.pages() if page.startswith("book/api/")]
    assert [page.document for page in pages] == listed
    assert all(page.sentence.endswith(".") and page.sentence.count(". ") == 0 for page in pages)


def test_a_list_links_every_name_and_gives_its_first_sentence():
    listed = api.summary(
        [("one", "#api-one", "The first (Ab et al. 2021): with more. And more."), ("two", "x.html#api-two", "Second.")]
    )
    assert [item.astext() for item in listed] == ["one\n\nThe first (Ab et al. 2021): with more.", "two\n\nSecond."]
    first, second = listed.findall(nodes.reference)
    assert first["refid"] == "api-one" and second["refuri"] == "x.html#api-two"


@pytest.mark.parametrize("name", NAMES)
def test_everything_public_is_described(name):
    module = importlib.import_module(f"lulc_utils.{name}")
    things = api.public(module)
    assert things and api.described(module.__doc__)
    for title, thing in things:
        assert thing.__doc__, f"{name}.{title} has no docstring"
        assert api.signature(title, thing).startswith(title)
        assert Path(inspect.getsourcefile(thing)).is_relative_to(ROOT / "lulc_utils")


def test_a_docstring_becomes_paragraphs_options_and_commands():
    text = """Does `this` and that.

    first    what the first is,
             on two lines
    second   what the second is

        python -m a.command

    ValueError when it cannot.
    """
    parts = api.described(text)
    assert [type(n) for n in parts] == [nodes.paragraph, nodes.definition_list, nodes.literal_block, nodes.paragraph]
    assert [i.astext() for i in parts[1]] == [
        "first\n\nwhat the first is, on two lines",
        "second\n\nwhat the second is",
    ]
    assert parts[0].astext() == "Does this and that." and isinstance(parts[0][1], nodes.literal)


def test_long_signatures_are_broken_between_arguments_only():
    def function(first_argument, second_argument=(1, 2, 3), *, third_argument="a, b", fourth_argument=None):
        """Nothing."""

    lines = api.signature("function", function).splitlines()
    assert lines[0] == "function(" and "    second_argument=(1, 2, 3)," in lines and lines[-1] == ")"

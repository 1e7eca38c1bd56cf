"""The first screen of a chapter: its lead figure is moved below the title, and no two folds stand in a row."""

import first_screen
from docutils import nodes
from docutils.utils import new_document


def cell(code, *, shows="", folded=True, tags=()):
    made = nodes.container(nb_element="cell_code", classes=["cell", *(f"tag_{t}" for t in tags)])
    if folded:
        made["hide_mode"], made["prompt_show"] = "input", "Show the code"
    made += nodes.container("", nodes.literal_block(code, code), nb_element="cell_code_source")
    if shows:
        made += nodes.container("", nodes.paragraph(shows, shows), nb_element="cell_code_output")
    return made


def page():
    document = new_document("page")
    top = nodes.section("", nodes.title("", "1 A chapter"), nodes.paragraph("", "What is it?"), ids=["top"])
    top += nodes.paragraph("", "You will be able to")
    top += cell("try:\n    import lulc_utils", shows="all is well")
    top += cell("seed = 0", tags=["parameters"])
    inner = nodes.section("", nodes.title("", "The question"), nodes.paragraph("", "Long. " * 60), ids=["inner"])
    inner += [cell("import numpy"), nodes.paragraph("", "First the images:"), cell("x = 1"), cell("y = 2")]
    inner += [nodes.paragraph("", "And now:"), cell("draw()", shows="a picture", tags=["lead"])]
    inner += [nodes.paragraph("", "See."), cell("print(x)", shows="1", folded=False)]
    inner += [nodes.paragraph("", "More."), cell("a = 1"), cell("b = 2"), nodes.paragraph("", "Less."), cell("c = 3")]
    top += inner
    document += top
    return document, top, inner


def test_the_lead_figure_stands_below_the_first_paragraph():
    document, top, inner = page()
    first_screen.lead(None, document)
    assert top[2]["classes"] == ["lead"] and top[2].astext() == "a picture"
    assert "a picture" not in inner.astext() and "draw()" in inner.astext()


def test_a_page_without_a_lead_stays_as_it_is():
    document, top, _ = page()
    next(c for c in document.findall(nodes.container) if "tag_lead" in c["classes"])["classes"].clear()
    before = document.pformat()
    first_screen.lead(None, document)
    assert document.pformat() == before


def test_the_set_up_is_one_fold_and_so_is_every_row_of_folded_cells():
    document, top, inner = page()
    first_screen.lead(None, document)
    first_screen.gathered(None, document)
    shown = [n for n in document.findall(nodes.container) if first_screen.is_cell(n)]
    assert [n.get("prompt_show") for n in shown] == [
        "Set-up: installation, parameters, and 4 more cells", None, "Show the code of 2 cells", "Show the code",
    ]  # fmt: skip
    assert [n.get("hide_mode") for n in shown] == ["all", None, "all", "input"]
    assert shown[0].parent is inner and shown[0][0]["nb_element"] == "cell_code_source"
    text = shown[0].astext()
    order = ("import lulc_utils", "all is well", "seed", "numpy", "First the images", "x = 1", "And now", "draw()")
    assert [text.index(t) for t in order] == sorted(text.index(t) for t in order)
    assert "See." in inner.astext() and "See." not in text and top[2].astext() == "a picture"


def test_quiet_cells_right_above_a_folded_picture_lie_in_its_fold():
    document, top, inner = page()
    inner += [
        nodes.paragraph("", "In rows:"),
        cell("rows = 1"),
        cell("size = 2"),
        cell("plot()", shows="a chart"),
        cell("own()", shows="a table"),
    ]
    inner += [cell("seen()", shows="words", folded=False)]
    first_screen.gathered(None, document)
    chart, table, words = [n for n in inner.children if first_screen.is_cell(n)][-3:]
    assert chart[0].astext().split() == ["rows", "=", "1", "size", "=", "2", "plot()"] and len(chart) == 2
    assert table[0].astext() == "own()" and words[0].astext() == "seen()" and chart[1].astext() == "a chart"


def test_the_cells_of_a_solution_are_one_fold():
    document, top, inner = page()
    solved = [cell(code, tags=["solution"]) for code in ("first()", "second()", "third()")]
    for made in solved:
        made["hide_mode"] = "all"
    inner += [*solved[:2], nodes.paragraph("", "Exercise 2"), solved[2]]
    first_screen.solutions(None, document)
    left = [n.astext().split() for n in inner.children if "tag_solution" in n.get("classes", ())]
    assert left == [["first()", "second()"], ["third()"]]


def test_the_cell_that_saves_the_numbers_of_a_run_is_only_in_the_notebook():
    document, top, inner = page()
    first_screen.without_saving(None, document)
    assert "c = 3" in inner.astext(), "any other last cell stays"
    inner += [nodes.paragraph("", "The end."), cell("results.save(file)")]
    first_screen.without_saving(None, document)
    assert "results.save" not in document.astext() and "The end." in inner.astext()

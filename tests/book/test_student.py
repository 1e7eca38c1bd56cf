"""Student copies hold no solution; every exercise can be solved, and its check tells a solution from a stub."""

import ast
import json
import re
import symtable
import sys

import nbformat
import pytest
import student
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CHAPTERS = student.chapters()
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def read(chapter):
    return nbformat.read(student.NOTEBOOKS / f"{chapter}.ipynb", as_version=4)


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


def small(*solution, tags=("solution", "hide-cell")):
    """A notebook with one exercise."""
    cells = [
        nbformat.v4.new_markdown_cell(
            "[Open](https://colab.research.google.com/github/a/b/blob/main/notebooks/x.ipynb)"
        ),
        nbformat.v4.new_markdown_cell("### Exercise 3: try"),
        nbformat.v4.new_code_cell("\n".join(solution), metadata={"tags": list(tags)}),
        nbformat.v4.new_code_cell("assert answer == 42", metadata={"tags": ["check"]}),
    ]
    return nbformat.v4.new_notebook(cells=cells)


# ------------------------------------------------------------------------------------------------ the copies


def test_a_stub_keeps_what_is_outside_of_the_markers_and_raises_in_their_place():
    source = "given = 1\ndef f(x):\n    ### BEGIN SOLUTION\n    return x + given\n    ### END SOLUTION\n"
    copy = student.stub(source, 2)
    assert copy.splitlines()[:2] == ["given = 1", "def f(x):"] and "return" not in copy
    scope = {}
    exec(copy, scope)
    with pytest.raises(NotImplementedError, match="Exercise 2: replace this line"):
        scope["f"](1)


def test_a_cell_without_markers_is_replaced_as_a_whole():
    assert student.stub("answer = 42\nother = 43", 1).splitlines() == student.stub("answer = 42", 1).splitlines()
    assert "42" not in student.stub("answer = 42", 1)


@pytest.mark.parametrize(
    "lines",
    [[student.BEGIN, "a = 1"], ["a = 1", student.END], [student.BEGIN, student.BEGIN, student.END, student.END]],
)
def test_markers_without_a_partner_are_refused(lines):
    with pytest.raises(ValueError, match="without its partner"):
        student.student_copy(small(*lines))


def test_nothing_hidden_stays_in_a_student_copy():
    notebook = small("answer = 40 + 2  # the secret")
    solution = notebook.cells[2]
    solution.outputs = [nbformat.v4.new_output("stream", text="the secret is 42")]
    solution.metadata["original"] = "answer = 40 + 2  # the secret"
    notebook.cells[1]["attachments"] = {"a.txt": {"text/plain": "the secret"}}
    notebook.metadata["notes"] = "the secret"
    copied = student.student_copy(notebook)
    assert "secret" not in json.dumps(copied) and "colab.research" not in json.dumps(copied)
    assert "secret" in json.dumps(notebook), "the original stays as it is"
    assert copied.cells[3] == notebook.cells[3], "the check stays"


def test_a_solution_that_also_stands_elsewhere_is_noticed():
    leaking = small("answer = 40 + 2")
    leaking.cells[3].outputs = [nbformat.v4.new_output("stream", text="answer = 40 + 2")]
    leaking.cells[3].metadata["tags"] += ["keep_output"]
    with pytest.raises(ValueError, match="would reach the student copy: answer = 40 . 2"):
        student.student_copy(leaking)


@each_chapter
def test_no_line_of_a_solution_reaches_the_student_copy(chapter, tmp_path):
    """Found again without the functions under test, in the file as it is written."""
    path = student.write(student.student_copy(read(chapter)), tmp_path / "copy.ipynb")
    secret, public = [], []
    for cell in read(chapter).cells:
        if not tagged(cell, "solution"):
            public.append(cell.source)
            continue
        parts = re.split(r"^\s*### (?:BEGIN|END) SOLUTION$", cell.source, flags=re.M)
        secret += "\n".join(parts[1::2] if len(parts) > 1 else parts).splitlines()
        public += parts[0::2] if len(parts) > 1 else []
    public = "\n".join(public)
    lines = {line.strip() for line in secret if len(line.strip()) > 6 and line.strip() not in public}
    assert len(lines) >= 4
    written = path.read_text(encoding="utf8")
    for line in lines:
        assert line not in written and json.dumps(line)[1:-1] not in written, line
    assert "BEGIN SOLUTION" not in written and "hide-cell" not in written
    copied = nbformat.read(path, as_version=4)
    nbformat.validate(copied)
    assert not any("colab.research.google.com" in c.source for c in copied.cells)
    assert [c.source for c in copied.cells if tagged(c, "check")] == [
        c.source for c in read(chapter).cells if tagged(c, "check")
    ]
    for cell in copied.cells:
        assert tagged(cell, "keep_output") or not cell.get("outputs")
        if tagged(cell, "exercise"):
            ast.parse(cell.source)
            assert "raise NotImplementedError(" in cell.source


@each_chapter
def test_instructor_copies_are_complete_and_unfolded(chapter):
    full = student.instructor_copy(read(chapter))
    assert [c.source for c in full.cells] == [c.source for c in read(chapter).cells]
    assert not any(tagged(c, "hide-cell") for c in full.cells if tagged(c, "solution"))


def test_the_command_writes_copies_and_refuses_unknown_chapters(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["student.py", "--out", str(tmp_path), CHAPTERS[0]])
    assert student.main() == 0 and [p.name for p in tmp_path.iterdir()] == [f"{CHAPTERS[0]}.ipynb"]
    monkeypatch.setattr(sys, "argv", ["student.py", "99_nothing"])
    with pytest.raises(SystemExit, match="2"):
        student.main()
    assert "no chapter 99_nothing" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------- the checks


def bound(source):
    """Names that a cell sets, imports or defines."""
    symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported() or s.is_namespace()}


@each_chapter
def test_every_check_asks_for_a_name_that_only_its_solution_defines(chapter):
    cells = [c for c in read(chapter).cells if c.cell_type == "code" and "%pip" not in c.source]
    solutions = []  # of one exercise
    for cell in cells:
        solutions += [cell] if tagged(cell, "solution") else []
        if tagged(cell, "check"):
            elsewhere = set().union(*(bound(c.source) for c in cells if c not in solutions))
            used = {n.id for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Name)}
            for solution in solutions:
                only_here = bound(solution.source) - elsewhere
                assert used & only_here, f"the check passes without this solution:\n{solution.source}"
            solutions = []


def error_of(cell):
    """(name, text) of the error a cell ended with, or None."""
    return next(((o.ename, o.evalue) for o in cell.outputs if o.output_type == "error"), None)


@pytest.mark.weekly
@each_chapter
def test_every_check_passes_with_the_solution_and_fails_with_the_stub(chapter, monkeypatch):
    monkeypatch.setenv("LULC_OFFLINE", "1")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    every = read(chapter).cells
    number_of = student.exercise_of(every)
    first = min(number_of)
    before = [c.source for c in every[:first] if c.cell_type == "code" and "%pip" not in c.source]
    cells = [nbformat.v4.new_code_cell(source) for source in before]
    tried = {number: {} for number in number_of.values()}
    for index, cell in enumerate(every[first:], first):
        if tagged(cell, "solution"):
            number = number_of[index]
            tried[number].setdefault("solutions", []).append(cell.source)
        elif tagged(cell, "check"):
            stubs = [student.stub(source, number) for source in tried[number]["solutions"]]
            for kind, sources in {
                "stubbed": stubs,
                "failing": [cell.source],
                "solved": tried[number]["solutions"],
                "passing": [cell.source],
            }.items():
                tried[number][kind] = [nbformat.v4.new_code_cell(source) for source in sources]
                cells += tried[number][kind]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, allow_errors=True, kernel_name="python3").execute()
    assert not [error_of(c) for c in cells[: len(before)] if error_of(c)]
    for number, kinds in tried.items():
        wrong = {k: [error_of(c) for c in kinds[k] if error_of(c)] for k in ("stubbed", "failing", "solved", "passing")}
        error = [*wrong["stubbed"], *wrong["failing"]][0]
        assert error[0] == "NotImplementedError", f"exercise {number}: the stub gives {error}"
        assert f"Exercise {number}: replace this line" in error[1]
        assert wrong["failing"], f"exercise {number}: the check passes although nothing was solved"
        assert not wrong["solved"] + wrong["passing"], f"exercise {number}: {wrong}"
        assert any(f"Exercise {number}:" in o.get("text", "") for o in kinds["passing"][0].outputs)


@pytest.mark.slow
def test_a_student_copy_runs_alone_to_its_first_stub(tmp_path, monkeypatch):
    monkeypatch.setenv("LULC_OFFLINE", "1")
    copied = student.student_copy(read(CHAPTERS[0]))
    with pytest.raises(CellExecutionError, match="Exercise 1: replace this line by your own code"):
        client = NotebookClient(copied, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
        client.execute()
    ran = [bool(c.outputs) or c.execution_count for c in copied.cells if c.cell_type == "code"]
    assert all(ran[:20])

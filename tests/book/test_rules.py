"""Rules of CONTRIBUTING.md that ruff does not check: order and size of the code, and the shape of the chapters."""

import ast
import json
import statistics
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("lulc_utils", "book", "scripts") for path in (ROOT / folder).rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
EMPTY_NAMES = {"found", "here", "there", "one", "told"}  # say neither what a value is nor what it is for
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
LINES_OF_A_FILE, LINES_OF_A_BODY, LINES_OF_A_CELL, COLUMNS, MEDIAN, DEFINITIONS, IN_A_ROW = 250, 30, 12, 78, 6, 45, 2

each_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf8"))


def functions(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, FUNCTIONS)]


def name(path):
    return path.relative_to(ROOT).as_posix()


def code(path):
    """The code cells of a chapter after the bootstrap, which is the same in all, as text."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][1:]


# ------------------------------------------------------------------------------------------ the package


def test_a_module_imports_only_from_those_before_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0, "lint-imports says which"


def test_no_file_is_long():
    long = {name(p): n for p in FILES if (n := len(p.read_text(encoding="utf8").splitlines())) > LINES_OF_A_FILE}
    assert not long


def test_no_two_test_files_have_the_same_name():
    """pytest imports them by their name alone, except from folders that are packages."""
    files = [p for p in TESTS if not (p.parent / "__init__.py").exists()]
    names = sorted(p.name for p in files if p.name != "conftest.py")
    assert names == sorted(set(names))
    for path in files:
        imports = [n for n in ast.walk(tree(path)) if isinstance(n, ast.ImportFrom)]
        assert all(n.module != "conftest" for n in imports), f"{name(path)}: which one depends on the order of folders"


def test_no_body_of_a_function_is_long():
    long = {}
    for path in FILES:
        for node in functions(path):
            body = node.body[1:] if ast.get_docstring(node, clean=False) else node.body
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            if lines > LINES_OF_A_BODY:
                long[f"{name(path)} {node.name}"] = lines
    assert not long


def bound(tree):
    """The names that a piece of code gives to its variables, arguments, functions and imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.arg, ast.alias, *FUNCTIONS.__args__)):
            yield getattr(node, "arg", None) or getattr(node, "asname", None) or node.name


def test_names_say_what_a_value_is():
    trees = {name(path): [tree(path)] for path in (*FILES, *TESTS)}
    trees |= {name(path): map(ast.parse, code(path)) for path in NOTEBOOKS}
    empty = {path: words for path, of in trees.items() if (words := EMPTY_NAMES & {n for t in of for n in bound(t)})}
    assert not empty


# ------------------------------------------------------------------------------------------ the chapters


@each_chapter
def test_cells_are_short_and_narrow(path):
    for number, text in enumerate(code(path), 1):
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) <= LINES_OF_A_CELL, f"cell {number} has {len(lines)} lines:\n{text}"
        assert max(map(len, lines)) <= COLUMNS, f"cell {number} is {max(map(len, lines))} columns wide:\n{text}"


@each_chapter
def test_most_cells_are_very_short(path):
    assert statistics.median(len([line for line in t.splitlines() if line.strip()]) for t in code(path)) <= MEDIAN


@each_chapter
def test_a_sentence_stands_between_cells(path):
    kinds = [cell["cell_type"] for cell in json.loads(path.read_text(encoding="utf8"))["cells"]]
    assert max(len([*row]) for kind, row in groupby(kinds) if kind == "code") <= IN_A_ROW


def test_chapters_define_few_functions():
    number = {
        name(p): sum(isinstance(n, FUNCTIONS) for t in code(p) for n in ast.walk(ast.parse(t))) for p in NOTEBOOKS
    }
    assert sum(number.values()) <= DEFINITIONS, number


@each_chapter
def test_numbers_that_have_a_name_are_called_by_it(path):
    """255 is UNLABELLED unless it scales 8-bit values; the number of classes and the grid come from the data."""
    for number, text in enumerate(code(path), 1):
        tree = ast.parse(text)
        scales = {id(n.right) for n in ast.walk(tree) if isinstance(n, ast.BinOp)}
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
        scales |= {id(arg) for call in calls if call.func.attr.startswith("float") for arg in call.args}
        for node in ast.walk(tree):
            typed = isinstance(node, ast.Constant) and type(node.value) is int and node.value == 255
            assert not typed or id(node) in scales, f"cell {number}, line {node.lineno}: UNLABELLED is typed as 255"
        for call in calls:
            literals = {arg.value for arg in call.args if isinstance(arg, ast.Constant)}
            assert "confusion" not in call.func.attr or 7 not in literals, f"cell {number}: classes typed as 7"
            grid = call.func.attr in ("view", "reshape") and {n for n in literals if isinstance(n, int) and n > 3}
            assert not grid, f"cell {number}: the grid is typed as {grid}"

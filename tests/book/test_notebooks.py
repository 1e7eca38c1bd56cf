"""Rules that every chapter keeps (design of the notebooks), checked without running anything."""

import ast
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import jupyter_book
import pytest
import run_chapters
import stamp
import yaml

from lulc_utils import results

ROOT = Path(__file__).resolve().parents[2]

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
GOLDEN = {"keep_output", "nbval-check-output"}


def load(path):
    return json.loads(path.read_text(encoding="utf8"))


def cells(path, kind=None):
    return [c for c in load(path)["cells"] if kind in (None, c["cell_type"])]


def source(cell):
    return "".join(cell["source"])


def tags(cell):
    return set(cell["metadata"].get("tags", []))


each_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def test_there_are_chapters_and_the_table_of_contents_names_them_all():
    assert [p.stem for p in NOTEBOOKS] == run_chapters.chapters()


@each_chapter
def test_first_code_cell_is_the_same_bootstrap_everywhere(path):
    first = source(cells(path, "code")[0])
    assert first == source(cells(NOTEBOOKS[0], "code")[0])
    assert "except ModuleNotFoundError" in first and "--no-deps" in first and "doctor.report()" in first


@each_chapter
def test_a_figure_is_all_that_its_cell_shows(path):
    """A value at the end would be a second output, which gets the same caption and the same name."""
    shows = re.compile(r"(axis|axes\[.+\]|figure)\.(set(_[xyzt]\w+)?|legend|annotate|axhline|axvline|plot|text|sup\w+)")
    for cell in cells(path, "code"):
        if "figure" not in cell["metadata"].get("mystnb", {}):
            continue
        last = ast.parse(source(cell)).body[-1]
        called = ast.unparse(last.value).split("(")[0] if isinstance(last, ast.Expr) else ""
        assert not shows.fullmatch(called), f"cell {cell['id']}: write _ = {called}(...)"


@each_chapter
def test_one_parameters_cell_with_commented_literals(path):
    parameter_cells = [c for c in cells(path, "code") if "parameters" in tags(c)]
    assert len(parameter_cells) == 1
    assert cells(path, "code").index(parameter_cells[0]) == 1, "the parameters follow the bootstrap"
    for node, line in zip(
        ast.parse(source(parameter_cells[0])).body, source(parameter_cells[0]).strip().splitlines(), strict=True
    ):
        assert isinstance(node, ast.Assign), line
        ast.literal_eval(node.value)
        assert len(line.split("#", 1)[1].strip()) > 5, f"no help comment: {line}"
    assert {"seed", "results_file"} <= {n.targets[0].id for n in ast.parse(source(parameter_cells[0])).body}


@each_chapter
def test_a_parameter_of_a_wrong_type_is_refused_before_anything_is_computed(path):
    """By the call of `results.check`, which only imports precede."""
    parameters, *others = (ast.parse(source(cell)).body for cell in cells(path, "code")[1:4])
    statements = itertools.dropwhile(lambda node: isinstance(node, ast.Import | ast.ImportFrom), sum(others, []))
    call = next(statements).value
    assert ast.unparse(call).startswith("results.check(globals()")
    least = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in parameters}
    assert least.keys() <= values.keys()
    results.check(values, **least)
    for name, value in values.items():
        for wrong in (0.5, "text", True, None, ["a"], ("a",), {}, -1, float("nan")):
            text = isinstance(value, str) and isinstance(wrong, str) and name != "precision"
            if not text and type(wrong) is not type(value) or wrong == -1:
                with pytest.raises(ValueError, match=f"The parameter {name} must be "):  # add it to `results`
                    results.check(values | {name: wrong}, **least)
        if name in least:
            with pytest.raises(ValueError, match=f"{name} must be a whole number of at least {least[name]}, not"):
                results.check(values | {name: least[name] - 1}, **least)


@each_chapter
def test_code_is_short_and_finds_nothing_outside(path):
    for number, cell in enumerate(cells(path, "code")):
        text = source(cell)
        lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert len(lines) <= 20, f"cell {number} has {len(lines)} lines"
        assert number == 0 or not re.search(r"pip install|!\w|wget|curl ", text), f"cell {number}"
        assert "../" not in text and not re.search(r"['\"]/(home|tmp|usr|content)", text), f"cell {number}"
        if number:
            ast.parse(text)


@each_chapter
def test_outputs_are_stripped_except_golden_ones(path):
    counts = []
    for cell in cells(path, "code"):
        if tags(cell) & GOLDEN:
            assert GOLDEN <= tags(cell)
            assert cell["outputs"] and all(o["output_type"] == "stream" for o in cell["outputs"])
            assert len(json.dumps(cell["outputs"])) < 2000
            assert not re.search(r"\b1 (?!is|was|has)[a-z]+(s|\(s\))(?!\w)", json.dumps(cell["outputs"])), (
                "one thing is singular"
            )
        else:
            assert not cell["outputs"], source(cell)[:60]
        counts.append(cell["execution_count"])
    assert counts == list(range(1, len(counts) + 1)), "run top to bottom, then nbstripout --keep-count"
    assert sum(bool(tags(c) & GOLDEN) for c in cells(path, "code")) >= 2


@each_chapter
def test_every_map_says_what_it_shows(path):
    for text in (source(c) for c in cells(path, "code") if not tags(c) & {"solution", "check"}):
        assert not re.search(r"maps\.(scene_map|comparison)\(", text) or re.search(r'caption="[^"]{20}', text), text


def test_nbstripout_would_change_nothing():
    command = [sys.executable, "-m", "nbstripout", "--keep-count", "--verify", *map(str, NOTEBOOKS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@each_chapter
def test_every_figure_has_alt_text_and_a_caption_that_says_something(path):
    drawn = [
        c
        for c in cells(path, "code")
        if re.search(r"plot\.(scenes|panels|heats?|intervals)\(|plt\.subplots", source(c))
    ]
    drawn = [c for c in drawn if not source(c).lstrip().startswith("def ")]
    assert drawn
    for cell in drawn:
        meta = cell["metadata"].get("mystnb", {})
        assert len(meta.get("image", {}).get("alt", "")) > 40, source(cell)[:80]
        assert len(meta.get("figure", {}).get("caption", "")) > 60, source(cell)[:80]
        assert re.fullmatch(r"[a-z0-9-]+", meta["figure"]["name"])
    names = [c["metadata"]["mystnb"]["figure"]["name"] for c in drawn]
    assert len(set(names)) == len(names)


@each_chapter
def test_headings_badge_and_sections(path):
    text = "\n".join(source(c) for c in cells(path, "markdown"))
    levels = [len(m[1]) for m in re.finditer(r"^(#+) \S", re.sub(r"```.*?```", "", text, flags=re.S), re.M)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), "a heading level is skipped"
    name, ref = stamp.repository()
    assert f"https://colab.research.google.com/github/{name}/blob/{ref}/notebooks/{path.name}" in text
    for section in ("You will be able to", "Time and hardware", "## Exercises", "## Limits", "## What to read next"):
        assert section in text, section


@each_chapter
def test_every_exercise_is_asked_solved_and_checked_in_this_order(path):
    numbers, exercise = [], None
    for cell in cells(path):
        text, kind = source(cell), tags(cell) & {"solution", "check"}
        for heading in re.finditer(r"^### Exercise (\d+): \w+", text, re.M):
            assert exercise is None, f"exercise {exercise} has no check"
            exercise, steps = int(heading[1]), []
        assert not kind or exercise, f"outside of an exercise: {text[:60]}"
        if cell["cell_type"] == "code" and exercise:
            assert kind, f"between exercise {exercise} and its check stands: {text[:60]}"
            steps.append(kind.pop())
            if steps[-1] == "check" and set(steps[:-1]) == {"solution"}:
                numbers, exercise = [*numbers, exercise], None
    assert exercise is None and numbers == list(range(1, len(numbers) + 1)) and 2 <= len(numbers) <= 4
    solved = [c for c in cells(path, "code") if "solution" in tags(c)]
    checked = [c for c in cells(path, "code") if "check" in tags(c)]
    assert len(solved) >= len(checked) == len(numbers)
    assert all("hide-cell" in tags(c) for c in solved), "solutions are folded away"
    prompts = {c["metadata"].get("mystnb", {}).get("code_prompt_show") for c in solved}
    assert prompts == {"Show the solution"}, "a folded solution says what it is; other folded cells are just code"
    assert not any(tags(c) & {"hide-cell", "hide-input", "remove-cell"} for c in checked), "checks are in sight"
    for number, cell in zip(numbers, checked, strict=True):
        assert re.search(r"^\s*assert ", source(cell), re.M), f"check {number} asserts nothing"
        assert f'print("Exercise {number}:' in source(cell) or f'print(f"Exercise {number}:' in source(cell)


@each_chapter
def test_citations_exist_and_cell_ids_are_unique(path):
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf8")
    keys = set(re.findall(r"@\w+\{(\w+),", bibliography))
    text = "\n".join(source(c) for c in cells(path, "markdown"))
    for group in re.findall(r"\{cite:[pt]\}`([^`]+)`", text):
        assert set(group.split(",")) <= keys, group
    ids = [c["id"] for c in cells(path)]
    assert len(set(ids)) == len(ids)


@each_chapter
def test_a_chapter_saves_its_numbers_with_a_headline(path):
    calls = [n for c in cells(path, "code")[1:] for n in ast.walk(ast.parse(source(c))) if isinstance(n, ast.Call)]
    (saved,) = [call for call in calls if ast.unparse(call.func) == "results.save"]
    names = [ast.unparse(argument) for argument in saved.args]
    assert names[:2] == ["results_file", f"'{path.stem}'"] and len(names) + len(saved.keywords) == 4


def test_links_are_stamped_from_the_configuration():
    assert subprocess.run([sys.executable, str(ROOT / "scripts" / "tools" / "stamp.py"), "--check"]).returncode == 0
    old = "https://colab.research.google.com/github/some/fork/blob/dev/notebooks/x.ipynb git+https://github.com/a/b@v1"
    new = stamp.stamped(old, "me/mine", "v2")
    assert "github/me/mine/blob/v2/notebooks/x.ipynb" in new and "git+https://github.com/me/mine@v2" in new
    other = "https://github.com/facebookresearch/dino"
    assert stamp.stamped(other, "me/mine", "v2") == other


@pytest.mark.parametrize("profile", run_chapters.profiles())
@pytest.mark.parametrize("chapter", run_chapters.chapters())
def test_profiles_name_only_parameters_that_exist(profile, chapter):
    run_chapters.parameters(profile, chapter)


def test_there_is_a_quick_and_a_full_profile_and_unknown_parameters_are_refused():
    assert {"quick", "full"} <= set(run_chapters.profiles())
    with pytest.raises(ValueError, match="has no parameter sede"):
        run_chapters.parameters("quick", run_chapters.chapters()[0], {"sede": 1})
    with pytest.raises(ValueError, match="no profile 'fast'"):
        run_chapters.parameters("fast", run_chapters.chapters()[0])
    for path in (ROOT / "notebooks" / "profiles").rglob("*.yml"):
        assert path.stem in run_chapters.chapters(), f"{path} belongs to no chapter"


def test_measured_results_are_kept_for_every_chapter():
    real = {"dubai", "real", "terramesh"}  # the parts measured on real data, under any of these names
    for chapter in run_chapters.chapters():
        kept = json.loads((ROOT / "book" / "measured" / f"{chapter}.json").read_text(encoding="utf8"))
        parts = [kept["results"][part] for part in real & set(kept["results"])]
        assert kept["chapter"] == chapter and parts and all(parts), "run `make measure` where data can be had"


def test_configuration_has_no_misspelled_key():
    schema = json.loads((Path(jupyter_book.__file__).parent / "config_schema.json").read_text(encoding="utf8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    known = {**schema["properties"], "only_build_toc_files": {}}  # the one documented key the schema forgot
    assert set(config) <= set(known), set(config) - set(known)
    for section, value in config.items():
        allowed = known[section].get("properties")
        assert not allowed or set(value) <= set(allowed), (section, set(value) - set(allowed))
    assert ".venv" in config["exclude_patterns"]

"""The prose pages: all in the table of contents, chapters framed alike, glossary sound, reading that exists."""

import json
import pkgutil
import re
from pathlib import Path

import pytest
import run_chapters
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = run_chapters.pages()
GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf8")


def markdown(chapter):
    cells = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text(encoding="utf8"))["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]


def test_every_page_is_in_the_table_of_contents_once():
    pages = {p.relative_to(ROOT).with_suffix("").as_posix() for p in (ROOT / "book").rglob("*.md")}
    pages |= {f"notebooks/{p.stem}" for p in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(FILES) == pages and len(FILES) == len(pages)


def test_the_front_page_leads_to_every_page():
    front = (ROOT / "book" / "welcome.md").read_text(encoding="utf8")
    own = [f for f in FILES[1:] if not f.startswith("book/api/")]  # the others are listed by the page Reference
    missing = [f for f in own if f"({Path(f).name})" not in front and f"(../{f})" not in front]
    assert set(missing) <= {"book/references"}, missing


@pytest.mark.parametrize("chapter", run_chapters.chapters())
def test_chapters_say_what_they_need_and_how_long_they_take(chapter):
    top = markdown(chapter)[0]
    assert top.index("You will be able to") < top.index("**Prerequisites.**") < top.index("**Time and hardware.**")
    assert re.search(r"minutes? to read", top) and "glossary" in top
    assert re.search(r"(minutes?|seconds)[^.]* to run", top) and "GPU" in top or "to run" in top


@pytest.mark.parametrize("chapter", run_chapters.chapters())
def test_a_chapter_begins_with_what_it_asks_and_one_picture(chapter):
    """On the page the output of the cell tagged `lead` stands below the first paragraph (book/_ext/first_screen.py)."""
    title, asked, *_ = markdown(chapter)[0].split("\n\n")
    assert title.startswith("# ") and 60 < len(asked) < 300 and asked[0].isalpha() and "](" not in asked
    cells = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text(encoding="utf8"))["cells"]
    (lead,) = [c["metadata"] for c in cells if "lead" in c["metadata"].get("tags", [])]
    assert "hide-input" in lead["tags"], "without its output the cell would be code that shows nothing"
    assert len(lead["mystnb"]["figure"]["caption"]) > 60


@pytest.mark.parametrize("chapter", run_chapters.chapters())
def test_chapters_end_with_limits_and_reading_that_exists(chapter):
    keys = set(re.findall(r"@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf8")))
    last = "\n".join(markdown(chapter)).split("## What to read next")
    assert len(last) == 2 and "## Limits" in last[0]
    cited = {k for group in re.findall(r"\{cite:[pt]\}`([^`]+)`", last[1]) for k in group.split(",")}
    assert len(cited) >= 3 and cited <= keys, cited - keys


def test_references_have_what_a_reader_needs_to_find_them():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf8")
    entries = re.split(r"^@", text, flags=re.M)[1:]
    keys = [re.match(r"\w+\{(\w+),", e)[1] for e in entries]
    assert len(set(keys)) == len(keys)
    for entry in entries:
        assert all(re.search(rf"^\s*{field}\s*=", entry, re.M) for field in ("title", "author", "year")), entry[:60]
    linked = sum(bool(re.search(r"^\s*(doi|eprint|url)\s*=", entry, re.M)) for entry in entries)
    assert linked >= len(entries) - 2


def test_every_reference_is_cited_somewhere():
    """A text that is lost takes its citation with it: the heading of a chapter's real half once went so."""
    keys = set(re.findall(r"@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf8")))
    files = [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("book/*.md"), *ROOT.glob("book/*.yml")]
    text = "\n".join(file.read_text(encoding="utf8") for file in files)
    cited = {k for group in re.findall(r"\{cite:[pt]\}`([^`]+)`", text) for k in re.split(r",\s*", group)}
    assert not keys - cited, "no page cites these"


def test_references_are_labelled_as_the_text_cites_them():
    import author_year
    from pybtex.database import parse_file

    entries = parse_file(ROOT / "book" / "references.bib").entries
    style = author_year.Style()
    ordered = [entry.key for entry in style.sort(entries.values())]
    labels = dict(zip(ordered, style.format_labels([entries[key] for key in ordered]), strict=True))
    assert labels["bernhard2024"] == "Bernhard et al., 2024" and labels["moore2023"] == "Moore and Hester, 2023"
    assert labels["timm"] == "Wightman, 2019" and len(set(labels.values())) == len(labels)


def test_options_of_the_cells_of_a_page_can_be_read():
    pages = {path.name: path.read_text(encoding="utf8") for path in (ROOT / "book").glob("*.md")}
    options = [
        (name, text)
        for name, page in pages.items()
        for text in re.findall(r"```\{code-cell\}.*\n---\n([^`]*?)\n---", page)
    ]
    assert options
    for name, text in options:
        assert isinstance(yaml.safe_load(text), dict), name


def test_glossary_is_sorted_defined_once_and_points_only_at_itself():
    inside = GLOSSARY.split("```{glossary}")[1].split("```")[0]
    terms = re.findall(r"^(\S.*)$", inside, re.M)
    assert len(terms) >= 50 and len(set(terms)) == len(terms)
    assert [t.lower() for t in terms] == sorted(t.lower() for t in terms)
    used = set(re.findall(r"\{term\}`(?:[^<`]*<)?([^>`]+)>?`", GLOSSARY))
    assert len(used) >= 20 and used <= set(terms), used - set(terms)
    definitions = re.split(r"^\S.*$", inside, flags=re.M)[1:]
    assert all(len(d.split()) >= 4 for d in definitions)


def test_data_pages_and_limits_are_honest_about_the_simulation():
    for name in ("simulated_aerial", "simulated_satellite"):
        text = (ROOT / "book" / f"{name}.md").read_text(encoding="utf8")
        assert "## What is wrong with it" in text
        for caption in re.findall(r"^    caption: (.+)$", text, re.M):
            assert re.search(r"simulated|real|spectra|block", caption, re.I), caption


def test_the_table_of_run_times_adds_up():
    from measured import run_times

    about = {"profile": "quick", "jobs": 1, "cores": 2, "machine": "a processor"}
    page = run_times(about | {"seconds": {"00_start_here": 59.6, "01_dino_features": 65.2}})
    assert "| [0 Start here](../notebooks/00_start_here) | 1 min 00 s |" in page
    assert "| 2 min 05 s |" in page and "one chapter at a time" in page
    kept = json.loads((ROOT / "book" / "measured" / "run_times.json").read_text(encoding="utf8"))
    assert set(kept["seconds"]) == set(run_chapters.chapters())


def test_modules_and_functions_that_the_prose_names_exist():
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "book").glob("*.md"), ROOT / "book" / "claims.yml"]
    files += (ROOT / "notebooks").glob("*.ipynb")
    named = re.compile(r"lulc_utils(?:\.\w+)+")
    names = {(file.name, name) for file in files for name in named.findall(file.read_text("utf8"))}
    assert len(names) > 20
    gone = []
    for file, name in sorted(names):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            gone.append(f"{file}: {name}")
    assert not gone

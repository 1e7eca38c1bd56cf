"""Sphinx extension: pages whose text is made from files, so that no number is typed by hand and none is out of date.

A mark such as `<!-- claims -->` on any page is replaced by the output of its function (MARKS, at the end).
"""

from __future__ import annotations

import json
from pathlib import Path

import chapters
import yaml
from claims import claims, overview, settled
from speed import countries, rates, three_numbers

from lulc_utils.literal import counted

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ROOT / "book" / "measured"

# ---------------------------------------------------- performance: rows of scripts/measure/bench/bench.py --keep

TITLES = {
    "features": "Features of the frozen backbone (chapter 1)",
    "simulator": "Simulated scenes",
    "crf": "The dense CRF (chapter 2)",
    "stego": "Training STEGO's head (chapter 2)",
    "contrastive": "Contrastive pre-training (chapter 3)",
    "mapping": "Mapping a scene (chapter 5)",
    "workers": "Two workers instead of one",
    "memory": "Memory and the size of the scene: a trivial model",
    "memory_embedded": "Memory and the size of the scene: with a network",
}
ROW = {"name", "value", "unit", "explanation", "compared_with", "target", "threads"}
MACHINE = {"processor", "cores", "threads", "torch", "python", "date"}


def benchmark(path: Path = MEASURED / "performance.json") -> dict[str, dict]:
    """{part: {"machine": {...}, "rows": [...]}} of all parts; ValueError when one is missing."""
    if not path.exists():
        raise ValueError(f"There is no {path.name}; run `python scripts/measure/bench/bench.py --keep` to measure it.")
    parts = json.loads(path.read_text(encoding="utf8"))
    for part in TITLES:
        rows, machine = (parts.get(part, {}).get(key, {}) for key in ("rows", "machine"))
        if not rows or MACHINE - machine.keys() or any(ROW - row.keys() for row in rows):
            raise ValueError(
                f"{path.name} lacks rows of the part '{part}' or something in them; run "
                f"`python scripts/measure/bench/bench.py --only {part} --keep`."
            )
    return {part: parts[part] for part in TITLES}


def performance(parts: dict[str, dict]) -> str:
    """Targets and results, then every part with its machine and one sentence per row."""
    asked = [row for part in parts.values() for row in part["rows"] if row["target"]]
    reached = sum(map(met, asked))
    text = [
        f"Before the code was written, {len(asked)} of these numbers were given a target: **{reached} reach it, "
        f"{len(asked) - reached} do not.**\n",
        "| what | measured | asked | target |",
        "|---|---|---|---|",
    ]
    for row in asked:
        kind, wanted = row["target"]
        verdict = "met" if met(row) else "**missed**"
        unit = "times" if row["unit"] == "ratio" else row["unit"]
        text.append(f"| {row['name']} | {number(row)} | {kind} {wanted:g} {unit} | {verdict} |")
    for part, title in TITLES.items():
        text += [f"\n## {title}\n", f"*{where(parts[part])}*\n"]
        text += [f"- **{row['name']}: {number(row)}.** {row['explanation']}" for row in parts[part]["rows"]]
    return "\n".join(text) + "\n"


def met(row: dict) -> bool:
    """Whether a row with a target reaches it."""
    kind, wanted = row["target"]
    return row["value"] >= wanted if kind == "at least" else row["value"] <= wanted


def number(row: dict) -> str:
    """The number of a row, and what it is a multiple of."""
    value = row["value"]
    digits = f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"{digits} times {row['compared_with']}" if row["unit"] == "ratio" else f"{digits} {row['unit']}"


def where(part: dict) -> str:
    """The machine of one part, in a sentence."""
    machine, threads = part["machine"], {row["threads"] for row in part["rows"]}
    many = " or ".join("one thread" if n == 1 else f"{n} threads" for n in sorted(threads))
    return (
        f"{machine['processor']}, {machine['cores']} core{'s' * (machine['cores'] != 1)}, {many}, "
        f"PyTorch {machine['torch']}, Python {machine['python']}, {machine['date']}."
    )


# ------------------------------------------------------- run times: scripts/tools/run_chapters.py --keep-times


def run_times(times: dict) -> str:
    """A table of one run of all chapters; seconds by chapter."""

    def minutes(seconds: float) -> str:
        return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"

    rows = ["| chapter | time to run |", "|---|---:|"]
    for chapter, seconds in times["seconds"].items():
        rows.append(f"| {chapters.link(chapter)} | {minutes(seconds)} |")
    rows.append(f"| all, one after the other | {minutes(sum(times['seconds'].values()))} |")
    jobs = times["jobs"]
    beside = "one chapter at a time" if jobs == 1 else f"{jobs} chapters side by side with their share of the cores"
    return "\n".join(rows) + (
        f"\n\nMeasured with the profile *{times['profile']}* {times.get('data', 'and real data')} on "
        f"{times['cores']} processor cores ({times['machine']}), {beside}, start of the kernel included."
    )


# ------------------------------------------------------------------------------------------ data: data_manifest


def datasets(entries: dict[str, dict]) -> str:
    """A table of all datasets, then one section each with license and citation."""
    rows, sections = ["| name | what | files | size | needed in chapters |", "|---|---|---:|---:|---|"], []
    for name, entry in entries.items():
        size = f"{entry['bytes'] / 1e6:.1f} MB"
        used = ", ".join(str(c) for c in entry["used_in"]) or "none"
        rows.append(f"| [`{name}`](dataset-{name}) | {entry['title']} | {entry['files']} | {size} | {used} |")
        sections.append(
            f"(dataset-{name})=\n## `{name}`: {entry['title']}\n\n{entry['about'].strip()}\n\n"
            f"**License.** {entry['license'].strip()}\n\n**Cite.** {entry['citation'].strip()}\n\n"
            f"**Get it.** `python -m lulc_utils data fetch {name}` ({counted(entry['files'], 'file')}, {size}), "
            f"from <{entry['homepage']}>.\n"
        )
    return "\n".join(rows) + "\n\n" + "\n".join(sections)


def _loaded(*path: str):
    return yaml.safe_load(ROOT.joinpath(*path).read_text(encoding="utf8"))  # JSON is YAML


def faults(kept: dict) -> str:
    """What is promised about wrong inputs and killed runs, beside what the fault suite counted."""
    rows = [
        ("inputs tried", "at least 120", "tried"),
        ("of them ordinary: the right result", "all", "right"),
        ("of them wrong: refused in one plain sentence, nothing left behind", "all", "refused plainly"),
        ("killed at a random moment, or two at once: gone on to the same result", "all", "kept"),
        ("a wrong result without a word", "0", "wrong"),
        ("ended in a traceback", "0", "tracebacks"),
        ("lost or half-written", "0", "lost or half-written"),
    ]
    lines = [f"| {what} | {promised} | {kept[key]} |" for what, promised, key in rows]
    return "\n".join(["| what | promised | counted |", "|---|---|---:|", *lines])


MARKS = {
    "<!-- claims at a glance -->": lambda: overview(settled(_loaded("book", "claims.yml"), MEASURED)),
    "<!-- claims -->": lambda: claims(settled(_loaded("book", "claims.yml"), MEASURED), MEASURED),
    "<!-- performance -->": lambda: performance(benchmark()),
    "<!-- three numbers -->": lambda: three_numbers(benchmark(), _loaded("book", "measured", "run_times.json")),
    "<!-- rates -->": lambda: rates(benchmark()),
    "<!-- countries -->": lambda: countries(benchmark()),
    "<!-- run times -->": lambda: run_times(_loaded("book", "measured", "run_times.json")),
    "<!-- faults -->": lambda: faults(_loaded("book", "measured", "faults.json")),
    "<!-- datasets -->": lambda: datasets(_loaded("data_manifest", "datasets.yaml")["datasets"]),
}


def fill_in(app, docname, source):
    """Replace every mark on a page."""
    for mark, text in MARKS.items():
        if mark in source[0]:
            source[0] = source[0].replace(mark, text())


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}

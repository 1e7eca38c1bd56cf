"""Sphinx extension: the page "Performance", from the rows of `python scripts/measure/bench/bench.py --keep`."""

import json
from pathlib import Path

MARK = "<!-- performance -->"
FILE = Path(__file__).resolve().parents[1] / "measured" / "performance.json"
TITLES = {
    "features": "Features of the frozen backbone (chapter 1)",
    "simulator": "Simulated scenes",
    "crf": "The dense CRF (chapter 2)",
    "stego": "Training STEGO's head (chapter 2)",
    "contrastive": "Contrastive pre-training (chapter 3)",
    "mapping": "Mapping a scene (chapter 5)",
    "workers": "Two workers instead of one",
    "memory": "Memory and the size of the scene: next to no model",
    "memory_embedded": "Memory and the size of the scene: with a network",
}
ROW = {"name", "value", "unit", "explanation", "compared_with", "target", "threads"}
MACHINE = {"processor", "cores", "threads", "torch", "python", "date"}


def read(path: Path = FILE) -> dict[str, dict]:
    """{part: {"machine": {...}, "rows": [...]}} of all parts; ValueError when one is missing."""
    if not path.exists():
        raise ValueError(f"There is no {path.name}; run `python scripts/measure/bench/bench.py --keep` to measure it.")
    kept = json.loads(path.read_text(encoding="utf8"))
    for part in TITLES:
        found = kept.get(part, {})
        rows = found.get("rows", [])
        if not rows or MACHINE - found.get("machine", {}).keys() or any(ROW - row.keys() for row in rows):
            raise ValueError(
                f"{path.name} lacks rows of the part '{part}' or something in them; run "
                f"`python scripts/measure/bench/bench.py --only {part} --keep`."
            )
    return {part: kept[part] for part in TITLES}


def sections(parts: dict[str, dict]) -> str:
    """Markdown: what was asked and reached, then every part with its machine and one sentence per row."""
    rows = [row for part in parts.values() for row in part["rows"]]
    asked = [row for row in rows if row["target"]]
    reached = sum(met(row) for row in asked)
    text = [
        f"Before the code was written, {len(asked)} of these numbers were given a target: **{reached} reach it, "
        f"{len(asked) - reached} do not.**\n",
        "| what | measured | asked | |",
        "|---|---|---|---|",
    ]
    for row in asked:
        kind, wanted = row["target"]
        verdict = "met" if met(row) else "**missed**"
        text.append(f"| {row['name']} | {measured(row)} | {kind} {wanted:g} | {verdict} |")
    for part, title in TITLES.items():
        text += [f"\n## {title}\n", f"*{where(parts[part])}*\n"]
        text += [f"- **{row['name']}: {measured(row)}.** {row['explanation']}" for row in parts[part]["rows"]]
    return "\n".join(text) + "\n"


def met(row: dict) -> bool:
    """Whether a row with a target reaches it."""
    kind, wanted = row["target"]
    return row["value"] >= wanted if kind == "at least" else row["value"] <= wanted


def measured(row: dict) -> str:
    """The number, and what it is a multiple of."""
    value = row["value"]
    digits = f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"{digits} times {row['compared_with']}" if row["unit"] == "ratio" else f"{digits} {row['unit']}"


def where(part: dict) -> str:
    """The machine of one part, in a sentence."""
    machine, threads = part["machine"], {row["threads"] for row in part["rows"]}
    many = " or ".join("one thread" if n == 1 else f"{n} threads" for n in sorted(threads))
    return (
        f"{machine['processor']}, {machine['cores']} cores, {many}, PyTorch {machine['torch']}, "
        f"Python {machine['python']}, {machine['date']}."
    )


def fill_in(app, docname, source):
    """Replace the mark by the sections."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, sections(read()))


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}

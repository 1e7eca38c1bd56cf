"""Sphinx extension: how long each chapter took, from book/measured/run_times.json, wherever a page has the mark."""

import json
from pathlib import Path

MARK = "<!-- run times -->"
FILE = Path(__file__).resolve().parents[1] / "measured" / "run_times.json"


def table(measured: dict) -> str:
    """Markdown table of one run, as `scripts/tools/run_chapters.py --keep-times` writes it; seconds by chapter."""
    rows = ["| chapter | time to run |", "|---|---:|"]
    for chapter, seconds in measured["seconds"].items():
        number, words = chapter.split("_", 1)
        rows.append(f"| [{int(number)} {words.replace('_', ' ')}](../notebooks/{chapter}) | {minutes(seconds)} |")
    rows.append(f"| all, one after the other | {minutes(sum(measured['seconds'].values()))} |")
    jobs = measured["jobs"]
    beside = "one chapter at a time" if jobs == 1 else f"{jobs} chapters side by side with their share of the cores"
    about = (
        f"Measured with the profile *{measured['profile']}* {measured.get('data', 'and real data')} on "
        f"{measured['cores']} processor cores ({measured['machine']}), {beside}, start of the kernel included."
    )
    return "\n".join(rows) + "\n\n" + about


def minutes(seconds: float) -> str:
    """Seconds as "1 min 05 s"."""
    return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"


def fill_in(app, docname, source):
    """Replace the mark on any page by the table."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, table(json.loads(FILE.read_text(encoding="utf8"))))


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}

"""Sphinx extension: how long each chapter took, from book/measured/run_times.json, wherever a page has the mark."""

import json
from pathlib import Path

MARK = "<!-- run times -->"
FILE = Path(__file__).resolve().parents[1] / "measured" / "run_times.json"


def table(measured: dict) -> str:
    """Markdown table of one run: {"profile", "cores", "threads", "data", "seconds": {chapter: seconds}}."""
    rows = ["| chapter | time to run |", "|---|---:|"]
    for chapter, seconds in measured["seconds"].items():
        number, words = chapter.split("_", 1)
        rows.append(
            f"| [{int(number)} {words.replace('_', ' ')}](../notebooks/{chapter}) "
            f"| {int(seconds) // 60} min {int(seconds) % 60:02d} s |"
        )
    total = sum(measured["seconds"].values())
    rows.append(f"| all, one after the other | {int(total) // 60} min {int(total) % 60:02d} s |")
    return (
        "\n".join(rows) + f"\n\nMeasured with the profile *{measured['profile']}*, {measured['data']}, on "
        f"{measured['cores']} processor cores without a GPU, start of the kernel included."
    )


def fill_in(app, docname, source):
    """Replace the mark on any page by the table."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, table(json.loads(FILE.read_text(encoding="utf8"))))


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}

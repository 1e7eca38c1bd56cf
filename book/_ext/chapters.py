"""Names of the chapters, from their headings."""

from __future__ import annotations

import json
import re
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def name(chapter: str) -> str:
    """The name of a chapter by its file: "01_dino_features" is called "DINO features"; ValueError without a heading."""
    cells = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf8"))["cells"]
    heading = re.match(r"# \d+ ([^:\n]+)", "".join(cells[0]["source"]))
    if not heading:
        raise ValueError(f"{chapter}.ipynb does not begin with a heading such as '# 1 Its name: what it asks'.")
    return heading[1].strip()


def link(chapter: str) -> str:
    """A link to a chapter from a page in book/, "1 DINO features"."""
    return f"[{int(chapter.split('_')[0])} {name(chapter)}](../notebooks/{chapter})"

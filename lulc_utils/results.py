"""The numbers of a run, saved as JSON for instructors, and the book's own, which stand in where data is missing."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

from lulc_utils.files import check_writable, complete_or_absent


def save(path: str | Path, chapter: str, results: dict, headline: str = "") -> None:
    """Write a chapter's numbers (rounded to 4 digits) as JSON; nothing happens when `path` is empty.

    headline    the result of this run in one sentence, for the summary of `make notebooks`

    The file appears only when complete. FileNotFoundError when its folder does not exist.
    """
    if not path:
        return
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; create it before saving results there.")
    content = {"chapter": chapter, "torch": version("torch"), "headline": headline, "results": _plain(results)}
    with complete_or_absent(path) as part:
        part.write_text(json.dumps(content, indent=1, sort_keys=False) + "\n", encoding="utf8")


def check(path: str | Path, **numbers: int) -> None:
    """Refuse parameters of a chapter in its first seconds, not when it is done.

    path       where `save` will write, or ""
    numbers    parameters that must be whole numbers of at least 1 (the seed: 0)

    ValueError or FileNotFoundError, in one sentence.
    """
    for name, value in numbers.items():
        least = int(name != "seed")
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"The parameter {name} must be a whole number of at least {least}, not {value!r}.")
    if not isinstance(path, str | Path):
        raise ValueError(f"The parameter results_file must be the name of a file or '', not {path!r}.")
    if path and not Path(path).parent.is_dir():
        raise FileNotFoundError(
            f"The folder {Path(path).parent} does not exist; create it before saving results there."
        )
    if path:
        check_writable(path)


def measured(chapter: str, part: str) -> dict:
    """Our measured results for one part ("dubai") of a chapter; ValueError when there are none."""
    shipped = Path(__file__).parent / "_shipped" / "measured"  # in the wheel; in a checkout, the book's own folder
    folder = shipped if shipped.is_dir() else Path(__file__).parents[1] / "book" / "measured"
    path = folder / f"{chapter}.json"
    parts = json.loads(path.read_text(encoding="utf8"))["results"] if path.exists() else {}
    if not parts.get(part):
        raise ValueError(f"There are no measured results for the part '{part}' of chapter '{chapter}'.")
    return parts[part]


def _plain(value: object) -> object:
    """NumPy numbers, arrays and tuples as JSON types."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else round(float(value), 4)
    return int(value) if isinstance(value, np.integer) else value

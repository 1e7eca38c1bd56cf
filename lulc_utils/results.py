"""The numbers of a run, saved as JSON for instructors, and the book's own, which stand in where data is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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


def _is_text(value: object) -> bool:
    return isinstance(value, str)


# The parameters of all chapters, by name: whole numbers and their smallest value; all others in words, with a test.
WHOLE = dict.fromkeys(
    "n_scenes scene_size trees n_train n_test n_patches crop_size mini_steps code_dim epochs n_seeds steps "
    "tuning_steps real_steps n_train_scenes n_test_scenes labels_per_class place_size window ground_size n_samples "
    "n_points n_checks side draws real_every".split(),
    1,
) | {"seed": 0, "overlap": 0}
OTHERS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "experiments": ("True or False", lambda value: isinstance(value, bool)),
    "fractions": ("shares above 0 and at most 1, such as (0.01, 0.1)", lambda value: _are_shares(value)),
    "precision": ("'fp32' or 'bf16'", lambda value: value in ("fp32", "bf16")),
    "device": ("the name of a device, such as 'cpu' or 'cuda'", lambda value: _is_text(value) and value != ""),
    "results_file": ("the name of a file or ''", lambda value: isinstance(value, str | Path)),
} | dict.fromkeys(
    ("backbone_name", "backbone_weights", "region", "features", "place", "answers", "out_folder"), ("a text", _is_text)
)


def check(chapter: Mapping[str, object], **least: int) -> None:
    """Refuse parameters of a chapter in its first seconds, not when it is done.

    chapter    its variables, `globals()`; those named in WHOLE and OTHERS are checked
    least      the smallest value of a whole number where it is not that in WHOLE, by name

    ValueError or FileNotFoundError, in one sentence.
    """
    for name in chapter.keys() & (WHOLE.keys() | OTHERS.keys()):
        value, lowest = chapter[name], least.get(name, WHOLE.get(name, 0))
        words, fits = OTHERS.get(name, (f"a whole number of at least {lowest}", lambda n, k=lowest: _is_whole(n, k)))
        if not fits(value):
            raise ValueError(f"The parameter {name} must be {words}, not {value!r}.")
    if path := chapter.get("results_file"):
        if not Path(path).parent.is_dir():
            raise FileNotFoundError(f"There is no folder {Path(path).parent}; create it before saving results there.")
        check_writable(path)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _are_shares(values: object) -> bool:
    numbers = isinstance(values, tuple | list) and all(isinstance(v, int | float) for v in values)
    return numbers and len(values) > 0 and all(0 < v <= 1 for v in values)


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

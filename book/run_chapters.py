"""Run the chapters with papermill under a profile, for instructors and for the book's own measured results.

    python book/run_chapters.py --profile full                    every chapter of the table of contents
    python book/run_chapters.py --profile quick 01_dino_features  one chapter
    python book/run_chapters.py -p seed 7                         one parameter changed everywhere

Executed notebooks and the numbers of each chapter (JSON) go to _build/runs/PROFILE. A profile key or parameter that
a chapter does not know is an error (papermill itself would ignore it).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import papermill
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"


def chapters() -> list[str]:
    """Names of the chapters, in the order of the table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    files = [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    return [f.removeprefix("notebooks/") for f in files if f.startswith("notebooks/")]


def profiles() -> list[str]:
    """Names of the profiles that exist."""
    return sorted(folder.name for folder in (NOTEBOOKS / "profiles").iterdir() if folder.is_dir())


def parameters(profile: str, chapter: str, changed: dict | None = None) -> dict:
    """What a profile sets in a chapter, plus `changed`; ValueError for a parameter that the chapter does not know."""
    if profile not in profiles():
        raise ValueError(f"There is no profile '{profile}'; there are {', '.join(profiles())}.")
    path = NOTEBOOKS / "profiles" / profile / f"{chapter}.yml"
    chosen = (yaml.safe_load(path.read_text(encoding="utf8")) or {}) if path.exists() else {}
    chosen |= changed or {}
    known = papermill.inspect_notebook(str(NOTEBOOKS / f"{chapter}.ipynb"))
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise ValueError(
            f"{chapter} has no parameter {', '.join(unknown)} (profile '{profile}'); it has {', '.join(known)}."
        )
    return chosen


def run(chapter: str, profile: str, changed: dict, keep_results: bool, timeout: int) -> Path:
    """Execute one chapter; returns the executed notebook."""
    folder = ROOT / "_build" / "runs" / profile
    folder.mkdir(parents=True, exist_ok=True)
    results = (ROOT / "book" / "measured" if keep_results else folder) / f"{chapter}.json"
    chosen = parameters(profile, chapter, {**changed, "results_file": str(results)})
    out = folder / f"{chapter}.ipynb"
    source = str(NOTEBOOKS / f"{chapter}.ipynb")
    papermill.execute_notebook(source, str(out), chosen, cwd=str(NOTEBOOKS), execution_timeout=timeout)
    return out


def main() -> int:
    """Run the chosen chapters, check every profile first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", nargs="*", help="chapters to run (default: all)")
    parser.add_argument("--profile", default="quick", help=f"one of {', '.join(profiles())} (default: quick)")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--keep-results", action="store_true", help="write the numbers to book/measured")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds a single cell may take (default: 3600)")
    args = parser.parse_args()
    changed = {name: yaml.safe_load(value) for name, value in args.parameter}
    unknown = sorted(set(args.chapter) - set(chapters()))
    if unknown:
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(chapters())}")
    try:
        for chapter in args.chapter or chapters():
            parameters(args.profile, chapter, changed)
    except ValueError as error:
        parser.error(str(error))
    for chapter in args.chapter or chapters():
        print(run(chapter, args.profile, changed, args.keep_results, args.timeout).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Measurements that take hours in total: one JSON line per finished cell in a file that is committed.

The file is what a later session or another machine continues from: cells that it holds are not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

from lulc_utils import results
from lulc_utils.cli import exit_status
from lulc_utils.data import DataUnavailable
from lulc_utils.files import alone


def finished(path: Path) -> dict[str, dict]:
    """{name: result} of the cells in the file."""
    lines = path.read_text(encoding="utf8").splitlines() if path.exists() else []
    return {cell["cell"]: cell for cell in map(json.loads, lines)}


def measure(path: Path, cells: Mapping[str, Callable[[], dict]]) -> None:
    """Measure, in this order, every cell that the file lacks; each is appended as soon as it is done.

    RuntimeError when another process is writing the file. A cell whose data are missing is named and left out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path):
        done = finished(path)
        for name, work in tqdm(cells.items(), desc=path.stem):
            if name in done:
                continue
            try:
                line = json.dumps({"cell": name, **work()})
            except DataUnavailable as error:
                tqdm.write(f"{name}: left out, {error}")
                continue
            with path.open("a", encoding="utf8") as file:
                file.write(line + "\n")


def command(
    doc: str,
    path: Path,
    cells: Callable[[str], Mapping[str, Callable[[], dict]]],
    collect: Callable[[], dict],
    out: Path,
    arguments: list[str] | None = None,
) -> int:
    """The command line of a grid: `run` (cells of a device, kept in path) or `collect` (into out); the exit code."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("run", "collect"), help="measure what is missing; write the results")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args(arguments)
    if options.command == "run":
        return exit_status(lambda: measure(path, cells(options.device)), "Stopped; the same command continues.")
    return exit_status(lambda: results.save(out, out.stem, collect()))

"""Measurements that take hours in total: one JSON line per finished cell in a file that is committed.

The file is what a later session or another machine continues from: cells that it holds are not measured again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

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

"""Jobs that take hours in total: each is done once, by the process that claims it first, and saved as JSON.

A stopped run continues with the next call; several processes on one machine share the work; finished results
can be collected at any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from lulc_utils.data import DataUnavailable
from lulc_utils.files import alone, complete_or_absent


class Jobs:
    """Results of jobs in a folder, one file for each."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where the result of a job is saved."""
        return self.folder / f"{re.sub(r'[^A-Za-z0-9.=-]+', '_', name)}.json"

    def run(self, jobs: Mapping[str, Callable[[], Any]]) -> None:
        """Do, in this order, every job that is not done yet and that no other process is doing."""
        for name, job in tqdm(jobs.items(), desc="jobs"):
            with ExitStack() as claim:
                try:
                    claim.enter_context(alone(self.path(name)))
                except RuntimeError:  # another process is doing it; the claim of a dead one is free
                    continue
                if self.path(name).exists():
                    continue
                try:
                    self.keep(name, job())
                except DataUnavailable as error:
                    tqdm.write(f"{name}: skipped, {error}")

    def keep(self, name: str, result: Any) -> None:
        """Write the result of a job, completely or not at all; NumPy arrays and numbers become JSON."""
        with complete_or_absent(self.path(name)) as part:
            part.write_text(json.dumps(result, default=lambda value: value.tolist()), encoding="utf8")

    def load(self, name: str) -> Any:
        """The result of a finished job; FileNotFoundError says which one is missing."""
        if not self.path(name).exists():
            raise FileNotFoundError(f"The job '{name}' has not been done yet; call `run` first.")
        return json.loads(self.path(name).read_text(encoding="utf8"))

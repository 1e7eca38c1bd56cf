"""A measurement is a row; rows are printed and saved in a file. Shared by the parts of `make bench`; not a test."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from lulc_utils.files import complete_or_absent

KEPT = Path(__file__).resolve().parents[3] / "book/measured/performance.json"


@dataclass(frozen=True)
class Row:
    """One measured number and its meaning.

    unit           "ratio", or that of the value
    compared_with  what a ratio divides by; "" for a rate or a size that stands alone
    target         ("at least" or "at most", value), where one was set
    """

    name: str
    value: float
    unit: str
    explanation: str
    compared_with: str = ""
    target: tuple[str, float] | None = None
    threads: int = field(default_factory=torch.get_num_threads)

    def __post_init__(self) -> None:
        if self.unit == "ratio" and not self.compared_with:
            raise ValueError(f"{self.name} is a ratio; say what it is compared with.")
        if self.target and self.target[0] not in ("at least", "at most"):
            raise ValueError(f"The target of {self.name} must be 'at least' or 'at most', not '{self.target[0]}'.")

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None when there is none."""
        if self.target is None:
            return None
        return self.value >= self.target[1] if self.target[0] == "at least" else self.value <= self.target[1]

    def __str__(self) -> str:
        kind, wanted = self.target or ("", 0)
        target = f" ({kind} {wanted:g} was the target: {'met' if self.met else 'missed'})" if self.target else ""
        against = f" times {self.compared_with}" if self.unit == "ratio" else f" {self.unit}"
        return f"{self.name}: {self.value:.3g}{against}{target}. {self.explanation}"


def seconds(functions: dict[str, Callable], repeats: int = 5) -> dict[str, float]:
    """Median seconds of each function; they take turns, so that a busy moment affects all equally."""
    taken = {name: [] for name in functions}
    for function in functions.values():
        function()  # warm up
    for _ in tqdm(range(repeats), leave=False):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def machine() -> dict:
    """What a number depends on: processor, cores, threads, versions, day."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    """The model's name as given by the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def keep(part: str, rows: list[Row], path: Path = KEPT) -> None:
    """Replace the earlier rows of one part; the other parts stay as measured."""
    parts = json.loads(path.read_text(encoding="utf8")) if path.exists() else {}
    parts[part] = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    with complete_or_absent(path) as part:
        part.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf8")

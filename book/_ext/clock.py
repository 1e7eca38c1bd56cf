"""The chart of the page "Performance": how long each chapter takes to run, from the kept run times."""

from __future__ import annotations

import json
from pathlib import Path

import chapters
import matplotlib.pyplot as plt

from lulc_utils.plot import COLORS

BOOK = Path(__file__).resolve().parents[1]


def chart() -> None:
    """Draw a bar of seconds for every chapter."""
    times = json.loads((BOOK / "measured" / "run_times.json").read_text(encoding="utf8"))
    names = [f"{int(key.split('_')[0])} {chapters.name(key)}" for key in times["seconds"]]
    figure, axis = plt.subplots(figsize=(4.6, 2.3), layout="constrained")
    bars = axis.barh(names, times["seconds"].values(), color=COLORS[0])
    axis.bar_label(bars, fmt="%.0f", padding=3)
    axis.set(xlabel=f"seconds to run, {times['cores']} cores", xlim=(0, 1.15 * max(times["seconds"].values())))
    axis.invert_yaxis()
    plt.show()

"""The chart of the page "Claims and findings": differences that its findings tell, with their intervals."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import yaml
from claims import differences

from lulc_utils import charts
from lulc_utils.style import WIDEST

BOOK = Path(__file__).resolve().parents[1]
ROW = 0.24  # inches


def forest() -> None:
    """Draw the differences that claims.yml names for it, in points, a row each, simulated above real."""
    entries = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf8"))
    kinds = {kind: shown for kind, shown in differences(entries, BOOK / "measured").items() if shown}
    rows = [len(shown) for shown in kinds.values()]
    size = (WIDEST, ROW * sum(rows) + 1.2)
    figure, axes = plt.subplots(len(kinds), 1, figsize=size, sharex=True, height_ratios=rows, layout="constrained")
    for axis, (kind, shown) in zip(axes, kinds.items(), strict=True):
        points = {name: [100 * value for value in interval] for name, interval in shown.items()}
        charts.differences(axis, {kind: points})
        axis.set_title(kind)
        axis.set_ylim(len(shown) - 0.4, -0.6)  # the first and the last row clear of the frame
        axis.grid(axis="x", alpha=0.3)
    axes[-1].set_xlabel("difference in points, with its 95 % interval")
    plt.show()

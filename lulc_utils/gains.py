"""Figures and tables of differences with their intervals, of which some may not be measured yet.

An interval is (mean, low, high); one of which a number is missing (None or NaN) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lulc_utils import charts
from lulc_utils.literal import as_label
from lulc_utils.plot import COLORS, MARKERS, Table
from lulc_utils.tables import Interval, signed

SIZE = 5.4  # inches across: panels stand one below the other, legible on a phone
Kinds = Mapping[str, Mapping[str, Interval]]  # {kind: {what: interval}}: a mark for each kind in each row


def measured(interval: Interval) -> bool:
    """Whether all three numbers are there; a mean of a single repeat has no interval."""
    return all(v is not None and np.isfinite(v) for v in interval)


def stacked(panels: Mapping[str, Kinds], xlabel: str) -> Figure:
    """Differences one panel below the other, `{title: {kind: {what: interval}}}`, with a line at zero in each."""
    rows = {title: rows_of(kinds) for title, kinds in panels.items()}
    heights = [0.5 + max(0.34, 0.13 * len(panels[title])) * len(of) for title, of in rows.items()]
    size = {"figsize": (SIZE, sum(heights) + 0.8), "height_ratios": heights}
    figure, axes = plt.subplots(len(panels), 1, squeeze=False, sharex=True, layout="constrained", **size)
    for axis, (title, kinds) in zip(axes[:, 0], panels.items(), strict=True):
        _differences(axis, kinds, rows[title])
        axis.set_title(as_label(title), loc="left")
    axes[-1, 0].set_xlabel(as_label(xlabel))
    charts.legend_below(figure, axes[0, 0], 2)
    return figure


def turned(of: Mapping[str, Mapping[str, object]]) -> dict[str, dict]:
    """`{a: {b: value}}` as `{b: {a: value}}`."""
    keys = dict.fromkeys(b for row in of.values() for b in row)
    return {b: {a: row[b] for a, row in of.items() if b in row} for b in keys}


def rows_of(kinds: Kinds) -> list[str]:
    """The rows of which at least one kind was measured, in order."""
    return list(dict.fromkeys(what for of in kinds.values() for what, interval in of.items() if measured(interval)))


def _differences(axis: Axes, kinds: Kinds, rows: list[str]) -> None:
    step = 0.7 / len(kinds)
    for j, (kind, of) in enumerate(kinds.items()):
        known = [of[what] if what in of and measured(of[what]) else (np.nan,) * 3 for what in rows]
        value, low, high = np.array(known, float).reshape(-1, 3).T
        look = {"color": COLORS[j], "marker": MARKERS[j], "markersize": 4, "capsize": 2, "linestyle": "none"}
        at = np.arange(len(rows)) + step * j
        axis.errorbar(value, at, xerr=[value - low, high - value], label=as_label(kind), **look)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(np.arange(len(rows)) + step * (len(kinds) - 1) / 2, [*map(as_label, rows)])
    axis.set_ylim(len(rows) - 0.15, -0.35)
    axis.grid(axis="x", alpha=0.3)


def counts(panels: Mapping[str, Kinds], caption: str, first: str) -> Table:
    """In how many rows of each kind the interval lies above zero, and in how many below: "3 / 0 of 4"."""
    kinds = list(dict.fromkeys(kind for of in panels.values() for kind in of))
    rows = []
    for title, of in panels.items():
        known = [[v for v in of.get(kind, {}).values() if measured(v)] for kind in kinds]
        both = [(sum(low > 0 for _, low, _ in vs), sum(high < 0 for _, _, high in vs)) for vs in known]
        rows.append(
            [title, *(f"{a} / {b} of {len(vs)}" if vs else "\u2013" for (a, b), vs in zip(both, known, strict=True))]
        )
    return Table([first, *kinds], rows, caption)


def in_points(interval: Interval) -> str:
    """A difference in points, "+5.1 (+2.0 to +8.2)", or a dash where there is no interval."""
    if not measured(interval):
        return "\u2013"
    return signed([100 * v for v in interval], 1)

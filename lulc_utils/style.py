"""How the figures of the book are drawn: sharp on dense screens, no wider than a page, no letter below 9 points."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from IPython import get_ipython

WIDEST = 7.0  # inches: what a page of the book has room for, so that letters keep their size
SMALLEST = 9  # points
LETTER, KEY = 0.075, 0.5  # inches that a letter and the colored square of a legend take


def set_up() -> None:
    """The letters of all figures and, in a notebook, twice as many pixels as the screen's usual hundred per inch."""
    plain = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    plt.rcParams.update(dict.fromkeys((*plain, "legend.title_fontsize", "figure.titlesize"), SMALLEST))
    plt.rcParams.update({"figure.dpi": 100, "savefig.dpi": 200})
    shell = get_ipython()
    if shell and "inline" in plt.get_backend():
        shell.run_line_magic("config", "InlineBackend.figure_format = 'retina'")


def legend_columns(names: Sequence[str], width: float) -> int:
    """Columns of a legend of this width in inches: as few rows as possible, none longer than the figure."""
    for rows in range(1, len(names) + 1):
        columns = [names[start : start + rows] for start in range(0, len(names), rows)]
        if sum(KEY + LETTER * max(map(len, column)) for column in columns) <= width:
            return len(columns)
    return 1

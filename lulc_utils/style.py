"""How the figures of the book are drawn: sharp on dense screens, no wider than a page, letters of 9 points on it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from IPython import get_ipython
from matplotlib.textpath import TextPath

WIDEST = 7.0  # inches: what a page of the book has room for, so that letters keep their size
SMALLEST = 9.5  # points: a page shows the widest figures at 94 %, and their letters are still of 9
LETTER, KEY = 0.08, 0.5  # inches that a letter and the colored square of a legend take


def set_up() -> None:
    """The letters of all figures and, in a notebook, twice as many pixels as the screen's usual hundred per inch."""
    plain = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    plt.rcParams.update(dict.fromkeys((*plain, "legend.title_fontsize", "figure.titlesize"), SMALLEST))
    plt.rcParams.update({"figure.dpi": 100, "savefig.dpi": 200})
    shell = get_ipython()
    if shell and "inline" in plt.get_backend():
        shell.run_line_magic("config", "InlineBackend.figure_format = 'retina'")


def wrapped(text: str, width: float) -> str:
    """A text whose lines are no longer than a width in inches; a longer word stays whole."""
    lines = []
    for line in text.split("\n"):
        lines.append("")
        for word in line.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and _width(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return "\n".join(lines)


def _width(line: str) -> float:
    return TextPath((0, 0), line.replace("$", "S"), size=SMALLEST).get_extents().width / 72 if line else 0.0


def legend_columns(names: Sequence[str], width: float) -> int:
    """Columns of a legend of this width in inches: as few rows as possible, none longer than the figure."""
    for rows in range(1, len(names) + 1):
        columns = [names[start : start + rows] for start in range(0, len(names), rows)]
        if sum(KEY + LETTER * max(map(len, column)) for column in columns) <= width:
            return len(columns)
    return 1

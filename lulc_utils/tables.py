"""What every chapter needs: scores with intervals as text and tables, and real data or a note that it is missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from IPython.display import Markdown, display

from lulc_utils import results
from lulc_utils.data import DataUnavailable
from lulc_utils.evaluate import mean_interval
from lulc_utils.literal import as_integer, as_number
from lulc_utils.plot import Notice, Table

Interval = tuple[float, float, float]  # (value, low, high)


def span(interval: Interval, digits: int = 2, sign: str = "") -> str:
    """A value with its interval: "0.55 (0.38 to 0.72)"."""
    value, low, high = (as_number(v, digits, sign) for v in interval)
    return f"{value} ({low} to {high})"


def apart(interval: Interval, digits: int = 2) -> tuple[str, str]:
    """A value and its interval for two columns: ("0.55", "0.38 to 0.72")."""
    value, low, high = (as_number(v, digits) for v in interval)
    return value, f"{low} to {high}"


def signed(interval: Interval, digits: int = 2) -> str:
    """A difference, with real minus signs: "+0.05 (−0.01 to +0.12)"."""
    return span(interval, digits, "+")


def measures(values: Mapping[str, Mapping[str, Interval]], caption: str, digits: int = 3) -> Table:
    """A row for every measure and a column for every `what` of `{what: {measure: (value, low, high)}}`; or a dash."""
    rows = [
        [measure, *(span(of[measure], digits) if measure in of else "\u2013" for of in values.values())]
        for measure in dict.fromkeys(measure for of in values.values() for measure in of)
    ]
    return Table(["mean and 95 % interval", *values], rows, caption)


def in_points(gains: Mapping[str, Mapping[str, Interval]], caption: str) -> Table:
    """Differences of shares in points, a row for every entry of `{what: {where: (value, low, high)}}`."""
    places = list(next(iter(gains.values())))
    rows = [[what, *(signed([100 * v for v in of[place]], 1) for place in places)] for what, of in gains.items()]
    return Table(["points", *places], rows, caption)


def data_or_notice(load: Callable[..., list], *arguments: object) -> list:
    """The scenes that `load(*arguments)` gives or, where the data is missing, a note to the reader and no scenes."""
    try:
        return load(*arguments)
    except DataUnavailable as why:
        display(Notice("The real scenes are not here; these are our own results", str(why)))
        return []


def means(runs: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    """{measure: (mean, low, high)} over repeats {measure: value}, by Student's t."""
    return {measure: mean_interval([run[measure] for run in runs]) for measure in runs[0]}


def columns(values: Mapping[str, Mapping[str, float]], first: str, caption: str) -> Table:
    """Numbers {column: {row: value}} with their mean in the last row; `first` heads the first column."""
    rows = [[row, *(float(of[row]) for of in values.values())] for row in next(iter(values.values()))]
    mean = [float(np.nanmean([*of.values()])) for of in values.values()]
    return Table([first, *values], [*rows, ["mean", *mean]], caption)


def by_set(scores: Mapping[str, Mapping[str, Mapping[str, Interval]]], caption: str) -> Table:
    """A row for every set and way of reading, {set: {way: {description: (value, low, high)}}}, without intervals."""
    names = [*next(iter(next(iter(scores.values())).values()))]
    rows = [[what, way, *(float(of[n][0]) for n in names)] for what, ways in scores.items() for way, of in ways.items()]
    return Table(["set", "read by", *names], rows, caption)


def shares(values: Mapping[str, Mapping[str, Interval]], first: str, caption: str) -> Table:
    """A row for every way and description, {way: {description: (share, low, high)}}, with the interval."""
    rows = [[way, name, *apart(interval)] for way, of in values.items() for name, interval in of.items()]
    return Table(["read by", "features", first, "95 % interval"], rows, caption)


FORMATS: dict[str, Callable] = {
    "points": lambda v: signed([100 * x for x in v], 1).replace(" (", " points (", 1),
    "percent": lambda v: f"{100 * v[0]:.0f} %",
    "integer": as_integer,
    "verdict": lambda v: "a gain" if v[1] > 0 else "a loss" if v[2] < 0 else "no difference that the repeats can show",
}


def finding(chapter: str, text: str) -> Markdown:
    """A paragraph whose numbers are read from measured results: "{part/key/key|points}", percent, integer, or verdict.

    So that no number of the prose is older than the file that it comes from. ValueError for a number that is not there.
    """

    def written(slot: re.Match) -> str:
        part, *keys = slot[1].split("/")
        value = results.measured(chapter, part)
        for key in keys:
            if key not in value:
                raise ValueError(f"The measured results of '{chapter}' have no {slot[1]}: there is no '{key}'.")
            value = value[key]
        return FORMATS[slot[2]](value)

    return Markdown(re.sub(r"\{([^{}|]+)\|([a-z]+)\}", written, " ".join(text.split())))

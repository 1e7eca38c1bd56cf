"""A contest of ways to find change, on simulated ground whose change is known: chapter 5.

The ground is that of `simulate.satellite`; at the later date some rectangles of it are another ground. A way is given
one date per year, in the same or another season, or a stack of four dates of each year, and models that learned from
twelve other places.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lulc_utils import simulate
from lulc_utils.evaluate import change, holm, mean_interval
from lulc_utils.mapping.models import Model
from lulc_utils.mapping.probes import pixel_probe
from lulc_utils.scene import Scene
from lulc_utils.simulate.satellite.change import with_change

When = datetime.date | int  # a day, or a year: a stack of four of its days
REGION, PLACE = "temperate plain, Europe", (50.0, 8.0)
BEFORE = datetime.date(2019, 6, 10)
AFTER = {"same season": datetime.date(2021, 6, 12), "another season": datetime.date(2021, 9, 20)}
YEARS = (2019, 2021)
DAYS = ((4, 10), (6, 10), (8, 5), (10, 1))  # month and day of the dates in a stack
LEAST = 25  # pixels of the smallest change that is kept by a minimum mapping unit: a quarter of a hectare
RECALLS = tuple((np.arange(1, 20) / 20).tolist())
SHOWN_MEASURES = ("F1", "false change", "worth")
SHOWN = (  # (dates, way) in figures
    ("same season", "two maps, two models"),
    ("another season", "bands"),
    ("another season", "probabilities, one model"),
    ("four dates a year", "two maps, one model"),
    ("four dates a year", "the same, 0.25 ha at least"),
)
COMPARED = {  # (dates, way), minus (dates, way)
    "bands, another season minus the same": (("another season", "bands"), ("same season", "bands")),
    "one model for both dates": (("same season", "two maps, one model"), ("same season", "two maps, two models")),
    "bands, not two maps": (("same season", "bands"), ("same season", "two maps, one model")),
    "a smallest patch, one date": (
        ("same season", "the same, 0.25 ha at least"),
        ("same season", "two maps, one model"),
    ),
    "four dates, not one": (("four dates a year", "two maps, one model"), ("same season", "two maps, one model")),
    "a smallest patch, four dates": (
        ("four dates a year", "the same, 0.25 ha at least"),
        ("four dates a year", "two maps, one model"),
    ),
}


class Answer(NamedTuple):
    """What a way says about every pixel: how strongly it speaks for change, and the answer [h, w] bool."""

    values: np.ndarray
    changed: np.ndarray


class Models(NamedTuple):
    """Models of single pixels: one for every day, one for both days of a pair, one for the stacks of both years."""

    own: Mapping[datetime.date, Model]
    both: Mapping[str, Model]
    stack: Model


def seen(number: int, when: When, size: int) -> Scene:
    """The ground with this number on a day, or as a stack [40, size, size] of four days of a year."""
    how = {"place": PLACE, "size": size}
    if isinstance(when, datetime.date):
        return simulate.satellite(number, REGION, when, **how)
    days = [datetime.date(when, *day) for day in DAYS]
    scenes = simulate.satellite_year(number, REGION, dates=days, **how)
    bands = tuple(f"{band} {i}" for i in range(len(days)) for band in scenes[0].bands)
    return replace(scenes[0], pixels=np.concatenate([s.pixels for s in scenes]), bands=bands)


def changed(number: int, when: When, size: int) -> Scene:
    """The same ground later: rectangles of it, about a tenth, are the ground with the number 50 higher."""
    return with_change(*(seen(n, when, size) for n in (number, number + 50)), number)


def learn(seed: int = 0) -> Models:
    """All models, from the places seed + 100 to seed + 111 with their labels."""

    places = range(seed + 100, seed + 112)
    scenes = {when: [seen(n, when, 96) for n in places] for when in (BEFORE, *AFTER.values(), *YEARS)}

    def fit(*times: When) -> Model:
        return pixel_probe(sum((scenes[when] for when in times), []), seed=seed, resolution=10)

    own = {day: fit(day) for day in (BEFORE, *AFTER.values())}
    return Models(own, {name: fit(BEFORE, day) for name, day in AFTER.items()}, fit(*YEARS))


def one_date(before: Scene, after: Scene, first: Model, second: Model, both: Model) -> dict[str, Answer]:
    """Ways with one date a year: first and second learned from one day each, `both` from both days."""
    _, maps = change.of_models(before, after, first, second)
    soft, shared = change.of_models(before, after, both, both)
    bands = change.of_bands(before, after)
    apart, same = (a != b for a, b in (maps, shared))
    return {
        "two maps, two models": Answer(apart, apart),
        "two maps, one model": Answer(same, same),
        "the same, 0.25 ha at least": Answer(same, change.sieve(same, LEAST)),
        "bands": _thresholded(bands),
        "bands, smoothed": _thresholded(change.smooth(bands)),
        "probabilities, one model": _thresholded(soft),
        "probabilities, smoothed": _thresholded(change.smooth(soft)),
    }


def stacks(before: Scene, after: Scene, model: Model) -> dict[str, Answer]:
    """Ways with four dates a year and one model for both years."""
    soft, maps = change.of_models(before, after, model, model)
    differ, bands = maps[0] != maps[1], change.of_bands(before, after)
    return {
        "two maps, one model": Answer(differ, differ),
        "the same, 0.25 ha at least": Answer(differ, change.sieve(differ, LEAST)),
        "bands, smoothed": _thresholded(change.smooth(bands)),
        "probabilities, one model": _thresholded(soft),
        "probabilities, smoothed": _thresholded(change.smooth(soft)),
    }


def _thresholded(values: np.ndarray) -> Answer:
    return Answer(values, values > change.otsu(values))


def place(number: int, models: Models, size: int = 256) -> dict[str, tuple[np.ndarray, dict[str, Answer]]]:
    """{dates: (true change [h, w], {way: its answer})} at one place."""
    answers, early = {}, seen(number, BEFORE, size)
    for name, day in AFTER.items():
        late = changed(number, day, size)
        ways = one_date(early, late, models.own[BEFORE], models.own[day], models.both[name])
        answers[name] = (early.labels != late.labels, ways)
    early, late = seen(number, YEARS[0], size), changed(number, YEARS[1], size)
    answers["four dates a year"] = (early.labels != late.labels, stacks(early, late, models.stack))
    return answers


def measures(truth: np.ndarray, answer: Answer) -> dict[str, float | list[float]]:
    """F1, false change and sampling efficiency of an answer, and the precision of its values at all of RECALLS."""
    f1, false = change.score(answer.changed, truth)
    worth = change.efficiency(answer.changed, truth)
    curve = change.precision(answer.values, truth, RECALLS).tolist()
    return {"F1": f1, "false change": false, "worth": worth, "precision": curve}


def contest(numbers: Sequence[int], models: Models, size: int = 256) -> dict[str, dict[str, dict[str, list]]]:
    """`measures` of every way at places with these numbers: {dates: {way: {measure: [of every place]}}}."""
    table: dict = {}
    for number in numbers:
        for dates, (truth, ways) in place(number, models, size).items():
            for way, answer in ways.items():
                for measure, value in measures(truth, answer).items():
                    table.setdefault(dates, {}).setdefault(way, {}).setdefault(measure, []).append(value)
    return table


def summary(table: Mapping[str, Mapping[str, Mapping[str, list]]]) -> dict[str, dict]:
    """Of `contest`: "scores" with intervals over places, mean "precision", paired "gains" in F1 with Holm's "p"."""
    scores = {
        dates: {way: {m: mean_interval(of[m]) for m in SHOWN_MEASURES} for way, of in ways.items()}
        for dates, ways in table.items()
    }
    precision = {
        dates: {way: np.mean(of["precision"], 0).tolist() for way, of in ways.items()} for dates, ways in table.items()
    }
    gains = {
        name: np.subtract(*(table[dates][way]["F1"] for dates, way in pair)).tolist() for name, pair in COMPARED.items()
    }
    intervals = {name: mean_interval(values) for name, values in gains.items()}
    return {"scores": scores, "precision": precision, "gains": intervals, "p": holm(gains)}


def curves(summed: Mapping[str, Mapping]) -> dict[str, dict[str, list[float]]]:
    """{season: {way: precision at RECALLS}}, one date a year, and four dates beside each."""
    of, four = summed["precision"], "four dates a year"
    return {
        dates: {
            "bands": of[dates]["bands"],
            "probabilities": of[dates]["probabilities, one model"],
            "probabilities, smoothed": of[dates]["probabilities, smoothed"],
            "four dates, bands": of[four]["bands, smoothed"],
            "four dates, probabilities": of[four]["probabilities, one model"],
        }
        for dates in AFTER
    }

"""How much change do a season, a sensor and a model make where nothing changed? Real pairs of years: chapter 5.

The places are those of `data.urban_trees` that exist in three years. The models see red, green and blue; the near
infrared, which they never see, says where vegetation came or went, and where not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from lulc_utils import data
from lulc_utils.backbone import Backbone
from lulc_utils.evaluate import change, mean_interval
from lulc_utils.mapping.models import Model
from lulc_utils.mapping.probes import patch_probe, pixel_probe
from lulc_utils.scene import UNLABELLED, Scene

FITTED = ("chico", "claremont")
ASKED = ("long_beach", "riverside")
YEARS = (2016, 2018, 2020)
LEAST = 25  # pixels of the smallest change that is kept by a minimum mapping unit: 9 square meters


def pairs(*, progress: bool = True) -> dict[str, list[Scene]]:
    """{place: its scenes of all YEARS}, six places; DataUnavailable when files are missing."""
    of: dict[str, list[Scene]] = {}
    for city in ASKED:
        for year in YEARS:
            for scene in data.urban_trees(city, year, progress=progress):
                of.setdefault(scene.name.rsplit(" ", 1)[0], []).append(scene)
    return {place: scenes for place, scenes in of.items() if len(scenes) == len(YEARS)}


def ways(before: Scene, after: Scene, models: Mapping[str, Model]) -> dict[str, np.ndarray]:
    """{way: where it finds change [h, w]}, of two dates of one place; every model is used on both dates."""
    bands = change.of_bands(before, after)
    answers = {"bands": bands > change.otsu(bands)}
    for name, model in models.items():
        soft, maps = change.of_models(before, after, model, model)
        answers[f"two maps, {name}"] = maps[0] != maps[1]
        answers[f"two maps, {name}, 9 m² at least"] = change.sieve(maps[0] != maps[1], LEAST)
        answers[f"probabilities, {name}"] = soft > change.otsu(soft)
    return answers


def false_change(places: Mapping[str, Sequence[Scene]], models: Mapping[str, Model]) -> dict[str, list[float]]:
    """{way: share of the ground that it calls changed though the infrared says the same in both years, of every place}.

    The mean over all pairs of years. "infrared: vegetation came or went" is the share of the ground left out.
    """
    table: dict[str, list[float]] = {}
    for scenes in places.values():
        of_pairs: dict[str, list[float]] = {}
        for before, after in combinations(scenes, 2):
            known = (before.labels != UNLABELLED) & (after.labels != UNLABELLED)
            moved = (before.labels != after.labels) & known
            of_pairs.setdefault("infrared: vegetation came or went", []).append(float(moved[known].mean()))
            for way, changed in ways(before, after, models).items():
                of_pairs.setdefault(way, []).append(float(changed[known & ~moved].mean()))
        for way, values in of_pairs.items():
            table.setdefault(way, []).append(float(np.mean(values)))
    return table


def measure(backbone: Backbone, places: Mapping[str, Sequence[Scene]], *, seed: int = 0) -> dict[str, tuple]:
    """`false_change` with intervals over places; a model of pixels and one of patches learn from the FITTED cities."""
    fit = [scene for city in FITTED for scene in data.urban_trees(city)]
    models = {"pixels": pixel_probe(fit, seed=seed), "patches": patch_probe(backbone, fit, seed=seed)}
    return {way: mean_interval(values) for way, values in false_change(places, models).items()}


def view(scenes: Sequence[Scene]) -> dict[str, np.ndarray]:
    """Pictures of one place in all YEARS, and where the infrared of the first and the last says different things."""
    shown = {scene.name: np.moveaxis(scene.pixels, 0, -1) for scene in scenes}
    moved = scenes[0].labels != scenes[-1].labels
    return shown | {"vegetation came or went": np.where(moved, 0, 255)[..., None].repeat(3, -1).astype(np.uint8)}

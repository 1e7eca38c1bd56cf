"""Three ways to read features, applied to real places and to whole photographs (chapter 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from sklearn.pipeline import Pipeline

from lulc_utils import cluster, evaluate
from lulc_utils.data import place_title
from lulc_utils.evaluate import mean_interval
from lulc_utils.ladder.crops import Crops
from lulc_utils.ladder.held_out import Fold, Task, site_of
from lulc_utils.ladder.labels import COUNTS, label_curve
from lulc_utils.ladder.scoring import Interval, summary
from lulc_utils.ladder.ways import read_all
from lulc_utils.scene import Scene

Describe = Callable[[Sequence[Scene]], Mapping[str, torch.Tensor]]  # scenes -> {description: [N, h, w, D]}
Tables = dict[str, dict[str, np.ndarray]]  # {way: {description: confusion of every place, [P, n, n + 1]}}


def read_features(x: torch.Tensor, y: np.ndarray, asked: torch.Tensor, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Classes of the patches [N, h, w, D] in three ways, {way: [N, h, w]}, from features [M, D] and classes [M].

    k-means makes as many groups as there are classes, each the name of one; where there are only two classes, eight
    groups, each with the name of most of its members. See `named_groups`.
    """
    groups, names = named_groups(x, y, n, seed)
    return {
        "k-means": evaluate.apply_match(evaluate.predict(groups, asked), names),
        "k-NN": evaluate.knn_predict(x, y, asked, n_classes=n),
        "linear probe": evaluate.predict(evaluate.linear_probe(x, y, seed=seed), asked),
    }


def named_groups(x: torch.Tensor, y: np.ndarray, n: int, seed: int = 0) -> tuple[Pipeline, np.ndarray]:
    """k-means on features [M, D] and the class of every group; features as they are or of length one, what is better.

    Which of the two is better depends on the description and on the ground, so each description gets the scaling that
    agrees more with the classes [M] of the patches that it was made of.
    """
    k, candidates = (n if n > 2 else 8), []
    for normalize in (False, True):
        groups = cluster.kmeans(x, k, seed, normalize=normalize)
        members = evaluate.predict(groups, x)
        names = cluster.names(y, members, n, k, many=k > n)
        candidates.append((evaluate.miou(y, evaluate.apply_match(members, names), n), groups, names))
    _, groups, names = max(candidates, key=lambda candidate: candidate[0])
    return groups, names


def described(task: Task, describe: Describe) -> dict[str, list[tuple[Crops, Crops]]]:
    """{description: [(crops to fit on, crops to score on), ...]}, a pair for every fold."""
    pairs: dict[str, list[tuple[Crops, Crops]]] = {}
    for fold in task.folds:
        known, asked = describe(fold.train), describe(fold.test)
        for name in known:
            pairs.setdefault(name, []).append((Crops(fold.train, known[name]), Crops(fold.test, asked[name])))
    return pairs


def read_pairs(pairs: Mapping[str, Sequence[tuple[Crops, Crops]]], *, samples: int, seed: int = 0) -> Tables:
    """What every way of reading makes of every description, the places of all folds after one another."""
    parts = []
    for number in range(len(next(iter(pairs.values())))):
        sides = [{name: of[number][side] for name, of in pairs.items()} for side in (0, 1)]
        known, asked = (
            (next(iter(crops.values())).scenes, {name: c.features for name, c in crops.items()}) for crops in sides
        )
        parts.append(read_all(read_features, known, asked, samples=samples, seed=seed))
    return {way: {name: np.concatenate([p[way][name] for p in parts]) for name in parts[0][way]} for way in parts[0]}


def by_site(tables: Tables, places: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """mIoU in every tile, city or settlement, {way: {description: {site: mIoU}}}."""
    sites = np.array([site_of(place) for place in places])
    return {
        way: {
            name: {str(s): float(evaluate.scores(t[sites == s].sum(0))["miou"]) for s in np.unique(sites)}
            for name, t in named.items()
        }
        for way, named in tables.items()
    }


def gains(of: Mapping[str, Mapping[str, Mapping[str, float]]], mine: str) -> dict[str, dict[str, Interval]]:
    """What a description is above its rivals, {way: {rival: (mean, low, high)}}: paired, Student's t over sites."""
    return {
        way: {
            rival: mean_interval([named[mine][site] - value for site, value in at.items()])
            for rival, at in named.items()
            if rival != mine
        }
        for way, named in of.items()
        if mine in named
    }


def measure(tasks: Sequence[Task], describe: Describe, mine: str, *, samples: int, draws: int, seed: int = 0) -> dict:
    """Scores of every task, gains of the description `mine` over sites, and label curves, as `results.save` takes them.

    scores   {task: {way: {description: interval over places}}}
    sites    {way: {description: {tile, city or settlement: mIoU}}}
    gains    {way: {rival: interval over sites}}
    curves   {task: {description: {labels of each class: interval}}}
    """
    scores, sites, curves = {}, {}, {}
    for task in tasks:
        pairs = described(task, describe)
        tables = read_pairs(pairs, samples=samples, seed=seed)
        scores[task.name] = summary(tables)
        for way, named in by_site(tables, task.places).items():
            for name, values in named.items():
                sites.setdefault(way, {}).setdefault(name, {}).update(values)
        curves[task.name] = {name: label_curve(of, COUNTS, draws, seed) for name, of in pairs.items()}
    return {"scores": scores, "sites": sites, "gains": gains(sites, mine), "curves": curves}


def gain_rows(
    of: Mapping[str, Mapping[str, float]], mean: Mapping[str, Interval], mine: str
) -> dict[str, dict[str, Interval]]:
    """Differences for a chart, {rival: {site: difference, ..., "all": interval}}, of one way of reading."""
    rows = {}
    for rival, interval in mean.items():
        each = {site: of[mine][site] - value for site, value in of[rival].items()}
        above = {place_title(site): (gain, gain, gain) for site, gain in each.items()}
        rows[f"above {rival}"] = above | {"all": interval}
    return rows


def of_photographs(features: torch.Tensor) -> np.ndarray:
    """A photograph as mean and spread of its patches, [N, h, w, D] -> [N, 2 D]."""
    patches = features.flatten(1, 2)
    return torch.cat([patches.mean(1), patches.std(1)], 1).numpy()


def name_photographs(fold: Fold, describe: Describe) -> dict[str, dict[str, dict[str, float]]]:
    """Share of the photographs of every kind that are named right, {way: {description: {kind: share}}}.

    5-NN by cosine and a linear probe, both on features that are standardized by the labelled photographs.
    """
    kinds, y = np.unique([s.group for s in fold.train], return_inverse=True)
    truth = np.searchsorted(kinds, [s.group for s in fold.test])
    known, asked = describe(fold.train), describe(fold.test)
    shares: dict[str, dict[str, dict[str, float]]] = {}
    for name in known:
        x, queries = of_photographs(known[name]), of_photographs(asked[name])
        mean, spread = x.mean(0), x.std(0) + 1e-6
        for way, answer in _name((x - mean) / spread, y, (queries - mean) / spread, len(kinds)).items():
            right = {str(kind): float((answer == truth)[truth == k].mean()) for k, kind in enumerate(kinds)}
            shares.setdefault(way, {})[name] = right
    return shares


def _name(x: np.ndarray, y: np.ndarray, asked: np.ndarray, kinds: int) -> dict[str, np.ndarray]:
    return {
        "5-NN": evaluate.knn_predict(x, y, asked, k=5, n_classes=kinds),
        "linear probe": evaluate.predict(evaluate.linear_probe(x, y, C=0.1), asked),
    }


def photograph_gains(shares: Mapping[str, Mapping[str, Mapping[str, float]]], mine: str) -> dict:
    """{"scores": {way: {description: interval}}, "gains": {way: {rival: interval}}}, by Student's t over kinds."""
    scores = {way: {name: mean_interval([*of.values()]) for name, of in named.items()} for way, named in shares.items()}
    return {"scores": scores, "gains": gains(shares, mine)}

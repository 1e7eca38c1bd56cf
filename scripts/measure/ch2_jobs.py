"""The jobs of chapter 2's measurements: each learns on some crops without labels, names there, and scores elsewhere."""

from __future__ import annotations

from functools import cache

import ch2_places as places
import numpy as np
import torch

from lulc_utils import cluster, evaluate, ladder, stego

NAMINGS = {"one to one": 1, "many to one": 4}  # groups per class, when the rule is chosen
RULES = {
    "published": {"shifts": stego.PUBLISHED_SHIFTS},
    "half as many": {"times": 0.5},
    "as k-means": {"times": 1.0},
    "1.5 times": {"times": 1.5},
    "twice": {"times": 2.0},
    "as k-means, 40 epochs": {"times": 1.0, "epochs": 40},
}
RULE = "1.5 times"  # chosen by `choose`
SHARPENED = ("k-means, raw color", "k-means, frozen features", "STEGO")  # also with a CRF
GROUPS_FOR = {2: 8}  # groups of two classes: eight, many to one; else as many as classes, one to one
PLACED = {"at random": ladder.clicks_at_random, "by k-means": ladder.clicks_by_kmeans}
SIZES, GROUPS, CLICKS = (3, 12, 48), (7, 14, 28, 56), (7, 28, 112)
CHANGES = {
    "published shifts": {"shifts": stego.PUBLISHED_SHIFTS},
    "no clamp": {"clamp": False},
    "no centering": {"center": False},
    "its own cluster probe": {"probe": True},
}


@cache
def crops_of(name: str) -> tuple[dict, dict[str, ladder.Crops]]:
    """(folds, crops by description) of one kind of ground; kept, because every job of it needs them."""
    ground = places.GROUNDS[name]()
    return ground.folds, ground.described()


def fold_of(name: str, fold: str) -> tuple[dict[str, ladder.Crops], dict[str, ladder.Crops]]:
    """(crops to learn from, crops to score) by description."""
    folds, crops = crops_of(name)
    return tuple(places.part(crops, keep) for keep in folds[fold])


def head(
    features: torch.Tensor,
    k: int,
    seed: int,
    *,
    shifts: stego.Shifts | None = None,
    times: float | None = None,
    probe: bool = False,
    **changes,
) -> stego.Stego:
    """A STEGO head with k groups, by RULE unless told otherwise; `probe`: with the centers of its own cluster probe."""
    times = times or RULES[RULE]["times"]
    shifts = shifts or stego.choose_shifts(features, k, times=times, seed=seed)
    model = stego.train(features, k, stego.Settings(shifts=shifts, seed=seed, **changes))
    return model if probe else stego.with_clusters(model, features, k, seed=seed)


def miou_of_patches(groups: cluster.Groups, fit: ladder.Crops, score: ladder.Crops) -> dict[str, float]:
    """{place: mIoU over patches}."""
    answer = evaluate.apply_match(cluster.of_patches(groups, score.features), ladder.names(groups, fit))
    of = [scene.group for scene in score.scenes]
    tables = evaluate.confusions_by_group(score.patch_labels, answer, of, score.n_classes)
    return dict(zip(np.unique(of).tolist(), evaluate.scores(tables)["miou"].tolist(), strict=True))


def choose(name: str, fold: str, seed: int) -> dict:
    """{naming: {rule or k-means: {place: mIoU over patches}}}: which shift rule, on ground for choosing only."""
    fit, score = (part["frozen features"] for part in fold_of(name, fold))
    result = {}
    for naming, times in NAMINGS.items():
        k = times * fit.n_classes
        ways = {"k-means": cluster.by_cosine(fit.features, k, seed)}
        ways |= {rule: head(fit.features, k, seed, **changes) for rule, changes in RULES.items()}
        result[naming] = {way: miou_of_patches(groups, fit, score) for way, groups in ways.items()}
    return result


def compare(name: str, fold: str, seed: int) -> dict:
    """{way: {place: confusion of pixels}} of STEGO and its rivals, and of 28 clicks."""
    fit, score = fold_of(name, fold)
    ours, asked = fit["frozen features"], score["frozen features"]
    k = GROUPS_FOR.get(ours.n_classes, ours.n_classes)
    groups_of = {d: cluster.by_cosine(fit[d].features, k, seed) for d in places.DESCRIBED}
    ways = {f"k-means, {d}": (groups, fit[d], score[d]) for d, groups in groups_of.items()}
    ways["STEGO"] = head(ours.features, k, seed), ours, asked
    answers = ladder.answers(ways, ours, asked, sharpen=SHARPENED, samples=3000, seed=seed)
    for placed, click in PLACED.items():
        for d in places.DESCRIBED:
            model = ladder.learn_clicks(fit[d], click(fit[d], 28, seed))
            answers[f"28 clicks {placed}, {d}"] = ladder.maps_from_clicks(model, score[d])
    of = [scene.group for scene in asked.scenes]
    each = np.unique(of).tolist()
    return {way: dict(zip(each, tables, strict=True)) for way, tables in ladder.count(answers, asked, of).items()}


# ----------------------------------------------------------------- simulated crops: mIoU over patches of all crops


def simulated_crops() -> tuple[dict[str, ladder.Crops], dict[str, ladder.Crops]]:
    """The chapter's crops to learn from and to score."""
    return fold_of("chapter", "other scenes")


def one_score(groups: cluster.Groups, fit: ladder.Crops, score: ladder.Crops) -> float:
    """mIoU over the patches of all crops."""
    return evaluate.scores(ladder.patch_tables(groups, fit, score).sum(0))["miou"]


def sweeps(seed: int) -> dict:
    """{what: {number: mIoU}}: lengths of the code, and numbers of groups of STEGO and of k-means."""
    fit, score = simulated_crops()
    ours, asked, n = fit["frozen features"], score["frozen features"], fit["frozen features"].n_classes
    by_size = {d: head(ours.features, n, seed, code_dim=d) for d in SIZES}
    model = by_size[stego.Settings().code_dim]
    more = {k: stego.with_clusters(model, ours.features, k, seed=seed) for k in GROUPS}
    result = {
        "size": {d: one_score(groups, ours, asked) for d, groups in by_size.items()},
        "STEGO": {k: one_score(groups, ours, asked) for k, groups in more.items()},
    }
    for name in places.DESCRIBED:
        groups = {k: cluster.by_cosine(fit[name].features, k, seed) for k in GROUPS}
        result[f"k-means, {name}"] = {k: one_score(g, fit[name], score[name]) for k, g in groups.items()}
    return result


def ablation(seed: int) -> dict[str, float]:
    """{change: mIoU}: one change of STEGO at a time."""
    fit, score = (part["frozen features"] for part in simulated_crops())
    heads = {name: head(fit.features, fit.n_classes, seed, **changes) for name, changes in CHANGES.items()}
    return {name: one_score(model, fit, score) for name, model in heads.items()}


def clicks(seed: int) -> dict:
    """{placed: {description: {labelled patches: mIoU}}}."""
    fit, score = simulated_crops()
    return {
        placed: {
            name: {
                n: evaluate.miou(
                    score[name].patch_labels,
                    evaluate.predict(ladder.learn_clicks(fit[name], click(fit[name], n, seed)), score[name].features),
                    fit[name].n_classes,
                )
                for n in CLICKS
            }
            for name in places.DESCRIBED
        }
        for placed, click in PLACED.items()
    }

"""Every way of a comparison applied to the same crops: ways to read features, and ways to group them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import torch

from lulc_utils import cluster, evaluate
from lulc_utils.ladder.crops import Crops, maps, names, probe_maps
from lulc_utils.scene import Scene


def read_all(
    read: Callable[[torch.Tensor, np.ndarray, torch.Tensor, int], dict[str, np.ndarray]],
    train: tuple[Sequence[Scene], Mapping[str, torch.Tensor]],
    test: tuple[Sequence[Scene], Mapping[str, torch.Tensor]],
    *,
    samples: int,
    seed: int = 0,
) -> dict[str, dict[str, np.ndarray]]:
    """Confusion per group of scenes for every way of reading every description, {way: {description: [G, n, n + 1]}}.

    read          (features [M, D], classes [M], test features [N, h, w, D], n) -> {way: answers [N, h, w]}
    train, test   scenes and {description: features of their patches}; `samples` of the training patches are drawn

    The way "one class" answers with the most frequent class everywhere, whatever the description.
    """
    fit_on, asked = (Crops(scenes, next(iter(features.values()))) for scenes, features in (train, test))
    truth, groups, n = asked.patch_labels, [s.group for s in asked.scenes], fit_on.n_classes
    pick = np.random.default_rng(seed).permutation(fit_on.patch_labels.size)[:samples]
    counts: dict[str, dict[str, np.ndarray]] = {}
    for name, x in train[1].items():
        answers = read(x.flatten(0, 2)[pick], fit_on.patch_labels.ravel()[pick], test[1][name], n)
        for way, answer in answers.items():
            counts.setdefault(way, {})[name] = evaluate.confusions_by_group(truth, answer, groups, n)
    lazy = np.full_like(truth, evaluate.majority_class(fit_on.patch_labels, n))
    return counts | {"one class": {"any": evaluate.confusions_by_group(truth, lazy, groups, n)}}


def answers(
    ways: Mapping[str, tuple[cluster.Groups, Crops, Crops]],
    train: Crops,
    test: Crops,
    *,
    sharpen: Collection[str],
    samples: int,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The class of every test pixel by every way, {way: [N, H, W]}, between one class everywhere and a linear probe.

    ways      {way: (groups, crops to name them on, crops to map)}: the same crops, perhaps with features of their own
    sharpen   the ways that also appear with a CRF
    samples   labelled patches that the probe sees
    """
    largest = evaluate.majority_class(train.patch_labels, train.n_classes)
    result = {"majority": np.full_like(test.labels, largest)}
    for name, (groups, fit_on, asked) in ways.items():
        of = names(groups, fit_on)
        result[name] = maps(groups, of, asked)
        if name in sharpen:
            result[f"{name} + CRF"] = maps(groups, of, asked, crf=True)
    return result | {"linear probe": probe_maps(train, test, samples, seed)}

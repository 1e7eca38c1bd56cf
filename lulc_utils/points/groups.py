"""Groups of similar rows, the point in the middle of each, names for the groups, and the map they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_hex

from lulc_utils import cluster
from lulc_utils.points.answers import read_points
from lulc_utils.points.describe import Describer, labels_at
from lulc_utils.scene import UNLABELLED, LandCover, Scene


class Groups(NamedTuple):
    """Groups of similar rows: their clusters, the group of every row [M], and the row in each group's middle [K]."""

    clusters: cluster.Clusters
    member: np.ndarray
    middles: np.ndarray


def group(rows: torch.Tensor, k: int, seed: int = 0) -> Groups:
    """k groups of rows [M, D] by k-means and cosine: one group for each point that can be labelled.

    ValueError when there are fewer different rows than groups.
    """
    kinds = len(torch.unique(rows, dim=0))
    if not 1 <= k <= kinds:
        raise ValueError(
            f"{len(rows)} pixels or patches were measured, with {kinds} different values, so {k} groups cannot be "
            "made; choose another number of points (n_points)."
        )
    clusters = cluster.by_cosine(rows, k, seed)
    similarity = cluster.similarity(rows, clusters.centers)  # [M, k]
    return Groups(clusters, similarity.argmax(1).numpy(), similarity.argmax(0).numpy())


def name_groups(
    groups: Groups, spots: np.ndarray, scenes: Sequence[Scene], answers: str | Path = ""
) -> tuple[np.ndarray, tuple[LandCover, ...]]:
    """(class of every group [K] uint8, classes): the label of its middle or, without one, of the most similar group.

    spots    [K, 3] where the middles lie
    answers  a table of `write_points` that somebody filled in; without it, the labels of the scenes are used,
             and if there are none, the groups keep their numbers

    ValueError when the table does not fit or has no class in it.
    """
    if answers:
        names, classes = read_points(answers, len(spots))
    elif all(scene.labels is not None for scene in scenes):
        names, classes = labels_at(spots, scenes), scenes[0].classes
    else:
        if len(spots) > UNLABELLED:
            raise ValueError(f"A map shows at most {UNLABELLED} groups, not {len(spots)}; choose a smaller n_points.")
        names = np.arange(len(spots), dtype=np.uint8)
        classes = tuple(LandCover(f"group {k}", to_hex(c)) for k, c in enumerate(_colors(len(spots))))
    known = np.flatnonzero(names != UNLABELLED)
    if not len(known):
        raise ValueError("None of the points has a class; label at least one.")
    centers = groups.clusters.centers
    nearest = known[(centers @ centers[known].T).argmax(1).numpy()]
    return names[nearest], classes


def mapper(groups: Groups, names: np.ndarray, describe: Describer, n_classes: int) -> Callable:
    """A model for `mapping.map_raster`: pixels [C, h, w] -> a value for every class [n_classes, h, w].

    names   the class of every group, [K]
    """

    def model(pixels: np.ndarray) -> torch.Tensor:
        p = cluster.of_pixels(groups.clusters, describe(pixels)[None], pixels.shape[1:])[0]
        return cluster.as_classes(p, names, n_classes)

    return model


def picture(groups: Groups, spots: np.ndarray, scene: Scene, step: int = 1) -> np.ndarray:
    """The groups of the first scene in colors, (rows, cols, 3) uint8; white where nothing was measured.

    spots   [M, 3] where the rows of all scenes lie; step   pixels along the side of a patch
    """
    first = spots[:, 0] == 0
    colors = (_colors(len(groups.middles))[:, :3] * 255).astype(np.uint8)
    image = np.full((scene.height, scene.width, 3), 255, np.uint8)
    rows, cols = spots[first, 1], spots[first, 2]
    for i in range(-(step // 2), step - step // 2):
        for j in range(-(step // 2), step - step // 2):
            image[rows + i, cols + j] = colors[groups.member[first]]
    return image


def _colors(k: int) -> np.ndarray:
    return plt.cm.gist_ncar(np.linspace(0.05, 0.95, k))

"""What the book opens with: a map that no label helped to make, and a chart of what a handful of labels is worth."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv, to_hex
from torch.nn import functional as F

from lulc_utils import backbone, charts, cluster, crf, data, results, simulate
from lulc_utils.interactive import Interactive, swipe
from lulc_utils.scene import LandCover, Scene
from lulc_utils.tables import Interval

PLACE = ("bishop", "Bishop 4 2020")  # a city that the embedded backbone was not trained on, and a place in it
GROUPS, ZOOM, SIMULATED = 6, 2, (2, 256)  # the last: seed and side of the scene that is shown where data is missing
STRONGER = np.array([1, 2.2, 1.35])  # a group is drawn in its mean color with more saturation and light
APART = 0.17  # what two colors differ by at least, as a distance in red, green and blue from 0 to 1
SHARP, NEAR = 0.1, {"appearance": (20.0, 8.0, 4.0)}  # temperature of the votes; pixels and gray levels of the CRF


def earth() -> Scene:
    """An aerial photograph of a town or, where the data is not at hand, a simulated scene."""
    city, name = PLACE
    try:
        return next(scene for scene in data.urban_trees(city, progress=False) if scene.name == name)
    except data.DataUnavailable:
        return simulate.aerial(*SIMULATED)


def without_labels(scene: Scene, groups: int = GROUPS) -> np.ndarray:
    """A map of the scene by groups of its own patches, [ZOOM * rows, ZOOM * cols] uint8; no label is used.

    The patches of the enlarged image are described by the embedded backbone and sorted into groups by k-means; the
    dense CRF moves the borders of the groups to the edges in the image. Group 0 is the largest.
    """
    features = backbone.patch_features(backbone.load("embedded"), enlarged(scene.pixels)[None])  # [1, h, w, D]
    centers = cluster.find_centers(features, groups)
    votes = (F.normalize(features[0], dim=-1) @ centers.T / SHARP).softmax(-1)  # [h, w, groups]
    votes = cluster.to_pixels(votes, 8 // ZOOM, (scene.height, scene.width))
    clean = crf.dense_crf(torch.from_numpy(scene.pixels), votes / votes.sum(0), **NEAR)
    labels = F.interpolate(clean[None], scale_factor=ZOOM, mode="bilinear")[0].argmax(0).numpy()
    order = np.argsort(-np.bincount(labels.ravel(), minlength=groups), kind="stable")
    return np.argsort(order)[labels].astype(np.uint8)


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """An image [bands, rows, cols] uint8 with ZOOM times as many rows and columns."""
    larger = F.interpolate(torch.from_numpy(pixels[None]).float(), scale_factor=ZOOM, mode="bicubic")[0]
    return larger.clamp(0, 255).round().byte().numpy()


def colors(image: np.ndarray, labels: np.ndarray) -> list[str]:
    """A color for each group of pixels, as "#rrggbb": its mean color in the image [3, rows, cols], made stronger.

    A group whose color is hard to tell from that of a larger one is darkened until it can be told.
    """
    chosen = []
    for group in range(labels.max() + 1):
        color = hsv_to_rgb((rgb_to_hsv(image[:, labels == group].mean(1) / 255) * STRONGER).clip(0, 1))
        while color.max() > 0.1 and any(np.linalg.norm(color - other) < APART for other in chosen):
            color = 0.95 * color
        chosen.append(color)
    return [to_hex(color) for color in chosen]


def few_labels() -> dict[str, dict[int, Interval]]:
    """{description: {labels of each class: mIoU with its interval}} of color and backbone, as measured in chapter 1."""
    curves = results.measured("01_dino_features", "simulated")["curves"]
    return {
        name: {int(count): tuple(score) for count, score in curves[known].items()}
        for name, known in (("raw color", "raw color"), ("embedded backbone", "embedded"))
    }


def label_chart() -> None:
    """Draw `few_labels`: what a handful of labels is worth, as color and as features."""
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    charts.bands(axis, few_labels())
    axis.set(xlabel="labelled patches of each class", ylabel="mIoU on other scenes", ylim=(0, None))
    charts.legend_below(figure, axis)
    plt.show()


def figure() -> Interactive:
    """The image and its map with a line between them, and a caption that says which of the two places it is."""
    scene = earth()
    image, labels = enlarged(scene.pixels), without_labels(scene)
    ground = "A simulated scene (the photograph was not at hand when this page was made)"
    if not scene.simulated:
        ground = "Part of Bishop, California, from the air (NAIP, 2020; a town that the network had never seen)"
    classes = tuple(LandCover(f"group {i}", color) for i, color in enumerate(colors(image, labels), 1))
    return swipe(
        replace(scene, pixels=image, labels=None, classes=classes, transform=None, crs=None),
        labels,
        name="map without labels",
        caption=f"{ground}, and a map of it that nobody drew: six groups of patches, found without a single label, "
        "each in its mean color. Move the line and say what each group is: that is where labels begin.",
    )

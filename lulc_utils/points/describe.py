"""What stands for a pixel: the middle of an image as a scene, and its pixels or patches as rows of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lulc_utils import backbone, contrastive, raster
from lulc_utils.scene import UNLABELLED, Scene

Describer = Callable[[np.ndarray], torch.Tensor]  # pixels [C, h, w] -> features [h, w, D] of pixels or patches
BLOCK = 8  # sides of a scene are multiples of this, so that patches fit


def read_middle(path: str | Path, side: int) -> Scene:
    """The middle of an image on Earth as a Scene, at most `side` pixels a side, in whole blocks of 8 pixels.

    An 8-bit image whose bands have no names is taken for red, green and blue.
    """
    scene = raster.read_scene(path, window=raster.middle_window(path, side, side, BLOCK), require_crs=True)
    if is_photo(scene) and scene.bands[0] == "band 1":
        scene = replace(scene, pixels=scene.pixels[:3], bands=("red", "green", "blue"))
    return scene


def is_photo(scene: Scene) -> bool:
    """Whether a scene is an 8-bit photograph: a single pixel of it says little, a patch says more."""
    return scene.pixels.dtype == np.uint8


def describer(scenes: Sequence[Scene], kind: str = "reflectance", *, steps: int = 40, seed: int = 0) -> Describer:
    """What stands for the pixels of these scenes: a function from pixels [C, h, w] to features [h, w, D].

    Photographs get the patch features of the embedded backbone, whatever the kind. Other scenes get
    "reflectance", every band brought to mean 0 and spread 1 over the scenes, or "U-Net": the features of a
    network pre-trained on these scenes alone for so many steps.
    """
    if is_photo(scenes[0]):
        vit = backbone.load("embedded")
        return lambda pixels: backbone.patch_features(vit, pixels[None, :3])[0]
    images, bands, _ = contrastive.patches(scenes, 64)  # [N, C, 64, 64]
    usable = images[np.isfinite(images).all((1, 2, 3))]
    if kind == "U-Net":
        return _unet(usable, bands, steps, seed)
    mean, spread = usable.mean((0, 2, 3)), usable.std((0, 2, 3))
    return lambda pixels: torch.from_numpy(((np.moveaxis(pixels, 0, -1) - mean) / spread).astype(np.float32))


def rows_of(scenes: Sequence[Scene], describe: Describer) -> tuple[torch.Tensor, np.ndarray]:
    """Features [M, D] of all pixels or patches that are measured throughout, and where they lie: [M, 3] ints.

    The place of a row is (number of the scene, row, column); that of a patch is its middle pixel.
    """
    rows, spots = [], []
    for number, scene in enumerate(scenes):
        usual = scene.pixels[:, scene.valid].mean(1)[:, None, None]
        filled = np.where(scene.valid, scene.pixels, usual).astype(scene.pixels.dtype)
        features = describe(filled)  # [h, w, D]
        step = scene.height // features.shape[0]
        whole = scene.valid.reshape(features.shape[0], step, features.shape[1], step).all((1, 3))
        rows.append(features[torch.from_numpy(whole)])
        at = np.argwhere(whole) * step + step // 2
        spots.append(np.column_stack([np.full(len(at), number), at]))
    return torch.cat(rows), np.concatenate(spots)


def with_labels(rows: torch.Tensor, spots: np.ndarray, scenes: Sequence[Scene]) -> tuple[torch.Tensor, np.ndarray]:
    """The rows whose pixel has a label [m, D], and these labels [m]."""
    labels = labels_at(spots, scenes)
    known = labels != UNLABELLED
    return rows[torch.from_numpy(known)], labels[known]


def labels_at(spots: np.ndarray, scenes: Sequence[Scene]) -> np.ndarray:
    """Labels [n] of labelled scenes at places [n, 3] (scene, row, column)."""
    return np.array([scenes[number].labels[row, col] for number, row, col in spots])


def _unet(images: np.ndarray, bands: tuple[str, ...], steps: int, seed: int) -> Describer:
    """Features of a U-Net that is pre-trained on images [N, C, 64, 64]."""
    small = contrastive.Pretraining(steps=steps, batch_size=8, seed=seed)
    net = contrastive.pretrain(images, small, bands=bands).model

    @torch.no_grad()
    def describe(pixels: np.ndarray) -> torch.Tensor:
        return net.features(torch.from_numpy(pixels[None]).float())[0].permute(1, 2, 0)

    return describe

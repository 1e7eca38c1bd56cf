"""Features of pixels: the middle of an image as a scene, and its pixels or patches as rows of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rasterio.enums import ColorInterp

from lulc_utils import backbone, contrastive, galileo, raster
from lulc_utils.scene import UNLABELLED, Scene

Describer = Callable[[np.ndarray], torch.Tensor]  # pixels [C, h, w] -> features [h, w, D] of pixels or patches
COLORS, UNNAMED = ("red", "green", "blue"), ("band 1", "band 2", "band 3")
KINDS = ("reflectance", "U-Net", "Galileo")
BLOCK = 8  # sides of a scene are multiples of this, so that patches fit
FINE, ENOUGH = 2, 16  # pixels along a patch of Galileo; squares from which the spread of its numbers is taken


def read_middle(path: str | Path, side: int) -> Scene:
    """The middle of an image on Earth as a Scene, at most `side` pixels a side, in whole blocks of 8 pixels.

    A photograph (8-bit red, green and blue first, or three or four bands without names) keeps these three bands.
    ValueError says what kind of image cannot be used, and what to do.
    """
    with raster.opened(path) as file:
        if ColorInterp.palette in file.colorinterp:
            raise ValueError(
                f"{path} has a color table: its numbers are names, not measurements; convert it to red, green and blue "
                "first (`gdal_translate -expand rgb`)."
            )
        if np.dtype(file.dtypes[0]).kind not in "uif":
            raise ValueError(f"{path} holds {file.dtypes[0]} numbers; only real numbers can be mapped.")
        if file.crs is not None and file.transform.is_identity:
            raise ValueError(f"{path} has a reference system but no position in it; georeference it first.")
        if min(file.height, file.width, side) < BLOCK:
            raise ValueError(
                f"{path} is {file.height} x {file.width} pixels and side is {side}; at least {BLOCK} are needed."
            )
    scene = raster.read_scene(path, window=raster.middle_window(path, side, side, BLOCK), require_crs=True)
    names = tuple(name.lower() for name in scene.bands[:3])
    if scene.pixels.dtype == np.uint8 and (names == COLORS or (names == UNNAMED and len(scene.bands) in (3, 4))):
        scene = replace(scene, pixels=scene.pixels[:3], bands=COLORS)
    return scene


def is_photo(scene: Scene) -> bool:
    """Whether a scene is an 8-bit photograph: a single pixel of it says little, a patch says more."""
    return scene.pixels.dtype == np.uint8 and scene.bands == COLORS


def describer(scenes: Sequence[Scene], kind: str = "reflectance", *, steps: int = 40, seed: int = 0) -> Describer:
    """A function from pixels [C, h, w] of these scenes to features [h, w, D].

    Photographs always get the patch features of the embedded backbone. Other scenes get, by kind,
    "reflectance", every band scaled to mean 0 and deviation 1 over the scenes; "U-Net", the features of a network
    pre-trained on these scenes alone for `steps` steps; "Galileo", what the published encoder says of every 2 x 2
    pixels, told month and place where the scenes share them, each number scaled likewise (DataUnavailable when its
    weights are missing). ValueError for any other kind, and for bands that Galileo does not know.
    """
    if kind not in KINDS:
        raise ValueError(f"There are no features '{kind}'; choose {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    if is_photo(scenes[0]):
        vit = backbone.load("embedded")
        return lambda pixels: backbone.patch_features(vit, pixels[None, :3])[0]
    images = _measured(scenes)  # [N, C, n, n]
    if kind == "U-Net":
        return _unet(images, scenes[0].bands, steps, seed)
    if kind == "Galileo":
        return _galileo(images, scenes)
    mean, spread = images.mean((0, 2, 3)), images.std((0, 2, 3))
    spread = np.where(spread > 0, spread, 1).astype(np.float32)  # a band may be constant

    def describe(pixels: np.ndarray) -> torch.Tensor:
        features = torch.from_numpy(((np.moveaxis(pixels, 0, -1) - mean) / spread).astype(np.float32))
        # groups compare directions; a single band has only two of them, and a constant second band gives it more
        return features if features.shape[-1] > 1 else torch.cat([features, torch.ones_like(features)], -1)

    return describe


def rows_of(scenes: Sequence[Scene], describe: Describer) -> tuple[torch.Tensor, np.ndarray]:
    """Features [M, D] of all pixels or patches without missing values, and where they lie: [M, 3] ints.

    The place of a row is (number of the scene, row, column); that of a patch is its middle pixel.
    """
    rows, spots = [], []
    for number, scene in enumerate(scenes):
        features = describe(_filled(scene))  # [h, w, D]
        step = scene.height // features.shape[0]
        whole = scene.valid.reshape(features.shape[0], step, features.shape[1], step).all((1, 3))
        rows.append(features[torch.from_numpy(whole)])
        at = np.argwhere(whole) * step + step // 2
        spots.append(np.column_stack([np.full(len(at), number), at]))
    return torch.cat(rows), np.concatenate(spots)


def with_labels(rows: torch.Tensor, spots: np.ndarray, scenes: Sequence[Scene]) -> tuple[torch.Tensor, np.ndarray]:
    """The rows [m, D] whose pixel has a label, and these labels [m]."""
    labels = labels_at(spots, scenes)
    known = labels != UNLABELLED
    return rows[torch.from_numpy(known)], labels[known]


def labels_at(spots: np.ndarray, scenes: Sequence[Scene]) -> np.ndarray:
    """Labels [n] of labelled scenes at places [n, 3] (scene, row, column)."""
    return np.array([scenes[number].labels[row, col] for number, row, col in spots])


def _filled(scene: Scene) -> np.ndarray:
    """Pixels [C, h, w]; those without a measurement get the mean of the others."""
    usual = scene.pixels[:, scene.valid].mean(1)[:, None, None]
    return np.where(scene.valid, scene.pixels, usual).astype(scene.pixels.dtype)


def _measured(scenes: Sequence[Scene]) -> np.ndarray:
    """Squares [N, C, n, n] float32 of at most 64 pixels a side; those at least half measured, if there are any."""
    size = min(64, *(n for s in scenes for n in (s.height, s.width)))
    pieces = [piece for scene in scenes for piece in raster.crops(scene, size) if piece.valid.any()]
    most = [piece for piece in pieces if piece.valid.mean() >= 0.5] or pieces
    return np.stack([_filled(piece) for piece in most]).astype(np.float32)


def _unet(images: np.ndarray, bands: tuple[str, ...], steps: int, seed: int) -> Describer:
    """Features of a U-Net pre-trained on images [N, C, 64, 64]."""
    crop = min(32, images.shape[-1])
    small = contrastive.Pretraining(steps=steps, batch_size=8, crop=crop, seed=seed)
    net = contrastive.pretrain(images, small, bands=bands).model

    @torch.no_grad()
    def describe(pixels: np.ndarray) -> torch.Tensor:
        return net.features(torch.from_numpy(pixels[None]).float())[0].permute(1, 2, 0)

    return describe


def _galileo(images: np.ndarray, scenes: Sequence[Scene]) -> Describer:
    """Galileo's description, each number scaled to mean 0 and deviation 1 over some of the images [N, C, n, n]."""
    facts = {"bands": scenes[0].bands, "patch_size": FINE, **galileo.shared_facts(scenes)}
    some = images[:: -(-len(images) // ENOUGH)]
    rows = torch.cat([galileo.describe(image, **facts).flatten(0, 1) for image in some])
    mean, spread = rows.mean(0), rows.std(0)

    def describe(pixels: np.ndarray) -> torch.Tensor:
        return (galileo.describe(pixels, **facts) - mean) / spread

    return describe

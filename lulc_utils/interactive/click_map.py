"""Click a few patches and see the map: labels learned in the page, from features of several scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from lulc_utils.evaluate import patch_labels
from lulc_utils.interactive.figure import Interactive, assemble, drawing, grid_of, image, numbers, photo
from lulc_utils.literal import as_html, counted
from lulc_utils.plot import class_map, rgb
from lulc_utils.scene import Scene

AXES = 40  # numbers per patch that are kept
PENALTY = 0.1  # of the ridge regression, as a share of the mean squared length of a row
LARGEST_MAP = 400_000  # bytes

Click = tuple[int, int]  # (patch, label)


def click_map(
    scenes: Mapping[str, Scene],
    features: Mapping[str, Sequence[ArrayLike]],
    *,
    caption: str,
    clicks: Sequence[Click] | None = None,
) -> Interactive:
    """Pick a class, click patches of the first scene, and see at once the maps of all of them, with their mIoU.

    scenes    {name: scene}, with labels, of one size and one legend; only the first can be clicked
    features  {name: one grid [h, w, D] for each scene}, to choose from in a menu that begins with the first
    caption   the finding, and something to try
    clicks    to begin with, and behind a button; `prepared_clicks` of the first scene when left out

    The map is made in the page, by ridge regression or by the most similar click. All numbers of a patch are first
    brought to mean 0 and deviation 1 over the scenes, then turned onto their first AXES principal axes and rounded to 8
    bits (`packed`). ValueError for scenes or features that do not fit together, and for a figure above LARGEST_MAP.
    """
    shown = list(scenes.values())
    for name, kind in features.items():
        if not shown or len(kind) != len(shown):
            raise ValueError(f"There are {len(shown)} scenes but {len(kind)} grids of features '{name}'.")
    grids = {name: [grid_of(s, g, name) for s, g in zip(shown, kind, strict=True)] for name, kind in features.items()}
    shape = _checked(shown, grids)
    truth = [patch_labels(s.labels[None], s.height // shape[0])[0].astype(np.uint8) for s in shown]
    clicks = prepared_clicks(shown[0], shape) if clicks is None else list(clicks)
    flat = {name: np.concatenate([g.reshape(-1, g.shape[-1]) for g in kind]) for name, kind in grids.items()}
    kinds = {name: packed(rows) for name, rows in flat.items()}
    data = {
        "rows": shape[0], "cols": shape[1], "lambda": PENALTY,
        "classes": [{"name": c.name, "color": c.color} for c in shown[0].classes],
        "prepared": [{"patch": int(patch), "label": int(label)} for patch, label in clicks],
        "scenes": [{"name": name, "size": [s.width, s.height], "labels": numbers(t)}
                   for (name, s), t in zip(scenes.items(), truth, strict=True)],
        "kinds": [{"name": name, "dim": values.shape[1], "values": numbers(values), "scale": scale.tolist()}
                  for name, (values, scale) in kinds.items()],
    }  # fmt: skip
    name, (values, scale) = next(iter(kinds.items()))
    maps = ridge_map(values * scale, clicks).reshape(len(shown), *shape)
    static = _static(scenes, maps, f"{counted(len(clicks), 'click')} on the first scene, features: {name}")
    return assemble("click_map", data, static, caption, shared=("learn", "clicks"), largest=LARGEST_MAP)


def prepared_clicks(scene: Scene, shape: tuple[int, int]) -> list[Click]:
    """One click (patch, label) for each class of the scene, on the patch furthest from the border of the class."""
    rows, cols = shape
    side = scene.height // rows
    middle = slice(side // 2 - 1, side // 2 + 1)
    clicks = []
    for label in np.unique(patch_labels(scene.labels[None], side)):
        if label < len(scene.classes):
            inside = ndimage.distance_transform_edt(np.pad(scene.labels == label, 1))[1:-1, 1:-1]
            depth = inside.reshape(rows, side, cols, side)[:, middle, :, middle].min((1, 3))
            clicks.append((int(depth.argmax()), int(label)))
    return clicks


def packed(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [P, D], brought to mean 0 and deviation 1, as (int8 [P, d], scale [d]) on their first AXES axes."""
    spread = features.std(0)
    standard = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    left, strength, _ = np.linalg.svd(standard, full_matrices=False)
    turned = (left * strength)[:, :AXES]
    scale = np.maximum(abs(turned).max(0) / 127, 1e-12)
    return np.rint(turned / scale).astype(np.int8), scale


def ridge_map(features: np.ndarray, clicks: Sequence[Click], penalty: float = PENALTY) -> np.ndarray:
    """Labels [P] of all patches from clicks (patch, label), by ridge regression on features [P, D], as in learn.js."""
    rows, labels = (np.array(part) for part in zip(*clicks, strict=True))
    classes = np.unique(labels)
    targets = (labels[:, None] == classes) - 1 / len(classes)
    known, length = features[rows], (features**2).sum(1).mean()
    slopes = known.T @ np.linalg.solve(known @ known.T + penalty * length * np.eye(len(rows)), targets)
    return classes[(features @ slopes).argmax(1)].astype(np.uint8)


def _checked(scenes: list[Scene], grids: dict[str, list[np.ndarray]]) -> tuple[int, int]:
    """The grid of patches that all scenes and features share."""
    shapes = {grid.shape[:2] for kind in grids.values() for grid in kind}
    if not grids:
        raise ValueError("A map from clicks needs at least one kind of features.")
    if len(shapes) > 1 or len({scene.pixels.shape[1:] for scene in scenes}) > 1:
        raise ValueError("All scenes and all kinds of features must have the same grid of patches.")
    if any(scene.labels is None or scene.classes != scenes[0].classes for scene in scenes):
        raise ValueError("All scenes need labels with the same classes, or no score can be shown.")
    return shapes.pop()


def _static(scenes: Mapping[str, Scene], maps: np.ndarray, how: str) -> str:
    """Every scene above its first map."""
    parts = []
    for (name, scene), labels in zip(scenes.items(), maps, strict=True):
        what = (
            f"{name}, a {'simulated scene' if scene.simulated else 'scene'} of {scene.width} by {scene.height} pixels."
        )
        side = scene.height // labels.shape[0]
        colors = class_map(labels, scene.classes).repeat(side, 0).repeat(side, 1)
        pictures = image(photo(rgb(scene)), what) + image(drawing(colors), f"Map of {name} from {how}.")
        parts.append(f'<div class="lulc-part lulc-third">{pictures}<p>{as_html(name)}</p></div>')
    return "".join(parts)

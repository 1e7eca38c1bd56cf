"""STEGO's shift: which patches attract a marked patch, and which repel it, as the shift moves."""

from __future__ import annotations

import numpy as np
import torch

from lulc_utils.evaluate import patch_labels
from lulc_utils.interactive.figure import (
    Interactive,
    assemble,
    checked_patch,
    framed,
    grid_of,
    image,
    numbers,
    over_gray,
    photo,
)
from lulc_utils.literal import as_html
from lulc_utils.plot import rgb
from lulc_utils.scene import UNLABELLED, Scene
from lulc_utils.stego import centered, correspondence

ATTRACT, REPEL = (253, 231, 37), (68, 1, 84)  # the two ends of viridis


def shift_slider(
    scenes: dict[str, Scene],
    features: list,
    patch: tuple[int, int],
    *,
    caption: str,
    shifts: dict[str, tuple[float, ...]] | None = None,
    start: float = 0.2,
) -> Interactive:
    """Centered correspondences F of one patch, colored by whether they exceed the shift b that a slider sets.

    scenes    {name: scene}; the marked patch lies in the first. Labels, if any, are used only to say how many of the
              attracted patches have the class of the marked one
    features  one [h, w, D] per scene
    patch     (row, column) of the marked patch
    caption   the finding, and something to try
    shifts    {name: one shift per scene}, shown as buttons, for example {"published": stego.PUBLISHED_SHIFTS}
    start     the shift to begin with

    Where F - b > 0 STEGO pulls the codes of the two patches together (they attract), elsewhere it pushes them apart.
    F is the cosine of the two features after spatial centering (`stego.centered`) over all pairs of patches of the two
    images; it is stored as float32, so the shares are exact. ValueError for features that do not fit their scenes.
    """
    if not scenes or len(scenes) != len(features):
        raise ValueError(
            f"Every scene needs its features: there are {len(scenes)} scenes but {len(features)} features."
        )
    grids = [grid_of(s, f, name) for (name, s), f in zip(scenes.items(), features, strict=True)]
    if len({g.shape[-1] for g in grids}) > 1:
        raise ValueError("The features of all scenes must have the same number of numbers per patch.")
    for name, values in (shifts or {}).items():
        if len(values) != len(scenes):
            raise ValueError(f"There are {len(values)} shifts '{name}' but {len(scenes)} scenes.")
    row, col = checked_patch(patch, *grids[0].shape[:2])
    at = row * grids[0].shape[1] + col
    values_of = [centered_correspondence(grids[0], g, at) for g in grids]
    asked = [float(b) for values in (shifts or {}).values() for b in values]  # every button must be on the slider
    low = float(np.floor(10 * min([*asked, *(f.min() for f in values_of)]))) / 10
    high = float(np.ceil(10 * max([*asked, *(f.max() for f in values_of)]))) / 10
    kind, alike = _alike(list(scenes.values()), values_of, at)
    parts = []
    for i, ((name, scene), values) in enumerate(zip(scenes.items(), values_of, strict=True)):
        presets = [[n, round(float(b[i]), 2)] for n, b in (shifts or {}).items()]
        grid = {"name": name, "rows": values.shape[0], "cols": values.shape[1], "presets": presets, "alike": alike[i]}
        size = [scene.width, scene.height]
        parts.append(grid | {"size": size, "picture": photo(rgb(scene)), "values": numbers(values)})
    data = {"parts": parts, "marked": at, "kind": kind, "min": low, "max": high, "start": start}
    static = "".join(
        _static(name, s, v, (row, col) if i == 0 else None, start)
        for i, ((name, s), v) in enumerate(zip(scenes.items(), values_of, strict=True))
    )
    return assemble("shift", data, static, caption)


def _alike(scenes: list[Scene], grids: list[np.ndarray], at: int) -> tuple[str, list[str]]:
    """The class of patch number `at` of the first scene, and "1" or "0" for each patch of that class or not.

    ("", ["", ...]) when a scene has no labels, the legends differ, or the patch has no class.
    """
    none = "", [""] * len(scenes)
    if any(s.labels is None or s.classes != scenes[0].classes for s in scenes):
        return none
    labels = [patch_labels(s.labels, s.height // len(g)).ravel() for s, g in zip(scenes, grids, strict=True)]
    own = labels[0][at]
    if own == UNLABELLED:
        return none
    return scenes[0].classes[own].name, ["".join(np.where(of == own, "1", "0")) for of in labels]


def centered_correspondence(first: np.ndarray, second: np.ndarray, at: int) -> np.ndarray:
    """F of patch number `at` of [h, w, D] with every patch of [h', w', D], after centering: [h', w'] float32."""
    a, b = (torch.from_numpy(x.astype(np.float32)).flatten(0, 1)[None] for x in (first, second))
    return centered(correspondence(a, b))[0, at].view(second.shape[:2]).numpy()


def _static(name: str, scene: Scene, values: np.ndarray, patch: tuple[int, int] | None, shift: float) -> str:
    attracted = values > shift
    colors = np.where(attracted[..., None], ATTRACT, REPEL)
    side = scene.height // len(values)
    picture = over_gray(rgb(scene), colors, side)
    picture = framed(picture, patch, side) if patch else picture
    share = f"{100 * attracted.mean():.0f} %"
    kind = "simulated scene" if scene.simulated else "scene"
    alt = f"{name}: a {kind}; at b = {shift:g} the marked patch attracts {share} of its patches (bright)."
    return f'<div class="lulc-part"><p>{as_html(name)}</p>{image(photo(picture), alt)}<p>attracted: {share}</p></div>'

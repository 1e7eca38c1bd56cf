"""Which patches are similar to this one? Cosine similarity of patch features, over scenes, without a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

from lulc_utils.evaluate import patch_labels
from lulc_utils.interactive.figure import (
    LARGEST,
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
from lulc_utils.plot import rgb
from lulc_utils.scene import Scene

KEPT = (16, 24, 32, 48, 64, 96, 128, 192)  # numbers per patch to try, fewest first
TOLERANCE = 0.02  # largest allowed error of a cosine


def similarity_explorer(
    scene: Scene,
    features: dict | np.ndarray,
    *,
    caption: str,
    patch: tuple[int, int] | None = None,
    others: Sequence[tuple[Scene, Mapping[str, np.ndarray]]] = (),
) -> Interactive:
    """Click a patch, or move with the arrow keys, and see the cosine similarity of every patch to it.

    scene     the image; its labels, if any, are used only to say how many of the most similar patches share a class
    features  [h, w, D] of any array type, or several kinds, {name: [h, w, D]}, to choose from in a menu
    caption   the finding, and something to try
    patch     (row, column) to begin with; the one in the middle when left out
    others    more scenes of this size, each with its features, {name: [h, w, D]}: the most similar patches are then
              sought, and their classes counted, in these only

    To fit the page, each feature is scaled to length one, turned into its first 16 to 192 principal axes about the
    origin (which leaves cosines unchanged) and rounded to 8 bits. It uses the fewest axes for which no cosine is
    off by more than TOLERANCE. On four simulated crops of 28 x 28 patches, features of the embedded backbone need 24
    axes, and packed cosines differ from exact ones by 0.002 on average and 0.012 at most; raw color keeps all its six
    numbers (0.0001, 0.002), a random ViT needs 32 to 96 (0.003, 0.016). The figure states the error of its own scene.

    ValueError for features that do not fit the scene, are not finite, or have length zero, and when 192 axes are not
    enough.
    """
    kinds = features if isinstance(features, dict) else {"features": features}
    if not kinds:
        raise ValueError("There are no features to explore; give at least one array [rows, columns, numbers].")
    scenes = [scene, *(other for other, _ in others)]
    if len({s.pixels.shape for s in scenes}) > 1:
        raise ValueError("All scenes must have the same size.")
    grids = {n: _grids(n, scenes, [kinds[n], *(described[n] for _, described in others)]) for n in kinds}
    shapes = {grid.shape[1:3] for grid in grids.values()}
    if len(shapes) > 1:
        raise ValueError("All kinds of features must describe the same grid of patches.")
    rows, cols = shapes.pop()
    start = checked_patch((rows // 2, cols // 2) if patch is None else patch, rows, cols)
    packed = [pack(grid.reshape(-1, grid.shape[-1]), name) for name, grid in grids.items()]
    data = {
        "rows": rows, "cols": cols, "start": start[0] * cols + start[1],
        "pictures": [photo(rgb(s)) for s in scenes], "size": [scene.width, scene.height], "names": _names(scenes),
        "kinds": [{"name": n, "dim": len(scale), "values": numbers(values), "scale": scale.tolist(), "error": error}
                  for n, (values, scale, error) in zip(grids, packed, strict=True)],
    }  # fmt: skip
    if all(s.labels is not None for s in scenes):
        data["classes"] = scene.class_names
        labels = patch_labels(np.stack([s.labels for s in scenes]), scene.height // rows)
        data["labels"] = numbers(labels.astype(np.uint8))
    name, grid = next(iter(grids.items()))
    largest = LARGEST if len(scenes) == 1 else 2 * LARGEST
    return assemble("similarity", data, _static(scenes, grid, name, start), caption, largest=largest)


def _grids(name: str, scenes: Sequence[Scene], features: Sequence[np.ndarray]) -> np.ndarray:
    """One kind of features of all scenes, [S, rows, columns, D]."""
    grids = [grid_of(scene, grid, name) for scene, grid in zip(scenes, features, strict=True)]
    if len({grid.shape for grid in grids}) > 1:
        raise ValueError(f"The features '{name}' must have the same grid and length in all scenes.")
    return np.stack(grids)


def pack(features: np.ndarray, name: str = "features") -> tuple[np.ndarray, np.ndarray, float]:
    """Features [P, D] as small numbers: (int8 [P, d], scale [d], largest error of a cosine).

    `values * scale` has, up to that error, the same cosines as the features. ValueError: see `similarity_explorer`.
    """
    length = np.linalg.norm(features, axis=1, keepdims=True)
    if (length == 0).any():
        raise ValueError(f"The features '{name}' have a patch of all zeros, which is similar to nothing.")
    unit = features / length
    left, strength, _ = np.linalg.svd(unit, full_matrices=False)
    exact, turned = unit @ unit.T, left * strength
    for dim in KEPT:
        leading = turned[:, :dim]
        scale = np.maximum(abs(leading).max(0) / 127, 1e-12)
        values = np.rint(leading / scale).astype(np.int8)
        error = float(abs(cosines(values, scale) - exact).max())
        if error <= TOLERANCE:
            return values, scale, error
    raise ValueError(
        f"The features '{name}' cannot be packed into {KEPT[-1]} numbers per patch: a cosine would be off by "
        f"{error:.2f}; reduce them first, for example with PCA."
    )


def cosines(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The page's own computation from packed features: int8 [P, d], [d] -> cosine of every pair of patches, [P, P]."""
    vectors = values * scale
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors @ vectors.T


def _static(scenes: Sequence[Scene], grids: np.ndarray, name: str, patch: tuple[int, int]) -> str:
    """The first picture with the first patch framed, and the similarities in all of them."""
    scene, side = scenes[0], scenes[0].height // grids.shape[1]
    unit = grids / np.linalg.norm(grids, axis=-1, keepdims=True)
    similar = unit @ unit[0][patch]  # [S, rows, columns]
    low = similar.min()
    colors = matplotlib.colormaps["viridis"]((similar - low) / max(1 - low, 1e-9))[..., :3] * 255
    heat = [over_gray(rgb(s), c, side) for s, c in zip(scenes, colors, strict=True)]
    kind = "simulated scene" if scene.simulated else "scene"
    where = f"the patch in row {patch[0]}, column {patch[1]}"
    shown = f"to {where}, by {name}: from {low:.2f} (dark) to 1 (bright)."
    parts = [
        (framed(rgb(scene), patch, side), f"A {kind} of {scene.width} by {scene.height} pixels; {where} is framed."),
        (framed(heat[0], patch, side), f"Similarity of all patches {shown}"),
        *((view, f"The same in another {kind}, {i}: similarity {shown}") for i, view in enumerate(heat[1:], 1)),
    ]
    named = zip(_names(scenes), parts, strict=True)
    return "".join(f'<div class="lulc-part"><p>{n}</p>{image(photo(view), alt)}</div>' for n, (view, alt) in named)


def _names(scenes: Sequence[Scene]) -> list[str]:
    """What stands above the pictures: the first scene, similarity in it, and in the others."""
    if len(scenes) == 1:
        return ["the scene", "similarity"]
    return ["scene 1", "similar in scene 1", *(f"in scene {i}" for i in range(2, len(scenes) + 1))]

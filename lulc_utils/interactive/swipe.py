"""A map over its image or over the truth, with a divider that the reader moves."""

from __future__ import annotations

import numpy as np

from lulc_utils.interactive.figure import Interactive, assemble, drawing, image, photo
from lulc_utils.literal import as_html
from lulc_utils.plot import class_map, rgb
from lulc_utils.scene import UNLABELLED, LandCover, Scene

STEPS = 101  # positions of the line, 0 to 100 % of the width


def swipe(scene: Scene, labels: np.ndarray, *, caption: str, name: str = "map") -> Interactive:
    """Left of a line the image (or the truth), right of it a map; a slider moves the line.

    scene    the image and its classes; its labels, where they are known and not the map itself, are offered as truth
    labels   [rows, cols] the map: index into `scene.classes`, or UNLABELLED
    caption  the finding, and something to try
    name     the name of the map

    In words, the figure says which classes the map has along the line and, with a truth, at how many of these pixels
    the two agree. ValueError for labels that do not fit the scene or its classes.
    """
    labels = _checked(scene, labels)
    truth = scene.labels
    pictures = {"image": photo(rgb(scene))}
    if truth is not None and not np.array_equal(truth, labels):
        pictures = {"truth": drawing(class_map(truth, scene.classes)), **pictures}
    else:
        truth = None
    pictures[name] = drawing(class_map(labels, scene.classes))
    data = {"names": list(pictures), "classes": scene.class_names, **along(labels, truth, len(scene.classes))}
    what = "simulated scene" if scene.simulated else "scene"
    alts = {
        "image": f"A {what} of {scene.width} by {scene.height} pixels.",
        "truth": f"The true classes of the {what}.",
    }
    alts[name] = f"{name}: the classes of the {what}, {_shares(labels, scene.classes)}."
    parts = [
        f'<div class="lulc-part">{image(address, alts[n])}<p>{as_html(n)}</p></div>' for n, address in pictures.items()
    ]
    legend = "".join(
        f'<li><span style="background:{as_html(c.color)}"></span>{as_html(c.name)}</li>' for c in scene.classes
    )
    return assemble("swipe", data, "".join(parts) + f'<ul class="lulc-legend">{legend}</ul>', caption)


def along(labels: np.ndarray, truth: np.ndarray | None, n_classes: int) -> dict[str, list]:
    """What a vertical line crosses at each of the STEPS positions.

    labels, truth  [rows, cols]

    Returns "shares", the share of each class [STEPS, K] of the labelled pixels, and with a truth "agree", the share of
    pixels labelled in both that have the same class [STEPS]; None where there is no such pixel.
    """
    width = labels.shape[1]
    shares, agree = [], []
    for step in range(STEPS):
        column = min(step * width // (STEPS - 1), width - 1)
        line, known = labels[:, column], labels[:, column] != UNLABELLED
        counts = np.bincount(line[known], minlength=n_classes)
        shares.append((counts / max(counts.sum(), 1)).round(4).tolist())
        if truth is not None:
            known = known & (truth[:, column] != UNLABELLED)
            agree.append(round(float((line == truth[:, column])[known].mean()), 4) if known.any() else None)
    return {"shares": shares, "agree": agree} if truth is not None else {"shares": shares}


def _checked(scene: Scene, labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (scene.height, scene.width):
        raise ValueError(
            f"The map is {labels.shape} but the scene '{scene.name}' is {scene.height} x {scene.width} pixels; "
            "they must cover the same pixels."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"A map must hold class numbers, which are integers, not {labels.dtype}.")
    known = labels[labels != UNLABELLED]
    if known.size and not 0 <= known.min() <= known.max() < len(scene.classes):
        raise ValueError(f"The map has class numbers outside the {len(scene.classes)} classes of '{scene.name}'.")
    return labels.astype(np.uint8)


def _shares(labels: np.ndarray, classes: tuple[LandCover, ...]) -> str:
    counts = np.bincount(labels[labels != UNLABELLED], minlength=len(classes))
    order = [i for i in np.argsort(-counts, kind="stable") if counts[i]][:3]
    return ", ".join(f"{100 * counts[i] / counts.sum():.0f} % {classes[i].name}" for i in order) or "nothing labelled"

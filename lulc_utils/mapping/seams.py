"""Seams: borders of windows at which a map changes its class far more often than elsewhere."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lulc_utils import raster
from lulc_utils.mapping.models import Model
from lulc_utils.mapping.run import map_raster
from lulc_utils.mapping.worker import spans
from lulc_utils.scene import Scene


def jumps(labels: np.ndarray) -> np.ndarray:
    """Share of pixels whose class changes, at each border of columns and of rows of a square map [n, n]: [n - 1]."""
    across = (labels[:, 1:] != labels[:, :-1]).mean(0)
    down = (labels[1:] != labels[:-1]).mean(1)
    return (across + down) / 2


def seam_score(labels: np.ndarray, window: int, overlap: int, patch: int) -> tuple[float, float]:
    """(share of pixels that change at the borders of windows, share at other borders of patches) of a map [n, n]."""
    inner = spans(len(labels), window, overlap)[1:]
    seams = sorted({s.begin for s in inner} | {s.begin + overlap // 2 for s in inner})
    share = jumps(labels)
    others = np.setdiff1d(np.arange(patch, len(labels), patch), seams)
    return float(share[np.array(seams) - 1].mean()), float(share[others - 1].mean())


def compare(model: Model, scene: Scene, window: int, overlaps: dict[str, int], patch: int) -> dict[str, dict]:
    """{name: {"changes at seams", "changes elsewhere", "accuracy"}} of maps of a labelled scene with other overlaps."""
    answer = {}
    with TemporaryDirectory() as folder:
        source = raster.write_scene(scene, Path(folder) / "scene.tif")
        for name, overlap in overlaps.items():
            out = map_raster(source, model, Path(folder) / "map.tif", window=window, overlap=overlap, progress=False)
            labels = raster.read_classes(out)
            right = float((labels == scene.labels).mean())
            at, elsewhere = seam_score(labels, window, overlap, patch)
            answer[name] = {"changes at seams": at, "changes elsewhere": elsewhere, "accuracy": right}
    return answer

"""Could buildings be read better? The tiles at the ground resolution of the training, features standardized by place.

    python scripts/measure/ch1_buildings.py

A probe (5 000 labelled patches of 8 px) is fitted on Kampala and scored on Nairobi, and the reverse. Tiles of 0.07 and
0.15 m are averaged to 0.3 m, that of the photographs which were the largest part of the training (3 % of it, drone
chips of Nepal, was finer). Standardizing by place takes mean and spread of every number from all patches of a
settlement, without labels. Every description gets the same. Prints mIoU of patches as the rows of a table, for the
model card; a minute.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch.nn import functional as F

from lulc_utils import backbone, data, evaluate
from lulc_utils.ladder.held_out import SIDE
from lulc_utils.scene import Scene

PATCH, SAMPLES, TRAINED_AT = 8, 5000, 0.3  # meters
PLACES = ("Kampala", "Nairobi")
NETS = {"raw color": None, "random ViT": backbone.load("random"), "embedded": backbone.load("embedded")}
Described = list[tuple[np.ndarray, np.ndarray]]  # for every tile features [h, w, D] and labels [h, w] of patches


def brought(scene: Scene, meters: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [1, 3, n, n] and patch labels [n / 8, n / 8] of a tile, averaged to this many meters where it is finer."""
    times = max(1, round(meters / data.aerial.ground_resolution(scene)))
    side = SIDE // (PATCH * times) * PATCH * times
    crop = scene.crop(0, 0, side, side)
    pixels = F.avg_pool2d(torch.from_numpy(crop.pixels[None].astype(np.float32)), times).round().byte().numpy()
    return pixels, evaluate.patch_labels(crop.labels[None], PATCH * times)[0]


def described(scenes: list[Scene], name: str, meters: float) -> Described:
    """One description of all tiles of a place."""
    tiles, net = [], NETS[name]
    for scene in scenes:
        pixels, labels = brought(scene, meters)
        rows = backbone.raw_color(pixels, PATCH) if net is None else backbone.patch_features(net, pixels)
        tiles.append((np.asarray(rows)[0], labels))
    return tiles


def standardized(tiles: Described) -> Described:
    """Every number with mean 0 and spread 1 over all patches of the place."""
    rows = np.concatenate([x.reshape(-1, x.shape[-1]) for x, _ in tiles])
    return [((x - rows.mean(0)) / (rows.std(0) + 1e-6), y) for x, y in tiles]


def probed(fit: Described, ask: Described) -> float:
    """mIoU over all patches of the place that is asked."""
    rows, labels = (np.concatenate([part.reshape(-1, *part.shape[2:]) for part in of]) for of in zip(*fit, strict=True))
    probe = evaluate.linear_probe(rows, labels, samples=SAMPLES)
    return evaluate.miou(
        np.concatenate([y.ravel() for _, y in ask]),
        np.concatenate([evaluate.predict(probe, x).ravel() for x, _ in ask]),
        2,
    )


def main() -> int:
    """Print the table."""
    scenes = {place: data.buildings(place) for place in PLACES}
    print("| | " + " | ".join(NETS) + " |")
    for meters, how in ((0.0, "as it is"), (TRAINED_AT, f"brought to {TRAINED_AT} m")):
        tiles = {name: [described(scenes[place], name, meters) for place in PLACES] for name in NETS}
        for also, change in (("", list), (", standardized by place", standardized)):
            cells = []
            for kampala, nairobi in ([change(of) for of in both] for both in tiles.values()):
                cells.append(f"{probed(kampala, nairobi):.3f} / {probed(nairobi, kampala):.3f}")
            print(f"| {how}{also} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Remake the tables of the model card of the embedded backbone (lulc_utils/weights/embedded.md), as JSON and text.

    python scripts/measure/ch1_backbone_card.py simulated|dubai|views --out card.json

Patch level (8 px), crops of 224 px from the corners. Simulated: scenes 0-39 to fit, 1000-1019 to score, two crops of
each. Dubai: tiles 1, 2, 4, 6 and 8 to fit, 3, 5 and 7 to score, four crops of each image. Linear probe: logistic
regression on 20 000 standardized patches, the same for all. k-means: as many clusters as classes, matched one-to-one on
the training split, first seed. k-NN: 10 000 training patches, every third test patch. Features: raw color, and both
networks', read in windows (`Backbone.view`) or from the whole crop at once; of the last block, or
in windows also of the last four one after another (the DINO paper's linear protocol for its small ViT). Intervals: 95 %
over scenes or tiles (Student's t). "views" scores windows of several sizes on other scenes (2000-2019). Real places:
`ch1_real.py`. A few minutes each.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from tqdm import tqdm

from lulc_utils import backbone, cluster, data, evaluate, ladder, simulate
from lulc_utils.files import complete_or_absent
from lulc_utils.scene import Scene, group_of

PATCH = 8
READINGS = {"": 1, ", whole": 1, ", 4 blocks": 4}  # blocks; all but the second in windows
VIEWS = (80, 96, 112, 120, 128, None)  # sides of windows, pixels; None: the whole crop


def labelled_crops(scenes: list[Scene], count: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(images [N, 3, 224, 224], patch labels [N, 28, 28], groups) of crops from the corners."""
    crops = ladder.corner_crops(scenes, count)
    labels = evaluate.patch_labels(np.stack([crop.labels for crop in crops]), PATCH)
    return np.stack([crop.pixels for crop in crops]), labels, [group_of(crop) for crop in crops]


def splits(name: str) -> tuple[tuple, tuple, int]:
    """(train, test, number of classes) of one kind of landscape."""
    if name != "dubai":
        seeds = range(40), range(1000, 1020) if name == "simulated" else range(2000, 2020)
        train, test = (simulate.aerial_scenes(s, progress=True) for s in seeds)
        return labelled_crops(train, 2), labelled_crops(test, 2), len(train[0].classes)
    scenes = data.dubai()
    train, test = ([s for s in scenes if (s.group in ladder.held_out.DUBAI) == held] for held in (False, True))
    return labelled_crops(train, 4), labelled_crops(test, 4), len(scenes[0].classes)


def descriptions(name: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """{features: [N, 28, 28, D]}."""
    features = {"raw color": backbone.raw_color(images, PATCH).numpy()}
    for kind in ("embedded", "random"):
        net = backbone.load(kind)
        if name == "views":
            readings = {f", {side or ladder.held_out.SIDE} px": (side, 1) for side in VIEWS}
        else:
            readings = {how: (None if "whole" in how else net.view, blocks) for how, blocks in READINGS.items()}
        for how, (view, blocks) in readings.items():
            windowed = replace(net, view=view)
            features[kind + how] = backbone.patch_features(windowed, images, blocks=blocks, progress=True).numpy()
    return features


def read(x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test: tuple, n: int) -> tuple[dict, int]:
    """({reader: one confusion matrix per scene or tile, [T, n, n + 1]}, steps of the logistic regression)."""
    truth, groups = test[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the steps are recorded: 500 means that it was cut off
        probe = evaluate.linear_probe(x, y, samples=20_000)
    answers = {"linear probe": evaluate.predict(probe, test_x)}
    clusters = cluster.kmeans(x, n)
    names = cluster.names(y, evaluate.predict(clusters, x), n, n)
    answers["k-means"] = evaluate.apply_match(evaluate.predict(clusters, test_x), names)
    rows, labels = x.reshape(-1, x.shape[-1]), y.ravel()
    bank = np.random.default_rng(0).choice(len(rows), min(10_000, len(rows)), replace=False)
    third = np.s_[:, :, ::3]
    near = evaluate.knn_predict(rows[bank], labels[bank], test_x[third], n_classes=n)
    tables = {reader: evaluate.confusions_by_group(truth, answer, groups, n) for reader, answer in answers.items()}
    tables["k-NN"] = evaluate.confusions_by_group(truth[third], near, groups, n)
    return tables, int(probe[-1].n_iter_.max())


def summary(tables: dict[str, dict[str, np.ndarray]]) -> dict[str, list[float]]:
    """mIoU with its interval, and paired differences to raw color, to the random ViT and to the whole crop."""
    values = {}
    for name, readers in tables.items():
        net, _, how = name.partition(", ")
        rivals = {"raw color", "random", "random, whole", f"{net}, whole", net, f"random, {how}"} - {name}
        for reader, table in readers.items():
            values[f"{reader} | {name}"] = evaluate.with_interval(table)
            for rival in sorted(rivals & tables.keys() if net == "embedded" else ()):
                values[f"{reader} | {name} - {rival}"] = evaluate.paired_interval(table, tables[rival][reader])
    return {key: [round(float(v), 4) for v in value] for key, value in values.items()}


def main() -> int:
    """Measure one kind of landscape and write the numbers."""
    parser = argparse.ArgumentParser("python scripts/measure/ch1_backbone_card.py", description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=("simulated", "dubai", "views"))
    parser.add_argument("--out", type=Path, required=True, help="JSON with every number")
    asked = parser.parse_args()
    train, test, n = splits(asked.data)
    train_x, test_x = (descriptions(asked.data, part[0]) for part in (train, test))
    tables, steps = {}, {}
    for name in tqdm(train_x, desc="reading"):
        tables[name], steps[name] = read(train_x[name], train[1], test_x[name], test, n)
        results = {"data": asked.data, "miou": summary(tables), "steps of the probe": steps}
        with complete_or_absent(asked.out) as part:  # everything measured so far
            part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf8")
    for key, (value, low, high) in results["miou"].items():
        print(f"{key}: {value:.3f} [{low:.3f}, {high:.3f}]")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Chapter 4 on real images: do pseudo-labels work at all? EuroSAT in color, learned in the west, scored west and east.

    python scripts/measure/ch4_eurosat.py     writes book/measured/pseudo_label_eurosat.json; some minutes

A network that starts from nothing learns little from forty images, so every image is described once by the frozen
embedded backbone (mean and spread of its patch features) and a small network learns on these numbers. A weak view is
the description itself, a strong one has noise and hidden numbers. Of the 4 000 western images, 3 000 are to learn from,
with few labels; 1 000 western and all eastern ones are scored. Every repeat draws another split, other labels, another
start. Threshold and strength are those of the simulated half; nothing was tuned on these data.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lulc_utils import backbone, data, evaluate, results
from lulc_utils import pseudo_labels as pl
from lulc_utils.cli import exit_status

ROOT = Path(__file__).resolve().parents[2]
REPEATS, LABELS, TO_LEARN = range(10), (4, 16, 64), 3000
FEW = "supervised"
STRENGTH = pl.Strength(gain=0, band_gain=0, offset=0, noise=0.2, drop=0.1)
SETTINGS = pl.Settings(metadata="none", dim=64, depth=1, steps=200, strength=STRENGTH)
METHODS = {
    FEW: "supervised",
    "FixMatch": pl.Method(partial(pl.fixmatch, confidence=0.8)),
    "SoftMatch": "softmatch",
}


def described(split: str) -> tuple[np.ndarray, np.ndarray]:
    """(numbers [N, F], classes [N]) of the images of one half."""
    patches = data.eurosat_rgb(split, progress=False)
    images = torch.from_numpy(patches.pixels).float() / 255
    features = backbone.patch_features(backbone.load(), images, progress=True)  # [N, h, w, D]
    std, mean = torch.std_mean(features, (1, 2))
    return torch.cat([mean, std], 1).numpy(), patches.y


def trained(name: str, labels: int, x: np.ndarray, y: np.ndarray, parts: list[np.ndarray]) -> list[pl.Trained]:
    """All repeats of one method; `parts` are the rows to learn from."""
    few = [part[pl.few_per_class(y[part], labels, 10, r)] for r, part in zip(REPEATS, parts, strict=True)]
    labelled, unlabelled = ([pl.Samples(x[rows], y[rows]) for rows in kind] for kind in (few, parts))
    settings = replace(SETTINGS, method=METHODS[name])
    return pl.train_together(labelled, unlabelled, list(REPEATS), settings, pl.Saving(log_every=200), classes=10)


def measure() -> None:
    """Everything, and where it is kept."""
    (x, y), east = described("west"), described("east")
    order = [np.random.default_rng(repeat).permutation(len(y)) for repeat in REPEATS]
    parts, scores = [rows[:TO_LEARN] for rows in order], {}
    for labels in tqdm(LABELS, desc="labels"):
        for name in METHODS:
            networks = trained(name, labels, x, y, parts)
            for own, rows in zip(networks, order, strict=True):
                held = rows[TO_LEARN:]
                for where, (given, truth) in {"west": (x[held], y[held]), "east": east}.items():
                    share = evaluate.class_accuracy(truth, pl.predict(own.student, given), 10)
                    scores.setdefault(str(labels), {}).setdefault(name, {}).setdefault(where, []).append(share)
    results.save(ROOT / "book" / "measured" / "pseudo_label_eurosat.json", "pseudo_label_eurosat", tables(scores))


def tables(scores: dict) -> dict:
    """Means and paired gains over the supervised network, with Student's t over repeats."""

    def intervals(of: dict | list) -> dict | tuple:
        return {
            n: {name: {w: evaluate.mean_interval(v) for w, v in s.items()} for name, s in m.items()}
            for n, m in of.items()
        }

    gains = {
        n: {name: {w: np.subtract(v, of[FEW][w]) for w, v in s.items()} for name, s in of.items() if name != FEW}
        for n, of in scores.items()
    }
    return {"scores": intervals(scores), "gains": intervals(gains), "repeats": len(REPEATS)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(exit_status(measure))

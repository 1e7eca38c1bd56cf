"""Speed of a STEGO training step next to the authors' version (`make bench`). Nothing here is a test.

Ours: features of the frozen backbone are computed once, and the head sees only the patches that a step samples.
The authors' step computes backbone and head for the whole maps of an image and its neighbor, samples both at
random coordinates, and takes its negatives from the batch ("two groups"). "Seven groups" also computes the maps of the
five negatives, which the authors' code does not do; it shows the cost without that trick.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from rows import Row, seconds
from torch.nn import functional as F

from lulc_utils import backbone, cluster, evaluate, simulate, stego

IMAGES, SIZE, BATCH, SIDE, CODE, CLASSES = 32, 224, 16, 11, 24, 7
EPOCHS, SEEDS = (15, 60), 5  # chapter 2 does about as many steps as lie between
LR, PROBE_LR, DROPOUT = 3e-3, 5e-3, 0.1  # the defaults of stego.train


def sampled(maps: torch.Tensor, coordinates: torch.Tensor) -> torch.Tensor:
    """Bilinear values of [B, C, h, w] at coordinates [B, 11, 11, 2] in -1..1, [B, 121, C]."""
    values = F.grid_sample(maps, coordinates, padding_mode="border", align_corners=True)
    return values.flatten(2).transpose(1, 2)


def full_maps(head: stego.Head, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [B, h, w, D] -> features and codes [B, D, h, w], [B, C, h, w], dropout as in the authors' code.

    Linear layers over the last axis give the same as 1 x 1 convolutions and are no slower on the CPU.
    """
    a, b, seen = (F.dropout2d(x.permute(0, 3, 1, 2), DROPOUT).permute(0, 2, 3, 1) for _ in range(3))
    return seen.permute(0, 3, 1, 2), head(x, (a, b)).permute(0, 3, 1, 2)


def reference(
    look_up: Callable, near: torch.Tensor, shifts: stego.Shifts, dim: int, *, groups: int = 2, seed: int = 0
) -> tuple[stego.Stego, Callable]:
    """(what is trained, a function that does one step), the authors' way; `look_up` gives features of images."""
    torch.manual_seed(seed)
    head, centers = stego.initial(dim, CODE, CLASSES, seed)
    centers.requires_grad_()
    optimizer = torch.optim.Adam(
        [{"params": head.parameters(), "lr": LR}, {"params": [centers], "lr": PROBE_LR}], foreach=True
    )

    def step() -> float:
        batch = torch.randperm(len(near))[:BATCH]
        pick = near[batch, torch.randint(near.shape[1], (BATCH,))]
        places, others = (torch.rand(BATCH, SIDE, SIDE, 2) * 2 - 1 for _ in range(2))
        features, codes = full_maps(head, look_up(batch))
        first = [sampled(t, places) for t in (features, codes)]
        second = [sampled(t, others) for t in full_maps(head, look_up(pick))]
        loss = stego.WEIGHTS[0] * stego.correspondence_loss(first[0], first[0], first[1], first[1], shifts[0])
        loss = loss + stego.WEIGHTS[1] * stego.correspondence_loss(first[0], second[0], first[1], second[1], shifts[1])
        for _ in range(stego.NEGATIVES):
            other = torch.randperm(BATCH)
            other = torch.where(other == torch.arange(BATCH), other + 1, other) % BATCH
            maps = (features[other], codes[other]) if groups == 2 else full_maps(head, look_up(batch[other]))
            third = [sampled(t, others) for t in maps]
            term = stego.correspondence_loss(first[0], third[0], first[1], third[1], shifts[2])
            loss = loss + stego.WEIGHTS[2] / stego.NEGATIVES * term
        probe = stego.cluster_loss(codes.detach().permute(0, 2, 3, 1), centers)
        optimizer.zero_grad()
        (loss + probe).backward()
        optimizer.step()
        return float(loss.detach())

    return stego.Stego(head, centers, []), step


def quality(net: stego.Stego, features: torch.Tensor, truth: np.ndarray, shifts: stego.Shifts) -> tuple[float, float]:
    """(loss without dropout on patches drawn once, mIoU under the best one-to-one matching)."""
    g, flat, head = torch.Generator().manual_seed(99), features.flatten(1, 2), net.head.eval().requires_grad_(False)
    near = stego.nearest_images(features)[:, 0]
    x, y, z = (
        stego.draw(flat, who, head, SIDE**2, 0.0, g)
        for who in (torch.arange(len(flat)), near, torch.randperm(len(flat), generator=g))
    )
    loss = sum(
        weight * float(stego.correspondence_loss(x[0], other[0], x[1], other[1], shift))
        for weight, shift, other in zip(stego.WEIGHTS, shifts, (x, y, z), strict=True)
    )
    clusters = cluster.of_patches(stego.with_clusters(net, features, CLASSES), features)
    labels = evaluate.apply_match(clusters, cluster.names(truth, clusters, CLASSES, CLASSES))
    return loss, evaluate.scores(evaluate.confusion(truth, labels, CLASSES))["miou"]


def run() -> list[Row]:
    """Ratios of seconds per step, and what both ways have learned after the same number of steps."""
    scenes = list(simulate.aerial_scenes(range(IMAGES), size=SIZE))
    pixels = np.stack([s.pixels for s in scenes])
    vit = backbone.load()
    truth = evaluate.patch_labels(np.stack([s.labels for s in scenes]), vit.patch)
    features = backbone.patch_features(vit, pixels)  # [32, 28, 28, 192]
    near, shifts = stego.nearest_images(features), stego.choose_shifts(features, CLASSES)

    def ours(epochs: int, seed: int = 0) -> stego.Stego:
        settings = {"batch_size": BATCH, "samples": SIDE**2, "dropout": DROPOUT, "lr": LR, "probe_lr": PROBE_LR}
        settings |= {"code_dim": CODE, "shifts": shifts, "epochs": epochs, "seed": seed}
        return stego.train(features, CLASSES, stego.Settings(**settings))

    def theirs(look_up: Callable, groups: int) -> Callable:
        return reference(look_up, near, shifts, vit.dim, groups=groups)[1]

    def through_vit(i: torch.Tensor) -> torch.Tensor:
        return backbone.patch_features(vit, pixels[i.numpy()], batch_size=BATCH)

    cached = features.__getitem__
    taken = seconds(
        {"1": lambda: ours(1), "6": lambda: ours(6), "two": theirs(cached, 2), "seven": theirs(cached, 7)}, repeats=5
    )
    step = (taken["6"] - taken["1"]) / (5 * (IMAGES // BATCH))  # without the fixed costs of training
    live = seconds({"two": theirs(through_vit, 2), "seven": theirs(through_vit, 7)}, repeats=1)
    what = f"batch {BATCH}, {SIDE**2} samples, {stego.NEGATIVES} negatives, {vit.dim} -> {CODE} numbers"
    rows = step_rows(step, what, taken, live)
    return rows + learned(ours, cached, (near, shifts, vit.dim), features, truth)


def step_rows(step: float, what: str, taken: dict[str, float], live: dict[str, float]) -> list[Row]:
    """Rows of the seconds of our step and of the authors', on cached features and with the backbone."""
    rows = [Row("STEGO step", 1e3 * step, "ms", f"One training step of the head on cached features ({what}).")]
    for name, words, times, wanted in (
        ("head on full maps", "keeps the features but runs the head on all patches", taken, 20),
        ("backbone in every step", "runs the backbone, too", live, 200),
    ):
        for groups, maps in (("two", "an image and its neighbor"), ("seven", "these and five negatives")):
            rows.append(
                Row(
                    f"STEGO, {name}, {groups} groups",
                    times[groups] / step,
                    "ratio",
                    f"A step that {words}, for the maps of {maps}, takes this many times as long as ours.",
                    "the time of our step",
                    ("at least", wanted) if groups == "seven" else None,
                )
            )
    return rows


def learned(ours: Callable, cached: Callable, setting: tuple, features: torch.Tensor, truth: np.ndarray) -> list[Row]:
    """What both ways have learned after equally many steps, few and more: does the faster one learn less?"""
    (near, shifts, dim), rows = setting, []
    for epochs in EPOCHS:
        steps, losses, mious = epochs * (IMAGES // BATCH), [], []
        for seed in range(SEEDS):
            net, one_step = reference(cached, near, shifts, dim, seed=seed)
            for _ in range(steps):
                one_step()
            nets = ours(epochs, seed), net
            loss, miou = zip(*(quality(n, features, truth, shifts) for n in nets), strict=True)
            losses.append(loss)
            mious.append(miou)
        gain, low, high = (100 * v for v in evaluate.mean_interval([a - b for a, b in mious]))
        (a, b), (loss_a, loss_b) = np.mean(mious, 0), np.mean(losses, 0)
        words = f"The mIoU is {a:.3f} and {b:.3f}, means of {SEEDS} seeds; the interval of the gain"
        words += f" is {low:.1f} to {high:.1f} (95 %). The loss is {loss_a:.3f} and {loss_b:.3f}."
        rows.append(Row(f"STEGO after {steps} steps, our mIoU minus the authors'", gain, "points", words))
    return rows


if __name__ == "__main__":
    print(*run(), sep="\n")

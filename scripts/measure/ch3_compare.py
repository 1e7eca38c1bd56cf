"""What both grids of chapter 3 do in every cell: give the same labels to every contestant, and score all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lulc_utils import contrastive as co
from lulc_utils import evaluate
from lulc_utils.contrastive.trial import frozen_answers, neighborhoods, pixel_answers
from lulc_utils.evaluate import mean_interval
from lulc_utils.scene import UNLABELLED

NETWORK = {"widths": (16, 32, 48, 64), "dim": 32}  # a quarter of the chapter's weights: a grid is many trainings
LADDER = (50, 100, 200, 400, 800, 1600)  # steps after which a network is scored
TUNING = {"steps": LADDER[-1], "average": 0.98}  # constant learning rate, averaged weights: one run, the whole curve


class Task:
    """Labelled images [P, C, H, W] and [P, H, W], and others to be scored on; every score is a mIoU."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, held: np.ndarray, truth: np.ndarray, classes: int):
        known = (labels != UNLABELLED).any((1, 2))  # the others teach nobody here
        self.images, self.labels, self.held, self.truth = images[known], labels[known], held, truth
        self.classes = classes

    def score(self, answer: np.ndarray) -> float:
        """mIoU of answers [T, H, W]."""
        return round(float(evaluate.miou(self.truth, answer, self.classes)), 4)

    def without_training(self, starts: Mapping[str, co.unet.UNet], seed: int) -> dict[str, float]:
        """Logistic regression on pixels, on their surroundings, and on the features of networks left as they are."""
        near, far = neighborhoods(self.images), neighborhoods(self.held)
        scores = {
            "pixels": self.score(pixel_answers(self.images, self.labels, self.held, seed)),
            "neighborhoods": self.score(pixel_answers(near, self.labels, far, seed)),
        }
        for name, net in starts.items():
            answer = frozen_answers(net, self.images, self.labels, self.held, seed)
            scores[f"{name}, frozen"] = self.score(answer)
        return scores

    def curve(
        self, start: co.unet.UNet, seed: int, device: str, probe: bool, steps: int | None = None
    ) -> tuple[dict[str, float], list]:
        """({steps: mIoU} of one fine-tuning of LADDER's or more steps, IoU of every class in the end)."""
        end = steps or LADDER[-1]
        scores, last = {}, {}

        def watch(step: int, net: co.unet.UNet) -> None:
            if step in (*LADDER, end):
                last["answer"] = co.predict(net, self.held)
                scores[str(step)] = self.score(last["answer"])

        how = co.Finetuning(seed=seed, probe=probe, **TUNING | {"steps": end})
        co.finetune(start, self.images, self.labels, self.classes, how, device=device, watch=watch)
        table = evaluate.confusion(self.truth, last["answer"], self.classes)
        return scores, np.round(evaluate.scores(table)["iou"], 4).tolist()


def fresh(bands: tuple[str, ...], images: np.ndarray, seed: int) -> co.unet.UNet:
    """Random weights, standardized by these images."""
    return co.fresh(bands, images, seed, **NETWORK).eval()


def trained_both(task: Task, starts: Mapping[str, co.unet.UNet], seed: int, device: str) -> dict:
    """Everything about one choice of labels: scores of every contestant, curves of the fine-tuned ones."""
    cell: dict = {"scores": task.without_training(starts, seed), "classes": {}}
    for name, net in starts.items():
        cell["scores"][name], cell["classes"][name] = task.curve(net, seed, device, probe=name != "random")
    return cell


def stops(cells: list[dict], name: str) -> list[int]:
    """For every cell, after how many steps to stop: where the mean score of all cells of OTHER seeds is highest."""
    scores = np.array([[cell["scores"][name][str(step)] for step in LADDER] for cell in cells])
    seeds = np.array([cell["seed"] for cell in cells])
    return [LADDER[int(scores[seeds != seed].mean(0).argmax())] for seed in seeds]


def ends(cells: list[dict], name: str, steps: int | list[int] | None = None) -> list[float]:
    """The score of a contestant in every cell; of a trained one after so many steps, or where it stops."""
    if not isinstance(cells[0]["scores"][name], dict):
        return [cell["scores"][name] for cell in cells]
    steps = stops(cells, name) if steps is None else steps
    steps = [steps] * len(cells) if isinstance(steps, int) else steps
    return [cell["scores"][name][str(step)] for cell, step in zip(cells, steps, strict=True)]


def gain(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Mean of the paired differences a - b with its interval by Student's t."""
    return mean_interval(np.subtract(a, b))

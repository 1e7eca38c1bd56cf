"""Methods given the same few labels: a fine-tuned network, frozen features, and classifiers of pixels."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from scipy.ndimage import uniform_filter

from lulc_utils.contrastive.finetune import Finetuning, finetune
from lulc_utils.contrastive.unet import UNet, features, predict
from lulc_utils.evaluate import linear_probe
from lulc_utils.evaluate import predict as predict_rows
from lulc_utils.scene import UNLABELLED


def tuned_answers(
    model: UNet,
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    classes: int,
    settings: Finetuning,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Classes [T, H, W] of test images by a copy of the network, fine-tuned on images [P, C, H, W] and their labels."""
    tuned = finetune(model, images, labels, classes, settings, device=device)
    return predict(tuned.model, test_images)


def answers_along(
    model: UNet,
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    classes: int,
    settings: Finetuning,
    stops: Collection[int],
    device: str | torch.device = "cpu",
) -> dict[int, np.ndarray]:
    """As `tuned_answers`, but after each of these numbers of steps: {steps: classes [T, H, W]}, from one run.

    What is seen on the way is what a run of that many steps would give only with `settings.average` above 0.
    """
    along = {}

    def watch(step: int, net: UNet) -> None:
        if step in stops:
            along[step] = predict(net, test_images)

    finetune(model, images, labels, classes, settings, device=device, watch=watch)
    return along


def pixel_answers(images: np.ndarray, labels: np.ndarray, test_images: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same by a logistic regression on the values of single pixels: raw, or those of `neighborhoods`."""
    x, known = np.moveaxis(images, 1, -1), labels != UNLABELLED
    probe = linear_probe(x[known], labels[known], samples=5000, seed=seed)
    return predict_rows(probe, np.moveaxis(test_images, 1, -1))


def frozen_answers(
    model: UNet, images: np.ndarray, labels: np.ndarray, test_images: np.ndarray, seed: int = 0
) -> np.ndarray:
    """The same by a logistic regression on the features of the network, which does not change."""
    known = labels != UNLABELLED
    some = known.any((1, 2))  # patches that can teach
    probe = linear_probe(features(model, images[some])[known[some]], labels[known], samples=5000, seed=seed)
    return predict_rows(probe, features(model, test_images))


def neighborhoods(images: np.ndarray, sides: tuple[int, ...] = (5, 13)) -> np.ndarray:
    """What a pixel and its surroundings show: images [P, C, H, W] -> [P, (1 + 2 n) C, H, W].

    The values themselves, then mean and standard deviation of every band in squares of each of the n `sides`, pixels.
    """
    parts = [images]
    for side in sides:
        mean = uniform_filter(images, (0, 0, side, side), mode="nearest")
        square = uniform_filter(images**2, (0, 0, side, side), mode="nearest")
        parts += [mean, np.sqrt(np.maximum(square - mean**2, 0))]
    return np.concatenate(parts, 1)

"""Two methods given the same few labels: a fine-tuned network, and a classifier of single pixels."""

from __future__ import annotations

import numpy as np
import torch

from lulc_utils.contrastive.finetune import Finetuning, finetune
from lulc_utils.contrastive.unet import UNet, predict
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


def pixel_answers(images: np.ndarray, labels: np.ndarray, test_images: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same by a logistic regression on the raw values of single pixels."""
    x, known = np.moveaxis(images, 1, -1), labels != UNLABELLED
    probe = linear_probe(x[known], labels[known], samples=5000, seed=seed)
    return predict_rows(probe, np.moveaxis(test_images, 1, -1))

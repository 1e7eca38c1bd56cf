"""What the tests of contrastive share: patches of smooth parcels, and trainings short enough for a test."""

import numpy as np
import torch

from lulc_utils import contrastive as co
from lulc_utils.training import Saving

TINY = {"batch_size": 4, "crop": 16, "lr": 2e-3}
EVERY = Saving(log_every=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def field(n: int = 8, size: int = 32, dates: int = 0, bands: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Patches of smooth parcels of three classes: images [n, (dates,) bands, size, size], labels [n, size, size]."""
    rng = np.random.default_rng(seed)
    spectra = np.random.default_rng(99).uniform(0.05, 0.4, (3, max(dates, 1), bands))
    labels = np.kron(rng.integers(0, 3, (n, size // 8, size // 8)), np.ones((8, 8), int))
    images = spectra[labels].transpose(0, 3, 4, 1, 2) * rng.uniform(0.9, 1.1, (n, max(dates, 1), 1, 1, 1))
    images = (images + rng.normal(0, 0.02, images.shape)).astype(np.float32)
    return images if dates else images[:, 0], labels.astype(np.uint8)


def pretrain(images, saving=EVERY, *, bands=None, model=None, **changes) -> co.Result:
    return co.pretrain(images, co.Pretraining(**TINY | changes), saving, bands=bands, model=model)


def finetune(model, images, labels, classes, saving=EVERY, *, bands=None, **changes) -> co.Result:
    return co.finetune(model, images, labels, classes, co.Finetuning(**TINY | changes), saving, bands=bands)


def same(a: co.unet.UNet, b: co.unet.UNet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))

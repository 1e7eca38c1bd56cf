"""What the tests of backbones share: a golden ViT, one with random weights, and a few images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_vit import tiny

from lulc_utils import backbone as bb

GOLDEN = Path(__file__).parents[2] / "golden" / "dino_11.npz"


@pytest.fixture(scope="session")
def golden():
    return np.load(GOLDEN, allow_pickle=False)


@pytest.fixture
def golden_vit(golden):
    model = tiny()
    weights = {k.removeprefix("vit_w."): torch.from_numpy(golden[k]) for k in golden if k.startswith("vit_w.")}
    model.load_state_dict(weights)
    return bb.wrap(model, "golden", mean=None, std=None)


@pytest.fixture(scope="module")
def vit():
    return bb.load("random")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 3, 40, 52), dtype=np.uint8)

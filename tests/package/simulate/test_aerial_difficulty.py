"""Simulated aerial scenes on average: balanced, and neither too easy nor too hard.

Training on scenes 0 to 39, scores on scenes 1000 to 1019, per patch of 8 x 8 pixels. About 70 seconds of one core.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lulc_utils import cluster, evaluate, simulate
from lulc_utils.backbone import raw_color

PATCH = 8
CLASSES = len(simulate.AERIAL_CLASSES)

pytestmark = pytest.mark.slow


def arrays(seeds):
    """(pixels [N, 3, H, W], patch labels [N, h, w]) of scenes."""
    scenes = simulate.aerial_scenes(seeds)
    labels = np.stack([s.labels for s in scenes])
    return np.stack([s.pixels for s in scenes]), evaluate.patch_labels(labels, PATCH)


@pytest.fixture(scope="module")
def train():
    return arrays(range(40))


@pytest.fixture(scope="module")
def test():
    return arrays(range(1000, 1020))


def test_classes_are_balanced_over_scenes_and_differ_between_them(train):
    counts = np.stack([np.bincount(p.ravel(), minlength=CLASSES) for p in train[1]])
    shares = counts / counts.sum(1, keepdims=True)  # [scenes, classes]
    assert shares.mean(0).min() > 0.04 and shares.mean(0).max() < 0.35
    assert (shares.std(0) > 0.03).all()


def test_color_alone_is_not_enough_for_a_linear_probe(train, test):
    probe = evaluate.linear_probe(raw_color(train[0], PATCH).numpy(), train[1])
    assert 0.2 < evaluate.miou(test[1], evaluate.predict(probe, raw_color(test[0], PATCH).numpy()), CLASSES) <= 0.45


def test_color_alone_does_not_cluster_into_classes(train, test):
    features = raw_color(train[0], PATCH).numpy()
    clusters = cluster.kmeans(features, CLASSES)
    counts = evaluate.confusion(train[1], evaluate.predict(clusters, features), CLASSES, CLASSES)
    groups = evaluate.predict(clusters, raw_color(test[0], PATCH).numpy())
    assert evaluate.miou(test[1], evaluate.apply_match(groups, evaluate.match(counts)), CLASSES) <= 0.25


def conv(inputs, outputs, stride=1, dilation=1, size=3):
    padding = dilation * (size // 2)
    layer = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.block = conv(width, width, dilation=dilation)

    def forward(self, x):
        return x + self.block(x)


def small_network():
    """0.33 million parameters: three strides of two down to the patch grid, then dilated convolutions."""
    return nn.Sequential(
        conv(3, 32, stride=2, size=5),  # [B, 32, H/2, W/2]
        conv(32, 48, stride=2),
        Residual(48, 1),
        conv(48, 96, stride=2),  # [B, 96, H/8, W/8]
        *[Residual(96, dilation) for dilation in (1, 2, 4)],
        nn.Conv2d(96, CLASSES, 1),
    ).to(memory_format=torch.channels_last)


def batch(pixels, labels, rng, crops=8, size=128):
    """Random crops on the patch grid, turned, mirrored, with random exposure and color cast."""
    x, y, patches = [], [], size // PATCH
    for n in rng.integers(len(pixels), size=crops):
        row, col = rng.integers(0, labels.shape[1] - patches + 1, 2)
        at = np.s_[..., row * PATCH : row * PATCH + size, col * PATCH : col * PATCH + size]
        turns, mirror = int(rng.integers(4)), int(rng.choice([-1, 1]))
        x.append(np.rot90(pixels[n][at], turns, (-2, -1))[..., ::mirror])
        y.append(np.rot90(labels[n, row : row + patches, col : col + patches], turns)[..., ::mirror])
    x = normalized(np.stack(x))
    gain = np.exp(rng.normal(0, 0.15, (crops, 1, 1, 1)) + rng.normal(0, 0.06, (crops, 3, 1, 1)))
    shift = rng.normal(0, 0.25, (crops, 1, 1, 1)) + rng.normal(0, 0.1, (crops, 3, 1, 1))
    x = x * torch.from_numpy(gain).float() + torch.from_numpy(shift).float()
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.stack(y)).long()


def normalized(pixels):
    return (torch.from_numpy(pixels).float() / 255 - 0.4) / 0.2


@pytest.mark.weekly  # a minute and a half of training
def test_structure_separates_the_classes_for_a_small_network(train, test, one_thread):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = small_network()
    rng, steps = np.random.default_rng(0), 1400
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        x, y = batch(*train, rng)
        loss = F.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        labels = np.concatenate([network(normalized(x[None])).argmax(1).numpy() for x in test[0]])
    assert evaluate.miou(test[1], labels.astype(np.uint8), CLASSES) >= 0.75

"""A handful of labels: drawn by class, read fairly, counted by place; and what other scenes hold that is alike."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lulc_utils import ladder, simulate
from lulc_utils.scene import UNLABELLED


@pytest.fixture(scope="module")
def scenes():
    return [replace(simulate.aerial(i, 64), name=f"scene {i}", group=f"place {i // 2}") for i in range(6)]


def crops_that_show(scenes, noise):
    """Crops whose features are the true class of each patch, and noise."""
    bare = ladder.Crops(scenes, torch.zeros(len(scenes), 8, 8, 1))
    truth = torch.nn.functional.one_hot(torch.from_numpy(bare.patch_labels).long(), 7).float()
    return bare.described_by(truth + noise * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0)))


def test_labels_are_drawn_from_every_class_and_never_where_there_is_none():
    labels = np.array([[0] * 50 + [1] * 5 + [UNLABELLED] * 45])
    rows = ladder.few_labels(labels, 10, seed=1)
    drawn = labels.ravel()[rows]
    assert (drawn == 0).sum() == 10 and (drawn == 1).sum() == 5 and len(set(rows)) == 15
    assert set(rows) != set(ladder.few_labels(labels, 10, seed=2))
    assert np.array_equal(rows, ladder.few_labels(labels, 10, seed=1))


def test_features_that_hold_the_class_need_one_label_and_noise_needs_more(scenes):
    folds = {noise: [tuple(crops_that_show(s, noise) for s in (scenes[:3], scenes[3:]))] for noise in (0.01, 0.3)}
    curves = {noise: ladder.label_curve(of, (1, 30), draws=3) for noise, of in folds.items()}
    assert curves[0.01][1][0] > 0.99
    assert 0.1 < curves[0.3][1][0] < curves[0.3][30][0] - 0.05
    value, low, high = curves[0.3][1]
    assert low < value < high
    needed = ladder.labels_for(curves[0.3], (curves[0.3][1][0] + curves[0.3][30][0]) / 2)
    assert needed == pytest.approx(math.sqrt(30))
    assert ladder.labels_for(curves[0.3], 0.999) == math.inf and ladder.labels_for(curves[0.3], 0) == 1


def test_scaling_a_description_changes_nothing(scenes):
    known, asked = (crops_that_show(part, 0.5) for part in (scenes[:3], scenes[3:]))
    rows = ladder.few_labels(known.patch_labels, 3)
    scaled = [c.described_by(1000 * c.features + 7) for c in (known, asked)]
    assert (ladder.by_few_labels(known, asked, rows) == ladder.by_few_labels(*scaled, rows)).mean() > 0.99


def test_alike_looks_at_other_scenes_only(scenes):
    shown = crops_that_show(scenes, 0.01)
    common = [c.name for k, c in enumerate(scenes[0].classes) if ((shown.patch_labels == k).sum((1, 2)) > 0).sum() > 1]
    exact = ladder.alike(shown, near=1)
    assert len(common) > 3 and all(exact[name] == 1 for name in common)
    own = torch.nn.functional.one_hot(torch.arange(6), 6).float()[:, None, None].expand(6, 8, 8, 6)
    near_itself = ladder.Crops(scenes, own + 0.01 * torch.rand(6, 8, 8, 6, generator=torch.Generator().manual_seed(0)))
    shares = [v for v in ladder.alike(near_itself, near=5).values() if not math.isnan(v)]
    assert np.mean(shares) < 0.7, "the most similar patches are those of the same scene, which do not count"

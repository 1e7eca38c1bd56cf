"""Groups: centers by cosine, names by labels, values of groups as values of classes and of pixels."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lulc_utils import cluster, evaluate
from lulc_utils.scene import UNLABELLED


@pytest.fixture(scope="module")
def planted():
    """Patches [3, 6, 6, 8] along three directions, of many lengths, and which one [3, 6, 6]."""
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (3, 6, 6), generator=g)
    features = torch.eye(8)[labels] + 0.1 * torch.randn(3, 6, 6, 8, generator=g)
    return features * (1 + 9 * torch.rand(3, 6, 6, 1, generator=g)), labels.numpy()


def test_groups_by_cosine_are_named_and_make_a_map(planted):
    features, labels = planted
    groups = cluster.by_cosine(features, 3)
    assert torch.allclose(groups.centers.norm(dim=1), torch.ones(3), atol=1e-6)
    patches = cluster.of_patches(groups, features)
    names = cluster.names(labels, patches, 3, 3)
    assert (evaluate.apply_match(patches, names) == labels).all()
    p = cluster.of_pixels(groups, features, (6, 6))
    assert torch.allclose(p.sum(1), torch.ones(3, 6, 6), atol=1e-5) and (p.argmax(1).numpy() == patches).all()
    assert (cluster.as_classes(p[0], names, 3).argmax(0).numpy() == labels[0]).all()
    rows = features.flatten(0, 2)
    middles = cluster.middles(groups, rows)
    assert (cluster.of_patches(groups, rows[torch.from_numpy(middles)]) == np.arange(3)).all()


def test_a_change_is_applied_to_what_is_grouped_and_to_what_is_asked(planted):
    features, labels = planted
    groups = cluster.by_cosine(features, 2, change=lambda x: x[..., :2])
    assert groups.centers.shape == (2, 2)
    patches, known = cluster.of_patches(groups, features), labels < 2
    assert (evaluate.apply_match(patches, cluster.names(labels, patches, 3, 2))[known] == labels[known]).all()


def test_many_groups_may_share_a_class_and_one_without_labels_has_none():
    truth, patches = np.array([0, 0, 0, 1, UNLABELLED]), np.array([0, 1, 1, 2, 3])
    assert cluster.names(truth, patches, 2, 4, many=True).tolist() == [0, 0, 1, UNLABELLED]
    assert cluster.names(truth, patches, 2, 4).tolist() == [UNLABELLED, 0, 1, UNLABELLED]


def test_a_class_has_the_value_of_its_likeliest_group():
    p = torch.tensor([[0.1, 0.6], [0.3, 0.2], [0.6, 0.2]])
    probabilities = cluster.as_classes(p, np.array([2, 0, 2], np.uint8), 3)
    assert torch.equal(probabilities, torch.tensor([[0.3, 0.2], [0.0, 0.0], [0.6, 0.6]]))
    assert torch.equal(cluster.as_classes(p, [0, UNLABELLED, 1], 2), p[[0, 2]])


def test_values_of_patches_become_values_of_pixels_without_the_overhang():
    values = torch.rand(3, 4, 2)
    large = cluster.to_pixels(values, 8, (20, 30))
    assert large.shape == (2, 20, 30)
    whole = F.interpolate(values.permute(2, 0, 1)[None], (24, 32), mode="bilinear")[0]
    assert torch.equal(large, whole[:, :20, :30])


def test_bad_input_gets_one_sentence(planted):
    features, _ = planted
    groups = cluster.by_cosine(features, 3)
    for call in (
        lambda: cluster.of_patches(groups, features * torch.nan),
        lambda: cluster.by_cosine(features * torch.inf, 3),
    ):
        with pytest.raises(ValueError, match="The features hold NaN or infinite values"):
            call()
    with pytest.raises(ValueError, match="mirrored"):
        cluster.of_pixels(groups, features, (6, 6), flipped=features[:1])
    with pytest.raises(ValueError, match="109 clusters cannot be made of 108 samples"):
        cluster.by_cosine(features, 109)

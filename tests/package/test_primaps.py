"""Principal masks and the clustering on top of them, on features whose clusters are planted."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from lulc_utils import evaluate, primaps


@pytest.fixture(scope="module", autouse=True)
def single(one_thread):
    with threadpool_limits(1):
        yield


def planted(n=12, side=14, classes=5, dim=24, noise=0.25, seed=0):
    """Features [n, side, side, dim] with a strong common offset and their classes [n, side, side], in rectangles."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, dim))
    labels = rng.integers(0, classes, (n, 2, 2)).repeat(side // 2, 1).repeat(side // 2, 2)
    for image in labels:  # one more rectangle, anywhere
        r, c = rng.integers(0, side // 2, 2)
        image[r : r + side // 3, c : c + side // 3] = rng.integers(classes)
    features = centers[labels] + noise * rng.normal(size=(*labels.shape, dim)) + 20
    return torch.from_numpy(features).float(), labels.astype(np.uint8)


def accuracy(labels, clusters, k):
    counts = evaluate.confusion(labels, clusters, int(labels.max()) + 1, k)
    return evaluate.scores(evaluate.confusion(labels, evaluate.apply_match(clusters, evaluate.match(counts)), k))[
        "accuracy"
    ]


# ---------------------------------------------------------------------------------------------- projection


def test_projected_features_are_centered_uncorrelated_and_less_unequal():
    features, _ = planted()
    mean, axes = primaps.fit_projection(features, 10)
    covariance = torch.cov(((features - mean) @ axes).flatten(0, 2).T.double())
    spread = torch.linalg.eigvalsh(torch.cov(features.flatten(0, 2).T.double()))[-10:]
    assert axes.shape == (24, 10)
    assert torch.allclose(mean, features.mean((0, 1, 2)), atol=1e-4)
    assert torch.allclose(covariance, spread.sqrt().diag(), atol=1e-3)  # variance was s^2, is s


def test_the_projection_leaves_out_directions_without_variance():
    features, _ = planted(dim=6)
    assert primaps.fit_projection(torch.cat([features, features], -1)).axes.shape == (12, 6)


# --------------------------------------------------------------------------------------------------- masks


def test_masks_find_the_planted_regions():
    features, labels = planted(classes=4)
    masks = primaps.principal_masks(features).numpy()
    for mask, label in zip(masks, labels, strict=True):
        assert np.array_equal(np.unique(mask[mask >= 0]), np.arange(mask.max() + 1))  # numbered without gaps
        for number in range(mask.max() + 1):  # each in one class
            assert len(np.unique(label[mask == number])) == 1
        large = [number for number in range(mask.max() + 1) if (mask == number).sum() > 5]
        assert len(large) >= len(np.unique(label)) - 1  # what covers less than 5 % may be left over
    assert (masks >= 0).mean() > 0.95


def test_masks_hold_what_is_similar_to_one_of_their_patches_and_nothing_left_is():
    features, _ = planted(noise=1.0)
    projection = primaps.fit_projection(features)
    masks = primaps.principal_masks(features, projection=projection, threshold=0.5).flatten(1)
    x = primaps._unit(features, projection)
    for unit, mask in zip(x, masks, strict=True):
        for number in range(int(mask.max()) + 1):
            members, later = unit[mask == number], unit[(mask > number) | (mask < 0)]
            seeds = members[((members @ members.T) > 0.5 - 1e-5).all(0)]  # who could be the seed
            assert len(seeds)
            assert ((later @ seeds.T) <= 0.5 + 1e-5).all(0).any()  # disjoint: with the true one nobody was left out


@pytest.mark.parametrize("cover, most", [(0.5, 40), (0.95, 2), (1.0, 200)])
def test_masks_stop_when_told(cover, most):
    features, _ = planted(noise=1.0)
    masks = primaps.principal_masks(features, cover=cover, most=most).flatten(1)
    share, count = (masks >= 0).float().mean(1), masks.amax(1) + 1
    assert ((share >= cover - 1e-6) | (count == most)).all()
    before_last = (masks >= 0).logical_and(masks < (count - 1)[:, None]).float().mean(1)
    assert (before_last < cover).all()  # and not later


def test_every_image_is_masked_on_its_own():
    features, _ = planted()
    projection = primaps.fit_projection(features)
    together = primaps.principal_masks(features, projection=projection)
    alone = torch.cat([primaps.principal_masks(f[None], projection=projection) for f in features])
    assert torch.equal(together, alone)


# ---------------------------------------------------------------------------------------------------- fit


def test_planted_clusters_are_recovered_in_new_images():
    features, labels = planted()
    new, new_labels = planted(seed=1)
    model = primaps.fit(features, 5, steps=60)
    assert accuracy(labels, primaps.predict(model, features).numpy(), 5) > 0.99
    clusters = primaps.predict(model, new)
    assert clusters.dtype == torch.uint8 and clusters.shape == new.shape[:3]
    assert accuracy(new_labels, clusters.numpy(), 5) > 0.99
    assert torch.allclose(model.centers.norm(dim=1), torch.ones(5), atol=1e-5)


def test_steps_move_the_prototypes_and_lower_the_loss():
    features, labels = planted(n=24, noise=1.0)
    before, after = (primaps.fit(features, 5, steps=s) for s in (0, 150))
    assert before.loss == [] and len(after.loss) == 150
    assert np.mean(after.loss[-20:]) < 0.8 * np.mean(after.loss[:20])
    angle = (before.centers * after.centers).sum(1)
    assert (angle < 0.999).all() and (angle > 0.7).all()  # they moved, but remain the same clusters
    assert accuracy(labels, primaps.predict(after, features).numpy(), 5) > 0.95


def test_the_same_seed_gives_the_same_prototypes():
    features, _ = planted(noise=1.5)
    before, kept = torch.random.get_rng_state(), features.clone()
    a, b, c = (primaps.fit(features, 5, steps=5, batch_size=4, seed=s) for s in (1, 1, 2))
    assert torch.equal(a.centers, b.centers) and a.loss == b.loss
    assert not torch.equal(a.centers, c.centers)
    assert torch.equal(torch.random.get_rng_state(), before) and torch.equal(features, kept)


def test_a_common_offset_and_scale_do_not_matter():
    features, _ = planted()
    clusters = [primaps.predict(primaps.fit(f, 5, steps=5), f) for f in (features, 3 * features + 7)]
    assert torch.equal(*clusters)


# ------------------------------------------------------------------------------------------------- errors


def test_bad_input_gives_one_plain_sentence():
    features, _ = planted(n=2, side=4)
    for call in (primaps.fit_projection, primaps.principal_masks, lambda f: primaps.fit(f, 2)):
        with pytest.raises(ValueError, match="NaN"):
            call(features / 0 * 0)
        with pytest.raises(ValueError, match=r"\[N, h, w, D\]"):
            call(features[0])
        with pytest.raises(ValueError, match="All features are the same"):
            call(torch.ones(2, 4, 4, 3))
    with pytest.raises(ValueError, match="33 clusters cannot be made of 32 patches"):
        primaps.fit(features, 33)
    with pytest.raises(ValueError, match="0 clusters"):
        primaps.fit(features, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        primaps.principal_masks(features, threshold=1.5)
    with pytest.raises(ValueError, match="have 5 numbers per patch, not 24"):
        primaps.predict(primaps.fit(features, 2, steps=1), features[..., :5])

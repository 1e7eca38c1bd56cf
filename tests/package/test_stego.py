"""STEGO against golden numbers of the authors' code, closed forms, brute force and planted clusters."""

import importlib
import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lulc_utils import cluster, evaluate, stego

GOLDEN = Path(__file__).parents[1] / "golden" / "stego_11.npz"
pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"code_dim": 4, "batch_size": 8, "samples": 16, "neighbors": 3, "negatives": 3}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def train(features, clusters, **settings):
    return stego.train(features, clusters, stego.Settings(**settings))


def planted(images=24, side=8, clusters=4, dim=24, noise=1.0, seed=0):
    """Features [N, h, w, D] around `clusters` directions at right angles, and which one [N, h, w].

    Every image has most of one cluster; the directions share a mean. At this noise k-means finds the clusters, but
    hardly in the codes of an untrained head (accuracy 0.8). One seed has the same directions for any `images`.
    """
    g = seeded(seed)
    directions = torch.linalg.qr(torch.randn(dim, dim, generator=g))[0][: clusters + 1]
    labels = torch.empty(images, side * side, dtype=torch.int64)
    for i in range(images):
        parts = torch.full((clusters,), 0.2)
        parts[i % clusters] += 1
        labels[i] = torch.multinomial(parts, side * side, replacement=True, generator=g)
    noise = noise * torch.randn(images, side * side, dim, generator=g) / math.sqrt(dim)
    features = 3 * (directions[labels] + 0.7 * directions[-1] + noise)
    return features.view(images, side, side, dim), labels.view(images, side, side)


def matched_accuracy(clusters, labels, k):
    """Accuracy under the best one-to-one matching."""
    counts = evaluate.confusion(np.asarray(labels), np.asarray(clusters), k, k)
    return evaluate.scores(evaluate.confusion(labels, evaluate.apply_match(clusters, evaluate.match(counts)), k))[
        "accuracy"
    ]


def same(a: stego.Stego, b: stego.Stego) -> bool:
    """Bitwise equal heads."""
    a, b = a.head.state_dict(), b.head.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def data():
    return planted()


@pytest.fixture(scope="module")
def trained(data, one_thread):
    shifts = stego.choose_shifts(data[0], 4, neighbors=3)
    return train(data[0], 4, shifts=shifts, **SMALL)


# ------------------------------------------------------------------------------------------ golden numbers


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN, allow_pickle=False)


def rows(array):
    """[N, C, h, w] -> [N, h * w, C]."""
    return torch.from_numpy(array).flatten(2).transpose(1, 2)


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_golden_correspondence_loss(golden, center, clamp):
    arguments = [rows(golden[name]) for name in ("f1", "f2", "c1", "c2")]
    expected = golden[f"loss_pointwise{center:d}_clamp{clamp:d}_b0.18"]  # [N, h, w, i, j]
    loss = stego.correspondence_loss(*arguments, 0.18, center, clamp, reduction="none")  # [N, P, Q]
    assert loss.shape == (3, 36, 36)
    np.testing.assert_allclose(loss.view(expected.shape), expected, atol=1e-5)
    scalar = stego.correspondence_loss(*arguments, 0.18, center, clamp)
    assert float(scalar) == pytest.approx(float(expected.mean(dtype=np.float64)), abs=1e-5)


def test_golden_code_correspondence(golden):
    cosines = stego.correspondence(rows(golden["c1"]), rows(golden["c2"]))
    for name in (n for n in golden if n.startswith("cd_")):  # the authors return it uncentered and unclamped
        np.testing.assert_allclose(cosines.view(golden[name].shape), golden[name], atol=1e-5)


def test_golden_cluster_probe(golden):
    codes, centers = rows(golden["cluster_x"]), torch.from_numpy(golden["cluster_centres"])  # [2, 25, 10], [7, 10]
    assert float(stego.cluster_loss(codes, centers)) == pytest.approx(float(golden["cluster_loss"]), abs=1e-5)
    log_probabilities = cluster.logits(codes, centers)
    np.testing.assert_allclose(log_probabilities, rows(golden["cluster_logprobs_alpha2"]), atol=1e-5)
    one_hot = F.one_hot(log_probabilities.argmax(-1), 7)  # without alpha the authors' probabilities are hard
    assert np.array_equal(one_hot, rows(golden["cluster_probs"]))


# ------------------------------------------------------------------------------------------------ the idea


def test_correspondence_is_the_cosine_of_every_pair():
    a, b = torch.randn(2, 3, 5, generator=seeded(1)), torch.randn(2, 4, 5, generator=seeded(2))
    cosines = stego.correspondence(a, b)
    assert cosines.shape == (2, 3, 4)
    for n, p, q in np.ndindex(2, 3, 4):
        assert float(cosines[n, p, q]) == pytest.approx(float(F.cosine_similarity(a[n, p], b[n, q], 0)), abs=1e-6)
    assert torch.allclose(stego.correspondence(7 * a, b / 3), cosines, atol=1e-6)  # lengths do not count
    assert (stego.correspondence(torch.zeros(1, 1, 5), b[:1]) == 0).all()  # nor do they divide by zero


def test_centering_keeps_the_mean_and_levels_the_rows():
    similarity = torch.rand(3, 6, 9, generator=seeded())
    similarity[0] += 2
    similarity[:, 1] += 1  # a patch that is like everything
    centered = stego.centered(similarity)
    assert float(centered.mean()) == pytest.approx(float(similarity.mean()), abs=1e-6)
    assert torch.allclose(centered.mean(-1), similarity.mean().expand(3, 6), atol=1e-6)
    differences = similarity - similarity[..., :1]  # within a row nothing changes
    assert torch.allclose(centered - centered[..., :1], differences, atol=1e-5)


def pair(degrees):
    """Two codes [1, 1, 2] at an angle; the first takes gradients."""
    angle = math.radians(degrees)
    return torch.tensor([[[1.0, 0.0]]], requires_grad=True), torch.tensor([[[math.cos(angle), math.sin(angle)]]])


@pytest.mark.parametrize("degrees", [20, 60, 100, 135])
@pytest.mark.parametrize("shift", [0.3, 1.4])
def test_loss_of_one_pair_in_closed_form(degrees, shift):
    feature = torch.ones(1, 1, 3)  # F = 1
    a, b = pair(degrees)
    for clamp, s in ((False, math.cos(math.radians(degrees))), (True, max(0, math.cos(math.radians(degrees))))):
        loss = stego.correspondence_loss(feature, feature, a, b, shift, center=False, clamp=clamp)
        assert loss.item() == pytest.approx(-s * (1 - shift), abs=1e-6)


@pytest.mark.parametrize("shift, sign", [(0.3, 1), (1.4, -1)])
def test_pairs_above_the_shift_attract_and_below_repel(shift, sign):
    feature = torch.ones(1, 1, 3)
    a, b = pair(60)
    stego.correspondence_loss(feature, feature, a, b, shift, center=False).backward()
    after = stego.correspondence(a - 0.1 * a.grad, b)
    assert sign * (after - stego.correspondence(a, b)).item() > 0.01


@pytest.mark.parametrize("degrees", [91, 120, 179, 180])
@pytest.mark.parametrize("shift", [0.3, 1.4])
def test_clamp_leaves_codes_beyond_right_angles_alone(degrees, shift):
    feature = torch.ones(1, 1, 3)
    a, b = pair(degrees)
    stego.correspondence_loss(feature, feature, a, b, shift, center=False).backward()
    assert (a.grad == 0).all()
    if degrees < 180:  # opposite codes are a stationary point anyway
        a, b = pair(degrees)
        stego.correspondence_loss(feature, feature, a, b, shift, center=False, clamp=False).backward()
        assert a.grad.abs().max() > 1e-3


def test_features_take_no_gradient():
    g = seeded()
    f = torch.randn(2, 5, 6, generator=g, requires_grad=True)
    c = torch.randn(2, 5, 3, generator=g, requires_grad=True)
    stego.correspondence_loss(f, f, c, c, 0.2).backward()
    assert f.grad is None and c.grad.abs().max() > 0


def test_cluster_loss_is_lowest_on_the_centers_and_logits_are_probabilities():
    centers = torch.linalg.qr(torch.randn(5, 5, generator=seeded()))[0]
    assert float(stego.cluster_loss(3 * centers, centers)) == pytest.approx(-1, abs=1e-6)
    assert float(stego.cluster_loss(-centers, centers)) == pytest.approx(0, abs=1e-6)  # another one is nearer
    logits = cluster.logits(centers, centers, alpha=2.0)
    assert torch.allclose(logits.exp().sum(-1), torch.ones(5))
    expected = 2 * torch.eye(5) - math.log(math.exp(2) + 4)
    assert torch.allclose(logits, expected, atol=1e-5)


# ------------------------------------------------------------------------------------------------ the head


def test_head_at_sampled_positions_is_the_full_maps_head_there(data):
    """What the speed rests on: the head treats each patch by itself, so it is needed only where a step looks."""
    features, _ = data
    head, _ = stego.initial(features.shape[-1], 5, 2, 0)
    channels = features.permute(0, 3, 1, 2)  # as the authors' 1 x 1 convolutions see it
    first, _, last = head.nonlinear
    hidden = F.conv2d(channels, first.weight[..., None, None], first.bias).relu()
    full = F.conv2d(hidden, last.weight[..., None, None], last.bias)
    full = full + F.conv2d(channels, head.linear.weight[..., None, None], head.linear.bias)
    full = full.permute(0, 2, 3, 1)  # [N, h, w, C]
    assert torch.allclose(head(features), full, atol=1e-5)
    flat, images = features.flatten(1, 2), torch.tensor([3, 0, 3])
    seen, codes = stego.draw(flat, images, head, 10, 0.0, seeded(4))
    place = stego.positions(3, flat.shape[1], 10, seeded(4))
    assert torch.equal(seen, flat[images[:, None], place])
    assert torch.allclose(codes, full.flatten(1, 2)[images[:, None], place], atol=1e-5)


def test_each_branch_drops_numbers_of_its_own():
    head, _ = stego.initial(6, 3, 2, 0)
    x, zero = torch.randn(1, 4, 6, generator=seeded()), torch.zeros(1, 4, 6)
    assert torch.allclose(head(x, (x, zero)), head.linear(x) + head.nonlinear(zero), atol=1e-6)
    assert torch.allclose(head(x, (zero, x)), head.linear(zero) + head.nonlinear(x), atol=1e-6)
    assert torch.equal(head(x, (x, x)), head(x))


def test_drop_keeps_the_expectation_and_treats_an_image_as_one():
    g, share = seeded(), 0.25
    x = torch.randn(4, 5, 500, generator=g).abs() + 0.1
    dropped = stego.drop(x, share, g)
    kept = dropped != 0
    assert torch.allclose(dropped[kept], x[kept] / (1 - share))
    assert (kept == kept[:, :1]).all()  # the same numbers in all patches
    assert not (kept[0] == kept[1]).all()  # but not in all images
    mean = torch.stack([stego.drop(x, share, g) for _ in range(2000)]).mean(0)
    assert float((mean / x).mean()) == pytest.approx(1, abs=0.01)
    assert float((mean / x - 1).abs().max()) < 6 * math.sqrt(share / (1 - share) / 2000)
    assert torch.equal(stego.drop(x, 0.0, g), x)


# --------------------------------------------------------------------------------------------- who meets whom


def test_nearest_images_equal_brute_force_and_repeat(data):
    features, _ = data
    nearest = stego.nearest_images(features, 5)
    means = features.numpy().reshape(len(features), -1, features.shape[-1]).mean(1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    for i, m in enumerate(means):
        order = [j for j in np.argsort(-(means @ m), kind="stable") if j != i]
        assert nearest[i].tolist() == order[:5]
    assert torch.equal(stego.nearest_images(features, 5), nearest)
    twins = features[:1].expand(4, -1, -1, -1)  # even among copies never itself
    assert all(i not in near for i, near in enumerate(stego.nearest_images(twins, 3).tolist()))
    with pytest.raises(ValueError, match="24 neighbors need more than 24 images"):
        stego.nearest_images(features, 24)


def test_random_others_are_other_images_each_once_and_all_of_them():
    g, met = seeded(), [set() for _ in range(6)]
    for _ in range(200):
        drawn = stego.random_others(6, 4, g)
        assert drawn.shape == (6, 4)
        for i, partners in enumerate(drawn.tolist()):
            assert i not in partners and len(set(partners)) == 4
            met[i] |= {partners[0]}  # in any column, so in the first, too
    assert met == [set(range(6)) - {i} for i in range(6)]
    assert torch.equal(stego.random_others(9, 5, seeded(3)), stego.random_others(9, 5, seeded(3)))
    assert sorted(stego.random_others(3, 2, g)[0].tolist()) == [1, 2]  # the smallest batch
    with pytest.raises(ValueError, match="need a batch of at least 6, not 5"):
        stego.random_others(5, 5, g)


def test_positions_are_distinct_and_evenly_spread():
    g, counts = seeded(), torch.zeros(10)
    for _ in range(500):
        places = stego.positions(4, 10, 3, g)
        assert places.shape == (4, 3) and 0 <= places.min() and places.max() < 10
        assert all(len(set(row)) == 3 for row in places.tolist())
        counts += torch.bincount(places.flatten(), minlength=10)
    assert (counts - 600).abs().max() < 6 * math.sqrt(2000 * 0.3 * 0.7)
    assert sorted(stego.positions(1, 5, 99, g)[0].tolist()) == list(range(5))  # never more than there are


# ------------------------------------------------------------------------------------------------ training


def test_same_seed_same_weights_and_the_global_random_state_stays(data):
    features, _ = data
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = train(features, 3, epochs=2, seed=1, **SMALL)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    again = train(features, 3, epochs=2, seed=1, **SMALL)
    another = train(features, 3, epochs=2, seed=2, **SMALL)
    assert same(first, again) and torch.equal(first.centers, again.centers) and first.history == again.history
    assert not same(first, another)


def test_the_seed_draws_more_than_the_weights(data, monkeypatch):
    """Two seeds from the same first head: batches, positions and dropout differ, too."""
    initial = stego.initial
    module = importlib.import_module("lulc_utils.stego.train")  # stego.train is the function
    monkeypatch.setattr(module, "initial", lambda dim, code, clusters, seed: initial(dim, code, clusters, 0))
    assert not same(*(train(data[0], 3, epochs=1, seed=s, **SMALL) for s in (1, 2)))


def test_training_leaves_features_alone_and_the_head_frozen(data, trained):
    features, _ = data
    copy = features.clone()
    model = train(features, 2, epochs=1, **SMALL)
    assert torch.equal(features, copy)
    assert not model.head.training and not any(p.requires_grad for p in model.head.parameters())
    assert model.centers.shape == (2, 4) and not model.centers.requires_grad


def test_loss_falls_and_the_history_adds_up(trained):
    assert len(trained.history) == 10
    for record in trained.history:
        assert set(record) == {"itself", "neighbor", "random", "probe", "loss"}
        total = record["itself"] + record["neighbor"] + record["random"]
        assert record["loss"] == pytest.approx(total, abs=1e-9)
    assert trained.history[-1]["loss"] < trained.history[0]["loss"] - 0.02


def test_the_probe_learns_on_codes_that_stand_still(data):
    model = train(data[0], 4, lr=0.0, probe_lr=0.02, epochs=12, **SMALL)
    assert model.history[-1]["probe"] < model.history[0]["probe"] - 0.05


def test_the_history_is_the_weighted_loss_of_the_authors():
    """One step with lr 0 on all patches of all images, without dropout: the terms can be written down."""
    features, _ = planted(images=2, side=3)
    shifts, weights = stego.Shifts(0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    model = train(
        features, 2, code_dim=3, shifts=shifts, weights=weights, epochs=1, batch_size=2, samples=9,
        neighbors=1, negatives=1, dropout=0.0, lr=0.0, probe_lr=0.0, seed=3,
    )  # fmt: skip
    head, centers = stego.initial(features.shape[-1], 3, 2, 3)
    x, y = features.flatten(1, 2), features.flatten(1, 2).flip(0)  # each image's only other one is both
    expected = {
        name: weight * stego.correspondence_loss(x, z, head(x), head(z), shift).item()
        for name, weight, shift, z in zip(shifts._fields, weights, shifts, (x, y, y), strict=True)
    }
    expected["probe"] = stego.cluster_loss(head(x), centers).item()
    for name, value in expected.items():
        assert model.history[0][name] == pytest.approx(value, abs=1e-5), name
    assert torch.equal(model.head.linear.weight, head.linear.weight)


def test_negatives_are_averaged_not_added():
    """Uncentered, two negatives of three images are all ordered pairs of different images, each once."""
    features, _ = planted(images=3, side=3)
    model = train(
        features, 2, code_dim=3, weights=(1, 0, 2), center=False, epochs=1, batch_size=3, samples=9, negatives=2,
        dropout=0.0, lr=0.0,
    )  # fmt: skip
    head, x = stego.initial(features.shape[-1], 3, 2, 0)[0], features.flatten(1, 2)
    pairs = [stego.correspondence_loss(x, y, head(x), head(y), 0.46, False) for y in (x.roll(1, 0), x.roll(2, 0))]
    assert model.history[0]["random"] == pytest.approx(2 * torch.stack(pairs).mean().item(), abs=1e-5)


def test_planted_clusters_are_recovered(data, trained):
    features, labels = data
    net = stego.with_clusters(trained, features, 4)
    clusters = cluster.of_patches(net, features)
    assert clusters.shape == labels.shape and clusters.dtype == np.uint8
    assert matched_accuracy(clusters, labels.numpy(), 4) > 0.95
    fresh, truth = planted(images=12 * len(features) // 8)
    assert not torch.equal(fresh[0], features[0])  # other noise, and the last twelve images mix anew
    assert matched_accuracy(cluster.of_patches(net, fresh[-12:]), truth[-12:].numpy(), 4) > 0.95
    head, centers = stego.initial(features.shape[-1], 4, 4, 0)
    untrained = stego.with_clusters(stego.Stego(head, centers, []), features, 4)
    assert matched_accuracy(cluster.of_patches(untrained, features), labels.numpy(), 4) < 0.9  # or it says nothing


def test_training_brings_patches_of_a_cluster_together(data, trained):
    """The codes of a cluster are alike, those of others are not: far more so than the features."""
    features, labels = data

    def contrast(x):
        s = stego.correspondence(x.flatten(0, 2)[None], x.flatten(0, 2)[None])[0]
        equal = labels.flatten()[:, None] == labels.flatten()
        return float(s[equal].mean() - s[~equal].mean())

    assert contrast(trained.encode(features)) > contrast(features) + 0.3


def test_the_probe_does_not_influence_the_head(data):
    features, _ = data
    still, moving = (train(features, 3, epochs=2, probe_lr=rate, **SMALL) for rate in (0.0, 0.5))
    assert same(still, moving) and not torch.equal(still.centers, moving.centers)
    assert same(still, train(features, 6, epochs=2, **SMALL))  # nor does the number of clusters


def test_terms_of_weight_zero_have_no_effect(data):
    features, _ = data
    few = {**SMALL, "batch_size": 4, "neighbors": 7}
    model = train(features[:4], 2, epochs=1, weights=(1, 0, 1), **few)  # too few images for neighbors
    assert model.history[0]["neighbor"] == 0
    a, b = (train(features, 2, epochs=1, weights=(1, 1, 0), shifts=stego.Shifts(random=r), **SMALL) for r in (0, 5))
    assert same(a, b)
    c, d = (train(features, 2, epochs=1, weights=(1, 1, 1), shifts=stego.Shifts(random=r), **SMALL) for r in (0, 5))
    assert not same(c, d)


def test_arrays_and_half_precision_are_taken(data):
    features, _ = data
    model = train(features, 2, epochs=1, **SMALL)
    assert same(model, train(features.numpy(), 2, epochs=1, **SMALL))
    assert same(model, train(features.double(), 2, epochs=1, **SMALL))
    train(features.half(), 2, epochs=1, **SMALL)


# ------------------------------------------------------------------------------------------------ shifts


def test_choose_shifts_repeats_and_needs_no_labels(data):
    features, _ = data
    shifts = stego.choose_shifts(features, 4, neighbors=3, seed=1)
    assert shifts == stego.choose_shifts(features, 4, neighbors=3, seed=1)
    assert isinstance(shifts, stego.Shifts) and np.isfinite(shifts).all()
    assert not {"labels", "truth"} & set(inspect.signature(stego.choose_shifts).parameters)
    closer = stego.choose_shifts(features, 2, neighbors=3, seed=1)  # fewer, larger clusters: more pairs attract
    assert all(a < b for a, b in zip(closer, shifts, strict=True))
    twice = stego.choose_shifts(features, 4, times=2 * stego.TIMES, neighbors=3, seed=1)
    assert all(a < b for a, b in zip(twice, shifts, strict=True))
    everything = stego.choose_shifts(features, 4, times=100, neighbors=3, seed=1)  # cannot be more than all pairs
    pairs = stego.sampled_correspondences(features, neighbors=3, seed=1)
    assert all(b == pytest.approx(v.min(), abs=1e-6) for b, v in zip(everything, pairs.values(), strict=True))


def test_shares_of_pairs_are_those_of_the_planted_clusters(data):
    features, labels = data
    parts = F.one_hot(labels.flatten(1), 4).double().mean(1)  # [N, K]
    near = stego.nearest_images(features, 3)
    expected = (
        float((parts**2).sum(1).mean()),
        np.mean([float(parts[i] @ parts[j]) for i in range(len(parts)) for j in near[i]]),
        float((parts.mean(0) ** 2).sum()),
    )
    share = stego.same_cluster_shares(features, 4, neighbors=3)
    assert share == pytest.approx(expected, abs=0.02)
    assert share.itself > share.random + 0.1  # or the test says nothing


def test_as_many_pairs_attract_as_share_a_cluster():
    features, _ = planted(images=64, side=6)
    shifts = np.mean([stego.choose_shifts(features, 4, times=1, neighbors=3, seed=s) for s in range(6)], 0)
    share = stego.same_cluster_shares(features, 4, neighbors=3)
    draws = [stego.sampled_correspondences(features, neighbors=3, seed=s) for s in range(10, 20)]  # other pairs
    for name, shift, expected in zip(share._fields, shifts, share, strict=True):
        attracting = np.mean([(drawn[name] > shift).mean() for drawn in draws])
        assert attracting == pytest.approx(expected, abs=0.03), name


def test_sampled_correspondences_are_centered_cosines_of_few_images(data):
    features, _ = data
    pairs = stego.sampled_correspondences(features, images=5, samples=7, neighbors=3)
    assert list(pairs) == list(stego.Shifts._fields)
    sizes = {name: values.shape for name, values in pairs.items()}
    size = 5 * 7 * 7
    assert sizes == {"itself": (size,), "neighbor": (size,), "random": (4 * size,)}  # every other image is a partner
    rows = pairs["neighbor"].reshape(5, 7, 7).mean(-1)
    assert np.allclose(rows, rows.mean(), atol=1e-6)
    assert pairs["itself"].max() > 0.4  # the patch itself is among its pairs


# ------------------------------------------------------------------------------------------------ use


@pytest.fixture(scope="module")
def tiny():
    """An untrained head for 6 numbers, and two maps [2, 4, 5, 6]: of an image and of its mirror image."""
    head, centers = stego.initial(6, 3, 4, 0)
    features, mirrored = torch.randn(2, 2, 4, 5, 6, generator=seeded(8))
    return stego.Stego(head.eval().requires_grad_(False), centers, []), features, mirrored


def test_probabilities_of_pixels_sum_to_one(tiny):
    net, features, _ = tiny
    probabilities = cluster.of_pixels(net, features, (31, 17))
    assert probabilities.shape == (2, 4, 31, 17) and probabilities.min() >= 0
    assert torch.allclose(probabilities.sum(1), torch.ones(2, 31, 17), atol=1e-5)


def test_pixels_of_the_patch_grid_are_the_patches(tiny):
    net, features, _ = tiny
    probabilities = cluster.of_pixels(net, features, (4, 5))
    expected = cluster.logits(net.encode(features), net.centers).exp().permute(0, 3, 1, 2)
    assert torch.allclose(probabilities, expected, atol=1e-6)
    assert np.array_equal(probabilities.argmax(1), cluster.of_patches(net, features))


def test_constant_features_give_constant_maps(tiny):
    net, features, _ = tiny
    probabilities = cluster.of_pixels(net, features[:, :1, :1].expand(2, 4, 5, 6), (16, 20))
    assert torch.allclose(probabilities, probabilities[..., :1, :1].expand_as(probabilities), atol=1e-6)


def test_averaging_with_the_mirror_image_is_symmetric(tiny):
    net, features, mirrored = tiny
    plain = cluster.of_pixels(net, features, (16, 20), flipped=mirrored)
    mirror = cluster.of_pixels(net, mirrored, (16, 20), flipped=features)
    assert torch.allclose(mirror.flip(-1), plain, atol=1e-5)
    alone = cluster.of_pixels(net, features, (16, 20))
    assert not torch.allclose(plain, alone, atol=1e-2)
    assert torch.allclose(cluster.of_pixels(net, features, (16, 20), flipped=features.flip(2)), alone, atol=1e-5)


def test_with_clusters_repeats_and_keeps_the_head(data, trained):
    features, _ = data
    first, again = (stego.with_clusters(trained, features, 6, seed=2) for _ in range(2))
    assert torch.equal(first.centers, again.centers) and first.head is trained.head
    assert first.centers.shape == (6, 4)
    assert torch.allclose(first.centers.norm(dim=1), torch.ones(6), atol=1e-5)


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused(data, trained, value):
    features = data[0].clone()
    features[3, 1, 2, 0] = value
    for use in (
        lambda: train(features, 3, **SMALL),
        lambda: stego.choose_shifts(features, 3, neighbors=3),
        lambda: stego.sampled_correspondences(features, neighbors=3),
        lambda: stego.with_clusters(trained, features, 3),
    ):
        with pytest.raises(ValueError, match="The features hold NaN or infinite values"):
            use()


@pytest.mark.parametrize("shape", [(24, 8, 24), (0, 8, 8, 24), (24,)])
def test_features_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must be \[images, rows, columns, numbers\], not \("):
        train(torch.zeros(shape), 3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 25}, "A batch of 25 needs as many images, but there are 24; lower batch_size"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"neighbors": 24}, "24 neighbors need more than 24 images; give more or ask for fewer"),
        ({"negatives": 8}, "8 different other images need a batch of at least 9, not 8"),
        ({"clusters": 1}, "at least 2 clusters"),
        ({"code_dim": 0}, "code_dim must be a whole number of at least 1"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1"),
        ({"samples": 1}, "samples must be a whole number of at least 2"),
    ],
)
def test_impossible_options_get_one_sentence(data, options, message):
    with pytest.raises(ValueError, match=message) as error:
        train(data[0], **{"clusters": 3, **SMALL, **options})
    assert "\n" not in str(error.value)


def test_codes_refuse_what_the_head_was_not_trained_on(data):
    features, _ = data
    trained = train(features, 4, epochs=1, batch_size=8, neighbors=3, code_dim=4)
    with pytest.raises(ValueError, match="needs features of"):
        trained.encode(features[..., :-1])
    with pytest.raises(ValueError, match="NaN"):
        cluster.of_patches(trained, torch.full_like(features, float("nan")))
    with pytest.raises(ValueError, match="mirrored"):
        cluster.of_pixels(trained, features, (16, 16), flipped=features[:1])
    with pytest.raises(ValueError, match="dropout"):
        train(features, 4, dropout=1.0)

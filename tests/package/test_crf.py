"""The dense CRF against brute force over all pairs of pixels, against pydensecrf's numbers, and its symmetries."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lulc_utils import crf, simulate
from lulc_utils.crf import lattice, mean_field

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def photo():
    """[3, 96, 96] uint8, [96, 96] labels of a simulated aerial photograph."""
    scene = simulate.aerial(7, 96)
    return torch.from_numpy(scene.pixels), torch.from_numpy(scene.labels).long()


def blurred(labels, classes, width=9, base=0.02):
    """Probabilities [K, H, W] of somebody who knows the labels but sees them blurred."""
    p = F.one_hot(labels, classes).permute(2, 0, 1).float()
    p = F.avg_pool2d(p[None], width, 1, width // 2, count_include_pad=False)[0] + base
    return p / p.sum(0)


def random_probabilities(classes, height, width, seed=0):
    return (2 * torch.randn(classes, height, width, generator=torch.Generator().manual_seed(seed))).softmax(0)


def images(photo):
    """Four images of 16 x 16: two crops of a photograph, hard edges of two flat colors, pure noise."""
    pixels, labels = photo
    noise = torch.randint(0, 256, (3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    edges = torch.full((3, 16, 16), 40, dtype=torch.uint8)
    edges[:, :, 6:] = 200
    edges[1, 9:, 10:] = 90
    edges = edges + noise % 4
    return {
        "photograph": (pixels[:, 20:36, 30:46], blurred(labels, 7)[:, 20:36, 30:46]),
        "another": (pixels[:, 64:80, 50:66], blurred(labels, 7)[:, 64:80, 50:66]),
        "edges": (edges, random_probabilities(3, 16, 16)),
        "noise": (noise, random_probabilities(5, 16, 16)),
    }


def all_pairs(*features):
    """exp(-|x_i - x_j|^2 / 2) for features [N, d], normalized on both sides, float64."""
    x = torch.cat([f.double() for f in features], 1)
    kernel = torch.exp(-0.5 * torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") ** 2)
    scale = kernel.sum(1).rsqrt()
    return scale[:, None] * kernel * scale


def brute_force(image, probabilities, iterations=10, smooth=(1.0, 3.0), appearance=(67.0, 3.0, 4.0), valid=None):
    """Mean field over all pairs, from the formulas alone."""
    valid = torch.ones(image.shape[1:], dtype=torch.bool) if valid is None else valid
    place, color = valid.nonzero(), image[:, valid].T
    kernel = smooth[1] * all_pairs(place / smooth[0])
    kernel += appearance[2] * all_pairs(place / appearance[0], color / appearance[1])
    log_p = probabilities[:, valid].double().T.clamp_min(1e-5).log()
    q = log_p.softmax(1)
    for _ in range(iterations):
        q = (log_p + kernel @ q).softmax(1)
    result = probabilities.double().clone()
    result[:, valid] = q.T
    return result


# --------------------------------------------------------------------------------------------- exactness


@pytest.mark.parametrize("sigma", [0.7, 1.0, 3.0])
def test_the_smoothness_filter_is_exact(sigma):
    valid = torch.rand(13, 9, generator=torch.Generator().manual_seed(0)) > 0.3
    q = torch.rand(int(valid.sum()), 4, generator=torch.Generator().manual_seed(1))
    place = valid.nonzero().double() / sigma
    expected = torch.exp(-0.5 * torch.cdist(place, place) ** 2) @ q.double()
    assert torch.allclose(mean_field._gaussian(q, valid, sigma).double(), expected, atol=5e-5)


@pytest.mark.parametrize(
    "name, mean, most",
    [("photograph", 0.004, 0.06), ("another", 0.004, 0.06), ("edges", 0.01, 0.05), ("noise", 0.001, 0.06)],
)
def test_the_appearance_filter_is_close_to_all_pairs(photo, name, mean, most):
    image, p = images(photo)[name]
    valid = torch.ones(16, 16, dtype=torch.bool)
    ((weight, listen),) = mean_field._kernels(image.float(), valid, (1.0, 0.0), (67.0, 3.0, 4.0))
    q = p.flatten(1).T.contiguous()
    expected = all_pairs(valid.nonzero() / 67, image.flatten(1).T / 3) @ q.double()
    error = (listen(q) - expected).abs()
    assert weight == 4
    assert error.mean() < mean and error.max() < most


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_lattice_is_a_gaussian_of_variance_one(d):
    """Where every lattice point is there, in any number of dimensions: mean 0 and variance 1 along every axis."""
    rng = torch.Generator().manual_seed(d)
    center = torch.rand(d, 1, generator=rng, dtype=torch.float64)
    ways = torch.cat([torch.eye(d), -torch.eye(d)], 1).double()
    cloud = torch.cat([center] + [center + step * ways for step in (0.5, 1.0, 2.0)], 1)
    cloud = torch.cat([cloud, center + 1.3 * torch.randn(d, 300 * d, generator=rng, dtype=torch.float64)], 1)
    around = lattice.lattice_of(cloud)
    impulse = torch.zeros(cloud.shape[1], 1, dtype=torch.float64)
    impulse[0] = 1
    answer = lattice.lattice_filter(impulse, around)[:, 0]
    expected = torch.exp(-0.5 * ((cloud - center) ** 2).sum(0))
    scale = (answer @ expected) / (expected @ expected)  # the lattice knows the kernel up to a constant
    assert (answer / scale - expected).abs().max() < 0.15
    assert (answer / scale - expected).abs().mean() < 0.03


def test_corner_weights_add_up_and_reproduce_the_point():
    x = 5 * torch.randn(4, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    corners, weights, steps = lattice.simplices(x)
    assert corners.shape == weights.shape == (500, 5)
    assert weights.min() > -1e-9 and torch.allclose(weights.sum(1), torch.ones(500, dtype=torch.float64))
    assert all(len(set(row)) == 5 for row in corners.tolist())
    codes = (corners * weights).sum(1)  # codes are linear in the coordinates, so their mean is linear in x
    design = torch.cat([x.T, torch.ones(500, 1, dtype=torch.float64)], 1)
    fit = design @ torch.linalg.lstsq(design, codes[:, None]).solution
    assert (fit[:, 0] - codes).abs().max() < 1e-6 * codes.abs().max()
    assert set((corners[:, 1] - corners[:, 0]).tolist()) <= set(steps.tolist())  # corner 1 is a neighbor of corner 0


@pytest.mark.parametrize(
    "name, agree, mean",
    [("photograph", 0.99, 2e-4), ("another", 0.99, 2e-4), ("edges", 0.99, 0.01), ("noise", 0.99, 2e-4)],
)
def test_marginals_are_close_to_all_pairs(photo, name, agree, mean):
    image, p = images(photo)[name]
    sharpened, expected = crf.dense_crf(image, p), brute_force(image, p)
    assert (sharpened - expected).abs().mean() < mean
    assert (sharpened.argmax(0) == expected.argmax(0)).float().mean() >= agree
    assert torch.allclose(sharpened.sum(0), torch.ones(16, 16), atol=1e-5)


def test_marginals_with_other_kernels(photo):
    image, p = images(photo)["another"]
    for setting in ({"smooth": (2.5, 1.0), "appearance": (8.0, 20.0, 3.0), "iterations": 3}, {"iterations": 1}):
        expected = brute_force(image, p, **setting)
        assert (crf.dense_crf(image, p, **setting) - expected).abs().mean() < 5e-3


def test_golden_numbers_of_pydensecrf():
    """pydensecrf 1.0rc3 with the same kernels, of which it approximates the smoothness kernel, too."""
    row, col = torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    side = (col + row // 3 > 6).long()
    image = torch.stack([60 + 90 * side + row % 3, 80 + 50 * side + col % 2, 70 + (row * col) % 4]).to(torch.uint8)
    wrong = (5 * row + 7 * col) % 11 < 3
    p = torch.where(wrong ^ side.bool(), 0.7, 0.2)
    p = torch.stack([0.9 - p, p, torch.full_like(p, 0.1)])
    once = [  # second class after one iteration, rows 0, 5 and 9
        [0.6039, 0.0698, 0.0443, 0.0459, 0.0611, 0.5207, 0.0923, 0.9053, 0.4688, 0.9255, 0.9294, 0.4986],
        [0.0332, 0.0409, 0.0592, 0.4611, 0.0636, 0.0777, 0.4477, 0.9379, 0.9429, 0.5586, 0.9302, 0.9369],
        [0.4927, 0.0523, 0.0463, 0.5233, 0.9208, 0.9538, 0.9486, 0.9267, 0.5345, 0.9464, 0.9396, 0.4762],
    ]
    error = (crf.dense_crf(image, p, iterations=1)[1, [0, 5, 9]] - torch.tensor(once)).abs()
    assert error.mean() < 0.01 and error.max() < 0.06
    assert torch.equal(crf.dense_crf(image, p).argmax(0), side)  # in pydensecrf, too


# -------------------------------------------------------------------------------------------- properties


def test_without_compatibility_the_unary_comes_back(photo):
    image, p = images(photo)["noise"]
    for setting in ({"smooth": (1, 0), "appearance": (67, 3, 0)}, {"iterations": 0}):
        assert torch.allclose(crf.dense_crf(image, p, **setting), p, atol=1e-4)  # 1e-5 is the clipped probability


def test_a_lone_wrong_pixel_is_smoothed_away():
    image = torch.full((3, 15, 15), 120, dtype=torch.uint8)
    p = torch.tensor([0.8, 0.2])[:, None, None].repeat(1, 15, 15)
    p[:, 7, 7] = torch.tensor([0.3, 0.7])
    sharpened = crf.dense_crf(image, p)
    assert (sharpened.argmax(0) == 0).all()
    assert sharpened[0, 7, 7] > 0.9


def test_even_certainty_gives_way_to_enough_neighbors():
    image = torch.full((3, 9, 9), 120, dtype=torch.uint8)
    p = torch.tensor([1.0, 0.0])[:, None, None].repeat(1, 9, 9)
    p[:, 4, 4] = torch.tensor([0.0, 1.0])
    assert crf.dense_crf(image, p)[1, 4, 4] > 0.9  # 7 of compatibility against a logarithm of 11.5
    assert crf.dense_crf(image, p, smooth=(1.0, 10.0), appearance=(67.0, 3.0, 10.0))[1, 4, 4] < 0.01


def test_labels_follow_the_edge_of_the_image_not_of_the_probabilities():
    image = torch.full((3, 32, 32), 60, dtype=torch.uint8)
    image[:, :, 16:] = 160
    truth = (torch.arange(32) >= 16).long().repeat(32, 1)
    p = blurred((torch.arange(32) >= 13).long().repeat(32, 1), 2, 15)  # 3 pixels off
    assert (p.argmax(0) != truth).float().mean() > 0.08
    assert (crf.dense_crf(image, p).argmax(0) == truth).all()
    assert (crf.dense_crf(torch.full_like(image, 60), p).argmax(0) != truth).any()  # no edge, nothing to follow


@pytest.mark.parametrize("axis", [1, 2])
def test_flipping_the_image_flips_the_answer(photo, axis):
    image, p = photo[0][:, :48, :48], blurred(photo[1], 7)[:, :48, :48]
    sharpened, flipped = crf.dense_crf(image, p), crf.dense_crf(image.flip(axis), p.flip(axis)).flip(axis)
    assert (sharpened - flipped).abs().mean() < 5e-3  # the lattice lies elsewhere, so not exactly
    assert (sharpened.argmax(0) == flipped.argmax(0)).float().mean() > 0.98


def test_the_order_of_the_classes_does_not_matter(photo):
    image, p = images(photo)["photograph"]
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    assert torch.allclose(crf.dense_crf(image, p[order]), crf.dense_crf(image, p)[order], atol=1e-4)


def test_the_same_input_gives_the_same_output_and_stays_as_it_was(photo):
    image, p = images(photo)["photograph"]
    before = image.clone(), p.clone()
    assert torch.equal(crf.dense_crf(image, p), crf.dense_crf(image, p))
    assert torch.equal(image, before[0]) and torch.equal(p, before[1])


@pytest.mark.parametrize("dtype, atol", [(torch.float64, 1e-3), (torch.float16, 2e-2), (torch.bfloat16, 5e-2)])
def test_dtype_is_kept(photo, dtype, atol):
    image, p = images(photo)["edges"]
    sharpened = crf.dense_crf(image, p.to(dtype))
    assert sharpened.dtype == dtype and sharpened.device == p.device
    assert torch.allclose(
        sharpened.float(), crf.dense_crf(image, p.to(dtype).float().div(p.to(dtype).float().sum(0))), atol=atol
    )


def test_float_images_and_slices_are_as_good_as_bytes(photo):
    image, p = photo[0][:, ::2, 10:40], blurred(photo[1], 7)[:, ::2, 10:40]
    assert torch.equal(crf.dense_crf(image, p), crf.dense_crf(image.float().contiguous(), p.contiguous()))


def test_one_class_and_one_pixel():
    image = torch.zeros(3, 4, 5, dtype=torch.uint8)
    assert torch.equal(crf.dense_crf(image, torch.ones(1, 4, 5)), torch.ones(1, 4, 5))
    p = torch.tensor([0.3, 0.7])[:, None, None]
    alone = torch.tensor([0.3, 0.7]).log() + 0
    q = p.flatten()
    for _ in range(10):  # a pixel without neighbors hears itself with the whole weight of both kernels
        q = (alone + 7 * q).softmax(0)
    assert torch.allclose(crf.dense_crf(image[:, :1, :1], p).flatten(), q, atol=1e-5)


# ------------------------------------------------------------------------------------- unmeasured pixels


def test_invalid_pixels_neither_send_nor_receive(photo):
    image, p = images(photo)["photograph"]
    image, p = image.float(), p.clone()
    valid = torch.rand(16, 16, generator=torch.Generator().manual_seed(3)) > 0.3
    clean = crf.dense_crf(image, p, valid=valid)
    assert torch.equal(clean[:, ~valid], p[:, ~valid])
    assert (clean - brute_force(image, p, valid=valid)).abs().mean() < 4e-3
    image[:, ~valid] = torch.nan
    p[:, ~valid] = torch.nan
    dirty = crf.dense_crf(image, p, valid=valid)
    assert torch.equal(dirty[:, valid], clean[:, valid])
    assert dirty[:, ~valid].isnan().all()


def test_nothing_valid_changes_nothing(photo):
    image, p = images(photo)["edges"]
    assert torch.equal(crf.dense_crf(image, p, valid=torch.zeros(16, 16, dtype=torch.bool)), p)


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": torch.zeros(8, 8, 3)}, "must cover the same pixels"),
        ({"image": torch.zeros(8, 8)}, "must cover the same pixels"),
        ({"probabilities": torch.full((2, 8, 9), 0.5)}, "must cover the same pixels"),
        ({"probabilities": torch.ones(1, 8, 8, dtype=torch.long)}, "must be floats"),
        ({"probabilities": torch.zeros(2, 8, 8)}, "must sum to 1"),
        ({"probabilities": torch.full((2, 8, 8), 0.5).log()}, "must sum to 1"),
        ({"probabilities": torch.tensor([1.5, -0.5])[:, None, None].expand(2, 8, 8)}, "must not be negative"),
        ({"probabilities": torch.full((2, 8, 8), torch.nan)}, "NaN"),
        ({"image": torch.full((3, 8, 8), torch.inf)}, "NaN or infinite"),
        ({"image": torch.full((3, 8, 8), 0.5).index_fill(2, torch.tensor([4]), 1.5)}, "multiply it by 255"),
        ({"image": torch.full((3, 8, 8), 0.5).index_fill(0, torch.tensor([1]), 200.0)}, "multiply it by 255"),
        ({"image": torch.full((3, 8, 8), 0.5)}, "multiply it by 255"),
        ({"image": torch.full((3, 8, 8), 0.5).index_put((torch.tensor(0),) * 3, torch.tensor(1.7))}, "by 255"),
        ({"valid": torch.ones(8, 8)}, "valid must be bool"),
        ({"valid": torch.ones(8, 9, dtype=torch.bool)}, "valid must be bool"),
        ({"iterations": -1}, "not negative"),
        ({"smooth": (1.0, -3.0)}, "not negative"),
        ({"smooth": (0.0, 3.0)}, "must be positive"),
        ({"appearance": (67.0, 0.0, 4.0)}, "must be positive"),
        ({"appearance": (67.0, 1e-4, 4.0)}, "spans too many standard deviations"),
    ],
)
def test_bad_input_gives_one_plain_sentence(change, message):
    good = {
        "image": torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 8, 8), dtype=np.uint8)),
        "probabilities": torch.full((2, 8, 8), 0.5),
    }
    with pytest.raises(ValueError, match=message):
        crf.dense_crf(**{**good, **change})

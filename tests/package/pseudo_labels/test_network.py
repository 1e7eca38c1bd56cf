"""The network: shapes, three ways for metadata to come in, and what it refuses."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lulc_utils import pseudo_labels as pl
from lulc_utils.pseudo_labels import metadata

from .helpers import ENCODING, SHAPES, SMALL, close, random_samples, seeded, train


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("injection", pl.INJECTIONS)
def test_teacher_and_student_have_one_shape(shape, injection):
    x = torch.randn(4, *shape, generator=seeded())
    meta = metadata.encode([1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], ENCODING)
    student = pl.MetadataTransformer(shape, 3, (), injection, **SMALL)
    assert [tuple(v.shape) for v in student(x)] == [(4, 3), (4, 16)]
    if injection == "none":
        return
    teacher = pl.MetadataTransformer(shape, 3, (3, 2), injection, **SMALL)
    assert [tuple(v.shape) for v in teacher(x, meta)] == [(4, 3), (4, 16)]
    shared = {k: v.shape for k, v in teacher.state_dict().items() if not k.startswith("meta.")}
    assert shared == {k: v.shape for k, v in student.state_dict().items()}


@pytest.mark.parametrize("injection", ["token", "late", "film"])
def test_metadata_reaches_logits_and_feature_and_every_parameter_learns(injection):
    torch.manual_seed(0)
    teacher = pl.MetadataTransformer((3, 8, 8), 3, (3, 2), injection, **SMALL)
    x = torch.randn(3, 3, 8, 8, generator=seeded())
    spring = metadata.encode([10, 10, 10], [20, 20, 20], [30, 30, float("nan")], ENCODING)
    elsewhere = metadata.encode([-50, 10, 10], [20, 20, 20], [30, 200, 200], ENCODING)
    for a, b in zip(teacher(x, spring), teacher(x, elsewhere), strict=True):
        assert ((a - b).abs().amax(1) > 1e-5).all()  # another place, another day, an unknown day
    logits, feature = teacher(x, spring)
    (logits.square().sum() + feature.square().sum()).backward()
    for name, parameter in teacher.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert teacher.meta.unknown.grad[0].abs().sum() == 0 and teacher.meta.unknown.grad[1].abs().sum() > 0


def test_embedding_of_known_metadata_is_the_two_layer_mlp_of_the_paper():
    embedding = pl.Embedding((2, 2), 6)
    meta = torch.randn(5, 4, generator=seeded())
    weight = torch.cat([linear.weight for linear in embedding.known], 1)
    bias = sum(linear.bias for linear in embedding.known)
    expected = embedding.out(F.gelu(F.linear(meta, weight, bias)))
    torch.testing.assert_close(embedding(meta), expected)


def test_unknown_is_not_zero_and_not_a_place():
    torch.manual_seed(0)
    embedding = pl.Embedding((3, 2), 8)
    unknown = embedding(torch.full((1, 5), float("nan")))
    assert unknown.isfinite().all()
    assert (unknown - embedding(torch.zeros(1, 5))).abs().max() > 1e-3
    partly = torch.tensor([[float("nan"), 1.0, 2.0, 0.5, 0.5], [float("nan")] * 3 + [0.5, 0.5]])
    assert torch.equal(*embedding(partly))  # a place known in part is unknown


def test_an_encoding_without_columns_is_no_metadata():
    assert pl.MetadataTransformer((5,), 3, (0,), **SMALL).meta is None
    assert pl.Embedding((0, 2), 4).widths == (2,)


def test_standardize_takes_each_band_by_itself():
    for shape, axis in (((3, 8, 8), 1), ((6, 4), 2), ((5,), 1)):
        scale = torch.arange(1.0, shape[axis - 1] + 1)
        view = scale.view(-1, 1, 1) if len(shape) == 3 else scale
        x = torch.randn(400, *shape, generator=seeded()) * view + 10 * view
        network = pl.MetadataTransformer(shape, 2, **SMALL).standardize(x)
        close(network.mean / scale, torch.full((len(scale),), 10.0), 0.2)
        close(network.std / scale, torch.ones(len(scale)), 0.15)


def test_patches_are_the_squares_of_the_image():
    network = pl.MetadataTransformer((2, 8, 12), 2, **SMALL)
    x = torch.arange(2 * 8 * 12.0).view(1, 2, 8, 12)
    tokens = network.tokens(x)
    assert tokens.shape == (1, 6, 32)
    assert torch.equal(tokens[0, 4].view(2, 4, 4), x[0, :, 4:8, 4:8])


def test_size_of_the_default_network():
    count = sum(p.numel() for p in pl.MetadataTransformer((10, 32, 32), 8, (3, 2)).parameters())
    assert 120_000 < count < 300_000


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"injection": "early"}, "no injection 'early'; choose one of token, late"),
        ({"injection": "none", "widths": (3,)}, "cannot take metadata"),
        ({"shape": (3, 10, 8)}, "10 x 8 pixels cannot be cut into patches of 4"),
        ({"shape": (1, 2, 3, 4)}, "One example has shape"),
    ],
)
def test_impossible_networks(arguments, message):
    with pytest.raises(ValueError, match=message):
        pl.MetadataTransformer(**{"shape": (3, 8, 8), "classes": 2, "patch": 4, **arguments})


def test_a_network_refuses_what_it_was_not_made_for():
    x = torch.zeros(2, 5)
    with pytest.raises(ValueError, match="takes no metadata"):
        pl.MetadataTransformer((5,), 2, **SMALL)(x, torch.zeros(2, 5))
    teacher = pl.MetadataTransformer((5,), 2, (3, 2), **SMALL)
    with pytest.raises(ValueError, match=r"takes metadata; pass it, with NaN \(metadata.unknown\)"):
        teacher(x)
    with pytest.raises(ValueError, match="takes 5 columns"):
        teacher(x, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="2 images but 3 rows"):
        teacher(x, torch.zeros(3, 5))
    with pytest.raises(ValueError, match="examples of shape"):
        teacher(torch.zeros(2, 6), torch.zeros(2, 5))


def test_predict_in_parts_is_predict_at_once_and_checks_its_metadata():
    samples = random_samples(30)
    result = train(samples, samples)
    meta = samples.meta(ENCODING)
    whole = pl.predict(result.teacher, samples.x, meta)
    np.testing.assert_allclose(pl.predict(result.teacher, samples.x, meta, batch_size=7), whole, atol=1e-6)
    hidden = pl.predict(result.teacher, samples.x, metadata.unknown(30, ENCODING))
    assert np.isfinite(hidden).all() and np.abs(hidden - whole).max() > 1e-4
    with pytest.raises(ValueError, match="30 images but 29 rows"):
        pl.predict(result.teacher, samples.x, meta[:29])

"""Pseudo-labels: golden numbers of the authors' code, every rule by hand, who may see what, and a planted problem."""

import importlib.util
import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lulc_utils import pseudo_labels as pl
from lulc_utils.pseudo_labels import metadata
from lulc_utils.pseudo_labels.metadata import nothing, scaled_place, season, unit_sphere

GOLDEN = Path(__file__).parents[2] / "golden" / "st_11.npz"
pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"patch": 4, "dim": 16, "depth": 2, "heads": 2}
QUICK = {"dim": 16, "depth": 1, "heads": 2, "steps": 6, "batch_size": 4}
SHAPES = [(3, 8, 8), (6, 4), (5,)]
ENCODING = (unit_sphere, season)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def probabilities(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def state(confidence, variance, mean):
    values = torch.tensor(confidence), torch.tensor(variance), torch.tensor(mean)
    return pl.State(*(v.double() for v in values))


def close(a, b, atol=1e-6):
    torch.testing.assert_close(torch.as_tensor(a).double(), torch.as_tensor(b).double(), atol=atol, rtol=0)


def random_samples(n, shape=(5,), classes=3, seed=0):
    rng = np.random.default_rng(seed)
    place = rng.uniform(-60, 60, n), rng.uniform(-180, 180, n), rng.uniform(1, 366, n)
    return pl.Samples(rng.normal(size=(n, *shape)).astype(np.float32), rng.integers(0, classes, n), *place)


def some_answers(batch=3, unlabelled=5, classes=4, dim=6, seed=0, debias=False):
    g = seeded(seed)
    draw = lambda *size: torch.randn(*size, generator=g, dtype=torch.float64).requires_grad_()  # noqa: E731
    parts = draw(batch, classes), draw(unlabelled, classes), draw(batch + unlabelled, dim)
    return pl.Answers(*parts, draw(batch, classes) if debias else None)


# ---------------------------------------------------------------------------------------------------- golden


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {key: torch.as_tensor(file[key]) for key in file.files}


def test_golden_distillation(golden):
    student = torch.cat([golden["d_s_lb"], golden["d_s_ulb"]])
    teacher = torch.cat([golden["d_t_lb"], golden["d_t_ulb"]])
    torch.testing.assert_close(pl.distillation(student, teacher, "mse"), golden["distill_mse"], rtol=1e-5, atol=1e-6)


def test_golden_consistency_with_hard_pseudo_labels_at_confidence_08(golden):
    rule = lambda probs, state: pl.fixmatch(probs, state, confidence=0.8)  # noqa: E731
    pseudo, _ = pl.pseudo_labels(golden["fm_weak_logits"], rule, pl.start_state(6))
    assert torch.equal(pseudo.label, golden["fm_pseudo"])
    assert torch.equal(pseudo.weight, golden["fm_mask"])
    torch.testing.assert_close(
        pl.consistency(golden["fm_strong_logits"], pseudo), golden["fm_loss"], rtol=1e-5, atol=1e-6
    )


def test_golden_numbers_inside_losses(golden):
    """With labels that cost nothing, the student's loss minus the teacher's is the recorded distillation."""
    y = torch.arange(3)
    certain = 100.0 * F.one_hot(y, 6).float()
    teacher = pl.Answers(certain, golden["fm_strong_logits"], torch.cat([golden["d_t_lb"], golden["d_t_ulb"]]))
    student = teacher._replace(feature=torch.cat([golden["d_s_lb"], golden["d_s_ulb"]]))
    pseudo = pl.Pseudo(golden["fm_pseudo"], golden["fm_mask"])
    l_t, l_s = pl.losses(teacher, student, y, pseudo, lambda_u=2.0, lambda_d=0.5)
    close(l_t, 2 * golden["fm_loss"], 1e-5)
    close(l_s - l_t, 0.5 * golden["distill_mse"], 1e-5)


# ----------------------------------------------------------------------------------------------------- rules


def test_every_rule_has_one_signature_and_leaves_its_arguments_alone():
    probs = torch.randn(9, 4, generator=seeded()).softmax(1)
    for name, method in pl.METHODS.items():
        before, start = probs.clone(), pl.start_state(4)
        weight, after = method.rule(probs, start)
        assert list(inspect.signature(method.rule).parameters)[:2] == ["probs", "state"], name
        assert weight.shape == (9,) and weight.min() >= 0 and weight.max() <= 1
        assert torch.equal(probs, before) and isinstance(after, pl.State)
        assert all(torch.equal(a, b) for a, b in zip(start, pl.start_state(4), strict=True))


def test_the_start_knows_nothing():
    start = pl.start_state(5)
    close(start.confidence, 0.2)
    close(start.variance, 1)
    close(start.mean, [0.2] * 5)


def test_supervised_trusts_nothing():
    assert pl.supervised(probabilities([1, 0], [0.5, 0.5]), pl.start_state(2))[0].tolist() == [0, 0]


def test_fixmatch_accepts_at_the_threshold_and_not_below():
    probs = torch.tensor([[0.75, 0.25], [0.7499, 0.2501], [0.1, 0.9]])
    start = pl.start_state(2)
    weight, after = pl.fixmatch(probs, start, confidence=0.75)
    assert weight.tolist() == [1, 0, 1] and after is start
    assert pl.fixmatch(torch.tensor([[0.96, 0.04], [0.94, 0.06]]), start)[0].tolist() == [1, 0]


def test_freematch_by_hand():
    """Confidence .625 and mean (.6, .4) of the batch, moved half-way from .5 and (.5, .5)."""
    probs = probabilities([0.85, 0.15], [0.5, 0.5], [0.45, 0.55], [0.6, 0.4])
    weight, after = pl.freematch(probs, state(0.5, 1.0, [0.5, 0.5]), momentum=0.5)
    close(after.confidence, 0.5625)
    close(after.mean, [0.55, 0.45])
    # 0.85 and 0.6 pass class 0's 0.5625, 0.5 does not; 0.55 passes class 1's 0.5625 * 0.45 / 0.55 = 0.4602
    assert weight.tolist() == [1, 0, 1, 1]
    assert after.variance == 1


def test_freematch_is_one_threshold_when_classes_are_equally_sure():
    probs = probabilities([0.8, 0.2], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6])
    weight, after = pl.freematch(probs, state(0.7, 1.0, [0.5, 0.5]), momentum=0.9)
    close(after.confidence, 0.7)
    assert weight.tolist() == [1, 1, 0, 0]


def test_freematch_starts_by_trusting_everything():
    probs = torch.randn(50, 4, generator=seeded()).softmax(1)
    weight, _ = pl.freematch(probs, pl.start_state(4))
    assert weight.mean() > 0.9


def test_softmatch_by_hand():
    """Greatest probabilities .9, .7, .5: mean .7, variance .04 (n - 1)."""
    probs = probabilities([0.9, 0.1], [0.3, 0.7], [0.5, 0.5])
    weight, after = pl.softmatch(probs, state(0.5, 0.02, [0.5, 0.5]), momentum=0.5, align=False)
    mu, variance = 0.5 * 0.5 + 0.5 * 0.7, 0.5 * 0.02 + 0.5 * 0.04
    close(after.confidence, mu)
    close(after.variance, variance)
    close(weight, [1, 1, math.exp(-((0.5 - mu) ** 2) / (2 * variance / 4))])
    narrow, _ = pl.softmatch(probs, state(0.5, 0.02, [0.5, 0.5]), momentum=0.5, width=4.0, align=False)
    close(narrow[2], math.exp(-((0.5 - mu) ** 2) / (2 * variance / 16)))


def test_softmatch_alignment_by_hand():
    """A moving mean of (.8, .2) that stays: (.8, .2) becomes even, (.2, .8) becomes (1, 16) / 17."""
    probs = probabilities([0.8, 0.2], [0.2, 0.8])
    _, after = pl.softmatch(probs, state(0.0, 1.0, [0.8, 0.2]), momentum=1.0)
    close(after.mean, [0.8, 0.2])
    half = pl.softmatch(probs, state(0.6, 0.5, [0.8, 0.2]), momentum=1.0)[0]
    close(half, [math.exp(-(0.1**2) / (2 * 0.5 / 4)), 1])
    _, moved = pl.softmatch(probs, state(0.0, 1.0, [0.8, 0.2]), momentum=0.5)
    close(moved.mean, [0.65, 0.35])
    first = 0.8 / 0.65 / (0.8 / 0.65 + 0.2 / 0.35)
    second = 0.8 / 0.35 / (0.8 / 0.35 + 0.2 / 0.65)
    close(moved.confidence, (first + second) / 4)


def test_softmatch_of_equal_and_of_single_probabilities_is_finite():
    for probs in (probabilities([0.5, 0.5], [0.5, 0.5]), probabilities([0.7, 0.3])):
        weight, after = pl.softmatch(probs, state(0.6, 0.0, [0.5, 0.5]), momentum=1.0)
        assert weight.isfinite().all() and all(v.isfinite().all() for v in after)


def test_defixmatch_is_fixmatch_with_half_the_weight_and_the_debiasing_term():
    method = pl.METHODS["defixmatch"]
    assert method.rule is pl.fixmatch and method.lambda_u == 0.5 and method.debias
    assert not any(m.debias for name, m in pl.METHODS.items() if name != "defixmatch")


def test_rules_of_short_trainings_forget_their_start():
    sure = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    for name in ("freematch", "softmatch"):
        now = pl.start_state(2)
        for _ in range(300):
            _, now = pl.METHODS[name].rule(sure, now)
        close(now.confidence, 0.9 - 0.4 * 0.99**300, 1e-5)


def test_debiasing_term_by_hand():
    answers = some_answers(debias=True)
    y = torch.tensor([0, 3, 1])
    pseudo = pl.Pseudo(torch.tensor([0, 1, 2, 3, 0]), torch.tensor([1, 0, 1, 1, 0]).double())
    labelled = pl.Pseudo(torch.tensor([0, 2, 2]), torch.tensor([1, 1, 0]).double())
    loss, _ = pl.losses(answers, None, y, pseudo, lambda_u=0.5, pseudo_labelled=labelled)
    log, log_u, log_d = (-a.log_softmax(1) for a in (answers.labelled, answers.strong, answers.debias))
    expected = (log[0, 0] + log[1, 3] + log[2, 1]) / 3
    expected = expected + 0.5 * (log_u[0, 0] + log_u[2, 2] + log_u[3, 3]) / 5 - 0.5 * (log_d[0, 0] + log_d[1, 2]) / 3
    close(loss, expected)


def test_debiasing_cancels_when_labelled_and_unlabelled_are_the_same():
    """The unbiased estimate: over the same images the unlabelled term is worth nothing."""
    a = some_answers(4, 4)
    a = a._replace(debias=a.strong)
    pseudo = pl.Pseudo(torch.tensor([0, 1, 2, 3]), torch.ones(4).double())
    y = torch.tensor([1, 1, 1, 1])
    close(pl.losses(a, None, y, pseudo, pseudo_labelled=pseudo)[0], F.cross_entropy(a.labelled, y))


# ---------------------------------------------------------------------------------------------------- losses


def test_losses_by_hand_in_few_lines():
    """What the chapter writes."""
    teacher, student = some_answers(seed=1), some_answers(seed=2)
    y = torch.tensor([0, 1, 2])
    weak = 9 * torch.eye(5, 4, dtype=torch.float64)
    weak[1] /= 9
    pseudo, _ = pl.pseudo_labels(weak, pl.fixmatch, pl.start_state(4))
    confidence, q = weak.softmax(1).max(1)
    mask = (confidence >= 0.95).double()
    assert mask.tolist() == [1, 0, 1, 1, 0]

    def ssl(a):
        return F.cross_entropy(a.labelled, y) + 0.7 * (mask * F.cross_entropy(a.strong, q, reduction="none")).mean()

    l_t, l_s = pl.losses(teacher, student, y, pseudo, lambda_u=0.7, lambda_d=0.3)
    close(l_t, ssl(teacher))
    close(l_s, ssl(student) + 0.3 * ((student.feature - teacher.feature) ** 2).mean())


def test_distances_by_hand():
    student, teacher = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, 2.0]])
    close(pl.distillation(student, teacher, "mse"), (1 + 1 + 1 + 4) / 4)
    close(pl.distillation(student, teacher, "mae"), (1 + 1 + 1 + 2) / 4)
    close(pl.distillation(student, teacher, "cosine"), (1 - 24 / 25 + 1 - 0) / 2)
    close(pl.distillation(student, teacher, "none"), 0)
    with pytest.raises(ValueError, match="no distillation 'l7'; choose mse"):
        pl.distillation(student, teacher, "l7")


@pytest.mark.parametrize("distance", ["mse", "mae", "cosine"])
def test_no_gradient_crosses_between_the_networks(distance):
    teacher, student = some_answers(seed=1), some_answers(seed=2)
    weak = torch.randn(5, 4, dtype=torch.float64, generator=seeded(4)).requires_grad_()
    pseudo, _ = pl.pseudo_labels(weak, pl.softmatch, pl.start_state(4))
    l_t, l_s = pl.losses(teacher, student, torch.tensor([0, 1, 2]), pseudo, distance=distance)
    l_s.backward()
    assert all(part.grad is None for part in teacher[:3]) and weak.grad is None
    assert all(part.grad.abs().sum() > 0 for part in student[:3])
    before = [part.grad.clone() for part in student[:3]]
    l_t.backward()
    assert all(torch.equal(part.grad, b) for part, b in zip(student[:3], before, strict=True))
    assert teacher.labelled.grad is not None and teacher.feature.grad is None and weak.grad is None


def test_an_untrusted_view_has_no_gradient():
    teacher = some_answers()
    pseudo = pl.Pseudo(torch.zeros(5, dtype=torch.int64), torch.tensor([1.0, 0, 0.5, 0, 1]).double())
    pl.losses(teacher, None, torch.tensor([0, 1, 2]), pseudo)[0].backward()
    assert (teacher.strong.grad.abs().sum(1) > 0).tolist() == [True, False, True, False, True]


# --------------------------------------------------------------------------------------------------- network


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("injection", pl.INJECTIONS)
def test_teacher_and_student_have_one_shape(shape, injection):
    x = torch.randn(4, *shape, generator=seeded())
    meta = metadata.encode([1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], ENCODING)
    student = pl.Network(shape, 3, (), injection, **SMALL)
    assert [tuple(v.shape) for v in student(x)] == [(4, 3), (4, 16)]
    if injection == "none":
        return
    teacher = pl.Network(shape, 3, (3, 2), injection, **SMALL)
    assert [tuple(v.shape) for v in teacher(x, meta)] == [(4, 3), (4, 16)]
    shared = {k: v.shape for k, v in teacher.state_dict().items() if not k.startswith("meta.")}
    assert shared == {k: v.shape for k, v in student.state_dict().items()}


@pytest.mark.parametrize("injection", ["token", "late", "film"])
def test_metadata_reaches_logits_and_feature_and_every_parameter_learns(injection):
    torch.manual_seed(0)
    teacher = pl.Network((3, 8, 8), 3, (3, 2), injection, **SMALL)
    x = torch.randn(3, 3, 8, 8, generator=seeded())
    here = metadata.encode([10, 10, 10], [20, 20, 20], [30, 30, float("nan")], ENCODING)
    there = metadata.encode([-50, 10, 10], [20, 20, 20], [30, 200, 200], ENCODING)
    for a, b in zip(teacher(x, here), teacher(x, there), strict=True):
        assert ((a - b).abs().amax(1) > 1e-5).all()  # another place, another day, an unknown day
    logits, feature = teacher(x, here)
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
    assert pl.Network((5,), 3, (0,), **SMALL).meta is None
    assert pl.Embedding((0, 2), 4).widths == (2,)


def test_standardise_takes_each_band_by_itself():
    for shape, axis in (((3, 8, 8), 1), ((6, 4), 2), ((5,), 1)):
        scale = torch.arange(1.0, shape[axis - 1] + 1)
        view = scale.view(-1, 1, 1) if len(shape) == 3 else scale
        x = torch.randn(400, *shape, generator=seeded()) * view + 10 * view
        network = pl.Network(shape, 2, **SMALL).standardise(x)
        close(network.mean / scale, torch.full((len(scale),), 10.0), 0.2)
        close(network.std / scale, torch.ones(len(scale)), 0.15)


def test_patches_are_the_squares_of_the_image():
    network = pl.Network((2, 8, 12), 2, **SMALL)
    x = torch.arange(2 * 8 * 12.0).view(1, 2, 8, 12)
    tokens = network._cut(x)
    assert tokens.shape == (1, 6, 32)
    assert torch.equal(tokens[0, 4].view(2, 4, 4), x[0, :, 4:8, 4:8])


def test_size_of_the_default_network():
    count = sum(p.numel() for p in pl.Network((10, 32, 32), 8, (3, 2)).parameters())
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
        pl.Network(**{"shape": (3, 8, 8), "classes": 2, "patch": 4, **arguments})


def test_a_network_refuses_what_it_was_not_made_for():
    x = torch.zeros(2, 5)
    with pytest.raises(ValueError, match="takes no metadata"):
        pl.Network((5,), 2, **SMALL)(x, torch.zeros(2, 5))
    teacher = pl.Network((5,), 2, (3, 2), **SMALL)
    with pytest.raises(ValueError, match=r"takes metadata; give it, with NaN \(metadata.unknown\)"):
        teacher(x)
    with pytest.raises(ValueError, match="takes 5 columns"):
        teacher(x, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="2 images but 3 rows"):
        teacher(x, torch.zeros(3, 5))
    with pytest.raises(ValueError, match="examples of shape"):
        teacher(torch.zeros(2, 6), torch.zeros(2, 5))


# ----------------------------------------------------------------------------------------------------- views


def test_weak_views_are_the_eight_turns_and_flips_of_each_image():
    x = torch.arange(16.0).view(1, 1, 4, 4).repeat(200, 1, 1, 1)
    views = {tuple(v.flatten().tolist()) for v in pl.weak(x, seeded())}
    allowed = [torch.rot90(x[0, 0], k) for k in range(4)]
    allowed += [v.flip(-1) for v in allowed]
    assert views == {tuple(v.flatten().tolist()) for v in allowed}


def test_weak_views_of_oblong_images_and_of_series():
    x = torch.arange(8.0).view(1, 1, 2, 4).repeat(100, 1, 1, 1)
    views = {tuple(v.flatten().tolist()) for v in pl.weak(x, seeded())}
    image = x[0, 0]
    assert views == {tuple(v.flatten().tolist()) for v in (image, image.flip(0), image.flip(1), image.flip(0, 1))}
    series = torch.randn(3, 6, 4)
    assert pl.weak(series, seeded()) is series


@pytest.mark.parametrize("shape", SHAPES)
def test_strong_views_have_the_shape_and_depend_on_the_generator_only(shape):
    x = torch.randn(10, *shape, generator=seeded())
    bands = shape[0] if len(shape) == 3 else shape[-1]
    mean, std = torch.zeros(bands), torch.ones(bands)
    a, b, c = (pl.strong(x, seeded(s), mean, std) for s in (1, 1, 2))
    assert a.shape == x.shape and torch.equal(a, b) and not torch.equal(a, c)
    off = pl.strong(x, seeded(1), mean, std, dict.fromkeys(pl.STRONG, 0.0))
    assert torch.equal(off, pl.weak(x, seeded(1)))


def only(**strength):
    return dict.fromkeys(pl.STRONG, 0.0) | strength


def test_every_part_of_the_strong_view_does_what_it_says():
    n, mean, std = 2000, torch.tensor([5.0, 7.0]), torch.tensor([1.0, 3.0])
    x = torch.full((n, 2, 8, 8), 2.0)
    see = lambda **s: pl.strong(x, seeded(), mean, std, only(**s))  # noqa: E731
    gain = see(gain=0.1) / 2
    assert (gain == gain[:, :1, :1, :1]).all() and gain[:, 0, 0, 0].std() == pytest.approx(0.1, rel=0.1)
    gain = see(band_gain=0.1) / 2
    assert (gain == gain[:, :, :1, :1]).all() and (gain[:, 0] != gain[:, 1]).any()
    offset = see(offset=0.2) - 2
    assert (offset == offset[:, :, :1, :1]).all()
    close(offset[:, :, 0, 0].std(0), [0.2, 0.6], 0.06)
    noise = see(noise=0.2) - 2
    close(noise.std((0, 2, 3)), [0.2, 0.6], 0.02)
    dropped = see(drop=0.25)
    assert set(dropped[:, 0].unique().tolist()) == {2, 5} and set(dropped[:, 1].unique().tolist()) == {2, 7}
    assert (dropped == dropped[:, :, :1, :1]).all()
    assert (dropped[:, :, 0, 0] != 2).float().mean() == pytest.approx(0.25, abs=0.03)


def test_cutout_hides_one_square_in_all_bands_or_one_run_of_times():
    x = torch.ones(500, 2, 8, 8)
    hidden = pl.strong(x, seeded(), torch.zeros(2), torch.ones(2), only(cutout=0.5)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    rows, columns = hidden[:, 0].any(2), hidden[:, 0].any(1)
    assert torch.equal(hidden[:, 0], rows[:, :, None] & columns[:, None, :])
    assert torch.equal(rows.sum(1), columns.sum(1)) and set(rows.sum(1).tolist()) == {0, 1, 2, 3, 4}
    assert hidden[:, 0].float().mean(0).min() > 0  # every place is hidden now and then
    series = pl.strong(torch.ones(200, 12, 3), seeded(), torch.zeros(3), torch.ones(3), only(cutout=0.5)) == 0
    assert (series == series[:, :, :1]).all()
    runs = series[:, :, 0].long().diff(dim=1, prepend=torch.zeros(200, 1, dtype=torch.int64)).clamp_min(0).sum(1)
    assert runs.max() == 1 and series[:, :, 0].sum(1).max() == 6


# -------------------------------------------------------------------------------------------------- training


def batch_of(x, x_u, y, meta, meta_u):
    return pl.Batch(x, y, x_u, x_u + 0.1, meta, meta_u, -meta_u)


def parts(seed=0):
    g = seeded(seed)
    x, x_u = torch.randn(4, 5, generator=g), torch.randn(8, 5, generator=g)
    meta, meta_u = torch.randn(4, 3, generator=g), torch.randn(8, 3, generator=g)
    return batch_of(x, x_u, torch.tensor([0, 1, 2, 0]), meta, meta_u)


def two_networks():
    torch.manual_seed(0)
    return pl.Network((5,), 3, (3,), **SMALL), pl.Network((5,), 3, (), **SMALL)


def test_step_is_the_losses_and_one_gradient_step():
    teacher, student = two_networks()
    batch, start = parts(), pl.start_state(3)
    tops = teacher(batch.weak, batch.meta_weak)[0].detach().softmax(1).amax(1)
    loose = pl.Method(lambda probs, state: pl.fixmatch(probs, state, float(tops.median())), 0.8)
    optimizer = torch.optim.SGD([*teacher.parameters(), *student.parameters()], lr=0.1)
    pseudo, _ = pl.pseudo_labels(teacher(batch.weak, batch.meta_weak)[0], loose.rule, start)
    assert 0 < pseudo.weight.sum() < 8
    told, guessed = pl.answers(teacher, batch, True), pl.answers(student, batch, False)
    l_t, l_s = pl.losses(told, guessed, batch.y, pseudo, lambda_u=0.8, lambda_d=0.5)
    networks = [*teacher.parameters(), *student.parameters()]
    gradients = torch.autograd.grad(l_t + l_s, networks, allow_unused=True)
    expected = [p.detach() if g is None else p.detach() - 0.1 * g for p, g in zip(networks, gradients, strict=True)]
    made, _, *terms = pl.step(teacher, student, optimizer, batch, loose, start, lambda_d=0.5)
    assert torch.equal(made.label, pseudo.label) and torch.equal(made.weight, pseudo.weight)
    close(terms[0], l_t)
    close(terms[1], l_s)
    for parameter, value in zip(networks, expected, strict=True):
        torch.testing.assert_close(parameter, value, atol=1e-6, rtol=1e-5)


def test_answers_keep_views_and_metadata_in_order():
    teacher, student = two_networks()
    batch = parts()._replace(x_strong=torch.randn(4, 5, generator=seeded(9)))
    told = pl.answers(teacher, batch, True)
    for given, x, meta in (
        (told.labelled, batch.x, batch.meta),
        (told.strong, batch.strong, batch.meta_strong),
        (told.debias, batch.x_strong, batch.meta),
    ):
        torch.testing.assert_close(given, teacher(x, meta)[0], atol=1e-5, rtol=1e-5)
    feature = torch.cat([teacher(batch.x, batch.meta)[1], teacher(batch.strong, batch.meta_strong)[1]])
    torch.testing.assert_close(told.feature, feature, atol=1e-5, rtol=1e-5)
    assert pl.answers(student, parts(), False).debias is None


def test_one_batch_does_not_change_the_student_by_its_metadata_when_no_label_or_feature_crosses():
    """Untrusted pseudo-labels and no distillation: the only two ways from the metadata to the student are shut."""
    results = []
    for scale in (1.0, -3.0):
        teacher, student = two_networks()
        batch = parts()
        batch = batch._replace(**{k: scale * getattr(batch, k) for k in ("meta", "meta_weak", "meta_strong")})
        optimizer = torch.optim.AdamW([*teacher.parameters(), *student.parameters()], lr=0.01)
        pl.step(teacher, student, optimizer, batch, pl.METHODS["supervised"], pl.start_state(3), distance="none")
        results.append((student.state_dict(), teacher.state_dict()))
    (student_a, teacher_a), (student_b, teacher_b) = results
    assert all(torch.equal(student_a[k], student_b[k]) for k in student_a)
    assert any(not torch.equal(teacher_a[k], teacher_b[k]) for k in teacher_a)


def test_the_students_prediction_cannot_depend_on_metadata():
    samples, other = random_samples(12), random_samples(40, seed=1)
    student = pl.train(samples, other, classes=3, **QUICK).student
    x = torch.as_tensor(other.x)
    assert student.meta is None and not [k for k in student.state_dict() if k.startswith("meta.")]
    with pytest.raises(ValueError, match="takes no metadata"):
        pl.predict(student, other.x, other.meta(ENCODING))
    before = student(x)[0]
    order = torch.randperm(40, generator=seeded())
    torch.testing.assert_close(student(x[order])[0], before[order], atol=1e-6, rtol=1e-5)
    assert np.array_equal(pl.predict(student, other.x), pl.predict(student, x))


@pytest.mark.parametrize("method", list(pl.METHODS))
@pytest.mark.parametrize("mode", pl.METADATA)
def test_every_method_trains_in_every_mode(method, mode):
    result = pl.train(
        random_samples(12), random_samples(30, seed=1), classes=3, method=method, metadata=mode, log_every=4, **QUICK
    )
    assert [r["step"] for r in result.history] == [4, 6]
    assert all(np.isfinite([r["loss_teacher"], r["loss_student"], r["mask"]]).all() for r in result.history)
    assert (result.teacher is result.student) == (mode != "teacher")
    assert (result.student.meta is None) == (mode in ("teacher", "none")) and not result.student.training
    if method == "supervised":
        assert result.history[0]["mask"] == 0 and result.history[0]["accepted_accuracy"] is None


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("injection", ["token", "late", "film"])
def test_every_kind_of_input_trains_with_every_injection(shape, injection):
    arguments = QUICK | {"patch": 4, "distance": "cosine", "injection": injection}
    result = pl.train(random_samples(9, shape), random_samples(20, shape, seed=1), classes=3, **arguments)
    probs = pl.predict(result.student, random_samples(7, shape, seed=2).x)
    assert probs.shape == (7, 3) and probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)


def test_same_seed_same_result_and_the_global_generator_is_left_alone():
    def run(seed):
        samples = random_samples(12), random_samples(30, seed=1)
        return pl.train(*samples, classes=3, method="softmatch", seed=seed, **QUICK)

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a = run(1)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(99)
    b, c = run(1), run(2)
    for name in ("teacher", "student"):
        one, two = getattr(a, name).state_dict(), getattr(b, name).state_dict()
        assert all(torch.equal(one[k], two[k]) for k in one)
    assert a.history == b.history != c.history


def test_hidden_labels_are_for_diagnosis_only():
    labelled, unlabelled = random_samples(12), random_samples(30, seed=1)
    a = pl.train(labelled, unlabelled, classes=3, method="freematch", **QUICK)
    b = pl.train(labelled, unlabelled._replace(y=None), classes=3, method="freematch", **QUICK)
    assert all(torch.equal(v, b.student.state_dict()[k]) for k, v in a.student.state_dict().items())
    assert 0 <= a.history[0]["accepted_accuracy"] <= 1 and "accepted_accuracy" not in b.history[0]


def test_accepted_accuracy_is_weighted():
    pseudo = pl.Pseudo(torch.tensor([0, 1, 1, 0]), torch.tensor([1, 0.5, 0, 0]))
    record = pl._record(pseudo, [torch.tensor(1.0), torch.tensor(2.0)], torch.tensor([0, 0, 1, 1]))
    empty = {**record, "accepted": (0.0, 0.0), "mask": 0.0}
    mean = pl._mean([record, empty])
    assert mean["pseudo_accuracy"] == 0.5 and mean["mask"] == pytest.approx(0.1875)
    assert mean["accepted_accuracy"] == pytest.approx(1 / 1.5)
    assert pl._mean([empty])["accepted_accuracy"] is None


def test_dropout_hides_whole_rows_of_a_part():
    meta = torch.randn(4000, 5, generator=seeded())
    lost = pl._forget(meta, 0.3, seeded(1)).isnan()
    assert (lost == lost[:, :1]).all() and lost[:, 0].float().mean() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(pl._forget(meta, 0.0, seeded(1)), meta)


def test_metadata_dropout_trains_the_unknown_embedding():
    samples = random_samples(12), random_samples(30, seed=1)
    both = pl.train(*samples, classes=3, metadata="both", **QUICK).student.state_dict()
    none_lost = pl.train(*samples, classes=3, metadata="dropout", drop_metadata=0.0, **QUICK).student.state_dict()
    all_lost = pl.train(*samples, classes=3, metadata="dropout", drop_metadata=1.0, **QUICK).student.state_dict()
    assert all(torch.equal(both[k], none_lost[k]) for k in both)
    # what gets no gradient moves by weight decay only: known places when all are lost, the unknown when none is
    start = pl.train(*samples, classes=3, metadata="both", **QUICK | {"lr": 0.0}).student.state_dict()
    moved = lambda after, key: float((after[key] - start[key]).abs().max())  # noqa: E731
    assert moved(all_lost, "meta.unknown") > 5 * moved(both, "meta.unknown")
    assert moved(both, "meta.known.0.weight") > 5 * moved(all_lost, "meta.known.0.weight")


def test_samples_without_dates_or_places():
    rows = random_samples(10)._replace(day=None).meta(ENCODING)
    assert rows[:, 3:].isnan().all() and not rows[:, :3].isnan().any()
    nowhere = random_samples(10)._replace(place_known=np.zeros(10, dtype=bool)).meta(ENCODING)
    assert nowhere[:, :3].isnan().all() and not nowhere[:, 3:].isnan().any()
    undated = random_samples(12)._replace(day=None), random_samples(20, seed=1)._replace(day=None)
    assert np.isfinite(pl.train(*undated, classes=3, **QUICK).history[-1]["loss_student"])
    bare = [pl.Samples(s.x, s.y) for s in undated]
    pl.train(*bare, classes=3, metadata="none", **QUICK)
    with pytest.raises(ValueError, match="no latitude and longitude"):
        pl.train(*bare, classes=3, **QUICK)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method": "flexmatch"}, "no method 'flexmatch'; choose one of supervised, fixmatch"),
        ({"metadata": "student"}, "metadata is 'student'; choose one of teacher"),
        ({"two_networks": True, "metadata": "both"}, "two_networks goes with metadata 'none'"),
        ({"distance": "kl"}, "no distillation 'kl'"),
        ({"steps": 0}, "must be at least 1"),
        ({"drop_metadata": 1.5}, "drop_metadata is 1.5"),
        ({"classes": 2}, r"labels of the labelled samples go from 0 to 2, but must lie in 0..1|hidden true labels go"),
        ({"encoding": (nothing,)}, "encoding has no columns"),
        ({"injection": "none"}, "cannot take metadata"),
        ({"labelled": random_samples(9)._replace(y=None)}, "There are no labels of the labelled samples"),
        ({"labelled": random_samples(9)._replace(y=np.zeros(8))}, "there are 9 samples"),
        ({"labelled": random_samples(9, (6,))}, r"Labelled examples have shape \(6,\), unlabelled ones \(5,\)"),
        ({"labelled": random_samples(9)._replace(lat=np.full(9, 95.0))}, "Latitude 95 of row 0"),
        ({"labelled": random_samples(9)._replace(lat=np.zeros(8))}, "9 samples, 8 latitudes"),
        ({"labelled": random_samples(9)._replace(x=np.full((9, 5), np.nan))}, "labelled samples have values that are"),
        ({"unlabelled": random_samples(9)._replace(x=np.zeros(9))}, "unlabelled samples have shape"),
        ({"lr": 1e30, "steps": 30}, "not a number at step .*; lower the learning rate"),
    ],
)
def test_impossible_training(changes, message):
    arguments = {"labelled": random_samples(9), "unlabelled": random_samples(20, seed=1), "classes": 3, **QUICK}
    arguments |= changes
    with pytest.raises((ValueError, RuntimeError), match=message):
        pl.train(arguments.pop("labelled"), arguments.pop("unlabelled"), **arguments)


def test_predict_in_parts_is_predict_at_once_and_checks_its_metadata():
    samples = random_samples(30)
    result = pl.train(samples, samples, classes=3, **QUICK)
    meta = samples.meta(ENCODING)
    whole = pl.predict(result.teacher, samples.x, meta)
    np.testing.assert_allclose(pl.predict(result.teacher, samples.x, meta, batch_size=7), whole, atol=1e-6)
    hidden = pl.predict(result.teacher, samples.x, metadata.unknown(30, ENCODING))
    assert np.isfinite(hidden).all() and np.abs(hidden - whole).max() > 1e-4
    with pytest.raises(ValueError, match="30 images but 29 rows"):
        pl.predict(result.teacher, samples.x, meta[:29])


def test_two_networks_without_metadata_are_two():
    samples = random_samples(12), random_samples(30, seed=1)
    one = pl.train(*samples, classes=3, metadata="none", **QUICK)
    two = pl.train(*samples, classes=3, metadata="none", two_networks=True, **QUICK)
    weights = [network.state_dict() for network in (one.student, two.teacher, two.student)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])  # the teacher is the plain method
    assert (weights[1]["embed.weight"] - weights[2]["embed.weight"]).abs().max() > 0.1
    assert torch.equal(weights[1]["mean"], weights[2]["mean"]) and weights[2]["mean"].abs().max() > 0


def test_the_moving_average_and_the_first_batch_are_those_of_the_plain_network():
    """After one step the average has gone nine tenths of the way to the trained weights: min(ema, 1 / 10) stays."""
    samples = random_samples(12), random_samples(30, seed=1)
    arguments = QUICK | {"steps": 1, "metadata": "none", "lr": 0.01}
    slow = pl.train(*samples, classes=3, ema=0.99, **arguments).student.head.weight
    fast = pl.train(*samples, classes=3, ema=0.0, **arguments).student.head.weight
    still = pl.train(*samples, classes=3, **arguments | {"lr": 0.0}).student.head.weight
    assert not torch.equal(fast, still)
    torch.testing.assert_close(slow, 0.9 * fast + 0.1 * still, atol=1e-6, rtol=1e-5)


# --------------------------------------------------------------------------------------------------- planted


def swapped(n, seed, noise=0.5, gap=1.0, cue=0.0, dims=6):
    """Two clusters of vectors whose classes are exchanged south of the equator: without the place, a coin.

    With a cue, each of the other numbers tells a little of the class whatever the place; it takes many labels to see.
    """
    rng = np.random.default_rng(seed)
    cluster, lat = rng.integers(0, 2, n), rng.uniform(30, 60, n) * rng.choice([-1, 1], n)
    y = cluster ^ (lat < 0)
    x = rng.normal(scale=noise, size=(n, dims))
    x[:, 0] += gap * (2 * cluster - 1)
    x[:, 1:] += cue * (2 * y[:, None] - 1)
    return pl.Samples(x.astype(np.float32), y, lat, rng.uniform(-180, 180, n), rng.uniform(1, 366, n))


def accuracy(model, samples, meta=None):
    return float((pl.predict(model, samples.x, meta).argmax(1) == samples.y).mean())


PLANTED = {"classes": 2, "dim": 32, "depth": 1, "steps": 150, "batch_size": 16, "lr": 3e-3, "encoding": (scaled_place,)}


def test_planted_only_metadata_tells_swapped_classes_apart():
    labelled, unlabelled, test = (swapped(n, seed, noise=0.4) for n, seed in ((80, 0), (400, 1), (600, 2)))
    told = pl.train(labelled, unlabelled, **PLANTED)
    blind = pl.train(labelled, unlabelled, metadata="none", method="softmatch", **PLANTED)
    assert accuracy(told.teacher, test, test.meta([scaled_place])) > 0.95
    assert abs(accuracy(blind.student, test) - 0.5) < 0.1
    assert abs(accuracy(told.student, test) - 0.5) < 0.1  # nothing in the image tells: no teacher can help
    assert told.history[-1]["accepted_accuracy"] > 0.9 > 0.7 > blind.history[-1]["accepted_accuracy"]


def test_planted_the_student_of_a_teacher_that_knows_the_place_is_better_without_it():
    gain, trust = [], []
    for seed in (0, 1):
        sizes = ((100, 10 * seed), (1000, 10 * seed + 1), (2000, 10 * seed + 2))
        labelled, unlabelled, test = (swapped(n, s, gap=2.0, cue=0.12, dims=20) for n, s in sizes)
        runs = [
            pl.train(labelled, unlabelled, metadata=mode, injection="film", seed=seed, **PLANTED)
            for mode in ("teacher", "none")
        ]
        scores = [accuracy(run.student, test) for run in runs]
        gain.append(scores[0] - scores[1])
        trust.append(runs[0].history[-1]["accepted_accuracy"] - runs[1].history[-1]["accepted_accuracy"])
    assert min(gain) > 0.005 and np.mean(gain) > 0.015 and min(trust) > 0.05, (gain, trust)


# ---------------------------------------------------------------------------------------------------- scores


def test_class_accuracy_counts_rare_classes_as_much():
    y, answer = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    assert pl.class_accuracy(y, np.eye(3)[answer], 3) == pytest.approx((0.75 + 0.5) / 2)  # class 2 does not occur


def test_mean_interval_by_hand():
    mean, low, high = pl.mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)  # Student's t with four degrees of freedom
    assert (mean, low, high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-6)
    value, *bounds = pl.mean_interval([0.5])
    assert value == 0.5 and all(map(math.isnan, bounds))


@pytest.mark.parametrize(("method", "given"), [("defixmatch", "metadata teacher"), ("softmatch", "metadata dropout")])
def test_the_grid_trains_several_repeats_at_once_as_train_does_one(method, given):
    path = Path(__file__).resolve().parents[3] / "scripts" / "measure" / "ch4_pseudo_labels.py"
    spec = importlib.util.spec_from_file_location("pseudo_label_grid", path)
    grid = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grid)
    known, more = ([random_samples(n, seed=s) for s in (1, 2)] for n in (9, 30))
    settings = {"method": grid.METHODS[method], "classes": 3, "dim": 16, "steps": 5, "encoding": ENCODING}
    together = grid.train_together(known, more, [3, 4], **settings, **grid.INPUTS[given])
    for i, seed in enumerate((3, 4)):
        alone = pl.train(known[i], more[i], seed=seed, depth=1, **settings, **grid.INPUTS[given])
        meta = more[i].meta(ENCODING) if given == "metadata dropout" else None
        close(pl.predict(together[i].student, more[i].x, meta), pl.predict(alone.student, more[i].x, meta), 1e-5)
        assert together[i].history[-1]["mask"] == pytest.approx(alone.history[-1]["mask"], abs=1e-5)

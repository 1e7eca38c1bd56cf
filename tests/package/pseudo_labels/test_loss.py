"""Losses by hand, golden numbers of the authors' code, and who learns from whom."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lulc_utils import pseudo_labels as pl

from .helpers import SMALL, close, seeded

GOLDEN = Path(__file__).parents[2] / "golden" / "st_11.npz"


def some_answers(batch=3, unlabelled=5, classes=4, dim=6, seed=0, debias=False):
    generator = seeded(seed)

    def draw(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64).requires_grad_()

    parts = draw(batch, classes), draw(unlabelled, classes), draw(batch + unlabelled, dim)
    return pl.Answers(*parts, draw(batch, classes) if debias else None)


def some_batch(seed=0):
    generator = seeded(seed)
    x, x_u = torch.randn(4, 5, generator=generator), torch.randn(8, 5, generator=generator)
    meta, meta_u = torch.randn(4, 3, generator=generator), torch.randn(8, 3, generator=generator)
    return pl.Batch(x, torch.tensor([0, 1, 2, 0]), x_u, x_u + 0.1, meta, meta_u, -meta_u)


def two_networks():
    torch.manual_seed(0)
    return pl.MetadataTransformer((5,), 3, (3,), **SMALL), pl.MetadataTransformer((5,), 3, (), **SMALL)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {key: torch.as_tensor(file[key]) for key in file.files}


def test_golden_distillation(golden):
    student = torch.cat([golden["d_s_lb"], golden["d_s_ulb"]])
    teacher = torch.cat([golden["d_t_lb"], golden["d_t_ulb"]])
    torch.testing.assert_close(pl.distillation(student, teacher, "mse"), golden["distill_mse"], rtol=1e-5, atol=1e-6)


def test_golden_consistency_with_hard_pseudo_labels_at_confidence_08(golden):
    rule = partial(pl.fixmatch, confidence=0.8)
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


def test_objective_is_the_losses_with_the_pseudo_labels_of_the_teacher():
    teacher, student = two_networks()
    batch, start = some_batch(), pl.start_state(3)
    logits = teacher(batch.weak, batch.meta_weak)[0].detach()
    median = float(logits.softmax(1).amax(1).median())
    loose = pl.Method(partial(pl.fixmatch, confidence=median), 0.8)
    pseudo, _ = pl.pseudo_labels(logits, loose.rule, start)
    assert 0 < pseudo.weight.sum() < 8
    both = pl.answers(teacher, batch, True), pl.answers(student, batch, False)
    expected = pl.losses(*both, batch.y, pseudo, lambda_u=0.8, lambda_d=0.5, distance="mae")
    settings = pl.Settings(method=loose, lambda_d=0.5, distance="mae")
    made, _, *terms = pl.objective(teacher, student, batch, start, settings)
    assert torch.equal(made.label, pseudo.label) and torch.equal(made.weight, pseudo.weight)
    for made_term, expected_term in zip(terms, expected, strict=True):
        close(made_term.detach(), expected_term.detach())


def test_answers_keep_views_and_metadata_in_order():
    teacher, student = two_networks()
    batch = some_batch()._replace(x_strong=torch.randn(4, 5, generator=seeded(9)))
    of_teacher = pl.answers(teacher, batch, True)
    for given, x, meta in (
        (of_teacher.labelled, batch.x, batch.meta),
        (of_teacher.strong, batch.strong, batch.meta_strong),
        (of_teacher.debias, batch.x_strong, batch.meta),
    ):
        torch.testing.assert_close(given, teacher(x, meta)[0], atol=1e-5, rtol=1e-5)
    feature = torch.cat([teacher(batch.x, batch.meta)[1], teacher(batch.strong, batch.meta_strong)[1]])
    torch.testing.assert_close(of_teacher.feature, feature, atol=1e-5, rtol=1e-5)
    assert pl.answers(student, some_batch(), False).debias is None


def test_the_students_gradient_is_free_of_metadata_when_no_label_or_feature_crosses():
    """Untrusted pseudo-labels and no distillation: the only two ways from the metadata to the student are shut."""
    gradients = []
    for scale in (1.0, -3.0):
        teacher, student = two_networks()
        batch = some_batch()
        batch = batch._replace(**{k: scale * getattr(batch, k) for k in ("meta", "meta_weak", "meta_strong")})
        settings = pl.Settings(method="supervised", distance="none")
        _, _, l_t, l_s = pl.objective(teacher, student, batch, pl.start_state(3), settings)
        (l_t + l_s).backward()
        gradients.append([[p.grad for p in network.parameters()] for network in (student, teacher)])
    (student_a, teacher_a), (student_b, teacher_b) = gradients
    assert student_a[0].abs().sum() > 0
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(student_a, student_b, strict=True))
    assert not torch.equal(teacher_a[0], teacher_b[0])


def test_a_perfect_teacher_labels_with_the_truth_and_trusts_it_all():
    settings = pl.Settings(metadata="none", perfect_teacher=True)
    network, batch, state = two_networks()[1], some_batch(), pl.start_state(3)
    truth = torch.arange(len(batch.weak)) % 3
    pseudo, _, loss, none = pl.objective(network, None, batch._replace(truth=truth), state, settings)
    assert torch.equal(pseudo.label, truth) and (pseudo.weight == 1).all() and none == 0
    logits = network(torch.cat([batch.x, batch.strong]))[0]
    close(loss, F.cross_entropy(logits[: len(batch.x)], batch.y) + F.cross_entropy(logits[len(batch.x) :], truth))

"""Rules of trust, each by hand."""

import inspect
import math

import pytest
import torch

from lulc_utils import pseudo_labels as pl

from .helpers import close, seeded


def probabilities(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def state(confidence, variance, mean):
    values = torch.tensor(confidence), torch.tensor(variance), torch.tensor(mean)
    return pl.State(*(v.double() for v in values))


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


def test_a_method_is_a_name_or_a_method():
    own = pl.Method(pl.softmatch, 0.3)
    assert pl.find_method(own) is own and pl.find_method("softmatch") is pl.METHODS["softmatch"]
    with pytest.raises(ValueError, match="no method 'flexmatch'; choose one of supervised, fixmatch"):
        pl.find_method("flexmatch")

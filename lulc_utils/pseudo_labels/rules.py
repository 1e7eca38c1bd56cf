"""Which pseudo-labels to trust: FixMatch, FreeMatch, SoftMatch, DeFixMatch, or none at all.

A rule turns the teacher's probabilities [U, K] for U unlabelled images into weights [U] in 0..1. It receives what
it must remember from batch to batch as a `State` and returns a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch


class State(NamedTuple):
    """What the rules remember from batch to batch, as exponential moving averages.

    confidence  [] mean of the highest probability
    variance    [] its variance
    mean        [K] mean probability of every class
    """

    confidence: torch.Tensor
    variance: torch.Tensor
    mean: torch.Tensor


Rule = Callable[[torch.Tensor, State], tuple[torch.Tensor, State]]


def start_state(classes: int, device: str | torch.device = "cpu") -> State:
    """The state of a teacher that knows nothing: every class equally probable, variance 1."""
    even = torch.full((classes,), 1 / classes, device=device)
    return State(even[0].clone(), torch.ones((), device=device), even)


def supervised(probs: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
    """Trust no pseudo-label: weights [U] of 0."""
    return torch.zeros_like(probs[:, 0]), state


def fixmatch(probs: torch.Tensor, state: State, confidence: float = 0.95) -> tuple[torch.Tensor, State]:
    """Weights [U]: 1 where the highest of probs [U, K] reaches `confidence`, else 0.

    Source: Sohn et al. 2020 (FixMatch, arXiv 2001.07685).
    """
    return (probs.amax(1) >= confidence).to(probs.dtype), state


def freematch(probs: torch.Tensor, state: State, momentum: float = 0.999) -> tuple[torch.Tensor, State]:
    """Thresholds that rise with the teacher's own confidence, lower for classes it is less sure of.

    The threshold of class c is `tau p(c) / max p`, with tau the average confidence and p the average
    probability of every class, both moved by this batch first. Source: Wang et al. 2023 (FreeMatch,
    arXiv 2205.07246), without its fairness loss.
    """
    top, label = probs.max(1)
    state = state._replace(
        confidence=_move(state.confidence, top.mean(), momentum),
        mean=_move(state.mean, probs.mean(0), momentum),
    )
    threshold = state.confidence * state.mean / state.mean.max()  # [K]
    return (top >= threshold[label]).to(probs.dtype), state


def softmatch(
    probs: torch.Tensor,
    state: State,
    momentum: float = 0.999,
    width: float = 2.0,
    align: bool = True,
) -> tuple[torch.Tensor, State]:
    """Weights [U] that fall off like a Gaussian below the average confidence, and are 1 above it.

    weight = exp(-min(top - mu, 0)^2 / (2 sigma^2 / width^2)), with mu and sigma^2 the moving mean and
    variance of the highest probability. With `align`, probabilities are first divided by the moving
    mean of their class, so that rare classes are not at a disadvantage. Source: Chen et al. 2023
    (SoftMatch, arXiv 2301.10921).
    """
    mean = _move(state.mean, probs.mean(0), momentum)
    if align:
        probs = probs / mean
        probs = probs / probs.sum(1, keepdim=True)
    top = probs.amax(1)
    spread = top.var() if len(top) > 1 else state.variance
    confidence = _move(state.confidence, top.mean(), momentum)
    variance = _move(state.variance, spread, momentum)
    below = (top - confidence).clamp_max(0)
    weight = torch.exp(-(below**2) / (2 * variance.clamp_min(1e-8) / width**2))
    return weight, State(confidence, variance, mean)


def _move(old: torch.Tensor, new: torch.Tensor, momentum: float) -> torch.Tensor:
    return momentum * old + (1 - momentum) * new


class Method(NamedTuple):
    """A semi-supervised method: its rule, the weight of the unlabelled term, and whether that term is debiased."""

    rule: Rule
    lambda_u: float = 1.0
    debias: bool = False


METHODS = {
    "supervised": Method(supervised, 0.0),
    "fixmatch": Method(fixmatch),
    # The papers' momentum of 0.999 is meant for a million steps; in a few hundred, the start would not be forgotten.
    "freematch": Method(partial(freematch, momentum=0.99)),
    "softmatch": Method(partial(softmatch, momentum=0.99)),
    "defixmatch": Method(fixmatch, 0.5, debias=True),
}


def find_method(method: str | Method) -> Method:
    """The method with a name in METHODS, or the given Method itself; ValueError for an unknown name."""
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    return METHODS[method]

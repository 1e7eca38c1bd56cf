"""The idea: a teacher that knows where and when an image was taken labels images for a student that does not.

Functions of tensors only; `objective` puts them together for one batch. B labelled and U unlabelled images per
batch, K classes, D features, E columns of encoded metadata. Source: Bernhard et al. 2024 (arXiv 2404.18583).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

from lulc_utils.pseudo_labels.rules import Rule, State, find_method
from lulc_utils.pseudo_labels.settings import Settings


class Batch(NamedTuple):
    """What one step sees: labelled images, two views of the unlabelled ones, and their encoded metadata (or None).

    x, y          [B, ...] weak views of the labelled images, [B] their classes
    weak, strong  [U, ...] views of the unlabelled images
    meta          [B, E] metadata of the labelled images
    meta_weak, meta_strong   [U, E] metadata of the unlabelled images, for each of their views
    x_strong      [B, ...] strong views of the labelled images; for DeFixMatch only
    truth         [U] hidden classes of the unlabelled images; for a perfect teacher only
    """

    x: torch.Tensor
    y: torch.Tensor
    weak: torch.Tensor
    strong: torch.Tensor
    meta: torch.Tensor | None = None
    meta_weak: torch.Tensor | None = None
    meta_strong: torch.Tensor | None = None
    x_strong: torch.Tensor | None = None
    truth: torch.Tensor | None = None


class Pseudo(NamedTuple):
    """Pseudo-labels [U] and how far each is trusted, [U] in 0..1."""

    label: torch.Tensor
    weight: torch.Tensor


class Answers(NamedTuple):
    """What one network predicts for a batch.

    labelled   [B, K] logits of the labelled images, weak view
    strong     [U, K] logits of the unlabelled images, strong view
    feature    [B + U, D] features that combine image and metadata, of the same views in this order
    debias     [B, K] logits of the labelled images, strong view; for DeFixMatch only
    """

    labelled: torch.Tensor
    strong: torch.Tensor
    feature: torch.Tensor
    debias: torch.Tensor | None = None


def pseudo_labels(weak_logits: torch.Tensor, rule: Rule, state: State) -> tuple[Pseudo, State]:
    """The teacher's decisions about weak views [U, K], and the rule's new state. No gradient flows into them."""
    probs = weak_logits.detach().softmax(1)
    weight, state = rule(probs, state)
    return Pseudo(probs.argmax(1), weight), state


def consistency(strong_logits: torch.Tensor, pseudo: Pseudo) -> torch.Tensor:
    """Cross-entropy of strong views [U, K] with their pseudo-labels, weighted; mean over ALL U, a scalar.

    Dividing by U, not by the sum of the weights, keeps the term small while few labels are trusted (Sohn et al. 2020).
    """
    return (F.cross_entropy(strong_logits, pseudo.label, reduction="none") * pseudo.weight).mean()


def distillation(student: torch.Tensor, teacher: torch.Tensor, distance: str = "mse") -> torch.Tensor:
    """How far the student's features [n, D] are from the teacher's, into which no gradient flows; a scalar.

    distance: "mse", "mae", "cosine" (one minus the cosine) or "none" (0). Source: Bernhard et al. 2024.
    """
    teacher = teacher.detach()
    match distance:
        case "mse":
            return F.mse_loss(student, teacher)
        case "mae":
            return F.l1_loss(student, teacher)
        case "cosine":
            return (1 - F.cosine_similarity(student, teacher, dim=-1)).mean()
        case "none":
            return student.new_zeros(())
    raise ValueError(f"There is no distillation {distance!r}; choose mse, mae, cosine or none.")


def losses(
    teacher: Answers,
    student: Answers | None,
    y: torch.Tensor,
    pseudo: Pseudo,
    *,
    lambda_u: float = 1.0,
    lambda_d: float = 1.0,
    distance: str = "mse",
    pseudo_labelled: Pseudo | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The losses of teacher and student, two scalars to be added and minimized in one step.

    L_T = CE(labelled, y) + lambda_u consistency(strong, pseudo)
    L_S = the same for the student + lambda_d distillation(its features, the teacher's)

    y                 [B] classes of the labelled images
    pseudo            of the unlabelled images, from the teacher's weak view; the same for both networks
    pseudo_labelled   of the labelled images, made as if they had no label: their consistency is subtracted, which
                      removes the bias of the unlabelled term (DeFixMatch, Schmutz et al. 2023, arXiv 2203.07512)

    Without a student, L_S is 0 and L_T alone is the ordinary semi-supervised loss. Source: Bernhard et al. 2024.
    """

    def loss(answers: Answers) -> torch.Tensor:
        unlabelled = consistency(answers.strong, pseudo)
        if pseudo_labelled is not None:
            unlabelled = unlabelled - consistency(answers.debias, pseudo_labelled)
        return F.cross_entropy(answers.labelled, y) + lambda_u * unlabelled

    if student is None:
        return loss(teacher), y.new_zeros((), dtype=teacher.labelled.dtype)
    return loss(teacher), loss(student) + lambda_d * distillation(student.feature, teacher.feature, distance)


def answers(network: Callable, batch: Batch, metadata: bool) -> Answers:
    """What a network predicts for the labelled images and the strong views, with metadata or without.

    All views go through the network at once. network: any function (x, meta) -> (logits, feature).
    """
    views, meta = [batch.x, batch.strong], [batch.meta, batch.meta_strong]
    if batch.x_strong is not None:
        views, meta = [*views, batch.x_strong], [*meta, batch.meta]
    logits, feature = network(torch.cat(views), torch.cat(meta) if metadata else None)
    labelled, strong, *debias = logits.split([len(view) for view in views])
    return Answers(labelled, strong, feature[: len(labelled) + len(strong)], *debias)


def objective(
    teacher: Callable, student: Callable | None, batch: Batch, state: State, settings: Settings
) -> tuple[Pseudo, State, torch.Tensor, torch.Tensor]:
    """What one step minimizes, L_T + L_S: (pseudo-labels, the rule's new state, L_T, L_S).

    teacher, student   any functions (x, meta) -> (logits, feature). Without a student, the teacher alone learns, which
                       is the ordinary semi-supervised method
    settings           only its method, metadata, perfect_teacher, distance and lambda_d matter here
    """
    method, metadata = find_method(settings.method), settings.sees_metadata
    # 1. The teacher looks at the weak views, with metadata, and the rule says which of its answers to trust.
    with torch.no_grad():
        logits = teacher(batch.weak, batch.meta_weak if metadata else None)[0]
    pseudo, state = pseudo_labels(logits, method.rule, state)
    if settings.perfect_teacher:
        pseudo = Pseudo(batch.truth, torch.ones_like(pseudo.weight))
    # 2. Both networks look at the labelled images and at the strong views, the student without metadata.
    of_teacher = answers(teacher, batch, metadata)
    of_student = None if student is None else answers(student, batch, False)
    # 3. Both learn from labels and pseudo-labels, and the student from the teacher's features.
    pseudo_labelled = None
    if method.debias:
        pseudo_labelled, _ = pseudo_labels(of_teacher.labelled, method.rule, state)
    l_t, l_s = losses(
        of_teacher,
        of_student,
        batch.y,
        pseudo,
        lambda_u=method.lambda_u,
        lambda_d=settings.lambda_d,
        distance=settings.distance,
        pseudo_labelled=pseudo_labelled,
    )
    return pseudo, state, l_t, l_s

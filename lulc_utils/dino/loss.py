"""What DINO asks for: the student's answers should be the teacher's, for whole views and for their patches.

Logits are cosines of features and K prototypes. V views, B images per batch, K prototypes, n patches per view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from lulc_utils.training import mean_over_processes


def dino_loss(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    center: torch.Tensor | float,
    student_temp: float = 0.1,
    teacher_temp: float = 0.04,
) -> torch.Tensor:
    """Cross-entropy between teacher and student, mean over all pairs of different views; a scalar.

    student_logits   [V, B, K], the views that the teacher saw first
    teacher_logits   [T, B, K], T <= V; no gradient flows into them
    center           [K] or [1, K], `c`; subtracted from the teacher's logits so that no prototype takes all

    Source: DINOLoss in main_dino.py, whose student layout is [V * B, K], one view after the other.
    """
    target = F.softmax((teacher_logits.detach() - center) / teacher_temp, dim=-1)
    answer = F.log_softmax(student_logits / student_temp, dim=-1)
    pairs = [(t, v) for t in range(len(target)) for v in range(len(answer)) if t != v]
    return sum(-(target[t] * answer[v]).sum(-1).mean() for t, v in pairs) / len(pairs)


def patch_loss(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    index: torch.Tensor,
    center: torch.Tensor | float,
    student_temp: float = 0.1,
    teacher_temp: float = 0.04,
) -> torch.Tensor:
    """The same cross-entropy for patches that show the same ground in two views; a scalar.

    student_logits   [B, n, K] of one view, teacher_logits [B, m, K] of another
    index            [B, n] of `same_ground`: the teacher's patch at the place of every student patch, or -1

    Mean over an image's shared patches, then over the batch. Source: iBOT, across views instead of within one.
    """
    patches = index.clamp_min(0).unsqueeze(-1).expand(-1, -1, teacher_logits.shape[-1])
    target = F.softmax((teacher_logits.detach().gather(1, patches) - center) / teacher_temp, dim=-1)  # [B, n, K]
    loss = -(target * F.log_softmax(student_logits / student_temp, dim=-1)).sum(-1)  # [B, n]
    shared = (index >= 0).float()
    return ((loss * shared).sum(1) / shared.sum(1).clamp_min(1)).mean()


def same_ground(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Cells [B, h, h] of two views -> [B, h * h]: which teacher patch shows a student patch's ground, -1 if none."""
    student, teacher = student.flatten(1), teacher.flatten(1)
    shared = student.unsqueeze(2) == teacher.unsqueeze(1)  # [B, h * h, h * h] of the student, of the teacher
    return torch.where(shared.any(2), shared.byte().argmax(2), -1)


def cross_view_loss(
    cells: Sequence[torch.Tensor],
    student: Sequence[torch.Tensor],
    teacher: Sequence[torch.Tensor],
    center: torch.Tensor | float,
    student_temp: float = 0.1,
    teacher_temp: float = 0.04,
) -> torch.Tensor:
    """Mean `patch_loss` over all pairs of a teacher's view and another one of the student's; a scalar.

    cells   V x [B, h, h], the ground that the patches of every view show; of patches V x [B, h * h, K]
    """
    pairs = [(t, v) for t in range(len(teacher)) for v in range(len(student)) if t != v]
    losses = [
        patch_loss(student[v], teacher[t], same_ground(cells[v], cells[t]), center, student_temp, teacher_temp)
        for t, v in pairs
    ]
    return sum(losses) / len(losses)


def update_center(center: torch.Tensor, teacher_logits: torch.Tensor, momentum: float = 0.9) -> torch.Tensor:
    """The new center `c <- m c + (1 - m) mean(teacher logits)`, [K] or [1, K]; call it AFTER the loss.

    teacher_logits [..., K]. In a distributed run the mean is over all processes, each with as many logits.
    """
    mean = teacher_logits.detach().float().flatten(0, -2).mean(0)
    return momentum * center + (1 - momentum) * mean_over_processes(mean)


def entropies(answers: torch.Tensor) -> tuple[float, float]:
    """(mean entropy of the answers, entropy of the mean answer) of probabilities [..., K], in nats, 0..log K.

    Of a healthy teacher the first is well below the second. Both near log K: every answer is uniform. Both near
    0: every answer is the same prototype.
    """
    probs = answers.detach().float().flatten(0, -2)
    each = mean_over_processes(torch.special.entr(probs).sum(-1).mean())
    return float(each), float(torch.special.entr(mean_over_processes(probs.mean(0))).sum())


def collapse_warning(sample_entropy: float, mean_entropy: float, prototypes: int) -> str | None:
    """One plain sentence when `entropies` tell of a collapse to the uniform or to a single answer, else None."""
    top = math.log(prototypes)
    if mean_entropy < 0.1 * top:
        return (
            f"Collapse to one point: nearly all images get the same prototype (entropy of the mean "
            f"{mean_entropy:.2f} of {top:.2f}); use centering (center_momentum 0.9) or a higher teacher temperature."
        )
    if sample_entropy > 0.95 * top:
        return (
            f"Collapse to the uniform answer: the teacher prefers no prototype (entropy per image "
            f"{sample_entropy:.2f} of {top:.2f}); lower the teacher temperature or the learning rate."
        )
    return None

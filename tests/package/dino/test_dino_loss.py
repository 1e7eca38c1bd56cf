"""The losses, against the reference's numbers and closed forms."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lulc_utils import dino
from lulc_utils.training import cosine_schedule

GOLDEN = Path(__file__).parents[2] / "golden" / "dino_11.npz"


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN, allow_pickle=False)


def test_loss_and_center_are_the_references(golden):
    center = torch.zeros(1, 32)
    for epoch in range(3):
        student = torch.from_numpy(golden[f"student{epoch}"]).view(6, 8, 32)  # one crop after the other
        teacher = torch.from_numpy(golden[f"teacher{epoch}"]).view(2, 8, 32)
        loss = dino.dino_loss(student, teacher, center, 0.1, float(golden[f"teacher_temp{epoch}"]))
        center = dino.update_center(center, teacher, 0.9)
        assert abs(float(loss) - float(golden[f"loss{epoch}"])) < 1e-5 * float(golden[f"loss{epoch}"])
        np.testing.assert_allclose(center.numpy(), golden[f"center_after{epoch}"], atol=1e-5)


def test_schedule_is_the_references(golden):
    ours = cosine_schedule(5e-4, 1e-6, 50, warmup_steps=10)
    np.testing.assert_allclose(ours, golden["cosine_schedule"], rtol=1e-5, atol=1e-12)


def test_schedule_ends():
    assert len(cosine_schedule(1, 0, 7, 3)) == 7
    np.testing.assert_allclose(cosine_schedule(1, 0, 3, 10, start=0.5), [0.5, 0.75, 1.0])


def test_loss_of_a_student_without_opinion_is_log_k():
    teacher = torch.randn(2, 5, 16)
    assert float(dino.dino_loss(torch.zeros(4, 5, 16), teacher, 0.0)) == pytest.approx(math.log(16), rel=1e-5)


def test_loss_leaves_the_teacher_and_the_own_view_alone():
    teacher = torch.randn(2, 5, 16, requires_grad=True)
    student = torch.randn(2, 5, 16, requires_grad=True)
    dino.dino_loss(student, teacher, 0.0).backward()
    assert teacher.grad is None
    answer = F.softmax(student.detach() / 0.1, -1)
    target = F.softmax(teacher.detach() / 0.04, -1)
    expected = (answer - target.flip(0)) / 0.1 / (2 * 5)  # view 0 learns from view 1 only, and the reverse
    torch.testing.assert_close(student.grad, expected)


def test_patch_loss_counts_shared_ground_only():
    teacher = torch.full((1, 3, 4), -100.0)
    teacher[0, [0, 1, 2], [0, 1, 2]] = 100.0  # patch i answers prototype i
    student = torch.zeros(1, 3, 4)
    student[0, 0, 2] = 1.0
    index = torch.tensor([[2, -1, -1]])
    expected = -F.log_softmax(student[0, 0] / 0.1, -1)[2]
    torch.testing.assert_close(dino.patch_loss(student, teacher, index, 0.0), expected)
    nothing = dino.patch_loss(student, teacher, torch.full((1, 3), -1), 0.0)
    assert float(nothing) == 0


def test_teacher_is_the_moving_average():
    teacher, student = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = teacher.weight.detach().clone()
    for _ in range(3):
        dino.update_teacher(teacher, student, 0.9)
    torch.testing.assert_close(teacher.weight.detach(), 0.9**3 * before + (1 - 0.9**3) * student.weight.detach())


def test_head_gives_cosines():
    head = dino.Head(8, prototypes=5)
    with torch.no_grad():
        head.prototypes *= 7
    logits = head(torch.randn(3, 4, 8))
    assert logits.shape == (3, 4, 5) and logits.abs().max() <= 1 + 1e-6
    with torch.no_grad():
        head.prototypes[0] = head.mlp(torch.ones(8)) * 3
    assert float(head(torch.ones(8))[0].detach()) == pytest.approx(1, abs=1e-5)


def test_cells_that_are_not_shared_are_marked():
    index = dino.same_ground(torch.tensor([[[0, 1], [4, 5]]]), torch.tensor([[[1, 2], [5, 6]]]))
    assert index.tolist() == [[-1, 0, -1, 2]]


def test_entropies_and_their_warnings():
    k = 64
    healthy = torch.eye(k).repeat(3, 1)
    assert dino.entropies(healthy) == pytest.approx((0, math.log(k)), abs=1e-5)
    assert dino.collapse_warning(*dino.entropies(healthy), k) is None
    uniform = torch.full((5, k), 1 / k)
    assert dino.entropies(uniform) == pytest.approx((math.log(k), math.log(k)), abs=1e-5)
    assert "uniform" in dino.collapse_warning(*dino.entropies(uniform), k)
    point = torch.eye(k)[[3, 3, 3]]
    assert dino.entropies(point) == pytest.approx((0, 0), abs=1e-5)
    assert "one point" in dino.collapse_warning(*dino.entropies(point), k)

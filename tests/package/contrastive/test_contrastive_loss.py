"""The contrastive loss against closed forms."""

import math

import pytest
import torch
from small_trainings import seeded
from torch.nn import functional as F

from lulc_utils import contrastive as co

pytestmark = pytest.mark.usefixtures("one_thread")


def test_identical_views_without_negatives_cost_nothing():
    z = torch.randn(1, 16, generator=seeded())
    assert float(co.info_nce(z, z)) == 0
    many = torch.randn(20, 16, generator=seeded())
    assert float(co.info_nce(many, many, exclude=torch.ones(20, 20, dtype=torch.bool))) == 0
    assert float(co.info_nce(many, -many)) > 1


@pytest.mark.parametrize(("n", "tau"), [(2, 1.0), (16, 0.1), (64, 0.2)])
def test_orthogonal_embeddings_have_a_closed_form(n, tau):
    z = torch.linalg.qr(torch.randn(n, n, generator=seeded(), dtype=torch.float64))[0]
    expected = math.log(1 + (n - 1) * math.exp(-1 / tau))
    assert float(co.info_nce(z, z, tau)) == pytest.approx(expected, abs=1e-12)
    assert float(co.symmetric_info_nce(3 * z, z, tau)) == pytest.approx(expected, abs=1e-12)  # lengths do not count


def test_equal_embeddings_cost_log_n():
    z = torch.ones(37, 8)
    assert float(co.info_nce(z, z)) == pytest.approx(math.log(37), rel=1e-6)


def test_excluded_pairs_are_no_negatives():
    za, zb = torch.randn(2, 3, 8, generator=seeded())
    exclude = torch.zeros(3, 3, dtype=torch.bool)
    exclude[0, 2] = True
    exclude[1, 1] = True  # its own partner: must not go
    a, b = F.normalize(za, dim=1), F.normalize(zb, dim=1)
    s = (a @ b.T / 0.1).exp()
    expected = -sum(math.log(x) for x in (s[0, 0] / s[0, :2].sum(), s[1, 1] / s[1].sum(), s[2, 2] / s[2].sum())) / 3
    assert float(co.info_nce(za, zb, 0.1, exclude)) == pytest.approx(expected, rel=1e-5)
    both = (co.info_nce(za, zb, 0.1, exclude) + co.info_nce(zb, za, 0.1, exclude.T)) / 2
    assert torch.equal(co.symmetric_info_nce(za, zb, 0.1, exclude), both)


def test_gradient():
    za, zb = (torch.randn(6, 5, dtype=torch.float64, generator=seeded(i), requires_grad=True) for i in (0, 1))
    exclude = co.near_neighbors(torch.rand(2, 3, 2, generator=seeded()), 0.5)
    assert exclude.any() and torch.autograd.gradcheck(lambda a, b: co.symmetric_info_nce(a, b, 0.2, exclude), (za, zb))


def test_near_neighbors_are_of_one_patch():
    ground = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [9.0, 9.0], [9.5, 9.0]]])
    near = co.near_neighbors(ground, 4.0)
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[0, 1] = expected[1, 0] = expected[4, 5] = expected[5, 4] = True  # 4 pixels are not closer than 4
    assert torch.equal(near, expected)
    assert torch.equal(co.near_neighbors(ground[:1], 4.0), expected[:3, :3])

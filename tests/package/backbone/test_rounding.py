"""bf16 with and without a unit for it: close to fp32, and each other."""

import pytest
import torch

from lulc_utils import backbone as bb
from lulc_utils.backbone import rounding
from lulc_utils.backbone.images import prepared

pytestmark = pytest.mark.usefixtures("one_thread")


def test_bf16_is_close_but_not_the_same(vit, images):
    exact, quick = (bb.patch_features(vit, images, precision=p) for p in ("fp32", "bf16"))
    assert quick.dtype == torch.float32
    assert 0 < (exact - quick).norm() / exact.norm() < 0.02
    assert (bb.last_attention(vit, images) - bb.last_attention(vit, images, precision="bf16")).abs().max() < 0.01
    with pytest.raises(ValueError, match="choose 'fp32' or 'bf16'"):
        bb.patch_features(vit, images, precision="fp8")


@pytest.mark.parametrize("unit", [True, False])
def test_bf16_with_and_without_a_unit_for_it_agree(vit, images, monkeypatch, unit):
    monkeypatch.setattr(rounding, "multiplies_bf16", lambda device: unit)
    assert isinstance(rounding.bf16("cpu"), torch.autocast if unit else rounding.RoundedFactors)
    exact, result = (bb.patch_features(vit, images[:1], precision=p) for p in ("fp32", "bf16"))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        x = prepared(torch.from_numpy(images[:1]), vit)
        autocast = vit.model.forward_features(x).float()[:, 1:].unflatten(1, (5, 7))
    assert (result - autocast).norm() / exact.norm() < (1e-6 if unit else 0.02)
    assert 1e-4 < (result - exact).norm() <= (autocast - exact).norm() * 1.001  # rounding fewer numbers is closer


def test_rounded_factors_are_multiplied_exactly():
    """Factors of 8 bits have products of 16, so that sums of a few are exact in fp32, in every order."""
    layer, x = torch.nn.Linear(4, 3), torch.tensor([[1 + 2**-7, 1 + 2**-10, -3.0, 0.5]])
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1, 1, 1, 1], [1 + 2**-9, 0, 0, 0], [0, 1 + 2**-7, 0, 2]]))
        layer.bias.copy_(torch.tensor([0, 2**-7, 1 + 2**-9]))
    with rounding.RoundedFactors():
        assert layer(x).tolist() == [[2**-7 - 0.5, 1 + 2**-6, 3 + 2**-7]]
    assert layer(x).tolist() != [[2**-7 - 0.5, 1 + 2**-6, 3 + 2**-7]]
    assert torch.equal(rounding.rounded(torch.tensor([1 + 2**-8, 1 + 3 * 2**-8])), torch.tensor([1, 1 + 2**-6]))

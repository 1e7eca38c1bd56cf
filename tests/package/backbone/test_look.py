"""Similarity, principal colors and raw color by hand."""

import pytest
import torch

from lulc_utils import backbone as bb

pytestmark = pytest.mark.usefixtures("one_thread")


def test_raw_color_is_mean_and_deviation_per_patch(images):
    result = bb.raw_color(images, patch=4)
    assert result.shape == (3, 10, 13, 6)
    block = images[1, :, 8:12, 20:24] / 255
    assert result[1, 2, 5].numpy() == pytest.approx([*block.mean((1, 2)), *block.std((1, 2))], abs=1e-6)


def test_similarity_is_the_cosine():
    features = torch.tensor([[[1.0, 0], [2, 2]], [[0, -3], [-1, 0]]])
    result = bb.similarity(features, 0, 0)
    assert result.flatten().tolist() == pytest.approx([1, 0.5**0.5, 0, -1])
    with pytest.raises(ValueError, match="no patch"):
        bb.similarity(features, 2, 0)
    with pytest.raises(ValueError, match="one image"):
        bb.similarity(features[None], 0, 0)


def test_pca_finds_the_axes_and_applies_to_other_images():
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([1.0, 9, 0.01, 3, 0.01])
    features = torch.randn(2, 20, 20, 5, generator=generator) * spread + 7
    fit = bb.fit_pca(features)
    assert fit.axes.abs().argmax(0).tolist() == [1, 3, 0]
    assert (fit.axes.gather(0, fit.axes.abs().argmax(0, keepdim=True)) > 0).all()  # the sign is settled
    colors = bb.pca_rgb(features)
    assert colors.shape == (2, 20, 20, 3) and colors.min() == 0 and colors.max() == 1
    assert ((colors == 0) | (colors == 1)).float().mean() == pytest.approx(0.04, abs=0.01)
    assert torch.equal(bb.pca_rgb(features[1:], fit), colors[1:])
    assert not torch.equal(bb.pca_rgb(features[1:]), colors[1:])
    assert torch.equal(bb.pca_rgb(torch.ones(1, 4, 4, 5)), torch.zeros(1, 4, 4, 3))  # nothing to tell apart
    with pytest.raises(ValueError, match="three finite numbers"):
        bb.fit_pca(features[..., :2])

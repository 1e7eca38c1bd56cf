"""Features, CLS tokens and attention against the golden ViT, of images of any size, and what is refused."""

import numpy as np
import pytest
import torch
from tiny_vit import tiny
from torch.nn import functional as F

from lulc_utils import backbone as bb

pytestmark = pytest.mark.usefixtures("one_thread")


def test_tokens_match_the_dino_reference(golden_vit, golden):
    result = bb.tokens(golden_vit, golden["vit_x"])
    want = torch.from_numpy(golden["vit_tokens"])
    assert (result - want).abs().max() < 1e-5
    assert (bb.cls_tokens(golden_vit, golden["vit_x"]) - want[:, 0]).abs().max() < 1e-5
    patches = bb.patch_features(golden_vit, golden["vit_x"], batch_size=1)
    assert patches.shape == (2, 4, 4, 48)
    assert (patches - want[:, 1:].reshape(2, 4, 4, 48)).abs().max() < 1e-5


def test_attention_matches_the_dino_reference(golden_vit, golden):
    result = bb.last_attention(golden_vit, golden["vit_x"])
    want = torch.from_numpy(golden["vit_attention"])
    assert (result - want[:, :, 0, 1:].reshape(2, 3, 4, 4)).abs().max() < 1e-5
    of_patch = bb.last_attention(golden_vit, golden["vit_x"], of=(2, 1))
    assert (of_patch - want[:, :, 1 + 2 * 4 + 1, 1:].reshape(2, 3, 4, 4)).abs().max() < 1e-5
    with pytest.raises(ValueError, match=r"no patch \(4, 0\) in a grid of \(4, 4\)"):
        bb.last_attention(golden_vit, golden["vit_x"], of=(4, 0))
    assert golden_vit.model.blocks[-1].attn.fused_attn == tiny().blocks[-1].attn.fused_attn  # put back
    assert not golden_vit.model.blocks[-1].attn.attn_drop._forward_pre_hooks


def test_last_blocks_follow_one_another_as_in_timm(golden_vit, golden):
    x = torch.from_numpy(golden["vit_x"])
    want = golden_vit.model.get_intermediate_layers(x, n=2, norm=True)  # 2 x [2, 16, 48]
    result = bb.patch_features(golden_vit, golden["vit_x"], blocks=2)
    assert result.shape == (2, 4, 4, 96)
    assert torch.allclose(result, torch.cat(want, -1).unflatten(1, (4, 4)), atol=1e-6)
    assert torch.equal(result[..., 48:], bb.patch_features(golden_vit, golden["vit_x"]))
    assert bb.cls_tokens(golden_vit, golden["vit_x"], blocks=2).shape == (2, 96)
    assert not any(block._forward_hooks for block in golden_vit.model.blocks)
    for call, most, blocks in ((bb.patch_features, 2, 0), (bb.patch_features, 2, 3), (bb.last_attention, 1, 2)):
        with pytest.raises(ValueError, match=f"between 1 and {most}, not {blocks}"):
            call(golden_vit, golden["vit_x"], blocks=blocks)


def test_images_are_normalized_once(vit, images):
    as_bytes = bb.patch_features(vit, images)
    as_floats = bb.patch_features(vit, images.astype(np.float64) / 255)
    as_tensor = bb.patch_features(vit, torch.from_numpy(images))
    assert torch.equal(as_bytes, as_tensor) and (as_bytes - as_floats).abs().max() < 1e-5
    bare = bb.wrap(vit.model, "bare", mean=None, std=None)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in bb.IMAGENET)
    by_hand = bb.patch_features(bare, (images.astype(np.float32) / 255 - mean) / std)
    assert (by_hand - as_bytes).abs().max() < 1e-5
    assert (bb.patch_features(bare, images) - as_bytes).abs().max() > 1e-2


@pytest.mark.parametrize("size, grid", [((40, 52), (5, 7)), ((16, 16), (2, 2)), ((3, 9), (1, 2)), ((97, 8), (13, 1))])
def test_any_size_is_padded_to_whole_patches(vit, size, grid):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    features = bb.patch_features(vit, image)
    assert features.shape == (1, *grid, 192) and features.dtype == torch.float32
    assert bb.last_attention(vit, image).shape == (1, 3, *grid)
    assert bb.raw_color(image).shape == (1, *grid, 6)
    if size == (40, 52):
        whole = F.pad(image, (0, 4, 0, 0), mode="reflect")
        assert torch.equal(bb.patch_features(vit, whole), features)


def test_batches_and_bars_do_not_change_the_result(vit, images, capsys):
    alone = bb.patch_features(vit, images, batch_size=1)
    assert (bb.patch_features(vit, images, batch_size=2, progress=True) - alone).abs().max() < 1e-5
    assert "random ViT" in capsys.readouterr().err
    bb.patch_features(vit, images)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "bad, sentence",
    [
        (np.zeros((3, 8, 8), np.uint8), r"\[N, 3, rows, cols\]"),
        (np.zeros((0, 3, 8, 8), np.uint8), "at least one image"),
        (np.zeros((1, 8, 8, 3), np.uint8), "move the bands to the front"),
        (np.zeros((1, 10, 8, 8), np.uint8), "takes 3 bands"),
        (np.zeros((1, 3, 8, 8), np.uint16), "uint8 or floats"),
        (np.full((1, 3, 8, 8), 255.0), "must lie in 0..1"),
        (np.full((1, 3, 8, 8), -0.1), "must lie in 0..1"),
        (np.full((1, 3, 8, 8), np.nan), "NaN"),
        (np.full((1, 3, 8, 8), "x"), "must be numbers"),
    ],
)
def test_bad_images_get_one_sentence(vit, bad, sentence):
    with pytest.raises(ValueError, match=sentence):
        bb.patch_features(vit, bad)


def test_read_only_and_flipped_arrays_are_fine(vit, images):
    view = images[:, :, ::-1]
    view.flags.writeable = False
    assert torch.equal(bb.patch_features(vit, view), bb.patch_features(vit, view.copy()))


def test_dinov3_with_registers_and_rotary_positions():
    model = bb.load("vit_small_patch16_dinov3", pretrained=False)
    image = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    assert model.patch == 16 and model.model.num_prefix_tokens == 5
    all_tokens = bb.tokens(model, image)
    assert all_tokens.shape == (1, 5 + 3 * 3, 384)
    assert torch.equal(bb.patch_features(model, image).flatten(1, 2), all_tokens[:, 5:])
    attention = bb.last_attention(model, image)
    assert attention.shape == (1, 6, 3, 3) and 0 < attention.sum() < 6


def test_a_model_without_cls_token_says_so():
    model = bb.wrap(tiny(class_token=False, global_pool="avg", fc_norm=False), "no cls")
    image = np.zeros((1, 3, 16, 16), np.uint8)
    assert bb.patch_features(model, image).shape == (1, 2, 2, 48)
    for call in (bb.cls_tokens, bb.last_attention):
        with pytest.raises(ValueError, match="CLS"):
            call(model, image)

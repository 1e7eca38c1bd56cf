"""Backbones against the golden ViT, closed forms, and everything that can go wrong on the way to weights."""

import json
import pickle
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch.nn import functional as F

from lulc_utils import backbone as bb
from lulc_utils.backbone import rounding

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "dino_11.npz", allow_pickle=False)
TINY = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}


pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(**options):
    return VisionTransformer(**{**TINY, **options}, num_classes=0, dynamic_img_size=True)


@pytest.fixture
def golden_vit():
    model = tiny()
    weights = {k.removeprefix("vit_w."): torch.from_numpy(GOLDEN[k]) for k in GOLDEN if k.startswith("vit_w.")}
    model.load_state_dict(weights)
    return bb.wrap(model, "golden", mean=None, std=None)


@pytest.fixture(scope="module")
def vit():
    return bb.load("random")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 3, 40, 52), dtype=np.uint8)


# ------------------------------------------------------------------------------------------- golden numbers


def test_tokens_match_the_dino_reference(golden_vit):
    found = bb.tokens(golden_vit, GOLDEN["vit_x"])
    want = torch.from_numpy(GOLDEN["vit_tokens"])
    assert (found - want).abs().max() < 1e-5
    assert (bb.cls_tokens(golden_vit, GOLDEN["vit_x"]) - want[:, 0]).abs().max() < 1e-5
    patches = bb.patch_features(golden_vit, GOLDEN["vit_x"], batch_size=1)
    assert patches.shape == (2, 4, 4, 48)
    assert (patches - want[:, 1:].reshape(2, 4, 4, 48)).abs().max() < 1e-5


def test_attention_matches_the_dino_reference(golden_vit):
    found = bb.last_attention(golden_vit, GOLDEN["vit_x"])
    want = torch.from_numpy(GOLDEN["vit_attention"])[:, :, 0, 1:].reshape(2, 3, 4, 4)
    assert (found - want).abs().max() < 1e-5
    assert golden_vit.model.blocks[-1].attn.fused_attn == tiny().blocks[-1].attn.fused_attn  # put back
    assert not golden_vit.model.blocks[-1].attn.attn_drop._forward_pre_hooks


def test_last_blocks_follow_one_another_as_in_timm(golden_vit):
    x = torch.from_numpy(GOLDEN["vit_x"])
    want = golden_vit.model.get_intermediate_layers(x, n=2, norm=True)  # 2 x [2, 16, 48]
    found = bb.patch_features(golden_vit, GOLDEN["vit_x"], blocks=2)
    assert found.shape == (2, 4, 4, 96)
    assert torch.allclose(found, torch.cat(want, -1).unflatten(1, (4, 4)), atol=1e-6)
    assert torch.equal(found[..., 48:], bb.patch_features(golden_vit, GOLDEN["vit_x"]))
    assert bb.cls_tokens(golden_vit, GOLDEN["vit_x"], blocks=2).shape == (2, 96)
    assert not any(block._forward_hooks for block in golden_vit.model.blocks)
    for call, most, blocks in ((bb.patch_features, 2, 0), (bb.patch_features, 2, 3), (bb.last_attention, 1, 2)):
        with pytest.raises(ValueError, match=f"between 1 and {most}, not {blocks}"):
            call(golden_vit, GOLDEN["vit_x"], blocks=blocks)


# --------------------------------------------------------------------------------------------- any image


def test_images_are_normalised_once(vit, images):
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
    one = bb.patch_features(vit, images, batch_size=1)
    assert (bb.patch_features(vit, images, batch_size=2, progress=True) - one).abs().max() < 1e-5
    assert "random ViT" in capsys.readouterr().err
    bb.patch_features(vit, images)
    assert capsys.readouterr().err == ""


def threads_of(model: torch.nn.Module, seen: list) -> None:
    """Let the model note who computes its batches: (thread, how many threads of its own, images)."""
    model.register_forward_pre_hook(
        lambda _, x: seen.append((threading.get_ident(), torch.get_num_threads(), len(x[0])))
    )


def test_threads_take_a_batch_each(two_threads):
    model, seen = tiny(), []
    backbone = bb.wrap(model, "tiny", view=48)
    x = np.random.default_rng(2).integers(0, 256, (3, 3, 88, 61), dtype=np.uint8)  # 6 windows each
    threads_of(model.patch_embed, seen)
    found = bb.patch_features(backbone, x)
    assert [(own, images) for _, own, images in seen] == [(1, 9), (1, 9)]
    assert threading.get_ident() not in {thread for thread, *_ in seen}
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 2
    seen.clear()
    close(bb.patch_features(backbone, x, batch_size=1), found)  # one at a time, by all threads
    assert set(seen) == {(threading.get_ident(), 2, 1)} and len(seen) == 18
    seen.clear()
    close(bb.patch_features(backbone, x, batch_size=5), found)
    assert max(images for *_, images in seen) == 2  # 5 in both together
    for output in (partial(bb.patch_features, blocks=2), bb.last_attention):
        seen.clear()
        output(backbone, x)
        assert {(thread, own) for thread, own, _ in seen} == {(threading.get_ident(), 2)}
    torch.set_num_threads(1)
    seen.clear()
    close(bb.patch_features(backbone, x), found)
    assert set(seen) == {(threading.get_ident(), 1, 18)}


def test_an_error_in_one_thread_ends_all(two_threads):
    model, seen = tiny(), []
    backbone = bb.wrap(model, "tiny")

    def fails(_, x):
        seen.append(len(x[0]))
        time.sleep(0.05)
        raise MemoryError("no room")

    model.patch_embed.register_forward_pre_hook(fails)
    with pytest.raises(MemoryError, match="no room"):
        bb.patch_features(backbone, np.zeros((40, 3, 16, 16), np.uint8), batch_size=2)
    assert torch.get_num_threads() == 2
    assert len(seen) < 20  # most batches were never begun


@pytest.mark.parametrize("pieces, workers, at_once", list(product((1, 2, 7, 36, 100), (1, 2, 16), (1, 5, 32))))
def test_batches_are_even_and_no_larger_than_asked(pieces, workers, at_once):
    batches = bb._batches(range(pieces), workers, at_once)
    sizes = [len(batch) for batch in batches]
    assert [i for batch in batches for i in batch] == list(range(pieces))
    assert max(sizes) <= at_once
    rounds = -(-pieces // (workers * at_once))
    assert max(sizes) == -(-pieces // (workers * rounds)) and len(batches) <= workers * rounds


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
    exact, found = (bb.patch_features(vit, images[:1], precision=p) for p in ("fp32", "bf16"))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        x = bb._padded(bb._normalised(torch.from_numpy(images[:1]), vit), 8)
        autocast = vit.model.forward_features(x).float()[:, 1:].unflatten(1, (5, 7))
    assert (found - autocast).norm() / exact.norm() < (1e-6 if unit else 0.02)
    assert 1e-4 < (found - exact).norm() <= (autocast - exact).norm() * 1.001  # rounding fewer numbers is closer


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


# ----------------------------------------------------------------------------------------------- windows


def test_spans_cover_everything_once_and_overlap():
    for side in range(3, 12):
        for whole in range(1, 60):
            spans = bb._spans(whole, side)
            assert [i for _, _, kept in spans for i in range(whole)[kept]] == list(range(whole))
            assert all(end - first == min(side, whole) and 0 <= first and end <= whole for first, end, _ in spans)
            assert all(first <= kept.start and kept.stop <= end for first, end, kept in spans)
            assert all(b[0] <= a[1] - bb.OVERLAP for a, b in pairwise(spans))
            for first, end, kept in spans:
                # what is kept never lies at a window's edge, but for the image's
                assert kept.start > first or kept.start == 0
                assert kept.stop < end or kept.stop == whole


def test_a_view_reads_large_images_in_windows():
    model, x = tiny(), np.random.default_rng(1).integers(0, 256, (2, 3, 88, 61), dtype=np.uint8)
    windowed, whole = (bb.wrap(model, "tiny", view=view) for view in (48, None))
    found = bb.patch_features(windowed, x)  # 11 x 8 patches in windows of 6: rows from 0, 2 and 5, columns from 0 and 2
    assert found.shape == (2, 11, 8, 48)
    corner = bb.patch_features(whole, x[:, :, :48, :48])
    close(found[:, :4, :4], corner[:, :4, :4])
    low = bb.patch_features(whole, x[:, :, 40:, 16:])  # padded to whole patches on the right
    close(found[:, 7:, 5:], low[:, 2:, 3:])
    assert (found - bb.patch_features(whole, x)).abs().max() > 1e-2
    for size in (1, 2, 5):
        close(bb.patch_features(windowed, x, batch_size=size), found)
    far = x.copy()
    far[:, :, 60:] = 255
    assert torch.equal(bb.patch_features(windowed, far)[:, :4], found[:, :4])  # pixels of other windows do not matter
    close(bb.patch_features(windowed, x, blocks=2)[..., 48:], found)


def test_a_view_does_not_change_small_images_and_other_outputs():
    model, x = tiny(), np.random.default_rng(1).integers(0, 256, (1, 3, 48, 30), dtype=np.uint8)
    windowed, whole = (bb.wrap(model, "tiny", view=view) for view in (48, None))
    assert torch.equal(bb.patch_features(windowed, x), bb.patch_features(whole, x))
    large = np.tile(x, (1, 1, 2, 2))
    for call in (bb.tokens, bb.cls_tokens, bb.last_attention):
        assert torch.equal(call(windowed, large), call(whole, large))


def test_views_of_the_shipped_network_and_of_files(tmp_path):
    copy = shutil.copy(bb.EMBEDDED_FILE, tmp_path / "copy.safetensors")
    for net in (bb.load("embedded"), bb.load("embedded", weights=copy), bb.load("random")):
        assert net.view == bb.EMBEDDED_VIEW == 80
    for view in (None, 24):
        bb.save(bb.wrap(tiny(), "mine", view=view), tmp_path / "mine.safetensors")
        assert bb.load("embedded", weights=tmp_path / "mine.safetensors").view == view
    for wrong in (20, 16, 0):
        with pytest.raises(ValueError, match=f"multiple of the patch of 8 pixels, three at least, not {wrong}"):
            bb.wrap(tiny(), "mine", view=wrong)


def close(a, b):
    assert a.shape == b.shape
    assert (a - b).abs().max() < 1e-5


# ------------------------------------------------------------------------------------------------- cache


def test_cache_gives_identical_bits_without_the_model(vit, images, tmp_path, monkeypatch):
    first = bb.patch_features(vit, images, cache=tmp_path)
    file = next(tmp_path.iterdir())
    kept = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(vit.model, "forward_features", lambda x: pytest.fail("the model ran"))
        assert torch.equal(bb.patch_features(vit, images, cache=tmp_path), first)
    for damage in (kept[:-100], b"nonsense", b"", pickle.dumps([1])):
        file.write_bytes(damage)
        assert torch.equal(bb.patch_features(vit, images, cache=tmp_path), first)
        assert file.read_bytes() == kept
    assert [f.name for f in tmp_path.iterdir()] == [file.name]  # no temporary file is left behind


def test_cache_tells_everything_apart_that_matters(vit, images, tmp_path):
    calls = [
        lambda: bb.patch_features(vit, images, cache=tmp_path),
        lambda: bb.patch_features(vit, images, cache=tmp_path, precision="bf16"),
        lambda: bb.cls_tokens(vit, images, cache=tmp_path),
        lambda: bb.tokens(vit, images, cache=tmp_path),
        lambda: bb.last_attention(vit, images, cache=tmp_path),
        lambda: bb.patch_features(vit, images.reshape(3, 3, 52, 40), cache=tmp_path),
        lambda: bb.patch_features(vit, np.maximum(images, 1), cache=tmp_path),
        lambda: bb.patch_features(bb.load("random", seed=1), images, cache=tmp_path),
        lambda: bb.patch_features(bb.wrap(vit.model, vit.name, mean=None), images, cache=tmp_path),
        lambda: bb.patch_features(bb.wrap(vit.model, vit.name, view=24), images, cache=tmp_path),
    ]
    for n, call in enumerate(calls, 1):
        call()
        assert len(list(tmp_path.iterdir())) == n


def test_cache_key_of_one_block_stays_what_it_was(golden_vit, tmp_path):
    """Features that readers have kept stay valid: the key of fixed weights and images, as first released."""
    bb.patch_features(golden_vit, GOLDEN["vit_x"], cache=tmp_path)
    first = next(tmp_path.iterdir()).stem
    assert first == "291e55d0137dec69890146740686113989662fccdb5b532a2535bbd06aa1fd1e"
    kept = bb.patch_features(golden_vit, GOLDEN["vit_x"], blocks=2, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert torch.equal(bb.patch_features(golden_vit, GOLDEN["vit_x"], blocks=2, cache=tmp_path), kept)


def test_cache_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_CACHE_DIR", str(tmp_path))
    assert bb.cache_folder() == tmp_path / "features"
    monkeypatch.delenv("LULC_CACHE_DIR")
    assert "lulc-utils" in str(bb.cache_folder())


# --------------------------------------------------------------------------------------- random and embedded


def test_random_weights_repeat_and_leave_the_global_state_alone():
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = bb.load("random"), bb.load("random"), bb.load("random", seed=1)
    assert torch.equal(torch.rand(3), want)
    assert a.weights_hash == b.weights_hash != c.weights_hash
    assert (a.name, a.trained, a.patch, a.dim, a.heads) == ("random ViT", False, 8, 192, 3)
    assert not a.model.training and not any(p.requires_grad for p in a.model.parameters())
    assert bb.load("embedded", pretrained=False).weights_hash == a.weights_hash


def test_missing_embedded_weights_say_what_to_use(monkeypatch, tmp_path):
    monkeypatch.setattr(bb, "EMBEDDED_FILE", tmp_path / "embedded.safetensors")
    with pytest.raises(FileNotFoundError, match="use 'random'"):
        bb.load()


def test_saved_weights_come_back_as_embedded(monkeypatch, tmp_path, images):
    small = bb.wrap(tiny(), "mine", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    bb.save(small, tmp_path / "embedded.safetensors", license="CC BY 4.0")
    monkeypatch.setattr(bb, "EMBEDDED_FILE", tmp_path / "embedded.safetensors")
    for back in (bb.load(), bb.load("embedded", weights=tmp_path / "embedded.safetensors")):
        assert back.trained and back.name == "embedded" and back.weights_hash == small.weights_hash
        assert (back.mean, back.std, back.dim) == (small.mean, small.std, 48)
        assert torch.equal(bb.patch_features(back, images), bb.patch_features(small, images))
    assert [f.name for f in tmp_path.iterdir()] == ["embedded.safetensors"]


# --------------------------------------------------------------------------------------------- weight files


@pytest.fixture(scope="module")
def vits16():
    return bb.load("dino_vits16", pretrained=False, seed=3)


def test_weights_of_a_file_are_used_for_a_timm_name(vits16, tmp_path):
    save_file(vits16.model.state_dict(), tmp_path / "w.safetensors")
    found = bb.load("dino_vits16", weights=tmp_path / "w.safetensors")
    assert found.weights_hash == vits16.weights_hash and found.trained
    assert found.name == "dino_vits16" and vits16.name == "dino_vits16 (random weights)"
    assert (found.patch, found.dim, found.heads, found.mean) == (16, 384, 6, bb.IMAGENET[0])


def test_hub_weights_take_the_path_of_timm(vits16, monkeypatch):
    """timm's own loader with only the download replaced; it must not see the seed or change the weights."""
    state = {k: v.clone() for k, v in vits16.model.state_dict().items()}
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *a, **k: state)
    found = bb.load("dino_vits16", seed=9)
    assert found.weights_hash == vits16.weights_hash and found.trained


@pytest.mark.parametrize("error", [ConnectionError("unreachable"), OSError("timed out"), RuntimeError("offline")])
def test_unreachable_hub_is_one_plain_sentence(monkeypatch, error):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fail)
    with pytest.raises(RuntimeError, match="could not be had from the hub.*'embedded'.*weights=FILE") as caught:
        bb.load("dino_vits16")
    assert "\n" not in str(caught.value) and caught.value.__suppress_context__


@pytest.mark.parametrize("nest", ["plain", "dino", "lightning"])
def test_checkpoints_of_pytorch_with_and_without_nesting(tmp_path, nest):
    state = tiny(img_size=96, embed_dim=192, depth=6).state_dict()
    inside = {
        "plain": {**state, "head.weight": torch.zeros(5, 192)},
        "dino": {
            "teacher": {**{f"module.backbone.{k}": v for k, v in state.items()}, "module.head.last": torch.ones(2)},
            "student": {},
            "epoch": 3,
        },
        "lightning": {"state_dict": {f"backbone.{k}": v for k, v in state.items()}, "epoch": 3},
    }
    torch.save(inside[nest], tmp_path / "c.pth")
    found = bb.load("embedded", weights=tmp_path / "c.pth")
    assert all(torch.equal(v, state[k]) for k, v in found.model.state_dict().items())


class Evil:
    def __reduce__(self):
        return open, ("owned.txt", "w")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickled_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"teacher": {"norm.weight": torch.ones(3)}, "args": Evil()}, "evil.pth")
    Path("raw.pt").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pth", "raw.pt"):
        with pytest.raises(ValueError, match="more than tensors"):
            bb.load("embedded", weights=name)
    assert not Path("owned.txt").exists()
    torch.load("evil.pth", weights_only=False)  # the trap is real
    assert Path("owned.txt").exists()


def test_files_that_do_not_fit_say_what_is_wrong(tmp_path):
    state = tiny(img_size=96, embed_dim=192, depth=6).state_dict()
    path = tmp_path / "w.safetensors"

    def refused(sentence, tensors, metadata=None):
        save_file(tensors, path, metadata=metadata)
        with pytest.raises(ValueError, match=sentence) as caught:
            bb.load("embedded", weights=path)
        assert "\n" not in str(caught.value)

    refused(r"lacks 1 of its tensors \(norm.bias", {k: v for k, v in state.items() if k != "norm.bias"})
    refused(r"has 1 tensors too many \(more", {**state, "more": torch.ones(1)})
    refused("size mismatch for norm.weight", {**state, "norm.weight": torch.ones(5)})
    refused("lacks 7", {})
    refused("do not describe a ViT", state, {"architecture": json.dumps({"layers": 3})})
    refused("do not describe a ViT", state, {"architecture": "{"})


def test_missing_damaged_and_unknown_files(tmp_path):
    save_file(tiny().state_dict(), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    for name in ("w.safetensors", "w.pth"):
        for part in (whole[:-50], whole[:20], b""):
            (tmp_path / name).write_bytes(part)
            with pytest.raises(ValueError, match="not a complete safetensors|damaged"):
                bb.load("embedded", weights=tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no weights file"):
        bb.load("dino_vits16", weights=tmp_path / "none.pth")
    (tmp_path / "w.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="must be a .safetensors"):
        bb.load("embedded", weights=tmp_path / "w.npz")


# ------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("dino_vits61", "did you mean dino_vits16"),
        ("vit_small_patch16_224.dinos", "vit_small_patch16_224.dino"),
        ("qqqq", "no backbone 'qqqq'; did you mean embedded"),
        ("resnet18", "not a vision transformer"),
        ("swin_tiny_patch4_window7_224", "not a vision transformer"),
    ],
)
def test_unknown_names(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        bb.load(name, pretrained=False)


def test_short_names_are_known_to_timm_with_weights():
    for full in bb.SHORT_NAMES.values():
        assert timm.get_pretrained_cfg(full, allow_unregistered=False).hf_hub_id
    satellite = timm.get_pretrained_cfg("vit_large_patch16_dinov3.sat493m")
    assert satellite.mean == (0.43, 0.411, 0.296) and satellite.std == (0.213, 0.156, 0.143)


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


# ----------------------------------------------------------------------------------------------- looking


def test_raw_color_is_mean_and_deviation_per_patch(images):
    found = bb.raw_color(images, patch=4)
    assert found.shape == (3, 10, 13, 6)
    block = images[1, :, 8:12, 20:24] / 255
    assert found[1, 2, 5].numpy() == pytest.approx([*block.mean((1, 2)), *block.std((1, 2))], abs=1e-6)


def test_similarity_is_the_cosine():
    features = torch.tensor([[[1.0, 0], [2, 2]], [[0, -3], [-1, 0]]])
    found = bb.similarity(features, 0, 0)
    assert found.flatten().tolist() == pytest.approx([1, 0.5**0.5, 0, -1])
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

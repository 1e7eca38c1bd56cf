"""Weights: drawn, shipped, of a file or of the hub, and everything that can go wrong on the way."""

import json
import pickle
import shutil
import time
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from tiny_vit import tiny

from lulc_utils import backbone as bb
from lulc_utils.backbone import loading

pytestmark = pytest.mark.usefixtures("one_thread")


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
    monkeypatch.setattr(loading, "EMBEDDED_FILE", tmp_path / "embedded.safetensors")
    with pytest.raises(FileNotFoundError, match="use 'random'"):
        bb.load()


def test_saved_weights_come_back_as_embedded(monkeypatch, tmp_path, images):
    small = bb.wrap(tiny(), "mine", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    bb.save(small, tmp_path / "embedded.safetensors", license="CC BY 4.0")
    monkeypatch.setattr(loading, "EMBEDDED_FILE", tmp_path / "embedded.safetensors")
    for back in (bb.load(), bb.load("embedded", weights=tmp_path / "embedded.safetensors")):
        assert back.trained and back.name == "embedded" and back.weights_hash == small.weights_hash
        assert (back.mean, back.std, back.dim) == (small.mean, small.std, 48)
        assert torch.equal(bb.patch_features(back, images), bb.patch_features(small, images))
    assert [f.name for f in tmp_path.iterdir()] == ["embedded.safetensors"]


@pytest.fixture(scope="module")
def vits16():
    return bb.load("dino_vits16", pretrained=False, seed=3)


def test_weights_of_a_file_are_used_for_a_timm_name(vits16, tmp_path):
    save_file(vits16.model.state_dict(), tmp_path / "w.safetensors")
    result = bb.load("dino_vits16", weights=tmp_path / "w.safetensors")
    assert result.weights_hash == vits16.weights_hash and result.trained
    assert result.name == "dino_vits16" and vits16.name == "dino_vits16 (random weights)"
    assert (result.patch, result.dim, result.heads, result.mean) == (16, 384, 6, bb.IMAGENET[0])


def test_hub_weights_take_the_path_of_timm(vits16, monkeypatch):
    """timm's own loader with only the download replaced; it must not see the seed or change the weights."""
    state = {k: v.clone() for k, v in vits16.model.state_dict().items()}
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *a, **k: state)
    result = bb.load("dino_vits16", seed=9)
    assert result.weights_hash == vits16.weights_hash and result.trained


def test_an_unreachable_hub_is_known_in_seconds(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="could not be fetched from the hub"):
        bb.load("dino_vits16")
    assert time.monotonic() - start < 10 and constants.HF_HUB_OFFLINE is False


@pytest.mark.parametrize("error", [ConnectionError("unreachable"), OSError("timed out"), RuntimeError("offline")])
def test_unreachable_hub_is_one_plain_sentence(monkeypatch, error):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fail)
    with pytest.raises(RuntimeError, match="could not be fetched from the hub.*'embedded'.*weights=FILE") as caught:
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
    result = bb.load("embedded", weights=tmp_path / "c.pth")
    assert all(torch.equal(v, state[k]) for k, v in result.model.state_dict().items())


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
    refused(r"has 1 tensor too many \(more", {**state, "more": torch.ones(1)})
    refused("size mismatch for norm.weight", {**state, "norm.weight": torch.ones(5)})
    refused("lacks 7", {})
    refused("does not describe a ViT", state, {"architecture": json.dumps({"layers": 3})})
    refused("does not describe a ViT", state, {"architecture": "{"})
    for change in ({"depth": 10**6}, {"num_heads": 0}, {"num_heads": 5}, {"embed_dim": "192"}, {"norm_layer": "x"}):
        refused("does not describe a ViT: an architec", state, {"architecture": json.dumps(bb.EMBEDDED | change)})
    large = {"architecture": json.dumps(bb.EMBEDDED | {"depth": 100, "embed_dim": 9999})}
    refused("does not describe a ViT: a network of 1.*,.* numbers", state, large)
    for key, value in (("mean", [1]), ("mean", "abc"), ("std", [1, 1, 0]), ("std", [1, 1, None]), ("view", "x")):
        refused("does not describe a ViT: mean and std are three", state, {key: json.dumps(value)})


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


def test_views_of_the_shipped_network_and_of_files(tmp_path):
    copy = shutil.copy(bb.EMBEDDED_FILE, tmp_path / "copy.safetensors")
    for net in (bb.load("embedded"), bb.load("embedded", weights=copy), bb.load("random")):
        assert net.view == bb.EMBEDDED_VIEW == 120
    for view in (None, 24):
        bb.save(bb.wrap(tiny(), "mine", view=view), tmp_path / "mine.safetensors")
        assert bb.load("embedded", weights=tmp_path / "mine.safetensors").view == view
    for wrong in (20, 16, 0):
        with pytest.raises(ValueError, match=f"multiple of the patch of 8 pixels, three at least, not {wrong}"):
            bb.wrap(tiny(), "mine", view=wrong)

"""The cache of features: identical bits, damage, and everything that tells two results apart."""

import pickle

import numpy as np
import pytest
import torch

from lulc_utils import backbone as bb

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_cache_key_of_one_block_stays_what_it_was(golden_vit, golden, tmp_path):
    """Features that readers have kept stay valid: the key of fixed weights and images, as first released."""
    bb.patch_features(golden_vit, golden["vit_x"], cache=tmp_path)
    first = next(tmp_path.iterdir()).stem
    assert first == "291e55d0137dec69890146740686113989662fccdb5b532a2535bbd06aa1fd1e"
    kept = bb.patch_features(golden_vit, golden["vit_x"], blocks=2, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert torch.equal(bb.patch_features(golden_vit, golden["vit_x"], blocks=2, cache=tmp_path), kept)


def test_the_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_CACHE_DIR", str(tmp_path))
    assert bb.features_folder() == tmp_path / "features"
    monkeypatch.delenv("LULC_CACHE_DIR")
    assert "lulc-utils" in str(bb.features_folder())

"""Training: it learns, it can collapse, it survives what happens."""

import json
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from small_dino import drawn, tiny

from lulc_utils import backbone, dino
from lulc_utils.training import Saving

pytestmark = pytest.mark.usefixtures("one_thread")
EVERY = Saving(log_every=1)


@pytest.mark.filterwarnings("ignore:Step")
def test_both_collapses_can_be_provoked():
    quick = {"steps": 60, "teacher_momentum": 0.9, "lr": 3e-3, "warmup_steps": 5, "patch_weight": 0.0}
    free = dino.train(drawn(), tiny(**quick, center_momentum=None, teacher_temp=(0.02, 0.02)), EVERY)
    assert any("one point" in text for text in free.warnings), free.history[-1]
    blunt = dino.train(drawn(), tiny(**quick, teacher_temp=(0.5, 0.5), student_temp=0.5), EVERY)
    assert any("uniform" in text for text in blunt.warnings), blunt.history[-1]


def test_training_learns_and_its_backbone_loads(tmp_path):
    still = {"teacher_momentum": 1.0, "teacher_temp": (0.04, 0.04), "center_momentum": None}  # a moving target hides it
    saving = Saving(history=tmp_path / "run.jsonl", log_every=1)
    result = dino.train(drawn(), tiny(**still, steps=60, n_local=1, lr=3e-3), saving)
    losses = [r["loss"] for r in result.history]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.2
    assert [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()] == result.history
    backbone.save(result.backbone, tmp_path / "w.safetensors")
    images = np.stack([s.pixels for s in drawn()])
    loaded = backbone.load("embedded", weights=tmp_path / "w.safetensors")
    ours, theirs = (backbone.patch_features(b, images) for b in (result.backbone, loaded))
    assert torch.equal(ours, theirs) and ours.shape == (4, 8, 8, 32)


def test_training_does_not_touch_global_randomness():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    dino.train(drawn(), tiny(steps=2))
    assert torch.equal(torch.rand(3), expected)


def same_weights(a: dino.Result, b: dino.Result) -> bool:
    return a.backbone.weights_hash == b.backbone.weights_hash


def test_resumed_run_equals_unbroken_run_bit_for_bit(tmp_path):
    whole = dino.train(drawn(), tiny(steps=8, last_phase=0.3, last_crop=48), EVERY)

    class Unplugged(Exception):
        pass

    def cut_off(*networks):
        if len(steps) == 5:
            raise Unplugged
        steps.append(networks)
        return update(*networks)

    module, steps = sys.modules["lulc_utils.dino.train"], []
    update = module.update_teacher
    kept = Saving(checkpoint=tmp_path / "c", checkpoint_every=2, history=tmp_path / "h.jsonl", log_every=1)
    settings = tiny(steps=8, last_phase=0.3, last_crop=48)
    with mock.patch.object(module, "update_teacher", cut_off), pytest.raises(Unplugged):
        dino.train(drawn(), settings, kept)
    resumed = dino.train(drawn(), settings, kept)
    assert same_weights(whole, resumed) and resumed.history == whole.history
    assert len((tmp_path / "h.jsonl").read_text().splitlines()) == 8
    assert not same_weights(whole, dino.train(drawn(), tiny(steps=8, last_phase=0.3, last_crop=48, seed=1)))


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "c"
    kept = Saving(checkpoint=path)
    dino.train(drawn(), tiny(steps=2), kept)
    with pytest.raises(ValueError, match="a different lr;"):
        dino.train(drawn(), tiny(steps=2, lr=1e-2), kept)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        dino.train(drawn(), tiny(steps=2), kept)
    assert dino.train(drawn(), tiny(steps=2), Saving(checkpoint=path, resume=False)).history


def test_the_last_phase_shows_as_much_ground_in_larger_views():
    settings = dino.Settings(steps=10, batch_size=256, crop=96, last_phase=0.2)
    crops, places = dino.phase(settings, 7)
    assert (crops.crop, places) == (96, 256)
    crops, places = dino.phase(settings, 8)
    assert (crops.crop, places) == (224, 48) and abs(48 * 224**2 / (256 * 96**2) - 1) < 0.05
    result = dino.train(drawn(), tiny(steps=4, last_phase=0.5, last_crop=48))
    assert result.backbone.view == 48


def test_settings_that_do_not_fit_together_are_refused():
    for wrong, words in (
        ({"crop": 30}, "crop must be a multiple"),
        ({"last_phase": 0.1, "last_crop": 30}, "last_crop"),
    ):
        with pytest.raises(ValueError, match=words):
            tiny(**wrong)
    with pytest.raises(ValueError, match="cannot be larger"):
        tiny(n_local=1, local_crop=40)
    with pytest.raises(ValueError, match="4 scenes need as many shares, not 2"):
        dino.train(drawn(), tiny(), shares=[1, 1])
    with pytest.raises(ValueError, match="no scenes to train on"):
        dino.train([], tiny())

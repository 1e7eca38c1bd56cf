"""The contrastive network, pre-training and fine-tuning: they learn, and survive what happens."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_trainings import EVERY, field, finetune, pretrain, same, seeded

from lulc_utils import contrastive as co
from lulc_utils import evaluate
from lulc_utils.contrastive import unet
from lulc_utils.scene import UNLABELLED, Scene
from lulc_utils.training import Run, Saving

pytestmark = pytest.mark.usefixtures("one_thread")

# --------------------------------------------------------------------------------------------------- network


def test_network_is_small_and_works_on_any_size():
    net = unet.UNet(co.GROUND_BANDS, 8)
    assert 500_000 < sum(w.numel() for w in net.parameters()) < 600_000
    assert net(torch.rand(2, 10, 33, 50)).shape == (2, 8, 33, 50)
    assert net.features(torch.rand(1, 10, 64, 64)).shape == (1, 64, 64, 64)
    with pytest.raises(RuntimeError, match="no head yet"):
        unet.UNet(co.GROUND_BANDS)(torch.rand(1, 10, 16, 16))


def test_network_standardizes_its_input():
    images = torch.rand(5, 3, 16, 16, generator=seeded()) * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1) + 5
    ours, plain = (co.fresh("abc", x, seed=3, widths=(4, 8), dim=6) for x in (images, images[:, None]))
    torch.testing.assert_close(ours.mean, images.mean((0, 2, 3)))
    torch.testing.assert_close(ours.std, images.transpose(0, 1).flatten(1).std(1))
    assert torch.equal(ours.std, plain.std)  # dates make no difference
    double = co.fresh("abc", images * 2, seed=3, widths=(4, 8), dim=6)
    torch.testing.assert_close(ours.features(images), double.features(images * 2), atol=1e-4, rtol=1e-3)


def test_weights_come_back_from_disk(tmp_path):
    net = co.fresh(co.GROUND_BANDS, torch.rand(2, 10, 16, 16), classes=3, widths=(4, 8, 12), dim=5).eval()
    path = unet.save(net, tmp_path / "sub" / "w.safetensors", data="drawn")
    back, x = unet.load(path), torch.rand(1, 10, 20, 20)
    assert torch.equal(net(x), back(x)) and back.bands == co.GROUND_BANDS and torch.equal(back.std, net.std)
    assert [f.name for f in path.parent.iterdir()] == ["w.safetensors"]
    with safe_open(path, "pt") as file:
        assert file.metadata()["data"] == "drawn"
    with pytest.raises(FileNotFoundError, match="There is no file"):
        unet.load(tmp_path / "none.safetensors")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="not a complete safetensors"):
        unet.load(path)
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="does not hold the weights of a U-Net"):
        unet.load(tmp_path / "other.safetensors")


# -------------------------------------------------------------------------------------------------- training


def test_pretraining_learns_to_match_and_says_so(tmp_path):
    images, _ = field()
    result = pretrain(images, Saving(history=tmp_path / "run.jsonl", log_every=1), steps=60, points=12)
    loss, matched = ([r[name] for r in result.history] for name in ("loss", "matched"))
    assert loss[0] == pytest.approx(math.log(48), abs=1) and np.mean(loss[-10:]) < np.mean(loss[:10]) - 0.5
    assert np.mean(matched[-10:]) > 2 * np.mean(matched[:5])
    assert [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()] == result.history
    assert result.model.head is None and not result.model.training


def test_pretraining_takes_dates_and_scenes():
    images, _ = field(dates=3)
    assert co.pretrain(images, co.Pretraining(steps=2, crop=16, points=8)).history
    scenes = [Scene(f"s{i}", x[0], ("a", "b", "c", "d"), "drawn") for i, x in enumerate(images)]
    ours = pretrain(scenes, steps=2, points=8)
    assert ours.model.bands == ("a", "b", "c", "d")
    assert ours.history == pretrain(images[:, 0], bands=tuple("abcd"), steps=2, points=8).history


def test_a_pair_of_dates_is_two_different_dates():
    images = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(6, 4, 1, 2, 2)
    a, b = co.draw_patches(images, 64, seeded())
    assert (a != b).all() and len(a.unique()) == 4 and len(b.unique()) == 4
    first, none = co.draw_patches(images[:, 0], 4, seeded())
    assert none is None and first.shape == (4, 1, 2, 2)


def test_training_does_not_touch_global_randomness():
    images, labels = field()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    model = pretrain(images, steps=1, points=8).model
    finetune(model, images, labels, 3, steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_finetuning_learns_a_copy():
    images, labels = field(16)
    base = co.fresh("abcd", images, seed=1)
    before = {k: v.clone() for k, v in base.state_dict().items()}
    result = finetune(base, images[:8], labels[:8], 3, steps=40)
    assert all(torch.equal(before[k], v) for k, v in base.state_dict().items()) and base.head is None
    predicted = co.predict(result.model, images[8:])
    score = evaluate.scores(evaluate.confusion(labels[8:], predicted, 3))["miou"]
    assert predicted.dtype == np.uint8 and predicted.shape == (8, 32, 32) and score > 0.8
    again = finetune(base, images[:8], labels[:8], 3, steps=40)
    assert same(result.model, again.model) and result.history == again.history
    assert not same(result.model, finetune(base, images[:8], labels[:8], 3, steps=40, seed=1).model)


def test_probed_head_answers_as_the_logistic_regression():
    images, labels = field()
    for classes in (3, 2):  # with two classes, scikit-learn keeps one row of weights
        few = np.where(labels < classes, labels, UNLABELLED)
        net = co.fresh("abcd", images, seed=1).eval()
        net.classes, net.head = 4, torch.nn.Conv2d(net.dim, 4, 1)
        co.probed_head(net, torch.from_numpy(images), few, samples=10**9)
        x = co.features(net, images)
        assert x.shape == (*labels.shape, net.dim)
        expected = evaluate.predict(evaluate.linear_probe(x, few), x)
        assert (co.predict(net, images) == expected).mean() > 0.999  # a tie may fall either way
        assert not (co.predict(net, images) >= classes).any(), "a class without labels is never answered"


def test_probe_survives_a_class_that_no_sample_shows():
    images, labels = field()
    rare = np.where(labels == 2, 0, labels)
    rare[0, 0, 0] = 2  # one pixel in thousands
    net = co.fresh("abcd", images)
    net.classes, net.head = 3, torch.nn.Conv2d(net.dim, 3, 1)
    co.probed_head(net, torch.from_numpy(images), rare, samples=50)
    assert set(np.unique(co.predict(net, images))) == {0, 1}


def test_one_class_leaves_the_random_head_alone():
    images, labels = field()
    net = co.fresh("abcd", images)
    net.classes, net.head = 3, torch.nn.Conv2d(net.dim, 3, 1)
    before = net.head.weight.clone()
    co.probed_head(net, torch.from_numpy(images), np.where(labels == 1, labels, UNLABELLED))
    assert torch.equal(net.head.weight, before)


def test_finetuning_starts_from_the_probe_when_there_is_something_to_keep():
    images, labels = field()
    base = pretrain(images, bands="abcd", steps=30, points=8).model
    first = {
        probe: finetune(base, images, labels, 3, steps=1, probe=probe).history[0]["loss"]
        for probe in (None, True, False)
    }
    assert first[None] == first[True] < first[False]
    alone = [finetune(None, images, labels, 3, steps=1, probe=p).history for p in (None, False)]
    assert alone[0] == alone[1]


def test_without_projection_the_loss_is_of_the_features():
    images, _ = field()
    run = pretrain(images, steps=1, points=8, projection=0, jitter=co.STILL, overlap=1.0, turns=False)
    assert run.history[0]["loss"] < 1e-2 or run.history[0]["matched"] > 0.9  # twice the same features
    with pytest.raises(ValueError, match="precision must be one of fp32, bf16"):
        pretrain(images, steps=1, precision="fp16")


def test_bf16_learns_much_the_same():
    images, labels = field()
    losses = [finetune(None, images, labels, 3, steps=5, precision=p).history for p in ("fp32", "bf16")]
    assert losses[0] != losses[1]
    for a, b in zip(*losses, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=0.1)


def test_frozen_finetuning_moves_the_head_alone():
    images, labels = field()
    base = co.fresh("abcd", images, seed=1)
    ours = finetune(base, images, labels, 3, steps=3, freeze=True).model
    assert same(base, unet_without_head(ours)) and all(w.requires_grad for w in ours.parameters())


def unet_without_head(model: unet.UNet) -> unet.UNet:
    bare = copy.deepcopy(model)
    bare.head = None
    return bare


def test_unlabelled_pixels_teach_nothing():
    images, labels = field()
    hidden = labels.copy()
    hidden[:, :, 10:20] = UNLABELLED
    noisy = images.copy()
    few = np.full_like(labels, UNLABELLED)
    few[2] = labels[2]
    noisy[3:] = 9.0  # patches without labels are never drawn; here, they would ruin everything
    base = co.fresh("abcd", images)
    a, b = (finetune(base, x, few, 3, steps=3) for x in (images, noisy))
    assert same(a.model, b.model)
    assert math.isfinite(finetune(base, images, hidden, 3, steps=2).history[-1]["loss"])


@pytest.mark.parametrize("what", ["pretrain", "finetune"])
def test_resumed_run_equals_unbroken_run_bit_for_bit(tmp_path, monkeypatch, what):
    images, labels = field()

    def go(saving=EVERY):
        if what == "pretrain":
            return pretrain(images, saving, points=8, steps=8)
        return finetune(None, images, labels, 3, saving, steps=8)

    class Unplugged(Exception):
        pass

    def cut_off(run, numbers):
        if run.step == 5:
            raise Unplugged
        return record(run, numbers)

    whole, record = go(), Run.record
    saving = Saving(tmp_path / "c", 2, history=tmp_path / "h.jsonl", log_every=1)
    with monkeypatch.context() as patched:
        patched.setattr(Run, "record", cut_off)
        with pytest.raises(Unplugged):
            go(saving)
    resumed = go(saving)
    assert same(whole.model, resumed.model) and resumed.history == whole.history
    assert len((tmp_path / "h.jsonl").read_text().splitlines()) == 8


def test_a_checkpoint_of_other_images_or_settings_is_refused(tmp_path):
    images, _ = field()
    saving = Saving(tmp_path / "c")
    pretrain(images, saving, points=8, steps=2)
    with pytest.raises(ValueError, match="a different tau;"):
        pretrain(images, saving, points=8, steps=2, tau=0.2)
    with pytest.raises(ValueError, match="a different .*mean"):
        pretrain(images * 2, saving, points=8, steps=2)
    with pytest.raises(ValueError, match="a different random"):
        pretrain(images, saving, points=8, steps=2, model=co.fresh(["band 1", "band 2", "band 3", "band 4"], images))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"crop": 40}, "A crop of 40 pixels does not fit into patches of"),
        ({"crop": 8}, "at least 16"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"tau": 0.0}, "tau must be a number above 0"),
        ({"points": 500}, "fewer than 500 points"),
        ({"bands": ("a", "b")}, "4 bands but 2 names"),
    ],
)
def test_settings_that_cannot_work_are_named(change, sentence):
    images, _ = field()
    with pytest.raises(ValueError, match=sentence):
        pretrain(images, **{"steps": 1, "points": 8, **change})


def test_arrays_that_do_not_fit_are_named():
    images, labels = field()
    with pytest.raises(ValueError, match="NaN or infinite"):
        pretrain(np.where(images > 0.3, np.nan, images), steps=1)
    with pytest.raises(ValueError, match="must be .patches, bands, rows, cols"):
        pretrain(images[0], steps=1)
    with pytest.raises(ValueError, match="do not fit labels"):
        finetune(None, images, labels[:3], 3, steps=1)
    with pytest.raises(ValueError, match="Label 2 is neither in 0..1"):
        finetune(None, images, labels, 2, steps=1)
    with pytest.raises(ValueError, match="takes 10 bands, but the images have 4"):
        finetune(unet.UNet(co.GROUND_BANDS), images, labels, 3, bands="abcd", steps=1)
    with pytest.raises(ValueError, match="None of the patches is labelled"):
        finetune(None, images, np.full_like(labels, UNLABELLED), 3, steps=1)

"""Dense contrastive pre-training: closed forms, geometry, and training that survives what happens."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from safetensors import safe_open
from torch.nn import functional as F

from lulc_utils import contrastive as co
from lulc_utils import evaluate, raster, simulate
from lulc_utils.contrastive import unet
from lulc_utils.scene import UNLABELLED, LandCover, Scene

ROOT = Path(__file__).parents[3]
TINY = {"batch_size": 4, "crop": 16, "log_every": 1, "lr": 2e-3}

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def field(n: int = 8, size: int = 32, dates: int = 0, bands: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Patches of smooth parcels of three classes: images [n, (dates,) bands, size, size], labels [n, size, size]."""
    rng = np.random.default_rng(seed)
    spectra = np.random.default_rng(99).uniform(0.05, 0.4, (3, max(dates, 1), bands))
    labels = np.kron(rng.integers(0, 3, (n, size // 8, size // 8)), np.ones((8, 8), int))
    images = spectra[labels].transpose(0, 3, 4, 1, 2) * rng.uniform(0.9, 1.1, (n, max(dates, 1), 1, 1, 1))
    images = (images + rng.normal(0, 0.02, images.shape)).astype(np.float32)
    return images if dates else images[:, 0], labels.astype(np.uint8)


# -------------------------------------------------------------------------------------------------- the loss


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
    exclude = co.near_neighbours(torch.rand(2, 3, 2, generator=seeded()), 0.5)
    assert exclude.any() and torch.autograd.gradcheck(lambda a, b: co.symmetric_info_nce(a, b, 0.2, exclude), (za, zb))


def test_near_neighbours_are_of_one_patch():
    ground = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [9.0, 9.0], [9.5, 9.0]]])
    near = co.near_neighbours(ground, 4.0)
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[0, 1] = expected[1, 0] = expected[4, 5] = expected[5, 4] = True  # 4 pixels are not closer than 4
    assert torch.equal(near, expected)
    assert torch.equal(co.near_neighbours(ground[:1], 4.0), expected[:3, :3])


# -------------------------------------------------------------------------------------------------- geometry


def numbered(batch: int = 16, size: int = 64) -> torch.Tensor:
    """Patches whose two bands tell the place: column and row."""
    rows = torch.arange(float(size)).view(-1, 1).expand(size, size)
    return torch.stack([rows.T, rows]).expand(batch, -1, -1, -1).contiguous()


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.6, 1.6)])
def test_pixels_come_from_where_the_map_says(zoom):
    views = co.two_views(numbered(32, 80), 32, seeded(), zoom=zoom, jitter=co.STILL)
    inner = co._grid(32)[(co._grid(32) % 31 > 0).all(1)].expand(32, -1, -1)  # at the rim, zoomed in, there is no more
    for view in views:
        truth = co.to_patch(inner, view.map)
        shown = co.at_points(view.pixels, inner).view(32, -1, 2)
        assert (shown - truth).abs().max() < 1e-4
    corners = torch.stack([v.map[:, :, :2] for v in views]).sign().flatten(2)
    assert len(corners.flatten(0, 1).unique(dim=0)) == 8  # all turns and mirrorings occur
    assert not torch.equal(views[0].map, views[1].map)


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.5, 2.0)])
def test_round_trip_of_the_crop_map(zoom):
    a, b = co.two_views(numbered(64, 80), 40, seeded(1), zoom=zoom)
    points = 39 * torch.rand(64, 50, 2, generator=seeded())
    for view in (a, b):
        assert (co.to_crop(co.to_patch(points, view.map), view.map) - points).abs().max() < 1e-4
    to_b_and_back = co.to_crop(co.to_patch(co.to_crop(co.to_patch(points, a.map), b.map), b.map), a.map)
    assert (to_b_and_back - points).abs().max() < 1e-4


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.7, 1.4)])
def test_views_overlap_and_lie_inside(zoom):
    a, b = co.two_views(numbered(400, 64), 32, seeded(), zoom=zoom, overlap=0.25)
    corners = torch.tensor([[-0.5, -0.5], [31.5, 31.5]]).expand(400, -1, -1)
    low, high = zip(*[co.to_patch(corners, v.map).sort(1).values.unbind(1) for v in (a, b)], strict=True)
    for x, y in zip(low, high, strict=True):
        assert x.min() > -0.5 - 1e-4 and y.max() < 63.5 + 1e-4
    shared = (torch.minimum(*high) - torch.maximum(*low)).clamp_min(0).prod(1)
    share = shared / torch.stack([(y - x).prod(1) for x, y in zip(low, high, strict=True)]).amin(0)
    least = 0.25 if zoom != (1.0, 1.0) else (16 / 32) ** 2  # whole pixels
    assert share.min() >= least - 1e-3 and share.min() < 0.5 and share.max() > 0.8


def test_matching_points_show_the_same_ground():
    a, b = co.two_views(numbered(), 32, seeded(2), jitter=co.STILL)
    points = co.matching_points(a, b, 60, seeded())
    shown_a, shown_b = co.at_points(a.pixels, points.a), co.at_points(b.pixels, points.b)
    assert (shown_a - shown_b).abs().max() < 1e-3
    assert (shown_a.view(16, 60, 2) - points.ground).abs().max() < 1e-3
    assert min(len(torch.unique(p, dim=0)) for p in points.ground.round()) == 60
    moved = (points.a - points.b).abs().amax(-1)
    assert (moved > 1).float().mean() > 0.8  # empty, were the views the same
    again = co.matching_points(a, b, 60, seeded())
    assert all(torch.equal(x, y) for x, y in zip(points, again, strict=True))
    with pytest.raises(ValueError, match="fewer than 1000 points; take fewer"):
        co.matching_points(a, b, 1000, seeded())


def test_second_view_shows_the_other_date():
    first = numbered(6)
    a, b = co.two_views(first, 32, seeded(), other=first + 100, jitter=co.STILL)
    points = co.matching_points(a, b, 20, seeded())
    gap = co.at_points(b.pixels, points.b) - co.at_points(a.pixels, points.a)
    assert (gap - 100).abs().max() < 1e-3
    with pytest.raises(ValueError, match="must have one shape"):
        co.two_views(first, 32, seeded(), other=first[:3])
    with pytest.raises(ValueError, match="does not fit into patches of 64 x 64"):
        co.two_views(first, 40, seeded(), zoom=(1, 2))


def test_jitter_is_in_units_of_the_bands():
    x, std = torch.full((4000, 2, 2, 2), 0.2), torch.tensor([0.1, 0.01])
    off = co.change(x, seeded(), {**co.STILL, "offset": 0.5}, std) - x
    assert off.abs().amax((0, 2, 3)) == pytest.approx([0.05, 0.005], rel=0.01) and (off.std((2, 3)) == 0).all()
    gain = co.change(x, seeded(), {**co.STILL, "brightness": 0.1}, std) / x
    assert gain.min() == pytest.approx(0.9, abs=1e-3) and (gain[:, 0] - gain[:, 1]).abs().max() < 1e-6
    noise = co.change(x, seeded(), {**co.STILL, "noise": 1.0}, std) - x
    assert noise[:, 0].std() == pytest.approx(0.1 * math.sqrt(1 / 3), rel=0.05)  # amounts are uniform in 0..1
    ramp = numbered(1000, 4)
    dropped = (co.change(ramp, seeded(), {**co.STILL, "drop": 0.2}).std((2, 3)) == 0).float().mean()
    assert float(dropped) == pytest.approx(0.2, abs=0.03)
    assert torch.equal(co.change(ramp, seeded(), co.STILL), ramp)


# --------------------------------------------------------------------------------------------------- network


def test_network_is_small_and_works_on_any_size():
    net = unet.UNet(co.BANDS, 8)
    assert 500_000 < sum(w.numel() for w in net.parameters()) < 600_000
    assert net(torch.rand(2, 10, 33, 50)).shape == (2, 8, 33, 50)
    assert net.features(torch.rand(1, 10, 64, 64)).shape == (1, 64, 64, 64)
    with pytest.raises(RuntimeError, match="no head yet"):
        unet.UNet(co.BANDS)(torch.rand(1, 10, 16, 16))


def test_network_standardises_its_input():
    images = torch.rand(5, 3, 16, 16, generator=seeded()) * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1) + 5
    ours, plain = (co.fresh("abc", x, seed=3, widths=(4, 8), dim=6) for x in (images, images[:, None]))
    torch.testing.assert_close(ours.mean, images.mean((0, 2, 3)))
    torch.testing.assert_close(ours.std, images.transpose(0, 1).flatten(1).std(1))
    assert torch.equal(ours.std, plain.std)  # dates make no difference
    double = co.fresh("abc", images * 2, seed=3, widths=(4, 8), dim=6)
    torch.testing.assert_close(ours.features(images), double.features(images * 2), atol=1e-4, rtol=1e-3)


def test_weights_come_back_from_disk(tmp_path):
    net = co.fresh(co.BANDS, torch.rand(2, 10, 16, 16), classes=3, widths=(4, 8, 12), dim=5).eval()
    path = unet.save(net, tmp_path / "sub" / "w.safetensors", data="drawn")
    back, x = unet.load(path), torch.rand(1, 10, 20, 20)
    assert torch.equal(net(x), back(x)) and back.bands == co.BANDS and torch.equal(back.std, net.std)
    assert [f.name for f in path.parent.iterdir()] == ["w.safetensors"]
    with safe_open(path, "pt") as file:
        assert file.metadata()["data"] == "drawn"
    with pytest.raises(FileNotFoundError, match="There is no file"):
        unet.load(tmp_path / "none.safetensors")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="not a complete safetensors"):
        unet.load(path)
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="no weights of a U-Net"):
        unet.load(tmp_path / "other.safetensors")


# -------------------------------------------------------------------------------------------------- training


def test_pretraining_learns_to_match_and_says_so(tmp_path):
    images, _ = field()
    result = co.pretrain(images, **TINY, steps=60, points=12, history=tmp_path / "run.jsonl")
    loss, matched = ([r[name] for r in result.history] for name in ("loss", "matched"))
    assert loss[0] == pytest.approx(math.log(48), abs=1) and np.mean(loss[-10:]) < np.mean(loss[:10]) - 0.5
    assert np.mean(matched[-10:]) > 2 * np.mean(matched[:5])
    assert [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()] == result.history
    assert result.model.head is None and not result.model.training


def test_pretraining_takes_dates_and_scenes():
    images, _ = field(dates=3)
    assert co.pretrain(images, **TINY, steps=2, points=8).history
    scenes = [Scene(f"s{i}", x[0], ("a", "b", "c", "d"), "drawn") for i, x in enumerate(images)]
    ours = co.pretrain(scenes, **TINY, steps=2, points=8)
    assert ours.model.bands == ("a", "b", "c", "d")
    assert ours.history == co.pretrain(images[:, 0], bands=tuple("abcd"), **TINY, steps=2, points=8).history


def test_a_pair_of_dates_is_two_different_dates():
    images = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(6, 4, 1, 2, 2)
    a, b = co._draw(images, 64, seeded())
    assert (a != b).all() and len(a.unique()) == 4 and len(b.unique()) == 4
    one, none = co._draw(images[:, 0], 4, seeded())
    assert none is None and one.shape == (4, 1, 2, 2)


def test_training_does_not_touch_global_randomness():
    images, labels = field()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    model = co.pretrain(images, **TINY, steps=1, points=8).model
    co.finetune(model, images, labels, 3, **TINY, steps=1)
    assert torch.equal(torch.rand(3), expected)


def same(a: unet.UNet, b: unet.UNet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_finetuning_learns_a_copy():
    images, labels = field(16)
    base = co.fresh("abcd", images, seed=1)
    before = {k: v.clone() for k, v in base.state_dict().items()}
    result = co.finetune(base, images[:8], labels[:8], 3, **TINY, steps=40)
    assert all(torch.equal(before[k], v) for k, v in base.state_dict().items()) and base.head is None
    found = co.predict(result.model, images[8:])
    score = evaluate.scores(evaluate.confusion(labels[8:], found, 3))["miou"]
    assert found.dtype == np.uint8 and found.shape == (8, 32, 32) and score > 0.8
    again = co.finetune(base, images[:8], labels[:8], 3, **TINY, steps=40)
    assert same(result.model, again.model) and result.history == again.history
    assert not same(result.model, co.finetune(base, images[:8], labels[:8], 3, **TINY, steps=40, seed=1).model)


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
    base = co.pretrain(images, bands="abcd", **TINY, steps=30, points=8).model
    first = {
        probe: co.finetune(base, images, labels, 3, **TINY, steps=1, probe=probe).history[0]["loss"]
        for probe in (None, True, False)
    }
    assert first[None] == first[True] < first[False]
    alone = [co.finetune(None, images, labels, 3, **TINY, steps=1, probe=p).history for p in (None, False)]
    assert alone[0] == alone[1]


@pytest.mark.parametrize("turned", [True, False])
def test_views_without_turns_keep_their_orientation(turned):
    patches = torch.rand(16, 2, 48, 48)
    a, b = co.two_views(patches, 32, torch.Generator().manual_seed(0), turns=turned, jitter=co.STILL)
    upright = [torch.equal(view.map[:, :, :2], torch.eye(2).expand(16, 2, 2)) for view in (a, b)]
    assert upright == [not turned] * 2


def test_without_projection_the_loss_is_of_the_features():
    images, _ = field()
    run = co.pretrain(images, **TINY, steps=1, points=8, projection=0, jitter=co.STILL, overlap=1.0, turns=False)
    assert run.history[0]["loss"] < 1e-2 or run.history[0]["matched"] > 0.9  # twice the same features
    with pytest.raises(ValueError, match="Unknown precision 'fp16'"):
        co.pretrain(images, **TINY, steps=1, precision="fp16")


def test_bf16_learns_much_the_same():
    images, labels = field()
    losses = [co.finetune(None, images, labels, 3, **TINY, steps=5, precision=p).history for p in ("fp32", "bf16")]
    assert losses[0] != losses[1]
    for a, b in zip(*losses, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=0.1)


def test_frozen_finetuning_moves_the_head_alone():
    images, labels = field()
    base = co.fresh("abcd", images, seed=1)
    ours = co.finetune(base, images, labels, 3, **TINY, steps=3, freeze=True).model
    assert same(base, unet_without_head(ours)) and all(w.requires_grad for w in ours.parameters())


def unet_without_head(model: unet.UNet) -> unet.UNet:
    import copy

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
    a, b = (co.finetune(base, x, few, 3, **TINY, steps=3) for x in (images, noisy))
    assert same(a.model, b.model)
    assert math.isfinite(co.finetune(base, images, hidden, 3, **TINY, steps=2).history[-1]["loss"])


def test_label_fractions_are_nested_whole_patches():
    labels = np.random.default_rng(0).integers(0, 5, (40, 8, 8)).astype(np.uint8)
    labels[7] = UNLABELLED
    shown = {f: co.label_fraction(labels, f, seed=3) != UNLABELLED for f in (0.001, 0.05, 0.1, 0.25, 1.0)}
    counts = [int(x.any((1, 2)).sum()) for x in shown.values()]
    assert counts == [1, 2, 4, 10, 39]
    assert all((x.any((1, 2)) == x.all((1, 2))).all() for x in shown.values())
    for smaller, larger in zip(list(shown.values())[:-1], list(shown.values())[1:], strict=True):
        assert (smaller <= larger).all()
    assert (co.label_fraction(labels, 1.0) == labels).all()
    assert (co.label_fraction(labels, 0.1, seed=4) != co.label_fraction(labels, 0.1, seed=3)).any()
    blocks = co.label_fraction(labels[:2], 0.25, block=4) != UNLABELLED
    assert int(blocks.sum()) == 2 * 16 and (blocks.reshape(2, 2, 4, 2, 4).mean((2, 4)) % 1 == 0).all()
    for bad in (0, 1.1):
        with pytest.raises(ValueError, match="must lie above 0"):
            co.label_fraction(labels, bad)
    with pytest.raises(ValueError, match="None of the patches"):
        co.label_fraction(np.full((2, 4, 4), UNLABELLED, np.uint8), 0.5)


def test_patches_are_cut_in_order():
    pixels = np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30)
    scene = Scene("s", pixels, ("x", "y"), "drawn", np.zeros((20, 30), np.uint8), (LandCover("a", "#000000"),))
    images, bands, labels = co.patches([scene], 10, bands=("y", "x"))
    assert images.shape == (6, 2, 10, 10) and bands == ("y", "x") and labels.shape == (6, 10, 10)
    assert (images[1, 0] == pixels[1, :10, 10:20]).all() and images.dtype == np.float32
    other = Scene("t", pixels[:, :10], ("x", "y"), "drawn")
    with pytest.raises(ValueError, match="2 different sizes"):
        co.patches([scene, other])
    assert co.patches([scene, other], 10)[2] is None
    with pytest.raises(ValueError, match="no scenes"):
        co.patches([])


@pytest.mark.parametrize("what", ["pretrain", "finetune"])
def test_resumed_run_equals_unbroken_run_bit_for_bit(tmp_path, monkeypatch, what):
    images, labels = field()

    def go(**more):
        if what == "pretrain":
            return co.pretrain(images, **TINY, points=8, steps=8, **more)
        return co.finetune(None, images, labels, 3, **TINY, steps=8, **more)

    class Unplugged(Exception):
        pass

    def cut_off(run, *arguments):
        if run["step"] == 5:
            raise Unplugged
        return update(run, *arguments)

    whole, update = go(), co._update
    saved = {"checkpoint": tmp_path / "c", "checkpoint_every": 2, "history": tmp_path / "h.jsonl"}
    monkeypatch.setattr(co, "_update", cut_off)
    with pytest.raises(Unplugged):
        go(**saved)
    monkeypatch.setattr(co, "_update", update)
    resumed = go(**saved)
    assert same(whole.model, resumed.model) and resumed.history == whole.history
    assert len((tmp_path / "h.jsonl").read_text().splitlines()) == 8


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    images, labels = field()
    path = tmp_path / "c"
    co.pretrain(images, **TINY, points=8, steps=2, checkpoint=path)
    with pytest.raises(ValueError, match="another tau;"):
        co.pretrain(images, **TINY, points=8, steps=2, checkpoint=path, tau=0.2)
    with pytest.raises(ValueError, match="another .*mean"):
        co.pretrain(images * 2, **TINY, points=8, steps=2, checkpoint=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        co.pretrain(images, **TINY, points=8, steps=2, checkpoint=path)
    assert co.pretrain(images, **TINY, points=8, steps=2, checkpoint=path, resume=False).history


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"crop": 40}, "must have at least 16 and fit into patches of"),
        ({"crop": 8}, "at least 16"),
        ({"steps": 0}, "at least one step"),
        ({"tau": 0.0}, "tau must be above 0"),
        ({"points": 500}, "fewer than 500 points"),
        ({"bands": ("a", "b")}, "4 bands but 2 names"),
    ],
)
def test_settings_that_cannot_work_are_named(change, sentence):
    images, _ = field()
    with pytest.raises(ValueError, match=sentence):
        co.pretrain(images, **{**TINY, "steps": 1, "points": 8, **change})


def test_arrays_that_do_not_fit_are_named():
    images, labels = field()
    with pytest.raises(ValueError, match="NaN or infinite"):
        co.pretrain(np.where(images > 0.3, np.nan, images), **TINY, steps=1)
    with pytest.raises(ValueError, match="must be .patches, bands, rows, cols"):
        co.pretrain(images[0], **TINY, steps=1)
    with pytest.raises(ValueError, match="cannot go with labels"):
        co.finetune(None, images, labels[:3], 3, **TINY, steps=1)
    with pytest.raises(ValueError, match="Label 2 is neither in 0..1"):
        co.finetune(None, images, labels, 2, **TINY, steps=1)
    with pytest.raises(ValueError, match="knows 10 bands, the images have 4"):
        co.finetune(unet.UNet(co.BANDS), images, labels, 3, bands="abcd", **TINY, steps=1)
    with pytest.raises(ValueError, match="None of the patches is labelled"):
        co.finetune(None, images, np.full_like(labels, UNLABELLED), 3, **TINY, steps=1)


# ---------------------------------------------------------------------------------------------- command line


@pytest.fixture
def folder(tmp_path):
    """GeoTIFFs with masks beside them."""
    path = tmp_path / "images"
    path.mkdir()
    classes = tuple(LandCover(name, "#000000") for name in "pqr")
    for i, (pixels, labels) in enumerate(zip(*field(8), strict=True)):
        place = {"crs": rasterio.CRS.from_epsg(32632), "transform": from_origin(500000, 6e6, 10, 10)}
        raster.write_scene(Scene(f"{i}", pixels, tuple("abcd"), "drawn", labels, classes, **place), path / f"{i}.tif")
    return path


def command(name: str, folder: Path, out: Path, *more: str) -> list[str]:
    small = ["--bands", "a b c d", "--size", "32", "--crop", "16", "--batch-size", "4", "--log-every", "1"]
    start = [sys.executable, "-m", "lulc_utils.contrastive", name, "--data", str(folder), "--out", str(out)]
    return [*start, *small, *(["--points", "8"] if name == "pretrain" else []), "--checkpoint-every", "1", *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def records(out: Path) -> list[dict]:
    path = out.with_suffix(".jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def test_killed_run_continues_and_is_finetuned(folder, tmp_path, capsys):
    killed = tmp_path / "killed.safetensors"
    arguments = command("pretrain", folder, killed, "--steps", "3000")
    process = subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE)
    deadline = time.time() + 50
    while len(records(killed)) < 4 and process.poll() is None and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = torch.load(killed.with_suffix(".checkpoint"), weights_only=True)["step"]
    assert process.returncode == -signal.SIGKILL and 3 <= done < 3000 and not killed.exists()
    assert co.main(command("pretrain", folder, killed, "--steps", str(done + 3))[3:]) == 0
    assert [r["step"] for r in records(killed)] == list(range(1, done + 4))
    tuned = tmp_path / "tuned.safetensors"
    more = ("--steps", "3", "--weights", str(killed), "--fraction", "0.5")
    assert co.main(command("finetune", folder, tuned, *more)[3:]) == 0
    model = unet.load(tuned)
    assert model.classes == 3 and model.bands == tuple("abcd") and len(records(tuned)) == 3
    with safe_open(tuned, "pt") as file:
        assert file.metadata()["class_names"] == "p, q, r" and file.metadata()["fraction"] == "0.5"
    assert "Wrote" in capsys.readouterr().out


def test_two_processes_give_the_curve_of_one(folder, tmp_path):
    runs = {name: [tmp_path / f"{name}{n}.safetensors" for n in (1, 2)] for name in ("pretrain", "finetune")}
    arguments = [[command(name, folder, out, "--steps", "6")[3:] for out in both] for name, both in runs.items()]
    for one, _ in arguments:
        assert co.main(one) == 0
    script = tmp_path / "both.py"  # one start of torchrun, which is slow, for the two of them
    calls = "; ".join(f"assert contrastive.main({two}) == 0" for _, two in arguments)
    script.write_text(
        "import torch.distributed as dist\nfrom lulc_utils import contrastive\n"
        f"dist.init_process_group('gloo'); {calls}; dist.destroy_process_group()\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    ended = subprocess.run(torchrun, env=environment(), capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    x = torch.from_numpy(field(2)[0])
    for one, two in runs.values():
        assert len(records(one)) == 6 and records(one)[0] == pytest.approx(records(two)[0], rel=1e-5)
        for a, b in zip(records(one), records(two), strict=True):
            assert a == pytest.approx(b, rel=2e-3)  # rounding grows
        torch.testing.assert_close(*(unet.load(w).features(x) for w in (one, two)), atol=5e-3, rtol=0)


def test_simulated_dates_show_one_ground_through_season_and_haze():
    region = next(iter(simulate.REGIONS))
    dates = co.simulated_dates(region, [3, 4], 3, 32)
    assert [len(scenes) for scenes in dates] == [2, 2, 2]
    for scenes in zip(*dates, strict=True):
        assert len({s.group for s in scenes}) == 1 and len({s.date for s in scenes}) == 3
        assert all(np.array_equal(s.labels, scenes[0].labels) for s in scenes)
    low, high = simulate.REGIONS[region].season  # of a northern region: days of the year
    assert all(low - 1 <= s.date.timetuple().tm_yday <= high + 1 for scenes in dates for s in scenes)
    again, clear = co.simulated_dates(region, [4], 3, 32), co.simulated_dates(region, [4], 3, 32, haze=0)
    assert all(np.array_equal(a[0].pixels, b[1].pixels) for a, b in zip(again, dates, strict=True))
    blue = [a[0].pixels[0].mean() - b[0].pixels[0].mean() for a, b in zip(again, clear, strict=True)]
    assert min(blue) > 0 and max(blue) > 2 * min(blue)
    images, bands, labels = co.date_stacks(dates, 2)  # of three dates, one is left over
    assert images.shape == (2, 1, 20, 32, 32) and bands[10] == "B02 2" and (labels[1] == dates[0][1].labels).all()
    first, second = sorted((dates[0][1], dates[1][1]), key=lambda s: s.date)
    assert (images[1, 0, :10] == first.pixels).all() and (images[1, 0, 10:] == second.pixels).all()
    assert co.date_stacks(dates, 1)[0].shape == (2, 3, 10, 32, 32)
    with pytest.raises(ValueError, match="Stacks of 4 dates cannot be made of 3"):
        co.date_stacks(dates, 4)
    both = co.scenes_for("simulated", ["Africa"], n=1, dates=2, size=32)
    assert len(both) == 2 and len(both[0]) == sum("Africa" in name for name in simulate.REGIONS) > 1
    with pytest.raises(ValueError, match="no region 'Atlantis'"):
        co.simulated_dates("Atlantis", [0])


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("pretrain", ("--data", "nowhere"), "There is no folder nowhere"),
        ("pretrain", ("--data", "simulated", "--patches", "0"), "At least one patch"),
        ("pretrain", ("--data", "simulated", "--region", "Atlantis"), "no region 'Atlantis'; there are"),
        ("pretrain", ("--bands", "a z"), "has no band z; it has a, b, c, d"),
        ("pretrain", ("--size", "100"), "smaller than a crop of 100"),
        ("pretrain", ("--out", "weights.pth"), "safetensors"),
        ("pretrain", ("--device", "cuda"), "no CUDA device"),
        ("finetune", ("--weights", "none.safetensors"), "There is no file none.safetensors"),
        ("finetune", ("--fraction", "0"), "must lie above 0"),
    ],
)
def test_mistakes_get_one_plain_sentence(folder, tmp_path, capsys, name, change, sentence):
    if change[1] == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    assert co.main([*command(name, folder, tmp_path / "w.safetensors", "--steps", "2")[3:], *change]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: ") and sentence in said


def test_masks_are_needed_for_finetuning_only(folder, tmp_path, capsys):
    (folder / "3.labels.tif").unlink()
    assert co.main(command("pretrain", folder, tmp_path / "w.safetensors", "--steps", "1")[3:]) == 0
    assert co.main(command("finetune", folder, tmp_path / "v.safetensors", "--steps", "1")[3:]) == 2
    assert "has no labels" in capsys.readouterr().err

"""Self-distillation: against the reference's numbers and closed forms, and training that survives what happens."""

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
import torch
from safetensors import safe_open
from torch.nn import functional as F

from lulc_utils import backbone, dino, evaluate, simulate
from lulc_utils.scene import Scene

GOLDEN = Path(__file__).parents[2] / "golden" / "dino_11.npz"
ROOT = Path(__file__).parents[3]
TINY = {
    "model": {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2},
    "batch_size": 8,
    "crop": 32,
    "local_crop": 16,
    "prototypes": 32,
    "log_every": 1,
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN, allow_pickle=False)


def drawn(n: int = 4, size: int = 64) -> list[Scene]:
    """Scenes in which every image has colours and stripes of its own."""
    rng = np.random.default_rng(0)
    scenes = []
    for i in range(n):
        wave = np.sin(np.arange(size) * rng.uniform(0.2, 1.5))[None, None, :] * 40
        pixels = rng.uniform(60, 190, (3, 1, 1)) + wave + rng.normal(0, 8, (3, size, size))
        scenes.append(Scene(f"drawn {i}", pixels.clip(0, 255).astype(np.uint8), ("red", "green", "blue"), "drawn"))
    return scenes


# ----------------------------------------------------------------------------------------------- the numbers


def test_loss_and_center_are_the_references(golden):
    center = torch.zeros(1, 32)
    for epoch in range(3):
        student = torch.from_numpy(golden[f"student{epoch}"]).view(6, 8, 32)  # one crop after the other
        teacher = torch.from_numpy(golden[f"teacher{epoch}"]).view(2, 8, 32)
        loss = dino.dino_loss(student, teacher, center, 0.1, float(golden[f"teacher_temp{epoch}"]))
        center = dino.update_center(center, teacher, 0.9)
        assert abs(float(loss) - float(golden[f"loss{epoch}"])) < 1e-5 * float(golden[f"loss{epoch}"])
        np.testing.assert_allclose(center.numpy(), golden[f"center_after{epoch}"], atol=1e-5)


def test_schedule_is_the_references(golden):
    ours = dino.cosine_schedule(5e-4, 1e-6, 50, warmup_steps=10)
    np.testing.assert_allclose(ours, golden["cosine_schedule"], rtol=1e-5, atol=1e-12)


def test_schedule_ends():
    assert len(dino.cosine_schedule(1, 0, 7, 3)) == 7
    np.testing.assert_allclose(dino.cosine_schedule(1, 0, 3, 10, start=0.5), [0.5, 0.75, 1.0])


def test_loss_of_a_student_without_opinion_is_log_k():
    teacher = torch.randn(2, 5, 16)
    assert float(dino.dino_loss(torch.zeros(4, 5, 16), teacher, 0.0)) == pytest.approx(math.log(16), rel=1e-5)


def test_loss_leaves_the_teacher_and_the_own_view_alone():
    teacher = torch.randn(2, 5, 16, requires_grad=True)
    student = torch.randn(2, 5, 16, requires_grad=True)
    dino.dino_loss(student, teacher, 0.0).backward()
    assert teacher.grad is None
    answer = F.softmax(student.detach() / 0.1, -1)
    target = F.softmax(teacher.detach() / 0.04, -1)
    expected = (answer - target.flip(0)) / 0.1 / (2 * 5)  # view 0 learns from view 1 only, and the reverse
    torch.testing.assert_close(student.grad, expected)


def test_patch_loss_counts_shared_ground_only():
    teacher = torch.full((1, 3, 4), -100.0)
    teacher[0, [0, 1, 2], [0, 1, 2]] = 100.0  # patch i answers prototype i
    student = torch.zeros(1, 3, 4)
    student[0, 0, 2] = 1.0
    index = torch.tensor([[2, -1, -1]])
    expected = -F.log_softmax(student[0, 0] / 0.1, -1)[2]
    torch.testing.assert_close(dino.patch_loss(student, teacher, index, 0.0), expected)
    nothing = dino.patch_loss(student, teacher, torch.full((1, 3), -1), 0.0)
    assert float(nothing) == 0


def test_teacher_is_the_moving_average():
    teacher, student = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = teacher.weight.detach().clone()
    for _ in range(3):
        dino.update_teacher(teacher, student, 0.9)
    torch.testing.assert_close(teacher.weight.detach(), 0.9**3 * before + (1 - 0.9**3) * student.weight.detach())


def test_head_gives_cosines():
    head = dino.Head(8, prototypes=5)
    with torch.no_grad():
        head.prototypes *= 7
    logits = head(torch.randn(3, 4, 8))
    assert logits.shape == (3, 4, 5) and logits.abs().max() <= 1 + 1e-6
    with torch.no_grad():
        head.prototypes[0] = head.mlp(torch.ones(8)) * 3
    assert float(head(torch.ones(8))[0].detach()) == pytest.approx(1, abs=1e-5)


# ---------------------------------------------------------------------------------------------------- views


def numbered(size: int = 200) -> torch.Tensor:
    """An image whose colours tell the place: red the row, green the column."""
    rows = torch.arange(size).view(-1, 1).expand(size, size)
    return torch.stack([rows, rows.T, torch.zeros_like(rows)]).to(torch.uint8)


def test_patches_of_the_same_cell_show_the_same_ground():
    still = dict.fromkeys(dino.MILD, 0.0)
    views = dino.multi_crop(
        [numbered()], torch.Generator().manual_seed(3), 24, crop=40, n_local=2, local_crop=16, zoom=(1, 1), jitter=still
    )
    assert [v.pixels.shape[-1] for v in views] == [40, 40, 16, 16]
    means = [F.avg_pool2d(v.pixels, 8).flatten(2) * 255 for v in views]  # [B, 3, n] place on the ground
    turned = 0
    for teacher in (0, 1):
        for student in range(4):
            index = dino.same_ground(views[student].cells, views[teacher].cells)
            shared = index >= 0
            assert shared.any(1).float().mean() > 0.5
            there = means[teacher].gather(2, index.clamp_min(0).unsqueeze(1).expand(-1, 3, -1))
            gap = (there - means[student]).abs().amax(1)
            assert gap[shared].max() < 1e-3  # the very same pixels, whatever the turn
            turned += int((index[shared] != torch.arange(index.shape[1]).expand_as(index)[shared]).sum())
    assert turned > 100  # the test would be empty if the views were never turned


def test_cells_that_are_not_shared_are_marked():
    index = dino.same_ground(torch.tensor([[[0, 1], [4, 5]]]), torch.tensor([[[1, 2], [5, 6]]]))
    assert index.tolist() == [[-1, 0, -1, 2]]


def test_views_depend_on_the_generator_only_and_can_be_shared_out():
    images = [numbered(), numbered(120)]
    whole, again = (dino.multi_crop(images, torch.Generator().manual_seed(5), 6, crop=40) for _ in range(2))
    part = dino.multi_crop(images, torch.Generator().manual_seed(5), 6, crop=40, rows=slice(2, 4))
    for a, b, c in zip(whole, again, part, strict=True):
        assert torch.equal(a.pixels, b.pixels) and a.grid == b.grid == c.grid
        for name in ("pixels", "cells", "masked", "positions"):
            assert torch.equal(getattr(a, name)[2:4], getattr(c, name))


def test_color_jitter_is_mild():
    image = torch.full((3, 90, 90), 128, dtype=torch.uint8)
    image[0] += 40
    view = dino.multi_crop([image], torch.Generator().manual_seed(0), 64, crop=40)[0]
    red_over_green = view.pixels[:, 0].mean((1, 2)) / view.pixels[:, 1].mean((1, 2))
    assert red_over_green.std() > 0.01
    assert (red_over_green > 0.98).all()  # a red field stays red


# -------------------------------------------------------------------------------------------------- collapse


def test_entropies_and_their_warnings():
    k = 64
    healthy = torch.eye(k).repeat(3, 1)
    assert dino.entropies(healthy) == pytest.approx((0, math.log(k)), abs=1e-5)
    assert dino.collapse_warning(*dino.entropies(healthy), k) is None
    uniform = torch.full((5, k), 1 / k)
    assert dino.entropies(uniform) == pytest.approx((math.log(k), math.log(k)), abs=1e-5)
    assert "uniform" in dino.collapse_warning(*dino.entropies(uniform), k)
    point = torch.eye(k)[[3, 3, 3]]
    assert dino.entropies(point) == pytest.approx((0, 0), abs=1e-5)
    assert "one point" in dino.collapse_warning(*dino.entropies(point), k)


@pytest.mark.filterwarnings("ignore:Step")
def test_both_collapses_can_be_provoked():
    quick = {**TINY, "steps": 60, "teacher_momentum": 0.9, "lr": 3e-3, "warmup_steps": 5, "patch_weight": 0.0}
    free = dino.train(drawn(), **quick, center_momentum=None, teacher_temp=(0.02, 0.02))
    assert any("one point" in text for text in free.warnings), free.history[-1]
    blunt = dino.train(drawn(), **quick, teacher_temp=(0.5, 0.5), student_temp=0.5)
    assert any("uniform" in text for text in blunt.warnings), blunt.history[-1]


# -------------------------------------------------------------------------------------------------- training


def test_training_learns_and_its_backbone_loads(tmp_path):
    still = {"teacher_momentum": 1.0, "teacher_temp": (0.04, 0.04), "center_momentum": None}  # a moving target hides it
    result = dino.train(drawn(), **TINY, **still, steps=60, n_local=1, lr=3e-3, history=tmp_path / "run.jsonl")
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
    dino.train(drawn(), **TINY, steps=2)
    assert torch.equal(torch.rand(3), expected)


def same_weights(a: dino.Result, b: dino.Result) -> bool:
    return a.backbone.weights_hash == b.backbone.weights_hash


def test_resumed_run_equals_unbroken_run_bit_for_bit(tmp_path):
    whole = dino.train(drawn(), **TINY, steps=8)

    class Unplugged(Exception):
        pass

    def cut_off(*arguments):
        if arguments[0]["step"] == 5:
            raise Unplugged
        return step(*arguments)

    step, dino._step = dino._step, cut_off
    saved = {**TINY, "steps": 8, "checkpoint": tmp_path / "c", "checkpoint_every": 2, "history": tmp_path / "h.jsonl"}
    try:
        with pytest.raises(Unplugged):
            dino.train(drawn(), **saved)
    finally:
        dino._step = step
    resumed = dino.train(drawn(), **saved)
    assert same_weights(whole, resumed) and resumed.history == whole.history
    assert len((tmp_path / "h.jsonl").read_text().splitlines()) == 8
    other = dino.train(drawn(), **TINY, steps=8, seed=1)
    assert not same_weights(whole, other)


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "c"
    dino.train(drawn(), **TINY, steps=2, checkpoint=path)
    with pytest.raises(ValueError, match="another lr;"):
        dino.train(drawn(), **TINY, steps=2, checkpoint=path, lr=1e-2)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        dino.train(drawn(), **TINY, steps=2, checkpoint=path)
    assert dino.train(drawn(), **TINY, steps=2, checkpoint=path, resume=False).history


# ------------------------------------------------------------------------------------------ the shipped weights


def test_shipped_weights_are_small_and_say_what_they_saw():
    assert backbone.EMBEDDED_FILE.stat().st_size <= 12e6
    with safe_open(backbone.EMBEDDED_FILE, "pt") as file:
        notes = file.metadata()
    card = backbone.EMBEDDED_FILE.with_suffix(".md").read_text()
    assert "held out: Dubai tiles 3, 5, 7" in notes["data"] and "tiles 3, 5 and 7" in card
    assert notes["licence"] == "BSD-3-Clause" and notes["seed"] == "0" and notes["steps"] == "3100"


def test_shipped_weights_read_simulated_scenes_better_than_random_ones():
    train, test = simulate.aerial_scenes(range(14), 224), simulate.aerial_scenes(range(1000, 1007), 224)
    found = {}
    for name in ("embedded", "random"):
        net = backbone.load(name)
        images, labels = (
            [[getattr(s, what) for s in scenes] for scenes in (train, test)] for what in ("pixels", "labels")
        )
        features = [backbone.patch_features(net, np.stack(x), precision="bf16").numpy() for x in images]
        truth = [evaluate.patch_labels(np.stack(y), 8) for y in labels]
        probe = evaluate.linear_probe(features[0], truth[0], samples=3000)
        answers = evaluate.predict(probe, features[1])
        found[name] = evaluate.scores(evaluate.confusion(truth[1], answers, 7))["miou"]
    assert found["embedded"] > found["random"] + 0.05, found


# ---------------------------------------------------------------------------------------------- command line


@pytest.fixture
def folder(tmp_path):
    import rasterio

    path = tmp_path / "images"
    path.mkdir()
    for i, scene in enumerate(drawn(3)):
        profile = {"driver": "GTiff", "count": 3, "height": 64, "width": 64, "dtype": "uint8"}
        with rasterio.open(path / f"{i}.tif", "w", **profile) as file:
            file.write(scene.pixels)
    (path / "notes.txt").write_text("not an image")
    return path


def command(folder: Path, out: Path, *more: str, launcher: tuple[str, ...] = ("-m",)) -> list[str]:
    small = "--model vit_mini8 --batch-size 8 --crop 32 --prototypes 32 --log-every 1 --checkpoint-every 1"
    start = [sys.executable, *launcher, "lulc_utils.dino", "train", "--data", str(folder), "--out", str(out)]
    return [*start, *small.split(), *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def records(out: Path) -> list[dict]:
    path = out.with_suffix(".jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def test_killed_run_continues(folder, tmp_path):
    killed = tmp_path / "killed.safetensors"
    process = subprocess.Popen(command(folder, killed, "--steps", "200"), env=environment(), stderr=subprocess.PIPE)
    deadline = time.time() + 50
    while len(records(killed)) < 4 and process.poll() is None and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = torch.load(killed.with_suffix(".checkpoint"), weights_only=True)["step"]
    assert process.returncode == -signal.SIGKILL and 3 <= done < 200 and not killed.exists()
    steps = str(done + 3)
    assert dino.main(command(folder, killed, "--steps", steps)[3:]) == 0
    assert [r["step"] for r in records(killed)] == list(range(1, done + 4))
    with safe_open(killed, "pt") as file:
        assert file.metadata()["steps"] == steps
    assert backbone.load("embedded", weights=killed).dim == 64


def test_two_processes_give_the_curve_of_one(folder, tmp_path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    assert dino.main(command(folder, one, "--steps", "6", "--n-local", "1", "--local-crop", "16")[3:]) == 0
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    arguments = command(folder, two, "--steps", "6", "--n-local", "1", "--local-crop", "16", launcher=torchrun)
    ended = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    for a, b in zip(records(one), records(two), strict=True):
        assert a == pytest.approx(b, rel=2e-4)
    images = np.stack([s.pixels for s in drawn()])
    features = [backbone.patch_features(backbone.load("embedded", weights=w), images) for w in (one, two)]
    torch.testing.assert_close(*features, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("--data", "nowhere"), "There is no folder nowhere"),
        (("--data", "simulated", "--scenes", "0"), "At least one scene must be simulated"),
        (("--model", "resnet"), "There is no model 'resnet'; choose one of vit_tiny8, vit_mini8."),
        (("--crop", "128"), "too small for crops of 128"),
        (("--crop", "30"), "multiple of the patch"),
        (("--out", "weights.pth"), "safetensors"),
        (("--device", "cuda"), "no CUDA device"),
    ],
)
def test_mistakes_get_one_plain_sentence(folder, tmp_path, capsys, change, sentence):
    if change[1] == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    assert dino.main([*command(folder, tmp_path / "w.safetensors", "--steps", "2")[3:], *change]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ") and sentence in said and said.count("\n") == 0


def test_training_scenes_are_no_test_scenes(monkeypatch):
    asked = []
    monkeypatch.setattr(dino.load_data, "dubai", lambda tiles, progress: asked.extend(tiles) or drawn(3))
    scenes, shares = dino.scenes_for("simulated+dubai", 1)
    assert scenes[0].source == "simulated aerial, seed 10000" and set(asked) == {1, 2, 4, 6, 8}
    assert shares == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])


def test_images_that_cannot_be_used_are_named(tmp_path, capsys):
    import rasterio

    (tmp_path / "empty").mkdir()
    assert dino.main(command(tmp_path / "empty", tmp_path / "w.safetensors")[3:]) == 2
    assert "holds no image" in capsys.readouterr().err
    for count, dtype, sentence in ((4, "uint8", "has 4 bands"), (3, "uint16", "8 bits per colour")):
        folder = tmp_path / f"{count}{dtype}"
        folder.mkdir()
        profile = {"driver": "GTiff", "count": count, "height": 64, "width": 64, "dtype": dtype}
        with rasterio.open(folder / "a.tif", "w", **profile) as file:
            file.write(np.ones((count, 64, 64), dtype))
        assert dino.main(command(folder, tmp_path / "w.safetensors")[3:]) == 2
        assert sentence in capsys.readouterr().err

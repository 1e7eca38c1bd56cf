"""The command line of contrastive: killed, resumed, shared by two processes; what it lacks is said."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from safetensors import safe_open
from small_trainings import field

from lulc_utils import raster
from lulc_utils.cli import main
from lulc_utils.contrastive import unet
from lulc_utils.scene import LandCover, Scene

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.usefixtures("one_thread")


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


def train(arguments: list[str]) -> int:
    return main(["contrastive", *arguments[3:]])


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def records(out: Path) -> list[dict]:
    path = out.with_suffix(".jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


@pytest.mark.slow
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
    assert train(command("pretrain", folder, killed, "--steps", str(done + 3))) == 0
    assert [r["step"] for r in records(killed)] == list(range(1, done + 4))
    tuned = tmp_path / "tuned.safetensors"
    more = ("--steps", "3", "--weights", str(killed), "--fraction", "0.5")
    assert train(command("finetune", folder, tuned, *more)) == 0
    model = unet.load(tuned)
    assert model.classes == 3 and model.bands == tuple("abcd") and len(records(tuned)) == 3
    with safe_open(tuned, "pt") as file:
        assert file.metadata()["class_names"] == "p, q, r" and file.metadata()["fraction"] == "0.5"
    assert "Wrote" in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(folder, tmp_path):
    runs = {name: [tmp_path / f"{name}{n}.safetensors" for n in (1, 2)] for name in ("pretrain", "finetune")}
    arguments = [[command(name, folder, out, "--steps", "6") for out in both] for name, both in runs.items()]
    for alone, _ in arguments:
        assert train(alone) == 0
    script = tmp_path / "both.py"  # one start of torchrun, which is slow, for the two of them
    calls = "; ".join(f"assert main(['contrastive', *{two[3:]}]) == 0" for _, two in arguments)
    script.write_text(
        "import torch.distributed as dist\nfrom lulc_utils.cli import main\n"
        f"dist.init_process_group('gloo'); {calls}; dist.destroy_process_group()\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    ended = subprocess.run(torchrun, env=environment(), capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    x = torch.from_numpy(field(2)[0])
    for alone, two in runs.values():
        assert len(records(alone)) == 6 and records(alone)[0] == pytest.approx(records(two)[0], rel=1e-5)
        for a, b in zip(records(alone), records(two), strict=True):
            assert a == pytest.approx(b, rel=2e-3)  # rounding grows
        torch.testing.assert_close(*(unet.load(w).features(x) for w in (alone, two)), atol=5e-3, rtol=0)


def test_masks_are_needed_for_finetuning_only(folder, tmp_path, capsys):
    (folder / "3.labels.tif").unlink()
    assert train(command("pretrain", folder, tmp_path / "w.safetensors", "--steps", "1")) == 0
    assert train(command("finetune", folder, tmp_path / "v.safetensors", "--steps", "1")) == 2
    assert "has no labels" in capsys.readouterr().err

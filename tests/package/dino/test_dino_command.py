"""The command line: killed runs continue, two processes do what one does; images that cannot be used are named."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from small_dino import command, drawn, environment

from lulc_utils import backbone, cli, dino
from lulc_utils.dino import command as dino_command

pytestmark = pytest.mark.usefixtures("one_thread")


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


def records(out: Path) -> list[dict]:
    path = out.with_suffix(".jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


@pytest.mark.slow
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
    assert cli.main(command(folder, killed, "--steps", steps)[3:]) == 0
    assert [r["step"] for r in records(killed)] == list(range(1, done + 4))
    with safe_open(killed, "pt") as file:
        assert file.metadata()["steps"] == steps
    assert backbone.load("embedded", weights=killed).dim == 64


@pytest.mark.slow
def test_two_processes_give_the_curve_of_one(folder, tmp_path):
    alone, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    assert cli.main(command(folder, alone, "--steps", "6", "--n-local", "1", "--local-crop", "16")[3:]) == 0
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    arguments = command(folder, two, "--steps", "6", "--n-local", "1", "--local-crop", "16", launcher=torchrun)
    ended = subprocess.run(arguments, env=environment(), capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    for a, b in zip(records(alone), records(two), strict=True):
        assert a == pytest.approx(b, rel=2e-4)
    images = np.stack([s.pixels for s in drawn()])
    features = [backbone.patch_features(backbone.load("embedded", weights=w), images) for w in (alone, two)]
    torch.testing.assert_close(*features, atol=2e-3, rtol=0)


def test_training_scenes_are_no_test_scenes(monkeypatch):
    asked = []
    monkeypatch.setattr(dino_command.load_data, "dubai", lambda tiles, progress: asked.extend(tiles) or drawn(3))
    scenes, shares, places = dino.scenes_for("simulated+dubai", 1)
    assert scenes[0].source == "simulated aerial, seed 10000" and set(asked) == {1, 2, 4, 6, 8}
    assert shares == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3]) and len(set(places)) == 4
    assert dino.scenes_for("simulated+dubai", 2, "3+1").shares == pytest.approx([1.5, 1.5, 1 / 3, 1 / 3, 1 / 3])
    with pytest.raises(ValueError, match="2 parts, --shares 1 numbers"):
        dino.scenes_for("simulated+dubai", 1, "3")


def test_a_folder_may_say_which_images_show_one_place(folder):
    table = "file,place\n0.tif,here\n2.tif,here\n"
    (folder / "images.csv").write_text(table)
    places = dino.scenes_for(str(folder)).places
    assert places[0] == places[2] != places[1]


def test_images_that_cannot_be_used_are_named(tmp_path, capsys):
    import rasterio

    (tmp_path / "empty").mkdir()
    assert cli.main(command(tmp_path / "empty", tmp_path / "w.safetensors")[3:]) == 2
    assert "holds no image" in capsys.readouterr().err
    for count, dtype, sentence in ((5, "uint8", "has 5 bands"), (3, "uint16", "8 bits per color")):
        folder = tmp_path / f"{count}{dtype}"
        folder.mkdir()
        profile = {"driver": "GTiff", "count": count, "height": 64, "width": 64, "dtype": dtype}
        with rasterio.open(folder / "a.tif", "w", **profile) as file:
            file.write(np.ones((count, 64, 64), dtype))
        assert cli.main(command(folder, tmp_path / "w.safetensors")[3:]) == 2
        assert sentence in capsys.readouterr().err

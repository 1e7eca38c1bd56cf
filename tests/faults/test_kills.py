"""Killed at random moments, or two at once: what is there is whole, nothing is lost, and the next run goes on."""

import hashlib
import os
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
import torch
import yaml

from lulc_utils import contrastive, data, mapping, raster, tensors
from lulc_utils.contrastive import unet
from lulc_utils.data import download, manifest
from lulc_utils.scene import LandCover
from lulc_utils.training import Saving

KILLS = 20
CLASSES = (LandCover("water", "#0072b2"), LandCover("grass", "#7bc97b"), LandCover("bare land", "#e6c79c"))
# weekly: a fork of a process with many threads can wait for ever, seen in one of six runs
pytestmark = [pytest.mark.slow, pytest.mark.weekly, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


@contextmanager
def started(function):
    """The function in a process of its own, which another interpreter would only begin after seconds; its number."""
    if (child := os.fork()) == 0:
        status = 3
        try:
            function()
            status = 0
        except RuntimeError as error:
            status = 1 if "Another run is writing" in str(error) else 3
        finally:
            os._exit(status)
    yield child


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(function, seconds):
    """Start it, kill it after so many seconds; whether it was still running."""
    with started(function) as child:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        return ended(child) == -signal.SIGKILL


def moments(function, undo):
    """Random moments within the time that the function takes."""
    start = time.monotonic()
    function()
    taken = time.monotonic() - start
    undo()
    return np.random.default_rng(0).uniform(0, taken, KILLS)


def pixel_model(pixels):
    time.sleep(0.003)
    brightness = pixels[0].astype(np.float32)
    return np.stack([-np.abs(brightness - center) for center in (40, 120, 200)])


def make_map(folder):
    model = mapping.Model(pixel_model, "brightness", "abc", CLASSES)
    return mapping.map_raster(folder / "a.tif", model, folder / "map.tif", window=48, overlap=16, progress=False)


@pytest.fixture
def mapped(tmp_path):
    """A folder with a raster to map, and the right classes."""
    pixels = np.random.default_rng(0).integers(1, 250, (1, 220, 128)).astype(np.uint8)
    profile = {"driver": "GTiff", "width": 128, "height": 220, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "a.tif", "w", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), **profile) as file:
        file.write(pixels)
    right = raster.read_classes(make_map(tmp_path))
    (tmp_path / "map.tif").unlink()
    return tmp_path, right


def test_a_killed_map_goes_on_to_the_same_pixels(mapped, tried):
    tried("kept", KILLS)
    folder, right = mapped
    out = folder / "map.tif"
    running = 0
    for moment in moments(lambda: make_map(folder), out.unlink):
        running += killed(lambda: make_map(folder), moment)
        if out.exists():  # complete, or not there
            np.testing.assert_array_equal(raster.read_classes(out), right)
        np.testing.assert_array_equal(raster.read_classes(make_map(folder)), right)
        assert sorted(p.name for p in folder.iterdir()) == ["a.tif", "map.tif"]
        out.unlink()
    assert running > KILLS / 2


def train(folder, steps=5):
    torch.set_num_threads(1)
    images = np.random.default_rng(0).uniform(0, 0.4, (4, 3, 16, 16)).astype(np.float32)
    settings = contrastive.Pretraining(steps=steps, batch_size=2, crop=16, points=8)
    saving = Saving(folder / "a.checkpoint", checkpoint_every=1, history=folder / "a.jsonl", log_every=1)
    return weights(unet.save(contrastive.pretrain(images, settings, saving).model, folder / "a.safetensors"))


def weights(path):
    """All numbers of a complete file, as bytes; the order of its notes differs."""
    return b"".join(value.numpy().tobytes() for _, value in sorted(tensors.read(path)[0].items()))


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, tried):
    tried("kept", KILLS)
    (tmp_path / "right").mkdir()
    right = train(tmp_path / "right")
    folder = tmp_path / "killed"
    folder.mkdir()

    def clean():
        for path in folder.iterdir():
            path.unlink()

    running = 0
    for moment in moments(lambda: train(folder), clean):
        running += killed(lambda: train(folder), moment)
        if (folder / "a.checkpoint").exists():
            assert torch.load(folder / "a.checkpoint", weights_only=True)["step"] >= 1
        if (folder / "a.safetensors").exists():
            assert weights(folder / "a.safetensors") == right
        assert train(folder) == right
        left = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        assert left == ["a.checkpoint", "a.jsonl", "a.safetensors"]
        assert len((folder / "a.jsonl").read_text().splitlines()) == 5
        clean()
    assert running > KILLS / 2


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A data set of six files in a mirror folder, copied in small pieces; its files."""
    rng = np.random.default_rng(0)
    files = {f"{i}.bin": rng.bytes(60_000) for i in range(6)}
    folder, lines = tmp_path / "manifest", []
    folder.mkdir()
    for name, body in files.items():
        sha = hashlib.sha256(body).hexdigest()
        lines += [f"# {len(body)} bytes", f"{name} sha256:{sha} {download.ORIGIN}owner/repo/{name}"]
        path = tmp_path / "mirror" / "owner" / "repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    entry = dict.fromkeys(("title", "about", "licence", "licence_short", "citation", "homepage", "repository"), "none")
    entry |= {"files": 6, "bytes": 360_000, "commit": "0123abc", "used_in": [0]}
    (folder / "tiny.txt").write_text("\n".join(lines) + "\n")
    (folder / "datasets.yaml").write_text(yaml.safe_dump({"datasets": {"tiny": entry}}))
    monkeypatch.setattr(manifest, "manifest_folder", lambda: folder)
    monkeypatch.setattr(download, "BLOCK", 200)
    monkeypatch.setenv("LULC_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LULC_OFFLINE", "1")
    return files


def fetch():
    data.fetch("tiny", progress=False, workers=2)


def cached():
    """All files of the cache, but for the empty lock of a process that was killed when it had everything."""
    root = data.cache_folder() / "tiny"
    files = [p for p in root.iterdir() if p.is_file() and p.name != "fetch.lock"] if root.exists() else []
    return {p.name: p.read_bytes() for p in files}


def test_a_killed_fetch_leaves_good_files_and_is_cleaned_up_by_the_next(mirror, tried):
    tried("kept", KILLS)

    def clean():
        for name in cached():
            (data.cache_folder() / "tiny" / name).unlink()

    running = 0
    for moment in moments(fetch, clean):
        running += killed(fetch, moment)
        final = {name: body for name, body in cached().items() if ".part" not in name}
        assert final.items() <= mirror.items(), "half a file has its final name"
        fetch()
        assert cached() == mirror, "and nothing else"
        clean()
    assert running > KILLS / 2


def two(function):
    with started(function) as first, started(function) as second:
        return sorted([ended(first), ended(second)])


def test_two_fetches_of_one_cache(mirror, tried):
    tried("kept", 5)
    for _ in range(5):
        assert two(fetch) == [0, 0] and cached() == mirror
        for name in mirror:
            (data.cache_folder() / "tiny" / name).unlink()


def test_two_maps_of_one_name(mapped, tried):
    tried("kept", 5)
    folder, right = mapped
    for _ in range(5):
        assert two(lambda: make_map(folder)) in ([0, 0], [0, 1])  # the second waits for nothing: it is refused
        np.testing.assert_array_equal(raster.read_classes(folder / "map.tif"), right)
        assert sorted(p.name for p in folder.iterdir()) == ["a.tif", "map.tif"]
        (folder / "map.tif").unlink()


def test_two_trainings_of_one_name(tmp_path, tried):
    tried("kept", 5)
    (tmp_path / "right").mkdir()
    right = train(tmp_path / "right")
    for i in range(5):
        folder = tmp_path / str(i)
        folder.mkdir()
        assert two(lambda folder=folder: train(folder)) in ([0, 0], [0, 1])
        assert weights(folder / "a.safetensors") == right
        assert not [p for p in folder.iterdir() if p.suffix in (".lock", ".part")]

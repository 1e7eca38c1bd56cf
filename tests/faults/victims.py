"""What test_kills.py kills: three small jobs in a folder, each in a process that does nothing else."""

import hashlib
import os
import time

import numpy as np
import rasterio
import yaml

from lulc_utils import contrastive, data, mapping
from lulc_utils.contrastive import unet
from lulc_utils.data import download, manifest
from lulc_utils.scene import LandCover
from lulc_utils.training import Saving

CLASSES = (LandCover("water", "#0072b2"), LandCover("grass", "#7bc97b"), LandCover("bare land", "#e6c79c"))


def run(line, job, folder):
    """Wait for the word of the test, do the job, say how it ended."""
    line.send("ready")
    line.recv()
    try:
        job(folder)
        line.send("done")
    except Exception as error:
        line.send(f"{type(error).__name__}: {error}")


def to_map(folder):
    """A folder with a raster to map."""
    pixels = np.random.default_rng(0).integers(1, 250, (1, 220, 128)).astype(np.uint8)
    profile = {"driver": "GTiff", "width": 128, "height": 220, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(folder / "a.tif", "w", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), **profile) as file:
        file.write(pixels)


def brightness(pixels):
    time.sleep(0.003)
    return np.stack([-np.abs(pixels[0].astype(np.float32) - center) for center in (40, 120, 200)])


def make_map(folder):
    model = mapping.Model(brightness, "brightness", "abc", CLASSES)
    mapping.map_raster(folder / "a.tif", model, folder / "map.tif", window=48, overlap=16, progress=False)


def train(folder):
    images = np.random.default_rng(0).uniform(0, 0.4, (4, 3, 16, 16)).astype(np.float32)
    settings = contrastive.Pretraining(steps=5, batch_size=2, crop=16, points=8)
    saving = Saving(folder / "a.checkpoint", checkpoint_every=1, history=folder / "a.jsonl", log_every=1)
    unet.save(contrastive.pretrain(images, settings, saving).model, folder / "a.safetensors")


def to_fetch(folder):
    """A data set of six files in a mirror folder; its files by name."""
    rng = np.random.default_rng(0)
    files = {f"{i}.bin": rng.bytes(60_000) for i in range(6)}
    mirror, lines = folder / "mirror" / "owner" / "repo", []
    mirror.mkdir(parents=True)
    for name, body in files.items():
        sha = hashlib.sha256(body).hexdigest()
        lines += [f"# {len(body)} bytes", f"{name} sha256:{sha} {download.ORIGIN}owner/repo/{name}"]
        (mirror / name).write_bytes(body)
    entry = dict.fromkeys(("title", "about", "license", "license_short", "citation", "homepage", "repository"), "none")
    entry |= {"files": 6, "bytes": 360_000, "commit": "0123abc", "used_in": [0]}
    (folder / "tiny.txt").write_text("\n".join(lines) + "\n")
    (folder / "datasets.yaml").write_text(yaml.safe_dump({"datasets": {"tiny": entry}}))
    return files


def fetch(folder):
    """From the mirror into folder/cache, in small pieces."""
    manifest.manifest_folder = lambda: folder
    download.BLOCK = 200
    os.environ |= {
        "LULC_DATA_MIRROR": str(folder / "mirror"),
        "LULC_DATA_DIR": str(folder / "cache"),
        "LULC_OFFLINE": "1",
    }
    data.fetch("tiny", progress=False, workers=2)

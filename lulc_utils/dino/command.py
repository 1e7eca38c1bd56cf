"""`python -m lulc_utils dino train`: train a backbone without labels, on one process or under torchrun."""

from __future__ import annotations

import argparse
import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from lulc_utils import backbone as bb
from lulc_utils import data as load_data
from lulc_utils import raster, simulate
from lulc_utils.dino.train import Settings, train
from lulc_utils.scene import Scene
from lulc_utils.training import add_training_options, from_options, rank, saving_beside, under_torchrun

TRAINING_TILES = (1, 2, 4, 6, 8)  # of Dubai; 3, 5 and 7 are never trained on, so that every chapter may test on them
FIRST_SEED = 10_000  # of the simulated scenes trained on; chapters and tests use smaller ones


class Material(NamedTuple):
    """What a network is trained on: scenes, the chance of each, and the name of the place that each shows."""

    scenes: list[Scene]
    shares: list[float]
    places: list[str]


def scenes_for(data: str, n_simulated: int = 300, shares: str = "", *, progress: bool = False) -> Material:
    """The scenes of "simulated", "dubai", a folder of RGB images, or several of them joined by "+".

    shares   how often each part is drawn, numbers joined by "+" as in "3+1"; equally often when empty

    Of Dubai, tiles 3, 5 and 7 are left out for testing. Simulated scenes have seeds from 10000, which no chapter uses.
    ValueError or FileNotFoundError when a part has no images.
    """
    parts = data.split("+")
    try:
        weights = [float(number) for number in shares.split("+")] if shares else [1.0] * len(parts)
    except ValueError:
        raise ValueError(f"--shares are numbers joined by +, as in 3+1, not '{shares}'.") from None
    if not all(0 < weight < math.inf for weight in weights):
        raise ValueError(f"Every number of --shares must be above 0, not '{shares}'.")
    if len(weights) != len(parts):
        raise ValueError(f"--data has {len(parts)} parts, --shares {len(weights)} numbers; give one for each part.")
    material = Material([], [], [])
    for part, weight in zip(parts, weights, strict=True):
        scenes = _scenes_of(part, n_simulated, progress)
        material.scenes.extend(scenes)
        material.shares.extend([weight / len(scenes)] * len(scenes))
        material.places.extend(f"{part} {scene.group or scene.name}" for scene in scenes)
    return material


def _scenes_of(part: str, n_simulated: int, progress: bool) -> list[Scene]:
    if part == "simulated":
        if n_simulated < 1:
            raise ValueError(f"At least one scene must be simulated, not {n_simulated}.")
        return simulate.aerial_scenes(range(FIRST_SEED, FIRST_SEED + n_simulated), progress=progress)
    if part == "dubai":
        scenes = load_data.dubai(TRAINING_TILES, progress=progress)
        return [replace(scene, group="") for scene in scenes]  # the parts of a tile show different ground
    return read_folder(Path(part))


def read_folder(folder: Path) -> list[Scene]:
    """All images of a folder that rasterio can read, in the order of their names.

    A table `images.csv` in the folder, as in those of the training pool, may name the place of each `file`: it becomes
    the scene's group, and images with the same place must show the same ground on several days.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; --data takes simulated, dubai or a folder of images.")
    files = [f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.endswith(".labels.tif")]
    table, places = folder / "images.csv", {}
    if table.exists():
        with table.open(encoding="utf-8", newline="") as lines:
            places = {row["file"]: row["place"] for row in csv.DictReader(lines)}
    scenes = []
    for file in files:
        try:
            scenes.append(replace(raster.read_scene(file), group=places.get(file.name, "")))
        except ValueError:
            continue  # a note or a legend beside the images
    if not scenes:
        raise ValueError(f"{folder} holds no image that can be read (GeoTIFF, JPEG or PNG).")
    return scenes


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `train`."""
    command = parser.add_subparsers(dest="what", required=True).add_parser(
        "train",
        help="train a backbone without labels",
        description="Train a backbone on aerial images without labels, on one process or under torchrun.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = command.add_argument
    add("--data", required=True, help="simulated, dubai, a folder of RGB images, or several joined by +")
    add("--shares", default="", help="how often each of them is drawn, numbers joined by +; equally often when empty")
    add("--scenes", type=int, default=300, help="how many scenes to simulate")
    add("--compiled", action="store_true", help="compile the network, for a GPU")
    add_training_options(command, Settings)


def run(options: argparse.Namespace) -> None:
    """Train as the options say and write the weights."""
    saving, settings = saving_beside(options), from_options(Settings, options)
    with under_torchrun(options.device) as device:
        material = scenes_for(options.data, options.scenes, options.shares, progress=rank() == 0)
        result = train(
            material.scenes,
            settings,
            saving,
            shares=material.shares,
            places=material.places,
            device=device,
            compiled=options.compiled,
        )
        if rank() == 0:
            notes = {"data": options.data, "steps": str(options.steps), "seed": str(options.seed)}
            bb.save(result.backbone, options.out, method="DINO with a cross-view patch term", **notes)
            print(f"Wrote {options.out}; use it with lulc_utils.backbone.load('embedded', weights='{options.out}').")

"""A map in one command: draw a simulated scene, group its patches by frozen features, name the groups, map the scene.

    python -m lulc_utils demo

1. A simulated aerial scene is drawn, and others to learn from.
2. The embedded backbone turns every patch of 8 x 8 pixels into 192 numbers; k-means sorts the patches of the other
   scenes into groups. No label is used so far.
3. Each group is named by the class that is most frequent in it *in the other scenes*.
4. The scene is mapped window by window, and the map compared with the truth that the simulator knows.

For comparison, the same is done with raw color instead of the backbone, and with the most frequent class everywhere.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch

from lulc_utils import backbone as vits
from lulc_utils import cluster, evaluate, mapping, maps, plot, raster, simulate
from lulc_utils.files import complete_or_absent, folder_for
from lulc_utils.mapping import Model
from lulc_utils.scene import Scene

PATCH = 8  # pixels, of the embedded backbone
RESOLUTION = 0.5  # meters per pixel of the simulated scenes
FILES = ("scene.tif", "scene.labels.tif", "map.tif", "map.png", "map.html")
LARGEST = 8192  # pixels; the simulator needs about 60 bytes for each
FIRST_TRAINED = 10_000  # the embedded backbone has seen simulated scenes from this seed on

Describe = Callable[[np.ndarray], np.ndarray]  # images [N, 3, H, W] -> features [N, h, w, D] on the grid of patches


def named_groups(describe: Describe, scenes: Sequence[Scene], groups: int, seed: int) -> Callable:
    """k-means on the patches of the scenes, each group named by its most frequent class there.

    Returns a function: one image [3, H, W] -> class of every patch, [h, w] uint8. ValueError for too many groups.
    """
    features = describe(np.stack([s.pixels for s in scenes]))  # [N, h, w, D]
    model = cluster.kmeans(features, groups, seed)
    truth = evaluate.patch_labels(np.stack([s.labels for s in scenes]), PATCH)  # [N, h, w]
    # a group without a labelled patch stays unlabelled
    names = cluster.names(truth, evaluate.predict(model, features), len(scenes[0].classes), groups, many=True)
    return lambda image: evaluate.apply_match(evaluate.predict(model, describe(image[None])[0]), names)


def as_model(name: str, classify: Callable, scene: Scene) -> Model:
    """A classifier of patches as a model of pixels: the votes of the patches are interpolated between their centers."""

    def predict(pixels: np.ndarray) -> torch.Tensor:
        patches = torch.from_numpy(classify(pixels).astype(np.int64))  # [h, w]
        votes = (patches[..., None] == torch.arange(len(scene.classes))).float()  # [h, w, K]
        return cluster.to_pixels(votes, PATCH, pixels.shape[1:])  # [K, H, W]

    return Model(predict, name, classes=scene.classes, bands=scene.bands, resolution=RESOLUTION)


def make(folder: Path, seed: int, size: int, scenes: int, groups: int, progress: bool) -> dict[str, dict[str, float]]:
    """Write the five files; returns accuracy and mIoU of the map and of the baselines."""
    scene = simulate.aerial(seed, size)
    others = simulate.aerial_scenes(range(seed + 1, seed + 1 + scenes), min(size, 256), progress)
    vit = vits.load("embedded")
    describers = {
        "embedded backbone": lambda images: vits.patch_features(vit, images, progress=progress and len(images) > 1),
        "raw color": lambda images: vits.raw_color(images, PATCH),
    }
    classifiers = {
        name: named_groups(lambda images, f=describe: f(images).numpy(), others, groups, seed)
        for name, describe in describers.items()
    }
    path = raster.write_scene(scene, folder / "scene.tif")  # not earlier: no file remains when something fails before
    outs = {"embedded backbone": folder / "map.tif", "raw color": folder / "color.tif"}
    scores = {}
    for name, classify in classifiers.items():
        model = as_model(f"{groups} groups of patches by {name}", classify, scene)
        mapping.map_raster(path, model, outs[name], window=256, overlap=64, resume=False, progress=progress)
        scores[name] = _score(scene, raster.read_scene(outs[name]).pixels[0])
    outs["raw color"].unlink()  # only needed for the comparison
    most = evaluate.majority_class(np.stack([s.labels for s in others]), len(scene.classes))
    scores["most frequent class"] = _score(scene, np.full_like(scene.labels, most))
    draw(folder, scene, raster.read_scene(folder / "map.tif").pixels[0])
    return scores


def _score(scene: Scene, labels: np.ndarray) -> dict[str, float]:
    scores = evaluate.scores(evaluate.confusion(scene.labels, labels, len(scene.classes)))
    return {name: scores[name] for name in ("accuracy", "miou")}


def draw(folder: Path, scene: Scene, labels: np.ndarray) -> None:
    """map.png to look at, and map.html with the map on one side of a divider and the truth on the other."""
    mapped, truth = (plot.class_map(values, scene.classes) for values in (labels, scene.labels))
    figure, _ = plot.panels({scene.name: plot.rgb(scene), "map": mapped, "truth": truth}, columns=3, size=4)
    plot.legend(figure, scene.classes)
    with complete_or_absent(folder / "map.png") as part:
        figure.savefig(part, dpi=120, bbox_inches="tight")
    sides = (dataclasses.replace(scene, name="map", labels=labels), dataclasses.replace(scene, name="simulated truth"))
    page = maps.comparison(*sides, pixels=512)
    with complete_or_absent(folder / "map.html") as part:
        part.write_text(_with_leaflet(page.get_root().render()), encoding="utf8")


def _with_leaflet(page: str) -> str:
    """The page with Leaflet inside, if the package `xstatic-leaflet` is installed (`make` installs it).

    Otherwise the page fetches Leaflet from the network when it is opened.
    """
    try:
        from xstatic.pkg import leaflet
    except ModuleNotFoundError:
        return page
    script, style = ((Path(leaflet.BASE_DIR) / f"leaflet.{kind}").read_text(encoding="utf8") for kind in ("js", "css"))
    address = r"https://[^\"]+/leaflet\.{}"
    page = re.sub(rf'<script src="{address.format("js")}"></script>', lambda _: f"<script>{script}</script>", page)
    return re.sub(
        rf'<link rel="stylesheet" href="{address.format("css")}"/>', lambda _: f"<style>{style}</style>", page
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `run`."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("demo"), help="where files go (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which simulated scene (%(default)s)")
    parser.add_argument("--size", type=int, default=512, help="its side in pixels of 0.5 m (%(default)s)")
    parser.add_argument("--scenes", type=int, default=12, help="other scenes to learn from (%(default)s)")
    parser.add_argument("--groups", type=int, default=30, help="groups of patches (%(default)s)")
    parser.add_argument("--force", action="store_true", help="replace files of an earlier run")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def run(options: argparse.Namespace) -> None:
    """Make the files and report the scores of the map; ValueError, FileExistsError or OSError when something fails."""
    o = options
    if not 0 <= o.seed <= FIRST_TRAINED - 1 - o.scenes or o.scenes < 1:
        raise ValueError(
            f"All seeds used must lie in 0 to {FIRST_TRAINED - 1}, because the backbone was trained on later ones; "
            "choose another --seed or fewer --scenes."
        )
    if o.size > LARGEST:
        raise ValueError(f"The size must be at most {LARGEST} pixels, not {o.size}; the scene is drawn in memory.")
    if present := [name for name in FILES if (o.folder / name).exists()]:
        if not o.force:
            raise FileExistsError(f"{o.folder / present[0]} already exists; choose another folder, or --force.")
    matplotlib.use("Agg")  # works without a display
    with folder_for(o.folder):
        scores = make(o.folder, o.seed, o.size, o.scenes, o.groups, not o.quiet)
    print(f"Mapped a simulated aerial scene (seed {o.seed}) without any of its labels: {o.groups} groups of patches,")
    print(f"named by {o.scenes} other simulated scenes.\n")
    rows = [[name, s["accuracy"], s["miou"]] for name, s in scores.items()]
    print(plot.Table(["map by", "accuracy", "mIoU"], rows), "\n")
    print("One scene proves little; chapters 1 and 2 measure on many, and on real images.")
    print(f"In {o.folder}: scene.tif and map.tif for a GIS, map.png to look at, map.html for a browser.")
    if "<script src=" in (o.folder / "map.html").read_text(encoding="utf8"):
        print("map.html fetches Leaflet from the network when opened; after `pip install xstatic-leaflet` it does not.")

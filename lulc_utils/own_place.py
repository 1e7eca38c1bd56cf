"""Chapter 6 around its method: opening a reader's images, showing and mapping them, checking areas, and rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lulc_utils import contrastive, evaluate, mapping, places, plot, points, raster, simulate
from lulc_utils.evaluate import areas, surveys
from lulc_utils.mapping import probes
from lulc_utils.scene import UNLABELLED, LandCover, Scene

FALSE_COLOR = ("nir", "red", "green")
FEWEST = 20  # pixels of a class on the map, so that it can be checked


class Checked(NamedTuple):
    """Hectares of every class [K]: counted on the maps, estimated from checked points, its interval, and by all labels.

    All but `counted` are None when the images have no labels to look points up in.
    """

    counted: np.ndarray
    estimated: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    true: np.ndarray | None = None


def opened(place: str, folder: Path, *, side: int, seed: int = 0) -> list[Path]:
    """GeoTIFF files of a place (`places.open_place`), or of a simulated satellite place when it is ""."""
    if place:
        return places.open_place(place)
    return [raster.write_scene(simulate.satellite(seed, size=side), folder / "simulated place.tif")]


def views(scenes: Sequence[Scene]) -> dict[str, np.ndarray]:
    """Pictures of scenes in natural color and, where there is near infrared, in false color: {title: picture}."""
    shown = {scene.name: plot.rgb(scene) for scene in scenes}
    for scene in scenes:
        if not points.is_photo(scene) and plot.bands_of(scene, *FALSE_COLOR):
            shown[f"false color, {scene.date or scene.name}"] = plot.rgb(scene, FALSE_COLOR)
    return shown


def draw_maps(
    files: Sequence[Path], model: mapping.Model, classes: Sequence[LandCover], folder: Path, photo: bool
) -> list[Path]:
    """Map all files of one kind into a folder; of photographs only red, green and blue are read."""
    how = {"classes": classes, "progress": False} | ({"bands": [1, 2, 3]} if photo else {})
    drawn = [folder / f"{file.stem} map.tif" for file in files]
    for file, out in zip(files, drawn, strict=True):
        mapping.map_raster(file, model, out, **how)
    return drawn


def beside(
    scenes: Sequence[Scene], drawn: Sequence[Path], classes: tuple[LandCover, ...], title: str = "labels"
) -> dict[str, np.ndarray]:
    """Pictures for `plot.panels`: each image, its map and any labels; with the scene's name if there are several.

    title   over the labels: "truth" where they are known to be true
    """
    shown = {}
    for scene, labels in zip(scenes, read_maps(scenes, drawn), strict=True):
        of = f", {scene.name}" if len(scenes) > 1 else ""
        shown |= {f"image{of}": plot.rgb(scene), f"map{of}": plot.class_map(labels, classes)}
        if scene.labels is not None:
            shown[f"{title}{of}"] = plot.class_map(scene.labels, scene.classes)
    return shown


def read_maps(scenes: Sequence[Scene], drawn: Sequence[Path]) -> list[np.ndarray]:
    """The maps of the middles that the scenes show, [rows, cols] each."""
    windows = (raster.middle_window(file, scene.height, scene.width) for scene, file in zip(scenes, drawn, strict=True))
    return [raster.read_classes(file, window) for file, window in zip(drawn, windows, strict=True)]


def check_areas(
    files: Sequence[Path], drawn: Sequence[Path], n_classes: int, n_checks: int, *, seed: int = 0, labelled: bool = True
) -> Checked:
    """Areas on all maps of `files` together, counted and, where all files have labels beside them, from random points.

    labelled   False: the labels are of other classes than the maps (a reader's own), so only count
    """
    mapped = np.concatenate([raster.read_classes(file).ravel() for file in drawn])[None]
    size = np.concatenate([raster.pixel_hectares(file).ravel() for file in drawn])[None]  # of every pixel
    rare = np.flatnonzero(np.bincount(mapped.ravel()) < FEWEST)
    mapped[np.isin(mapped, rare)] = UNLABELLED
    shown = mapped != UNLABELLED
    counted = np.bincount(mapped[shown], size[shown], n_classes)
    masks = [raster.labels_path(file) for file in files]
    if not labelled or not all(mask.exists() for mask in masks):
        return Checked(counted)
    reference = np.concatenate([raster.read_classes(mask).ravel() for mask in masks])[None]
    sample, of = surveys.survey(mapped, reference, n_checks, n_classes, seed=seed, size=size)
    known = reference != UNLABELLED
    true = np.bincount(reference[known], size[known], n_classes)
    return Checked(counted, of.area, *areas.limits(sample, of.mapped), true)


def learned_elsewhere(scene: Scene, *, seed: int = 0, n: int = 12) -> mapping.Model:
    """Chapter 5's model for a simulated scene: single pixels, from n other labelled places of its region on its day."""
    region = simulate.region_of(scene)
    scenes = [simulate.satellite(seed + 100 + i, region, scene.date, size=96) for i in range(n)]
    return probes.pixel_probe(scenes, seed=seed)


def miou_elsewhere(scenes: Sequence[Scene], *, seed: int = 0) -> list[float]:
    """mIoU of `learned_elsewhere` in each of these simulated scenes."""
    answers = (np.asarray(learned_elsewhere(s, seed=seed)(s.pixels)).argmax(0) for s in scenes)
    return [evaluate.miou(s.labels, a, len(s.classes)) for s, a in zip(scenes, answers, strict=True)]


def of_ground_bands(patches: Sequence[Scene]) -> list[Scene]:
    """The real patches with the ten bands of the simulated ones, without Ontario, which is all snow."""
    bands = contrastive.GROUND_BANDS
    return [replace(s, pixels=s.select(*bands), bands=bands) for s in patches if s.group != "Ontario"]


def trial_places(seed: int = 0, size: int = 160) -> list[Scene]:
    """Twelve simulated places, two in each region, on days of their own."""
    regions = [*simulate.REGIONS] * 2
    return [simulate.satellite(seed + 3000 + i, region, size=size) for i, region in enumerate(regions)]


def trial(scenes: Sequence[Scene], *, seed: int = 0, draws: int = 50) -> dict[str, dict]:
    """Placement and use in these places, with intervals over them: {"ways", "effects", "p": Holm's, "draws"}.

    p   of "middles, not random; classifier" at all numbers of points, tested together
    """
    scores = points.compare(scenes, seed=seed, draws=draws)
    effects = points.effects(scores)
    placement = {str(n): values for n, values in effects["middles, not random; classifier"].items()}
    ways, effects = points.with_intervals(scores), points.with_intervals(effects)
    return {"ways": ways, "effects": effects, "p": evaluate.holm(placement), "draws": draws}


def rivals(scenes: Sequence[Scene], *, seed: int = 0, steps: int = 40, n: int = 48) -> dict[str, tuple]:
    """mIoU that other choices add to n groups named in their middles, in simulated places, with intervals over them."""
    usual, name = {"seed": seed, "placements": ("middle",)}, "middle points, groups"
    base = np.array(points.compare(scenes, (n,), **usual)[name][n])
    choices = {
        "Euclidean distance": points.compare(scenes, (n,), distance=True, **usual)[name][n],
        "U-Net": points.compare(scenes, (n,), "U-Net", draws=10, steps=steps, **usual)[name][n],
        "chapter 5's model": miou_elsewhere(scenes, seed=seed),
    }
    return {choice: evaluate.mean_interval(scores - base) for choice, scores in choices.items()} | {
        "base": evaluate.mean_interval(base)
    }


def mapped_patch(scene: Scene, n: int, folder: Path, seed: int = 0) -> tuple[np.ndarray, dict[str, float]]:
    """(map [rows, cols], agreement with the scene's labels) from n points that these labels name, as a GeoTIFF, too."""
    describe = points.describer([scene])
    rows, spots = points.rows_of([scene], describe)
    groups = points.group(rows, n, seed)
    names, classes = points.name_groups(groups, spots[groups.middles], [scene])
    source = raster.write_scene(scene, folder / f"{scene.group}.tif")
    (drawn,) = draw_maps([source], points.mapper(groups, names, describe, len(classes)), classes, folder, False)
    answer = raster.read_classes(drawn)
    scores = evaluate.scores(evaluate.confusion(scene.labels, answer, len(classes)))
    return answer, {"accuracy": scores["accuracy"], "miou": scores["miou"]}


def off_by(checks: Checked) -> dict[str, float]:
    """How many intervals hold the true area, and the share of the ground in the wrong class; {} without labels."""
    if checks.true is None:
        return {}
    inside = int(((checks.low <= checks.true) & (checks.true <= checks.high)).sum())
    counted, estimated = (areas.quantity_disagreement(of, checks.true) for of in (checks.counted, checks.estimated))
    return {"inside": inside, "counting": counted, "checked": estimated}


def middle_maps(scenes: Sequence[Scene], kind: str, *, seed: int = 0, starts: int = 2) -> dict[int, list[float]]:
    """mIoU of maps of all pixels from points in the middle of groups, by a description: {points: [of every scene]}."""
    table: dict[int, list[float]] = {n: [] for n in points.NUMBERS}
    for i, scene in enumerate(scenes):
        features = points.describer([scene], kind)(scene.pixels)
        rows, spots = points.rows_of([scene], lambda _, known=features: known)
        for n, of_scenes in table.items():
            scores = []
            for start in range(starts):
                groups = points.group(rows, n, seed + i + start)
                names, classes = points.name_groups(groups, spots[groups.middles], [scene])
                model = points.mapper(groups, names, lambda _, known=features: known, len(classes))
                answer = model(scene.pixels).argmax(0).numpy()
                scores.append(evaluate.miou(scene.labels, answer, len(classes)))
            of_scenes.append(float(np.mean(scores)))
    return table


def galileo_gain(scenes: Sequence[Scene], *, seed: int = 0) -> dict[int, tuple[float, float, float]]:
    """What Galileo's description adds to reflectance in `middle_maps`, {points: (mIoU, low, high)} over the scenes."""
    ours, plain = (middle_maps(scenes, kind, seed=seed) for kind in ("Galileo", "reflectance"))
    return {n: evaluate.mean_interval(np.subtract(ours[n], plain[n])) for n in ours}

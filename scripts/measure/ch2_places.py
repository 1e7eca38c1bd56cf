"""The crops of chapter 2's measurements: simulated scenes and real places, and what is left out together."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from lulc_utils import backbone, data, ladder, simulate
from lulc_utils.data import CITIES_TO_FIT, CITIES_TO_SCORE
from lulc_utils.scene import Scene, pixels_of

SIDE, PATCH = 224, 8
DESCRIBED = ("raw color", "random ViT", "frozen features")
UNSEEN_TILES = (3, 5, 7)  # of Dubai, by the embedded backbone
FIT, SCORE = range(3000, 3060), range(4000, 4030)  # simulated scenes for choosing, none of the chapter's


class Ground(NamedTuple):
    """Crops of one kind, with the place as `group`, and {fold: (those to learn from, those to score), [N] bool}."""

    scenes: list[Scene]
    folds: dict[str, tuple[np.ndarray, np.ndarray]]

    def described(self) -> dict[str, ladder.Crops]:
        """The crops with the features of their patches by each of DESCRIBED; networks' are kept in the cache."""
        x, features = pixels_of(self.scenes), {"raw color": backbone.raw_color(pixels_of(self.scenes), PATCH)}
        for name in DESCRIBED[1:]:
            net = backbone.load("random" if name == "random ViT" else "embedded")
            features[name] = backbone.patch_features(net, x, cache=backbone.features_folder(), progress=True)
        return {name: ladder.Crops(self.scenes, f) for name, f in features.items()}


def dubai(unseen: bool = True) -> Ground:
    """The middle of each image; every tile is left out once (4 and 8 together) and scored on every second image.

    Without `unseen`: five tiles, and of each image two opposite corners, all of which are scored.
    """
    scenes, together = [], []
    for scene in data.dubai([tile for tile in range(1, 9) if unseen or tile not in UNSEEN_TILES], progress=False):
        place = replace(scene, group=scene.name.split(" part")[0])
        bottom, right = scene.height - SIDE, scene.width - SIDE
        corners = [(bottom // 2, right // 2)] if unseen else [(0, 0), (bottom, right)]
        scenes += [place.crop(*corner, SIDE, SIDE) for corner in corners]
        together += [scene.group] * len(corners)
    second = np.arange(len(scenes)) % 9 % 2 == 0  # of the nine images of a tile
    folds = left_out(np.array(together))
    return Ground(scenes, {name: (fit, score & (second | ~np.bool_(unseen))) for name, (fit, score) in folds.items()})


def left_out(groups: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every group is scored once, by what was learned from all others."""
    return {name: (groups != name, groups == name) for name in np.unique(groups).tolist()}


def middles(scenes: list[Scene]) -> tuple[list[Scene], np.ndarray]:
    """(the middle of every scene, its place)."""
    crops = [scene.middle(SIDE) for scene in scenes]
    return crops, np.array([scene.group for scene in crops])


def vegetation(unseen: bool = True) -> Ground:
    """Cities: learned from three, scored on every second image of three others.

    Without `unseen` each of the first three is left out once.
    """
    scenes, city = middles(data.urban_trees(CITIES_TO_FIT + (CITIES_TO_SCORE if unseen else ()), progress=False))
    scored = np.isin(city, CITIES_TO_SCORE) & (np.arange(len(city)) % 2 == 0)
    return Ground(scenes, {"three cities": (np.isin(city, CITIES_TO_FIT), scored)} if unseen else left_out(city))


def buildings() -> Ground:
    """Two places, each scored by what was learned from the other; every fourth tile, as levels of zoom overlap."""
    both = (data.buildings(place, progress=False)[::4] for place in ("Kampala", "Nairobi"))
    scenes, place = middles(sum(both, []))
    return Ground(scenes, left_out(place))


def simulated(learned: range = FIT, scored: range = SCORE, together: bool = True) -> Ground:
    """Scenes of the simulator: one place together, or each for itself."""
    whole = simulate.aerial_scenes([*learned, *scored], size=SIDE + 32)
    first = np.arange(len(whole)) < len(learned)
    scenes = [replace(s.middle(SIDE), group="simulated" if together else s.name) for s in whole]
    return Ground(scenes, {"other scenes": (first, ~first)})


CHOOSING = {
    "simulated": simulated,
    "Dubai, five tiles": lambda: dubai(unseen=False),
    "vegetation, three cities": lambda: vegetation(unseen=False),
}
REAL = {"Dubai": dubai, "vegetation": vegetation, "buildings": buildings}
CHAPTER = {"chapter": lambda: simulated(range(100), range(1000, 1030), together=False)}  # its crops
GROUNDS = CHOOSING | REAL | CHAPTER


def part(crops: dict[str, ladder.Crops], keep: np.ndarray) -> dict[str, ladder.Crops]:
    """The same crops of every description."""
    kept = torch.from_numpy(np.flatnonzero(keep))
    scenes = [crops[DESCRIBED[0]].scenes[i] for i in kept]
    return {name: ladder.Crops(scenes, c.features[kept]) for name, c in crops.items()}

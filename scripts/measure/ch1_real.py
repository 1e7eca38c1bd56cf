"""Measure the embedded backbone on real places that it has not seen (chapter 1), for book/measured/real_places.json.

    python scripts/measure/ch1_real.py [Dubai vegetation buildings photographs "one tile out"]

All images of each set: Dubai (tiles 1, 2, 4, 6, 8 to fit on, 3, 5, 7 to score on, four crops of each image), vegetation
(three Californian cities to fit on, three to score on), buildings (Kampala to Nairobi and back). Every patch of 8 px is
read by k-means, k-NN and a linear probe (5 000 labelled patches) and by few labels (five draws). UC Merced: three times
126 photographs to name and as many or 168 to compare with; the share of each of the 21 kinds is a mean over these.
"one tile out": each tile of Dubai is left out once; the backbone was trained on tiles 1, 2, 4, 6 and 8, without labels.
With these tiles there are at least twelve sites to take an interval over ("gains, more sites"). Every part is kept as
soon as it is measured, so a run can be stopped and continued. Minutes each.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from lulc_utils import backbone, ladder, results
from lulc_utils.scene import Scene, group_of, pixels_of

OUT = Path(__file__).resolve().parents[2] / "book" / "measured" / "real_places.json"
MINE, PATCH, SAMPLES, DRAWS = "embedded", 8, 5000, 5
NETS = {"random ViT": backbone.load("random"), MINE: backbone.load(MINE)}
TASKS = {"Dubai": ladder.dubai, "vegetation": ladder.vegetation, "buildings": ladder.buildings}


def describe(crops: list[Scene]) -> dict[str, torch.Tensor]:
    """Three descriptions of every patch, {name: [N, h, w, D]}."""
    images, cache = pixels_of(crops), backbone.features_folder()
    nets = {name: backbone.patch_features(net, images, cache=cache) for name, net in NETS.items()}
    return {"raw color": backbone.raw_color(images, PATCH), **nets}


def one_tile_out() -> ladder.Task:
    """Dubai, every tile left out once; tiles 4 and 8 may overlap on the ground and go together."""
    crops = [crop for fold in ladder.dubai().folds for part in fold for crop in part]
    tiles = sorted({group_of(crop) for crop in crops})
    folds = [
        ladder.Fold([c for c in crops if group_of(c) != tile], [c for c in crops if group_of(c) == tile])
        for tile in tiles
    ]
    return ladder.Task("one tile out", folds)


def photographs_named() -> dict:
    """The share of every kind that is named right, mean over the draws, {way: {description: {kind: share}}}."""
    draws = [ladder.name_photographs(ladder.photographs(draw=draw), describe) for draw in range(3)]
    return {
        way: {
            name: {kind: float(np.mean([draw[way][name][kind] for draw in draws])) for kind in of}
            for name, of in named.items()
        }
        for way, named in draws[0].items()
    }


def measured(part: str) -> dict:
    """The numbers of one part."""
    if part == "photographs":
        return ladder.photograph_gains(photographs_named(), MINE)
    if part == "one tile out":
        task = one_tile_out()
        tables = ladder.read_pairs(ladder.described(task, describe), samples=SAMPLES)
        sites = ladder.by_site(tables, task.places)
        return {"sites": sites, "gains": ladder.gains(sites, MINE)}
    return ladder.measure([TASKS[part]()], describe, MINE, samples=SAMPLES, draws=DRAWS)


def together(parts: dict[str, dict]) -> dict:
    """All parts as one: sites and gains over all tiles, cities and settlements that were measured."""
    whole = {key: {} for key in ("scores", "curves")}
    sites: dict[str, dict[str, dict[str, float]]] = {}
    for part in (name for name in TASKS if name in parts):
        for key, values in whole.items():
            values.update(parts[part][key])
        for way, named in parts[part]["sites"].items():
            for name, at in named.items():
                sites.setdefault(way, {}).setdefault(name, {}).update(at)
    whole |= {"sites": sites, "gains": ladder.gains(sites, MINE)}
    if "one tile out" in parts:
        tiles = parts["one tile out"]["sites"]
        more = {way: {n: of | tiles[way][n] for n, of in named.items()} for way, named in sites.items()}
        whole |= {"gains, more sites": ladder.gains(more, MINE), "sites counted": len(more["k-NN"][MINE])}
    return whole | {part: parts[part] for part in ("photographs", "one tile out") if part in parts}


def main() -> int:
    """Measure the parts asked for and keep them with what is there already."""
    parser = argparse.ArgumentParser("python scripts/measure/ch1_real.py", description=__doc__.splitlines()[0])
    names = [*TASKS, "photographs", "one tile out"]
    parser.add_argument("parts", nargs="*", choices=[*names, []], help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON with every number (default: the book's own)")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # 500 steps are the rule for every description
    kept = json.loads(asked.out.read_text(encoding="utf8"))["results"] if asked.out.exists() else {}
    parts = kept.get("parts", {})
    for part in asked.parts or names:
        parts[part] = measured(part)
        real = together(parts)
        results.save(asked.out, "real_places", {"real": real, "parts": parts})
        for way, against in real["gains"].items():
            print(part, way, {rival: [round(v, 3) for v in gain] for rival, gain in against.items()}, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

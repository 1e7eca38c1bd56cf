"""What chapter 6 does with the reader's files, cell by cell, without a notebook."""

from dataclasses import replace
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from lulc_utils import mapping, maps, places, plot, points, raster
from lulc_utils.scene import UNLABELLED


class Answer(NamedTuple):
    scenes: list
    files: list
    middles: np.ndarray
    mapped: list


def run(place, folder, side=64, n_points=8, features="reflectance", answers=""):
    """The chapter's own calls in its order; a test compares their names with the notebook's."""
    files = places.open_place(str(place))
    scenes = [points.read_middle(f, side) for f in files]
    views = [image for scene in scenes for image in (plot.rgb(scene), plot.rgb(scene, ("nir", "red", "green")))]
    plot.panels({str(i): view for i, view in enumerate(views)}, columns=2)
    describe = points.describer(scenes, features, steps=2)
    rows, spots = points.rows_of(scenes, describe)
    groups = points.group(rows, n_points)
    middles = spots[groups.middles]
    points.picture(groups, spots, scenes[0], points.BLOCK if points.is_photo(scenes[0]) else 1)
    points.write_points(folder / "to_label.csv", middles, scenes, [f.name for f in files])
    named, classes = points.name_groups(groups, middles, scenes, answers)
    model = points.mapper(groups, named, describe, len(classes))
    bands = {"bands": [1, 2, 3]} if points.is_photo(scenes[0]) else {}
    how = {"classes": classes, "progress": False, **bands}
    drawn = [mapping.map_raster(f, model, folder / f"{f.stem} map.tif", **how) for f in files]
    mapped = [raster.read_classes(file) for file in drawn]
    for scene, file in zip(scenes, drawn, strict=True):
        window = raster.middle_window(file, scene.height, scene.width)
        inside = raster.read_classes(file, window)
        plot.class_map(inside, classes)
        maps.scene_map(replace(scene, labels=inside, classes=classes)).get_root().render()
    plt.close("all")
    assert any((m != UNLABELLED).any() for m in mapped)
    return Answer(scenes, files, middles, mapped)

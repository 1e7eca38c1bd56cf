"""What chapter 6 does with the reader's files, cell by cell, without a notebook."""

from dataclasses import replace
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from lulc_utils import maps, own_place, plot, points, raster
from lulc_utils.scene import UNLABELLED


class Answer(NamedTuple):
    scenes: list
    files: list
    middles: np.ndarray
    mapped: list


def run(place, folder, side=64, n_points=8, features="reflectance", answers=""):
    """The chapter's own calls in its order; a test compares their names with the notebook's."""
    files = own_place.opened(str(place), folder, side=side)
    scenes = [points.read_middle(f, side) for f in files]
    plot.panels(own_place.views(scenes), columns=2)
    describe = points.describer(scenes, features, steps=2)
    rows, spots = points.rows_of(scenes, describe)
    groups = points.group(rows, n_points)
    middles = spots[groups.middles]
    points.picture(groups, spots, scenes[0], points.BLOCK if points.is_photo(scenes[0]) else 1)
    points.write_points(folder / "to_label.csv", middles, scenes, [f.name for f in files])
    named, classes = points.name_groups(groups, middles, scenes, answers)
    model = points.mapper(groups, named, describe, len(classes))
    drawn = own_place.draw_maps(files, model, classes, folder, points.is_photo(scenes[0]))
    mapped = [raster.read_classes(file) for file in drawn]
    inside = own_place.read_maps(scenes, drawn)
    plot.panels(own_place.beside(scenes, drawn, classes), columns=2)
    maps.scene_map(replace(scenes[0], labels=inside[0], classes=classes)).get_root().render()
    plt.close("all")
    assert any((m != UNLABELLED).any() for m in mapped)
    return Answer(scenes, files, middles, mapped)

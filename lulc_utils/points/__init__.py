"""A map of any place from a few labelled points: one in the middle of each group of similar pixels (chapter 6).

    describe = points.describer(scenes)                    # pixels [C, h, w] -> features [h, w, D]
    rows, spots = points.rows_of(scenes, describe)         # [M, D] features, [M, 3] image, row, column
    groups = points.group(rows, 48)                        # k-means by cosine
    names, classes = points.name_groups(groups, spots[groups.middles], scenes)  # a person labels 48 points
    model = points.mapper(groups, names, describe, len(classes))

Choosing the points that stand for most others is the typical sampling of Hacohen et al. 2022 (arXiv 2202.02794).
"""

from lulc_utils.points.answers import read_points, write_points  # the table that a person fills in
from lulc_utils.points.compare import (
    EFFECTS,
    NUMBERS,
    PLACEMENTS,
    USES,
    WAYS,
    all_ways,
    compare,
    effects,
    with_intervals,
)
from lulc_utils.points.describe import BLOCK, describer, is_photo, labels_at, read_middle, rows_of, with_labels
from lulc_utils.points.groups import Groups, group, mapper, name_groups, picture

__all__ = [
    "BLOCK",
    "EFFECTS",
    "Groups",
    "NUMBERS",
    "PLACEMENTS",
    "USES",
    "WAYS",
    "all_ways",
    "compare",
    "describer",
    "effects",
    "group",
    "is_photo",
    "labels_at",
    "mapper",
    "name_groups",
    "picture",
    "read_middle",
    "read_points",
    "rows_of",
    "with_intervals",
    "with_labels",
    "write_points",
]

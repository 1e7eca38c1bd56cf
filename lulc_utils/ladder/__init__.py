"""A fair comparison of ways to describe and to group patches: the same crops, naming and scoring (chapters 1 and 2).

A way to group is anything with centers and codes (`cluster.Groups`): k-means on some features, principal masks, STEGO.

crops    crops with features; the names of groups, and maps by them
ways     every way applied to the same crops
scoring  counts, scores with intervals, and tables of them
"""

from lulc_utils.ladder.crops import Crops, five_crops, maps, names, patch_tables, probe_maps
from lulc_utils.ladder.scoring import (
    by_tile,
    count,
    gain_table,
    map_pictures,
    pca_pictures,
    score_table,
    scores,
    summary,
    tile_table,
    with_intervals,
)
from lulc_utils.ladder.ways import answers, cross, read_all, repeats, supervised, tiles_of

__all__ = [
    "Crops",
    "answers",
    "by_tile",
    "count",
    "cross",
    "five_crops",
    "gain_table",
    "map_pictures",
    "maps",
    "names",
    "patch_tables",
    "pca_pictures",
    "probe_maps",
    "read_all",
    "repeats",
    "score_table",
    "scores",
    "summary",
    "supervised",
    "tile_table",
    "tiles_of",
    "with_intervals",
]

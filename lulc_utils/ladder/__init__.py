"""A fair comparison of ways to describe and to group patches: the same crops, naming and scoring (chapters 1 and 2).

A way to group is anything with centers and codes (`cluster.Groups`): k-means on some features, principal masks, STEGO.

crops     crops with features; the names of groups, and maps by them
ways      every way applied to the same crops
scoring   counts, scores with intervals, and tables of them
clicks    a handful of labelled patches: where to click, and maps learned from them
labels    what a handful of labels is worth
held_out  real places that the embedded backbone has not seen
reading   three ways to read features, on these places
"""

from lulc_utils.ladder.clicks import clicks_at_random, clicks_by_kmeans, learn_clicks, maps_from_clicks
from lulc_utils.ladder.crops import Crops, maps, names, patch_tables, probe_maps
from lulc_utils.ladder.held_out import (
    Fold,
    Task,
    buildings,
    corner_crops,
    dubai,
    in_places,
    photographs,
    real_sets,
    site_of,
    vegetation,
)
from lulc_utils.ladder.labels import COUNTS, alike, by_few_labels, few_labels, label_curve, labels_for
from lulc_utils.ladder.reading import (
    by_site,
    described,
    gain_rows,
    gains,
    measure,
    name_photographs,
    photograph_gains,
    read_features,
    read_pairs,
)
from lulc_utils.ladder.scoring import (
    by_place,
    count,
    gain_table,
    map_pictures,
    pca_pictures,
    place_table,
    score_table,
    scores,
    summary,
    with_intervals,
)
from lulc_utils.ladder.ways import answers, read_all

__all__ = [
    "COUNTS",
    "Crops",
    "Fold",
    "Task",
    "alike",
    "answers",
    "buildings",
    "by_few_labels",
    "by_place",
    "by_site",
    "clicks_at_random",
    "clicks_by_kmeans",
    "corner_crops",
    "count",
    "described",
    "dubai",
    "few_labels",
    "gain_rows",
    "gain_table",
    "gains",
    "in_places",
    "label_curve",
    "labels_for",
    "learn_clicks",
    "map_pictures",
    "maps",
    "maps_from_clicks",
    "measure",
    "name_photographs",
    "names",
    "patch_tables",
    "pca_pictures",
    "photograph_gains",
    "photographs",
    "place_table",
    "probe_maps",
    "read_all",
    "read_features",
    "read_pairs",
    "real_sets",
    "score_table",
    "scores",
    "site_of",
    "summary",
    "vegetation",
    "with_intervals",
]

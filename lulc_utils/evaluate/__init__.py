"""How good is a map? Confusion, matching of clusters to classes, probes, intervals and honest splits.

Everything here takes and returns NumPy arrays. Features [..., D] go with labels [...]: [N, D] and [N], or whole patch
grids [N, h, w, D] and [N, h, w]. Areas of classes from a sample of places: `evaluate.areas`.
"""

from lulc_utils.evaluate.intervals import holm, mean_interval, over_seeds, paired_interval, with_interval
from lulc_utils.evaluate.matching import apply_match, match, match_many
from lulc_utils.evaluate.probes import knn_predict, linear_probe, predict
from lulc_utils.evaluate.scoring import (
    SCORES,
    at_pixels,
    class_accuracy,
    confusion,
    confusions_by_group,
    majority_class,
    miou,
    patch_labels,
    scores,
)
from lulc_utils.evaluate.splits import leave_groups_out, split_blocks, split_groups, split_pixels

__all__ = [
    "SCORES",
    "apply_match",
    "at_pixels",
    "holm",
    "class_accuracy",
    "confusion",
    "confusions_by_group",
    "knn_predict",
    "leave_groups_out",
    "linear_probe",
    "majority_class",
    "match",
    "match_many",
    "mean_interval",
    "miou",
    "over_seeds",
    "paired_interval",
    "patch_labels",
    "predict",
    "scores",
    "split_blocks",
    "split_groups",
    "split_pixels",
    "with_interval",
]

"""STEGO: from frozen features to a land-cover map without a label (Hamilton et al. 2022).

A small *head* turns every patch feature into a short *code*. If two patches have similar features, their codes
are pulled together; if not, they are pushed apart. Clusters of the codes are the map (`lulc_utils.cluster`). The
backbone is never trained, so its features are computed once; and because the head treats each patch separately,
training runs it only at the few positions that a step samples.

loss    the correspondence loss and the cluster probe
pairs   which images are compared in a step
shifts  the three shifts, chosen without labels
train   the head, its settings and the loop
"""

from lulc_utils.stego.loss import centered, cluster_loss, correspondence, correspondence_loss
from lulc_utils.stego.pairs import NEGATIVES, NEIGHBORS, SAMPLES, drop, nearest_images, positions, random_others
from lulc_utils.stego.shifts import (
    PUBLISHED_SHIFTS,
    TIMES,
    Shifts,
    choose_shifts,
    same_cluster_shares,
    sampled_correspondences,
)
from lulc_utils.stego.train import WEIGHTS, Head, Settings, Stego, draw, initial, train, with_clusters

__all__ = [
    "Head",
    "NEGATIVES",
    "NEIGHBORS",
    "PUBLISHED_SHIFTS",
    "SAMPLES",
    "Settings",
    "Shifts",
    "Stego",
    "TIMES",
    "WEIGHTS",
    "centered",
    "choose_shifts",
    "cluster_loss",
    "correspondence",
    "correspondence_loss",
    "draw",
    "drop",
    "initial",
    "nearest_images",
    "positions",
    "random_others",
    "same_cluster_shares",
    "sampled_correspondences",
    "train",
    "with_clusters",
]

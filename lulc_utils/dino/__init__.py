"""DINO from scratch (Caron et al. 2021, arXiv 2104.14294): a vision transformer learns from unlabelled aerial images.

A student must predict what its own slowly moving average, the teacher, says about another view of the same ground.
The teacher's answers are centered and sharpened; without either of the two everything collapses. A second term asks
the same of every patch, some of them masked (after iBOT, Zhou et al. 2022), which is what a map is made of.

loss       what is asked for: the losses, the center, and how to see a collapse
network    the vision transformer with its head of prototypes; teacher and student
images     images on a device, and which of them show the same ground
views      pieces of ground, cut, turned and colored
settings   all that can be chosen
train      the loop
command    python -m lulc_utils dino train
"""

from lulc_utils.dino.command import FIRST_SEED, TRAINING_TILES, Material, scenes_for
from lulc_utils.dino.images import Images, on_device
from lulc_utils.dino.loss import (
    collapse_warning,
    cross_view_loss,
    dino_loss,
    entropies,
    patch_loss,
    same_ground,
    update_center,
)
from lulc_utils.dino.network import MODELS, Head, Network, update_teacher
from lulc_utils.dino.settings import Settings, phase
from lulc_utils.dino.train import Result, train
from lulc_utils.dino.views import JITTERS, MILD, STRONG, Crops, View, multi_crop

__all__ = [
    "FIRST_SEED",
    "JITTERS",
    "MILD",
    "MODELS",
    "STRONG",
    "TRAINING_TILES",
    "Crops",
    "Head",
    "Images",
    "Material",
    "Network",
    "Result",
    "Settings",
    "View",
    "collapse_warning",
    "cross_view_loss",
    "dino_loss",
    "entropies",
    "multi_crop",
    "on_device",
    "phase",
    "patch_loss",
    "same_ground",
    "scenes_for",
    "train",
    "update_center",
    "update_teacher",
]

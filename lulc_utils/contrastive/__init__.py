"""Dense contrastive pre-training: pixels learn to recognize the same ground in another view; then few labels suffice.

After Embedding Earth (Tarasiou & Zafeiriou 2022, arXiv 2203.06041): pre-train a U-Net on unlabelled Sentinel-2 patches
with a contrastive loss per pixel, then fine-tune all of it on few labels. The authors never released their code, and
the paper leaves much open. So how pairs are cut and sampled, what counts as a negative, and every constant here are
OURS, chosen on simulated landscapes; the loss is the standard dense InfoNCE (van den Oord et al. 2018).

loss        the idea: InfoNCE between the points of two views
views       two crops of every patch, and the points that both show
unet        the network: features of every pixel
pretrain    training without labels
finetune    training with few labels, and the head it starts from
stacks      what to train on: patches, simulated dates, stacks of dates
bed         the test bed of chapter 3
trial       contestants that are given the same labels
command     python -m lulc_utils contrastive pretrain | finetune
"""

from lulc_utils.contrastive import unet
from lulc_utils.contrastive.bed import Bed, draw_bed
from lulc_utils.contrastive.finetune import Finetuning, finetune, label_fraction, label_points, probed_head
from lulc_utils.contrastive.loss import info_nce, near_neighbors, symmetric_info_nce
from lulc_utils.contrastive.pretrain import Pretraining, Projection, draw_patches, pretrain
from lulc_utils.contrastive.stacks import FIRST_SEED, date_stacks, patches, scenes_for, simulated_dates
from lulc_utils.contrastive.unet import Result, features, fresh, predict
from lulc_utils.contrastive.views import (
    JITTER,
    STILL,
    Jitter,
    Points,
    View,
    at_points,
    change,
    crop_map,
    matching_points,
    pixel_grid,
    resample,
    to_crop,
    to_patch,
    two_views,
)
from lulc_utils.simulate.satellite.spectra import GROUND_BANDS
from lulc_utils.training import Saving

__all__ = [
    "GROUND_BANDS",
    "FIRST_SEED",
    "JITTER",
    "STILL",
    "Bed",
    "Finetuning",
    "Jitter",
    "Points",
    "Pretraining",
    "Projection",
    "Result",
    "Saving",
    "View",
    "at_points",
    "change",
    "crop_map",
    "date_stacks",
    "draw_bed",
    "draw_patches",
    "features",
    "finetune",
    "fresh",
    "info_nce",
    "label_fraction",
    "label_points",
    "matching_points",
    "near_neighbors",
    "patches",
    "pixel_grid",
    "predict",
    "pretrain",
    "probed_head",
    "resample",
    "scenes_for",
    "simulated_dates",
    "symmetric_info_nce",
    "to_crop",
    "to_patch",
    "two_views",
    "unet",
]

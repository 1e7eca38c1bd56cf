"""Pseudo-labels from a teacher that knows where and when (after Bernhard et al. 2024, arXiv 2404.18583).

A network that sees place and date learns shortcuts that fail elsewhere; one that does not confuses what only
place and date tell apart. So two networks learn together: the teacher sees the metadata and labels the unlabelled
images, the student learns from those labels without metadata, and only the student is used.

rules       which pseudo-labels to trust: FixMatch, FreeMatch, SoftMatch, DeFixMatch, or none
loss        the idea: what teacher and student minimize
network     a small transformer that can take metadata, and predictions with it
metadata    place and date as numbers
views       weak and strong views
settings    every option of a training run
batches     samples, and the batch of one step
train       the loop
together    several repeats at once
trial       one training with few labels on a table of places, and its accuracy
"""

from lulc_utils.pseudo_labels.batches import Pool, Samples, draw_batch, few_per_class, forget, make_pool
from lulc_utils.pseudo_labels.loss import (
    Answers,
    Batch,
    Pseudo,
    answers,
    consistency,
    distillation,
    losses,
    objective,
    pseudo_labels,
)
from lulc_utils.pseudo_labels.network import Embedding, MetadataTransformer, predict, start_networks
from lulc_utils.pseudo_labels.rules import (
    METHODS,
    Method,
    Rule,
    State,
    find_method,
    fixmatch,
    freematch,
    softmatch,
    start_state,
    supervised,
)
from lulc_utils.pseudo_labels.settings import DISTANCES, INJECTIONS, METADATA, Settings
from lulc_utils.pseudo_labels.together import train_together
from lulc_utils.pseudo_labels.train import Trained, train
from lulc_utils.pseudo_labels.trial import accuracy, train_few
from lulc_utils.pseudo_labels.views import Strength, strong, weak
from lulc_utils.training import Saving

__all__ = [
    "accuracy",
    "train_few",
    "DISTANCES",
    "INJECTIONS",
    "METADATA",
    "METHODS",
    "Answers",
    "Batch",
    "Embedding",
    "MetadataTransformer",
    "Method",
    "Pool",
    "Pseudo",
    "Rule",
    "Samples",
    "Saving",
    "Settings",
    "State",
    "Strength",
    "Trained",
    "answers",
    "consistency",
    "distillation",
    "draw_batch",
    "few_per_class",
    "find_method",
    "fixmatch",
    "forget",
    "freematch",
    "losses",
    "make_pool",
    "objective",
    "predict",
    "pseudo_labels",
    "softmatch",
    "start_networks",
    "start_state",
    "strong",
    "supervised",
    "train",
    "train_together",
    "weak",
]

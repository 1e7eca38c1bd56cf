"""What every training of this package shares; the loops themselves stand in dino, contrastive and pseudo_labels.

settings     settings as frozen dataclasses: limits checked, options of a command line made from them
schedule     what a step depends on besides weights and data: its number and the seed
run          an interrupted training continues: checkpoints, records, progress bar
distributed  several processes under torchrun, and the device each of them computes on
"""

from lulc_utils.training.distributed import (
    checked_device,
    descend,
    mean_over_processes,
    my_rows,
    processes,
    rank,
    share_gradients,
    sum_over_processes,
    under_torchrun,
)
from lulc_utils.training.run import Run, Saving, add_training_options, saving_beside
from lulc_utils.training.schedule import autocast, cosine_schedule, own_randomness, step_generator
from lulc_utils.training.settings import Checked, add_options, from_options, option

__all__ = [
    "Checked",
    "Run",
    "Saving",
    "add_options",
    "add_training_options",
    "autocast",
    "checked_device",
    "cosine_schedule",
    "descend",
    "from_options",
    "mean_over_processes",
    "my_rows",
    "option",
    "own_randomness",
    "processes",
    "rank",
    "saving_beside",
    "share_gradients",
    "step_generator",
    "sum_over_processes",
    "under_torchrun",
]

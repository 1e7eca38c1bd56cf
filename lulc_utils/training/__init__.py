"""What all trainings in this package share; the loops themselves are in dino, contrastive and pseudo_labels.

settings     settings as frozen dataclasses, with their limits checked and command-line options made from them
schedule     learning rates, and the seed and number that fix each step
run          training that can be interrupted: checkpoints, records, progress bar
distributed  several processes under torchrun, and the device each one uses
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
from lulc_utils.training.settings import Checked, add_options, from_options, option, seed_option

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
    "seed_option",
    "share_gradients",
    "step_generator",
    "sum_over_processes",
    "under_torchrun",
]

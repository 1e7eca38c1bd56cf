"""One training with few labels on a table of places, and its accuracy."""

from __future__ import annotations

from dataclasses import replace

import torch

from lulc_utils.data.sites import Sites
from lulc_utils.evaluate import class_accuracy
from lulc_utils.pseudo_labels.batches import Samples, few_per_class
from lulc_utils.pseudo_labels.metadata import Encoding
from lulc_utils.pseudo_labels.network import MetadataTransformer, predict
from lulc_utils.pseudo_labels.settings import Settings
from lulc_utils.pseudo_labels.train import Trained, train


def train_few(
    rows: Sites, per_class: int, settings: Settings, device: str | torch.device = "cpu", **changes: object
) -> Trained:
    """Train on all rows, of which `per_class` of every class, drawn by `settings.seed`, keep their label.

    changes   fields of the settings to replace
    """
    settings = replace(settings, **changes)
    some = few_per_class(rows.y, per_class, len(rows.classes), settings.seed)
    labelled = Samples.of(rows.rows(some))
    return train(labelled, Samples.of(rows), settings, classes=len(rows.classes), device=device)


def accuracy(network: MetadataTransformer, rows: Sites, encoding: tuple[Encoding, ...] = ()) -> float:
    """Share of rows that a network gets right, mean over the classes; with an encoding, it sees place and date."""
    meta = Samples.of(rows).meta(encoding) if encoding else None
    return class_accuracy(rows.y, predict(network, rows.x, meta), len(rows.classes))

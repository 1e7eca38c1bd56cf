"""From samples in memory to the batch of one step.

N labelled and M unlabelled samples, B and U images of each per batch, E columns of encoded metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from lulc_utils.data.sites import Sites
from lulc_utils.pseudo_labels.loss import Batch
from lulc_utils.pseudo_labels.metadata import Encoding, encode
from lulc_utils.pseudo_labels.rules import find_method
from lulc_utils.pseudo_labels.settings import Settings
from lulc_utils.pseudo_labels.views import strong, weak
from lulc_utils.training import step_generator


class Samples(NamedTuple):
    """Examples in memory, N of them.

    x             [N, C, H, W] images, [N, T, C] series or [N, F] vectors
    y             [N] classes 0..K-1; of unlabelled examples None or, for diagnosis only, the hidden truth
    lat, lon      [N] degrees; None when no metadata is used
    day           [N] day of the year, NaN = unknown; None = unknown for all
    place_known   [N] bool, None = all
    """

    x: np.ndarray
    y: np.ndarray | None = None
    lat: np.ndarray | None = None
    lon: np.ndarray | None = None
    day: np.ndarray | None = None
    place_known: np.ndarray | None = None

    @classmethod
    def of(cls, sites: Sites) -> Samples:
        """Rows of `data.sites` with all that is known about them."""
        return cls(sites.x, sites.y, sites.lat, sites.lon, sites.day)

    def meta(self, encoding: Sequence[Encoding]) -> torch.Tensor:
        """Encoded metadata [N, E]; see `metadata.encode`. ValueError without places."""
        if self.lat is None or self.lon is None:
            raise ValueError("These samples have no latitude and longitude, so their metadata cannot be encoded.")
        day = np.full(len(self.x), np.nan) if self.day is None else self.day
        if not len(self.lat) == len(self.lon) == len(day) == len(self.x):
            raise ValueError(
                f"There are {len(self.x)} samples, {len(self.lat)} latitudes, {len(self.lon)} longitudes and "
                f"{len(day)} days; give one of each for every sample."
            )
        return encode(self.lat, self.lon, day, encoding, self.place_known)


def few_per_class(y: np.ndarray, per_class: int, classes: int, seed: int) -> np.ndarray:
    """Indices of `per_class` rows of every class of y [N], drawn at random, or of all rows where there are fewer."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(y == c))[:per_class] for c in range(classes)])


class Pool(NamedTuple):
    """What batches are drawn from: labelled x [N, ...], y [N], meta [N, E] and the same of the unlabelled, checked.

    meta, meta_u   None when no network sees metadata
    truth          [M] hidden classes of the unlabelled, for the history only; None when unknown
    """

    x: torch.Tensor
    y: torch.Tensor
    meta: torch.Tensor | None
    x_u: torch.Tensor
    truth: torch.Tensor | None
    meta_u: torch.Tensor | None


def make_pool(labelled: Samples, unlabelled: Samples, classes: int, settings: Settings) -> Pool:
    """Samples as tensors; ValueError when they do not fit together."""
    x, x_u = as_examples(labelled.x, "labelled"), as_examples(unlabelled.x, "unlabelled")
    if x.shape[1:] != x_u.shape[1:]:
        raise ValueError(f"Labelled examples have shape {tuple(x.shape[1:])}, unlabelled ones {tuple(x_u.shape[1:])}.")
    if labelled.y is None:
        raise ValueError("The labelled samples have no labels.")
    y = _as_labels(labelled.y, classes, len(x), "labels of the labelled samples")
    truth = unlabelled.y
    if truth is not None:
        truth = _as_labels(truth, classes, len(x_u), "hidden true labels")
    if settings.perfect_teacher and truth is None:
        raise ValueError("A perfect teacher needs the hidden truth: give the unlabelled samples their labels.")
    if not settings.sees_metadata:
        return Pool(x, y, None, x_u, truth, None)
    return Pool(x, y, labelled.meta(settings.encoding), x_u, truth, unlabelled.meta(settings.encoding))


def draw_batch(
    pool: Pool, settings: Settings, step: int, *, mean: torch.Tensor, std: torch.Tensor
) -> tuple[Batch, torch.Tensor | None]:
    """(the batch of one step, hidden truth [U] of its unlabelled images or None): the same for the same seed.

    mean, std   [C] of every band, for the strong views; the batch is made on their device
    """
    generator = step_generator(settings.seed, step)
    # which images
    rows = torch.randint(len(pool.x), (settings.batch_size,), generator=generator)
    rows_u = torch.randint(len(pool.x_u), (settings.batch_size * settings.ratio,), generator=generator)
    x, x_u, y = (part.to(mean.device) for part in (pool.x[rows], pool.x_u[rows_u], pool.y[rows]))
    # their views
    perturb = partial(strong, mean=mean, std=std, strength=settings.strength)
    batch = Batch(weak(x, generator), y, weak(x_u, generator), perturb(x_u, generator))
    if find_method(settings.method).debias:
        separate = torch.Generator().manual_seed(generator.initial_seed() + 500_000)  # leaves the other draws alone
        batch = batch._replace(x_strong=perturb(x, separate))
    # their metadata; part of it is dropped, but never for the weak views, which make the pseudo-labels
    if pool.meta is not None:
        meta, meta_u = pool.meta[rows].to(mean.device), pool.meta_u[rows_u].to(mean.device)
        lost = settings.drop_metadata if settings.metadata == "dropout" else 0.0
        forgotten = {"meta": forget(meta, lost, generator), "meta_strong": forget(meta_u, lost, generator)}
        batch = batch._replace(meta_weak=meta_u, **forgotten)
    truth = None if pool.truth is None else pool.truth[rows_u].to(mean.device)
    return batch._replace(truth=truth if settings.perfect_teacher else None), truth


def forget(meta: torch.Tensor, part: float, generator: torch.Generator) -> torch.Tensor:
    """The same metadata [B, E], with everything unknown in a random part of the rows."""
    lost = torch.rand(len(meta), 1, generator=generator) < part
    return meta.masked_fill(lost.to(meta.device), torch.nan)


def as_examples(x: np.ndarray | torch.Tensor, name: str) -> torch.Tensor:
    """Images, series or vectors as float32; ValueError otherwise, in which they are called `name`."""
    x = torch.as_tensor(x).float()
    if x.ndim not in (2, 3, 4) or not len(x):
        raise ValueError(
            f"The {name} samples have shape {tuple(x.shape)}; give [N, C, H, W] images, [N, T, C] series "
            "or [N, F] vectors."
        )
    if not torch.isfinite(x).all():
        raise ValueError(f"The {name} samples have values that are not finite; fill or leave out missing values.")
    return x


def _as_labels(y: np.ndarray, classes: int, count: int, name: str) -> torch.Tensor:
    y = torch.as_tensor(np.asarray(y)).long()
    if y.shape != (count,):
        raise ValueError(f"The {name} have shape {tuple(y.shape)}, but there are {count} samples.")
    if count and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise ValueError(f"The {name} go from {int(y.min())} to {int(y.max())}, but must lie in 0..{classes - 1}.")
    return y

"""Samples and batches: what is refused, what is drawn, and what is forgotten."""

import numpy as np
import pytest
import torch

from lulc_utils import pseudo_labels as pl
from lulc_utils.data.sites import Sites
from lulc_utils.pseudo_labels.metadata import nothing

from .helpers import ENCODING, random_samples, seeded, train, two_sets


def test_dropout_hides_whole_rows_of_a_part():
    meta = torch.randn(4000, 5, generator=seeded())
    lost = pl.forget(meta, 0.3, seeded(1)).isnan()
    assert (lost == lost[:, :1]).all() and lost[:, 0].float().mean() == pytest.approx(0.3, abs=0.03)
    assert torch.equal(pl.forget(meta, 0.0, seeded(1)), meta)


def test_samples_without_dates_or_places():
    rows = random_samples(10)._replace(day=None).meta(ENCODING)
    assert rows[:, 3:].isnan().all() and not rows[:, :3].isnan().any()
    nowhere = random_samples(10)._replace(place_known=np.zeros(10, dtype=bool)).meta(ENCODING)
    assert nowhere[:, :3].isnan().all() and not nowhere[:, 3:].isnan().any()
    undated = [samples._replace(day=None) for samples in two_sets()]
    assert np.isfinite(train(*undated).history[-1]["loss_student"])
    bare = [pl.Samples(s.x, s.y) for s in undated]
    train(*bare, metadata="none")
    with pytest.raises(ValueError, match="no latitude and longitude"):
        train(*bare)


def test_few_per_class_are_drawn_and_no_more_than_there_are():
    y = np.array([0, 1, 1, 1, 0, 1, 2])
    rows = pl.few_per_class(y, 2, 4, seed=0)
    assert sorted(y[rows].tolist()) == [0, 0, 1, 1, 2] and len(set(rows.tolist())) == 5
    draws = {tuple(pl.few_per_class(y, 2, 4, seed)) for seed in range(9)}
    assert len(draws) > 1 and tuple(rows) == tuple(pl.few_per_class(y, 2, 4, seed=0))


def test_samples_of_sites():
    sites = Sites(np.ones((2, 3)), np.array([0, 1]), *np.arange(6.0).reshape(3, 2), np.array(["a", "b"]), (), ())
    samples = pl.Samples.of(sites)
    assert samples.x is sites.x and samples.y is sites.y and samples.place_known is None
    assert (samples.lat.tolist(), samples.lon.tolist(), samples.day.tolist()) == ([0, 1], [2, 3], [4, 5])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method": "flexmatch"}, "no method 'flexmatch'; choose one of supervised, fixmatch"),
        ({"metadata": "student"}, "metadata must be one of teacher, both, none, dropout, not 'student'"),
        ({"two_networks": True, "metadata": "both"}, "two_networks goes with metadata 'none'"),
        ({"distance": "kl"}, "distance must be one of mse, mae, cosine, none, not 'kl'"),
        ({"steps": 0}, "steps must be a whole number of at least 1, not 0"),
        ({"drop_metadata": 1.5}, "drop_metadata must be a number of at least 0 and of at most 1, not 1.5"),
        ({"classes": 2}, r"labels of the labelled samples go from 0 to 2, but must lie in 0..1|hidden true labels go"),
        ({"encoding": (nothing,)}, "encoding has no columns"),
        ({"injection": "none"}, "cannot take metadata"),
        ({"perfect_teacher": True}, "perfect_teacher goes with metadata 'none'"),
        (
            {"perfect_teacher": True, "metadata": "none", "unlabelled": random_samples(20)._replace(y=None)},
            "needs the hidden truth",
        ),
        ({"labelled": random_samples(9)._replace(y=None)}, "The labelled samples have no labels"),
        ({"labelled": random_samples(9)._replace(y=np.zeros(8))}, "there are 9 samples"),
        ({"labelled": random_samples(9, (6,))}, r"Labelled examples have shape \(6,\), unlabelled ones \(5,\)"),
        ({"labelled": random_samples(9)._replace(lat=np.full(9, 95.0))}, "Latitude 95 of row 0"),
        ({"labelled": random_samples(9)._replace(lat=np.zeros(8))}, "9 samples, 8 latitudes"),
        ({"labelled": random_samples(9)._replace(x=np.full((9, 5), np.nan))}, "labelled samples have values that are"),
        ({"unlabelled": random_samples(9)._replace(x=np.zeros(9))}, "unlabelled samples have shape"),
        ({"lr": 1e30, "steps": 30}, "not finite at step .*; lower lr"),
    ],
)
def test_impossible_training(changes, message):
    arguments = {"labelled": random_samples(9), "unlabelled": random_samples(20, seed=1)} | changes
    with pytest.raises(ValueError, match=message):
        train(**arguments)


@pytest.mark.parametrize("method", ["fixmatch", "defixmatch"])
def test_a_batch_depends_on_seed_and_step_only(method):
    settings = pl.Settings(method=method, batch_size=4, ratio=3, metadata="dropout", drop_metadata=0.5, seed=7)
    pool = pl.make_pool(*two_sets(), 3, settings)
    bands = {"mean": torch.zeros(5), "std": torch.ones(5)}
    batch, truth = pl.draw_batch(pool, settings, 2, **bands)
    again, _ = pl.draw_batch(pool, settings, 2, **bands)
    later, _ = pl.draw_batch(pool, settings, 3, **bands)
    assert [len(part) for part in batch[:4]] == [4, 4, 12, 12] and len(truth) == 12
    assert (batch.x_strong is None) == (method == "fixmatch")
    for a, b in zip(batch, again, strict=True):
        assert a is b is None or torch.equal(a.nan_to_num(), b.nan_to_num())
    assert not torch.equal(batch.x, later.x)
    # the pseudo-labels are made with all metadata, what is learned from them with a part
    assert batch.meta_strong.isnan().any() and not batch.meta_weak.isnan().any()
    rows = [int((pool.x_u == view).all(1).nonzero()[0]) for view in batch.weak]
    assert torch.equal(pool.truth[rows], truth) and torch.equal(pool.meta_u[rows], batch.meta_weak)

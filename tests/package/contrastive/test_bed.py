"""The bed of chapter 3, points as labels, curves of one run, and contestants without training."""

import importlib

import numpy as np
import pytest
import torch
from small_trainings import TINY, field, finetune, same

from lulc_utils import contrastive as co
from lulc_utils import evaluate, simulate
from lulc_utils.contrastive import trial
from lulc_utils.contrastive.bed import DESIGN
from lulc_utils.scene import UNLABELLED

pytestmark = pytest.mark.usefixtures("one_thread")
REGION = "temperate plain, Europe"


def test_a_bed_has_two_dates_and_other_grounds_to_be_scored_on():
    bed = co.draw_bed(REGION, 1, grounds=3, test=2, size=32)
    assert bed.images.shape == (3, 2, 10, 32, 32) and bed.test_images.shape == (2, 10, 32, 32)
    assert bed.images.dtype == np.float32 and bed.images.min() >= 0 and bed.images.max() <= 1
    assert all(np.array_equal(a, b) for a, b in zip(bed, co.draw_bed(REGION, 1, 3, 2, size=32), strict=True))
    other = co.draw_bed(REGION, 2, grounds=3, test=2, size=32)
    grounds = [*bed.labels, *bed.truth, *other.labels, *other.truth]
    assert all(not np.array_equal(a, b) for i, a in enumerate(grounds) for b in grounds[:i])
    images, labels = bed.every_date()
    assert np.array_equal(images[2], bed.images[1, 0]) and np.array_equal(labels[2], labels[3])
    with pytest.raises(ValueError, match="at most 10 000"):
        co.draw_bed(REGION, 1, grounds=10_000)


def test_clouds_hide_ground_and_change_nothing_when_there_are_none():
    (clear,), (still,), (cloudy,) = (co.simulated_dates(REGION, [5], 1, 32, clouds=c) for c in (0, 0, 1))
    assert np.array_equal(clear[0].pixels, still[0].pixels) and np.array_equal(clear[0].labels, cloudy[0].labels)
    changed = np.abs(clear[0].pixels - cloudy[0].pixels).max(0) > 0.01
    assert 0 < changed.mean() < 1 and np.array_equal(
        clear[0].pixels[:, ~changed] > 0, cloudy[0].pixels[:, ~changed] > 0
    )


def test_points_are_as_many_of_each_class_and_spread():
    labels = np.random.default_rng(0).choice(4, (20, 16, 16), p=(0.7, 0.2, 0.09, 0.01)).astype(np.uint8)
    labels[labels == 3] = UNLABELLED
    labels[0, 0, :2] = 3
    few = co.label_points(labels, 42, seed=1)
    counts = np.bincount(few[few != UNLABELLED], minlength=4)
    assert counts[3] == 2 and set(counts[:3]) <= {10, 11} and (few == labels)[few != UNLABELLED].all()
    assert (few != UNLABELLED).any((1, 2)).sum() > 12
    assert np.array_equal(few, co.label_points(labels, 42, seed=1))
    assert not np.array_equal(few, co.label_points(labels, 42, seed=2))
    with pytest.raises(ValueError, match="shared among 4 classes"):
        co.label_points(labels, 3)


def test_every_crop_holds_a_labelled_pixel():
    images, labels = field(6, size=64)
    few = co.label_points(labels, 6)
    s = co.Finetuning(batch_size=64, crop=16)
    known = (few != UNLABELLED).any((1, 2))
    x, truth = torch.from_numpy(images[known]), torch.from_numpy(few[known])
    finetuning = importlib.import_module("lulc_utils.contrastive.finetune")  # co.finetune is the function
    _, y = finetuning._crops(x, truth, s, torch.ones(4), torch.Generator().manual_seed(0))
    assert (y != UNLABELLED).flatten(1).any(1).all()


def test_one_run_shows_what_it_would_return_after_any_step():
    images, labels = field(6)
    seen, how = {}, co.Finetuning(**TINY, steps=12, average=0.8, probe=False)

    def watch(step, net):
        seen[step] = co.predict(net, images)

    whole = co.finetune(None, images, labels, 3, how, bands="abcd", watch=watch).model
    assert sorted(seen) == list(range(1, 13)) and np.array_equal(seen[12], co.predict(whole, images))
    assert any(not np.array_equal(seen[step], seen[12]) for step in range(1, 6))
    along = trial.answers_along(None, images, labels, images, 3, how, (1, 12))
    assert sorted(along) == [1, 12] and all(np.array_equal(along[step], seen[step]) for step in along)
    last = finetune(None, images, labels, 3, steps=12, probe=False, bands="abcd")
    assert not same(whole, last.model)


def test_an_average_of_weights_resumes(tmp_path):
    images, labels = field(4)
    saving = co.Saving(checkpoint=tmp_path / "c", checkpoint_every=3)
    how = {"average": 0.8, "probe": False, "bands": tuple("abcd")}
    finetune(None, images, labels, 3, saving, steps=3, **how)
    resumed, whole = (finetune(None, images, labels, 3, s, steps=6, **how) for s in (saving, co.Saving()))
    assert same(resumed.model, whole.model)


def test_surroundings_are_means_and_spreads_of_squares():
    images = np.random.default_rng(0).random((2, 3, 20, 20)).astype(np.float32)
    near = trial.neighborhoods(images, (5,))
    assert near.shape == (2, 9, 20, 20) and np.array_equal(near[:, :3], images)
    square = images[1, 2, 6:11, 7:12]
    np.testing.assert_allclose(near[1, [5, 8], 8, 9], [square.mean(), square.std()], atol=1e-5)


def test_frozen_features_answer_without_moving():
    images, labels = field(8)
    net = co.fresh("abcd", images, seed=1).eval()
    before = [w.clone() for w in net.parameters()]
    answer = trial.frozen_answers(net, images[:4], labels[:4], images[4:])
    assert all(map(torch.equal, before, net.parameters()))
    assert evaluate.miou(labels[4:], answer, 3) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("region", list(simulate.REGIONS)[:4])
def test_the_bed_has_room_for_surroundings_and_for_labels(region):
    """The contract of the bed in all four regions of chapter 3, on a seed that no result is reported for."""
    bed = co.draw_bed(region, DESIGN)
    start = co.fresh(co.GROUND_BANDS, bed.images, DESIGN, widths=(16, 32, 48, 64), dim=32)

    def score(labels, steps):
        how = co.Finetuning(steps=steps, probe=False, average=0.98, seed=DESIGN)
        tuned = co.finetune(start, *bed.every_date(labels), 8, how).model
        return evaluate.miou(bed.truth, co.predict(tuned, bed.test_images), 8)

    every, few = score(bed.labels, 800), score(co.label_points(bed.labels, 24, DESIGN), 400)
    pixels = evaluate.miou(bed.truth, trial.pixel_answers(*bed.every_date(), bed.test_images, DESIGN), 8)
    assert every - pixels >= 0.08, "the surroundings say something that a pixel does not"
    assert every - few >= 0.15, "more labels help"

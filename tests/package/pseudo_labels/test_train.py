"""Training: every method in every mode, what may depend on what, interrupted runs, and a planted problem."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from lulc_utils import pseudo_labels as pl
from lulc_utils.pseudo_labels.metadata import scaled_place
from lulc_utils.pseudo_labels.train import measure, summarize

from .helpers import (
    ENCODING,
    QUICK,
    SHAPES,
    close,
    random_samples,
    same_weights,
    seeded,
    stopping,
    stopping_after,
    train,
    two_sets,
)


def test_the_students_prediction_cannot_depend_on_metadata():
    other = random_samples(40, seed=1)
    student = train(random_samples(12), other).student
    x = torch.as_tensor(other.x)
    assert student.meta is None and not [k for k in student.state_dict() if k.startswith("meta.")]
    with pytest.raises(ValueError, match="takes no metadata"):
        pl.predict(student, other.x, other.meta(ENCODING))
    before = student(x)[0]
    order = torch.randperm(40, generator=seeded())
    torch.testing.assert_close(student(x[order])[0], before[order], atol=1e-6, rtol=1e-5)
    assert np.array_equal(pl.predict(student, other.x), pl.predict(student, x))


@pytest.mark.parametrize("method", list(pl.METHODS))
@pytest.mark.parametrize("mode", pl.METADATA)
def test_every_method_trains_in_every_mode(method, mode):
    result = train(*two_sets(), pl.Saving(log_every=4), method=method, metadata=mode)
    assert [r["step"] for r in result.history] == [4, 6]
    assert all(np.isfinite([r["loss"], r["loss_teacher"], r["loss_student"], r["mask"]]).all() for r in result.history)
    assert (result.teacher is result.student) == (mode != "teacher")
    assert (result.student.meta is None) == (mode in ("teacher", "none")) and not result.student.training
    if method == "supervised":
        assert result.history[0]["mask"] == 0 and result.history[0]["accepted_accuracy"] is None


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("injection", ["token", "late", "film"])
def test_every_kind_of_input_trains_with_every_injection(shape, injection):
    samples = random_samples(9, shape), random_samples(20, shape, seed=1)
    result = train(*samples, patch=4, distance="cosine", injection=injection)
    probs = pl.predict(result.student, random_samples(7, shape, seed=2).x)
    assert probs.shape == (7, 3) and probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(1), 1, atol=1e-5)


def test_same_seed_same_result_and_the_global_generator_is_left_alone():
    def run(seed):
        return train(*two_sets(), method="softmatch", seed=seed)

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a = run(1)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(99)
    b, c = run(1), run(2)
    assert same_weights(a.teacher, b.teacher) and same_weights(a.student, b.student)
    assert a.history == b.history != c.history


def test_hidden_labels_are_for_diagnosis_only():
    labelled, unlabelled = two_sets()
    a = train(labelled, unlabelled, method="freematch")
    b = train(labelled, unlabelled._replace(y=None), method="freematch")
    assert same_weights(a.student, b.student)
    assert 0 <= a.history[0]["accepted_accuracy"] <= 1 and "accepted_accuracy" not in b.history[0]


def test_accepted_accuracy_is_weighted():
    pseudo = pl.Pseudo(torch.tensor([0, 1, 1, 0]), torch.tensor([1, 0.5, 0, 0]))
    step = measure(pseudo, torch.tensor(1.0), torch.tensor(2.0), torch.tensor([0, 0, 1, 1]))
    nothing = step | dict.fromkeys(("right", "trust", "mask"), 0.0)
    record = summarize([step, nothing])
    assert record["loss"] == 3 and record["pseudo_accuracy"] == 0.5
    assert record["mask"] == pytest.approx(0.1875) and record["accepted_accuracy"] == pytest.approx(1 / 1.5)
    assert summarize([nothing])["accepted_accuracy"] is None


def test_records_of_several_trainings_are_lists():
    steps = [{"loss_teacher": [1.0, i], "loss_student": [0.0, 0.0]} for i in (2.0, 4.0)]
    steps = [s | {"trust": [2.0, 0.0], "right": [1.0, 0.0]} for s in steps]
    record = summarize(steps)
    assert record == {
        "loss": 4.0,
        "loss_teacher": [1.0, 3.0],
        "loss_student": [0.0, 0.0],
        "accepted_accuracy": [0.5, None],
    }


def test_an_interrupted_training_continues_as_if_nothing_had_happened(tmp_path):
    arguments = {"method": pl.Method(stopping), "steps": 6}
    unbroken = train(*two_sets(), pl.Saving(log_every=4), **arguments)
    saving = pl.Saving(tmp_path / "a.checkpoint", 1, history=tmp_path / "a.jsonl", log_every=4)
    with stopping_after(3), pytest.raises(KeyboardInterrupt):
        train(*two_sets(), saving, **arguments)
    assert saving.history.read_text() == ""  # three steps of the four of the first record wait in the checkpoint
    continued = train(*two_sets(), saving, **arguments)
    assert continued.history == unbroken.history and len(saving.history.read_text().splitlines()) == 2
    assert same_weights(continued.student, unbroken.student) and same_weights(continued.teacher, unbroken.teacher)


@pytest.mark.parametrize(
    "changes", [{"method": "softmatch"}, {"encoding": (scaled_place,)}, {"classes": 4}, {"ema": 0.9}]
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, changes):
    saving = pl.Saving(tmp_path / "a.checkpoint")
    train(*two_sets(), saving)
    with pytest.raises(ValueError, match=f"with a different {list(changes)[0]}"):
        train(*two_sets(), saving, **changes)


def test_metadata_dropout_trains_the_unknown_embedding():
    both = train(*two_sets(), metadata="both").student
    none_lost = train(*two_sets(), metadata="dropout", drop_metadata=0.0).student
    all_lost = train(*two_sets(), metadata="dropout", drop_metadata=1.0).student
    assert same_weights(both, none_lost)
    # what gets no gradient moves by weight decay only: known places when all are lost, the unknown when none is
    start = train(*two_sets(), metadata="both", lr=1e-12).student

    def moved(after, name):
        return float((after.get_parameter(name) - start.get_parameter(name)).abs().max())

    assert moved(all_lost, "meta.unknown") > 5 * moved(both, "meta.unknown")
    assert moved(both, "meta.known.0.weight") > 5 * moved(all_lost, "meta.known.0.weight")


def test_two_networks_without_metadata_are_two():
    single = train(*two_sets(), metadata="none")
    pair = train(*two_sets(), metadata="none", two_networks=True)
    assert same_weights(single.student, pair.teacher)  # the teacher is the plain method
    assert (pair.teacher.embed.weight - pair.student.embed.weight).abs().max() > 0.1
    assert torch.equal(pair.teacher.mean, pair.student.mean) and pair.student.mean.abs().max() > 0


def test_one_step_is_adamw_on_both_losses_and_a_tenth_of_it_is_averaged_away():
    """After one step the average has gone nine tenths of the way to the trained weights: min(ema, 1 / 10) stays."""
    settings = pl.Settings(**QUICK | {"steps": 1, "lr": 0.01})
    pool = pl.make_pool(*two_sets(), 3, settings)
    teacher, student = pl.start_networks(torch.cat([pool.x, pool.x_u]), 3, settings)
    start = copy.deepcopy(student)
    optimizer = torch.optim.AdamW([*teacher.parameters(), *student.parameters()], 0.01, weight_decay=0.05)
    batch, _ = pl.draw_batch(pool, settings, 0, mean=teacher.mean, std=teacher.std)
    _, _, l_t, l_s = pl.objective(teacher, student, batch, pl.start_state(3), settings)
    (l_t + l_s).backward()
    optimizer.step()
    trained = pl.train(*two_sets(), replace(settings, ema=0.0), classes=3)
    averaged = pl.train(*two_sets(), settings, classes=3)
    assert not torch.equal(student.head.weight, start.head.weight)
    close(trained.student.head.weight, student.head.weight)
    close(trained.teacher.meta.out.weight, teacher.meta.out.weight)
    close(averaged.student.head.weight, 0.9 * student.head.weight + 0.1 * start.head.weight)
    record = trained.history[0]
    assert record["loss"] == pytest.approx(float(l_t + l_s), rel=1e-5) and record["lr"] == 0.01


def swapped(n, seed, noise=0.5, gap=1.0, cue=0.0, dims=6):
    """Two clusters of vectors whose classes are exchanged south of the equator: without the place, a coin.

    With a cue, each of the other numbers tells a little of the class whatever the place; it takes many labels to see.
    """
    rng = np.random.default_rng(seed)
    cluster, lat = rng.integers(0, 2, n), rng.uniform(30, 60, n) * rng.choice([-1, 1], n)
    y = cluster ^ (lat < 0)
    x = rng.normal(scale=noise, size=(n, dims))
    x[:, 0] += gap * (2 * cluster - 1)
    x[:, 1:] += cue * (2 * y[:, None] - 1)
    return pl.Samples(x.astype(np.float32), y, lat, rng.uniform(-180, 180, n), rng.uniform(1, 366, n))


def accuracy(model, samples, meta=None):
    return float((pl.predict(model, samples.x, meta).argmax(1) == samples.y).mean())


PLANTED = {"dim": 32, "depth": 1, "steps": 150, "batch_size": 16, "lr": 3e-3, "encoding": (scaled_place,)}


def test_planted_only_metadata_tells_swapped_classes_apart():
    labelled, unlabelled, test = (swapped(n, seed, noise=0.4) for n, seed in ((80, 0), (400, 1), (600, 2)))
    led = pl.train(labelled, unlabelled, pl.Settings(**PLANTED), classes=2)
    blind = pl.train(labelled, unlabelled, pl.Settings(metadata="none", method="softmatch", **PLANTED), classes=2)
    assert accuracy(led.teacher, test, test.meta([scaled_place])) > 0.95
    assert abs(accuracy(blind.student, test) - 0.5) < 0.1
    assert abs(accuracy(led.student, test) - 0.5) < 0.1  # nothing in the image tells: no teacher can help
    assert led.history[-1]["accepted_accuracy"] > 0.9 > 0.7 > blind.history[-1]["accepted_accuracy"]


@pytest.mark.slow
def test_planted_the_student_of_a_teacher_that_knows_the_place_is_better_without_it():
    gain, trust = [], []
    for seed in (0, 1):
        sizes = ((100, 10 * seed), (1000, 10 * seed + 1), (2000, 10 * seed + 2))
        labelled, unlabelled, test = (swapped(n, s, gap=2.0, cue=0.12, dims=20) for n, s in sizes)
        runs = [
            pl.train(
                labelled, unlabelled, pl.Settings(metadata=mode, injection="film", seed=seed, **PLANTED), classes=2
            )
            for mode in ("teacher", "none")
        ]
        scores = [accuracy(run.student, test) for run in runs]
        gain.append(scores[0] - scores[1])
        trust.append(runs[0].history[-1]["accepted_accuracy"] - runs[1].history[-1]["accepted_accuracy"])
    assert min(gain) > 0.005 and np.mean(gain) > 0.015 and min(trust) > 0.05, (gain, trust)

"""Several repeats at once are what each is alone."""

from dataclasses import replace

import pytest

from lulc_utils import pseudo_labels as pl

from .helpers import ENCODING, QUICK, close, random_samples, same_weights, stopping, stopping_after

KNOWN, MORE = ([random_samples(n, seed=seed) for seed in (1, 2)] for n in (9, 30))
SEEDS, SAVING = [3, 4], pl.Saving(log_every=4)
TWO_BLIND = {"metadata": "none", "two_networks": True}


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("defixmatch", {"metadata": "teacher"}),
        ("softmatch", {"metadata": "dropout"}),
        ("freematch", TWO_BLIND),
        ("fixmatch", {"metadata": "none", "perfect_teacher": True}),
    ],
)
def test_several_repeats_at_once_are_what_each_is_alone(method, changes):
    settings = pl.Settings(method=method, **QUICK, **changes)
    together = pl.train_together(KNOWN, MORE, SEEDS, settings, SAVING, classes=3)
    for i, seed in enumerate(SEEDS):
        alone = pl.train(KNOWN[i], MORE[i], replace(settings, seed=seed), SAVING, classes=3)
        meta = MORE[i].meta(ENCODING) if settings.metadata == "dropout" else None
        close(pl.predict(together[i].student, MORE[i].x, meta), pl.predict(alone.student, MORE[i].x, meta), 1e-5)
        for mine, other in zip(together[i].history, alone.history, strict=True):
            assert mine == pytest.approx(other, abs=1e-5)


def test_an_interrupted_run_of_several_repeats_continues(tmp_path):
    settings = pl.Settings(method=pl.Method(stopping), **QUICK)
    unbroken = pl.train_together(KNOWN, MORE, SEEDS, settings, SAVING, classes=3)
    saving = replace(SAVING, checkpoint=tmp_path / "five.checkpoint", checkpoint_every=1)
    with stopping_after(3), pytest.raises(KeyboardInterrupt):
        pl.train_together(KNOWN, MORE, SEEDS, settings, saving, classes=3)
    continued = pl.train_together(KNOWN, MORE, SEEDS, settings, saving, classes=3)
    for a, b in zip(unbroken, continued, strict=True):
        assert a.history == b.history and same_weights(a.student, b.student) and same_weights(a.teacher, b.teacher)

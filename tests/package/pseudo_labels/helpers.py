"""What the tests of pseudo-labels share: small samples, small networks, and numbers that are close."""

from contextlib import contextmanager

import numpy as np
import torch

from lulc_utils import pseudo_labels as pl
from lulc_utils.pseudo_labels.metadata import season, unit_sphere

SMALL = {"patch": 4, "dim": 16, "depth": 2, "heads": 2}
QUICK = {"dim": 16, "depth": 1, "heads": 2, "steps": 6, "batch_size": 4}
SHAPES = [(3, 8, 8), (6, 4), (5,)]
ENCODING = (unit_sphere, season)
UNSAVED = pl.Saving()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def close(a, b, atol=1e-6):
    torch.testing.assert_close(torch.as_tensor(a).double(), torch.as_tensor(b).double(), atol=atol, rtol=0)


def random_samples(n, shape=(5,), classes=3, seed=0):
    rng = np.random.default_rng(seed)
    place = rng.uniform(-60, 60, n), rng.uniform(-180, 180, n), rng.uniform(1, 366, n)
    return pl.Samples(rng.normal(size=(n, *shape)).astype(np.float32), rng.integers(0, classes, n), *place)


def two_sets():
    """Samples with and without labels."""
    return random_samples(12), random_samples(30, seed=1)


def train(labelled, unlabelled, saving=UNSAVED, classes=3, **changes):
    """A few steps of a small network."""
    return pl.train(labelled, unlabelled, pl.Settings(**QUICK | changes), saving, classes=classes)


def same_weights(a, b):
    """Whether two networks have equal weights."""
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


STEPS_LEFT = []


@contextmanager
def stopping_after(steps):
    """Inside, a training with `stopping` as its rule is interrupted after so many steps."""
    STEPS_LEFT[:] = [steps]
    yield
    STEPS_LEFT.clear()


def stopping(probs, state):
    """SoftMatch, which remembers what it saw, until the power goes out."""
    if STEPS_LEFT == [0]:
        raise KeyboardInterrupt
    if STEPS_LEFT:
        STEPS_LEFT[0] -= 1
    return pl.softmatch(probs, state)

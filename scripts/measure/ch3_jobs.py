"""The full-size measurements of chapter 3: every pre-training, and all fine-tunings that start from it."""

from __future__ import annotations

import functools
import itertools

import numpy as np

from lulc_utils import contrastive as co
from lulc_utils import data, evaluate, raster, simulate
from lulc_utils.contrastive import unet
from lulc_utils.data.sentinel import ESRI_CLASSES
from lulc_utils.scene import UNLABELLED

REGIONS = tuple(simulate.REGIONS)[:4]  # two in Europe, two in Africa
FRACTIONS = (0.01, 0.05, 0.1, 0.25, 1.0)
SCARCE = FRACTIONS[:2]  # for which every region's network is tried in every region
FARTHER = dict(zip(REGIONS, REGIONS[2:] + REGIONS[:2], strict=True))  # the other continent, for all fractions
SEEDS = range(5)
TRAIN, TEST = range(10_000, 10_200), range(20_000, 20_060)  # simulated grounds
CLASSES = len(simulate.SATELLITE_CLASSES)

REAL_FRACTIONS = (0.025, 0.05, 0.25, 1.0)  # of 40 squares
HOME, SHARE = REGIONS[0], 0.05  # of the ablations
ABLATIONS = {
    "views differ by": {
        "geometry and jitter": {"pairs": False},
        "dates and jitter": {"turns": False, "overlap": 1.0},
        "dates and geometry": {"jitter": co.STILL},
    },
    "projection head": {"none": {"projection": 0}},
    "temperature": {"0.05": {"tau": 0.05}, "0.5": {"tau": 0.5}},
    "points per patch": {"16": {"points": 16}},
    "least overlap": {"0.9": {"overlap": 0.9}},
}
ABLATION_SEEDS = CONTROL_SEEDS = range(2)
PRETRAIN = {"steps": 300, "precision": "bf16"}
FINETUNE = {"steps": 200, "precision": "bf16"}
LONG = 200 + 300 * 32 // 8  # fine-tuning steps of 8 crops with the cost of fine-tuning plus 300 steps of 2 x 16 crops
RATES = (2e-3, 8e-3)


# ------------------------------------------------------------------------------------------------ simulated


@functools.cache
def landscape(region: str) -> tuple:
    """(training images [P, 2, 4 C, H, W], bands, their labels, test images [P, 4 C, H, W], their labels)."""
    images, bands, labels = co.date_stacks(co.simulated_dates(region, TRAIN, 8), 4)
    test, _, truth = co.date_stacks(co.simulated_dates(region, TEST, 4), 4)
    return images, bands, labels, test[:, 0], truth


def pretrained(region: str, seed: int, pairs: bool = True, **changes) -> unet.UNet:
    """A network pre-trained in one region, with the chapter's settings unless changed."""
    images, bands, *_ = landscape(region)
    images = images if pairs else images[:, 0]
    return co.pretrain(images, co.Pretraining(seed=seed, **PRETRAIN | changes), bands=bands).model


def scored(model: unet.UNet | None, region: str, fraction: float, seed: int, **changes) -> np.ndarray:
    """Fine-tune and test in one region: confusion matrices [test patches, n, n + 1]; None: random weights."""
    images, bands, labels, test, truth = landscape(region)
    changes = {"probe": model is not None, **changes}  # random features need no protection
    model = model or co.fresh(bands, images, seed)  # standardized by the same images as a pre-trained one
    few = co.label_fraction(labels, fraction, seed)
    tuned = co.finetune(model, images[:, 0], few, CLASSES, co.Finetuning(seed=seed, **FINETUNE | changes)).model
    return tables(truth, co.predict(tuned, test), CLASSES)


def tables(truth: np.ndarray, answer: np.ndarray, n: int) -> np.ndarray:
    """One confusion matrix per patch."""
    return np.stack([evaluate.confusion(t, a, n) for t, a in zip(truth, answer, strict=True)])


def grid_job(source: str, seed: int) -> dict[str, np.ndarray]:
    """Everything that starts from one pre-training, or from one random initialization."""
    matrices = {}
    model = None if source == "random" else pretrained(source, seed)
    for region in REGIONS:
        for fraction in FRACTIONS:
            if source not in ("random", region, FARTHER[region]) and fraction not in SCARCE:
                continue
            matrices[f"{region}|{fraction}"] = scored(model, region, fraction, seed)
    return matrices


def control_job(fraction: float, seed: int) -> dict[str, np.ndarray]:
    """Random initialization with the compute of pre-training and fine-tuning together."""
    return {region: scored(None, region, fraction, seed, steps=LONG) for region in REGIONS}


def rates_job(seed: int) -> dict[str, np.ndarray]:
    """Other ways of fine-tuning, for both initializations: learning rates, and the other start of the head."""
    starts, matrices = {"random": None, "pre-trained": pretrained(HOME, seed)}, {}
    for name, model in starts.items():
        for lr in RATES:
            matrices[f"{name}, learning rate {lr:g}"] = scored(model, HOME, SHARE, seed, lr=lr)
    matrices["pre-trained, random head"] = scored(model, HOME, SHARE, seed, probe=False)
    return matrices


def linear_job(seed: int) -> dict[str, np.ndarray]:
    """Logistic regression on the raw values of a pixel: the score a network has to beat."""
    matrices = {}
    for region in REGIONS:
        images, _, labels, test, truth = landscape(region)
        for fraction in FRACTIONS:
            few = co.label_fraction(labels, fraction, seed)
            known = few != UNLABELLED
            model = evaluate.linear_probe(np.moveaxis(images[:, 0], 1, -1)[known], few[known], samples=5000, seed=seed)
            answer = evaluate.predict(model, np.moveaxis(test, 1, -1))
            matrices[f"{region}|{fraction}"] = tables(truth, answer, CLASSES)
    return matrices


def ablation_job(changes: dict, seed: int) -> dict[str, np.ndarray]:
    """One setting of pre-training changed."""
    return {"": scored(pretrained(HOME, seed, **changes), HOME, SHARE, seed)}


# ----------------------------------------------------------------------------------------------------- real


@functools.cache
def quadrants(fold: int) -> tuple:
    """TerraMesh cut into quarters, two of every patch for training, the other two for testing.

    (unlabelled squares, training squares [40, C, 56, 56], their labels, test quarters [10, C, 112, 112], their labels)
    """
    quarters = [raster.crops(scene, 112) for scene in data.terramesh(progress=False)]
    train = [scene[i] for scene in quarters for i in ((0, 3), (1, 2))[fold]]
    test = [scene[i] for scene in quarters for i in ((1, 2), (0, 3))[fold]]
    far, *_ = co.patches(data.satclip(progress=False), 56, co.GROUND_BANDS)
    near, _, labels = co.patches(train, 56, co.GROUND_BANDS)
    held, _, truth = co.patches(test, None, co.GROUND_BANDS)
    return np.concatenate([far, near]), near, labels, held, truth


def real_job(seed: int) -> dict[str, np.ndarray]:
    """SatCLIP and half of TerraMesh without labels, then that half with some, tested on the other half; two folds."""
    matrices = {}
    for fold in range(2):
        unlabelled, images, labels, held, truth = quadrants(fold)
        starts = {
            "random": co.fresh(co.GROUND_BANDS, unlabelled, seed),
            "pre-trained": co.pretrain(unlabelled, co.Pretraining(seed=seed, **PRETRAIN), bands=co.GROUND_BANDS).model,
        }
        for name, model in starts.items():
            for fraction in REAL_FRACTIONS:
                few, probe = co.label_fraction(labels, fraction, seed), name == "pre-trained"
                classes = len(ESRI_CLASSES)
                settings = co.Finetuning(seed=seed, probe=probe, **FINETUNE)
                tuned = co.finetune(model, images, few, classes, settings).model
                answer = tables(truth, co.predict(tuned, held), len(ESRI_CLASSES))
                matrices[f"{name}|{fraction}|{fold}"] = answer
    return matrices


# ---------------------------------------------------------------------------------------------------- jobs


def jobs() -> dict[str, functools.partial]:
    """Name -> what to do, in order of importance."""
    todo = {}
    for seed in SEEDS:
        for source in ("random", *REGIONS):
            todo[f"grid {source} {seed}"] = functools.partial(grid_job, source, seed)
    for seed in SEEDS:
        todo[f"linear {seed}"] = functools.partial(linear_job, seed)
    for seed in SEEDS:
        todo[f"real {seed}"] = functools.partial(real_job, seed)
    for fraction, seed in itertools.product(SCARCE, CONTROL_SEEDS):
        todo[f"control {fraction} {seed}"] = functools.partial(control_job, fraction, seed)
    for seed in ABLATION_SEEDS:
        todo[f"rates {seed}"] = functools.partial(rates_job, seed)
        for what, settings in ABLATIONS.items():
            for value, changes in settings.items():
                todo[f"ablation {what}={value} {seed}"] = functools.partial(ablation_job, changes, seed)
    return todo

"""Chapter 3 at full size: every region, label fraction, initialisation and seed; ablations; real imagery.

    python scripts/measure/ch3_contrastive.py run        all of it, about two hours on one core; start it twice to share
    python scripts/measure/ch3_contrastive.py collect    writes book/measured/contrastive_grid.json

A job is one pre-training with all fine-tunings that start from it; its confusion matrices are kept when it is done, so
a run that was stopped continues, and `collect` may be called at any time. Nothing is chosen with the test patches.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lulc_utils import contrastive as co
from lulc_utils import data, evaluate, raster, results, simulate
from lulc_utils.contrastive import unet
from lulc_utils.data.sentinel import ESRI_CLASSES
from lulc_utils.files import complete_or_absent
from lulc_utils.scene import UNLABELLED

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "_build" / "contrastive_grid"

REGIONS = tuple(simulate.REGIONS)[:4]  # two in Europe, two in Africa
FRACTIONS = (0.01, 0.05, 0.1, 0.25, 1.0)
SCARCE = FRACTIONS[:2]  # at which every region's network is tried in every region
FARTHER = dict(zip(REGIONS, REGIONS[2:] + REGIONS[:2], strict=True))  # the region of the other continent, at all
SEEDS = range(5)
TRAIN, TEST = range(10_000, 10_200), range(20_000, 20_060)  # simulated grounds
CLASSES = len(simulate.SATELLITE_CLASSES)

REAL_FRACTIONS = (0.025, 0.05, 0.25, 1.0)  # of 40 squares
HERE, SHARE = REGIONS[0], 0.05  # where the ablations are made
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
LONG = 200 + 300 * 32 // 8  # fine-tuning steps of 8 crops that cost what fine-tuning and 300 steps of 2 x 16 crops do
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
    changes = {"probe": model is not None, **changes}  # there is nothing to protect in random features
    model = model or co.fresh(bands, images, seed)  # standardised by the same images as a pre-trained one
    few = co.label_fraction(labels, fraction, seed)
    tuned = co.finetune(model, images[:, 0], few, CLASSES, co.Finetuning(seed=seed, **FINETUNE | changes)).model
    return tables(truth, co.predict(tuned, test), CLASSES)


def tables(truth: np.ndarray, answer: np.ndarray, n: int) -> np.ndarray:
    """One confusion matrix per patch."""
    return np.stack([evaluate.confusion(t, a, n) for t, a in zip(truth, answer, strict=True)])


def grid_job(source: str, seed: int) -> dict[str, np.ndarray]:
    """Everything that starts from one pre-training, or from one random initialisation."""
    found = {}
    model = None if source == "random" else pretrained(source, seed)
    for region in REGIONS:
        for fraction in FRACTIONS:
            if source not in ("random", region, FARTHER[region]) and fraction not in SCARCE:
                continue
            found[f"{region}|{fraction}"] = scored(model, region, fraction, seed)
    return found


def control_job(fraction: float, seed: int) -> dict[str, np.ndarray]:
    """Random initialisation with the compute of pre-training and fine-tuning together."""
    return {region: scored(None, region, fraction, seed, steps=LONG) for region in REGIONS}


def rates_job(seed: int) -> dict[str, np.ndarray]:
    """Other ways of fine-tuning, for both initialisations: learning rates, and the other way to start the head."""
    starts, found = {"random": None, "pre-trained": pretrained(HERE, seed)}, {}
    for name, model in starts.items():
        for lr in RATES:
            found[f"{name}, learning rate {lr:g}"] = scored(model, HERE, SHARE, seed, lr=lr)
    found["pre-trained, random head"] = scored(model, HERE, SHARE, seed, probe=False)
    return found


def linear_job(seed: int) -> dict[str, np.ndarray]:
    """Logistic regression on the raw values of a pixel: what a network has to beat."""
    found = {}
    for region in REGIONS:
        images, _, labels, test, truth = landscape(region)
        for fraction in FRACTIONS:
            few = co.label_fraction(labels, fraction, seed)
            known = few != UNLABELLED
            model = evaluate.linear_probe(np.moveaxis(images[:, 0], 1, -1)[known], few[known], samples=5000, seed=seed)
            answer = evaluate.predict(model, np.moveaxis(test, 1, -1))
            found[f"{region}|{fraction}"] = tables(truth, answer, CLASSES)
    return found


def ablation_job(changes: dict, seed: int) -> dict[str, np.ndarray]:
    """One setting of pre-training changed."""
    return {"": scored(pretrained(HERE, seed, **changes), HERE, SHARE, seed)}


# ----------------------------------------------------------------------------------------------------- real


@functools.cache
def quadrants(fold: int) -> tuple:
    """TerraMesh cut into quarters, two of every patch for training, the two others for testing.

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
    found = {}
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
                found[f"{name}|{fraction}|{fold}"] = answer
    return found


# ---------------------------------------------------------------------------------------------------- jobs


def jobs() -> dict[str, functools.partial]:
    """Name -> what to do, in the order of importance."""
    every = {}
    for seed in SEEDS:
        for source in ("random", *REGIONS):
            every[f"grid {source} {seed}"] = functools.partial(grid_job, source, seed)
    for seed in SEEDS:
        every[f"linear {seed}"] = functools.partial(linear_job, seed)
    for seed in SEEDS:
        every[f"real {seed}"] = functools.partial(real_job, seed)
    for fraction, seed in itertools.product(SCARCE, CONTROL_SEEDS):
        every[f"control {fraction} {seed}"] = functools.partial(control_job, fraction, seed)
    for seed in ABLATION_SEEDS:
        every[f"rates {seed}"] = functools.partial(rates_job, seed)
        for what, settings in ABLATIONS.items():
            for value, changes in settings.items():
                every[f"ablation {what}={value} {seed}"] = functools.partial(ablation_job, changes, seed)
    return every


def path_of(job: str) -> Path:
    """Where the matrices of a job are kept."""
    return KEPT / f"{job.replace(' ', '_').replace(',', '')}.npz"


def run() -> None:
    """Do every job that is not done yet and that no other process is doing."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for name, job in tqdm(jobs().items(), desc="jobs"):
        if path_of(name).exists() or not claimed(name):
            continue
        try:
            found = job()
        except data.DataUnavailable as error:
            tqdm.write(f"{name}: left out, {error}")
            continue
        with complete_or_absent(path_of(name)) as part:
            np.savez_compressed(part, **found)


def claimed(name: str) -> bool:
    """True when this process may do the job; False while another process of this machine is at it."""
    path = path_of(name).with_suffix(".claim")
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(str(os.getpid()))
        return True
    except FileExistsError:
        try:
            os.kill(int(path.read_text(encoding="ascii")), 0)  # asks only whether it lives
            return False
        except (OSError, ValueError):  # it died
            path.unlink(missing_ok=True)
            return claimed(name)


def load(name: str) -> dict[str, np.ndarray]:
    """The matrices of a finished job; FileNotFoundError says which one is missing."""
    if not path_of(name).exists():
        raise FileNotFoundError(f"The job '{name}' has not been done yet; call `run` first.")
    with np.load(path_of(name), allow_pickle=False) as file:
        return dict(file)


# ------------------------------------------------------------------------------------------------- collecting


def collect() -> dict:
    """Scores with intervals over seeds and test patches, from what has been measured."""
    kept = {"settings": {"regions": REGIONS, "fractions": FRACTIONS, "seeds": len(SEEDS), "test": len(TEST)}}
    grid = {(s, r): load(f"grid {s} {r}") for s in ("random", *REGIONS) for r in SEEDS}

    def stacked(source: str, region: str, fraction: float) -> np.ndarray:
        return np.stack([grid[source, seed][f"{region}|{fraction}"] for seed in SEEDS])  # [S, T, n, m]

    linear = [load(f"linear {seed}") for seed in SEEDS]
    kept["scores"], kept["gains"], kept["transfer"] = {}, {}, {}
    for region in REGIONS:
        kept["scores"][region], kept["gains"][region] = {}, {}
        for fraction in FRACTIONS:
            cell = {
                "random": stacked("random", region, fraction),
                "here": stacked(region, region, fraction),
                "elsewhere": stacked(FARTHER[region], region, fraction),
                "pixels": np.stack([found[f"{region}|{fraction}"] for found in linear]),
            }
            kept["scores"][region][fraction] = {name: evaluate.over_seeds(t) for name, t in cell.items()}
            kept["gains"][region][fraction] = {
                name: evaluate.over_seeds(t, cell["random"]) for name, t in cell.items() if name != "random"
            }
    kept["against pixels"] = {
        region: {
            fraction: evaluate.over_seeds(
                stacked(region, region, fraction), np.stack([found[f"{region}|{fraction}"] for found in linear])
            )
            for fraction in FRACTIONS
        }
        for region in REGIONS
    }
    for fraction in SCARCE:
        kept["transfer"][fraction] = {
            source: {
                r: evaluate.over_seeds(stacked(source, r, fraction), stacked("random", r, fraction)) for r in REGIONS
            }
            for source in REGIONS
        }
    kept["control"] = {}
    for fraction, region in itertools.product(SCARCE, REGIONS):
        few = len(CONTROL_SEEDS)
        long = np.stack([load(f"control {fraction} {seed}")[region] for seed in CONTROL_SEEDS])
        here, short = stacked(region, region, fraction)[:few], stacked("random", region, fraction)[:few]
        kept["control"].setdefault(fraction, {})[region] = {
            "random": evaluate.over_seeds(short),
            "random, equal compute": evaluate.over_seeds(long),
            "pre-trained": evaluate.over_seeds(here),
            "pre-trained minus equal compute": evaluate.over_seeds(here, long),
        }
    kept["ablations"] = collect_ablations(stacked)
    kept["real"] = collect_real()
    return kept


def collect_ablations(stacked) -> dict:
    """Scores with one setting changed, beside the unchanged and the random network; same seeds."""
    few = len(ABLATION_SEEDS)
    base = stacked(HERE, HERE, SHARE)[:few]
    found = {"random": evaluate.over_seeds(stacked("random", HERE, SHARE)[:few]), "ours": evaluate.over_seeds(base)}
    for what, settings in ABLATIONS.items():
        for value in settings:
            changed = np.stack([load(f"ablation {what}={value} {seed}")[""] for seed in ABLATION_SEEDS])
            found.setdefault(what, {})[value] = evaluate.over_seeds(changed)
    rates = [load(f"rates {seed}") for seed in ABLATION_SEEDS]
    found["fine-tuning"] = {key: evaluate.over_seeds(np.stack([r[key] for r in rates])) for key in rates[0]}
    return found


def collect_real() -> dict:
    """The comparison on TerraMesh, both folds together."""
    runs = [load(f"real {seed}") for seed in SEEDS]

    def both(name: str, fraction: float) -> np.ndarray:
        return np.stack([np.concatenate([r[f"{name}|{fraction}|{fold}"] for fold in range(2)]) for r in runs])

    found = {}
    for fraction in REAL_FRACTIONS:
        a, b = both("pre-trained", fraction), both("random", fraction)
        found[fraction] = {
            "random": evaluate.over_seeds(b), "pre-trained": evaluate.over_seeds(a), "gain": evaluate.over_seeds(a, b)
        }  # fmt: skip
    few = [np.concatenate([both(n, f) for f in REAL_FRACTIONS[:2]]) for n in ("pre-trained", "random")]
    found["mean gain, two smallest"] = evaluate.over_seeds(*few)
    return found


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="do the jobs that are not done yet")
    commands.add_parser("collect", help="write the measured results")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run()
        return 0
    try:
        results.save(ROOT / "book" / "measured" / "contrastive_grid.json", "contrastive_grid", collect())
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)  # several of these share a machine; threads would wait for each other
    sys.exit(main())

"""`python -m lulc_utils contrastive pretrain | finetune`: train a U-Net without labels, then with a few."""

from __future__ import annotations

import argparse

import numpy as np

from lulc_utils.contrastive import unet
from lulc_utils.contrastive.finetune import Finetuning, finetune, label_fraction
from lulc_utils.contrastive.pretrain import Pretraining, pretrain
from lulc_utils.contrastive.stacks import patches, scenes_for
from lulc_utils.scene import Scene
from lulc_utils.simulate.satellite.spectra import GROUND_BANDS
from lulc_utils.training import Saving, add_training_options, from_options, rank, saving_beside, under_torchrun


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of both commands."""
    commands = parser.add_subparsers(dest="what", required=True)
    for name, settings, words in (
        ("pretrain", Pretraining, "train a U-Net without labels"),
        ("finetune", Finetuning, "train a U-Net, pre-trained or not, on labels"),
    ):
        command = commands.add_parser(
            name,
            help=words,
            description=f"{words.capitalize()}, on one process or under torchrun.",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        add = command.add_argument
        add("--data", required=True, help="simulated, satclip, terramesh, or a folder of GeoTIFFs (reflectance 0..1)")
        add("--region", action="append", default=[], help="simulator region, or part of its name; repeat for more")
        add("--patches", type=int, default=100, help="how many patches to simulate per region")
        add("--size", type=int, default=64, help="side of a patch, pixels")
        add("--bands", default=" ".join(GROUND_BANDS), help="names of the bands to use, in one string; empty: all")
        add_training_options(command, settings)
        if name == "pretrain":
            add("--dates", type=int, default=6, help="simulated dates of the same ground; 1: no season pairs")
        else:
            add("--weights", default="random", help="weights written by pretrain, or 'random'")
            add("--fraction", type=float, default=1.0, help="share of the patches whose labels are used")


def run(options: argparse.Namespace) -> None:
    """Train as the options say and write the weights."""
    saving = saving_beside(options)
    with under_torchrun(options.device) as device:
        train = _pretrain if options.what == "pretrain" else _finetune
        model, notes = train(options, saving, device)
        if rank() == 0:
            notes |= {"data": options.data, "steps": str(options.steps), "seed": str(options.seed)}
            unet.save(model, options.out, **notes)
            print(f"Wrote {options.out}; read it with lulc_utils.contrastive.unet.load('{options.out}').")


def _scenes(options: argparse.Namespace, dates: int = 1) -> list[list[Scene]]:
    return scenes_for(options.data, options.region, options.patches, dates, options.size, progress=rank() == 0)


def _pretrain(options: argparse.Namespace, saving: Saving, device: str) -> tuple[unet.UNet, dict[str, str]]:
    settings = from_options(Pretraining, options)
    stacks = [patches(scenes, bands=options.bands.split()) for scenes in _scenes(options, options.dates)]
    images, bands, _ = stacks[0]
    if len(stacks) > 1:
        images = np.stack([stack[0] for stack in stacks], 1)
    result = pretrain(images, settings, saving, bands=bands, device=device)
    return result.model, {"method": "dense contrastive pre-training"}


def _finetune(options: argparse.Namespace, saving: Saving, device: str) -> tuple[unet.UNet, dict[str, str]]:
    settings = from_options(Finetuning, options)
    model = None if options.weights == "random" else unet.load(options.weights)
    scenes = _scenes(options)[0]
    images, bands, labels = patches(scenes, bands=model.bands if model else options.bands.split())
    if labels is None:
        raise ValueError(f"'{options.data}' has no labels; fine-tuning needs a mask for every image.")
    labels, classes = label_fraction(labels, options.fraction, options.seed), scenes[0].class_names
    result = finetune(model, images, labels, len(classes), settings, saving, bands=bands, device=device)
    notes = {"method": "fine-tuned", "class_names": ", ".join(classes), "fraction": str(options.fraction)}
    return result.model, notes

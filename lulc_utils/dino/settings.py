"""All that can be chosen about a training, and what follows from it for every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lulc_utils.dino.network import MODELS, architecture_of
from lulc_utils.dino.views import JITTERS, Crops
from lulc_utils.training import Checked, cosine_schedule, option, seed_option


@dataclass(frozen=True)
class Settings(Checked):
    """All that can be chosen about a training; ValueError for what cannot be.

    model             a name in MODELS, or the arguments of a timm VisionTransformer
    steps             of another length than an interrupted run's, the schedules are stretched from there on
    batch_size        global: every process of a distributed run takes its share of it
    zoom, spread, dates, mask   of the views, see `multi_crop`; jitter, local_jitter: names in JITTERS
    patch_weight      weight of the patch term; 0 leaves plain DINO
    warmup_steps      linear warm-up of the learning rate, of at most a tenth of all steps
    clip_grad         greatest norm of the whole gradient (the reference clips every tensor by itself, to 3)
    freeze_steps      the prototypes stay put at first, at most for a tenth of all steps
    teacher_momentum  rises to 1 along a cosine
    teacher_temp      from, to: rises over the first third; equal to `student_temp`, sharpening is off
    center_momentum   None: no centering
    last_phase        share of the steps, at the end, with views of `last_crop` pixels and so many fewer places that a
                      batch shows as much ground: the network learns to read large images at once
    precision         "fp32" or "bf16" (autocast)
    """

    model: str | dict = option("vit_tiny8", f"one of {', '.join(MODELS)}")
    steps: int = option(1000, "updates; more than before continues a finished run", least=1)
    batch_size: int = option(40, "images per update, over all processes", least=2)
    crop: int = option(80, "side of a global view, pixels", least=16)
    n_local: int = option(0, "number of local views", least=0)
    local_crop: int = option(40, "side of a local view, pixels", least=16)
    zoom: tuple[float, float] = option((0.7, 1.4), "source pixels per pixel of a view: least, greatest", above=0)
    spread: float = option(0.3, "how much larger than a view the window is that holds all views of a place", least=0)
    dates: bool = option(False, "show a place on two days in its two global views, where there are two")
    jitter: str = option("mild", "change of colors between global views", choices=tuple(JITTERS))
    local_jitter: str = option("mild", "the same for local views", choices=tuple(JITTERS))
    mask: tuple[float, float] = option((0.1, 0.5), least=0, most=1)
    patch_weight: float = option(1.0, "weight of the patch term; 0: plain DINO", least=0)
    prototypes: int = option(512, "K, size of the answers", least=2)
    hidden: int = option(512, "width of the head's hidden layer; 0: the head is linear", least=0)
    lr: float = option(1e-3, "greatest learning rate", above=0)
    warmup_steps: int = option(100, least=0)
    weight_decay: float = option(0.04, least=0)
    clip_grad: float = option(1.0, above=0)
    freeze_steps: int = option(50, least=0)
    teacher_momentum: float = option(0.99, "at the start; rises to 1", least=0, most=1)
    teacher_temp: tuple[float, float] = option((0.04, 0.07), "sharpening: from, to", above=0)
    student_temp: float = option(0.1, above=0)
    center_momentum: float | None = 0.9
    last_phase: float = option(0.0, "share of the steps at the end with larger views", least=0, most=1)
    last_crop: int = option(224, "side of those views, pixels", least=16)
    seed: int = seed_option("of the weights and of every batch")
    precision: str = option("fp32", "bf16: autocast", choices=("fp32", "bf16"))

    def __post_init__(self) -> None:
        """Limits of every field, and what must fit together."""
        super().__post_init__()
        patch = architecture_of(self.model)["patch_size"]
        sides = ["crop"] + ["local_crop"] * bool(self.n_local) + ["last_crop"] * bool(self.last_phase)
        for name in sides:
            if getattr(self, name) % patch or getattr(self, name) < 2 * patch:
                raise ValueError(f"{name} must be a multiple of the patch of {patch} pixels, two at least.")
        if self.zoom[0] > self.zoom[1]:
            raise ValueError(f"zoom goes from the least to the greatest, not from {self.zoom[0]} to {self.zoom[1]}.")
        if self.n_local and self.local_crop > self.crop:
            raise ValueError("Local crops cannot be larger than global ones.")


def schedules(s: Settings) -> dict[str, np.ndarray]:
    """What changes from step to step, one number for each."""
    return {
        "lr": cosine_schedule(s.lr, s.lr / 1000, s.steps, min(s.warmup_steps, s.steps // 10)),
        "momentum": cosine_schedule(s.teacher_momentum, 1.0, s.steps),
        "temp": np.interp(np.arange(s.steps), [0, max(s.steps // 3, 1)], s.teacher_temp),
        "frozen": np.arange(s.steps) < min(s.freeze_steps, s.steps // 10),
    }


def phase(s: Settings, step: int) -> tuple[Crops, int]:
    """(what views are like, places in the batch) at a step."""
    crops = Crops(
        patch=architecture_of(s.model)["patch_size"],
        crop=s.crop,
        n_local=s.n_local,
        local_crop=s.local_crop,
        zoom=s.zoom,
        spread=s.spread,
        dates=s.dates,
        jitter=JITTERS[s.jitter],
        local_jitter=JITTERS[s.local_jitter],
        mask=s.mask,
    )
    if step < s.steps * (1 - s.last_phase):
        return crops, s.batch_size
    fewer = s.batch_size * (s.crop / s.last_crop) ** 2
    crops = crops._replace(crop=s.last_crop, spread=min(s.spread, 0.1))
    return crops, 8 * max(1, round(fewer / 8))  # so that 2, 4 or 8 processes can share them


def largest_view(s: Settings) -> int | None:
    """Side of the windows in which images are to be read, if views were not too small for windows."""
    largest = s.last_crop if s.last_phase else s.crop
    return largest if largest >= 3 * architecture_of(s.model)["patch_size"] else None

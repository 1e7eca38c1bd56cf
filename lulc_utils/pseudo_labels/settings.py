"""Every option of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from lulc_utils.pseudo_labels.metadata import Encoding, season, unit_sphere, widths
from lulc_utils.pseudo_labels.rules import Method, find_method
from lulc_utils.pseudo_labels.views import Strength
from lulc_utils.training import Checked, option, seed_option

METADATA = ("teacher", "both", "none", "dropout")
INJECTIONS = ("token", "late", "film", "none")
DISTANCES = ("mse", "mae", "cosine", "none")


@dataclass(frozen=True)
class Settings(Checked):
    """Every option of a training run; ValueError for values that are not allowed.

    method         a name in METHODS, or a Method of your own, for example Method(partial(fixmatch, confidence=0.8)):
                   networks trained for a few hundred steps seldom reach a confidence of 0.95
    metadata       "teacher": two networks, only the teacher sees it. "both": one network sees it, in training and in
                   use. "dropout": the same, but for a part `drop_metadata` of its training images place and date are
                   unknown (never of weak views). "none": one network, no metadata
    two_networks   for "none": teacher and student as for "teacher", both without, from two random starts (from one
                   they would stay equal, exactly the plain method); shows what a second network alone adds
    perfect_teacher   for "none": the pseudo-labels are the hidden truth, and all are trusted; the bound of what any
                   teacher can do for a student
    encoding       functions of `metadata` that turn place and date into numbers
    injection      how metadata enters the network; for it, `patch`, `dim`, `depth` and `heads` see MetadataTransformer
    distance       of the distillation, see `distillation`; `lambda_d` is its weight
    strength       of the strong views
    batch_size     labelled images per step, drawn with replacement; `ratio` times as many unlabelled ones
    lr             highest learning rate: it rises for a twentieth of the steps, then falls to a hundredth of this
    weight_decay   of AdamW
    ema            momentum of the moving average, lower in the first steps: min(ema, (1 + step) / (10 + step))
    seed           of start, images and views; equal seeds draw equal images and views for every method
    """

    method: str | Method = "fixmatch"
    metadata: str = option("teacher", choices=METADATA)
    two_networks: bool = False
    perfect_teacher: bool = False
    drop_metadata: float = option(0.5, least=0, most=1)
    encoding: tuple[Encoding, ...] = (unit_sphere, season)
    injection: str = option("token", choices=INJECTIONS)
    distance: str = option("mse", choices=DISTANCES)
    lambda_d: float = option(1.0, least=0)
    strength: Strength = Strength()
    patch: int = option(8, least=1)
    dim: int = option(64, least=1)
    depth: int = option(3, least=1)
    heads: int = option(4, least=1)
    steps: int = option(500, least=1)
    batch_size: int = option(32, least=1)
    ratio: int = option(2, least=1)
    lr: float = option(1e-3, above=0)
    weight_decay: float = option(0.05, least=0)
    ema: float = option(0.99, least=0, most=1)
    seed: int = seed_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        find_method(self.method)
        if self.two_networks and self.metadata not in ("teacher", "none"):
            raise ValueError(f"two_networks goes with metadata 'none' or 'teacher', not with {self.metadata!r}.")
        if self.perfect_teacher and (self.has_student or self.sees_metadata):
            raise ValueError("perfect_teacher goes with metadata 'none' and one network: the truth is the teacher.")
        if self.sees_metadata and not sum(self.widths):
            raise ValueError("The encoding has no columns; choose one of pseudo_labels.metadata, or metadata='none'.")

    @property
    def sees_metadata(self) -> bool:
        """Whether the teacher sees metadata."""
        return self.metadata != "none"

    @property
    def has_student(self) -> bool:
        """Whether there is a second network."""
        return self.metadata == "teacher" or self.two_networks

    @property
    def widths(self) -> tuple[int, ...]:
        """Columns of each encoding that the teacher sees."""
        return widths(self.encoding) if self.sees_metadata else ()

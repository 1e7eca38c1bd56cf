"""Pseudo-labels from a teacher that knows where and when (after Bernhard et al. 2024, arXiv 2404.18583).

A network that is told place and date learns shortcuts that fail elsewhere; one that is not told confuses what only
place and date tell apart. So two networks learn together: the teacher sees the metadata and labels the unlabelled
images, the student learns from those labels without metadata, and only the student is used. Around this stand
interchangeable rules of which pseudo-labels to trust: FixMatch, FreeMatch, SoftMatch, DeFixMatch, or none at all.

B labelled and U unlabelled images per batch, K classes, D features, E columns of encoded metadata.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from timm.models.vision_transformer import Block
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from lulc_utils.dino import cosine_schedule
from lulc_utils.pseudo_labels.metadata import Encoding, encode, season, unit_sphere, widths

INJECTIONS = ("token", "late", "film", "none")
METADATA = ("teacher", "both", "none", "dropout")
# Strength of the strong view. gain, offset, noise: standard deviations, the last two as a part of the band's own;
# drop: chance of every band to be hidden; cutout: greatest side of the hidden square as a part of the image's.
STRONG = {"gain": 0.1, "band_gain": 0.05, "offset": 0.2, "noise": 0.2, "drop": 0.1, "cutout": 0.5}

# ------------------------------------------------------------------------------- which pseudo-labels to trust


class State(NamedTuple):
    """What the rules remember from batch to batch, as exponential moving averages.

    confidence  [] mean of the greatest probability
    variance    [] its variance
    mean        [K] mean probability of every class
    """

    confidence: torch.Tensor
    variance: torch.Tensor
    mean: torch.Tensor


Rule = Callable[[torch.Tensor, State], tuple[torch.Tensor, State]]


def start_state(classes: int, device: str | torch.device = "cpu") -> State:
    """The state of a teacher that knows nothing: every class equally probable, variance 1."""
    even = torch.full((classes,), 1 / classes, device=device)
    return State(even[0].clone(), torch.ones((), device=device), even)


def supervised(probs: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
    """Trust no pseudo-label: weights [U] of 0."""
    return torch.zeros_like(probs[:, 0]), state


def fixmatch(probs: torch.Tensor, state: State, confidence: float = 0.95) -> tuple[torch.Tensor, State]:
    """Weights [U] of 1 where the greatest of probs [U, K] reaches `confidence`, else 0 (Sohn et al. 2020)."""
    return (probs.amax(1) >= confidence).to(probs.dtype), state


def freematch(probs: torch.Tensor, state: State, momentum: float = 0.999) -> tuple[torch.Tensor, State]:
    """Thresholds that rise with the teacher's own confidence, lower for classes it is less sure of.

    The threshold of class c is `tau p(c) / max p`, with tau the average confidence and p the average probability of
    every class, both moved by this batch first. Source: Wang et al. 2023 (FreeMatch, arXiv 2205.07246), without its
    fairness loss.
    """
    top, label = probs.max(1)
    state = State(
        _move(state.confidence, top.mean(), momentum), state.variance, _move(state.mean, probs.mean(0), momentum)
    )
    threshold = state.confidence * state.mean / state.mean.max()  # [K]
    return (top >= threshold[label]).to(probs.dtype), state


def softmatch(
    probs: torch.Tensor, state: State, momentum: float = 0.999, width: float = 2.0, align: bool = True
) -> tuple[torch.Tensor, State]:
    """Weights [U] that fall off like a Gaussian below the average confidence, and are 1 above it.

    weight = exp(-min(top - mu, 0)^2 / (2 sigma^2 / width^2)), with mu and sigma^2 the moving mean and variance of
    the greatest probability. With `align`, probabilities are first divided by the moving mean of their class, so that
    rare classes are not weighed down. Source: Chen et al. 2023 (SoftMatch, arXiv 2301.10921).
    """
    mean = _move(state.mean, probs.mean(0), momentum)
    if align:
        probs = probs / mean
        probs = probs / probs.sum(1, keepdim=True)
    top = probs.amax(1)
    spread = top.var() if len(top) > 1 else state.variance
    state = State(_move(state.confidence, top.mean(), momentum), _move(state.variance, spread, momentum), mean)
    below = (top - state.confidence).clamp_max(0)
    return torch.exp(-(below**2) / (2 * state.variance.clamp_min(1e-8) / width**2)), state


def _move(old: torch.Tensor, new: torch.Tensor, momentum: float) -> torch.Tensor:
    return momentum * old + (1 - momentum) * new


class Method(NamedTuple):
    """A semi-supervised method: its rule, the weight of the unlabelled term, and whether that term is debiased."""

    rule: Rule
    lambda_u: float = 1.0
    debias: bool = False


METHODS = {
    "supervised": Method(supervised, 0.0),
    "fixmatch": Method(fixmatch),
    # The papers' momentum of 0.999 is made for a million steps; in a few hundred the start would not be forgotten.
    "freematch": Method(partial(freematch, momentum=0.99)),
    "softmatch": Method(partial(softmatch, momentum=0.99)),
    "defixmatch": Method(fixmatch, 0.5, debias=True),
}


# -------------------------------------------------------------------------------------------------- the idea


class Pseudo(NamedTuple):
    """Pseudo-labels [U] and how far each is trusted, [U] in 0..1."""

    label: torch.Tensor
    weight: torch.Tensor


class Answers(NamedTuple):
    """What one network says about a batch.

    labelled   [B, K] logits of the labelled images, weak view
    strong     [U, K] logits of the unlabelled images, strong view
    feature    [B + U, D] the features in which image and metadata meet, of the same views in this order
    debias     [B, K] logits of the labelled images, strong view; for DeFixMatch only
    """

    labelled: torch.Tensor
    strong: torch.Tensor
    feature: torch.Tensor
    debias: torch.Tensor | None = None


def pseudo_labels(weak_logits: torch.Tensor, rule: Rule, state: State) -> tuple[Pseudo, State]:
    """The teacher's decisions about weak views [U, K], and the rule's new state. No gradient flows into them."""
    probs = weak_logits.detach().softmax(1)
    weight, state = rule(probs, state)
    return Pseudo(probs.argmax(1), weight), state


def consistency(strong_logits: torch.Tensor, pseudo: Pseudo) -> torch.Tensor:
    """Cross-entropy of strong views [U, K] with their pseudo-labels, weighted; mean over ALL U, a scalar.

    Dividing by U, not by the sum of the weights, keeps the term small while few labels are trusted (Sohn et al. 2020).
    """
    return (F.cross_entropy(strong_logits, pseudo.label, reduction="none") * pseudo.weight).mean()


def distillation(student: torch.Tensor, teacher: torch.Tensor, distance: str = "mse") -> torch.Tensor:
    """How far the student's features [n, D] are from the teacher's, into which no gradient flows; a scalar.

    distance: "mse", "mae", "cosine" (one minus the cosine) or "none" (0). Source: Bernhard et al. 2024.
    """
    teacher = teacher.detach()
    if distance == "none":
        return student.new_zeros(())
    if distance == "mse":
        return F.mse_loss(student, teacher)
    if distance == "mae":
        return F.l1_loss(student, teacher)
    if distance == "cosine":
        return (1 - F.cosine_similarity(student, teacher, dim=-1)).mean()
    raise ValueError(f"There is no distillation {distance!r}; choose mse, mae, cosine or none.")


def losses(
    teacher: Answers,
    student: Answers | None,
    y: torch.Tensor,
    pseudo: Pseudo,
    *,
    lambda_u: float = 1.0,
    lambda_d: float = 1.0,
    distance: str = "mse",
    pseudo_labelled: Pseudo | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The losses of teacher and student, two scalars to be added and minimised in one step.

    L_T = CE(labelled, y) + lambda_u consistency(strong, pseudo)
    L_S = the same of the student + lambda_d distillation(its features, the teacher's)

    y                 [B] classes of the labelled images
    pseudo            of the unlabelled images, from the teacher's weak view; the same for both networks
    pseudo_labelled   of the labelled images, made as if they had no label: their consistency is subtracted, which
                      removes the bias of the unlabelled term (DeFixMatch, Schmutz et al. 2023, arXiv 2203.07512)

    Without a student, L_S is 0 and L_T alone is the ordinary semi-supervised loss. Source: Bernhard et al. 2024.
    """

    def loss(answers: Answers) -> torch.Tensor:
        unlabelled = consistency(answers.strong, pseudo)
        if pseudo_labelled is not None:
            unlabelled = unlabelled - consistency(answers.debias, pseudo_labelled)
        return F.cross_entropy(answers.labelled, y) + lambda_u * unlabelled

    if student is None:
        return loss(teacher), y.new_zeros((), dtype=teacher.labelled.dtype)
    return loss(teacher), loss(student) + lambda_d * distillation(student.feature, teacher.feature, distance)


# --------------------------------------------------------------------------------------------------- network


class Embedding(nn.Module):
    """Encoded metadata [B, E] -> [B, D]: a two-layer MLP in which every unknown encoding has a learned vector.

    widths   columns of each encoding, in order; a row's encoding is unknown when its columns are NaN

    With all known this is the MLP E -> D -> D of Bernhard et al. 2024, its first layer written as a sum over encodings.
    """

    def __init__(self, widths: Sequence[int], dim: int):
        super().__init__()
        self.widths = tuple(w for w in widths if w)
        self.known = nn.ModuleList(nn.Linear(width, dim) for width in self.widths)
        self.unknown = nn.Parameter(torch.randn(len(self.widths), dim))
        self.out = nn.Linear(dim, dim)

    def forward(self, meta: torch.Tensor) -> torch.Tensor:
        """ValueError when the columns do not fit."""
        if meta.ndim != 2 or meta.shape[1] != sum(self.widths):
            raise ValueError(
                f"The metadata has shape {tuple(meta.shape)}, but this network takes {sum(self.widths)} columns; "
                "encode it with the encodings that the network was made for."
            )
        hidden = 0
        for part, linear, unknown in zip(meta.split(self.widths, 1), self.known, self.unknown, strict=True):
            missing = part.isnan().any(1, keepdim=True)  # [B, 1]
            # NaN must go before the product: hidden by `where` alone it would still come back in the gradient
            hidden = hidden + torch.where(missing, unknown, linear(part.masked_fill(missing, 0)))
        return self.out(F.gelu(hidden))


class Network(nn.Module):
    """A small transformer: images or series, and metadata or none, -> (logits [B, K], meta feature [B, D]).

    shape      of one example: (bands, height, width) cut into squares of `patch` pixels; (times, bands), one token
               for each time; or (numbers,), one token in all
    widths     columns of each encoding of the metadata; () for a network that cannot be given any
    injection  how metadata comes in. "token": as one more token beside CLS and the patches; "late": joined to CLS
               after the last block; "film": as a scale and shift of all tokens before every block; "none": not at all

    A network without metadata has the same injection, fed by the learned vector `empty`, so that teacher and student
    have features of one kind: the last token's output, the joint vector, or (film, none) CLS. The buffers `mean` and
    `std` standardise the input; `standardise` sets them. timm's blocks, layer norm first.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        widths: Sequence[int] = (),
        injection: str = "token",
        patch: int = 8,
        dim: int = 64,
        depth: int = 3,
        heads: int = 4,
    ):
        super().__init__()
        shape = tuple(shape)
        if injection not in INJECTIONS:
            raise ValueError(f"There is no injection {injection!r}; choose one of {', '.join(INJECTIONS)}.")
        if injection == "none" and sum(widths):
            raise ValueError("A network with injection 'none' cannot take metadata; choose token, late or film.")
        if len(shape) not in (1, 2, 3):
            raise ValueError(
                f"One example has shape {shape}; give (bands, height, width), (times, bands) or (numbers,)."
            )
        if len(shape) == 3 and (shape[1] % patch or shape[2] % patch):
            raise ValueError(f"Images of {shape[1]} x {shape[2]} pixels cannot be cut into patches of {patch}.")
        self.shape, self.classes, self.injection, self.patch = shape, classes, injection, patch
        self.band_axis = 0 if len(shape) == 3 else len(shape) - 1
        self.register_buffer("mean", torch.zeros(shape[self.band_axis]))
        self.register_buffer("std", torch.ones(shape[self.band_axis]))
        tokens, size = {
            1: lambda: (1, shape[0]),
            2: lambda: (shape[0], shape[1]),
            3: lambda: (shape[1] * shape[2] // patch**2, shape[0] * patch**2),
        }[len(shape)]()
        self.embed = nn.Linear(size, dim)
        self.cls = nn.Parameter(0.02 * torch.randn(dim))
        self.positions = nn.Parameter(0.02 * torch.randn(tokens, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio=2.0, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        if injection != "none":
            self.empty = nn.Parameter(0.02 * torch.randn(dim))
        if injection == "late":
            self.join = nn.Linear(2 * dim, dim)
        if injection == "film":
            self.film = nn.Linear(dim, depth * 2 * dim)
            nn.init.zeros_(self.film.bias)
        self.meta = Embedding(widths, dim) if sum(widths) else None  # last, so that the rest starts the same without

    def forward(self, x: torch.Tensor, meta: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x [B, *shape], meta [B, E] with NaN for unknown; ValueError when one of them is missing or does not fit."""
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"The network was made for examples of shape {self.shape}, not {tuple(x.shape[1:])}.")
        place = self._place(meta, len(x))  # [B, D]
        x = self.embed(self._cut(x)) + self.positions  # [B, n, D]
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1)
        if self.injection == "token":
            x = torch.cat([x, place.unsqueeze(1)], 1)  # [B, n + 2, D]
        if self.injection == "film":
            scale, shift = self.film(place).view(len(x), 1, 2, len(self.blocks), -1).unbind(2)  # [B, 1, depth, D]
        for i, block in enumerate(self.blocks):
            if self.injection == "film":
                x = x * (1 + scale[:, :, i]) + shift[:, :, i]
            x = block(x)
        x = self.norm(x)
        cls, feature = x[:, 0], x[:, -1] if self.injection == "token" else x[:, 0]
        if self.injection == "late":
            cls = feature = F.gelu(self.join(torch.cat([cls, place], 1)))
        return self.head(cls), feature

    def _place(self, meta: torch.Tensor | None, count: int) -> torch.Tensor | None:
        if self.meta is None:
            if meta is not None:
                raise ValueError("This network takes no metadata; leave meta out.")
            return None if self.injection == "none" else self.empty.expand(count, -1)
        if meta is None:
            raise ValueError("This network takes metadata; give it, with NaN (metadata.unknown) where it is not known.")
        if len(meta) != count:
            raise ValueError(f"There are {count} images but {len(meta)} rows of metadata.")
        return self.empty + self.meta(meta)

    def _cut(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised tokens [B, n, numbers of one]."""
        x = (x - _bandwise(self.mean, self.shape)) / _bandwise(self.std, self.shape)
        if len(self.shape) == 3:
            side, (bands, height, width) = self.patch, self.shape  # as F.unfold, but much faster
            x = x.view(len(x), bands, height // side, side, width // side, side)
            return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        return x.view(len(x), -1, self.shape[-1])

    def standardise(self, x: torch.Tensor) -> Network:
        """Take mean and standard deviation of every band from x [N, *shape]; returns the network itself."""
        std, mean = torch.std_mean(x, [axis for axis in range(x.ndim) if axis != 1 + self.band_axis])
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(1e-6))
        return self


def _bandwise(values: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    return values.view(-1, 1, 1) if len(shape) == 3 else values


# ----------------------------------------------------------------------------------------------------- views


def weak(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images [B, C, H, W] flipped and turned by quarters, each by itself; series and vectors as they are.

    Seen from above, ground has no up. Oblong images are only flipped and turned upside down.
    """
    if x.ndim != 4:
        return x
    turn = torch.randint(8, (len(x),), generator=generator).to(x.device)
    if x.shape[-1] != x.shape[-2]:
        turn = turn - turn % 2
    result = x.clone()
    for t in range(1, 8):
        if (chosen := turn == t).any():
            turned = torch.rot90(x[chosen], t % 4, (-2, -1))
            result[chosen] = turned.flip(-1) if t >= 4 else turned
    return result


def strong(
    x: torch.Tensor,
    generator: torch.Generator,
    mean: torch.Tensor,
    std: torch.Tensor,
    strength: dict[str, float] = STRONG,
) -> torch.Tensor:
    """`weak`, and then what light, air and sensor do to spectra: other values, the same land cover. Shape of x.

    mean, std   [C] of every band; hidden bands and squares get the mean, which says nothing
    strength    see STRONG. Gain multiplies reflectance, for all bands together (light) and each by itself
                (calibration), offset is added to a band (haze), noise to every value. A band is dropped in all times
                of a series; the square of a series is a run of times; in a vector of numbers each is its own band.

    No change of hue as for photographs: the shape of the spectrum is the evidence.
    """
    shape, count = x.shape[1:], len(x)
    bands, ones = len(mean), (1,) * (len(shape) - 1)
    mean, std = _bandwise(mean, shape), _bandwise(std, shape)
    normal = lambda *size: torch.randn(count, *size, generator=generator).to(x.device)  # noqa: E731
    uniform = lambda *size: torch.rand(count, *size, generator=generator).to(x.device)  # noqa: E731
    band = (bands, 1, 1) if len(shape) == 3 else (*ones, bands)
    x = weak(x, generator)
    x = x * (1 + strength["gain"] * normal(1, *ones) + strength["band_gain"] * normal(*band))
    x = x + std * (strength["offset"] * normal(*band) + strength["noise"] * normal(*shape))
    hidden = uniform(*band) < strength["drop"]
    if len(shape) > 1:
        sides = shape[1:] if len(shape) == 3 else shape[:1]
        corner, size = uniform(len(sides)), uniform(1) * strength["cutout"]  # parts of a side
        inside = torch.ones(count, *(1 for _ in sides), dtype=torch.bool, device=x.device)
        for axis, side in enumerate(sides):
            length = (size[:, 0] * side).round()
            first = (corner[:, axis] * (side - length + 1)).floor()
            steps = torch.arange(side, device=x.device)
            within = (steps >= first[:, None]) & (steps < (first + length)[:, None])  # [B, side]
            inside = inside & within.view(count, *(side if a == axis else 1 for a in range(len(sides))))
        hidden = hidden | (inside.unsqueeze(1) if len(shape) == 3 else inside.unsqueeze(-1))
    return torch.where(hidden, mean.expand_as(x), x)


# -------------------------------------------------------------------------------------------------- training


class Samples(NamedTuple):
    """Examples in memory, N of them.

    x             [N, C, H, W] images, [N, T, C] series or [N, F] vectors
    y             [N] classes 0..K-1; of unlabelled examples None or, for diagnosis only, the hidden truth
    lat, lon      [N] degrees; None when no metadata is used
    day           [N] day of the year, NaN = unknown; None = unknown for all
    place_known   [N] bool, None = all
    """

    x: np.ndarray
    y: np.ndarray | None = None
    lat: np.ndarray | None = None
    lon: np.ndarray | None = None
    day: np.ndarray | None = None
    place_known: np.ndarray | None = None

    def meta(self, encoding: Sequence[Encoding]) -> torch.Tensor:
        """Encoded metadata [N, E]; see `metadata.encode`. ValueError without places."""
        if self.lat is None or self.lon is None:
            raise ValueError("These samples have no latitude and longitude, so their metadata cannot be encoded.")
        day = np.full(len(self.x), np.nan) if self.day is None else self.day
        if not len(self.lat) == len(self.lon) == len(day) == len(self.x):
            raise ValueError(
                f"There are {len(self.x)} samples, {len(self.lat)} latitudes, {len(self.lon)} longitudes and "
                f"{len(day)} days; give one of each for every sample."
            )
        return encode(self.lat, self.lon, day, encoding, self.place_known)


class Result(NamedTuple):
    """What `train` returns: moving averages of teacher and student, one record per logged step.

    With one network ("both", "none", "dropout") teacher and student are the same.
    """

    teacher: Network
    student: Network
    history: list[dict]


class Batch(NamedTuple):
    """One batch: labelled x, y, weak and strong views of the unlabelled, metadata [., E] or None of each."""

    x: torch.Tensor
    y: torch.Tensor
    weak: torch.Tensor
    strong: torch.Tensor
    meta: torch.Tensor | None = None
    meta_weak: torch.Tensor | None = None
    meta_strong: torch.Tensor | None = None
    x_strong: torch.Tensor | None = None  # strong view of the labelled, for DeFixMatch


def answers(network: Callable, batch: Batch, metadata: bool) -> Answers:
    """What a network says about the labelled images and the strong views, with metadata or without."""
    parts = [batch.x, batch.strong] + ([] if batch.x_strong is None else [batch.x_strong])
    meta = None
    if metadata:
        meta = torch.cat([batch.meta, batch.meta_strong] + ([] if batch.x_strong is None else [batch.meta]))
    logits, feature = network(torch.cat(parts), meta)
    labelled, strong_, *debias = logits.split([len(p) for p in parts])
    return Answers(labelled, strong_, feature[: len(labelled) + len(strong_)], debias[0] if debias else None)


def step(
    teacher: Network,
    student: Network | None,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    method: Method,
    state: State,
    *,
    lambda_d: float = 1.0,
    distance: str = "mse",
) -> tuple[Pseudo, State, torch.Tensor, torch.Tensor]:
    """One optimiser step of both networks; (pseudo-labels, the rule's new state, L_T, L_S).

    The optimiser holds the parameters of both. student None: the teacher alone, which is the ordinary method.
    """
    seeing = teacher.meta is not None
    pseudo, state, *terms = objective(
        teacher, student, batch, method, state, seeing=seeing, lambda_d=lambda_d, distance=distance
    )
    optimizer.zero_grad(set_to_none=True)
    sum(terms).backward()
    optimizer.step()
    return pseudo, state, terms[0].detach(), terms[1].detach()


def objective(
    teacher: Callable,
    student: Callable | None,
    batch: Batch,
    method: Method,
    state: State,
    *,
    seeing: bool,
    lambda_d: float = 1.0,
    distance: str = "mse",
) -> tuple[Pseudo, State, torch.Tensor, torch.Tensor]:
    """What `step` minimises, L_T + L_S, before the optimiser: (pseudo-labels, new state, L_T, L_S with gradient).

    seeing   whether the teacher is given metadata; the networks may be any functions (x, meta) -> (logits, feature)
    """
    with torch.no_grad():
        logits = teacher(batch.weak, batch.meta_weak if seeing else None)[0]
    pseudo, state = pseudo_labels(logits, method.rule, state)
    told = answers(teacher, batch, seeing)
    guessed = answers(student, batch, False) if student is not None else None
    pseudo_labelled = pseudo_labels(told.labelled, method.rule, state)[0] if method.debias else None
    terms = losses(
        told,
        guessed,
        batch.y,
        pseudo,
        lambda_u=method.lambda_u,
        lambda_d=lambda_d,
        distance=distance,
        pseudo_labelled=pseudo_labelled,
    )
    return pseudo, state, *terms


def train(
    labelled: Samples,
    unlabelled: Samples,
    *,
    classes: int,
    method: str | Method = "fixmatch",
    metadata: str = "teacher",
    encoding: Sequence[Encoding] = (unit_sphere, season),
    injection: str = "token",
    distance: str = "mse",
    lambda_d: float = 1.0,
    two_networks: bool = False,
    drop_metadata: float = 0.5,
    strength: dict[str, float] = STRONG,
    patch: int = 8,
    dim: int = 64,
    depth: int = 3,
    heads: int = 4,
    steps: int = 500,
    batch_size: int = 32,
    ratio: int = 2,
    lr: float = 1e-3,
    weight_decay: float = 0.05,
    ema: float = 0.99,
    seed: int = 0,
    device: str | torch.device = "cpu",
    log_every: int = 20,
    progress: bool = False,
) -> Result:
    """Train on labelled and unlabelled samples; the hidden truth of the unlabelled only goes into the history.

    method         a name in METHODS, or a Method of your own, for example Method(partial(fixmatch, confidence=0.8)):
                   networks that learn for a few hundred steps are seldom sure to 0.95
    metadata       "teacher": two networks, only the teacher sees it. "both": one network sees it, in training and in
                   use. "dropout": so too, but of a part `drop_metadata` of its training images place and date are
                   unknown (never of weak views). "none": one network, no metadata
    two_networks   for "none": teacher and student as for "teacher", both without, from two random starts (from one
                   they would stay equal, and be the plain method exactly); what a second network alone brings
    distance       of the distillation: "mse", "mae", "cosine" or "none"; lambda_d its weight
    batch_size     labelled images per step, drawn with replacement; `ratio` times as many unlabelled ones
    ema            momentum of the moving average, lower in the first steps: min(ema, (1 + step) / (10 + step))

    Records: step, loss_teacher, loss_student; mask (mean weight of the pseudo-labels); with a hidden truth
    pseudo_accuracy (of all) and accepted_accuracy (weighted; None where none is accepted); each the mean since the
    last record. Equal seeds draw equal images and views whatever the method. ValueError says what does not fit.
    """
    method = _method(method)
    _check_settings(metadata, two_networks, distance, method, steps, batch_size, ratio, drop_metadata)
    if (hidden := unlabelled.y) is not None:
        hidden = _labels(hidden, classes, len(unlabelled.x), "hidden true labels")
    y = _labels(labelled.y, classes, len(labelled.x), "labels of the labelled samples")
    x, x_u = (_pixels(samples.x, name) for samples, name in ((labelled, "labelled"), (unlabelled, "unlabelled")))
    if x.shape[1:] != x_u.shape[1:]:
        raise ValueError(f"Labelled examples have shape {tuple(x.shape[1:])}, unlabelled ones {tuple(x_u.shape[1:])}.")
    seeing = metadata != "none"
    meta, meta_u = (s.meta(encoding) if seeing else None for s in (labelled, unlabelled))
    if seeing and not meta.shape[1]:
        raise ValueError("The encoding has no columns; choose one of pseudo_labels.metadata, or metadata='none'.")

    shape = {"patch": patch, "dim": dim, "depth": depth, "heads": heads, "injection": injection}
    seen = widths(encoding) if seeing else ()
    teacher, student = start_networks(torch.cat([x, x_u]), classes, seen, metadata, two_networks, seed, **shape)
    teacher.to(device)
    if student is not None:
        student.to(device)
    networks = [teacher] if student is None else [teacher, student]
    averages = [copy.deepcopy(network) for network in networks]
    learned = [p for network in networks for p in network.parameters()]
    weights = list(zip([p for average in averages for p in average.parameters()], learned, strict=True))
    optimizer = torch.optim.AdamW(learned, lr, weight_decay=weight_decay, fused=True)
    rates = cosine_schedule(lr, lr / 100, steps, steps // 20)
    state = start_state(classes, device)
    history, since = [], []
    for i in tqdm(range(steps), desc="pseudo-labels", disable=not progress):
        chosen_u, batch = draw_batch(
            (x, y, x_u, meta, meta_u), seed, i, batch_size, ratio, teacher, strength, method.debias,
            drop_metadata if metadata == "dropout" else 0.0,
        )  # fmt: skip
        batch = Batch(*(None if part is None else part.to(device) for part in batch))
        optimizer.param_groups[0]["lr"] = float(rates[i])
        pseudo, state, *terms = step(
            teacher, student, optimizer, batch, method, state, lambda_d=lambda_d, distance=distance
        )
        with torch.no_grad():
            for slow, fast in weights:
                slow.lerp_(fast, 1 - min(ema, (1 + i) / (10 + i)))
        since.append(_record(pseudo, terms, None if hidden is None else hidden[chosen_u].to(device)))
        if (i + 1) % log_every == 0 or i + 1 == steps:
            history.append({"step": i + 1, **_mean(since)})
            since = []
            if not np.isfinite(history[-1]["loss_teacher"] + history[-1]["loss_student"]):
                raise RuntimeError(f"The loss is not a number at step {i + 1}; lower the learning rate.")
    return Result(averages[0].eval(), averages[-1].eval(), history)


def start_networks(
    x: torch.Tensor, classes: int, seen: Sequence[int], metadata: str, two_networks: bool, seed: int, **shape
) -> tuple[Network, Network | None]:
    """Teacher and student (or None) before training, standardised by x [N, *shape]; seen: widths of the encodings."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        teacher = Network(x.shape[1:], classes, seen, **shape).standardise(x)
        student = Network(x.shape[1:], classes, (), **shape) if metadata == "teacher" or two_networks else None
    if student is not None:
        # Both start from one network, as from one pre-training. Without metadata they would then stay one network.
        same = ("mean", "std") if metadata == "none" else student.state_dict()
        student.load_state_dict({k: v for k, v in teacher.state_dict().items() if k in same}, strict=False)
    return teacher, student


def draw_batch(
    pools: tuple, seed: int, i: int, batch_size: int, ratio: int, network: Network, strength: dict, debias: bool,
    forget: float,
) -> tuple[torch.Tensor, Batch]:  # fmt: skip
    """(indices of the unlabelled, the batch) of step i: the same for the same seed, on the CPU.

    pools   labelled x and y, unlabelled x, metadata of both or None
    """
    x, y, x_u, meta, meta_u = pools
    generator = torch.Generator().manual_seed(seed * 1_000_003 + i)
    chosen = torch.randint(len(x), (batch_size,), generator=generator)
    chosen_u = torch.randint(len(x_u), (batch_size * ratio,), generator=generator)
    views = _views(x[chosen], x_u[chosen_u], generator, network, strength, debias, network.mean.device)
    batch = Batch(views[0], y[chosen], *views[1:3], x_strong=views[3])
    if meta is not None:
        rows, rows_u = meta[chosen], meta_u[chosen_u]
        batch = batch._replace(
            meta=_forget(rows, forget, generator), meta_weak=rows_u, meta_strong=_forget(rows_u, forget, generator)
        )
    return chosen_u, batch


@torch.no_grad()
def predict(
    model: Network, x: np.ndarray | torch.Tensor, meta: torch.Tensor | None = None, batch_size: int = 512
) -> np.ndarray:
    """Probabilities of the classes, float32 [N, K], of x [N, *shape].

    meta   [N, E] of `metadata.encode` (or `metadata.unknown`) for a network that takes it, else None; ValueError
           when it is missing or one too many.
    """
    device = model.mean.device
    x = _pixels(x, "given")
    if meta is not None and len(meta) != len(x):
        raise ValueError(f"There are {len(x)} images but {len(meta)} rows of metadata.")
    probs = []
    for i in range(0, len(x), batch_size):
        rows = None if meta is None else meta[i : i + batch_size].to(device)
        probs.append(model(x[i : i + batch_size].to(device), rows)[0].softmax(1).cpu())
    return torch.cat(probs).numpy()


def class_accuracy(y: np.ndarray, probs: np.ndarray, classes: int) -> float:
    """Share of y [N] that probs [N, K] get right, mean over the classes that occur: rare ones count as much."""
    y, right = np.asarray(y), np.asarray(probs).argmax(1) == y
    return float(np.mean([right[y == c].mean() for c in range(classes) if (y == c).any()]))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high) by Student's t, of scores of independent repeats or of their paired differences.

    NaN as bounds of fewer than two values.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()) if len(values) else float("nan"), float("nan"), float("nan")
    half = float(stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()), float(values.mean()) - half, float(values.mean()) + half


def _views(x, x_u, generator, network, strength, debias, device) -> tuple[torch.Tensor, ...]:
    """Labelled weak, unlabelled weak and strong, and the labelled strong view (or None)."""
    x, x_u = x.to(device), x_u.to(device)
    bands = network.mean, network.std
    result = weak(x, generator), weak(x_u, generator), strong(x_u, generator, *bands, strength)
    other = torch.Generator().manual_seed(generator.initial_seed() + 500_000)  # leaves the draws of the others alone
    return *result, strong(x, other, *bands, strength) if debias else None


def _forget(meta: torch.Tensor, part: float, generator: torch.Generator) -> torch.Tensor:
    """The same metadata, with all of a random part of the rows unknown."""
    lost = torch.rand(len(meta), 1, generator=generator) < part
    return meta.masked_fill(lost.to(meta.device), torch.nan)


def _record(pseudo: Pseudo, terms: Sequence[torch.Tensor], hidden: torch.Tensor | None) -> dict:
    record = {"loss_teacher": float(terms[0]), "loss_student": float(terms[1]), "mask": float(pseudo.weight.mean())}
    if hidden is not None:
        right = (pseudo.label == hidden).float()
        record["pseudo_accuracy"] = float(right.mean())
        record["accepted"] = float((pseudo.weight * right).sum()), float(pseudo.weight.sum())
    return record


def _mean(records: list[dict]) -> dict:
    result = {key: float(np.mean([r[key] for r in records])) for key in records[0] if key != "accepted"}
    if "accepted" in records[0]:
        right, weight = np.sum([r["accepted"] for r in records], axis=0)
        result["accepted_accuracy"] = float(right / weight) if weight > 0 else None
    return result


def _method(method: str | Method) -> Method:
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}; choose one of {', '.join(METHODS)}.")
    return METHODS[method]


def _check_settings(metadata, two_networks, distance, method, steps, batch_size, ratio, drop_metadata) -> None:
    if metadata not in METADATA:
        raise ValueError(f"metadata is {metadata!r}; choose one of {', '.join(METADATA)}.")
    if two_networks and metadata not in ("teacher", "none"):
        raise ValueError(f"two_networks goes with metadata 'none' or 'teacher', not with {metadata!r}.")
    distillation(torch.ones(1, 1), torch.ones(1, 1), distance)
    if min(steps, batch_size, ratio) < 1:
        raise ValueError("steps, batch_size and ratio must be at least 1.")
    if not 0 <= drop_metadata <= 1:
        raise ValueError(f"drop_metadata is {drop_metadata}, but it is a part of the images, 0..1.")


def _pixels(x: np.ndarray | torch.Tensor, name: str) -> torch.Tensor:
    x = torch.as_tensor(np.asarray(x) if not torch.is_tensor(x) else x).float()
    if x.ndim not in (2, 3, 4) or not len(x):
        raise ValueError(
            f"The {name} samples have shape {tuple(x.shape)}; give [N, C, H, W] images, [N, T, C] series "
            "or [N, F] vectors."
        )
    if not torch.isfinite(x).all():
        raise ValueError(f"The {name} samples have values that are not finite; fill or leave out what is missing.")
    return x


def _labels(y: np.ndarray | None, classes: int, count: int, name: str) -> torch.Tensor:
    if y is None:
        raise ValueError(f"There are no {name}.")
    y = torch.as_tensor(np.asarray(y)).long()
    if y.shape != (count,):
        raise ValueError(f"The {name} have shape {tuple(y.shape)}, but there are {count} samples.")
    if count and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise ValueError(f"The {name} go from {int(y.min())} to {int(y.max())}, but must lie in 0..{classes - 1}.")
    return y

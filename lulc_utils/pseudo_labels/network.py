"""A small transformer that can take where and when an image was taken as input, and the same one without.

E columns of encoded metadata, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from timm.models.vision_transformer import Block
from torch import nn
from torch.nn import functional as F

from lulc_utils.pseudo_labels.batches import as_examples
from lulc_utils.pseudo_labels.settings import INJECTIONS, Settings
from lulc_utils.pseudo_labels.views import bandwise
from lulc_utils.training import own_randomness


class Embedding(nn.Module):
    """Encoded metadata [B, E] -> [B, D]: a two-layer MLP in which every unknown encoding has a learned vector.

    widths   columns of each encoding, in order; a row's encoding is unknown when its columns are NaN

    With all known this is the MLP E -> D -> D of Bernhard et al. 2024, its first layer written as a sum over
    encodings.
    """

    def __init__(self, widths: Sequence[int], dim: int) -> None:
        super().__init__()
        self.widths = tuple(w for w in widths if w)
        self.known = nn.ModuleList(nn.Linear(width, dim) for width in self.widths)
        self.unknown = nn.Parameter(torch.randn(len(self.widths), dim))
        self.out = nn.Linear(dim, dim)

    def forward(self, meta: torch.Tensor) -> torch.Tensor:
        """[B, E] -> [B, D]; ValueError when the number of columns does not fit."""
        if meta.ndim != 2 or meta.shape[1] != sum(self.widths):
            raise ValueError(
                f"The metadata has shape {tuple(meta.shape)}, but this network takes {sum(self.widths)} columns; "
                "encode it with the encodings that the network was made for."
            )
        hidden = 0
        for part, linear, unknown in zip(meta.split(self.widths, 1), self.known, self.unknown, strict=True):
            missing = part.isnan().any(1, keepdim=True)  # [B, 1]
            # NaN must be replaced before the product: hidden by `where` alone, it would still reach the gradient
            hidden = hidden + torch.where(missing, unknown, linear(part.masked_fill(missing, 0)))
        return self.out(F.gelu(hidden))


class MetadataTransformer(nn.Module):
    """A small transformer: images or series, and metadata or none, -> (logits [B, K], meta feature [B, D]).

    shape      of one example: (bands, height, width) cut into squares of `patch` pixels; (times, bands), one token
               for each time; or (numbers,), one token in all
    widths     columns of each encoding of the metadata; () for a network that cannot be given any
    injection  how metadata enters. "token": as one more token next to CLS and the patches; "late": joined to CLS
               after the last block; "film": as a scale and shift of all tokens before every block; "none": not at all

    A network without metadata has the same injection, fed by the learned vector `empty`, so that teacher and student
    have features of one kind: the last token's output, the joint vector, or (film, none) CLS. The buffers `mean` and
    `std` standardize the input; `standardize` sets them. timm's blocks, layer norm first.
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
    ) -> None:
        super().__init__()
        if injection not in INJECTIONS:
            raise ValueError(f"There is no injection {injection!r}; choose one of {', '.join(INJECTIONS)}.")
        if injection == "none" and sum(widths):
            raise ValueError("A network with injection 'none' cannot take metadata; choose token, late or film.")
        self.shape, self.classes, self.injection, self.patch = tuple(shape), classes, injection, patch
        tokens, numbers = token_grid(self.shape, patch)
        bands = self.shape[0] if len(shape) == 3 else self.shape[-1]
        self.register_buffer("mean", torch.zeros(bands))
        self.register_buffer("std", torch.ones(bands))
        self.embed = nn.Linear(numbers, dim)
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
        self.meta = Embedding(widths, dim) if sum(widths) else None  # last: other draws stay the same without it

    def forward(self, x: torch.Tensor, meta: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """x [B, *shape], meta [B, E] with NaN for unknown; ValueError when one of them is missing or does not fit."""
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"The network was made for examples of shape {self.shape}, not {tuple(x.shape[1:])}.")
        injected = self._metadata(meta, len(x))  # [B, D]
        x = self.embed(self.tokens(x)) + self.positions  # [B, n, D]
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1)  # [B, 1 + n, D]
        if self.injection == "token":
            x = torch.cat([x, injected.unsqueeze(1)], 1)  # [B, 1 + n + 1, D]
        if self.injection == "film":
            scale, shift = self.film(injected).view(len(x), 1, 2, len(self.blocks), -1).unbind(2)  # [B, 1, depth, D]
        for i, block in enumerate(self.blocks):
            if self.injection == "film":
                x = x * (1 + scale[:, :, i]) + shift[:, :, i]
            x = block(x)
        x = self.norm(x)
        cls = feature = x[:, 0]
        if self.injection == "token":
            feature = x[:, -1]
        if self.injection == "late":
            cls = feature = F.gelu(self.join(torch.cat([cls, injected], 1)))
        return self.head(cls), feature

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Standardized tokens [B, n, numbers of one] of x [B, *shape]."""
        x = (x - bandwise(self.mean, self.shape)) / bandwise(self.std, self.shape)
        if len(self.shape) < 3:
            return x.view(len(x), -1, self.shape[-1])
        side, (bands, height, width) = self.patch, self.shape  # like F.unfold, but much faster
        x = x.view(len(x), bands, height // side, side, width // side, side)
        return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)  # [B, h w, C side side]

    def standardize(self, x: torch.Tensor) -> MetadataTransformer:
        """Take mean and standard deviation of every band from x [N, *shape]; returns the network itself."""
        band_axis = 1 if x.ndim == 4 else x.ndim - 1
        std, mean = torch.std_mean(x, [axis for axis in range(x.ndim) if axis != band_axis])
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(1e-6))
        return self

    def _metadata(self, meta: torch.Tensor | None, count: int) -> torch.Tensor | None:
        """The injected vector [B, D]: `empty`, plus the embedding of the metadata, if any."""
        if self.meta is None:
            if meta is not None:
                raise ValueError("This network takes no metadata; leave meta out.")
            return None if self.injection == "none" else self.empty.expand(count, -1)
        if meta is None:
            raise ValueError("This network takes metadata; pass it, with NaN (metadata.unknown) where it is unknown.")
        if len(meta) != count:
            raise ValueError(f"There are {count} images but {len(meta)} rows of metadata.")
        return self.empty + self.meta(meta)


def token_grid(shape: tuple[int, ...], patch: int) -> tuple[int, int]:
    """(how many tokens an example of this shape has, how many numbers each of them holds)."""
    match shape:
        case (numbers,):
            return 1, numbers
        case (times, bands):
            return times, bands
        case (bands, height, width):
            if height % patch or width % patch:
                raise ValueError(f"Images of {height} x {width} pixels cannot be cut into patches of {patch}.")
            return height * width // patch**2, bands * patch**2
    raise ValueError(f"One example has shape {shape}; give (bands, height, width), (times, bands) or (numbers,).")


def start_networks(
    x: torch.Tensor, classes: int, settings: Settings
) -> tuple[MetadataTransformer, MetadataTransformer | None]:
    """Teacher and student (or None) before training, standardized by x [N, *shape]."""
    make = partial(
        MetadataTransformer,
        x.shape[1:],
        classes,
        injection=settings.injection,
        patch=settings.patch,
        dim=settings.dim,
        depth=settings.depth,
        heads=settings.heads,
    )
    with own_randomness(settings.seed):
        teacher = make(settings.widths).standardize(x)
        student = make() if settings.has_student else None
    if student is not None:
        # Both start from one network, as from one pre-training. Without metadata they would then stay identical.
        same = student.state_dict() if settings.sees_metadata else ("mean", "std")
        student.load_state_dict({k: v for k, v in teacher.state_dict().items() if k in same}, strict=False)
    return teacher, student


@torch.no_grad()
def predict(
    model: MetadataTransformer,
    x: np.ndarray | torch.Tensor,
    meta: torch.Tensor | None = None,
    batch_size: int = 512,
) -> np.ndarray:
    """Probabilities of the classes, float32 [N, K], of x [N, *shape].

    meta   [N, E] of `metadata.encode` (or `metadata.unknown`) for a network that takes it, else None; ValueError
           when it is missing or not wanted.
    """
    device = model.mean.device
    x = as_examples(x, "given")
    if meta is not None and len(meta) != len(x):
        raise ValueError(f"There are {len(x)} images but {len(meta)} rows of metadata.")
    probs = []
    for i in range(0, len(x), batch_size):
        rows = None if meta is None else meta[i : i + batch_size].to(device)
        probs.append(model(x[i : i + batch_size].to(device), rows)[0].softmax(1).cpu())
    return torch.cat(probs).numpy()

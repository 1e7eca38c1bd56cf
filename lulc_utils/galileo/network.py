"""The Galileo encoder (Tseng et al. 2025, arXiv 2502.09356), for inference: bands that were measured become tokens.

A patch of p x p pixels on one date gives one token for each group of bands. A quarter of a token's numbers says which
group it is, a quarter which date of the series, a quarter which month, a quarter where the patch lies; to these the
measurement is added. The place on Earth is one token more. Then every token asks all others, four times. Whatever was
not measured has no token: nothing stands in for it. B images, T dates, [h, w] patches, G groups, D = 128.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

GROUPS = {
    "S1": ("VV", "VH"),
    "S2_RGB": ("B02", "B03", "B04"),
    "S2_Red_Edge": ("B05", "B06", "B07"),
    "S2_NIR_10m": ("B08",),
    "S2_NIR_20m": ("B8A",),
    "S2_SWIR": ("B11", "B12"),
    "NDVI": ("NDVI",),
}  # of radar, of Sentinel-2, and the index of vegetation; the names are those of the weights
BANDS = tuple(band for bands in GROUPS.values() for band in bands)
BASE_PIXELS, BASE_METERS = 8, 10  # the weights are for patches of 8 x 8 pixels; places count in units of 10 m


class Block(nn.Module):
    """One layer of a transformer: tokens [B, N, D] -> the same shape."""

    def __init__(self, dim: int, heads: int, ratio: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.ModuleDict({name: nn.Linear(dim, dim) for name in ("q", "k", "v", "proj")})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, dim * ratio), "fc2": nn.Linear(dim * ratio, dim)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Every token takes from those that it finds similar; then each is changed by itself."""
        y = self.norm1(x)
        q, k, v = (self.attn[name](y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in "qkv")
        taken = F.scaled_dot_product_attention(q, k, v)  # [B, heads, N, D / heads]
        x = x + self.attn["proj"](taken.transpose(1, 2).flatten(2))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class Encoder(nn.Module):
    """Series of measurements -> a vector per patch; see `forward`. The names of its weights are the published ones."""

    def __init__(self, dim: int = 128, depth: int = 4, heads: int = 8, ratio: int = 4, longest: int = 24):
        super().__init__()
        self.dim, self.longest, quarter = dim, longest, dim // 4
        self.space_time_embed = nn.ModuleDict(
            {g: nn.ModuleDict({"proj": nn.Conv2d(len(b), dim, BASE_PIXELS, BASE_PIXELS)}) for g, b in GROUPS.items()}
        )
        self.static_embed = nn.ModuleDict({"location": nn.Linear(3, dim)})
        self.s_t_channel_embed = nn.Parameter(torch.zeros(len(GROUPS), quarter))
        self.st_channel_embed = nn.Parameter(torch.zeros(4, quarter))  # the second is that of the place
        self.blocks = nn.ModuleList(Block(dim, heads, ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.register_buffer("pos_embed", waves(torch.arange(longest), quarter), persistent=False)
        self.register_buffer("month_embed", months_of_the_year(quarter), persistent=False)

    def forward(
        self,
        x: torch.Tensor,
        months: torch.Tensor | None = None,
        location: torch.Tensor | None = None,
        *,
        groups: tuple[str, ...] = tuple(GROUPS)[1:],
        patch_size: int = 4,
        resolution: float = 10,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [B, h, w, T, G, D] of the groups given, and their mean over a patch [B, h, w, D].

        x           [B, H, W, T, 13] normalized measurements in the order of BANDS
        months      [B, T] 0..11; None: not known, and the tokens do not say
        location    [B, 3] on the unit sphere; None: not known, and there is no such token; counted in the mean
        groups      those that were measured; bands of others are never read
        patch_size  pixels along a side; H and W are multiples of it
        resolution  meters per pixel

        ValueError when sides, dates or groups do not fit.
        """
        self._check(x, groups, patch_size)
        tokens = torch.stack([self._embedded(x, group, patch_size) for group in groups], 4)  # [B, h, w, T, G, D]
        tokens = tokens + self._encoding(tokens, months, groups, patch_size * resolution)
        shape = tokens.shape
        sequence = tokens.flatten(1, 4)  # [B, N, D]
        if location is not None:
            place = self.static_embed["location"](location)[:, None]
            sequence = torch.cat([sequence, place + self._first_quarter(self.st_channel_embed[1])], 1)
        for block in self.blocks:
            sequence = block(sequence)
        sequence = self.norm(sequence)
        tokens = sequence[:, : shape[1:5].numel()].view(shape)
        total, count = tokens.sum((3, 4)), shape[3] * shape[4]
        if location is not None:
            total, count = total + sequence[:, -1, None, None], count + 1
        return tokens, total / count

    def _check(self, x: torch.Tensor, groups: tuple[str, ...], patch_size: int) -> None:
        if x.ndim != 5 or x.shape[-1] != len(BANDS):
            raise ValueError(f"Measurements must be [images, rows, cols, dates, {len(BANDS)}], not {tuple(x.shape)}.")
        if unknown := set(groups) - set(GROUPS):
            raise ValueError(f"There are no bands called {sorted(unknown)[0]}; there are {', '.join(GROUPS)}.")
        if not groups:
            raise ValueError("Galileo needs at least one group of bands.")
        if not 1 <= patch_size <= BASE_PIXELS or x.shape[1] % patch_size or x.shape[2] % patch_size:
            raise ValueError(
                f"Patches of {patch_size} pixels do not fill {x.shape[1]} x {x.shape[2]}; a patch has 1 to "
                f"{BASE_PIXELS} pixels along a side, and the sides are multiples of it."
            )
        if x.shape[3] > self.longest:
            raise ValueError(f"There are {x.shape[3]} dates; Galileo knows at most {self.longest}.")

    def _embedded(self, x: torch.Tensor, group: str, patch_size: int) -> torch.Tensor:
        """What the bands of one group say: [B, h, w, T, D]."""
        bands = x[..., [BANDS.index(band) for band in GROUPS[group]]]
        images = bands.permute(0, 3, 4, 1, 2).flatten(0, 1)  # [B T, bands, H, W]
        learned = self.space_time_embed[group]["proj"]
        patches = F.conv2d(images, kernels(learned.weight, patch_size), learned.bias, stride=patch_size)
        return patches.unflatten(0, (x.shape[0], x.shape[3])).permute(0, 3, 4, 1, 2)

    def _encoding(
        self, tokens: torch.Tensor, months: torch.Tensor | None, groups: tuple[str, ...], meters: float
    ) -> torch.Tensor:
        """What a token says besides its measurement: group, date, month and place in the image."""
        batch, h, w, dates, _, _ = tokens.shape
        number = [list(GROUPS).index(group) for group in groups]
        group = self.s_t_channel_embed[number]  # [G, D / 4]
        date = self.pos_embed[:dates, None]  # [T, 1, D / 4]
        month = torch.zeros_like(date)[None] if months is None else self.month_embed[months][:, :, None]
        place = self._places(h, w, meters / BASE_METERS).to(tokens)[:, :, None, None]  # [h, w, 1, 1, D / 4]
        parts = (group, date, month[:, None, None], place)
        return torch.cat([part.expand(batch, h, w, dates, len(groups), -1) for part in parts], -1)

    def _places(self, h: int, w: int, unit: float) -> torch.Tensor:
        """Waves along columns and rows, [h, w, D / 4]."""
        cols, rows = (waves(torch.arange(n) * unit, self.dim // 8) for n in (w, h))
        return torch.cat([cols.expand(h, -1, -1), rows[:, None].expand(-1, w, -1)], -1)

    def _first_quarter(self, what: torch.Tensor) -> torch.Tensor:
        return F.pad(what, (0, self.dim - len(what)))


def kernels(learned: torch.Tensor, size: int) -> torch.Tensor:
    """The kernels [D, bands, size, size] that see in a small patch what `learned` [D, bands, 8, 8] would see enlarged.

    Shrinking an 8 x 8 patch is linear, a matrix; its pseudo-inverse takes the kernels along (FlexiViT, Beyer et al.
    2023, arXiv 2212.08013).
    """
    side = learned.shape[-1]
    if size == side:
        return learned
    each_pixel = torch.eye(side * side).view(-1, 1, side, side)
    shrink = F.interpolate(each_pixel, (size, size), mode="bicubic", antialias=True).flatten(1)  # [64, size size]
    return (learned.flatten(2) @ torch.linalg.pinv(shrink).T.to(learned)).unflatten(-1, (size, size))


def waves(where: torch.Tensor, dim: int) -> torch.Tensor:
    """Sines, then cosines, of positions [n] at dim / 2 wavelengths from 2 pi to almost 20 pi: [n, dim]."""
    rate = 10_000.0 ** -(torch.arange(dim // 2).double() / (2 * dim))
    phase = where.double()[:, None] * rate
    return torch.cat([phase.sin(), phase.cos()], -1).float()


def months_of_the_year(dim: int) -> torch.Tensor:
    """The position of each month on the circle of the year: its sine dim / 2 times, then its cosine, [12, dim]."""
    angle = torch.arange(12) * (2 * math.pi / 12)
    return torch.cat([angle.sin()[:, None].expand(-1, dim // 2), angle.cos()[:, None].expand(-1, dim // 2)], -1)

"""Two views of every patch: where they are cut, how they are turned, and how their radiometry differs.

How pairs are cut and sampled is OURS; the paper leaves it open. B patches per batch, C bands, s pixels across a crop,
n points per patch. Points are (col, row) in pixels; the center of the first pixel is (0, 0).
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
from torch.nn import functional as F


class Jitter(NamedTuple):
    """How much the radiometry of two views differs, as sensors do, on top of the effects of date and haze.

    brightness, gain   of all bands together, of each band: factors 1 +- x
    offset, noise      in standard deviations of the band
    drop               chance that a band is replaced by its mean

    Doubling the defaults costs a lot: in land cover, small differences of reflectance are the evidence.
    """

    brightness: float = 0.05
    gain: float = 0.02
    offset: float = 0.05
    noise: float = 0.05
    drop: float = 0.0


JITTER = Jitter()
STILL = Jitter(0.0, 0.0, 0.0, 0.0, 0.0)


class View(NamedTuple):
    """One crop of every patch of a batch: pixels [B, C, s, s] and map [B, 2, 3], from its points to the patch's."""

    pixels: torch.Tensor
    map: torch.Tensor


class Points(NamedTuple):
    """The same n places of every patch, [B, n, 2] each: in view a, in view b, and in the patch."""

    a: torch.Tensor
    b: torch.Tensor
    ground: torch.Tensor


def two_views(
    pixels: torch.Tensor,
    crop: int,
    generator: torch.Generator,
    *,
    other: torch.Tensor | None = None,
    overlap: float = 0.25,
    zoom: tuple[float, float] = (1.0, 1.0),
    turns: bool = True,
    jitter: Jitter = JITTER,
    std: torch.Tensor | None = None,
) -> tuple[View, View]:
    """Two overlapping crops of every patch, each turned by quarter turns, flipped and jittered independently.

    pixels    [B, C, H, W] reflectance
    other     [B, C, H, W]: the same ground on another date, which the second view then shows
    overlap   smallest share of a crop's area that both show (of the smaller crop, when they are zoomed)
    zoom      patch pixels per crop pixel, drawn between these two for every view; (1, 1): pixels stay as they are
    turns     False: neither turned nor flipped
    jitter    how much the radiometry changes; see JITTER
    std       [C] standard deviation of every band, the unit of offset and noise; ones when None

    ValueError when the crop does not fit into the patch.
    """
    batch, bands, height, width = pixels.shape
    if other is not None and other.shape != pixels.shape:
        raise ValueError(f"The two dates must have the same shape, not {tuple(pixels.shape)} and {tuple(other.shape)}.")
    if crop * max(zoom) > min(height, width):
        raise ValueError(
            f"A crop of {crop} pixels at zoom {max(zoom)} does not fit into patches of {height} x {width}; "
            "use larger patches or a smaller crop."
        )
    draw, room = partial(torch.rand, generator=generator), torch.tensor([width, height])
    zooms = zoom[0] * (zoom[1] / zoom[0]) ** draw(2, batch, 1)
    side = crop * zooms  # [2, B, 1] patch pixels
    first = draw(batch, 2) * (room - side[0])  # top left corner of view a, in patch pixels
    reach = (1 - math.sqrt(overlap)) * side.amin(0)  # how far apart the centers may be, along either axis
    second = first + (side[0] - side[1]) / 2 + (2 * draw(batch, 2) - 1) * reach
    second = second.clamp_min(0).minimum(room - side[1])  # being pushed inwards brings them closer, never apart
    views = []
    for source, corner, scale in ((pixels, first, zooms[0]), (pixels if other is None else other, second, zooms[1])):
        corner = corner.floor() if tuple(zoom) == (1.0, 1.0) else corner
        turn = torch.randint(8, (batch,), generator=generator) * int(turns)
        place = crop_map(corner, scale, turn, crop)
        views.append(View(change(resample(source, place, crop), generator, jitter, std), place))
    return views[0], views[1]


def crop_map(corner: torch.Tensor, zoom: torch.Tensor, turn: torch.Tensor, size: int) -> torch.Tensor:
    """Affine maps [B, 2, 3] from points of a crop to points of its patch.

    corner [B, 2] the crop's top left edge in patch pixels, zoom [B, 1] patch pixels per crop pixel, turn [B] 0..7:
    turn % 4 quarter turns, mirrored from 4 on.
    """
    angle = turn % 4
    cos, sin = torch.tensor([1.0, 0.0, -1.0, 0.0])[angle], torch.tensor([0.0, 1.0, 0.0, -1.0])[angle]
    mirror = torch.where(turn >= 4, -1.0, 1.0)
    linear = torch.stack([torch.stack([cos * mirror, -sin], -1), torch.stack([sin * mirror, cos], -1)], -2)  # [B, 2, 2]
    middle = torch.full((2,), (size - 1) / 2)
    shift = corner - 0.5 + zoom * (middle + 0.5 - linear @ middle)  # turned about the crop's own center
    return torch.cat([zoom.unsqueeze(-1) * linear, shift.unsqueeze(-1)], -1)


def to_patch(points: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Points [B, n, 2] of crops -> points [B, n, 2] of their patches; place [B, 2, 3]."""
    return points @ place[:, :, :2].mT + place[:, None, :, 2]


def to_crop(points: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Points [B, n, 2] of patches -> points [B, n, 2] of the crops; the inverse of `to_patch`."""
    return (points - place[:, None, :, 2]) @ torch.linalg.inv(place[:, :, :2]).mT


def resample(pixels: torch.Tensor, place: torch.Tensor, size: int, mode: str = "bilinear") -> torch.Tensor:
    """Crops [B, C, size, size] of patches [B, C, H, W] at the places [B, 2, 3]."""
    ground = to_patch(pixel_grid(size).to(place).expand(len(place), -1, -1), place).view(-1, size, size, 2)
    return _sample(pixels, ground, mode)


def at_points(features: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Features [B, D, H, W] at points [B, n, 2], bilinear: [B n, D], one patch after the other."""
    return _sample(features, points.unsqueeze(2)).squeeze(-1).mT.flatten(0, 1)


def matching_points(a: View, b: View, n: int, generator: torch.Generator) -> Points:
    """n places of every patch that both views show, drawn without replacement from the pixels of view a.

    ValueError when the views share fewer than n pixels.
    """
    size = a.pixels.shape[-1]
    candidates = pixel_grid(size).expand(len(a.map), -1, -1)  # [B, s s, 2]
    ground = to_patch(candidates, a.map)
    in_b = to_crop(ground, b.map)
    shared = ((in_b > -1e-3) & (in_b < size - 1 + 1e-3)).all(-1)  # [B, s s]
    if int(shared.sum(1).min()) < n:
        raise ValueError(
            f"Two views share only {int(shared.sum(1).min())} pixels, fewer than {n} points; "
            "take fewer points, larger crops or more overlap."
        )
    lots = torch.rand(shared.shape, generator=generator)
    chosen = ((1 + lots) * shared).topk(n, 1).indices.unsqueeze(-1).expand(-1, -1, 2)  # [B, n, 2]
    return Points(*(x.gather(1, chosen) for x in (candidates, in_b, ground)))


def change(
    x: torch.Tensor, generator: torch.Generator, jitter: Jitter, std: torch.Tensor | None = None
) -> torch.Tensor:
    """Reflectance [B, C, s, s] under another sun, haze and sensor; `jitter` like JITTER, std [C] its unit."""
    batch, bands = x.shape[:2]

    def draw(*shape: int) -> torch.Tensor:
        return 2 * torch.rand(*shape, 1, 1, generator=generator) - 1

    unit = torch.ones(bands, 1, 1) if std is None else std.cpu().view(-1, 1, 1)
    factor = (1 + jitter.brightness * draw(batch, 1)) * (1 + jitter.gain * draw(batch, bands))
    offset, amount = jitter.offset * draw(batch, bands), jitter.noise * draw(batch, 1).abs()
    dropped = draw(batch, bands) / 2 + 0.5 < jitter.drop
    x = x * factor + offset * unit
    if jitter.noise:
        x = x + torch.randn(x.shape, generator=generator) * (amount * unit)
    return torch.where(dropped, x.mean((-2, -1), keepdim=True), x)


def pixel_grid(size: int) -> torch.Tensor:
    """All pixels of a crop as points, [s s, 2], row by row."""
    rows, cols = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return torch.stack([cols, rows], -1).flatten(0, 1)


def _sample(pixels: torch.Tensor, points: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    """[B, C, H, W] at points [B, h, w, 2] -> [B, C, h, w]."""
    height, width = pixels.shape[-2:]
    scaled = 2 * points / torch.tensor([width - 1, height - 1]).to(points) - 1
    return F.grid_sample(pixels, scaled, mode=mode, padding_mode="border", align_corners=True)

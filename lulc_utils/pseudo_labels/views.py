"""Weak and strong views of an image, series or vector: what may change without changing the land cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch


class Strength(NamedTuple):
    """How much a strong view changes; all 0 leaves only the weak view.

    gain        standard deviation of a factor for all bands together (light)
    band_gain   the same for each band separately (calibration)
    offset      standard deviation of what is added to a band (haze), as a share of the band's own
    noise       the same for each value separately
    drop        chance that a band is hidden
    cutout      largest side of the hidden square, as a share of the image's
    """

    gain: float = 0.1
    band_gain: float = 0.05
    offset: float = 0.2
    noise: float = 0.2
    drop: float = 0.1
    cutout: float = 0.5


def bandwise(values: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Values [C], one per band, shaped to broadcast with examples of `shape`: images [C, H, W], else bands last."""
    once = (1,) * (len(shape) - 1)
    return values.view(-1, *once) if len(shape) == 3 else values.view(*once, -1)


def weak(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images [B, C, H, W], each flipped and turned by quarter turns at random; series and vectors unchanged.

    Seen from above, the ground has no up. Oblong images are only flipped and turned upside down.
    """
    if x.ndim != 4:
        return x
    turn = torch.randint(8, (len(x),), generator=generator).to(x.device)
    if x.shape[-1] != x.shape[-2]:
        turn = turn - turn % 2  # only half turns keep the shape
    result = x.clone()
    for t in range(1, 8):  # quarters, and from 4 on flipped too
        if (chosen := turn == t).any():
            turned = torch.rot90(x[chosen], t % 4, (-2, -1))
            result[chosen] = turned.flip(-1) if t >= 4 else turned
    return result


def strong(
    x: torch.Tensor,
    generator: torch.Generator,
    mean: torch.Tensor,
    std: torch.Tensor,
    strength: Strength = Strength(),
) -> torch.Tensor:
    """`weak`, and then what light, air and sensor do to spectra: other values, the same land cover. Shape of x.

    mean, std   [C] of every band; hidden bands and squares get the mean, which says nothing

    A band is dropped at all times of a series; the square of a series is a run of times; in a vector each number is
    its own band. No change of hue as for photographs: the shape of the spectrum is the evidence.
    """
    count, shape = len(x), x.shape[1:]
    mean, std = bandwise(mean, shape), bandwise(std, shape)
    band, example = mean.shape, (1,) * len(shape)  # one number for each band, one for the whole example

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(count, *size, generator=generator).to(x.device)

    def uniform(*size: int) -> torch.Tensor:
        return torch.rand(count, *size, generator=generator).to(x.device)

    x = weak(x, generator)
    # light and calibration multiply, haze and the noise of the sensor add
    x = x * (1 + strength.gain * normal(*example) + strength.band_gain * normal(*band))
    x = x + std * (strength.offset * normal(*band) + strength.noise * normal(*shape))
    # whole bands are hidden, and a square in all bands
    hidden = uniform(*band) < strength.drop
    if len(shape) > 1:
        sides = shape[1:] if len(shape) == 3 else shape[:1]
        square = _square(sides, uniform(len(sides)), uniform(1) * strength.cutout)
        hidden = hidden | square.unsqueeze(1 if len(shape) == 3 else -1)
    return torch.where(hidden, mean.expand_as(x), x)


def _square(sides: Sequence[int], corner: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Mask [B, H, W] of a square, or [B, T] of a run: corner [B, 1 or 2] and size [B, 1] are shares of a side."""
    within = []
    for side, start in zip(sides, corner.unbind(1), strict=True):
        length = (size[:, 0] * side).round()
        first = (start * (side - length + 1)).floor()
        steps = torch.arange(side, device=corner.device)
        within.append((steps >= first[:, None]) & (steps < (first + length)[:, None]))  # [B, side]
    return within[0] if len(sides) == 1 else within[0][:, :, None] & within[1][:, None, :]

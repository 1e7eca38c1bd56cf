"""Views of the ground for DINO: cut, zoomed, turned, mirrored and colored for a whole batch at once, on any device.

Every draw comes from one generator on the CPU, so that a batch is the same whatever device makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from lulc_utils.dino.images import Images, on_device

# How much colors vary between views: as sensors and weather do, or as the recipes for natural photographs have it.
MILD = {"brightness": 0.3, "contrast": 0.25, "saturation": 0.25, "channel": 0.1, "blur": 0.3, "gray": 0.0}
STRONG = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "channel": 0.2, "blur": 0.5, "gray": 0.2}
JITTERS = {"mild": MILD, "strong": STRONG}


class Crops(NamedTuple):
    """What views are like; sides in pixels, `patch` that of the network's patches.

    crop, n_local, local_crop   side of the two global views; number and side of the local ones
    zoom          source pixels per pixel of a view: a meter must stay about a meter, so keep it near 1
    spread        how much larger than a view the common window is, as a share: with 0.3 two views share half or more
    dates         every other view shows the same ground on another day, where there is one
    jitter        how much colors change in global views; `local_jitter` in local ones
    mask          least and greatest share of patches masked, drawn per view
    largest_grid  views pretend to be windows of images of up to this many patches a side, because maps are
                  made from larger images than one can train on
    """

    patch: int = 8
    crop: int = 80
    n_local: int = 0
    local_crop: int = 40
    zoom: tuple[float, float] = (0.7, 1.4)
    spread: float = 0.3
    dates: bool = False
    jitter: dict[str, float] = MILD
    local_jitter: dict[str, float] = MILD
    mask: tuple[float, float] = (0.1, 0.5)
    largest_grid: int = 28

    @property
    def sides(self) -> list[int]:
        """Patches along the side of every view, the global ones first."""
        return [self.crop // self.patch] * 2 + [self.local_crop // self.patch] * self.n_local

    @property
    def window(self) -> int:
        """Patches along the side of the window that holds all views of a place."""
        return self.sides[0] + max(1, round(self.spread * self.sides[0]))


class View(NamedTuple):
    """One view of every image of a batch.

    pixels      [B, 3, s, s] in 0..1
    cells       [B, h, h] which cell of the common window every patch shows (the ground, whatever the turn)
    masked      [B, h, h] bool: patches hidden from the student
    positions   [B, h * h] which place in a grid x grid position table every patch is told it has
    grid        side of that table, the same for the batch
    """

    pixels: torch.Tensor
    cells: torch.Tensor
    masked: torch.Tensor
    positions: torch.Tensor
    grid: int


class Ground(NamedTuple):
    """Where the views of a batch are cut: sources [B, 3, S, S] of one day or two, window corners, zooms.

    corners [B, 2] in source pixels, zooms [B] source pixels per pixel of a view
    """

    sources: list[torch.Tensor]
    corners: torch.Tensor
    zooms: torch.Tensor


def multi_crop(
    images: Images | Sequence[torch.Tensor],
    generator: torch.Generator,
    batch_size: int,
    crops: Crops = Crops(),
    *,
    chances: torch.Tensor | None = None,
    rows: slice = slice(None),
) -> list[View]:
    """Two global and `n_local` local views of `batch_size` random places; the global ones first.

    images    uint8 tensors [3, H, W], of any sizes, or what `on_device` made of them
    chances   [pieces] chance of each piece; equal when None
    rows      which of the batch to make (all random draws are those of the whole batch)

    Views are patch-aligned windows of one common window, then turned by quarters and flipped: both are free seen
    from above. Colors vary only as much as weather and sensors vary (`MILD`): in land cover, color is evidence.
    """
    images = images if isinstance(images, Images) else on_device(images)
    ground = _places(images, generator, batch_size, crops, chances, rows)
    views, grids = [], {}
    for number, side in enumerate(crops.sides):
        if side not in grids:  # the same for all views of one size, which a network then takes together
            grids[side] = int(torch.randint(side, max(crops.largest_grid, side) + 1, (), generator=generator))
        views.append(_view(ground, number, grids[side], generator, batch_size, crops, rows))
    return views


def _places(
    images: Images,
    generator: torch.Generator,
    batch_size: int,
    crops: Crops,
    chances: torch.Tensor | None,
    rows: slice,
) -> Ground:
    """A piece, a scale and a corner of the window for every row of the batch."""
    if chances is None:
        chances = torch.ones(len(images.pixels))
    chosen = torch.multinomial(chances, batch_size, replacement=True, generator=generator)
    zooms = crops.zoom[0] * (crops.zoom[1] / crops.zoom[0]) ** torch.rand(batch_size, generator=generator)
    window, sizes = crops.window * crops.patch, images.sizes[chosen]
    zooms = zooms.minimum(sizes.amin(1) / window)  # the window must fit
    free = sizes - (zooms * window).unsqueeze(1)  # [B, 2] source pixels
    corners = torch.rand(batch_size, 2, generator=generator) * (free + 1)
    corners = corners.floor().minimum(free.clamp_min(0))
    days = [chosen]
    if crops.dates:
        day = torch.rand(batch_size, generator=generator) * images.others.shape[1]
        days.append(images.others[chosen, day.long()])
    device = images.pixels.device
    sources = [_softened(images.pixels[ids[rows].to(device)], zooms[rows]) for ids in days]
    return Ground(sources, corners[rows].to(device), zooms[rows].to(device))


def _view(
    ground: Ground,
    number: int,
    grid: int,
    generator: torch.Generator,
    batch_size: int,
    crops: Crops,
    rows: slice,
) -> View:
    """View `number` of every place: which part of the window, how turned, colored and masked."""
    device, side = ground.corners.device, crops.sides[number]

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(batch_size, *shape, generator=generator)[rows].to(device, non_blocking=True)

    first = (draw(2) * (crops.window - side + 1)).long()  # [B, 2] patches
    turn = (draw() * 8).long()
    place, color, hidden = draw(2), draw(8), draw(side, side)
    masked = hidden < crops.mask[0] + (crops.mask[1] - crops.mask[0]) * draw(1, 1)
    source = ground.sources[number % len(ground.sources)]
    pixels = _sampled(source, ground.corners, ground.zooms, first * crops.patch, turn, side * crops.patch)
    cells = first.view(-1, 2, 1, 1) + _turned_places(side, turn)  # [B, 2, h, h]
    pixels = _jittered(pixels, color, crops.jitter if number < 2 else crops.local_jitter)
    return View(pixels, cells[:, 0] * crops.window + cells[:, 1], masked, _windows(grid, side, place), grid)


def joined(views: Sequence[View]) -> View:
    """Views of one size as one, one after the other along the batch."""
    parts = zip(*(view[:4] for view in views), strict=True)
    return View(*(torch.cat(part) for part in parts), views[0].grid)


def _softened(pixels: torch.Tensor, zoom: torch.Tensor) -> torch.Tensor:
    """uint8 -> 0..1 [B, 3, S, S], blurred where it will be made smaller, so that fine patterns do not alias."""
    x = pixels.float() / 255
    weight = ((zoom - 1) / 4).clamp(0, 0.25).view(-1, 1, 1, 1)
    if weight.any():  # on the CPU, so that a GPU need not wait
        weight = weight.to(x.device)
        for dims in ((1, 1, 0, 0), (0, 0, 1, 1)):  # along columns, then along rows
            wide = F.pad(x, dims, mode="replicate")
            before, after = (wide[..., :-2], wide[..., 2:]) if dims[0] else (wide[..., :-2, :], wide[..., 2:, :])
            x = x + weight * (before + after - 2 * x)
    return x


def _sampled(
    source: torch.Tensor, corner: torch.Tensor, zoom: torch.Tensor, first: torch.Tensor, turn: torch.Tensor, size: int
) -> torch.Tensor:
    """[B, 3, size, size]: one `grid_sample` for the batch.

    corner [B, 2] of the window in source pixels, zoom [B], first [B, 2] pixel of the view in the window, turn [B]
    """
    inside = first.view(-1, 2, 1, 1) + _turned_places(size, turn) + 0.5  # [B, 2, s, s] pixels of the window
    at = corner.view(-1, 2, 1, 1) + zoom.view(-1, 1, 1, 1) * inside  # pixels of the source
    grid = (at * (2 / source.shape[-1]) - 1).flip(1).movedim(1, -1)  # x before y, -1..1
    return F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _turned_places(size: int, turn: torch.Tensor) -> torch.Tensor:
    """[B, 2, size, size]: row and column that lie at every place after quarter turns (turn % 4), mirrored from 4 on."""
    index = torch.arange(size * size, device=turn.device).view(size, size)
    turns = [torch.rot90(index, t % 4) for t in range(8)]
    table = torch.stack([t.flip(-1) if i >= 4 else t for i, t in enumerate(turns)])[turn]  # [B, size, size]
    return torch.stack([table // size, table % size], 1)


def _windows(whole: int, size: int, corner: torch.Tensor) -> torch.Tensor:
    """Flat cell numbers [B, size * size] of a size x size window in a whole x whole grid; corner in 0..1, [B, 2]."""
    first = (corner * (whole - size + 1)).long()  # [B, 2]
    steps = torch.arange(size, device=corner.device)
    cells = (first[:, :1, None] + steps[:, None]) * whole + first[:, 1:, None] + steps  # [B, size, size]
    return cells.flatten(1)


def _jittered(x: torch.Tensor, u: torch.Tensor, jitter: dict[str, float]) -> torch.Tensor:
    """Colors [B, 3, s, s] changed by factors near 1; u [B, 8] uniform in 0..1 decides how."""
    factor = 2 * u[:, :, None, None] - 1  # [B, 8, 1, 1] in -1..1
    x = x * (1 + jitter["brightness"] * factor[:, :1])
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + jitter["contrast"] * factor[:, 1:2]) + mean
    gray = x.mean(1, keepdim=True)
    strength = (1 + jitter["saturation"] * factor[:, 2:3]) * (u[:, 3, None, None, None] >= jitter["gray"])
    x = ((x - gray) * strength + gray) * (1 + jitter["channel"] * factor[:, 4:7])
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return torch.where(u[:, 7, None, None, None] < jitter["blur"], soft, x).clamp(0, 1)

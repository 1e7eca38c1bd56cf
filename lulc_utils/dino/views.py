"""Views of the ground for DINO: cut, zoomed, turned, mirrored and colored for a whole batch at once, on any device.

Every draw comes from one generator on the CPU, so that a batch is the same whatever device makes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from lulc_utils.scene import Scene

# How much colors vary between views: as sensors and weather do, or as the recipes for natural photographs have it.
MILD = {"brightness": 0.3, "contrast": 0.25, "saturation": 0.25, "channel": 0.1, "blur": 0.3, "grey": 0.0}
STRONG = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "channel": 0.2, "blur": 0.5, "grey": 0.2}
JITTERS = {"mild": MILD, "strong": STRONG}
PIECE = 256  # larger images are kept as pieces of this side, so that one tensor holds them all


class Images(NamedTuple):
    """Images on a device, ready to be cut.

    pixels      [N, 3, S, S] uint8, smaller images padded at the bottom and the right
    sizes       [N, 2] rows and columns without the padding, on the CPU
    origin      [N] which of the given images a piece is of, on the CPU
    others      [N, D] pieces that show the same ground on other days (or the piece itself), on the CPU
    """

    pixels: torch.Tensor
    sizes: torch.Tensor
    origin: torch.Tensor
    others: torch.Tensor


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


def rgb_of(scene: Scene, crop: int) -> torch.Tensor:
    """Red, green and blue of a scene, [3, H, W] uint8; ValueError when they are not there."""
    colors = ("red", "green", "blue")
    if set(colors) <= set(scene.bands):
        pixels = scene.select(*colors)
    elif len(scene.bands) == 3:
        pixels = scene.pixels
    else:
        raise ValueError(
            f"'{scene.name}' is not an RGB image: it has {len(scene.bands)} bands; keep red, green and blue."
        )
    if pixels.dtype != np.uint8:
        raise ValueError(f"'{scene.name}' holds {pixels.dtype} numbers; convert it to 8 bits per colour (uint8).")
    if min(pixels.shape[1:]) < crop:
        raise ValueError(
            f"'{scene.name}' is {scene.height} x {scene.width} pixels, too small for crops of {crop}; "
            "use larger images or a smaller crop."
        )
    return torch.from_numpy(np.ascontiguousarray(pixels))


def on_device(images: Sequence[torch.Tensor], places: Sequence[str] = (), device: str | torch.device = "cpu") -> Images:
    """uint8 images [3, H, W] of any sizes as one tensor on a device; ValueError when there are none.

    places   one name per image; images with the same name show the same ground, pixel by pixel, on several days
    """
    if not images:
        raise ValueError("There are no scenes to train on.")
    side = min(PIECE, max(max(image.shape[1:]) for image in images))
    pieces, origin, first = [], [], []
    for number, image in enumerate(images):
        first.append(len(pieces))
        for row in _starts(image.shape[1], side):
            pieces += [image[:, row : row + side, col : col + side] for col in _starts(image.shape[2], side)]
        origin += [number] * (len(pieces) - first[-1])
    sizes = torch.tensor([piece.shape[1:] for piece in pieces])
    pixels = torch.zeros(len(pieces), 3, side, side, dtype=torch.uint8)
    for room, piece in zip(pixels, pieces, strict=True):
        room[:, : piece.shape[1], : piece.shape[2]] = piece
    return Images(pixels.to(device), sizes, torch.tensor(origin), _others(origin, first, list(places)))


def _starts(whole: int, side: int) -> list[int]:
    """First pixels of evenly spaced pieces of `side` that cover `whole`, overlapping as little as they can."""
    count = -(-whole // side)
    return [round(i * max(whole - side, 0) / max(count - 1, 1)) for i in range(count)]


def _others(origin: list[int], first: list[int], places: list[str]) -> torch.Tensor:
    """[N, D]: for every piece the pieces of its place; each as often as the others, itself where there is no other."""
    names = places or [str(number) for number in range(len(first))]
    together: dict[tuple[str, int], list[int]] = {}
    for piece, number in enumerate(origin):
        together.setdefault((names[number], piece - first[number]), []).append(piece)
    rows = [[other for other in together[names[n], p - first[n]] if other != p] or [p] for p, n in enumerate(origin)]
    width = max(len(row) for row in rows)
    return torch.tensor([(row * width)[:width] for row in rows])


def multi_crop(
    images: Images | Sequence[torch.Tensor],
    generator: torch.Generator,
    batch_size: int,
    *,
    patch: int = 8,
    crop: int = 80,
    n_local: int = 0,
    local_crop: int = 40,
    zoom: tuple[float, float] = (0.7, 1.4),
    spread: float = 0.3,
    dates: bool = False,
    jitter: dict[str, float] = MILD,
    local_jitter: dict[str, float] | None = None,
    mask: tuple[float, float] = (0.1, 0.5),
    largest_grid: int = 28,
    chances: torch.Tensor | None = None,
    rows: slice = slice(None),
) -> list[View]:
    """Two global and `n_local` local views of `batch_size` random places; the global ones first.

    images        uint8 tensors [3, H, W], of any sizes, or what `on_device` made of them
    zoom          source pixels per pixel of a view: a meter must stay about a meter, so keep it near 1
    spread        how much larger than a view the common window is, as a share: 0.3 lets views overlap by half or more
    dates         every other view shows the same ground on another day, where there is one
    jitter        how much colors change; `local_jitter` in local views, if not as much
    mask          least and greatest share of patches masked, drawn per view
    largest_grid  views pretend to be windows of images of up to this many patches a side, because maps are
                  made from larger images than one can train on
    chances       [len(images)] chance of each piece; equal when None
    rows          which of the batch to make (all random draws are those of the whole batch)

    Views are patch-aligned windows of one common window, then turned by quarters and flipped: both are free seen
    from above. Colors vary only as much as weather and sensors vary (`MILD`): in land cover, color is evidence.
    """
    images = images if isinstance(images, Images) else on_device(images)
    device = images.pixels.device
    side, local = crop // patch, local_crop // patch
    window = side + max(1, round(spread * side))  # patches
    if chances is None:
        chances = torch.ones(len(images.pixels))

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    # Where: a piece, a scale and a corner of the window for every row of the batch.
    chosen = torch.multinomial(chances, batch_size, replacement=True, generator=generator)
    zooms, corners = zoom[0] * (zoom[1] / zoom[0]) ** draw(batch_size), draw(batch_size, 2)
    smallest = images.sizes[chosen].amin(1)
    zooms = zooms.minimum(smallest / (window * patch))  # the window must fit
    free = images.sizes[chosen] - (zooms * window * patch).unsqueeze(1)  # [B, 2] source pixels
    corners = (corners * (free + 1)).floor().minimum(free.clamp_min(0))
    days = [chosen]
    if dates:
        days.append(images.others[chosen, (draw(batch_size) * images.others.shape[1]).long()])
    sources = [_softened(images.pixels[ids[rows].to(device)], zooms[rows]) for ids in days]

    # What each view shows of the window: its corner and its turn; then its colors and its mask.
    views, grids = [], {}
    for number, size in enumerate([side] * 2 + [local] * n_local):
        if size not in grids:
            grids[size] = int(torch.randint(size, max(largest_grid, size) + 1, (), generator=generator))
        corner, turn, place = draw(batch_size, 2), (draw(batch_size) * 8).long(), draw(batch_size, 2)
        color, hidden = draw(batch_size, 8), draw(batch_size, size, size)
        masked = hidden < mask[0] + (mask[1] - mask[0]) * draw(batch_size, 1, 1)
        first = (corner * (window - size + 1)).long()  # [B, 2] patches
        at = [x[rows].to(device, non_blocking=True) for x in (corners, zooms, first, turn, color, masked, place)]
        pixels = _sampled(sources[number % len(sources)], at[0], at[1], at[2] * patch, at[3], size * patch)
        cells = at[2].view(-1, 2, 1, 1) + _turned_places(size, at[3])  # [B, 2, h, h]
        told = _windows(grids[size], size, at[6])
        strength = local_jitter if local_jitter and number > 1 else jitter
        cells = cells[:, 0] * window + cells[:, 1]
        views.append(View(_jitter(pixels, at[4], strength), cells, at[5], told, grids[size]))
    return views


def chance_of_pieces(images: Images, shares: Sequence[float] | None) -> torch.Tensor:
    """[N] chance of every piece, from one share per image (equal when None); ValueError for another number of them."""
    count = torch.bincount(images.origin)
    if shares is not None and len(shares) != len(count):
        raise ValueError(f"{len(count)} scenes need as many shares, not {len(shares)}.")
    each = torch.ones(len(count), dtype=torch.float64) if shares is None else torch.tensor(shares, dtype=torch.float64)
    return (each / count)[images.origin]


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


def _jitter(x: torch.Tensor, u: torch.Tensor, jitter: dict[str, float]) -> torch.Tensor:
    """Colors [B, 3, s, s] changed by factors near 1; u [B, 8] uniform in 0..1 decides how."""
    factor = 2 * u[:, :, None, None] - 1  # [B, 8, 1, 1] in -1..1
    x = x * (1 + jitter["brightness"] * factor[:, :1])
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * (1 + jitter["contrast"] * factor[:, 1:2]) + mean
    grey = x.mean(1, keepdim=True)
    strength = (1 + jitter["saturation"] * factor[:, 2:3]) * (u[:, 3, None, None, None] >= jitter["grey"])
    x = ((x - grey) * strength + grey) * (1 + jitter["channel"] * factor[:, 4:7])
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return torch.where(u[:, 7, None, None, None] < jitter["blur"], soft, x).clamp(0, 1)

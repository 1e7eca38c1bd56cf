"""Images on a device, ready to be cut: one tensor of pieces of equal size, and which of them show the same ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from lulc_utils.scene import Scene

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
        raise ValueError(f"'{scene.name}' holds {pixels.dtype} numbers; convert it to 8 bits per color (uint8).")
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


def chance_of_pieces(images: Images, shares: Sequence[float] | None) -> torch.Tensor:
    """[N] chance of every piece, from one share per image (equal when None); ValueError for another number of them."""
    count = torch.bincount(images.origin)
    if shares is not None and len(shares) != len(count):
        raise ValueError(f"{len(count)} scenes need as many shares, not {len(shares)}.")
    each = torch.ones(len(count), dtype=torch.float64) if shares is None else torch.tensor(shares, dtype=torch.float64)
    return (each / count)[images.origin]

"""From a scene's reflectance to Galileo's description of every patch: weights, normalization, windows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch.nn import functional as F

from lulc_utils import data, ground
from lulc_utils.galileo.network import BANDS, GROUPS, Encoder
from lulc_utils.scene import Scene

ALIKE = {"blue": "B02", "green": "B03", "red": "B04", "near infrared": "B8A"}
ALIKE |= {"short-wave infrared 1": "B11", "short-wave infrared 2": "B12"}  # harmonized bands, and those of Sentinel-2
SCALE = 10_000  # the statistics count reflectance in ten-thousandths
WINDOW, STEP = 12, 8  # patches: the largest image that the encoder was trained on, and how far windows move
BATCH = 4  # windows at once


@cache
def load() -> Encoder:
    """The published nano encoder; ValueError when the file holds other weights.

    Also the errors of data.galileo_nano, which checks the file's SHA-256 and fetches it where needed.
    """
    files = data.galileo_nano()
    shape = json.loads(files.config.read_text(encoding="utf8"))["model"]["encoder"]
    encoder = Encoder(
        shape["embedding_size"], shape["depth"], shape["num_heads"], shape["mlp_ratio"], shape["max_sequence_length"]
    )
    weights = torch.load(files.encoder, map_location="cpu", weights_only=True)
    wanted = encoder.state_dict()  # without the encoders of radar height, weather and maps, which no scene here has
    if absent := wanted.keys() - weights.keys():
        raise ValueError(f"{files.encoder} lacks the weights '{sorted(absent)[0]}'; these are not Galileo's.")
    encoder.load_state_dict({name: weights[name] for name in wanted})
    return encoder.requires_grad_(False).eval()


@cache
def _statistics() -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [13] of the bands."""
    numbers = json.loads(data.galileo_nano().normalization.read_text(encoding="utf8"))["13"]
    return np.array(numbers["mean"]), np.array(numbers["std"])


def measurements(pixels: np.ndarray, bands: Sequence[str]) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Reflectance [C, h, w] -> normalized measurements [h, w, 13], and the groups that were measured in full.

    bands   names as in Sentinel-2 products ("B04") or in words ("red"); others are left out. ValueError when no group
    of bands is complete.
    """
    named = {ALIKE.get(band, band): pixels[i].astype(np.float32) for i, band in enumerate(bands)}
    infrared = named.get("B08", named.get("B8A"))
    if infrared is not None and "B04" in named:
        named["NDVI"] = (infrared - named["B04"]) / np.maximum(infrared + named["B04"], 1e-4)
    groups = tuple(g for g, of in GROUPS.items() if g != "S1" and all(band in named for band in of))
    if not groups:
        raise ValueError(
            f"Galileo needs bands of Sentinel-2, such as B02 B03 B04 or blue, green and red, not {', '.join(bands)}."
        )
    x = np.zeros((*pixels.shape[1:], len(BANDS)), np.float32)
    mean, std = _statistics()
    for i, band in enumerate(BANDS):
        if band in named:
            scaled = (named[band] * SCALE - (mean[i] - 2 * std[i])) / (4 * std[i])
            x[..., i] = named[band] if band == "NDVI" else scaled
    return torch.from_numpy(x), groups


@torch.no_grad()
def describe(
    pixels: np.ndarray,
    bands: Sequence[str],
    *,
    month: int | None = None,
    lonlat: tuple[float, float] | None = None,
    patch_size: int = 4,
    meters: float = 10,
    encoder: Encoder | None = None,
) -> torch.Tensor:
    """Galileo's description of every patch of one image, [h / p, w / p, D] float32.

    pixels      [C, h, w] reflectance 0..1 without missing values; sides are filled up to whole patches
    month       1..12; None: not told
    lonlat      of the middle, degrees; None: not told
    patch_size  p, 1 to 8 pixels
    meters      per pixel
    encoder     None: the published weights, `load`

    Windows of 12 x 12 patches overlap, and a patch takes more from those in whose middle it lies.
    """
    encoder = encoder or load()
    x, groups = measurements(pixels, bands)
    short = [-n % patch_size for n in x.shape[:2]]
    x = F.pad(x.permute(2, 0, 1)[None], (0, short[1], 0, short[0]), mode="replicate")[0].permute(1, 2, 0)
    h, w = (n // patch_size for n in x.shape[:2])
    size = [min(WINDOW, n) for n in (h, w)]
    corners = [(r, c) for r in _starts(h, size[0]) for c in _starts(w, size[1])]
    weight = torch.minimum(*torch.meshgrid(_tent(size[0]), _tent(size[1]), indexing="ij"))[..., None]
    total, share = torch.zeros(h, w, encoder.dim), torch.zeros(h, w, 1)
    for first in range(0, len(corners), BATCH):
        some = corners[first : first + BATCH]
        cut = [(np.s_[r : r + size[0]], np.s_[c : c + size[1]]) for r, c in some]
        wide = [[slice(s.start * patch_size, s.stop * patch_size) for s in both] for both in cut]
        images = torch.stack([x[rows, cols] for rows, cols in wide])[:, :, :, None]  # [B, H, W, 1, 13]
        facts = _told(len(some), month, lonlat)
        _, patches = encoder(images, *facts, groups=groups, patch_size=patch_size, resolution=meters)
        for (rows, cols), patch in zip(cut, patches, strict=True):
            total[rows, cols] += weight * patch
            share[rows, cols] += weight
    return total / share


def shared_facts(scenes: Sequence[Scene]) -> dict:
    """What may be told of all scenes together, as arguments of `describe`: month, lonlat and meters.

    The month when it is the same in all; the place when all lie within a degree; the size of a pixel when all have one.
    """
    months = {scene.date and scene.date.month for scene in scenes}
    facts: dict = {"month": months.pop() if len(months) == 1 else None}
    if any(scene.crs is None or scene.transform is None for scene in scenes):
        return facts
    boxes = np.array([scene.bounds_latlon() for scene in scenes])  # [N, 4] west, south, east, north
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    if np.ptp(middles, axis=0).max() < 1:
        facts["lonlat"] = tuple(map(float, middles.mean(0)))
    sides = [ground.pixel_meters(scene.crs, scene.transform, scene.pixels.shape[1:]) for scene in scenes]
    return facts | {"meters": float(np.mean(sides))}


def _told(n: int, month: int | None, lonlat: tuple[float, float] | None) -> tuple:
    """Months [n, 1] and places [n, 3], as the encoder takes them, or None."""
    months = None if month is None else torch.full((n, 1), month - 1)
    if lonlat is None:
        return months, None
    lon, lat = np.radians(lonlat)
    place = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    return months, torch.tensor(place, dtype=torch.float32).expand(n, -1)


def _starts(n: int, size: int) -> list[int]:
    """Where windows of this size begin along a side of n patches, so that they overlap and fill it."""
    return sorted({min(start, n - size) for start in range(0, n - size + STEP, STEP)})


def _tent(n: int) -> torch.Tensor:
    """Weights that rise toward the middle of a window, [n]."""
    return 1 + torch.minimum(torch.arange(n), torch.arange(n).flip(0)).float()

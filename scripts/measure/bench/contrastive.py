"""Contrastive pre-training against the plain formulation, side by side in one run. Nothing here is a test.

Plain: every pixel that both views show is a point, and all pairwise similarities are computed. Ours: a fixed number
of points per patch. The network is the same, so the ratio says what sampling saves as crops grow; the memory is that
of the largest tensors of the loss, counted from their shapes, next to what the network needs anyway.
"""

from __future__ import annotations

import time

import torch
from rows import Row
from torch.nn import functional as F
from tqdm import tqdm

from lulc_utils import contrastive as co
from lulc_utils.contrastive import unet

BATCH, POINTS = 2, 64  # patches per step, of which the plain formulation must be able to hold all pixels
LARGEST = 2**32  # bytes of the similarity matrices; larger ones are not run but only counted


def sides(crop: int, generator: torch.Generator) -> tuple[co.View, co.View]:
    """Two views of random patches twice as large as the crop."""
    patches = torch.rand(BATCH, len(co.GROUND_BANDS), 2 * crop, 2 * crop, generator=generator)
    return co.two_views(patches, crop, generator, overlap=0.5)


def sampled(net: unet.UNet, head: co.Projection, a: co.View, b: co.View, generator: torch.Generator) -> int:
    """One step with a fixed number of points; returns the side N of the similarity matrix."""
    points = co.matching_points(a, b, POINTS, generator)
    features = net.features(torch.cat([a.pixels, b.pixels]))
    za, zb = head(co.at_points(features, torch.cat([points.a, points.b]))).chunk(2)
    co.symmetric_info_nce(za, zb, exclude=co.near_neighbors(points.ground, 4.0)).backward()
    return len(za)


def plain(net: unet.UNet, head: co.Projection, a: co.View, b: co.View) -> int:
    """One step with all shared pixels, written like the formula."""
    n = int(_shared(a, b).min())
    points = co.matching_points(a, b, n, torch.Generator().manual_seed(0))
    features = net.features(torch.cat([a.pixels, b.pixels]))
    za, zb = head(co.at_points(features, torch.cat([points.a, points.b]))).chunk(2)
    za, zb = F.normalize(za, dim=1), F.normalize(zb, dim=1)
    near = co.near_neighbors(points.ground, 4.0)
    alike = (za @ zb.T / 0.1).exp().masked_fill(near, 0.0)  # [N, N]
    loss = -(alike.diag() / alike.sum(1)).log().mean() / 2 - (alike.diag() / alike.sum(0)).log().mean() / 2
    loss.backward()
    return len(za)


def _shared(a: co.View, b: co.View) -> torch.Tensor:
    size = a.pixels.shape[-1]
    moved = co.to_crop(co.to_patch(co.pixel_grid(size).expand(len(a.map), -1, -1), a.map), b.map)
    return ((moved > -1e-3) & (moved < size - 1 + 1e-3)).all(-1).sum(1)


def matrices(n: int) -> int:
    """Bytes of the N x N tensors alive at once: logits, their gradient and exponentials (float32), the mask."""
    return n * n * (3 * 4 + 1)


def activations(net: unet.UNet, crop: int) -> int:
    """Bytes of everything that the network's forward pass keeps for the gradient of 2 * BATCH crops."""
    total = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        net.features(torch.rand(2 * BATCH, len(co.GROUND_BANDS), crop, crop))
    return total


def run(crops: tuple[int, ...] = (32, 64, 96), repeats: int = 3) -> list[Row]:
    """Time per step of the plain way relative to ours, and its memory, for every crop size; then a whole step."""
    generator, rows = torch.Generator().manual_seed(0), []
    net = co.fresh(co.GROUND_BANDS, torch.rand(4, len(co.GROUND_BANDS), 16, 16, generator=generator))
    head = co.Projection(net.dim)
    for crop in crops:
        a, b = sides(crop, generator)
        every = BATCH * int(_shared(a, b).min())
        if matrices(every) > LARGEST:
            raise ValueError(f"All pixels of crops of {crop} do not fit into memory; take smaller crops.")
        jobs = {"sampled": lambda: sampled(net, head, a, b, generator), "plain": lambda: plain(net, head, a, b)}  # noqa: B023
        taken = {name: [] for name in jobs}
        for _ in tqdm(range(repeats + 1), leave=False):  # they take turns; the first round only warms up
            for name, job in jobs.items():
                start = time.perf_counter()
                job()
                taken[name].append(time.perf_counter() - start)
        least = {name: min(times[1:]) for name, times in taken.items()}
        rows.append(
            Row(
                f"contrastive step, all pixels, crop {crop}",
                least["plain"] / least["sampled"],
                "ratio",
                f"A step with all {every} shared pixels takes this many times as long as one with {BATCH * POINTS} "
                f"points ({1 / least['sampled']:.1f} steps/s); its similarities fill {matrices(every) / 1e6:.0f} MB "
                f"instead of {matrices(BATCH * POINTS) / 1e6:.1f} MB, the network {activations(net, crop) / 1e6:.0f} "
                "MB.",
                "the time of our step",
            )
        )
    return [*rows, whole_step()]


def whole_step(batch_size: int = 16, crop: int = 32, steps: int = 20) -> Row:
    """Steps per second of `pretrain` as the chapter calls it, views and optimizer included."""
    images = torch.rand(32, len(co.GROUND_BANDS), 64, 64, generator=torch.Generator().manual_seed(0))
    co.pretrain(images, co.Pretraining(steps=2, batch_size=batch_size, crop=crop))
    start = time.perf_counter()
    co.pretrain(images, co.Pretraining(steps=steps, batch_size=batch_size, crop=crop))
    return Row(
        "contrastive pre-training",
        steps / (time.perf_counter() - start),
        "steps/s",
        f"Whole steps as chapter 3 does them, views and optimizer included ({batch_size} patches, crop {crop}).",
    )


if __name__ == "__main__":
    print(*run(), sep="\n")

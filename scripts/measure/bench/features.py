"""Speed of features next to a bare matrix product, and what the cache saves (`make bench`). Nothing here is a test."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch
from rows import Row, seconds
from torch.nn import functional as F

from lulc_utils import backbone, simulate
from lulc_utils.backbone import batches, rounding

SIZE, PRODUCT = 224, 2048  # sides of the images and of the matrices of the product


def flops(net: backbone.Backbone, patches: int) -> float:
    """Multiplications and additions in one forward pass over this many patches, matrix products only."""
    tokens, dim, depth = patches + 1, net.dim, len(net.model.blocks)
    linear = 24 * dim**2 * tokens * depth  # qkv 6, projection 2, MLP 16
    attention = 4 * tokens**2 * dim * depth
    return linear + attention + 2 * 3 * net.patch**2 * dim * patches


def numbers(precision: str, *shape: int) -> torch.Tensor:
    """Random numbers of this precision, in the form that this processor multiplies fastest."""
    x = torch.randn(*shape)
    if precision == "fp32":
        return x
    return x.bfloat16() if rounding.multiplies_bf16("cpu") else rounding.rounded(x)


def own_products(net: backbone.Backbone, precision: str, at_once: int, patches: int) -> Callable[[], None]:
    """The network's linear layers and attention alone, on random numbers: its products alone."""
    tokens, dim, depth = patches + 1, net.dim, len(net.model.blocks)
    shapes = [(3 * net.patch**2, dim), *[(dim, 3 * dim), (dim, dim), (dim, 4 * dim), (4 * dim, dim)] * depth]
    layers = [(numbers(precision, at_once, tokens, k), numbers(precision, m, k)) for k, m in dict.fromkeys(shapes)]
    often = [shapes.count((w.shape[1], w.shape[0])) for _, w in layers]
    qkv = [numbers(precision, at_once, net.heads, tokens, dim // net.heads) for _ in range(3)]

    @torch.inference_mode()
    def run() -> None:
        for (x, weight), times in zip(layers, often, strict=True):
            for _ in range(times):
                F.linear(x, weight)
        for _ in range(depth):
            F.scaled_dot_product_attention(*qkv)

    return run


def against_matrix_product(precision: str, images: int = 16) -> list[Row]:
    """How close feature extraction comes to the machine's own matrix product, and how close its own products do."""
    a, b = numbers(precision, PRODUCT, PRODUCT), numbers(precision, PRODUCT, PRODUCT)
    x = np.random.default_rng(0).integers(0, 255, (images, 3, SIZE, SIZE), dtype=np.uint8)
    net = backbone.load("random")
    windows = batches.windows(net, SIZE // net.patch, SIZE // net.patch)  # all of one size
    workers, pieces = batches.workers(net), range(images * len(windows))
    parts = batches.even(pieces, workers, batches.images_at_once(net, windows[0].patches))
    alone = own_products(net, precision, len(parts[0]), windows[0].patches)
    taken = seconds(
        {
            "product": lambda: a @ b,
            "features": lambda: backbone.patch_features(net, x, precision=precision),
            "own": lambda: [*batches.side_by_side(lambda _: alone(), parts, workers)],
        }
    )
    each = flops(net, windows[0].patches)
    rates = {
        "product": 2 * PRODUCT**3 / taken["product"],
        "features": len(pieces) * each / taken["features"],
        "own": len(parts) * len(parts[0]) * each / taken["own"],
    }
    rate = images / taken["features"]
    read = f"{rate:.1f} images of {SIZE} pixels a second, each in {len(windows)} windows of {net.view}"
    replaced = a.dtype == torch.float32 and precision == "bf16"
    return product_rows(precision, rates, read, replaced)


def product_rows(precision: str, rates: dict[str, float], read: str, replaced: bool) -> list[Row]:
    """Operations a second against those of the product. replaced: bf16 is multiplied in fp32 on this machine."""
    note = " This processor has no unit for bf16: numbers rounded to bf16 are multiplied in fp32." if replaced else ""
    reference = f"the rate of one product of two {PRODUCT} x {PRODUCT} matrices"
    return [
        Row(
            f"features {precision}",
            rates["features"] / rates["product"],
            "ratio",
            f"Feature extraction, {read}, does {rates['features'] / 1e9:.0f} thousand million operations a second, a "
            f"matrix product {rates['product'] / 1e9:.0f}.{note}",
            reference,
            ("at least", 0.8),
        ),
        Row(
            f"the network's own products {precision}",
            rates["own"] / rates["product"],
            "ratio",
            "Its linear layers and its attention alone, of the same shapes and number, without what lies between them "
            f"(norms, GELU, sums, the image itself): the most that feature extraction can reach here.{note}",
            reference,
        ),
    ]


def side_by_side(images: int = 8) -> Row:
    """The gain when every thread takes its own batch, instead of all sharing each layer of one batch."""
    x = np.random.default_rng(0).integers(0, 255, (images, 3, SIZE, SIZE), dtype=np.uint8)
    net = backbone.load("random")

    def in_turn() -> None:
        with mock.patch.object(batches, "workers", lambda _: 1):
            backbone.patch_features(net, x)

    taken = seconds({"in turn": in_turn, "side by side": lambda: backbone.patch_features(net, x)}, repeats=11)
    return Row(
        "batches side by side",
        taken["in turn"] / taken["side by side"],
        "ratio",
        f"Features of {images} images, one batch on each of {torch.get_num_threads()} threads, are computed this many "
        "times faster than batch after batch by all threads together.",
        "the speed of one batch after the other",
    )


def cached(images: int = 16) -> Row:
    """What caching features on disk saves."""
    x = np.stack([s.pixels for s in simulate.aerial_scenes(range(images), size=SIZE)])
    net = backbone.load("random")
    with tempfile.TemporaryDirectory() as folder:
        taken = seconds(
            {
                "computed": lambda: backbone.patch_features(net, x),
                "cached": lambda: backbone.patch_features(net, x, cache=folder),
            }
        )
    return Row(
        "features from the cache",
        taken["computed"] / taken["cached"],
        "ratio",
        f"Features of {images} images cached on disk are read this many times faster than they are computed.",
        "the speed of computing them",
    )


def run() -> list[Row]:
    """All rows."""
    return [*against_matrix_product("fp32"), *against_matrix_product("bf16"), side_by_side(), cached()]

"""Speed as ratios, each measured side by side in one run (`make bench`). Nothing here is a test.

Absolute rates depend on the machine and are printed only to be looked at; the ratios are what the book claims.

    python scripts/measure/bench/bench.py [--only PART ...] [--keep]

Without --only all parts run but the long ones. --keep puts the rows in book/measured/performance.json, from which
the page *Performance* is made; parts that were not run keep their earlier rows there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from unittest import mock

import bench_contrastive
import bench_crf
import bench_mapping
import bench_stego
import numpy as np
import torch
from bench_rows import Row, keep, seconds
from torch.nn import functional as F

from lulc_utils import backbone, simulate
from lulc_utils.backbone import batches, rounding


def flops(net: backbone.Backbone, patches: int) -> float:
    """Multiplications and additions of one forward pass over so many patches, matrix products only."""
    tokens, dim, depth = patches + 1, net.dim, len(net.model.blocks)
    linear = 24 * dim**2 * tokens * depth  # qkv 6, projection 2, MLP 16
    attention = 4 * tokens**2 * dim * depth
    return linear + attention + 2 * 3 * net.patch**2 * dim * patches


def numbers(precision: str, *shape: int) -> torch.Tensor:
    """Random numbers of that precision, in the form in which this processor multiplies them fastest."""
    x = torch.randn(*shape)
    if precision == "fp32":
        return x
    return x.bfloat16() if rounding.multiplies_bf16("cpu") else rounding.rounded(x)


def own_products(net: backbone.Backbone, precision: str, at_once: int, patches: int) -> Callable[[], None]:
    """The network's linear layers and attention alone, on random numbers: its products without all that is between."""
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


def features_against_matrix_product(precision: str, images: int = 16, size: int = 224, n: int = 2048) -> list[Row]:
    """How close feature extraction comes to the machine's own matrix product, and how close its own products do."""
    a, b = numbers(precision, n, n), numbers(precision, n, n)
    x = np.random.default_rng(0).integers(0, 255, (images, 3, size, size), dtype=np.uint8)
    net = backbone.load("random")
    windows = batches.windows(net, size // net.patch, size // net.patch)  # all of one size
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
    product = 2 * n**3 / taken["product"]
    one = flops(net, windows[0].patches)
    features = images * len(windows) * one / taken["features"]
    own = len(parts) * len(parts[0]) * one / taken["own"]
    replaced = a.dtype == torch.float32 and precision == "bf16"
    note = " This processor has no unit for bf16: numbers rounded to bf16 are multiplied in fp32." if replaced else ""
    reference = f"the rate of one product of two {n} x {n} matrices"
    return [
        Row(
            f"features {precision}",
            features / product,
            "ratio",
            f"Feature extraction, {images / taken['features']:.1f} images of {size} pixels a second, each in "
            f"{len(windows)} windows of {net.view}, does {features / 1e9:.0f} thousand million operations a second, a "
            f"matrix product {product / 1e9:.0f}.{note}",
            reference,
            ("at least", 0.8),
        ),
        Row(
            f"the network's own products {precision}",
            own / product,
            "ratio",
            "Its linear layers and its attention alone, of the same shapes and number, without what lies between them "
            f"(norms, GELU, sums, the image itself): the most that feature extraction can reach here.{note}",
            reference,
        ),
    ]


def side_by_side_against_in_turn(images: int = 8, size: int = 224) -> Row:
    """What it gains that every thread takes a batch of its own, instead of all sharing each layer of one batch."""
    x = np.random.default_rng(0).integers(0, 255, (images, 3, size, size), dtype=np.uint8)
    net = backbone.load("random")

    def in_turn() -> None:
        with mock.patch.object(batches, "workers", lambda _: 1):
            backbone.patch_features(net, x)

    taken = seconds({"in turn": in_turn, "side by side": lambda: backbone.patch_features(net, x)}, repeats=11)
    return Row(
        "batches side by side",
        taken["in turn"] / taken["side by side"],
        "ratio",
        f"Features of {images} images, one batch on each of {torch.get_num_threads()} threads, are computed so many "
        "times faster than batch after batch by all threads together.",
        "the speed of one batch after the other",
    )


def cached_against_computed(images: int = 16) -> Row:
    """What keeping features on disk saves."""
    x = np.stack([s.pixels for s in simulate.aerial_scenes(range(images), size=224)])
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
        f"Features of {images} images that are kept on disk are read so many times faster than they are computed.",
        "the speed of computing them",
    )


def simulator(size: int = 512) -> Row:
    """Megapixels of simulated aerial landscape per second, as one process draws them."""
    taken = seconds({"aerial": lambda: simulate.aerial(7, size)})
    return Row(
        "simulated aerial scenes",
        size**2 / 1e6 / taken["aerial"],
        "megapixels/s",
        f"One process draws simulated landscapes of {size} x {size} pixels at this rate.",
        target=("at least", 0.5),
    )


PARTS: dict[str, Callable[[], list[Row]]] = {
    "features": lambda: [
        *features_against_matrix_product("fp32"),
        *features_against_matrix_product("bf16"),
        side_by_side_against_in_turn(),
        cached_against_computed(),
    ],
    "simulator": lambda: [simulator()],
    "crf": bench_crf.run,
    "stego": bench_stego.run,
    "contrastive": bench_contrastive.run,
    "mapping": bench_mapping.run,
    "workers": bench_mapping.workers,
    "memory": bench_mapping.memory,
}
LONG: dict[str, Callable[[], list[Row]]] = {"memory_embedded": bench_mapping.memory_embedded}  # only when asked for


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print their rows and, if asked, keep them."""
    parser = argparse.ArgumentParser(
        "python scripts/measure/bench/bench.py", description="Measure speed as ratios, in one run."
    )
    parser.add_argument("--only", nargs="+", metavar="PART", choices=[*PARTS, *LONG], help=f"of {', '.join(PARTS)}; "
                        f"long: {', '.join(LONG)}")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="put the rows in book/measured/performance.json")
    asked = parser.parse_args(arguments)
    print(f"{torch.get_num_threads()} threads")
    for part in asked.only or PARTS:
        torch.manual_seed(0)
        rows = (PARTS | LONG)[part]()
        print(*rows, sep="\n", flush=True)
        if asked.keep:
            keep(part, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

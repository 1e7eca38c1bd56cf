"""Speed as ratios, each measured side by side in one run (`make bench`). Nothing here is a test.

Absolute rates depend on the machine and are printed only to be looked at; the ratios are what the book claims.
"""

from __future__ import annotations

import statistics
import tempfile
import time

import numpy as np
import torch
from tqdm import tqdm

from lulc_utils import backbone, simulate


def seconds(functions: dict, repeats: int = 5) -> dict[str, float]:
    """Median seconds of each function; they take turns, so that a busy moment hurts all alike."""
    taken = {name: [] for name in functions}
    for function in functions.values():
        function()  # warm up
    for _ in tqdm(range(repeats), leave=False):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def vit_flops(net: backbone.Backbone, size: int) -> float:
    """Multiplications and additions of one forward pass, matrix products only."""
    tokens, dim, depth = (size // net.patch) ** 2 + 1, net.dim, len(net.model.blocks)
    linear = 24 * dim**2 * tokens * depth  # qkv 6, projection 2, MLP 16
    attention = 4 * tokens**2 * dim * depth
    return linear + attention + 2 * 3 * net.patch**2 * dim * tokens


def features_against_matrix_product(precision: str, images: int = 16, size: int = 224, n: int = 2048) -> None:
    """How close feature extraction comes to the machine's own matrix product."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(n, n, dtype=kind), torch.randn(n, n, dtype=kind)
    x = np.random.default_rng(0).integers(0, 255, (images, 3, size, size), dtype=np.uint8)
    net = backbone.load("random")
    taken = seconds(
        {"product": lambda: a @ b, "features": lambda: backbone.patch_features(net, x, precision=precision)}
    )
    product = 2 * n**3 / taken["product"]
    features = images * vit_flops(net, size) / taken["features"]
    print(
        f"{precision}: features {images / taken['features']:.1f} images/s, {features / 1e9:.0f} GFLOP/s; "
        f"matrix product {product / 1e9:.0f} GFLOP/s; ratio {features / product:.2f}"
    )


def cached_against_computed(images: int = 16) -> None:
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
    print(f"features from the cache: {taken['computed'] / taken['cached']:.0f} times faster than computing them")


def simulator() -> None:
    """Megapixels of simulated aerial landscape per second, as one process draws them."""
    size = 512
    taken = seconds({"aerial": lambda: simulate.aerial(7, size)})
    print(f"simulated aerial scenes: {size**2 / 1e6 / taken['aerial']:.2f} megapixels/s")


if __name__ == "__main__":
    torch.manual_seed(0)
    print(f"{torch.get_num_threads()} threads")
    for chosen in ("fp32", "bf16"):
        features_against_matrix_product(chosen)
    cached_against_computed()
    simulator()
    import bench_contrastive  # here, because they take `seconds` from this file
    import bench_crf
    import bench_mapping
    import bench_stego

    bench_crf.run()
    bench_stego.run()
    bench_contrastive.run()
    bench_contrastive.whole_step()
    bench_mapping.run()

"""Speed of the dense CRF next to two yardsticks (`make bench`). Nothing here is a test."""

from __future__ import annotations

import torch
from rows import Row, seconds
from torch.nn import functional as F

from lulc_utils import crf, simulate
from lulc_utils.scene import Scene

SIZE, CLASSES, ITERATIONS, SMALL = 512, 7, 10, 48


def blurred_truth(scene: Scene, width: int = 17) -> torch.Tensor:
    """[K, H, W]: one-hot labels blurred by `width` pixels, like the output of a network with coarse patches."""
    p = F.one_hot(torch.from_numpy(scene.labels).long(), CLASSES).permute(2, 0, 1).float()
    p = F.avg_pool2d(p[None], width, 1, width // 2, count_include_pad=False)[0] + 0.02
    return p / p.sum(0)


def all_pairs(image: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """The messages of the appearance kernel by brute force: N * N kernel values, one iteration."""
    place = torch.ones(image.shape[1:]).nonzero() / 67
    x = torch.cat([place, image.flatten(1).T / 3], 1)  # [N, 5]
    return torch.exp(-0.5 * torch.cdist(x, x) ** 2) @ probabilities.flatten(1).T


def run() -> list[Row]:
    """Seconds of one image, of a matrix product and, extrapolated, of all pairs."""
    scene = simulate.aerial(7, SIZE)
    image, p = torch.from_numpy(scene.pixels), blurred_truth(scene)
    a = torch.randn(2048, 2048)
    small_image, small_p = image[:, :SMALL, :SMALL].float(), p[:, :SMALL, :SMALL]
    taken = seconds(
        {
            "crf": lambda: crf.dense_crf(image, p, iterations=ITERATIONS),
            "product": lambda: a @ a,
            "pairs": lambda: all_pairs(small_image, small_p),
        },
        repeats=3,
    )
    pairs = ITERATIONS * taken["pairs"] * (SIZE / SMALL) ** 4  # N * N
    return rows_of(taken, pairs)


def rows_of(taken: dict[str, float], pairs: float) -> list[Row]:
    """Rows of the seconds of the CRF and of the product, and those of all pairs."""
    what = f"{SIZE} x {SIZE} pixels, {CLASSES} classes, {ITERATIONS} iterations"
    return [
        Row("dense CRF", taken["crf"], "s", f"The CRF of one image takes this long ({what}).", target=("at most", 3)),
        Row(
            "dense CRF in matrix products",
            taken["crf"] / taken["product"],
            "ratio",
            f"The dense CRF of one image takes as long as this many matrix products ({what}).",
            "the time of one product of two 2048 x 2048 matrices",
        ),
        Row(
            "dense CRF by all pairs",
            pairs / taken["crf"],
            "ratio",
            f"Comparing all pairs of pixels would take this many times as long, {pairs / 3600:.1f} hours; extrapolated "
            f"from {SMALL} x {SMALL} pixels.",
            "the time of our dense CRF",
        ),
    ]


if __name__ == "__main__":
    print(*run(), sep="\n")

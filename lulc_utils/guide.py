"""Which method for which label budget: a table whose every line is read from the book's measured results."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lulc_utils import results
from lulc_utils.tables import span

HEAD = ["labels", "images", "do this", "mIoU", "instead of", "mIoU", "source"]


def by_budget() -> list[list[str]]:
    """Rows under `HEAD`, from no label to all; each compares the best method with the plain alternative."""
    return [*_clusters(), *_points(), *_networks(), *_metadata(), *_every_label()]


def _row(labels: str, images: str, do: tuple, instead: tuple, chapter: str) -> list[str]:
    """do, instead   (method, (value, low, high))"""
    return [labels, images, do[0], span(do[1]), instead[0], span(instead[1]), f"measured/{chapter}.json"]


def _clusters() -> Iterator[list[str]]:
    chapter = "02_stego_clustering"
    parts = {
        "aerial, simulated": results.measured(chapter, "simulated")["mIoU"],
        "aerial, Dubai": results.measured(chapter, "dubai")["scores"]["mIoU"],
    }
    for images, miou in parts.items():
        other = ("k-means + CRF", miou["k-means, frozen features + CRF"])
        yield _row("none; name clusters", images, ("STEGO + CRF", miou["STEGO + CRF"]), other, chapter)


def _points() -> Iterator[list[str]]:
    chapter = "06_your_own_place"
    parts = {"10 m, simulated": "curves", "10 m, real": "terramesh"}
    ways = {images: results.measured(chapter, part)["ways"] for images, part in parts.items()}
    for n in ("12", "48", "96"):
        for images, of in ways.items():
            do = ("groups, middles", of["middle points, groups"][n])
            yield _row(f"{n} points", images, do, ("classifier, random", of["random points, classifier"][n]), chapter)


def _networks() -> Iterator[list[str]]:
    chapter, do = "contrastive_grid", "pre-trained U-Net"
    regions = results.measured(chapter, "scores").values()
    for share in ("0.01", "0.1", "1.0"):
        for key, other in (("random", "U-Net from scratch"), ("pixels", "classifier of pixels")):
            best, instead = ([region[share][kind][0] for region in regions] for kind in ("here", key))
            both = [(float(np.mean(v)), min(v), max(v)) for v in (best, instead)]  # over the regions
            labels = f"{float(share):.0%} of 200 patches"
            yield _row(labels, "10 m, simulated", (do, both[0]), (other, both[1]), chapter)
    real = results.measured(chapter, "real")
    for share in ("0.05", "0.25", "1.0"):
        labels, both = f"{float(share):.0%} of 40 squares", real[share]
        other = ("U-Net from scratch", both["random"])
        yield _row(labels, "10 m, real", (do, both["pre-trained"]), other, chapter)


def _metadata() -> Iterator[list[str]]:
    chapter = "pseudo_label_grid"
    labels = results.measured(chapter, "labels")
    for n in ("1", "16", "64"):
        if f"{n}, image only" in labels:
            ways = ("metadata teacher", "image only")
            both = [(way, labels[f"{n}, {way}"]["inside"]) for way in ways]
            yield _row(f"{n} per class + unlabelled", "crops, accuracy", *both, chapter)


def _every_label() -> Iterator[list[str]]:
    chapter = "02_stego_clustering"
    miou = results.measured(chapter, "simulated")["mIoU"]
    both = ("linear probe on ViT", miou["linear probe"]), ("STEGO + CRF", miou["STEGO + CRF"])
    yield _row("all pixels of 100 crops", "aerial, simulated", *both, chapter)

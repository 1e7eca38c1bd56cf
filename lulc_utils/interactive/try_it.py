"""A reader's own picture, described by the backbone inside the page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from lulc_utils import cluster
from lulc_utils.backbone import Backbone, patch_features, pca_rgb
from lulc_utils.interactive.click_map import PENALTY
from lulc_utils.interactive.figure import LARGEST, Interactive, assemble, drawing, image, photo, script
from lulc_utils.legends import AERIAL_CLASSES, PALETTE
from lulc_utils.plot import rgb
from lulc_utils.scene import Scene

LONGEST = 512  # pixels of a picture that are read, on its longer side
GROUPS = 5  # to begin with
GROUP_COLORS = tuple(  # neighbors far apart, for groups have no meaning that a color could show
    PALETTE[surface]
    for surface in ("water", "built", "grass", "crops", "industry", "trees", "wetland", "bare", "roads", "mangroves")
)


def try_it(samples: Mapping[str, Scene], backbone: Backbone, *, weights: str, caption: str) -> Interactive:
    """Drop a picture from the air, and see what the backbone makes of it, computed by the page itself.

    samples   {name: scene}, offered beside the reader's own picture; the first is the picture without scripts
    backbone  the network in `weights`; here it only describes the first sample
    weights   address of the script that `packed_backbone` wrote, from the page that shows the figure
    caption   what it shows, and something to try

    The page shows principal components as colors, similarity to a patch, groups and a map from clicks, and offers each
    as a download. The network runs in workers; nothing leaves the page.
    """
    data = {
        "weights": weights, "worker": script("vit") + script("worker"), "patch": backbone.patch, "longest": LONGEST,
        "lambda": PENALTY, "colors": GROUP_COLORS, "groups": GROUPS,
        "classes": [{"name": c.name, "color": c.color} for c in AERIAL_CLASSES],
        "samples": [{"name": name, "alt": _described(scene), "picture": photo(rgb(scene), LONGEST)}
                    for name, scene in samples.items()],
    }  # fmt: skip
    static = _static(next(iter(samples.values())), backbone)
    shared = ("learn", "clicks", "network", "pictures")
    return assemble("try_it", data, static, caption, shared=shared, largest=2 * LARGEST)


def _described(scene: Scene) -> str:
    what = "A simulated scene" if scene.simulated else "An aerial photograph"
    return f"{what} of {scene.width} by {scene.height} pixels ({scene.source})."


def _static(scene: Scene, backbone: Backbone) -> str:
    """The first sample, its features as colors, and its groups."""
    features = patch_features(backbone, scene.pixels[None])  # [1, h, w, D]
    groups = cluster.of_patches(cluster.by_cosine(features, GROUPS), features)[0]
    palette = np.array([list(bytes.fromhex(color.lstrip("#"))) for color in GROUP_COLORS], np.uint8)
    views = (
        (photo(rgb(scene)), _described(scene)),
        (
            drawing(_large(pca_rgb(features[0]).mul(255).byte(), backbone)),
            "Its features as colors: similar patches alike.",
        ),
        (
            drawing(_large(palette[np.asarray(groups)], backbone)),
            f"Its patches in {GROUPS} groups, found without labels.",
        ),
    )
    return "".join(f'<div class="lulc-part lulc-third">{image(uri, alt)}</div>' for uri, alt in views)


def _large(patches: np.ndarray | torch.Tensor, backbone: Backbone) -> np.ndarray:
    return np.asarray(patches).repeat(backbone.patch, 0).repeat(backbone.patch, 1)

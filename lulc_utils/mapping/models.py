"""Models that can map a raster, made of what the chapters train; STEGO models also to a file and back.

What needs torch is imported where it is needed: every worker of a cluster loads this file, in 0.2 seconds and 70 MB
instead of 4 seconds and 1.2 GB, and few of them ask a model that needs it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np

from lulc_utils.scene import UNLABELLED, LandCover

if TYPE_CHECKING:
    import torch
    from sklearn.base import BaseEstimator

    from lulc_utils.backbone import Backbone
    from lulc_utils.stego import Stego

FORMAT = "lulc-utils STEGO map 1"


@dataclass(frozen=True)
class Model:
    """A function from pixels [C, h, w] to probabilities [K, h, w], and what a map should know about it.

    predict     the function; it gets the raster's own numbers, pixels without data filled with the window's mean
    name        for the map's tags
    hash        of all weights; "" when there is none, and then a killed run cannot be resumed
    classes     the K classes
    bands       names of the bands it takes, in order; None: whatever the raster has
    resolution  meters per pixel it was trained at; None: any
    """

    predict: Callable[[np.ndarray], np.ndarray | torch.Tensor] = field(repr=False)
    name: str
    hash: str = ""
    classes: tuple[LandCover, ...] = ()
    bands: tuple[str, ...] | None = None
    resolution: float | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray | torch.Tensor:
        """Probabilities of one window."""
        return self.predict(pixels)


def checked_classes(classes: Sequence[LandCover] | None) -> tuple[LandCover, ...]:
    """The classes as a tuple; ValueError when there are none or too many, or a color cannot be drawn."""
    if not classes or len(classes) > UNLABELLED:
        raise ValueError(f"A map needs 1 to {UNLABELLED} classes (name and color); pass classes=... in model order.")
    classes = tuple(LandCover(*c) for c in classes)
    bad = [c for c in classes if not re.fullmatch("#[0-9a-fA-F]{6}", c.color)]
    if bad:
        raise ValueError(f"The color of class '{bad[0].name}' must look like #1f77b4, not {bad[0].color}.")
    return classes


def pixel_model(
    pipeline: BaseEstimator,
    classes: Sequence[LandCover],
    *,
    name: str = "pixel classifier",
    bands: Sequence[str] | None = None,
    resolution: float | None = None,
) -> Model:
    """A fitted scikit-learn classifier of single pixels, [n, C] -> labels 0..K-1, as a model.

    Without `predict_proba` the answer counts as certain. ValueError when it knows labels beyond the classes.
    """
    classes = checked_classes(classes)
    known = np.asarray(pipeline.classes_)
    if known.dtype.kind not in "iu" or known.min() < 0 or known.max() >= len(classes):
        raise ValueError(f"The classifier's labels must lie in 0..{len(classes) - 1}, not {known.tolist()}.")

    def predict(pixels: np.ndarray) -> np.ndarray:
        rows = pixels.reshape(len(pixels), -1).T  # [h * w, C]
        p = np.zeros((len(classes), len(rows)), np.float32)
        if hasattr(pipeline, "predict_proba"):
            p[known] = pipeline.predict_proba(rows).T
        else:
            p[pipeline.predict(rows), np.arange(len(rows))] = 1
        return p.reshape(-1, *pixels.shape[1:])

    return Model(predict, name, joblib.hash(pipeline, "sha1"), classes, bands and tuple(bands), resolution)


def stego_model(
    net: Stego,
    backbone: Backbone,
    classes: Sequence[LandCover],
    of_cluster: Sequence[int] | None = None,
    *,
    crf: bool = False,
    bands: Sequence[str] | None = ("red", "green", "blue"),
    resolution: float | None = None,
) -> Model:
    """Backbone, STEGO head and clusters as a model; images as the backbone takes them (uint8 or 0..1).

    of_cluster  class of every cluster, [clusters] (`evaluate.match`); None: cluster k is class k
    crf         sharpen every window along the edges of the image (`crf.dense_crf`)

    A class has the probability of its likeliest cluster, so that the map shows the class of the nearest center.
    ValueError when a cluster has no class.
    """
    import torch

    from lulc_utils import cluster
    from lulc_utils.backbone import patch_features
    from lulc_utils.crf import dense_crf

    classes = checked_classes(classes)
    of = np.arange(len(net.centers)) if of_cluster is None else np.asarray(of_cluster, np.int64)
    if len(of) != len(net.centers) or of.min() < 0 or of.max() >= len(classes):
        raise ValueError(
            f"Each of the {len(net.centers)} clusters needs a class in 0..{len(classes) - 1}, but of_cluster is "
            f"{of.tolist()}."
        )

    def predict(pixels: np.ndarray) -> torch.Tensor:
        features = patch_features(backbone, pixels[None])
        p = cluster.of_pixels(net, features, pixels.shape[1:])[0]  # [clusters, h, w]
        p = cluster.as_classes(p, of, len(classes))  # [K, h, w]
        p = p / p.sum(0)
        if crf:
            image = torch.from_numpy(np.ascontiguousarray(pixels))
            p = dense_crf(image * 255 if image.is_floating_point() else image, p)
        return p

    digest = _digest(net, f"{backbone.weights_hash} {backbone.view} {of.tolist()} {crf}")
    name = f"STEGO on {backbone.name}{' with CRF' if crf else ''}"
    return Model(predict, name, digest, classes, bands and tuple(bands), resolution)


def _digest(net: Stego, settings: str) -> str:
    """SHA-256 of a head, its centers and what else the answer depends on."""
    digest = hashlib.sha256(settings.encode())
    for key, value in [*sorted(net.head.state_dict().items()), ("centres", net.centers)]:
        digest.update(f"{key} {tuple(value.shape)}".encode() + value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def save_model(
    path: str | Path,
    net: Stego,
    backbone: Backbone,
    classes: Sequence[LandCover],
    of_cluster: Sequence[int] | None = None,
    *,
    bands: Sequence[str] | None = ("red", "green", "blue"),
    resolution: float | None = None,
) -> Path:
    """Write what `stego_model` needs, but not the backbone, as .safetensors; the backbone goes in by name and hash.

    The file appears under its name only when complete. ValueError as for `stego_model`.
    """
    import torch

    from lulc_utils import tensors
    from lulc_utils.stego import Head

    checked = stego_model(net, backbone, classes, of_cluster, bands=bands, resolution=resolution)
    if not isinstance(net.head, Head):
        raise ValueError(f"Only a head of lulc_utils.stego can be saved, not a {type(net.head).__name__}.")
    content = {f"head.{key}": value for key, value in net.head.state_dict().items()} | {"centres": net.centers}
    content["of_cluster"] = torch.as_tensor(range(len(net.centers)) if of_cluster is None else list(of_cluster))
    about = {"classes": checked.classes, "bands": checked.bands, "resolution": resolution}
    about |= {"backbone": backbone.name, "backbone hash": backbone.weights_hash}
    return tensors.write(path, content, {"format": FORMAT, "about": json.dumps(about)})


def load_model(
    path: str | Path,
    *,
    crf: bool = False,
    backbone: Backbone | None = None,
    backbone_weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Model:
    """The model that `save_model` wrote, as `stego_model` makes it.

    backbone          the frozen backbone, if it is loaded already
    backbone_weights  its weights as a file, where they are not the hub's

    ValueError: no such file format, or a backbone with other weights than the head was trained on.
    """
    from lulc_utils import backbone as backbones
    from lulc_utils import tensors

    content, metadata = tensors.read(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is no model of lulc_utils.mapping.save_model.")
    try:
        about, net = _head(content, metadata)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        kind = type(error).__name__
        raise ValueError(f"{path} is damaged ({kind}); save it again with lulc_utils.mapping.save_model.") from error
    if backbone is None:
        if about["backbone"].startswith("random") or about["backbone"].endswith("(random weights)"):
            raise ValueError(f"{path} was trained on a random backbone, which has no file; pass backbone=...")
        backbone = backbones.load(about["backbone"], weights=backbone_weights, device=device)
    if backbone.weights_hash != about["backbone hash"]:
        raise ValueError(
            f"{path} was trained on the backbone '{about['backbone']}' with other weights than this one's; use the "
            "weights it was trained on."
        )
    net = net._replace(head=net.head.to(device), centers=net.centers.to(device))
    options = {"crf": crf, "bands": about["bands"], "resolution": about["resolution"]}
    return stego_model(net, backbone, about["classes"], content["of_cluster"].tolist(), **options)


def _head(content: dict, metadata: dict[str, str]) -> tuple[dict, Stego]:
    """What a file of `save_model` says of itself, and its head and centers; any error means that it is damaged."""
    from lulc_utils.stego import Head, Stego

    about = {key: json.loads(metadata["about"])[key] for key in ("backbone", "backbone hash", "bands", "resolution")}
    about["classes"] = checked_classes(json.loads(metadata["about"])["classes"])
    code_dim, dim = content["head.linear.weight"].shape
    if not isinstance(about["backbone"], str) or content["centres"].shape[1] != code_dim:
        raise ValueError("its parts do not fit")
    content["of_cluster"].tolist()
    head = Head(dim, code_dim)
    head.load_state_dict({key[5:]: value for key, value in content.items() if key.startswith("head.")})
    return about, Stego(head.eval().requires_grad_(False), content["centres"], [])

"""Features on disk: where they are, and a file name computed from everything they depend on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pooch
import torch

from lulc_utils.backbone.loading import OVERLAP, Backbone
from lulc_utils.files import complete_or_absent


def features_folder() -> Path:
    """Where cached features go: features/ in LULC_CACHE_DIR or, without it, in the platform's cache folder."""
    return Path(os.environ.get("LULC_CACHE_DIR") or pooch.os_cache("lulc-utils")) / "features"


def key_of(backbone: Backbone, images: torch.Tensor, output: str, precision: str) -> str:
    """SHA-256 over everything that the result depends on."""
    about = (backbone.name, backbone.weights_hash, backbone.patch, backbone.heads, backbone.mean, backbone.std)
    if backbone.view and output.startswith("patches"):  # keys of images read whole stay as they were
        about += backbone.view, OVERLAP
    digest = hashlib.sha256(repr((*about, output, precision, images.dtype, tuple(images.shape))).encode())
    digest.update(images.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def read(file: Path, n: int) -> torch.Tensor | None:
    """A cached result, or None when there is none or it is damaged."""
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    usable = isinstance(array, np.ndarray) and array.dtype == np.float32 and len(array) == n
    return torch.from_numpy(array) if usable else None


def write(file: Path, features: torch.Tensor) -> None:
    """Write features to a file, completely or not at all."""
    with complete_or_absent(file) as part, part.open("wb") as stream:
        np.save(stream, features.numpy(), allow_pickle=False)

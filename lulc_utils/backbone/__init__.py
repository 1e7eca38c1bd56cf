"""Frozen vision transformers (timm) as feature extractors: patch features, CLS tokens, attention.

Images are uint8 or floats in 0..1, [N, 3, H, W] RGB, arrays or tensors, of any size: they are padded to whole
patches at the bottom and the right, by reflection. Results are float32 tensors on the CPU.
"""

from lulc_utils.backbone.cache import features_folder
from lulc_utils.backbone.extract import cls_tokens, last_attention, patch_features, tokens
from lulc_utils.backbone.loading import (
    EMBEDDED,
    EMBEDDED_FILE,
    EMBEDDED_VIEW,
    IMAGENET,
    OVERLAP,
    SHORT_NAMES,
    Backbone,
    load,
    save,
    wrap,
)
from lulc_utils.backbone.look import PcaColors, fit_pca, pca_rgb, raw_color, similarity

__all__ = [
    "EMBEDDED",
    "EMBEDDED_FILE",
    "EMBEDDED_VIEW",
    "IMAGENET",
    "OVERLAP",
    "SHORT_NAMES",
    "Backbone",
    "PcaColors",
    "cls_tokens",
    "features_folder",
    "fit_pca",
    "last_attention",
    "load",
    "patch_features",
    "pca_rgb",
    "raw_color",
    "save",
    "similarity",
    "tokens",
    "wrap",
]

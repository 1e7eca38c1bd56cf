"""The backbone as a script for the browser: large matrices as small whole numbers, a scale for each of their rows."""

from __future__ import annotations

import base64

import numpy as np

from lulc_utils.backbone import Backbone
from lulc_utils.literal import as_json

LARGEST_WEIGHTS = 4_000_000  # bytes of the script


def packed_backbone(backbone: Backbone) -> str:
    """A script that calls `lulcBackbone(model)`, which `vit.js` computes with.

    Matrices are rounded to 8 bits, row by row: value = scale * (-127 ... 127). Vectors and the table of positions keep
    their 32 bits. ValueError for a model that vit.js cannot compute, or one larger than LARGEST_WEIGHTS bytes.
    """
    model, d = backbone.model, backbone.dim
    hidden = model.blocks[0].mlp.fc1.out_features
    if d % 4 or (d // backbone.heads) % 4 or hidden != 4 * d or model.num_prefix_tokens != 1 or not backbone.view:
        raise ValueError(
            f"'{backbone.name}' is not a plain ViT with a CLS token and a view, so no page can compute it."
        )
    tensors, parts, at = [], [], 0
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        small = name.endswith("weight") and values.ndim > 1
        rows = values.reshape(len(values), -1) if small else values.reshape(1, -1)
        part = rounded_rows(rows) if small else rows.astype("<f4").tobytes()
        tensors.append({"name": name, "at": at, "rows": rows.shape[0], "cols": rows.shape[1], "small": small})
        parts.append(part + bytes(-len(part) % 4))
        at += len(parts[-1])
    about = {
        "patch": backbone.patch, "width": d, "depth": len(model.blocks), "heads": backbone.heads,
        "side": model.patch_embed.grid_size[0], "mean": backbone.mean, "std": backbone.std, "view": backbone.view,
    }  # fmt: skip
    packed = {**about, "tensors": tensors, "bytes": base64.b64encode(b"".join(parts)).decode()}
    text = f"lulcBackbone({as_json(packed)});\n"
    if len(text) > LARGEST_WEIGHTS:
        raise ValueError(f"'{backbone.name}' takes {len(text) / 1e6:.1f} MB, more than a page should ask for.")
    return text


def rounded_rows(rows: np.ndarray) -> bytes:
    """Rows [m, k] as m scales (float32) and m * k whole numbers (int8)."""
    scale = np.maximum(abs(rows).max(1, keepdims=True) / 127, 1e-12).astype("<f4")
    return scale.tobytes() + np.rint(rows / scale).astype(np.int8).tobytes()

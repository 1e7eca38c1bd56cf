"""What a frozen backbone computes from images: features of patches, CLS tokens, attention."""

from __future__ import annotations

from contextlib import closing, nullcontext
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from lulc_utils.backbone import batches
from lulc_utils.backbone.batches import Window
from lulc_utils.backbone.cache import key_of, read, write
from lulc_utils.backbone.images import checked, prepared
from lulc_utils.backbone.loading import Backbone
from lulc_utils.backbone.rounding import bf16


def tokens(backbone: Backbone, images: np.ndarray | torch.Tensor, **options: object) -> torch.Tensor:
    """All tokens of the last block after the final norm, [N, prefix + h * w, D]; options as `patch_features`."""
    return _extract(backbone, images, "tokens", **options)


def patch_features(
    backbone: Backbone,
    images: np.ndarray | torch.Tensor,
    *,
    batch_size: int | None = None,
    blocks: int = 1,
    precision: str = "fp32",
    cache: str | Path | None = None,
    progress: bool = False,
) -> torch.Tensor:
    """Features on the patch grid, [N, ceil(H / patch), ceil(W / patch), blocks * D], final norm applied.

    batch_size  images (or windows of them) at once, on all threads together; None: what keeps the machine busy
    blocks      how many of the last blocks, one after another, earliest first; 4 in DINO's linear protocol (ViT-S)
    precision   "fp32", or "bf16" (CPU or GPU; faster only on hardware made for it); the result is float32 either way
    cache       folder for results (see `features_folder`), keyed on model, weights, images and options
    progress    show a bar

    A backbone with a `view` reads larger images in windows of that side, which overlap by two patches or more; where
    they overlap, each keeps its half: a ViT trained on views of 144 patches describes a patch a little better so, and
    faster, than in an image of 800 (see the model card of the embedded one for the numbers).

    ValueError says in one sentence what is wrong with the images. Source: DINO, `get_intermediate_layers`.
    """
    options = {"batch_size": batch_size, "precision": precision, "cache": cache, "progress": progress}
    return _extract(backbone, images, "patches", blocks=blocks, **options)


def cls_tokens(backbone: Backbone, images: np.ndarray | torch.Tensor, **options: object) -> torch.Tensor:
    """One summary per image, the CLS token, [N, D]; ValueError for a model without one."""
    if getattr(backbone.model, "cls_token", None) is None:
        raise ValueError(f"'{backbone.name}' has no CLS token; take the mean of its patch features.")
    return _extract(backbone, images, "cls", **options)


def last_attention(
    backbone: Backbone, images: np.ndarray | torch.Tensor, *, of: tuple[int, int] | None = None, **options: object
) -> torch.Tensor:
    """Attention of CLS, or of the patch in row and column `of`, to every patch in the last block, [N, heads, h, w].

    A map sums to a little less than 1: attention to CLS itself and to register tokens is left out. The image is read
    whole, whatever the backbone's `view`. ValueError for a model without CLS token or with attention of another kind,
    and for a patch that is not there. Source: DINO, visualize_attention.py.
    """
    attention = backbone.model.blocks[-1].attn
    readable = hasattr(attention, "attn_drop") and hasattr(attention, "fused_attn")
    if getattr(backbone.model, "cls_token", None) is None or not readable:
        raise ValueError(f"The attention of CLS to the patches cannot be read from '{backbone.name}'.")
    if of is None:
        return _extract(backbone, images, "attention of token 0", **options)
    rows, cols = (-(-side // backbone.patch) for side in np.shape(images)[-2:])
    if not (0 <= of[0] < rows and 0 <= of[1] < cols):
        raise ValueError(f"There is no patch {tuple(of)} in a grid of {(rows, cols)}.")
    token = backbone.model.num_prefix_tokens + of[0] * cols + of[1]
    return _extract(backbone, images, f"attention of token {token}", **options)


def _extract(
    backbone: Backbone,
    images: np.ndarray | torch.Tensor,
    output: str,
    *,
    batch_size: int | None = None,
    blocks: int = 1,
    precision: str = "fp32",
    cache: str | Path | None = None,
    progress: bool = False,
) -> torch.Tensor:
    """Check the request, then read the result from the cache, or compute and cache it."""
    if precision not in ("fp32", "bf16"):
        raise ValueError(f"Unknown precision '{precision}'; choose 'fp32' or 'bf16'.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"The batch size must be at least 1, not {batch_size}.")
    depth = 1 if output.startswith("attention") else len(backbone.model.blocks)  # attention is that of the last block
    if not 1 <= blocks <= depth:
        raise ValueError(f"The number of blocks must lie between 1 and {depth}, not {blocks}.")
    images = checked(images, backbone)
    what = output if blocks == 1 else f"{output} of {blocks} blocks"
    file = Path(cache) / f"{key_of(backbone, images, what, precision)}.npy" if cache else None
    if file and (cached := read(file, len(images))) is not None:
        return cached
    result = _compute(backbone, images, output, blocks, precision, batch_size, progress)
    if file:
        write(file, result)
    return result


def _compute(
    backbone: Backbone,
    images: torch.Tensor,
    output: str,
    blocks: int,
    precision: str,
    batch_size: int | None,
    progress: bool,
) -> torch.Tensor:
    """Cut the images into windows, run the model on batches of them, and put the answers together."""
    grid = tuple(-(-side // backbone.patch) for side in images.shape[-2:])
    windows = batches.windows(backbone, *grid) if output == "patches" else [batches.whole_image(*grid)]
    pieces = list(product(range(len(images)), windows))
    # every thread takes its own batch, but a batch that sets hooks on the model must have it to itself
    hooked = output.startswith("attention") or blocks > 1
    workers = min(1 if hooked else batches.workers(backbone), len(pieces), batch_size or len(pieces))
    at_once = batch_size // workers if batch_size else batches.images_at_once(backbone, windows[0].patches)
    parts = batches.even(pieces, workers, at_once)

    def answer_to(part: list[tuple[int, Window]]) -> torch.Tensor:
        x = torch.cat([prepared(images[i : i + 1, :, window.rows, window.cols], backbone) for i, window in part])
        return _forward(backbone, x, output, blocks, precision).cpu()

    result = None  # its shape is known after the first answer
    bar = tqdm(total=len(parts), desc=backbone.name, unit="batch", disable=not progress)
    with closing(batches.side_by_side(answer_to, parts, workers)) as answers, bar:
        for part, answer in zip(parts, answers, strict=True):
            if result is None:
                shape = (*grid, answer.shape[-1]) if output == "patches" else answer.shape[1:]
                result = torch.empty(len(images), *shape)
            for (i, window), features in zip(part, answer, strict=True):
                result[i][window.into] = features[window.of]  # where windows overlap, each contributes its half
            bar.update()
    return result


@torch.inference_mode()
def _forward(backbone: Backbone, x: torch.Tensor, output: str, blocks: int, precision: str) -> torch.Tensor:
    """One batch of prepared images of one size; float32."""
    model = backbone.model
    h, w = x.shape[-2] // backbone.patch, x.shape[-1] // backbone.patch
    with bf16(x.device) if precision == "bf16" else nullcontext():
        if output.startswith("attention"):
            token = int(output.rsplit(" ", 1)[1])
            return _attention_to_patches(model, x, token).unflatten(-1, (h, w)).float()  # [B, heads, h, w]
        all_tokens = _tokens_of(model, x, blocks).float()  # [B, prefix + h * w, blocks * D]
    if output == "tokens":
        return all_tokens
    if output == "cls":
        return all_tokens[:, 0]
    return all_tokens[:, model.num_prefix_tokens :].unflatten(1, (h, w))  # [B, h, w, blocks * D]


def _tokens_of(model: nn.Module, x: torch.Tensor, blocks: int) -> torch.Tensor:
    """[B, prefix + h * w, blocks * D]: outputs of the last blocks, each after the final norm, earliest first."""
    if blocks == 1:
        return model.forward_features(x)
    outputs = []
    hooks = [block.register_forward_hook(lambda _, __, out: outputs.append(out)) for block in model.blocks[-blocks:]]
    try:
        model.forward_features(x)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat([model.norm(out) for out in outputs], -1)


def _attention_to_patches(model: nn.Module, x: torch.Tensor, token: int) -> torch.Tensor:
    """Attention of one token to the patches, [B, heads, h * w].

    It is the input of the dropout after the last softmax, which that block must not fuse away.
    """
    attention, weights = model.blocks[-1].attn, []
    fused, attention.fused_attn = attention.fused_attn, False
    first = model.num_prefix_tokens
    hook = attention.attn_drop.register_forward_pre_hook(lambda _, a: weights.append(a[0][:, :, token, first:]))
    try:
        model.forward_features(x)
    finally:
        attention.fused_attn = fused
        hook.remove()
    return weights[0]

"""Frozen vision transformers (timm) as feature extractors: patch features, CLS tokens, attention.

Images are uint8 or floats in 0..1, [N, 3, H, W] RGB, arrays or tensors, of any size: they are padded to whole
patches at the bottom and the right, by reflection. Results are float32 tensors on the CPU.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from types import EllipsisType
from typing import NamedTuple

import numpy as np
import pooch
import timm
import torch
from timm.data import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from lulc_utils.backbone.rounding import bf16
from lulc_utils.files import complete_or_absent
from lulc_utils.tensors import read, write

SHORT_NAMES = {
    "dino_vits16": "vit_small_patch16_224.dino",
    "dino_vits8": "vit_small_patch8_224.dino",
    "dinov2_vits14": "vit_small_patch14_dinov2.lvd142m",
    "dinov2_vitb14": "vit_base_patch14_dinov2.lvd142m",
    "dinov3_vitl16_sat": "vit_large_patch16_dinov3.sat493m",
}
EMBEDDED = {"img_size": 96, "patch_size": 8, "embed_dim": 192, "depth": 6, "num_heads": 3}
EMBEDDED_VIEW = 80  # side of the views that it is trained on, in pixels; files say so themselves
OVERLAP = 2  # patches that the windows of a backbone with a view share with their neighbours, at least
EMBEDDED_FILE = Path(__file__).parents[1] / "weights" / "embedded.safetensors"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of RGB in 0..1


@dataclass(frozen=True)
class Backbone:
    """A frozen vision transformer and what is needed to use it.

    name           for tables and captions ("random ViT", "dino_vits16")
    model          timm model in eval mode; none of its parameters takes a gradient
    patch          side of a patch in pixels
    dim, heads     D numbers per token; attention heads of the last block
    mean, std      normalisation per band of images in 0..1; None: images are taken as they are, any range
    weights_hash   SHA-256 over all weights
    trained        False when the weights are random
    view           side in pixels of the windows in which `patch_features` reads a larger image; None: all at once
    """

    name: str
    model: nn.Module
    patch: int
    dim: int
    heads: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    weights_hash: str
    trained: bool
    view: int | None = None


# ----------------------------------------------------------------------------------------------- loading


def load(
    name: str = "embedded",
    *,
    weights: str | Path | None = None,
    pretrained: bool = True,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Backbone:
    """A backbone by short name, "embedded", "random" (the embedded architecture, untrained) or timm ViT name.

    weights      a local .safetensors, .pth or .pt file (tensors only, never unpickled) instead of the hub's
    pretrained   False: random weights drawn from `seed`; the global random state stays as it was

    ValueError: unknown name, or a file that does not hold this model. FileNotFoundError: no such file, or the
    embedded weights are not shipped. RuntimeError: the hub or the device cannot be reached. Without a network the
    hub's client retries for about a minute before that; HF_HUB_OFFLINE=1 in the environment spares the wait.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("There is no CUDA device here; use device='cpu'.")
    trained = weights is not None or (pretrained and name != "random")
    with _own_random_state(seed):
        if name in ("embedded", "random"):
            shipped = name == "embedded" and trained and weights is None
            backbone = _embedded(EMBEDDED_FILE if shipped else weights)
        else:
            backbone = _from_timm(name, weights, hub=trained and weights is None)
    if not trained:
        label = "random ViT" if name in ("embedded", "random") else f"{name} (random weights)"
        backbone = replace(backbone, name=label, trained=False)
    backbone.model.to(device)
    return backbone


def wrap(
    model: nn.Module,
    name: str,
    *,
    mean: tuple[float, ...] | None = IMAGENET[0],
    std: tuple[float, ...] | None = IMAGENET[1],
    trained: bool = True,
    view: int | None = None,
) -> Backbone:
    """Any timm ViT as a frozen backbone (the model itself is frozen and put in eval mode, not copied).

    mean=None, std=None: images are passed on unchanged, in any range. view: see `Backbone`. ValueError when the model
    is no plain ViT, or the view no multiple of the patch.
    """
    if not all(hasattr(model, part) for part in ("blocks", "patch_embed", "num_prefix_tokens", "embed_dim")):
        raise ValueError(f"'{name}' is not a vision transformer with one grid of patches; choose a ViT.")
    model.eval().requires_grad_(False)
    digest = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy())
    patch, heads = model.patch_embed.patch_size[0], model.blocks[-1].attn.num_heads
    if view is not None and (view % patch or view // patch <= OVERLAP):
        raise ValueError(f"The view must be a multiple of the patch of {patch} pixels, three at least, not {view}.")
    return Backbone(name, model, patch, model.embed_dim, heads, mean, std, digest.hexdigest(), trained, view)


def save(backbone: Backbone, path: str | Path, **notes: str) -> None:
    """Write weights and architecture as .safetensors, to be read by `load("embedded", weights=path)`.

    For plain timm VisionTransformers such as the embedded one. `notes` (licence, data) go into the metadata.
    The file appears under its name only when complete.
    """
    model, path = backbone.model, Path(path)
    architecture = {
        "img_size": model.patch_embed.img_size[0],
        "patch_size": backbone.patch,
        "embed_dim": backbone.dim,
        "depth": len(model.blocks),
        "num_heads": backbone.heads,
    }
    mean, std = backbone.mean or (0, 0, 0), backbone.std or (1, 1, 1)
    metadata = {"architecture": architecture, "mean": mean, "std": std, "view": backbone.view}
    metadata = {key: json.dumps(value) for key, value in metadata.items()}
    write(path, model.state_dict(), {**notes, **metadata})


@contextmanager
def _own_random_state(seed: int) -> Iterator[None]:
    """Seed the CPU generator for the block; afterwards it is where it was (CUDA's is never touched)."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def _embedded(path: str | Path | None) -> Backbone:
    """The book's own small ViT: architecture from the file's metadata, else EMBEDDED; random without a file."""
    if path == EMBEDDED_FILE and not EMBEDDED_FILE.exists():
        raise FileNotFoundError(
            "The embedded weights are not part of this version yet; use 'random' (untrained, offline) or "
            "'dino_vits16' (from the hub)."
        )
    tensors, metadata = _read_weights(path) if path else ({}, {})
    try:
        architecture = json.loads(metadata.get("architecture", "{}")) or EMBEDDED
        mean, std = (
            tuple(json.loads(metadata[key])) if key in metadata else usual
            for key, usual in zip(("mean", "std"), IMAGENET, strict=True)
        )
        view = json.loads(metadata.get("view", "null")) if path else EMBEDDED_VIEW
        model = VisionTransformer(**architecture, num_classes=0, dynamic_img_size=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The metadata of {path} do not describe a ViT: {error}.") from None
    if path:
        _fill(model, tensors, path)
    return wrap(model, "embedded", mean=mean, std=std, view=view)


def _from_timm(name: str, weights: str | Path | None, hub: bool) -> Backbone:
    """A ViT of timm with weights of the hub, of a file, or as timm initialises it."""
    full = SHORT_NAMES.get(name, name)
    try:
        known = timm.is_model(full.split(".")[0]) and timm.get_pretrained_cfg(full, allow_unregistered=False)
    except RuntimeError:  # no such pretrained tag
        known = None
    if not known:
        names = ["embedded", "random", *SHORT_NAMES, *timm.list_models("*vit*", pretrained=True)]
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or ["embedded", *SHORT_NAMES]
        raise ValueError(f"There is no backbone '{name}'; did you mean {' or '.join(close)}?")
    try:
        model = timm.create_model(full, pretrained=hub, num_classes=0, dynamic_img_size=True)
    except TypeError:
        raise ValueError(f"'{name}' is not a vision transformer that takes images of any size.") from None
    except Exception as error:
        if not hub:
            raise
        raise RuntimeError(
            f"The weights of '{name}' could not be had from the hub ({type(error).__name__}); use 'embedded' or "
            "'random', which need no network, or pass weights=FILE with a file you have."
        ) from None
    if weights is not None:
        tensors, _ = _read_weights(weights)
        _fill(model, tensors, weights)
    config = resolve_model_data_config(model)
    return wrap(model, name, mean=tuple(config["mean"]), std=tuple(config["std"]))


def _read_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(tensors, metadata) of a file, without unpickling anything but tensors."""
    content, notes = read(path)
    return (content if Path(path).suffix == ".safetensors" else _unnest(content)), notes


def _unnest(content: dict) -> dict[str, torch.Tensor]:
    """The backbone's tensors in a checkpoint such as DINO's {'teacher': {'module.backbone.norm.bias': ...}}."""
    for key in ("teacher", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        return {}
    tensors = {k.removeprefix("module."): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    inner = {k.removeprefix("backbone."): v for k, v in tensors.items() if k.startswith("backbone.")}
    return inner or tensors


def _fill(model: nn.Module, tensors: dict[str, torch.Tensor], path: str | Path) -> None:
    """Load tensors into the model; ValueError that names what is missing or does not belong."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)  # e.g. DINOv2's names
    try:
        tensors = convert(dict(tensors), model) if convert and tensors else tensors
        tensors = {k: v for k, v in tensors.items() if not k.startswith("head.")}  # a classifier is not used
        result = model.load_state_dict(tensors, strict=False)
        missing, extra = result.missing_keys, result.unexpected_keys
    except (RuntimeError, KeyError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{path} does not fit this model: {reason}") from None
    if missing or extra:
        few = ", ".join(missing[:3] or extra[:3])
        what = f"lacks {len(missing)} of its tensors" if missing else f"has {len(extra)} tensors too many"
        raise ValueError(f"{path} does not fit this model: it {what} ({few}, ...).")


# -------------------------------------------------------------------------------------------- extraction


def tokens(backbone: Backbone, images: np.ndarray | torch.Tensor, **options) -> torch.Tensor:
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
    precision   "fp32", or "bf16" (CPU or GPU; quicker only with units for it); the result is float32 either way
    cache       folder for results (see `cache_folder`), keyed on model, weights, images and options
    progress    show a bar

    A backbone with a `view` reads larger images in windows of that side, which overlap by two patches or more; where
    they overlap each keeps its half. A ViT that was trained on views of 100 patches describes a patch worse in an
    image of 800 (the model card of the embedded one has the numbers).

    ValueError says in one sentence what is wrong with the images. Source: DINO, `get_intermediate_layers`.
    """
    options = {"batch_size": batch_size, "precision": precision, "cache": cache, "progress": progress}
    return _extract(backbone, images, "patches", blocks=blocks, **options)


def cls_tokens(backbone: Backbone, images: np.ndarray | torch.Tensor, **options) -> torch.Tensor:
    """One summary per image, the CLS token, [N, D]; ValueError for a model without one."""
    if getattr(backbone.model, "cls_token", None) is None:
        raise ValueError(f"'{backbone.name}' has no CLS token; take the mean of its patch features.")
    return _extract(backbone, images, "cls", **options)


def last_attention(backbone: Backbone, images: np.ndarray | torch.Tensor, **options) -> torch.Tensor:
    """Attention of CLS to every patch in the last block, per head, [N, heads, h, w].

    A map sums to a little less than 1: what CLS gives to itself and to register tokens is left out. ValueError
    for a model without CLS token or with attention of another kind. Source: DINO, visualize_attention.py.
    """
    attention = backbone.model.blocks[-1].attn
    readable = hasattr(attention, "attn_drop") and hasattr(attention, "fused_attn")
    if getattr(backbone.model, "cls_token", None) is None or not readable:
        raise ValueError(f"The attention of CLS to the patches cannot be read from '{backbone.name}'.")
    return _extract(backbone, images, "attention", **options)


def cache_folder() -> Path:
    """Where cached features go: features/ in LULC_CACHE_DIR or, without it, in the platform's cache folder."""
    return Path(os.environ.get("LULC_CACHE_DIR") or pooch.os_cache("lulc-utils")) / "features"


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
    """Check, look into the cache, else run the model batch by batch."""
    if precision not in ("fp32", "bf16"):
        raise ValueError(f"Unknown precision '{precision}'; choose 'fp32' or 'bf16'.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"The batch size must be at least 1, not {batch_size}.")
    depth = len(backbone.model.blocks) if output != "attention" else 1  # attention is that of the last block
    if not 1 <= blocks <= depth:
        raise ValueError(f"The number of blocks must lie between 1 and {depth}, not {blocks}.")
    images = _checked(images, backbone)
    what = output if blocks == 1 else f"{output} of {blocks} blocks"
    file = cache and Path(cache) / f"{_key(backbone, images, what, precision)}.npy"
    if file and (kept := _read_cache(file, len(images))) is not None:
        return kept
    grid = tuple(-(-side // backbone.patch) for side in images.shape[-2:])
    windows = _windows(backbone, *grid) if output == "patches" else [_WHOLE]
    pieces = list(product(range(len(images)), windows))
    hooked = output == "attention" or blocks > 1  # such a batch sets hooks on the model: one at a time
    workers = min(1 if hooked else _workers(backbone), len(pieces), batch_size or len(pieces))
    at_once = batch_size // workers if batch_size else _at_once(backbone, windows[0].patches or math.prod(grid))
    batches = _batches(pieces, workers, at_once)

    def read(some: Sequence[tuple[int, Window]]) -> torch.Tensor:
        x = torch.cat([_prepared(images[i : i + 1, :, window.rows, window.cols], backbone) for i, window in some])
        return _forward(backbone, x, output, blocks, precision).cpu()

    result = None
    bar = tqdm(total=len(batches), desc=backbone.name, unit="batch", disable=not progress)
    with closing(_side_by_side(read, batches, workers)) as found_in_turn, bar:
        for some, found in zip(batches, found_in_turn, strict=True):
            if result is None:
                shape = (*grid, found.shape[-1]) if output == "patches" else found.shape[1:]
                result = torch.empty(len(images), *shape)
            for (i, window), one in zip(some, found, strict=True):
                result[i][window.into] = one[window.of]
            bar.update()
    if file:
        with complete_or_absent(file) as new, new.open("wb") as stream:
            np.save(stream, result.numpy(), allow_pickle=False)
    return result


class Window(NamedTuple):
    """A part of an image that the network reads at once: its pixels, and which of its patches are kept where."""

    rows: slice
    cols: slice
    into: tuple | EllipsisType
    of: tuple | EllipsisType
    patches: int


_WHOLE = Window(slice(None), slice(None), ..., ..., 0)


def _windows(backbone: Backbone, height: int, width: int) -> list[Window]:
    """The windows in which an image of height x width patches is read; a single one without a `view`."""
    patch = backbone.patch
    side = backbone.view // patch if backbone.view else max(height, width)
    found = []
    for (top, bottom, kept_rows), (left, right, kept_cols) in product(_spans(height, side), _spans(width, side)):
        kept = kept_rows, kept_cols
        of = tuple(slice(k.start - first, k.stop - first) for k, first in zip(kept, (top, left), strict=True))
        pixels = slice(top * patch, bottom * patch), slice(left * patch, right * patch)
        found.append(Window(*pixels, kept, of, (bottom - top) * (right - left)))
    return found


def _spans(whole: int, side: int) -> list[tuple[int, int, slice]]:
    """(first, end, kept) of evenly spaced spans of `side` that cover `whole` and overlap by OVERLAP or more.

    Where two overlap, each keeps its half: what it sees least at its edge is left to its neighbour.
    """
    if side >= whole:
        return [(0, whole, slice(0, whole))]
    n = 1 + math.ceil((whole - side) / (side - OVERLAP))
    firsts = [round(i * (whole - side) / (n - 1)) for i in range(n)]
    edges = [0, *((a + side + b) // 2 for a, b in pairwise(firsts)), whole]
    return [(first, first + side, slice(*edge)) for first, edge in zip(firsts, pairwise(edges), strict=True)]


def _at_once(backbone: Backbone, patches: int) -> int:
    """How many images of so many patches go through together: few on a processor, whose cache holds no more."""
    return max(1, (3_200 if _on_processor(backbone) else 65_536) // patches)


def _on_processor(backbone: Backbone) -> bool:
    return next(backbone.model.parameters()).device.type == "cpu"


def _workers(backbone: Backbone) -> int:
    """How many batches are read side by side: one on each of torch's threads, but one at a time on a GPU."""
    return torch.get_num_threads() if _on_processor(backbone) else 1


def _batches(pieces: Sequence, workers: int, at_once: int) -> list[Sequence]:
    """Pieces in batches of even size, at most `at_once` in each, so that the workers end together."""
    rounds = math.ceil(len(pieces) / (workers * at_once))
    size = math.ceil(len(pieces) / (workers * rounds))
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def _side_by_side(function: Callable, batches: Sequence, workers: int) -> Iterator:
    """function(batch) of every batch, in order; several workers take a batch each and compute on one thread each.

    On two cores the embedded network is read a tenth faster so than with all threads on every layer of one batch
    (`make bench`): its steps are many and short, and no thread waits for the others at the end of each.
    """
    if workers == 1:
        yield from map(function, batches)
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(function, batches)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # a worker's own setting is also what later threads would begin with


def _prepared(images: torch.Tensor, backbone: Backbone) -> torch.Tensor:
    """Pixels as the network takes them, on its device, padded to whole patches."""
    device = next(backbone.model.parameters()).device
    return _padded(_normalised(images.to(device), backbone), backbone.patch)


@torch.inference_mode()
def _forward(backbone: Backbone, x: torch.Tensor, output: str, blocks: int, precision: str) -> torch.Tensor:
    """One batch of prepared images of one size; float32."""
    model = backbone.model
    h, w = x.shape[-2] // backbone.patch, x.shape[-1] // backbone.patch
    with bf16(x.device) if precision == "bf16" else nullcontext():
        if output == "attention":
            return _attention_to_patches(model, x).unflatten(-1, (h, w)).float()  # [B, heads, h, w]
        found = _tokens_of(model, x, blocks).float()  # [B, prefix + h * w, blocks * D]
    if output == "cls":
        return found[:, 0]
    return found if output == "tokens" else found[:, model.num_prefix_tokens :].unflatten(1, (h, w))


def _tokens_of(model: nn.Module, x: torch.Tensor, blocks: int) -> torch.Tensor:
    """[B, prefix + h * w, blocks * D]: what the last blocks put out, each after the final norm, earliest first."""
    if blocks == 1:
        return model.forward_features(x)
    kept = []
    hooks = [block.register_forward_hook(lambda _, __, out: kept.append(out)) for block in model.blocks[-blocks:]]
    try:
        model.forward_features(x)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat([model.norm(out) for out in kept], -1)


def _attention_to_patches(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """[B, heads, h * w]: what the dropout after the last softmax is given, once that block does not fuse it."""
    attention, kept = model.blocks[-1].attn, []
    fused, attention.fused_attn = attention.fused_attn, False
    first = model.num_prefix_tokens
    hook = attention.attn_drop.register_forward_pre_hook(lambda _, a: kept.append(a[0][:, :, 0, first:]))
    try:
        model.forward_features(x)
    finally:
        attention.fused_attn = fused
        hook.remove()
    return kept[0]


def _checked(images: np.ndarray | torch.Tensor, backbone: Backbone | None = None) -> torch.Tensor:
    """[N, bands, H, W] on the CPU, uint8 or float; one plain sentence otherwise."""
    if not isinstance(images, torch.Tensor):
        images = np.asarray(images)
        if images.dtype.kind not in "uif":
            raise ValueError(f"Images must be numbers, not {images.dtype}.")
        images = torch.from_numpy(np.require(images, requirements="CW"))
    images = images.detach().cpu()
    shape = tuple(images.shape)
    if images.ndim != 4 or 0 in shape:
        raise ValueError(f"Images must be [N, 3, rows, cols] with at least one image, not {shape}.")
    bands = backbone.model.patch_embed.proj.in_channels if backbone else shape[1]
    if shape[1] != bands:
        hint = "; move the bands to the front" if shape[-1] == bands else "; pick them with Scene.select"
        raise ValueError(f"'{backbone.name}' takes {bands} bands (RGB), not {shape[1]}{hint}.")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ValueError(f"Images must be uint8 or floats in 0..1, not {images.dtype}.")
    if images.is_floating_point():
        low, high = float(images.min()), float(images.max())  # NaN passes through min and max
        if not np.isfinite(low + high):
            raise ValueError("The images hold NaN or infinite values; fill those pixels first.")
        if (backbone is None or backbone.mean is not None) and not -1e-6 <= low <= high <= 1 + 1e-6:
            raise ValueError(f"Float images must lie in 0..1, but these reach from {low:.3g} to {high:.3g}.")
    return images


def _normalised(images: torch.Tensor, backbone: Backbone | None = None) -> torch.Tensor:
    """float32, scaled to 0..1 and then by the backbone's mean and standard deviation."""
    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if backbone is None or backbone.mean is None:
        return x
    mean, std = (torch.tensor(v, device=x.device).view(-1, 1, 1) for v in (backbone.mean, backbone.std))
    return (x - mean) / std


def _padded(x: torch.Tensor, patch: int) -> torch.Tensor:
    """Bottom and right padded to whole patches, mirrored; repeated where the image is too small to mirror."""
    height, width = x.shape[-2:]
    for size, pad in ((width, (0, -width % patch, 0, 0)), (height, (0, 0, 0, -height % patch))):
        if any(pad):
            x = F.pad(x, pad, mode="reflect" if max(pad) < size else "replicate")
    return x


def _key(backbone: Backbone, images: torch.Tensor, output: str, precision: str) -> str:
    """SHA-256 over everything that the result depends on."""
    about = (backbone.name, backbone.weights_hash, backbone.patch, backbone.heads, backbone.mean, backbone.std)
    if backbone.view and output.startswith("patches"):  # keys of what is read at once stay as they were
        about += backbone.view, OVERLAP
    digest = hashlib.sha256(repr((*about, output, precision, images.dtype, tuple(images.shape))).encode())
    digest.update(images.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _read_cache(file: Path, n: int) -> torch.Tensor | None:
    """A cached result, or None when there is none or it is damaged."""
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    usable = isinstance(array, np.ndarray) and array.dtype == np.float32 and len(array) == n
    return torch.from_numpy(array) if usable else None


# ----------------------------------------------------------------------------------------------- looking


def raw_color(images: np.ndarray | torch.Tensor, patch: int = 8) -> torch.Tensor:
    """The baseline without a network: mean and deviation of every band per patch, [N, h, w, 2 * bands].

    Images as for `patch_features`; values in 0..1, padded alike, so that the grids are the same.
    """
    x = _padded(_normalised(_checked(images)), patch)
    x = x.unflatten(-1, (-1, patch)).unflatten(-3, (-1, patch))  # [N, bands, h, patch, w, patch]
    parts = x.mean((-3, -1)), x.std((-3, -1), correction=0)  # 2 x [N, bands, h, w]
    return torch.cat(parts, 1).movedim(1, -1)  # [N, h, w, 2 * bands]


def similarity(features: torch.Tensor, row: int, col: int) -> torch.Tensor:
    """Cosine of the patch at (row, col) with every patch of its image, [h, w, D] -> [h, w] in -1..1."""
    if features.ndim != 3:
        raise ValueError(f"Take the features of one image, [h, w, D], not {tuple(features.shape)}.")
    if not (0 <= row < features.shape[0] and 0 <= col < features.shape[1]):
        raise ValueError(f"There is no patch ({row}, {col}) in a grid of {tuple(features.shape[:2])}.")
    unit = F.normalize(features.float(), dim=-1)
    return unit @ unit[row, col]


class PcaColors(NamedTuple):
    """Three principal axes and the range that is shown: mean [D], axes [D, 3], low [3], high [3]."""

    mean: torch.Tensor
    axes: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor


def fit_pca(features: torch.Tensor, spread: float = 2.0) -> PcaColors:
    """The axes along which features [..., D] vary most; colours reach from percentile `spread` to 100 - it.

    Deterministic: the largest number of every axis is made positive. ValueError when D < 3 or for NaN.
    """
    rows = features.reshape(-1, features.shape[-1]).double()  # [M, D]
    if rows.shape[1] < 3 or not torch.isfinite(rows).all():
        raise ValueError("Three principal axes need at least three finite numbers per patch.")
    mean = rows.mean(0)
    axes = torch.linalg.eigh((rows - mean).T @ (rows - mean)).eigenvectors[:, -3:].flip(1)  # [D, 3]
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    limits = np.percentile(((rows - mean) @ axes).numpy(), [spread, 100 - spread], axis=0)
    return PcaColors(mean, axes, *torch.from_numpy(limits))


def pca_rgb(features: torch.Tensor, fit: PcaColors | None = None) -> torch.Tensor:
    """Features [..., D] as colours [..., 3] in 0..1 by three principal axes.

    fit: a `fit_pca` of other images, to colour several alike; without it, the axes of these features.
    """
    fit = fit or fit_pca(features)
    shown = (features.double() - fit.mean) @ fit.axes  # [..., 3]
    return ((shown - fit.low) / (fit.high - fit.low).clamp_min(1e-12)).clamp(0, 1).float()

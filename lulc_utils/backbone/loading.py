"""A frozen vision transformer and its weights: embedded in the package, from timm, or from a file."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import timm
import torch
from timm.data import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from lulc_utils.backbone.hub import hub_client
from lulc_utils.literal import counted
from lulc_utils.tensors import build, read, write
from lulc_utils.training import checked_device, own_randomness

SHORT_NAMES = {
    "dino_vits16": "vit_small_patch16_224.dino",
    "dino_vits8": "vit_small_patch8_224.dino",
    "dinov2_vits14": "vit_small_patch14_dinov2.lvd142m",
    "dinov2_vitb14": "vit_base_patch14_dinov2.lvd142m",
    "dinov3_vitl16_sat": "vit_large_patch16_dinov3.sat493m",
}
EMBEDDED = {"img_size": 96, "patch_size": 8, "embed_dim": 192, "depth": 6, "num_heads": 3}
EMBEDDED_VIEW = 120  # side in pixels of the windows that suit it best (model card); a weights file gives its own
OVERLAP = 2  # patches that neighboring windows of a backbone with a view share, at least
EMBEDDED_FILE = Path(__file__).parents[1] / "weights" / "embedded.safetensors"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of RGB in 0..1


@dataclass(frozen=True)
class Backbone:
    """A frozen vision transformer and what is needed to use it.

    name           for tables and captions ("random ViT", "dino_vits16")
    model          timm model in eval mode; none of its parameters takes a gradient
    patch          side of a patch in pixels
    dim, heads     D numbers per token; attention heads of the last block
    mean, std      normalization per band of images in 0..1; None: images are used unchanged, in any range
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


def load(
    name: str = "embedded",
    *,
    weights: str | Path | None = None,
    pretrained: bool = True,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Backbone:
    """A backbone by name: a short name, "embedded", "random" (the same, untrained) or the name of a timm ViT.

    weights      a local .safetensors, .pth or .pt file (tensors only, never unpickled) instead of the hub's
    pretrained   False: random weights drawn from `seed`; the global random state is unchanged

    ValueError: unknown name or device, or a file that does not hold this model. FileNotFoundError: no such file, or the
    embedded weights are not shipped. RuntimeError: the hub cannot be reached.
    """
    device = checked_device(device)
    trained = weights is not None or (pretrained and name != "random")
    with own_randomness(seed):
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
    is not a plain ViT, or the view is not a multiple of the patch.
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
    """Write weights and architecture as .safetensors, for `load("embedded", weights=path)`.

    For plain timm VisionTransformers such as the embedded one. `notes` (license, data) go into the metadata.
    The file appears only when it is complete.
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


def _embedded(path: str | Path | None) -> Backbone:
    """The book's own small ViT: architecture from the file's metadata, else EMBEDDED; random without a file."""
    if path == EMBEDDED_FILE and not EMBEDDED_FILE.exists():
        raise FileNotFoundError(
            "The embedded weights are not part of this version yet; use 'random' (untrained, offline) or "
            "'dino_vits16' (from the hub)."
        )
    tensors, metadata = _read_weights(path) if path else ({}, {})
    try:
        shape, mean, std, view = _described(metadata) if path else (EMBEDDED, *IMAGENET, EMBEDDED_VIEW)
        model = build(lambda: VisionTransformer(**shape, num_classes=0, dynamic_img_size=True), tensors)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The metadata of {path} does not describe a ViT: {error}.") from None
    if path:
        _fill(model, tensors, path)
    return wrap(model, "embedded", mean=mean, std=std, view=view)


def _described(metadata: dict[str, str]) -> tuple[dict, tuple, tuple, int | None]:
    """Architecture, mean, standard deviation and view in the metadata of a file; TypeError or ValueError."""
    shape, mean, std, view = (
        json.loads(metadata.get(key, json.dumps(usual)))
        for key, usual in (("architecture", EMBEDDED), ("mean", IMAGENET[0]), ("std", IMAGENET[1]), ("view", None))
    )
    sizes = [*shape.values()] if isinstance(shape, dict) and shape.keys() == EMBEDDED.keys() else [0]
    whole = all(type(size) is int and 0 < size < 10_000 for size in sizes)
    if not whole or shape["depth"] > 100 or shape["embed_dim"] % shape["num_heads"]:
        raise ValueError(f"an architecture has the whole numbers {', '.join(EMBEDDED)}")
    numbers = [type(number) in (int, float) for values in (mean, std) for number in values]
    if numbers != [True] * 6 or min(std) <= 0 or not (view is None or type(view) is int):
        raise ValueError("mean and std are three numbers each, and view is a whole number")
    return shape, tuple(mean), tuple(std), view


def _from_timm(name: str, weights: str | Path | None, hub: bool) -> Backbone:
    """A ViT of timm with weights from the hub or a file, or as timm initializes it."""
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
        with hub_client() if hub else nullcontext():
            model = timm.create_model(full, pretrained=hub, num_classes=0, dynamic_img_size=True)
    except TypeError:
        raise ValueError(f"'{name}' is not a vision transformer that takes images of any size.") from None
    except Exception as error:
        if not hub:
            raise
        raise RuntimeError(
            f"The weights of '{name}' could not be fetched from the hub ({type(error).__name__}); use 'embedded' or "
            "'random', which need no network, or pass weights=FILE with a file you have."
        ) from None
    if weights is not None:
        tensors, _ = _read_weights(weights)
        _fill(model, tensors, weights)
    config = resolve_model_data_config(model)
    return wrap(model, name, mean=tuple(config["mean"]), std=tuple(config["std"]))


def _read_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(tensors, metadata) of a file; nothing but tensors is unpickled."""
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
    """Load tensors into the model; ValueError names those that are missing or do not belong."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)  # e.g. DINOv2's names
    try:
        tensors = convert(dict(tensors), model) if convert and tensors else tensors
        tensors = {k: v for k, v in tensors.items() if not k.startswith("head.")}  # the classifier is not used
        result = model.load_state_dict(tensors, strict=False)
        missing, extra = result.missing_keys, result.unexpected_keys
    except (RuntimeError, KeyError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{path} does not fit this model: {reason}") from None
    if missing or extra:
        few = ", ".join(missing[:3] or extra[:3])
        what = f"lacks {len(missing)} of its tensors" if missing else f"has {counted(len(extra), 'tensor')} too many"
        raise ValueError(f"{path} does not fit this model: it {what} ({few}, ...).")

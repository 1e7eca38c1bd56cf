"""Files of tensors: .safetensors in and out, .pth and .pt in, and nothing in a file is ever run as code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from lulc_utils.files import check_readable, complete_or_absent

LARGE = 10_000_000  # numbers of a network that any machine can hold


def write(path: str | Path, tensors: Mapping[str, torch.Tensor], notes: Mapping[str, str] | None = None) -> Path:
    """Write tensors and notes as .safetensors, completely or not at all (`files.complete_or_absent`)."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with complete_or_absent(path) as part:
        save_file(on_cpu, part, dict(notes or {}))
    return Path(path)


def build(make: Callable[[], nn.Module], weights: Mapping[str, torch.Tensor]) -> nn.Module:
    """The network that `make` builds from the notes of a file, to be filled with the weights of that file.

    ValueError when the notes of a small file describe a huge network, which could fill the memory.
    """
    with torch.device("meta"):  # numbers without memory
        size = sum(p.numel() for p in make().parameters())
    if size > max(LARGE, 2 * sum(w.numel() for w in weights.values())):
        raise ValueError(f"a network of {size:,} numbers")
    return make()


def read(path: str | Path) -> tuple[dict, dict[str, str]]:
    """(tensors by name, notes) of a .safetensors file; (the object that holds the tensors, {}) of a .pth or .pt file.

    FileNotFoundError: no such file. PermissionError: it may not be read. ValueError: another kind of file, an
    incomplete one, or one with more than tensors, which could run code.
    """
    path = Path(path)
    check_readable(path, "weights file")
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except (SafetensorError, OSError):
            raise ValueError(f"{path} is not a complete safetensors file; download or save it again.") from None
    if path.suffix not in (".pth", ".pt"):
        raise ValueError(f"Weights must be a .safetensors, .pth or .pt file, not {path.name}.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True), {}
    except Exception as error:
        raise ValueError(
            f"{path} was not loaded ({type(error).__name__}): it is damaged or holds more than tensors, which "
            "could run code; save its tensors as .safetensors."
        ) from None

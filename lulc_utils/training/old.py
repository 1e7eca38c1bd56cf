"""Until dino and contrastive are written for `Run`: what they use of the old checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from lulc_utils.files import check_readable, complete_or_absent


def write_lines(path: Path, records: list[dict], mode: str) -> None:
    """Write ("w") or append ("a") records as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def save_checkpoint(path: Path, settings: dict, run: dict) -> None:
    """All of `run` as tensors and plain values; the old file stays until the new one is complete."""
    content = {k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in run.items()}
    with complete_or_absent(path) as part:
        torch.save({**content, "settings": _plain(settings)}, part)


def restore(path: Path, settings: dict, run: dict, device: str | torch.device) -> None:
    """Fill `run` from a checkpoint; ValueError when it is damaged or of another training."""
    check_readable(path, "checkpoint")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        old = content.pop("settings")
    except Exception as error:
        raise ValueError(
            f"{path} is not a complete checkpoint ({type(error).__name__}); delete it to start again."
        ) from None
    changed = [key for key, value in _plain(settings).items() if old.get(key) != value]
    if changed:
        raise ValueError(
            f"{path} was written with another {', '.join(changed)}; use the same settings, another checkpoint, "
            "or resume=False (--fresh) to start again."
        )
    for key, value in content.items():
        if hasattr(run[key], "load_state_dict"):
            run[key].load_state_dict(value)
        else:
            run[key] = value


def _plain(settings: dict) -> dict:
    return json.loads(json.dumps(settings))

"""A training run that can be interrupted: its state, its records, and where both are saved.

This is not an engine: each method writes its own loop over `Run.steps` and defines its own step.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from lulc_utils.files import alone, check_readable, check_target, check_writable, complete_or_absent
from lulc_utils.training.distributed import rank
from lulc_utils.training.settings import Checked, add_options, option


@dataclass(frozen=True)
class Saving(Checked):
    """What a training run saves and shows; by default nothing.

    checkpoint         file to continue from, if it exists and `resume`, and to write every `checkpoint_every` steps
    history            JSON-lines file to which a record is appended every `log_every` steps
    progress           a progress bar
    """

    checkpoint: str | Path | None = None
    checkpoint_every: int = option(100, "updates that a crash may lose", least=1)
    resume: bool = True
    history: str | Path | None = None
    log_every: int = option(10, "updates between two records", least=1)
    progress: bool = False


class Run:
    """One training run, continued from where an earlier one stopped.

        run = Run(settings, saving, {"model": model, "optimizer": optimizer})
        for step in run.steps("DINO"):
            generator = step_generator(settings.seed, step)
            ...                                               # the method
            run.record({"loss": float(loss), "lr": rate})

    settings   a dataclass with `steps` and `seed`; a run continues only with the same ones (except `steps`)
    parts      everything that changes: modules, optimizers, tensors, lists or plain values; filled in place when the
               run continues, except for plain values, which must be read from `run.parts`
    about      what else must be the same, such as the number of images

    A step must depend only on parts, settings and its number; then a resumed run equals an unbroken one.
    """

    def __init__(
        self,
        settings: Any,
        saving: Saving,
        parts: dict[str, Any],
        *,
        about: dict[str, Any] | None = None,
    ):
        self.parts, self.records, self.step, self.saving = parts, [], 0, saving
        identity = {**asdict(settings), **(about or {})}
        self.total = identity.pop("steps")
        self.identity = json.loads(json.dumps(identity))  # tuples become lists, as they will be in the checkpoint
        self.main = rank() == 0
        self.checkpoint, self.history = (p and Path(p) for p in (saving.checkpoint, saving.history))
        self.bar = None

    def steps(self, title: str) -> Iterator[int]:
        """The numbers of the remaining steps, from 0; a checkpoint that is due is saved after each step.

        ValueError: the checkpoint belongs to a different training. RuntimeError: another run is writing it now.
        """
        with alone(self.checkpoint) if self.checkpoint and self.main else nullcontext():
            if self.checkpoint and self.saving.resume and self.checkpoint.exists():
                self._restore()
            if self.main:
                self._write_history("w", self.records)
            hidden = not (self.saving.progress and self.main)
            with tqdm(total=self.total, initial=min(self.step, self.total), desc=title, disable=hidden) as self.bar:
                while self.step < self.total:
                    yield self.step
                    self.step += 1
                    last = self.step == self.total
                    if self.checkpoint and self.main and (last or self.step % self.saving.checkpoint_every == 0):
                        self._save()
                    self.bar.update()

    @property
    def due(self) -> bool:
        """Whether the current step is to be recorded."""
        return (self.step + 1) % self.saving.log_every == 0 or self.step + 1 == self.total

    def record(self, numbers: dict[str, float]) -> None:
        """Save and show the numbers of this step if a record is due; ValueError when "loss" is not finite."""
        step = self.step + 1
        if not math.isfinite(numbers["loss"]):
            raise ValueError(f"The loss is not finite at step {step}; lower lr, or use precision 'fp32'.")
        if self.due:
            self.records.append({"step": step, **numbers})
            self.bar.set_postfix({name: f"{value:.2f}" for name, value in list(numbers.items())[:2]})
            if self.main:
                self._write_history("a", self.records[-1:])

    def _write_history(self, mode: str, records: list[dict]) -> None:
        if self.history:
            check_target(self.history)  # opening a pipe would wait for ever
            self.history.parent.mkdir(parents=True, exist_ok=True)
            with self.history.open(mode, encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in records)

    def _save(self) -> None:
        content = {k: v.state_dict() if hasattr(v, "state_dict") else v for k, v in self.parts.items()}
        with complete_or_absent(self.checkpoint) as part:
            torch.save({"settings": self.identity, "step": self.step, "records": self.records, "parts": content}, part)

    def _restore(self) -> None:
        """Fill `parts` from the checkpoint; ValueError when it is damaged or belongs to a different training."""
        path = self.checkpoint
        check_readable(path, "checkpoint")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            old, step, records, parts = (content[key] for key in ("settings", "step", "records", "parts"))
        except Exception as error:
            raise ValueError(self._unusable(error)) from None
        if changed := [key for key, value in self.identity.items() if old.get(key) != value]:
            raise ValueError(
                f"{path} was written with a different {', '.join(changed)}; use the same settings, another checkpoint, "
                "or resume=False (--fresh) to start again."
            )
        try:
            for name, value in self.parts.items():
                self.parts[name] = _filled(value, parts[name])
        except Exception as error:
            raise ValueError(self._unusable(error)) from None
        self.step, self.records = step, records

    def _unusable(self, error: Exception) -> str:
        kind = type(error).__name__
        return f"{self.checkpoint} is not a complete checkpoint of this version ({kind}); delete it to start again."


def _filled(part: Any, value: Any) -> Any:
    """The part with its saved value: changed in place where possible."""
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(value)
    elif isinstance(part, torch.Tensor):
        part.copy_(value)
    elif isinstance(part, list):
        part[:] = value
    else:
        return value
    return part


# -------------------------------------------------------------------------------------------------- command line


def add_training_options(parser: argparse.ArgumentParser, settings: type) -> None:
    """The options of every command that trains: its settings, and where to write what."""
    add = parser.add_argument
    add("--out", type=Path, required=True, help="weights, .safetensors; NAME.checkpoint and NAME.jsonl go next to it")
    add("--device", default="cpu", help="cpu or cuda")
    add("--fresh", action="store_true", help="start again even if there is a checkpoint")
    add_options(parser, settings)
    add_options(parser, Saving)


def saving_beside(options: argparse.Namespace) -> Saving:
    """Checkpoint and history next to --out; ValueError when --out does not end in .safetensors."""
    out = options.out
    if out.suffix != ".safetensors":
        raise ValueError(f"Weights are written as .safetensors; call the file {out.stem}.safetensors.")
    check_writable(out)
    return Saving(
        checkpoint=out.with_suffix(".checkpoint"),
        checkpoint_every=options.checkpoint_every,
        resume=not options.fresh,
        history=out.with_suffix(".jsonl"),
        log_every=options.log_every,
        progress=True,
    )

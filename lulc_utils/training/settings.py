"""Settings as frozen dataclasses with limits on their fields; the command line has the same options and checks.

@dataclass(frozen=True)
class Settings(Checked):
    steps: int = option(400, "updates", least=1)
    tau: float = option(0.1, "temperature", above=0)
    overlap: float = option(0.25, least=0, most=1)      # without a help text: not an option of the command line

Settings(tau=0)         ValueError: tau must be a number above 0, not 0.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields
from numbers import Integral, Real
from typing import Any, TypeVar

T = TypeVar("T")


def option(
    default: Any = MISSING,
    help: str = "",  # noqa: A002  (argparse's word for it)
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A field of a settings class: its default and limits; with a help text it is also a command-line option.

    least, most, above   limits of a number, or of every number of a tuple
    choices              the allowed strings
    """
    limits = {"help": help, "least": least, "most": most, "above": above, "choices": tuple(choices)}
    if isinstance(default, dict):  # a dataclass wants a new one for every object
        return field(default_factory=default.copy, metadata=limits)
    return field(default=default, metadata=limits)


def seed_option(help: str = "") -> Any:  # noqa: A002
    """The field of a seed: 0 by default; so many that `schedule.step_generator` has a stream for every step."""
    return option(0, help, least=0, most=10**12)


class Checked:
    """Base of settings classes: a value outside its limits raises ValueError with one plain sentence."""

    def __post_init__(self) -> None:
        """Check every field made by `option`; a field that may be None is checked only when it is not None."""
        for f in fields(self):
            value = getattr(self, f.name)
            if f.metadata and not _fits(value, f):
                raise ValueError(f"{f.name} must be {_words(f)}, not {value!r}.")


def _fits(value: Any, f: Field) -> bool:
    if value is None and "None" in str(f.type):
        return True
    if isinstance(f.default, tuple):
        return isinstance(value, (tuple, list)) and len(value) == len(f.default) and all(_within(v, f) for v in value)
    return _within(value, f)


def _within(value: Any, f: Field) -> bool:
    limits, kind = f.metadata, _kind(f)
    if limits["choices"]:
        return value in limits["choices"]
    if kind not in (int, float):
        return True
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real) or not math.isfinite(value):
        return False
    least, most, above = limits["least"], limits["most"], limits["above"]
    return not (
        (least is not None and value < least)
        or (most is not None and value > most)
        or (above is not None and value <= above)
    )


def _kind(f: Field) -> type:
    """int, float, str, bool or the type of the default (of its first element)."""
    default = f.default[0] if isinstance(f.default, tuple) and f.default else f.default
    return type(default)


def _words(f: Field) -> str:
    limits = f.metadata
    if limits["choices"]:
        return f"one of {', '.join(limits['choices'])}"
    many = isinstance(f.default, tuple)
    what = ("whole number" if _kind(f) is int else "number") + "s" * many
    names = {"above": "above", "least": "of at least", "most": "of at most"}
    bounds = [f"{word} {limits[name]:g}" for name, word in names.items() if limits[name] is not None]
    return " ".join([str(len(f.default)) if many else "a", what, " and ".join(bounds)]).strip()


# -------------------------------------------------------------------------------------------------- command line


def add_options(parser: argparse.ArgumentParser, settings: type) -> None:
    """One option for every field that has a help text: `teacher_temp` becomes --teacher-temp."""
    for f in _optional(settings):
        name, default = f"--{f.name.replace('_', '-')}", f.default
        kwargs: dict = {"default": default, "help": f.metadata["help"]}
        if isinstance(default, bool):
            kwargs["action"] = "store_true"
        else:
            kwargs["type"] = _kind(f)
        if isinstance(default, tuple):
            kwargs["nargs"] = len(default)
        if f.metadata["choices"]:
            kwargs["choices"] = f.metadata["choices"]
        parser.add_argument(name, **kwargs)


def from_options(settings: type[T], options: argparse.Namespace) -> T:
    """The settings given on the command line; ValueError as when they are made by hand."""
    values = {f.name: getattr(options, f.name) for f in _optional(settings)}
    return settings(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _optional(settings: type) -> list[Field]:
    return [f for f in fields(settings) if f.metadata and f.metadata["help"]]

"""Is this environment ready for the book? Checks everything a chapter needs and says how to fix what is wrong.

    python -m lulc_utils doctor

Each line begins with a word: OK, NOTE (works, but worth knowing) or FIX (a chapter would stop; the line says what to
do). Exits with 1 when there is something to fix. In a chapter, `doctor.report()` prints one line instead.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator

from lulc_utils import __version__
from lulc_utils.doctor.packages import Finding, check_packages, check_pair, check_python, problems, versions
from lulc_utils.literal import counted


def findings() -> Iterator[Finding]:
    """All checks in order; those that need working packages run only when the packages work."""
    yield from check_python()
    packages = [*check_packages(), *check_pair()]
    yield from packages
    if any(finding.word == "FIX" for finding in packages):
        yield Finding("NOTE", "device, folders, data and weights were not checked: fix the packages first.")
        return
    from lulc_utils.doctor import machine  # needs the packages

    for check in (machine.check_machine, machine.check_folders, machine.check_data, machine.check_weights):
        yield from check()


def report(gpu: bool = False) -> None:
    """Print in one line what a chapter runs on, or stop with one sentence per problem if it cannot run.

    gpu    the chapter should have a GPU: one more sentence says so when there is none
    """
    if wrong := problems():
        raise SystemExit("This environment cannot run the book yet.\n" + "\n".join(wrong))
    from lulc_utils.doctor.machine import cores, data_source, device  # needs the packages

    installed, where = versions(), device()
    print(f"lulc_utils {__version__}, Python {platform.python_version()}, torch {installed['torch']}, ", end="")
    print(f"timm {installed['timm']}; device: {where} ({counted(cores(), 'core')}); real data from {data_source()}")
    if gpu and where == "cpu":
        print("There is no GPU here, so this chapter will be slow (on Colab: Runtime, Change runtime type, T4 GPU).")


def add_options(parser: argparse.ArgumentParser) -> None:
    """No options: the doctor checks everything."""


def run(options: argparse.Namespace) -> int:
    """Print every finding; 0 when there is nothing to fix."""
    to_fix = 0
    for word, text in findings():
        print(f"{word:5}{text}", flush=True)
        to_fix += word == "FIX"
    print("All is well." if not to_fix else f"To fix: {to_fix}. The lines that begin with FIX say how.")
    return int(to_fix > 0)

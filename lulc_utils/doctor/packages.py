"""Are Python and the packages installed, new enough, and compatible?"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PACKAGES = (
    "numpy", "scipy", "scikit-learn", "matplotlib", "torch", "torchvision", "timm", "rasterio", "folium", "pooch",
    "tqdm", "safetensors", "pyyaml",
)  # fmt: skip
MODULES = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
BOOK = ("jupyter-book", "papermill", "nbval")  # only builders of the book need these
OLDEST_PYTHON = (3, 10)
PAIR = "`pip install --upgrade --force-reinstall torch torchvision` (both in one command)"


class Finding(NamedTuple):
    """One line of the report: a word (OK, NOTE or FIX) and a sentence."""

    word: str
    text: str


def versions() -> dict[str, str | None]:
    """Version of each package the book needs; None when it is not installed."""
    return {name: version_of(name) for name in [*PACKAGES, *BOOK]}


def version_of(name: str) -> str | None:
    """Version of an installed package; None when it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def required_by(name: str) -> dict[str, SpecifierSet]:
    """{package: versions} that an installed package requires on this machine, without its extras."""
    try:
        asked = [Requirement(line) for line in importlib.metadata.requires(name) or []]
    except importlib.metadata.PackageNotFoundError:
        return {}
    return {r.name.lower(): r.specifier for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})}


def problems() -> list[str]:
    """One plain sentence for every package that would stop a chapter; empty when all is well."""
    installed, ours = versions(), required_by("lulc-utils")
    return [sentence for name in PACKAGES if (sentence := _problem(name, installed, ours.get(name, SpecifierSet())))]


def _problem(name: str, installed: dict[str, str | None], allowed: SpecifierSet) -> str | None:
    """What is wrong with one package, and what to do; None when nothing is."""
    if installed[name] is None:
        return f"{name} is not installed: run `pip install {name}`."
    if not allowed.contains(installed[name], prereleases=True):
        return f"{name} {installed[name]} does not satisfy {allowed}: run `pip install '{name}{allowed}'`."
    try:
        importlib.import_module(MODULES.get(name, name))
    except Exception as error:  # an import can raise anything, and the reader must know it
        return _explain(name, error, installed)
    return None


def _explain(name: str, error: Exception, installed: dict[str, str | None]) -> str:
    """Why a package that is installed cannot be imported."""
    if "torchvision::" in str(error) or (name in ("torchvision", "timm") and "torch" in str(error)):
        return (
            f"{name} cannot be imported because torch {installed['torch']} and torchvision {installed['torchvision']} "
            f"are not a matching pair (for example one for the CPU and one for CUDA): run {PAIR}."
        )
    if re.search(r"numpy.*(size changed|binary)", str(error)):
        return f"{name} was built for another numpy: restart the kernel, then run the first cell again."
    return f"{name} is installed but cannot be imported: {str(error).splitlines()[0] if str(error) else error!r}"


def check_python() -> Iterator[Finding]:
    """Is this Python new enough?"""
    if sys.version_info[:2] < OLDEST_PYTHON:
        need = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("FIX", f"Python {platform.python_version()} is too old: install Python {need} or newer.")
    else:
        yield Finding("OK", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")


def check_packages() -> Iterator[Finding]:
    """Are all packages installed, new enough and importable?"""
    wrong, installed = problems(), versions()
    for sentence in wrong:
        yield Finding("FIX", sentence)
    if not wrong:
        yield Finding("OK", "packages: " + ", ".join(f"{name} {installed[name]}" for name in PACKAGES))
    absent = [name for name in BOOK if installed[name] is None]
    if absent:
        yield Finding("NOTE", f"only to build the book: {', '.join(absent)} missing; `make book` installs them.")


def check_pair() -> Iterator[Finding]:
    """Do torch and torchvision match (version, and CPU or CUDA)?"""
    torch, vision = version_of("torch"), version_of("torchvision")
    if torch is None or vision is None:
        return  # reported by check_packages
    wanted = required_by("torchvision").get("torch", SpecifierSet())
    built = [version.partition("+")[2] for version in (torch, vision)]
    if not wanted.contains(torch, prereleases=True):
        yield Finding("FIX", f"torchvision {vision} needs torch{wanted}, but torch is {torch}: run {PAIR}.")
    elif all(built) and built[0] != built[1]:
        yield Finding("FIX", f"torch is built for {built[0]}, torchvision for {built[1]}: run {PAIR}.")
    else:
        yield Finding("OK", f"torch {torch} and torchvision {vision} are a matching pair")

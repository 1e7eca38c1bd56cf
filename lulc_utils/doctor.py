"""Is this environment fit for the book? Looks at everything a chapter needs and says how to mend what does not fit.

    python -m lulc_utils doctor

Each line begins with a word: OK, NOTE (works, but worth knowing) or FIX (a chapter would stop; the line says what to
do). Exits with 1 when there is something to fix. In a chapter, `doctor.report()` prints one line instead.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGES = "numpy scipy scikit-learn matplotlib torch torchvision timm rasterio folium pooch tqdm safetensors pyyaml"
MODULES = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
BOOK = "jupyter-book papermill nbval"  # only builders of the book need these
OLDEST_PYTHON = (3, 10)
EMBEDDED_SHA256 = "0c556d45441c4e190af9ac238047765cb411bb83961a2a0f900360148a9ebf30"  # of the weights in this package
PAIR = "`pip install --upgrade --force-reinstall torch torchvision` (both in one command)"


class Finding(NamedTuple):
    """One line of the report: a word (OK, NOTE or FIX) and a sentence."""

    word: str
    text: str


# ------------------------------------------------------------------------------------------------- packages


def versions() -> dict[str, str | None]:
    """Version of each package the book needs; None when it is not installed."""
    return {name: _version(name) for name in [*PACKAGES.split(), *BOOK.split()]}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _required(name: str) -> dict[str, str]:
    """Package -> version range ("" for any) that an installed package asks for, without its extras."""
    try:
        asked = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    parts = (re.match(r"([\w.-]+)\s*\(?([^;)]*)", line) for line in asked if "extra ==" not in line)
    return {part[1].lower(): part[2].strip() for part in parts if part}


def problems() -> list[str]:
    """One plain sentence for every package that would stop a chapter; empty when all is well."""
    found, sentences, ours = versions(), [], _required("lulc-utils")
    for name in PACKAGES.split():
        if found[name] is None:
            sentences.append(f"{name} is not installed: run `pip install {name}`.")
            continue
        if not _admits(ours.get(name, ""), found[name]):
            sentences.append(
                f"{name} {found[name]} does not satisfy {ours[name]}: run `pip install '{name}{ours[name]}'`."
            )
            continue
        try:
            importlib.import_module(MODULES.get(name, name))
        except Exception as error:  # whatever an import can raise is what the reader must be told
            sentences.append(_explain(name, error, found))
    return sentences


def _admits(versions_allowed: str, version: str) -> bool:
    """Whether a range such as ">=2.4" admits a version; what runs is not refused for lack of the `packaging` tool."""
    try:
        from packaging.specifiers import SpecifierSet
    except ModuleNotFoundError:
        return True
    return SpecifierSet(versions_allowed).contains(version, prereleases=True)


def _explain(name: str, error: Exception, found: dict) -> str:
    """Why a package that is installed cannot be imported."""
    if "torchvision::" in str(error) or (name in ("torchvision", "timm") and "torch" in str(error)):
        return (
            f"{name} cannot be imported because torch {found['torch']} and torchvision {found['torchvision']} "
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
    """Are all packages there, new enough, and can they be imported?"""
    wrong, found = problems(), versions()
    for sentence in wrong:
        yield Finding("FIX", sentence)
    if not wrong:
        yield Finding("OK", "packages: " + ", ".join(f"{name} {found[name]}" for name in PACKAGES.split()))
    absent = [name for name in BOOK.split() if found[name] is None]
    if absent:
        yield Finding("NOTE", f"only to build the book: {', '.join(absent)} missing; `make book` installs them.")


def check_pair() -> Iterator[Finding]:
    """Were torch and torchvision made for each other (version, and CPU or CUDA)?"""
    torch, vision = _version("torch"), _version("torchvision")
    if torch is None or vision is None:
        return  # check_packages has said so
    wanted = _required("torchvision").get("torch", "")
    built = [version.partition("+")[2] for version in (torch, vision)]
    if not _admits(wanted, torch):
        yield Finding("FIX", f"torchvision {vision} needs torch{wanted}, but torch is {torch}: run {PAIR}.")
    elif all(built) and built[0] != built[1]:
        yield Finding("FIX", f"torch is built for {built[0]}, torchvision for {built[1]}: run {PAIR}.")
    else:
        yield Finding("OK", f"torch {torch} and torchvision {vision} are a matching pair")


# -------------------------------------------------------------------------------------------------- machine


def device() -> str:
    """Where torch would compute: "cuda", "mps" or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_machine() -> Iterator[Finding]:
    """Where does torch compute, and with how many threads?"""
    import torch

    where, threads = device(), torch.get_num_threads()
    name = f" ({torch.cuda.get_device_name()})" if where == "cuda" else ""
    yield Finding("OK", f"torch computes on: {where}{name}; processor cores: {cores()}, threads: {threads}")
    asked = next((v for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(v)), "")
    if threads > cores():
        cause = f"unset {asked}" if asked else f"set OMP_NUM_THREADS={cores()}"
        yield Finding("NOTE", f"more threads than cores make everything slower: {cause} before starting Python.")
    elif threads == 1 and cores() > 1 and asked:
        yield Finding("NOTE", f"{asked} is {os.environ[asked]}, so one core works alone: unset it to use all.")


# ------------------------------------------------------------------------------------------ files and data


def check_folders() -> Iterator[Finding]:
    """Can the folders for data and features be written to, and is there room for all data sets?"""
    from lulc_utils import backbone, data

    need = sum(data.about(name)["bytes"] for name in data.names() if data.missing(name))
    for what, folder, variable, space in (
        ("data", data.cache_folder(), "LULC_DATA_DIR", need),
        ("features", backbone.features_folder(), "LULC_CACHE_DIR", 0),
    ):
        there = _nearest(folder)
        free = shutil.disk_usage(there).free
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield Finding("FIX", f"the folder for {what}, {folder}, cannot be written to: set {variable} to another.")
        elif free < space:
            yield Finding(
                "FIX",
                f"{folder} has {free / 1e6:.0f} MB free, but {what} still to come take {space / 1e6:.0f} MB: "
                f"make room, or set {variable} to a folder on another disk.",
            )
        else:
            made = "" if folder.is_dir() else ", made when first needed"
            yield Finding("OK", f"folder for {what}: {folder} ({free / 1e9:.1f} GB free{made})")


def _nearest(folder: Path) -> Path:
    """The folder or, when it does not exist yet, the nearest one above it that does."""
    return next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())


def check_data() -> Iterator[Finding]:
    """Which data sets are here, and how to get the others?"""
    from lulc_utils import data

    mirror = os.environ.get("LULC_DATA_MIRROR", "")
    if mirror and "://" not in mirror and not Path(mirror).expanduser().is_dir():
        yield Finding("FIX", f"LULC_DATA_MIRROR is {mirror}, but there is no such folder: correct it or unset it.")
    yield Finding("OK", f"real data come from {data_source()}")
    for name in data.names():
        absent, size = data.missing(name), data.about(name)["bytes"] / 1e6
        if not absent:
            yield Finding("OK", f"data set {name}: here ({size:.1f} MB)")
        elif _offline() and not mirror:
            yield Finding("NOTE", f"data set {name}: not here, and LULC_OFFLINE forbids to fetch it; unset it first.")
        else:
            get = f"`python -m lulc_utils data fetch {name}`"
            yield Finding("NOTE", f"data set {name}: {len(absent)} files missing; {get} ({size:.1f} MB) gets them.")


def check_weights() -> Iterator[Finding]:
    """Are the embedded weights those that were shipped, and do they load?"""
    from lulc_utils import backbone

    mend = "install lulc-utils again (`pip install --force-reinstall --no-deps ...` or a fresh clone)"
    path = backbone.EMBEDDED_FILE
    if not path.is_file():
        yield Finding("FIX", f"the embedded weights {path} are missing: {mend}.")
    elif hashlib.sha256(path.read_bytes()).hexdigest() != EMBEDDED_SHA256:
        yield Finding("FIX", f"the embedded weights {path} are damaged or were changed (SHA-256): {mend}.")
    else:
        try:
            dim = backbone.load("embedded", weights=path).dim
        except (ValueError, RuntimeError, OSError) as error:
            yield Finding("FIX", f"the embedded weights do not load ({error}): {mend}.")
        else:
            yield Finding("OK", f"embedded weights: complete (SHA-256), they load ({dim} numbers per patch)")


def _offline() -> bool:
    return os.environ.get("LULC_OFFLINE", "0").lower() not in ("", "0", "false", "no")


def data_source() -> str:
    """Where real data would come from, in words."""
    if os.environ.get("LULC_DATA_MIRROR"):
        return "a mirror (LULC_DATA_MIRROR)"
    return "the cache only (LULC_OFFLINE is set)" if _offline() else "the cache, else the web"


# --------------------------------------------------------------------------------------------------- reports


def findings() -> Iterator[Finding]:
    """All checks in order; those that need working packages only when the packages work."""
    yield from check_python()
    packages = [*check_packages(), *check_pair()]
    yield from packages
    if any(finding.word == "FIX" for finding in packages):
        yield Finding("NOTE", "device, folders, data and weights were not looked at: mend the packages first.")
        return
    for check in (check_machine, check_folders, check_data, check_weights):
        yield from check()


def report(gpu: bool = False) -> None:
    """Print in one line what a chapter runs on, or stop with one sentence per problem if it cannot run.

    gpu    the chapter wants a GPU: when there is none, one more sentence says so
    """
    from . import __version__

    wrong = problems()
    if wrong:
        raise SystemExit("This environment cannot run the book yet.\n" + "\n".join(wrong))
    found, where = versions(), device()
    print(f"lulc_utils {__version__}, Python {platform.python_version()}, torch {found['torch']}, ", end="")
    print(f"timm {found['timm']}; device: {where} ({cores()} cores); real data from {data_source()}")
    if gpu and where == "cpu":
        print("There is no GPU here, so this chapter will be slow (on Colab: Runtime, Change runtime type, T4 GPU).")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every finding; 0 when there is nothing to fix."""
    argparse.ArgumentParser("python -m lulc_utils doctor", description=__doc__.splitlines()[0]).parse_args(arguments)
    to_fix = 0
    for word, text in findings():
        print(f"{word:5}{text}", flush=True)
        to_fix += word == "FIX"
    print("All is well." if not to_fix else f"To fix: {to_fix}. The lines that begin with FIX say how.")
    return int(to_fix > 0)


if __name__ == "__main__":
    sys.exit(main())

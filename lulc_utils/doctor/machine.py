"""Device, threads, folders, data sets and weights: what a chapter needs apart from the packages."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from lulc_utils import backbone, data
from lulc_utils.doctor.packages import Finding
from lulc_utils.literal import counted

EMBEDDED_SHA256 = "a2d798e6d5066b54fd89a4949b72352d14b0727919f8f0557593103a0f5cd433"  # of the weights in this package


def device() -> str:
    """Where torch would compute: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_machine() -> Iterator[Finding]:
    """On what device does torch compute, and with how many threads?"""
    where, threads = device(), torch.get_num_threads()
    name = f" ({torch.cuda.get_device_name()})" if where == "cuda" else ""
    yield Finding("OK", f"torch computes on: {where}{name}; processor cores: {cores()}, threads: {threads}")
    asked = next((v for v in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(v)), "")
    if threads > cores():
        cause = f"unset {asked}" if asked else f"set OMP_NUM_THREADS={cores()}"
        yield Finding("NOTE", f"more threads than cores make everything slower: {cause} before starting Python.")
    elif threads == 1 and cores() > 1 and asked:
        yield Finding("NOTE", f"{asked} is {os.environ[asked]}, so one core works alone: unset it to use all.")


def check_folders() -> Iterator[Finding]:
    """Are the folders for data and features writable, and is there room for all data sets?"""
    need = sum(data.about(name)["bytes"] for name in data.names() if data.missing(name))
    for what, folder, variable, space in (
        ("data", data.cache_folder(), "LULC_DATA_DIR", need),
        ("features", backbone.features_folder(), "LULC_CACHE_DIR", 0),
    ):
        nearest = _nearest(folder)
        free = shutil.disk_usage(nearest).free
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            yield Finding("FIX", f"the folder for {what}, {folder}, is not writable: set {variable} to another.")
        elif free < space:
            yield Finding(
                "FIX",
                f"{folder} has {free / 1e6:.0f} MB free, but {what} still need {space / 1e6:.0f} MB: "
                f"make room, or set {variable} to a folder on another disk.",
            )
        else:
            made = "" if folder.is_dir() else ", created when first needed"
            yield Finding("OK", f"folder for {what}: {folder} ({free / 1e9:.1f} GB free{made})")


def _nearest(folder: Path) -> Path:
    """The folder or, when it does not exist yet, the nearest one above it that does."""
    return next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())


def check_data() -> Iterator[Finding]:
    """Which data sets are here, and how can I get the others?"""
    mirror = os.environ.get("LULC_DATA_MIRROR", "")
    if mirror and "://" not in mirror and not Path(mirror).expanduser().is_dir():
        yield Finding("FIX", f"LULC_DATA_MIRROR is {mirror}, but there is no such folder: correct it or unset it.")
    yield Finding("OK", f"real data comes from {data_source()}")
    for name in data.names():
        if parts := data.leftovers(name):
            yield Finding("NOTE", f"data set {name}: {len(parts)} half-written; the next fetch removes what was left.")
        absent, size = data.missing(name), data.about(name)["bytes"] / 1e6
        if not absent:
            yield Finding("OK", f"data set {name}: here ({size:.1f} MB)")
        elif data.offline() and not mirror:
            yield Finding("NOTE", f"data set {name}: not here, and LULC_OFFLINE forbids fetching it; unset it first.")
        else:
            get, files = f"`python -m lulc_utils data fetch {name}`", counted(len(absent), "file")
            yield Finding("NOTE", f"data set {name}: {files} missing; {get} ({size:.1f} MB) gets all.")


def check_weights() -> Iterator[Finding]:
    """Are the embedded weights unchanged, and do they load?"""
    again = "install lulc-utils again (`pip install --force-reinstall --no-deps ...` or a fresh clone)"
    path = backbone.EMBEDDED_FILE
    if not path.is_file():
        yield Finding("FIX", f"the embedded weights {path} are missing: {again}.")
    elif hashlib.sha256(path.read_bytes()).hexdigest() != EMBEDDED_SHA256:
        yield Finding("FIX", f"the embedded weights {path} are damaged or were changed (SHA-256): {again}.")
    else:
        try:
            dim = backbone.load("embedded", weights=path).dim
        except (ValueError, RuntimeError, OSError) as error:
            yield Finding("FIX", f"the embedded weights do not load ({error}): {again}.")
        else:
            yield Finding("OK", f"embedded weights: complete (SHA-256) and loadable ({dim} numbers per patch)")


def data_source() -> str:
    """Where real data would come from, in words."""
    if os.environ.get("LULC_DATA_MIRROR"):
        return "a mirror (LULC_DATA_MIRROR)"
    return "the cache only (LULC_OFFLINE is set)" if data.offline() else "the cache, else the web"

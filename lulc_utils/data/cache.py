"""Where the files of a dataset are kept, and whether they are complete and correct."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pooch

from lulc_utils.data.manifest import File, about, registry

HALF_WRITTEN = re.compile(r"\.[0-9a-f]{12,32}\.part")  # in the name of a file being downloaded


class DataUnavailable(RuntimeError):
    """Files are not in the cache and cannot be downloaded now; the message is one plain sentence."""


def offline() -> bool:
    """Whether LULC_OFFLINE forbids the network."""
    return os.environ.get("LULC_OFFLINE", "0").lower() not in ("", "0", "false", "no")


def cache_folder() -> Path:
    """Where files are kept: LULC_DATA_DIR or, without it, the platform's cache folder."""
    return Path(os.environ.get("LULC_DATA_DIR") or pooch.os_cache("lulc-utils")).expanduser()


def state(path: Path, file: File) -> str:
    """One of "ok", "missing", "wrong"."""
    if not path.is_file():
        return "missing"
    correct = path.stat().st_size == file.bytes and pooch.hashes.hash_matches(str(path), file.sha256)
    return "ok" if correct else "wrong"


def verify(name: str) -> dict[str, str]:
    """Check every file of a dataset against its SHA-256: file -> "ok", "missing" or "wrong". Deletes nothing."""
    return {file.name: state(cache_folder() / name / file.name, file) for file in registry(name)}


def missing(name: str, files: Iterable[str] | None = None) -> list[str]:
    """Files that are not in the cache with the right size; quick, because nothing is hashed."""
    paths = {file: cache_folder() / name / file.name for file in registry(name, files)}
    return [f.name for f, path in paths.items() if not path.is_file() or path.stat().st_size != f.bytes]


def leftovers(name: str) -> list[Path]:
    """Half-written files of a dataset, left by a `fetch` that is running or was killed. The next one removes them."""
    about(name)
    return sorted(p for p in (cache_folder() / name).rglob(".*") if HALF_WRITTEN.search(p.name))

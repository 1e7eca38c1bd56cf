"""What data there is: `data_manifest/` names every file with its size, SHA-256 and public address."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pooch
import yaml


class File(NamedTuple):
    """A file of a dataset; `sha256` begins with "sha256:", as pooch has it."""

    name: str
    sha256: str
    bytes: int
    url: str


def manifest_folder() -> Path:
    """The folder of the manifest: inside the installed package or, in a checkout, beside it."""
    shipped = Path(__file__).parents[1] / "_shipped" / "data_manifest"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "data_manifest"


def _datasets() -> dict[str, dict]:
    text = (manifest_folder() / "datasets.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["datasets"]


def names() -> list[str]:
    """Names of the datasets in the manifest."""
    return list(_datasets())


def about(name: str) -> dict:
    """What the manifest says about a dataset: title, about, files, bytes, licence, citation, ...

    ValueError names the known datasets when there is no such one.
    """
    datasets = _datasets()
    if name not in datasets:
        near = difflib.get_close_matches(str(name), datasets, 1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise ValueError(f"There is no dataset '{name}'{hint}; the manifest has {', '.join(datasets)}.")
    _check_inside(name, manifest_folder() / "datasets.yaml")
    return {"name": name, **datasets[name]}


def registry(name: str, only: Iterable[str] | None = None) -> list[File]:
    """The files of a dataset, or those of them named by `only`; ValueError for a name that it does not have."""
    about(name)
    path = manifest_folder() / f"{name}.txt"
    entries = pooch.create(path="", base_url="")
    entries.load_registry(path)
    sizes, size = {}, 0
    for line in path.read_text(encoding="utf-8").splitlines():  # "# 123 bytes" stands above its entry
        if line.startswith("#"):
            size = int(line.split()[1]) if line.endswith(" bytes") else 0
        elif line.strip():
            sizes[shlex.split(line)[0]] = size
    files = {n: File(n, sha, sizes[n], entries.get_url(n)) for n, sha in entries.registry.items()}
    for file in files.values():
        _check_inside(file.name, path)
        _check_inside(unquote(urlsplit(file.url).path).lstrip("/"), path)
    only = list(files) if only is None else list(dict.fromkeys(only))
    if unknown := [n for n in only if n not in files]:
        raise ValueError(f"Dataset '{name}' has no file '{unknown[0]}'; its {len(files)} files are in {path}.")
    return [files[n] for n in only]


def _check_inside(name: str, manifest: Path) -> None:
    """Refuse a name that would lead out of the folder it is put in, on any operating system."""
    strange = PureWindowsPath(name)  # also knows what is absolute elsewhere
    if not name or strange.anchor or "\\" in name or ":" in name or ".." in strange.parts:
        raise ValueError(f"The manifest {manifest} has an entry {name!r}, which leads out of the cache; correct it.")

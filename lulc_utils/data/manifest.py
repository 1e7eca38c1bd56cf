"""The available data: `data_manifest/` names every file with its size, SHA-256 and public address."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import yaml

PAGES, ORIGIN = "https://github.com/", "https://raw.githubusercontent.com/"  # a repository, and its files
ENTRY = re.compile(
    r"""(?:(?P<q>["'])(?P<quoted>[^"']*)(?P=q)|(?P<plain>[^\s"']+))\s+(?P<sha256>sha256:\S+)(?:\s+(?P<url>\S+))?"""
)


class File(NamedTuple):
    """A file of a dataset; `sha256` begins with "sha256:", as pooch has it."""

    name: str
    sha256: str
    bytes: int
    url: str


def manifest_folder() -> Path:
    """The folder of the manifest: inside the installed package or, in a checkout, next to it."""
    shipped = Path(__file__).parents[1] / "_shipped" / "data_manifest"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "data_manifest"


def _datasets() -> dict[str, dict]:
    text = (manifest_folder() / "datasets.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["datasets"]


def names() -> list[str]:
    """Names of the datasets in the manifest."""
    return list(_datasets())


def used() -> list[str]:
    """Names of the datasets that a chapter uses."""
    return [name for name, entry in _datasets().items() if entry["used_in"]]


def about(name: str) -> dict:
    """What the manifest says about a dataset: title, about, files, bytes, license, citation, ...

    ValueError names the known datasets when there is no such one.
    """
    datasets = _datasets()
    if name not in datasets:
        similar = difflib.get_close_matches(str(name), datasets, 1)
        hint = f" (did you mean '{similar[0]}'?)" if similar else ""
        raise ValueError(f"There is no dataset '{name}'{hint}; the manifest has {', '.join(datasets)}.")
    check_inside(name, manifest_folder() / "datasets.yaml")
    return {"name": name, **datasets[name]}


def registry(name: str, only: Iterable[str] | None = None) -> list[File]:
    """The files of a dataset, or only those named in `only`; ValueError for a name that it does not have."""
    entry, path, size, files = about(name), manifest_folder() / f"{name}.txt", 0, {}
    for line in path.read_text(encoding="utf-8").splitlines():  # "# 123 bytes" stands above its entry
        if line.startswith("#"):
            size = int(line.split()[1]) if line.endswith(" bytes") else 0
        elif line.strip():
            file, sha256, url = _parts(line, path)
            files[file] = File(file, sha256, size, url or _address(entry, file))
    for file in files.values():
        check_inside(file.name, path)
        check_inside(unquote(urlsplit(file.url).path).lstrip("/"), path)
    only = list(files) if only is None else list(dict.fromkeys(only))
    if unknown := [n for n in only if n not in files]:
        raise ValueError(f"Dataset '{name}' has no file '{unknown[0]}'; its {len(files)} files are in {path}.")
    return [files[n] for n in only]


def _parts(line: str, path: Path) -> tuple[str, str, str | None]:
    """File, SHA-256 and, if given, address of an entry as pooch writes it (pooch needs 1 s for 5 000 of them)."""
    match = ENTRY.fullmatch(line)
    if not match:
        raise ValueError(
            f"The registry {path} has the line {line!r}, which is not 'file sha256:... address'; correct it."
        )
    return match["quoted"] or match["plain"], match["sha256"], match["url"]


def _address(entry: dict, file: str) -> str:
    """The public address of a file that lies in the repository of its dataset."""
    return f"{entry['repository'].replace(PAGES, ORIGIN)}/{entry['commit']}/{quote(file)}"


def check_inside(name: str, manifest: Path) -> None:
    """Refuse a name that leads outside its folder on any operating system."""
    strange = PureWindowsPath(name)  # also knows what is absolute elsewhere
    if not name or strange.anchor or "\\" in name or ":" in name or ".." in strange.parts:
        raise ValueError(f"The manifest {manifest} has an entry {name!r}, which leads out of the cache; correct it.")

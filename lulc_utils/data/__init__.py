"""Real data: from the manifest to verified local files, and from there to scenes.

`data_manifest/` names every file with its size, SHA-256 and public address; nothing else is ever trusted. Files
arrive in `<cache>/<dataset>/<file>`, under their final name only after the SHA-256 matched.

    LULC_DATA_DIR     where files are kept (default: the platform's cache folder)
    LULC_DATA_MIRROR  a folder or an http(s) address asked first; holds <owner>/<repository>/<commit>/<path>
    LULC_OFFLINE      1: never touch the network (a mirror folder still counts)

From a terminal: `python -m lulc_utils.data list | info NAME | fetch NAME ... | verify NAME`.
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import random
import shlex
import shutil
import sys
import textwrap
import threading
import warnings
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
import pooch
import rasterio
import requests
import yaml
from rasterio.errors import NotGeoreferencedWarning
from tqdm import tqdm
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from lulc_utils.data import sentinel, sites
from lulc_utils.files import complete_or_absent
from lulc_utils.legends import DUBAI_CLASSES
from lulc_utils.scene import UNLABELLED, Scene, labels_from_colors

ORIGIN = "https://raw.githubusercontent.com/"  # what a mirror stands in for
CONNECT_TIMEOUT = 8.0  # seconds to reach a server
READ_TIMEOUT = 15.0  # seconds a server may stay silent
TRIES = 3  # per file and server
BACKOFF = 1.0  # seconds before the second try; doubles with each further one
STRIKES = 4  # files in a row that a server may fail to deliver before it is given up
PASSING = (408, 425, 429)  # answers below 500 that are worth another try
NO_WAY = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
)

DUBAI_COLORS = {
    "#e2a929": 0,
    "#8429f6": 1,
    "#6ec1e4": 2,
    "#3c1098": 3,
    "#fedd3a": 4,
    "#9b9b9b": UNLABELLED,
    "#000000": UNLABELLED,  # 0.56 % of the pixels, not in the legend that comes with the data
}

SATCLIP_PLAIN = ("25630", "74721", "752389")  # nothing to tell apart: their bands vary by less than a view's noise


class DataUnavailable(RuntimeError):
    """Files that are neither in the cache nor to be had now; the message is one plain sentence."""


class _File(NamedTuple):
    name: str
    sha256: str
    bytes: int
    url: str


# --- the manifest -----------------------------------------------------------------------------------------------


def manifest_folder() -> Path:
    """The folder of the manifest: inside the installed package or, in a checkout, beside it."""
    shipped = Path(__file__).parents[1] / "_shipped" / "data_manifest"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "data_manifest"


def _datasets() -> dict[str, dict]:
    return yaml.safe_load((manifest_folder() / "datasets.yaml").read_text(encoding="utf-8"))["datasets"]


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


def _files(name: str, only: Iterable[str] | None = None) -> list[_File]:
    """Registry of a dataset, or the part of it named by `only`; ValueError for a name it does not have."""
    about(name)
    only = None if only is None else list(dict.fromkeys(only))
    path = manifest_folder() / f"{name}.txt"
    registry = pooch.create(path=cache_folder() / name, base_url="")
    registry.load_registry(path)
    sizes, size = {}, 0
    for line in path.read_text(encoding="utf-8").splitlines():  # "# 123 bytes" stands above its entry
        if line.startswith("#"):
            size = int(line.split()[1]) if line.endswith(" bytes") else 0
        elif line.strip():
            sizes[shlex.split(line)[0]] = size
    found = {n: _File(n, sha, sizes[n], registry.get_url(n)) for n, sha in registry.registry.items()}
    for file in found.values():
        _check_inside(file.name, path)
        _check_inside(unquote(urlsplit(file.url).path).lstrip("/"), path)
    unknown = [n for n in only or () if n not in found]
    if unknown:
        raise ValueError(f"Dataset '{name}' has no file '{unknown[0]}'; its {len(found)} files are in {path}.")
    return list(found.values()) if only is None else [found[n] for n in only]


def _check_inside(name: str, manifest: Path) -> None:
    """Refuse a name that would lead out of the folder it is put in, on any operating system."""
    strange = PureWindowsPath(name)  # also knows what is absolute elsewhere
    if not name or strange.anchor or "\\" in name or ":" in name or ".." in strange.parts:
        raise ValueError(f"The manifest {manifest} has an entry {name!r}, which leads out of the cache; correct it.")


# --- the cache --------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where files are kept: LULC_DATA_DIR or, without it, the platform's cache folder."""
    return Path(os.environ.get("LULC_DATA_DIR") or pooch.os_cache("lulc-utils")).expanduser()


def _state(path: Path, file: _File) -> str:
    """One of "ok", "missing", "wrong"."""
    if not path.is_file():
        return "missing"
    same = path.stat().st_size == file.bytes and pooch.hashes.hash_matches(str(path), file.sha256)
    return "ok" if same else "wrong"


def verify(name: str) -> dict[str, str]:
    """Check every file of a dataset against its SHA-256: file -> "ok", "missing" or "wrong". Deletes nothing."""
    return {file.name: _state(cache_folder() / name / file.name, file) for file in _files(name)}


def missing(name: str, files: Iterable[str] | None = None) -> list[str]:
    """Files that are not in the cache with the right size; quick, because nothing is hashed."""
    paths = {file: cache_folder() / name / file.name for file in _files(name, files)}
    return [f.name for f, path in paths.items() if not path.is_file() or path.stat().st_size != f.bytes]


# --- one file ---------------------------------------------------------------------------------------------------


class _Damaged(Exception):
    """The bytes that arrived are not the ones the manifest promises."""


class _Stopped(Exception):
    """The user, or an error in another download, ended the run."""


@dataclass
class _Run:
    """What the downloads of one `fetch` share."""

    bar: tqdm
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    proven: set[str] = field(default_factory=set)  # servers that have delivered a good file
    strikes: Counter[str] = field(default_factory=Counter)  # files in a row a server failed to deliver
    dead: dict[str, str] = field(default_factory=dict)  # servers given up, and why

    def advance(self, count: int) -> None:
        with self.lock:
            self.bar.update(count)


class _Sink(io.BufferedWriter):
    """A file that moves the shared progress bar and refuses more bytes than promised."""

    def __init__(self, path: Path, limit: int, run: _Run):
        super().__init__(io.FileIO(path, "w"))
        self.limit, self.run, self.count = limit, run, 0

    def write(self, block) -> int:
        if self.run.stop.is_set():
            raise _Stopped
        self.count += len(block)
        self.run.advance(len(block))
        if self.count > self.limit:
            raise _Damaged
        return super().write(block)


@contextmanager
def _arriving(file: _File, target: Path, run: _Run):
    """A sink under a temporary name; it becomes `target` if its SHA-256 is right and is gone otherwise."""
    with complete_or_absent(target) as part:
        sink = _Sink(part, file.bytes, run)
        try:
            with sink:
                yield sink
            if _state(part, file) != "ok":
                raise _Damaged
        except BaseException:
            run.advance(-sink.count)
            raise


def _from_folder(file: _File, source: Path, target: Path, run: _Run) -> str:
    """Copy from a mirror folder; returns "" or why that was not possible."""
    mirror = os.environ["LULC_DATA_MIRROR"]
    try:
        if not source.is_file():  # a pipe would be waited for without end
            raise FileNotFoundError
        stream = open(source, "rb")
    except OSError:
        there = Path(mirror).expanduser().is_dir()
        return f"the mirror {mirror} has no copy" if there else f"there is no mirror {mirror}"
    with stream:
        try:
            with _arriving(file, target, run) as sink:
                shutil.copyfileobj(stream, sink)
        except _Damaged:
            return f"the copy in the mirror {mirror} is damaged"
    return ""


def _from_server(file: _File, url: str, target: Path, run: _Run) -> str:
    """Download, with several tries where these can help; returns "" or why that was not possible."""
    host, why, trouble = urlsplit(url).netloc, "", ""
    download = pooch.HTTPDownloader(chunk_size=1 << 16, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
    for attempt in range(TRIES):
        if attempt and run.stop.wait(BACKOFF * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)):
            raise _Stopped
        if host in run.dead:
            return run.dead[host]
        try:
            with _arriving(file, target, run) as sink:
                download(url, sink, None)
            run.proven.add(host)
            run.strikes[host] = 0
            return ""
        except (_Damaged, requests.RequestException) as error:
            why, trouble = _explain(error, host)
        if trouble == "final" or (trouble == "unreachable" and host not in run.proven):
            break  # no such file, no such server or no network: more tries would only cost time
    run.strikes[host] += trouble == "server"
    if trouble == "unreachable" or run.strikes[host] >= STRIKES:
        run.dead[host] = why  # the other files need not find this out one by one
    return why


def _explain(error: Exception, host: str) -> tuple[str, str]:
    """What went wrong in words, and as one of "final", "unreachable", "server", "transfer"."""
    if isinstance(error, _Damaged):
        return f"{host} sent damaged bytes", "transfer"
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        return f"{host} answered {status}", "server" if status >= 500 or status in PASSING else "final"
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.ReadTimeout) or isinstance(cause, ReadTimeoutError):
        return f"{host} stopped sending", "server"
    if isinstance(error, NO_WAY) or isinstance(getattr(cause, "reason", None), NewConnectionError):
        return f"{host} cannot be reached", "unreachable"
    return f"{host} broke off the transfer", "transfer"


def _obtain(file: _File, target: Path, run: _Run) -> list[str]:
    """Bring one file to its final name, mirror first; [] when it is there, otherwise why each place failed."""
    mirror, tail = os.environ.get("LULC_DATA_MIRROR"), file.url.removeprefix(ORIGIN)
    reasons = []
    if mirror and not mirror.startswith(("http://", "https://")):
        reasons.append(_from_folder(file, Path(mirror).expanduser() / unquote(tail), target, run))
    elif mirror and not _offline():
        reasons.append(_from_server(file, f"{mirror.rstrip('/')}/{tail}", target, run))
    if "" in reasons:
        return []
    reasons.append("LULC_OFFLINE is set" if _offline() else _from_server(file, file.url, target, run))
    return [] if "" in reasons else reasons


def _offline() -> bool:
    return os.environ.get("LULC_OFFLINE", "0").lower() not in ("", "0", "false", "no")


# --- a whole dataset --------------------------------------------------------------------------------------------


def fetch(name: str, *, files: Iterable[str] | None = None, progress: bool = True, workers: int = 8) -> Path:
    """Bring a dataset, or some of its files, into the cache and return its folder.

    Only what is missing or wrong is downloaded, `workers` files at a time. Whatever arrived stays, also after an
    error or Ctrl-C. ValueError for an unknown dataset or file, DataUnavailable when a file cannot be had.
    """
    wanted, folder = _files(name, files), cache_folder() / name
    todo = [file for file in wanted if _state(folder / file.name, file) != "ok"]
    if not todo:
        return folder
    failed: dict[_File, list[str]] = {}
    total = sum(file.bytes for file in todo)
    with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=not progress) as bar:
        run = _Run(bar)
        pool = ThreadPoolExecutor(max(1, workers))
        try:
            pending = {pool.submit(_obtain, file, folder / file.name, run): file for file in todo}
            for done in as_completed(pending):
                if reasons := done.result():
                    failed[pending[done]] = reasons
        except OSError as error:
            raise DataUnavailable(
                f"Dataset '{name}' cannot be stored in {folder} ({error.strerror or error}); "
                "set LULC_DATA_DIR to a folder that can be written to."
            ) from None
        finally:  # also after Ctrl-C: downloads under way end at their next block
            run.stop.set()
            pool.shutdown(cancel_futures=True)
    if failed:
        raise DataUnavailable(_sentence(name, failed))
    return folder


def _sentence(name: str, failed: dict[_File, list[str]]) -> str:
    megabytes = sum(file.bytes for file in failed) / 1e6
    reasons = list(dict.fromkeys(reason for reasons in failed.values() for reason in reasons))
    what = f"file '{next(iter(failed)).name}'" if len(failed) == 1 else f"{len(failed)} files"
    return (
        f"Dataset '{name}' lacks {what} ({megabytes:.1f} MB) because {' and '.join(reasons[:3])}; "
        f"get them with `python -m lulc_utils.data fetch {name}`, or set LULC_DATA_MIRROR to a copy."
    )


def dubai(tiles: Iterable[int] | None = None, *, progress: bool = True) -> list[Scene]:
    """Scenes of Dubai with their masks, nine for each of the tiles 1 to 8 (default: all), fetched if need be.

    Pixels are (3, rows, cols) uint8 with bands red, green, blue; labels index DUBAI_CLASSES. `group` is what a
    spatial split keeps together: "tile 3", and "tile 4+8" for the two tiles that may overlap on the ground.
    ValueError for a tile that does not exist, DataUnavailable when files cannot be had.
    """
    tiles = [tiles] if isinstance(tiles, int) else list(range(1, 9) if tiles is None else tiles)
    if strange := [tile for tile in tiles if tile not in range(1, 9)]:
        raise ValueError(f"Dubai has the tiles 1 to 8, not {strange[0]}.")
    parts = [(tile, part) for tile in dict.fromkeys(tiles) for part in range(1, 10)]
    images = [f"dataset/Tile {tile}/images/image_part_{part:03d}.jpg" for tile, part in parts]
    masks = [image.replace("images", "masks").replace(".jpg", ".png") for image in images]
    folder = fetch("dubai", files=images + masks, progress=progress)
    return [
        Scene(
            name=f"tile {tile} part {part:03d}",
            pixels=_read_rgb(folder / image),
            bands=("red", "green", "blue"),
            source=f"Dubai (MBRSC), tile {tile} part {part:03d}",
            labels=labels_from_colors(_read_rgb(folder / mask), DUBAI_COLORS),
            classes=DUBAI_CLASSES,
            group="tile 4+8" if tile in (4, 8) else f"tile {tile}",
        )
        for (tile, part), image, mask in zip(parts, images, masks, strict=True)
    ]


def terramesh(*, progress: bool = True) -> list[Scene]:
    """Five Sentinel-2 patches of 224 x 224 pixels at 10 m with a weak land-cover map, fetched if need be.

    Pixels are float32 surface reflectance in sentinel.ALL_BANDS, labels index ESRI_CLASSES.
    Name ("Chile 433D"), group ("Chile"), date, CRS and transform are set. DataUnavailable when files cannot be had.
    """
    folder = fetch("terramesh", progress=progress)
    images = [file.name for file in _files("terramesh") if "/S2L2A/" in file.name]
    return [sentinel.terramesh_scene(folder / n, folder / n.replace("/S2L2A/", "/LULC/")) for n in images]


def satclip(usable: bool = True, *, progress: bool = True) -> list[Scene]:
    """Sentinel-2 patches of 256 x 256 pixels at 10 m from all continents, without labels, fetched if need be.

    Pixels are float32 surface reflectance in the twelve bands of sentinel.ALL_BANDS; the place is that of the GeoTIFF
    header; there is no date. usable=True leaves out the three without texture (an ice sheet, a lake, the open sea),
    which gives 20; one of these, 511198, is about a third cloud. DataUnavailable when files cannot be had.
    """
    files = [f.name for f in _files("satclip") if f.name.endswith(".tif")]
    kept = [f for f in files if not (usable and Path(f).stem.removeprefix("patch_") in SATCLIP_PLAIN)]
    folder = fetch("satclip", files=kept, progress=progress)
    return [sentinel.satclip_scene(folder / name) for name in kept]


def us_sites(*, progress: bool = True) -> sites.Sites:
    """Months of 150 places in the United States as rows of 13 bands, fetched if need be; see sites.us_sites.

    Only the arrays of `fuel_moisture` are used; `algae_blooms` is almost all water. DataUnavailable when files cannot
    be had.
    """
    names = ("s1_s2_era5_srtm", "dynamic_world", "month", "latlon")
    folder = fetch("us-sites", files=[f"{sites.US_FOLDER}/{n}.npy" for n in names], progress=progress)
    return sites.us_sites(folder / sites.US_FOLDER)


def eurosat(*, progress: bool = True) -> sites.Sites:
    """A hundred EuroSAT patches, ten of each class, as rows of 26 numbers, fetched if need be; see sites.eurosat.

    DataUnavailable when files cannot be had.
    """
    folder = fetch("eurosat", progress=progress)
    return sites.eurosat([folder / file.name for file in _files("eurosat")])


def _read_rgb(path: Path) -> np.ndarray:
    """(3, rows, cols) uint8 of a JPEG or PNG; a palette is expanded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # pictures: nothing else is to be expected
        with rasterio.open(path) as source:
            if source.count >= 3:
                return source.read((1, 2, 3))
            colors = np.zeros((256, 3), np.uint8)
            for index, color in source.colormap(1).items():
                colors[index] = color[:3]
            return np.ascontiguousarray(colors[source.read(1)].transpose(2, 0, 1))  # [3, rows, cols]


# --- the command line -------------------------------------------------------------------------------------------


def _print_list() -> None:
    print(f"{'name':<11}{'files':>6}{'MB':>7}{'cached':>10}  licence")
    for name in names():
        entry, files = about(name), _files(name)
        cached = f"{len(files) - len(missing(name))}/{len(files)}"
        print(f"{name:<11}{len(files):>6}{entry['bytes'] / 1e6:>7.1f}{cached:>10}  {entry['licence_short']}")


def _print_info(name: str) -> None:
    entry, count = about(name), len(_files(name))
    facts = {
        "licence": entry["licence"],
        "cite": entry["citation"],
        "see": entry["homepage"],
        "files from": f"{entry['repository']} at {entry['commit'][:12]}",
        "chapters": ", ".join(map(str, entry["used_in"])),
        "cached": f"{count - len(missing(name))} of {count} files in {cache_folder() / name}",
    }
    print(f"{name}: {entry['title']} ({count} files, {entry['bytes'] / 1e6:.1f} MB)\n")
    print(textwrap.fill(entry["about"], 100), "\n")
    for key, text in facts.items():
        print(textwrap.fill(f"{key + ':':<12}{text}", 100, subsequent_indent=" " * 12, break_long_words=False))


def _print_verify(name: str) -> int:
    states = verify(name)
    for file, state in states.items():
        if state != "ok":
            print(f"{state:<8} {file}")
    good = sum(state == "ok" for state in states.values())
    print(f"{name}: {good} of {len(states)} files are complete and correct.")
    return int(good < len(states))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lulc_utils.data",
        description="The real data of the book: what there is, and how to get it.",
        epilog="LULC_DATA_DIR moves the cache, LULC_DATA_MIRROR names a folder or address with copies, "
        "LULC_OFFLINE=1 forbids the network. Exit status: 0 fine, 1 data missing or wrong, 2 wrong usage.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="all datasets with size, licence and how much is cached")
    info = commands.add_parser("info", help="what a dataset is, its licence and how to cite it")
    info.add_argument("name", metavar="NAME")
    get = commands.add_parser("fetch", help="download what is still missing, or 'all'")
    get.add_argument("names", metavar="NAME", nargs="+", help="datasets, or 'all'")
    get.add_argument("--workers", type=int, default=8, metavar="N", help="downloads at once (default 8)")
    get.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    check = commands.add_parser("verify", help="check every cached file against its SHA-256")
    check.add_argument("name", metavar="NAME")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "list":
            _print_list()
        elif options.command == "info":
            _print_info(options.name)
        elif options.command == "verify":
            return _print_verify(options.name)
        else:
            chosen = names() if "all" in options.names else options.names
            for name in chosen:
                about(name)  # a misspelt name is found before anything is downloaded
            for name in chosen:
                folder = fetch(name, progress=not options.quiet, workers=options.workers)
                if not options.quiet:
                    print(f"{name}: all {len(_files(name))} files are in {folder}")
        sys.stdout.flush()
    except (ValueError, DataUnavailable) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except BrokenPipeError:  # `list | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("Stopped; what had arrived is kept.", file=sys.stderr)
        return 1
    return 0

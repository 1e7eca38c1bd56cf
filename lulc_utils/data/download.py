"""From a mirror or a public address into the cache: a file arrives complete and verified, or not at all.

pooch verifies files but does not download them here: its files would be readable by their owner only, it tries
again after a 404, and an endless file would fill the disk.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import NewConnectionError, ReadTimeoutError
from urllib3.util.retry import Retry

from lulc_utils.data.cache import DataUnavailable, cache_folder, leftovers, offline, state
from lulc_utils.data.manifest import ORIGIN, File, registry
from lulc_utils.files import alone, complete_or_absent

CONNECT_TIMEOUT = 8.0  # seconds to reach a server
READ_TIMEOUT = 15.0  # seconds a server may stay silent
TRIES = 3  # per file and server
BACKOFF = 1.0  # seconds before the third try after a status in PASSING, then doubled; none before the second
STRIKES = 4  # failures in a row after which a server is given up
PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses worth another try
BLOCK = 1 << 16  # bytes
UNREACHABLE = (
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
)


class _Damaged(Exception):
    """The received bytes do not match the manifest."""


class _Stopped(Exception):
    """The user or an error in another download ended the run."""


@dataclass
class _Run:
    """What the downloads of one `fetch` share."""

    bar: tqdm
    session: requests.Session
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    proven: set[str] = field(default_factory=set)  # servers that have delivered a good file
    strikes: Counter[str] = field(default_factory=Counter)  # files in a row a server failed to deliver
    dead: dict[str, str] = field(default_factory=dict)  # servers given up, and why

    def advance(self, count: int) -> None:
        with self.lock:
            self.bar.update(count)


def fetch(name: str, *, files: Iterable[str] | None = None, progress: bool = True, workers: int = 8) -> Path:
    """Download a dataset, or some of its files, to the cache and return its folder.

    Only missing or wrong files are downloaded, `workers` at a time; a second process that fetches the same
    dataset waits. Complete files stay, even after an error or Ctrl-C; files left half-written by a killed process
    are removed. ValueError for an unknown dataset or file, DataUnavailable when a file cannot be downloaded.
    """
    if workers < 1:
        raise ValueError(f"There must be at least 1 worker, not {workers}.")
    wanted, folder = registry(name, files), cache_folder() / name

    def lacking() -> list[File]:
        return [file for file in wanted if state(folder / file.name, file) != "ok"]

    if not lacking():
        return folder
    try:
        with _only_process(name, folder, progress):
            failed = bring(name, lacking(), folder, progress, workers)
    except (OSError, ValueError) as error:
        raise DataUnavailable(
            f"Dataset '{name}' cannot be stored; set LULC_DATA_DIR to a writable folder: {error}"
        ) from None
    if failed:
        raise DataUnavailable(_sentence(name, failed))
    return folder


@contextmanager
def _only_process(name: str, folder: Path, progress: bool) -> Iterator[None]:
    """Wait until no other process fetches into the folder, and remove files left by a killed one."""
    with ExitStack() as held:
        for turn in itertools.count():
            try:
                held.enter_context(alone(folder / "fetch"))
                break
            except RuntimeError:
                if progress and turn == 0:
                    print(f"Another process is fetching '{name}'; waiting for it.", file=sys.stderr)
                time.sleep(0.1)
        for left in leftovers(name):
            with suppress(PermissionError):  # Windows, where we do not wait for other processes: in use
                left.unlink()
        yield


def bring(name: str, todo: list[File], folder: Path, progress: bool, workers: int) -> dict[File, list[str]]:
    """Download files, several at a time; returns those that failed, and why."""
    bar = tqdm(total=sum(file.bytes for file in todo), desc=name, unit="B", unit_scale=True, disable=not progress)
    with bar, _session(workers) as session:
        run, pool = _Run(bar, session), ThreadPoolExecutor(workers)
        try:
            reasons = list(pool.map(lambda file: _obtain(file, folder / file.name, run), todo))
        finally:  # also after Ctrl-C: running downloads stop at their next block
            run.stop.set()
            pool.shutdown(cancel_futures=True)
    return {file: why for file, why in zip(todo, reasons, strict=True) if why}


def _session(connections: int) -> requests.Session:
    """A session that keeps connections for the next file and retries after temporary server errors."""
    again = Retry(
        total=TRIES - 1,
        connect=0,  # no network: fail at once
        read=False,
        other=0,
        status_forcelist=PASSING,
        backoff_factor=BACKOFF,
        backoff_jitter=BACKOFF / 2,
        respect_retry_after_header=False,  # it may ask for hours
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=again))
    return session


def _obtain(file: File, target: Path, run: _Run) -> list[str]:
    """Download one file to its final name, mirror first; [] on success, otherwise why each source failed."""
    mirror, tail = os.environ.get("LULC_DATA_MIRROR"), file.url.removeprefix(ORIGIN)
    reasons = []
    if mirror and not mirror.startswith(("http://", "https://")):
        reasons.append(_from_folder(file, Path(mirror).expanduser() / unquote(tail), target, run))
    elif mirror and not offline():
        reasons.append(_from_server(file, f"{mirror.rstrip('/')}/{tail}", target, run))
    if "" in reasons:
        return []
    reasons.append("LULC_OFFLINE is set" if offline() else _from_server(file, file.url, target, run))
    return [] if "" in reasons else reasons


def _from_folder(file: File, source: Path, target: Path, run: _Run) -> str:
    """Copy from a mirror folder; returns "" or why this failed."""
    mirror = os.environ["LULC_DATA_MIRROR"]
    try:
        if not source.is_file():  # reading a pipe could wait forever
            raise FileNotFoundError
        stream = open(source, "rb")
    except OSError:
        exists = Path(mirror).expanduser().is_dir()
        return f"the mirror {mirror} has no copy" if exists else f"there is no mirror {mirror}"
    with stream:
        try:
            _store(iter(lambda: stream.read(BLOCK), b""), file, target, run)
        except _Damaged:
            return f"the copy in the mirror {mirror} is damaged"
    return ""


def _from_server(file: File, url: str, target: Path, run: _Run) -> str:
    """Download, with several tries where these can help; returns "" or why this failed."""
    host, why, trouble = urlsplit(url).netloc, "", ""
    for _ in range(TRIES):
        if run.stop.is_set():
            raise _Stopped
        if host in run.dead:
            return run.dead[host]
        try:
            with run.session.get(url, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as answer:
                answer.raise_for_status()
                _store(answer.iter_content(BLOCK), file, target, run)
            run.proven.add(host)
            run.strikes[host] = 0
            return ""
        except (_Damaged, requests.RequestException) as error:
            why, trouble = _explain(error, host)
        if trouble in ("absent", "failing") or (trouble == "unreachable" and host not in run.proven):
            break  # no such file, no such server, or enough tries by the session
    run.strikes[host] += trouble in ("failing", "silent")
    if trouble == "unreachable" or run.strikes[host] >= STRIKES:
        run.dead[host] = why  # so the other files do not have to find out one by one
    return why


def _explain(error: Exception, host: str) -> tuple[str, str]:
    """What went wrong, in words and as one of "absent", "failing", "silent", "unreachable", "transfer"."""
    if isinstance(error, _Damaged):
        return f"{host} sent damaged bytes", "transfer"
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        return f"{host} answered {status}", "failing" if status in PASSING else "absent"
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.ReadTimeout) or isinstance(cause, ReadTimeoutError):
        return f"{host} stopped sending", "silent"
    if isinstance(error, UNREACHABLE) or isinstance(getattr(cause, "reason", None), NewConnectionError):
        return f"{host} cannot be reached", "unreachable"
    return f"{host} broke off the transfer", "transfer"


def _store(blocks: Iterable[bytes], file: File, target: Path, run: _Run) -> None:
    """Write the blocks to `target`, which appears only if its SHA-256 is right; _Damaged otherwise."""
    count = 0
    try:
        with complete_or_absent(target) as part:
            with part.open("wb") as out:
                for block in blocks:
                    if run.stop.is_set():
                        raise _Stopped
                    count += len(block)
                    run.advance(len(block))
                    if count > file.bytes:
                        raise _Damaged
                    out.write(block)
            if state(part, file) != "ok":
                raise _Damaged
    except BaseException:
        run.advance(-count)
        raise


def _sentence(name: str, failed: dict[File, list[str]]) -> str:
    megabytes = sum(file.bytes for file in failed) / 1e6
    reasons = list(dict.fromkeys(reason for reasons in failed.values() for reason in reasons))
    what = f"file '{next(iter(failed)).name}'" if len(failed) == 1 else f"{len(failed)} files"
    return (
        f"Dataset '{name}' lacks {what} ({megabytes:.1f} MB) because {' and '.join(reasons[:3])}; "
        f"get them with `python -m lulc_utils data fetch {name}`, or set LULC_DATA_MIRROR to a copy."
    )

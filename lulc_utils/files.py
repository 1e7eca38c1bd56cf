"""Files that are written completely or not at all, and plain sentences for system errors."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OF_RUST = re.compile(r"\(os error (\d+)\)")  # safetensors reports system errors only in words


@contextmanager
def complete_or_absent(path: str | Path) -> Iterator[Path]:
    """A temporary file next to `path`, which replaces it when the block ends without an error.

    After any error, Ctrl-C included, the temporary file is removed and `path` is as it was before. The temporary
    file exists, is empty and has the ending of `path`; missing folders are created. The result has the
    mode given by the umask, whatever mode the writer in the block sets. A symbolic link is followed.

    ValueError: `path` exists but is not a regular file (`check_target`), or its name is too long. PermissionError,
    OSError: the system does not allow writing, or there is no space. One sentence each.
    """
    check_target(path)
    target = Path(path).resolve()
    part = target.with_name(f".{target.stem[:40]}.{uuid.uuid4().hex[:12]}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch(exist_ok=False)
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # some writers create files that only their owner can read
        os.replace(part, target)
    except Exception as error:
        if (plain := _in_words(error, path, part)) is None:
            raise
        raise plain from error
    finally:
        for left in target.parent.glob(f"{glob.escape(part.name)}*"):  # GDAL writes overviews next to it
            left.unlink(missing_ok=True)


class _Tried(Exception):
    """Ends the block of `check_writable`."""


def check_writable(path: str | Path) -> None:
    """What `complete_or_absent` would raise, before the work is done; nothing is left but folders that were missing."""
    with suppress(_Tried), complete_or_absent(path):
        raise _Tried


@contextmanager
def folder_for(path: str | Path) -> Iterator[Path]:
    """A folder to write several files into; after an error it is gone again, if it was made here and is empty.

    NotADirectoryError, PermissionError, OSError: there can be no such folder, in one sentence.
    """
    folder = Path(path)
    made = not _kind(folder)
    check_writable(folder / "x")
    try:
        yield folder
    except BaseException:
        with suppress(OSError):
            if made:
                folder.rmdir()
        raise


def leftovers(path: str | Path) -> list[Path]:
    """Temporary files of `complete_or_absent` for `path`; nothing else writes it now, so a killed process left them."""
    target = Path(path).resolve()
    stem, suffix = glob.escape(target.stem[:40]), glob.escape(target.suffix)
    return sorted(target.parent.glob(f".{stem}.{'[0-9a-f]' * 12}.part{suffix}*"))


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """No other process writes `path` during the block; files left half-written by a killed one are removed first.

    The lock is on the file PATH.lock; the system releases it when the process ends, however it ends (not on Windows,
    where nothing is locked). ValueError, PermissionError, OSError: as for `complete_or_absent`. RuntimeError: another
    process is writing.
    """
    check_target(path)
    lock = Path(f"{path}.lock")
    check_target(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise _in_words(error, path, lock) or error from None
    with file:
        if fcntl is None:
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat())
        except BlockingIOError:
            held = False
        if not held:  # or the other process has just removed it
            raise RuntimeError(f"Another run is writing {path}; wait for it or choose another name.")
        try:
            for left in leftovers(path):
                left.unlink()
            yield
        finally:
            lock.unlink(missing_ok=True)


def check_target(path: str | Path) -> None:
    """ValueError, in one sentence, unless a file may be written at `path`: it is absent or a regular file.

    Devices, pipes and sockets are never opened: replacing them would break whatever uses them.
    """
    kind = _kind(path)
    if kind not in ("", "file"):
        raise ValueError(f"{path} is a {kind}, not a file; choose another name to write to.")


def check_readable(path: str | Path, what: str = "file") -> None:
    """FileNotFoundError, PermissionError or ValueError, in one sentence, unless `path` is a file that may be read."""
    kind = _kind(path)
    if not kind:
        raise FileNotFoundError(f"There is no {what} {path}; check the path.")
    if kind != "file":
        raise ValueError(f"{path} is a {kind}, not a {what}.")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"You may not read {path} (permission denied); ask its owner, or choose another file.")


def _kind(path: str | Path) -> str:
    """The kind of thing at `path`, in a word; "" for nothing."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except PermissionError:  # in a folder that may not be entered: opening it will say so
        return "file"
    except OSError as error:
        if (plain := _in_words(error, path, Path(path))) is None:
            raise
        raise plain from error
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(mode), "device")


def _in_words(error: Exception, path: str | Path, part: Path) -> OSError | ValueError | None:
    """The error as a sentence about `path`; None when it is not about writing this file."""
    number = getattr(error, "errno", None)
    if number is None and (match := OF_RUST.search(str(error))):
        number = int(match[1])
    about = getattr(error, "filename", None)
    if isinstance(about, str | Path) and not part.is_relative_to(about):  # for example, a source that cannot be read
        return None
    if number in DENIED:
        return PermissionError(f"You may not write {path} (permission denied); choose a folder of your own.")
    if number in FULL:
        return OSError(f"There is no space for {path}; make room or choose another folder.")
    if number == errno.ENAMETOOLONG:
        return ValueError(f"The name {Path(path).name[:40]}... is too long for a file; choose a shorter one.")
    if number == errno.ENOENT:
        return FileNotFoundError(f"{path} cannot be made there; choose another folder.")
    if number in (errno.ENOTDIR, errno.EEXIST):
        return NotADirectoryError(f"{Path(path).parent} is a file, not a folder; choose another place for {path}.")
    return None

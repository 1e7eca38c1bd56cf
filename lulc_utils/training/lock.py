"""Until files.py has them: one writer at a time, and files that are complete or absent."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name when the block ends without an error."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """No second process writes `out` during the block; RuntimeError in one sentence when another one is at it.

    The lock is the file OUT.lock, which the system lets go of when the process ends, however it ends.
    """
    if fcntl is None:
        yield
        return
    path = out.with_name(out.name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
        except BlockingIOError:
            held = False
        if not held:  # or the other run has just removed it
            raise RuntimeError(f"Another run is writing {out}; wait for it or choose another name.")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

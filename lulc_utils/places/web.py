"""What may be opened, and how long to wait for a server."""

from __future__ import annotations

from lulc_utils.data import DataUnavailable

CONNECT_TIMEOUT, READ_TIMEOUT = 8, 20  # seconds
TRIES = 3  # per file
BACKOFF = 1.0  # seconds before the second try, doubled before the third


def is_web(href: str | None) -> bool:
    """Whether an address begins with http:// or https://."""
    return str(href).startswith(("http://", "https://"))


def check_web(href: str, source: str) -> None:
    """Refuse to open anything but web addresses named by a source on the web: no local files, no GDAL names."""
    if not is_web(href):
        raise DataUnavailable(
            f"{source} is on the web but names {str(href)[:80]!r}, which is not (http or https); it is not opened."
        )


def short(href: str) -> str:
    """An address without any secrets in it."""
    return href.split("?")[0]

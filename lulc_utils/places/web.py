"""What may be opened, and how long a server is waited for."""

from __future__ import annotations

from lulc_utils.data import DataUnavailable

CONNECT_TIMEOUT, READ_TIMEOUT = 8, 20  # seconds
TRIES = 3  # per file
BACKOFF = 1.0  # seconds before the second try; doubles with the third


def is_web(href: str | None) -> bool:
    """Whether an address begins with http:// or https://."""
    return str(href).startswith(("http://", "https://"))


def check_web(href: str, source: str) -> None:
    """Refuse to follow what a source on the web names elsewhere: files of this machine, GDAL's special names."""
    if not is_web(href):
        raise DataUnavailable(
            f"{source} is on the web but names {str(href)[:80]!r}, which is not (http or https); it is not opened."
        )


def short(href: str) -> str:
    """An address without what may be secret in it."""
    return href.split("?")[0]

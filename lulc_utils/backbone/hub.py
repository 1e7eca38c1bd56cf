"""The hub of weights: reached, or known at once not to be there."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT = 5  # seconds for the hub to answer at all


@contextmanager
def hub_client() -> Iterator[None]:
    """Where the hub does not answer, its client looks into its cache only: else it would try again for a minute."""
    from huggingface_hub import constants  # timm's; a package that never asks the hub does not need it

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=TIMEOUT).close()
    except urllib.error.HTTPError:  # it answers, if only that it does not like the question
        return True
    except (OSError, ValueError):
        return False
    return True

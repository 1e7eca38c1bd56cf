"""The images that a catalog has of a place."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lulc_utils import data
from lulc_utils.places import web
from lulc_utils.places.box import checked_bbox, checked_dates
from lulc_utils.places.choose import day_of, share_of

if TYPE_CHECKING:
    from pystac import Item, STACObject
    from pystac.link import HREF
    from pystac_client import Client
    from pystac_client.stac_api_io import StacApiIO

CATALOG = "https://earth-search.aws.element84.com/v1"
COLLECTION = "sentinel-2-l2a"


def search(bbox: Sequence[float], dates: str, *, catalog: str = CATALOG, collection: str = COLLECTION) -> list[Item]:
    """All items of a collection that touch a box on some days, sorted by date and name, with any cloud cover.

    bbox       west, south, east, north in degrees
    dates      "2023-06-01/2023-08-31", both days included, or one day
    catalog    address of a STAC API, or of a static catalog (slower: every item is looked at), or its path

    A catalog on the web may name only http(s) addresses; a local one may also name local files. ValueError for a
    wrong box or dates, or a collection that does not exist; data.DataUnavailable when the catalog cannot be reached;
    ModuleNotFoundError without pystac-client.
    """
    box = checked_bbox(bbox)
    first, last = checked_dates(dates)
    with _catalog_errors(catalog), warnings.catch_warnings():
        client = _client(catalog)
        if web.is_web(catalog) and client.conforms_to("ITEM_SEARCH"):
            days = f"{first}T00:00:00Z/{last}T23:59:59Z"
            items = list(client.search(collections=[collection], bbox=list(box), datetime=days, limit=100).items())
        else:
            child = next((c for c in client.get_collections() if c.id == collection), None)
            if child is None:
                raise ValueError(f"The catalog {catalog} has no collection '{collection}'.")
            items = list(child.get_items(recursive=True))
    for item in items:  # an item's own link decides what it may name, so do not trust it
        if web.is_web(catalog) and not web.is_web(item.get_self_href()):
            item.set_self_href(catalog)
    wanted = [i for i in items if first <= day_of(i) <= last and share_of(i, box).any()]
    return sorted(wanted, key=lambda i: (day_of(i), i.id))


def _client(catalog: str) -> Client:
    """The catalog, opened with timeouts and retries."""
    try:
        import pystac_client
        from pystac_client.warnings import PystacClientWarning
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'Places on Earth need the package pystac-client; install it with `pip install "lulc-utils[stac]"`.'
        ) from None
    from urllib3.util.retry import Retry

    warnings.simplefilter("ignore", PystacClientWarning)  # a static catalog is fine; the caller restores the filter
    again = Retry(
        total=web.TRIES - 1,
        backoff_factor=web.BACKOFF,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
    )
    io = _reader(catalog)(timeout=(web.CONNECT_TIMEOUT, web.READ_TIMEOUT), max_retries=again)
    return pystac_client.Client.open(catalog, stac_io=io)


def _reader(catalog: str) -> type[StacApiIO]:
    """Reads the files of a catalog; one on the web must not make us open files on this machine."""
    from pystac_client.stac_api_io import StacApiIO

    class WebOnly(StacApiIO):
        def read_text(self, source: HREF, *args: Any, **kwargs: Any) -> str:
            web.check_web(getattr(source, "href", source), catalog)
            return super().read_text(source, *args, **kwargs)

        def stac_object_from_dict(self, d: dict[str, Any], *args: Any, **kwargs: Any) -> STACObject:
            if not str(d.get("stac_version")).startswith("1."):  # for older ones, pystac opens the files they name
                raise data.DataUnavailable(f"The catalog {catalog} is older than STAC 1.0; use a newer one.")
            return super().stac_object_from_dict(d, *args, **kwargs)

    return WebOnly if web.is_web(catalog) else StacApiIO


@contextmanager
def _catalog_errors(catalog: str) -> Iterator[None]:
    if data.offline() and "://" in catalog:
        raise data.DataUnavailable(f"LULC_OFFLINE is set, so the catalog {catalog} is not asked.")
    try:
        yield
    except (ModuleNotFoundError, data.DataUnavailable):
        raise
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise data.DataUnavailable(f"The answer of {catalog} is not a STAC catalog ({error!r}).") from error
    except Exception as error:
        if isinstance(error.__cause__, data.DataUnavailable):  # our own, passed on by pystac
            raise error.__cause__ from None
        if isinstance(error, ValueError) and not _is_stac(error):
            raise
        status = getattr(error, "status_code", None)
        why = f"answered {status}" if status else "cannot be reached or read"
        raise data.DataUnavailable(
            f"The catalog {catalog} {why}; try again later, check the network, or use a GeoTIFF of your own."
        ) from error


def _is_stac(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("pystac", "pystac_client", "requests", "urllib3")

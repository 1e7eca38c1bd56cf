"""What the tests of places share."""

import pytest
from served import Server

from lulc_utils.places import web


@pytest.fixture
def server(tmp_path, monkeypatch):
    """An empty catalog on localhost, whose files lie in tmp_path/"web"."""
    pytest.importorskip("pystac_client")
    monkeypatch.setattr(web, "BACKOFF", 0.0)
    monkeypatch.delenv("LULC_OFFLINE", raising=False)
    (tmp_path / "web").mkdir()
    started = Server(tmp_path / "web")
    yield started
    started.shutdown()
    started.server_close()

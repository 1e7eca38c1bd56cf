"""What the tests of data share."""

import threading
from http.server import ThreadingHTTPServer

import pytest
from data_server import BASE, FILES, Handler, write_manifest

from lulc_utils.data import download, manifest


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.lock, server.release = threading.Lock(), threading.Event()
    server.requests, server.moods, server.content, server.extra = [], {}, {}, 0
    for top in ("origin", "mirror"):
        server.content |= {f"/{top}/{BASE}/{name}": body for name, body in FILES.items()}
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """Every test has its own empty cache, and nothing of the machine's settings reaches it."""
    for name in ("LULC_DATA_MIRROR", "LULC_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def tiny(server, monkeypatch, tmp_path):
    """The manifest names one dataset of five small files, whose public address is the local server."""
    origin = server.address + "/origin/"
    folder = write_manifest(tmp_path / "manifest", origin)
    monkeypatch.setattr(manifest, "manifest_folder", lambda: folder)
    monkeypatch.setattr(download, "ORIGIN", origin)
    monkeypatch.setattr(download, "BACKOFF", 0.01)
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.3)
    return server


@pytest.fixture
def no_network(tiny, monkeypatch, tmp_path):
    """Same manifest, but its addresses lead to a port where nobody listens."""
    origin = "http://127.0.0.1:9/"
    folder = write_manifest(tmp_path / "nowhere", origin)
    monkeypatch.setattr(manifest, "manifest_folder", lambda: folder)
    monkeypatch.setattr(download, "ORIGIN", origin)
    monkeypatch.setattr(download, "BACKOFF", 1.0)
    return tiny

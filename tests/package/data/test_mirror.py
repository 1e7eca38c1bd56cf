"""Mirrors, no network, and LULC_OFFLINE."""

import time

import pytest
from data_server import BASE, FILES, counts, fetch, mirror_folder, on_disk, only_good, write_manifest

from lulc_utils import data
from lulc_utils.data import manifest


def test_no_network_is_one_quick_sentence(no_network):
    start = time.time()
    with pytest.raises(data.DataUnavailable) as caught:
        fetch()
    assert time.time() - start < 1.0, "no second tries when there is no way to the server at all"
    text = str(caught.value)
    megabytes = sum(map(len, FILES.values())) / 1e6
    assert "\n" not in text and "5 files" in text and f"({megabytes:.1f} MB)" in text
    assert "cannot be reached" in text and "fetch tiny" in text and "LULC_DATA_MIRROR" in text
    assert only_good() == set()


def test_unknown_host_is_as_quick(no_network, monkeypatch, tmp_path):
    folder = write_manifest(tmp_path / "dns", "http://no-such-host.invalid/")
    monkeypatch.setattr(manifest, "manifest_folder", lambda: folder)
    with pytest.raises(data.DataUnavailable, match="no-such-host.invalid cannot be reached"):
        fetch()


def test_mirror_folder_is_enough(no_network, monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_DATA_MIRROR", mirror_folder(tmp_path / "mirror"))
    fetch()
    assert on_disk() == FILES and no_network.requests == []


def test_mirror_address_comes_first(tiny, monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", tiny.address + "/mirror/")
    fetch()
    assert on_disk() == FILES
    assert counts(tiny, "mirror") == dict.fromkeys(FILES, 1) and not counts(tiny, "origin")


def test_what_the_mirror_lacks_or_has_wrong_comes_from_the_original(tiny, monkeypatch, tmp_path):
    mirror = mirror_folder(tmp_path / "mirror", ["one.bin", "two.bin"])
    (tmp_path / "mirror" / BASE / "two.bin").write_bytes(b"tampered")
    monkeypatch.setenv("LULC_DATA_MIRROR", mirror)
    fetch()
    assert on_disk() == FILES and set(counts(tiny)) == set(FILES) - {"one.bin"}
    assert (tmp_path / "mirror" / BASE / "two.bin").read_bytes() == b"tampered", "a mirror is only read"


@pytest.mark.parametrize("kind", ["folder", "address", "dead address"])
def test_missing_mirror_falls_back(tiny, monkeypatch, tmp_path, kind):
    where = {"folder": str(tmp_path / "none"), "address": tiny.address + "/none"}
    monkeypatch.setenv("LULC_DATA_MIRROR", where.get(kind, "http://127.0.0.1:9"))
    fetch()
    assert on_disk() == FILES


def test_no_mirror_and_no_network_mentions_both(no_network, monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_DATA_MIRROR", str(tmp_path / "none"))
    with pytest.raises(data.DataUnavailable, match="there is no mirror .*none and .* cannot be reached") as caught:
        fetch()
    assert "\n" not in str(caught.value)


def test_damaged_mirror_without_network_caches_nothing(no_network, monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_DATA_MIRROR", mirror_folder(tmp_path / "mirror"))
    (tmp_path / "mirror" / BASE / "five.txt").write_bytes(b"FIVE\n")
    with pytest.raises(data.DataUnavailable, match="'five.txt' .* is damaged"):
        fetch()
    assert only_good() == set(FILES) - {"five.txt"}


def test_offline_never_touches_the_network(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_OFFLINE", "1")
    monkeypatch.setenv("LULC_DATA_MIRROR", tiny.address + "/mirror")
    with pytest.raises(data.DataUnavailable, match="LULC_OFFLINE is set"):
        fetch()
    assert tiny.requests == []
    monkeypatch.setenv("LULC_DATA_MIRROR", mirror_folder(tmp_path / "mirror", ["one.bin"]))
    with pytest.raises(data.DataUnavailable, match="4 files"):
        fetch()
    assert tiny.requests == [] and only_good() == {"one.bin"}
    monkeypatch.setenv("LULC_OFFLINE", "0")
    fetch()
    assert on_disk() == FILES

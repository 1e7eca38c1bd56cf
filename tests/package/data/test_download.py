"""Downloads from a local server that misbehaves in every way we know of."""

import os
import signal
import threading
import time

import pytest
from data_server import BASE, FILES, child, counts, fetch, on_disk, only_good

from lulc_utils import data
from lulc_utils.cli import main
from lulc_utils.data import download


def test_first_run_fetches_everything_and_the_second_nothing(tiny):
    assert set(data.missing("tiny")) == set(FILES)
    folder = fetch()
    assert folder == data.cache_folder() / "tiny" and on_disk() == FILES
    assert counts(tiny) == dict.fromkeys(FILES, 1)
    assert data.missing("tiny") == [] and set(data.verify("tiny").values()) == {"ok"}
    tiny.requests.clear()
    assert fetch() == folder and tiny.requests == []


def test_only_the_files_asked_for(tiny):
    fetch(files=iter(["one.bin", "five.txt", "one.bin"]))
    assert only_good() == {"one.bin", "five.txt"}
    assert data.missing("tiny", ["one.bin", "two.bin"]) == ["two.bin"]
    fetch()
    assert counts(tiny) == dict.fromkeys(FILES, 1), "files that were there are not asked for again"


def test_spaces_are_percent_encoded_in_addresses_only(tiny):
    fetch(files=["with space/three (3).bin"])
    assert len(tiny.requests) == 1 and "with%20space" in tiny.requests[0] and " " not in tiny.requests[0]
    assert (data.cache_folder() / "tiny" / "with space" / "three (3).bin").is_file()


def test_several_downloads_at_once(tiny, monkeypatch):
    monkeypatch.setattr(download, "READ_TIMEOUT", 5.0)
    tiny.moods = {f"/origin/{BASE}/{name}": ["stall", "good"] for name in ("one.bin", "two.bin", "five.txt")}
    worker = threading.Thread(target=lambda: fetch(workers=3))
    worker.start()
    deadline = time.time() + 4
    while len(tiny.requests) < 3 and time.time() < deadline:
        time.sleep(0.01)
    assert len(tiny.requests) >= 3, "three downloads wait for the server at the same time"
    tiny.release.set()
    worker.join()
    assert on_disk() == FILES


def test_progress_bar_counts_bytes_also_after_a_retry(tiny, monkeypatch):
    bars = []

    class Bar(download.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            bars.append(self)

    monkeypatch.setattr(download, "tqdm", Bar)
    tiny.moods = {f"/origin/{BASE}/one.bin": ["corrupt", "good"]}
    data.fetch("tiny")
    assert bars[0].n == bars[0].total == sum(map(len, FILES.values()))


@pytest.mark.parametrize("mood", ["500", "503", "truncate", "unannounced", "corrupt", "too long", "stall"])
def test_one_failure_is_healed_by_another_try(tiny, mood):
    tiny.moods = {f"/origin/{BASE}/deep/er/four.bin": [mood, "good"]}
    fetch()
    assert on_disk() == FILES
    assert counts(tiny) == {**dict.fromkeys(FILES, 1), "deep/er/four.bin": 2}


def test_a_wrong_file_in_the_cache_is_replaced_and_only_that(tiny):
    folder = fetch()
    (folder / "two.bin").write_bytes(b"x" * len(FILES["two.bin"]))  # right size, wrong content
    (folder / "one.bin").write_bytes(b"short")
    assert data.missing("tiny") == ["one.bin"]
    states = data.verify("tiny")
    assert {name for name, state in states.items() if state == "wrong"} == {"one.bin", "two.bin"}
    assert (folder / "one.bin").read_bytes() == b"short", "verify changes nothing"
    tiny.requests.clear()
    fetch()
    assert on_disk() == FILES and counts(tiny) == {"one.bin": 1, "two.bin": 1}


@pytest.mark.parametrize(
    ("mood", "tries", "words"),
    [
        ("404", 1, "answered 404"),
        ("403", 1, "answered 403"),
        ("500", 3, "answered 500"),
        ("truncate", 3, "broke off"),
        ("unannounced", 3, "damaged"),
        ("corrupt", 3, "damaged"),
        ("too long", 3, "damaged"),
        ("stall", 3, "stopped sending"),
    ],
)
def test_a_file_that_never_comes_right_is_never_cached(tiny, mood, tries, words):
    tiny.moods = {f"/origin/{BASE}/one.bin": [mood]}
    start = time.time()
    with pytest.raises(data.DataUnavailable, match=words) as caught:
        fetch(workers=1)
    assert time.time() - start < 4
    assert "one.bin" in str(caught.value) and "python -m lulc_utils data fetch tiny" in str(caught.value)
    assert only_good() == set(FILES) - {"one.bin"}, "the other files are kept, and nothing else"
    assert counts(tiny)["one.bin"] == tries
    tiny.moods.clear()
    tiny.requests.clear()
    fetch()
    assert on_disk() == FILES and counts(tiny) == {"one.bin": 1}


def test_a_file_without_end_is_cut_off(tiny):
    tiny.moods = {f"/origin/{BASE}/one.bin": ["endless", "good"]}
    fetch()
    assert on_disk() == FILES and tiny.extra < 64, "megabytes sent before the client hung up"


def test_a_failed_replacement_leaves_the_old_file_alone(tiny):
    folder = fetch()
    (folder / "one.bin").write_bytes(b"mine")
    tiny.moods = {f"/origin/{BASE}/one.bin": ["corrupt"]}
    with pytest.raises(data.DataUnavailable):
        fetch()
    assert on_disk() == {**FILES, "one.bin": b"mine"}


def test_a_server_that_is_down_is_given_up_after_a_few_files(tiny, monkeypatch):
    monkeypatch.setattr(download, "STRIKES", 2)
    tiny.moods = {f"/origin/{BASE}/{name}": ["503"] for name in FILES}
    with pytest.raises(data.DataUnavailable, match="lacks 5 files .* answered 503"):
        fetch(workers=1)
    assert len(tiny.requests) == 2 * download.TRIES and only_good() == set()


def test_cache_that_cannot_be_written_is_one_sentence(tiny, monkeypatch, tmp_path):
    (tmp_path / "occupied").write_text("a file, not a folder")
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "occupied"))
    with pytest.raises(data.DataUnavailable, match="set LULC_DATA_DIR") as caught:
        fetch()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child on Windows")
def test_control_c_leaves_only_good_files(tiny):
    tiny.moods = {f"/origin/{BASE}/two.bin": ["stall"]}
    process = child(tiny, "fetch", "tiny", read_timeout=2.0)
    deadline = time.time() + 15
    while len(data.missing("tiny")) > 1 and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)  # the stalled request runs into its time-out first
    assert counts(tiny)["two.bin"] < download.TRIES, "no further tries after Ctrl-C"
    assert process.returncode == 130 and "complete files are kept" in err and "Traceback" not in err
    assert only_good() == set(FILES) - {"two.bin"}


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_what_a_killed_fetch_left_is_mentioned_and_removed_by_the_next(tiny, capsys):
    tiny.moods = {f"/origin/{BASE}/{name}": ["stall"] for name in ("two.bin", "deep/er/four.bin")}
    process = child(tiny, "fetch", "tiny", read_timeout=20)
    deadline = time.time() + 15
    while (len(data.leftovers("tiny")) < 2 or len(data.missing("tiny")) > 2) and time.time() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert len(data.leftovers("tiny")) == 2
    assert main(["data", "verify", "tiny"]) == 1
    assert "2 half-written, by a fetch that is running or was killed" in capsys.readouterr().out
    tiny.moods = {}
    fetch()
    assert on_disk() == FILES and data.leftovers("tiny") == []


def test_a_second_process_waits_for_the_first(tiny):
    tiny.moods = {f"/origin/{BASE}/two.bin": ["stall", "good"]}
    first = child(tiny, "fetch", "tiny", read_timeout=20)
    deadline = time.time() + 15
    while not data.leftovers("tiny") and time.time() < deadline:
        time.sleep(0.02)
    second = child(tiny, "fetch", "tiny")
    assert any("Another process is fetching 'tiny'" in line for line in second.stderr)
    assert second.poll() is None
    tiny.release.set()
    assert [process.wait(20) for process in (first, second)] == [0, 0]
    assert on_disk() == FILES and counts(tiny)["two.bin"] == 2, "once in vain, once for both"


@pytest.mark.skipif(not hasattr(os, "umask"), reason="no umask on this system")
def test_files_can_be_read_by_whom_the_umask_allows(tiny):
    before = os.umask(0o022)
    try:
        folder = fetch()
    finally:
        os.umask(before)
    assert {(folder / name).stat().st_mode & 0o777 for name in FILES} == {0o644}

"""lulc_utils.data against a real local server that misbehaves in every way we know of."""

import csv
import functools
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pooch
import pytest
import rasterio
import yaml

from lulc_utils import data
from lulc_utils.data import sentinel
from lulc_utils.scene import UNLABELLED, labels_from_colors

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
FILES = {  # path in the dataset -> content; several megabytes would teach nothing more
    "one.bin": b"1" * 3000,
    "two.bin": bytes(range(256)) * 20,
    "with space/three (3).bin": b"three" * 700,
    "deep/er/four.bin": b"4" * 70_000,  # more than one block of the downloader
    "five.txt": b"five\n",
}
BASE = "owner/repo/0123abc"


class Handler(BaseHTTPRequestHandler):
    """Serves `server.content`; `server.moods[path]`: how it answers the next requests (the last for ever)."""

    def do_GET(self):
        server, path = self.server, unquote(self.path)
        with server.lock:
            server.requests.append(self.path)
            moods = server.moods.get(path, [])
            mood = moods[0] if moods else "good"
            if len(moods) > 1:
                moods.pop(0)
        body = server.content.get(path)
        if body is None or mood in ("403", "404", "500", "503"):
            self.send_error(int(mood) if mood.isdigit() else 404)
            return
        if mood == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        if mood == "too long":
            body += b"!"
        self.send_response(200)
        if mood not in ("unannounced", "endless"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if mood in ("truncate", "unannounced", "stall") else body)
        if mood == "stall":
            server.release.wait(20)
        while mood == "endless" and server.extra < 256:
            self.wfile.write(bytes(1 << 20))
            server.extra += 1
        self.close_connection = True

    def log_message(self, *_):
        pass


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


def write_manifest(folder, origin, name="tiny"):
    folder.mkdir(exist_ok=True)
    lines = []
    for path, body in FILES.items():
        url = f"{origin}{BASE}/{quote(path)}"
        lines += [f"# {len(body)} bytes", f'"{path}" sha256:{hashlib.sha256(body).hexdigest()} {url}']
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    entry = dict(title="Tiny", about="Made up.", files=len(FILES), bytes=sum(map(len, FILES.values())))
    entry |= dict(licence="none", licence_short="none", citation="none", homepage="none", commit="0123abc")
    entry |= dict(repository="none", used_in=[0])
    (folder / "datasets.yaml").write_text(yaml.safe_dump({"datasets": {name: entry}}))
    return folder


@pytest.fixture
def tiny(server, monkeypatch, tmp_path):
    """The manifest names one dataset of five small files, whose public address is the local server."""
    origin = server.address + "/origin/"
    folder = write_manifest(tmp_path / "manifest", origin)
    monkeypatch.setattr(data, "manifest_folder", lambda: folder)
    monkeypatch.setattr(data, "ORIGIN", origin)
    monkeypatch.setattr(data, "BACKOFF", 0.01)
    monkeypatch.setattr(data, "READ_TIMEOUT", 0.3)
    return server


fetch = functools.partial(data.fetch, "tiny", progress=False)


def on_disk():
    """Every file below the cache folder, temporary ones included, with its content."""
    root = data.cache_folder() / "tiny"
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def only_good():
    found = on_disk()
    assert found.items() <= FILES.items(), "something that is not in the manifest lies in the cache"
    return set(found)


def counts(server, top="origin"):
    """Requests per file."""
    start = f"/{top}/{BASE}/"
    return Counter(unquote(p).removeprefix(start) for p in server.requests if p.startswith(start))


# --- what works -------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr(data, "READ_TIMEOUT", 5.0)
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

    class Bar(data.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            bars.append(self)

    monkeypatch.setattr(data, "tqdm", Bar)
    tiny.moods = {f"/origin/{BASE}/one.bin": ["corrupt", "good"]}
    data.fetch("tiny")
    assert bars[0].n == bars[0].total == sum(map(len, FILES.values()))


# --- what goes wrong and heals ----------------------------------------------------------------------------------


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


# --- what stays wrong -------------------------------------------------------------------------------------------


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
    assert "one.bin" in str(caught.value) and "python -m lulc_utils.data fetch tiny" in str(caught.value)
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
    monkeypatch.setattr(data, "STRIKES", 2)
    tiny.moods = {f"/origin/{BASE}/{name}": ["503"] for name in FILES}
    with pytest.raises(data.DataUnavailable, match="lacks 5 files .* answered 503"):
        fetch(workers=1)
    assert len(tiny.requests) == 2 * data.TRIES and only_good() == set()


def test_cache_that_cannot_be_written_is_one_sentence(tiny, monkeypatch, tmp_path):
    (tmp_path / "occupied").write_text("a file, not a folder")
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "occupied"))
    with pytest.raises(data.DataUnavailable, match="set LULC_DATA_DIR") as caught:
        fetch()
    assert "\n" not in str(caught.value)


# --- no network, mirrors, offline -------------------------------------------------------------------------------


@pytest.fixture
def no_network(tiny, monkeypatch, tmp_path):
    """Same manifest, but its addresses lead to a port where nobody listens."""
    origin = "http://127.0.0.1:9/"
    folder = write_manifest(tmp_path / "nowhere", origin)
    monkeypatch.setattr(data, "manifest_folder", lambda: folder)
    monkeypatch.setattr(data, "ORIGIN", origin)
    monkeypatch.setattr(data, "BACKOFF", 1.0)
    return tiny


def mirror_folder(folder, names=FILES):
    for name in names:
        path = folder / BASE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    return str(folder)


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
    monkeypatch.setattr(data, "manifest_folder", lambda: folder)
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


# --- processes --------------------------------------------------------------------------------------------------


def child(tiny, *arguments, read_timeout=5.0):
    """The command line in a process of its own, with this test's manifest."""
    code = (
        "import sys; from pathlib import Path; from lulc_utils import data\n"
        f"data.manifest_folder = lambda: Path({str(data.manifest_folder())!r})\n"
        f"data.ORIGIN, data.BACKOFF, data.READ_TIMEOUT = {data.ORIGIN!r}, 0.01, {read_timeout}\n"
        "sys.exit(data.main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once(tiny):
    tiny.moods = {f"/origin/{BASE}/deep/er/four.bin": ["truncate", "corrupt", "good"]}
    both = [child(tiny, "fetch", "tiny", "--quiet") for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")
    assert on_disk() == FILES


def test_a_reader_that_hangs_up_sees_no_traceback(tiny):
    process = child(tiny, "list")
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(10) == 0


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child on Windows")
def test_control_c_leaves_only_good_files(tiny):
    tiny.moods = {f"/origin/{BASE}/two.bin": ["stall"]}
    process = child(tiny, "fetch", "tiny", read_timeout=2.0)
    deadline = time.time() + 15
    while len(data.missing("tiny")) > 1 and time.time() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)  # the stalled request runs into its time-out first
    assert counts(tiny)["two.bin"] < data.TRIES, "no further tries after Ctrl-C"
    assert process.returncode == 1 and "what had arrived is kept" in err and "Traceback" not in err
    assert only_good() == set(FILES) - {"two.bin"}


# --- names, command line ----------------------------------------------------------------------------------------


def test_unknown_names_are_one_sentence():
    with pytest.raises(ValueError, match="did you mean 'dubai'.*terramesh, satclip, us-sites, eurosat"):
        data.fetch("dubia")
    for call in (data.about, data.verify, data.missing):
        with pytest.raises(ValueError, match="There is no dataset 'nothing'"):
            call("nothing")
    with pytest.raises(ValueError, match="has no file 'classes.txt'"):
        data.fetch("dubai", files=["classes.txt"])
    for tile in (0, 9):
        with pytest.raises(ValueError, match=f"tiles 1 to 8, not {tile}"):
            data.dubai([1, tile])


def test_command_line_fetch_list_info_verify(tiny, capsys):
    assert data.main(["verify", "tiny"]) == 1
    assert "missing  one.bin" in capsys.readouterr().out
    assert data.main(["fetch", "all", "--workers", "2"]) == 0
    said = capsys.readouterr()
    assert "all 5 files are in" in said.out and "100%" in said.err
    assert data.main(["fetch", "tiny", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert data.main(["list"]) == 0
    assert re.search(r"tiny +5 +0\.1 +5/5 +none", capsys.readouterr().out)
    assert data.main(["info", "tiny"]) == 0
    assert "Made up." in capsys.readouterr().out
    assert data.main(["verify", "tiny"]) == 0
    assert "5 of 5" in capsys.readouterr().out
    (data.cache_folder() / "tiny" / "five.txt").write_bytes(b"FIVE\n")
    assert data.main(["verify", "tiny"]) == 1
    assert "wrong    five.txt" in capsys.readouterr().out


def test_command_line_errors_are_one_line_and_have_a_status(no_network, capsys):
    for arguments, status in [
        (["fetch", "tiny", "--quiet"], 1),
        (["fetch", "tiny", "tinny"], 2),
        (["info", "tinny"], 2),
        (["verify", "tinny"], 2),
    ]:
        assert data.main(arguments) == status
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1 and "Traceback" not in said.err
    for arguments in ([], ["fetch"], ["fetch", "tiny", "--workers", "many"], ["download"]):
        with pytest.raises(SystemExit) as caught:
            data.main(arguments)
        assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        data.main(["--help"])
    assert caught.value.code == 0


def test_cache_folder_follows_the_platform_or_the_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "here"))
    assert data.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("LULC_DATA_DIR")
    assert data.cache_folder() == Path(pooch.os_cache("lulc-utils"))


# --- colour masks -----------------------------------------------------------------------------------------------


def test_labels_from_colors_by_hand():
    rgb = np.array([[[226, 132, 0]], [[169, 41, 0]], [[41, 246, 0]]], np.uint8)  # [3, 1, 3]
    assert labels_from_colors(rgb, data.DUBAI_COLORS).tolist() == [[0, 1, UNLABELLED]]
    stranger = np.concatenate([rgb, np.full((3, 1, 2), 7, np.uint8)], axis=2)
    with pytest.raises(ValueError, match="2 pixels of the mask have the colour #070707, "):
        labels_from_colors(stranger, data.DUBAI_COLORS)
    relaxed = labels_from_colors(stranger, data.DUBAI_COLORS, allow_other=True)
    assert relaxed.tolist() == [[0, 1, UNLABELLED, UNLABELLED, UNLABELLED]] and relaxed.dtype == np.uint8
    with pytest.raises(ValueError, match=r"must be \(3, rows, cols\) uint8"):
        labels_from_colors(rgb.transpose(1, 2, 0), data.DUBAI_COLORS)


@pytest.mark.filterwarnings("error")
def test_palette_and_rgb_masks_read_the_same(tmp_path):
    colors = [tuple(bytes.fromhex(c[1:])) for c in data.DUBAI_COLORS]
    index = np.arange(35, dtype=np.uint8).reshape(5, 7) % len(colors)
    rgb = np.array(colors, np.uint8)[index].transpose(2, 0, 1)
    blank = dict(driver="PNG", height=5, width=7, dtype="uint8")
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        with rasterio.open(tmp_path / "palette.png", "w", count=1, **blank) as out:
            out.write(index, 1)
            out.write_colormap(1, dict(enumerate(colors)))
        with rasterio.open(tmp_path / "rgb.png", "w", count=3, **blank) as out:
            out.write(rgb)
    for name in ("palette.png", "rgb.png"):
        assert np.array_equal(data._read_rgb(tmp_path / name), rgb)


# --- the manifest itself ----------------------------------------------------------------------------------------

MANIFEST = Path(__file__).parents[3] / "data_manifest"
NAMES = ["dubai", "terramesh", "satclip", "us-sites", "eurosat"]


def test_manifest_lists_what_the_book_uses():
    assert data.manifest_folder() == MANIFEST and data.names() == NAMES
    assert {path.stem for path in MANIFEST.glob("*.txt")} == set(NAMES)
    optional = yaml.safe_load((MANIFEST / "datasets.yaml").read_text())["optional"]
    assert all(set(entry) == {"title", "where", "licence"} for entry in optional)


@pytest.mark.parametrize("name", NAMES)
def test_registry_parses_and_agrees_with_the_description(name, tmp_path):
    registry = pooch.create(path=tmp_path, base_url="")
    registry.load_registry(MANIFEST / f"{name}.txt")
    files, entry = data._files(name), data.about(name)
    assert {f.name: f.sha256 for f in files} == registry.registry
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", f.sha256) for f in files)
    assert len({f.url for f in files}) == len(files) == entry["files"]
    assert sum(f.bytes for f in files) == entry["bytes"] and min(f.bytes for f in files) > 0
    repository = entry["repository"].removeprefix("https://github.com/")
    for file in files:
        assert file.url == f"{data.ORIGIN}{repository}/{entry['commit']}/{quote(file.name)}"
        assert ".." not in Path(file.name).parts and not file.name.startswith("/") and "\\" not in file.name
    needed = {"title", "about", "licence", "licence_short", "citation", "homepage", "used_in"}
    assert all(entry[key] for key in needed)


# --- the real files, where a mirror of them is at hand ----------------------------------------------------------

with_mirror = pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")


@with_mirror
def test_manifest_agrees_with_the_list_beside_the_mirror():
    table = Path(REAL_MIRROR).parent / "FILES.csv"
    if not table.is_file():
        pytest.skip("no FILES.csv beside the mirror")
    with open(table, newline="") as stream:
        rows = {(r["dataset"], r["path"], int(r["bytes"]), r["sha256"], r["url"]) for r in csv.DictReader(stream)}
    ours = {(n, f.name, f.bytes, f.sha256.removeprefix("sha256:"), f.url) for n in NAMES for f in data._files(n)}
    assert ours == rows


@with_mirror
def test_dubai_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    some = data.dubai([3], progress=False)
    assert [scene.name for scene in some] == [f"tile 3 part {part:03d}" for part in range(1, 10)]
    assert len(data.missing("dubai")) == 145 - 18, "only the files of tile 3 were fetched"
    scenes = data.dubai(progress=False)
    assert Counter(scene.group for scene in scenes) == {
        **{f"tile {tile}": 9 for tile in (1, 2, 3, 5, 6, 7)},
        "tile 4+8": 18,
    }
    assert len({scene.name for scene in scenes}) == 72
    first = scenes[0]
    assert first.bands == ("red", "green", "blue") and first.pixels.dtype == np.uint8
    assert first.source == "Dubai (MBRSC), tile 1 part 001" and not first.simulated
    found = sum(np.bincount(scene.labels.ravel(), minlength=256) for scene in scenes)
    share = 100 * found / found.sum()
    assert share[:5] == pytest.approx([13.6, 52.4, 9.4, 13.3, 10.3], abs=0.1)
    assert share[UNLABELLED] == pytest.approx(1.06, abs=0.05)
    assert {(509, 544), (2149, 1479), (1817, 2062)} <= {(scene.width, scene.height) for scene in scenes}


def test_reflectance_takes_off_what_the_processing_added():
    rng = np.random.default_rng(0)
    numbers = rng.integers(20, 4000, (3, 40, 40)).astype(np.uint16)
    plain = sentinel.reflectance(numbers)
    assert plain.dtype == np.float32 and np.allclose(plain, numbers / 1e4)
    shifted = numbers + 1000
    shifted[0, 0, :2] = 0, 900  # a gap and an overshoot: neither may hide the offset or become negative
    again = sentinel.reflectance(shifted)
    assert sentinel.offset(shifted) == 1000 and sentinel.offset(numbers) == 0
    assert np.allclose(again[:, 1:], plain[:, 1:]) and again[0, 0, :2].tolist() == [0, 0]


@with_mirror
def test_terramesh_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    scenes = {scene.group: scene for scene in data.terramesh(progress=False)}
    assert list(scenes) == ["Brazil", "Tanzania", "Chile", "Ontario", "Denmark"]
    chile = scenes["Chile"]
    assert chile.name == "Chile 433D" and str(chile.date) == "2020-04-08" and chile.crs.to_epsg() == 32718
    assert chile.pixels.shape == (12, 224, 224) and chile.pixels.dtype == np.float32 and chile.bands[8] == "B8A"
    west, south, east, north = chile.bounds_latlon()
    assert west < -72.48 < east and south < -38.83 < north
    count = np.bincount(chile.labels.ravel(), minlength=8)
    assert dict(zip(chile.class_names, count, strict=True)) == {
        "water": 3127, "trees": 10396, "flooded vegetation": 90, "crops": 21213,
        "built": 11742, "bare": 0, "snow": 0, "rangeland": 3608,
    }  # fmt: skip
    assert set(np.unique(scenes["Ontario"].labels)) == {6} and scenes["Brazil"].labels.max() < 8
    red, infrared = (np.median(chile.select(b)[0][chile.labels == 1]) for b in ("B04", "B08"))
    assert (infrared - red) / (infrared + red) > 0.8  # the offset is off: with it, trees had an NDVI of 0.47
    for scene in scenes.values():
        assert scene.pixels.min() >= 0 and np.median(scene.pixels) < 1 and not scene.simulated


@with_mirror
def test_satclip_really_loads(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    usable = data.satclip(progress=False)
    assert (
        len(usable) == 20
        and usable[3].source == "Sentinel-2 (SatCLIP), patch 252161, 32.8 S 19.9 E"
        and len(data.missing("satclip")) == 4
    )
    every = data.satclip(usable=False, progress=False)
    plain = {s.name for s in every} - {s.name for s in usable}
    assert plain == {"patch 25630", "patch 74721", "patch 752389"}
    with open(data.fetch("satclip", progress=False) / "figures/ssl4eo/example/index.csv", newline="") as stream:
        table = {
            row["fn"][:-4].replace("_", " "): (float(row["lat"]), float(row["lon"])) for row in csv.DictReader(stream)
        }
    for scene in every:
        assert scene.pixels.shape == (12, 256, 256) and scene.labels is None and scene.date is None
        assert 0 <= scene.pixels.min() and np.percentile(scene.pixels, 99) < 1.3
        west, south, east, north = scene.bounds_latlon()
        if scene.name in table:
            lat, lon = table[scene.name]
            assert ((south + north) / 2, (west + east) / 2) == pytest.approx((lat, lon), abs=2e-3)
    assert {s.name for s in every} - set(table) == {"patch 33188", "patch 445", "patch 8845"}
    calm = [np.median(s.pixels.std((1, 2))) for s in every if s.name in plain]
    assert max(calm) < 0.006 < min(np.median(s.pixels.std((1, 2))) for s in usable)

"""A local server that misbehaves in every way we know of, and a manifest of what it has."""

import functools
import hashlib
import subprocess
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote, unquote

import yaml

from lulc_utils import data
from lulc_utils.data import download, manifest

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


def write_manifest(folder, origin, name="tiny"):
    folder.mkdir(exist_ok=True)
    lines = []
    for path, body in FILES.items():
        url = f"{origin}{BASE}/{quote(path)}"
        lines += [f"# {len(body)} bytes", f'"{path}" sha256:{hashlib.sha256(body).hexdigest()} {url}']
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    entry = dict(title="Tiny", about="Made up.", files=len(FILES), bytes=sum(map(len, FILES.values())))
    entry |= dict(license="none", license_short="none", citation="none", homepage="none", commit="0123abc")
    entry |= dict(repository="none", used_in=[0])
    (folder / "datasets.yaml").write_text(yaml.safe_dump({"datasets": {name: entry}}))
    return folder


fetch = functools.partial(data.fetch, "tiny", progress=False)


def on_disk():
    """Every file below the cache folder, temporary ones included, with its content."""
    root = data.cache_folder() / "tiny"
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def only_good():
    cached = on_disk()
    assert cached.items() <= FILES.items(), "something that is not in the manifest lies in the cache"
    return set(cached)


def counts(server, top="origin"):
    """Requests per file."""
    start = f"/{top}/{BASE}/"
    return Counter(unquote(p).removeprefix(start) for p in server.requests if p.startswith(start))


def mirror_folder(folder, names=FILES):
    for name in names:
        path = folder / BASE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    return str(folder)


def child(tiny, *arguments, read_timeout=5.0):
    """The command line in a process of its own, with this test's manifest."""
    code = (
        "import sys; from pathlib import Path; from lulc_utils.cli import main\n"
        "from lulc_utils.data import download, manifest\n"
        f"manifest.manifest_folder = lambda: Path({str(manifest.manifest_folder())!r})\n"
        f"download.ORIGIN, download.BACKOFF, download.READ_TIMEOUT = {download.ORIGIN!r}, 0.01, {read_timeout}\n"
        "sys.exit(main(['data', *sys.argv[1:]]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

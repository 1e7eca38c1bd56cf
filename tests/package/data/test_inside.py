"""Nothing that a manifest or a mirror says leads out of the cache, or is waited for without end."""

import hashlib
import os
import subprocess
import sys

import pytest
import yaml

from lulc_utils import data
from lulc_utils.data import manifest, pool

BODY = b"secret"
LEADING_OUT = [
    "../evil.bin",
    "a/../../evil.bin",
    "a/../b.bin",
    "/tmp/evil.bin",
    "//host/share/evil.bin",
    "..\\evil.bin",
    "a\\b.bin",
    "C:/evil.bin",
    "C:evil.bin",
    "\\\\host\\share\\evil.bin",
    "..",
]


def write_manifest(folder, file="ok.bin", name="tiny", url="https://raw.githubusercontent.com/o/r/1/ok.bin"):
    (folder / "manifest").mkdir()
    (folder / "manifest" / "datasets.yaml").write_text(yaml.safe_dump({"datasets": {name: {"title": "x"}}}))
    entry = f"'{file}' sha256:{hashlib.sha256(BODY).hexdigest()} {url}"
    (folder / "manifest" / "tiny.txt").write_text(f"# {len(BODY)} bytes\n{entry}\n")
    return folder / "manifest"


@pytest.fixture
def use(tmp_path, monkeypatch):
    """use(file=..., ...): a manifest of one file, a mirror that has it under every name, an empty cache."""

    def put(**options):
        folder = write_manifest(tmp_path, **options)
        for name in ("mirror/o/r/1", "mirror/o/r"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / name / "ok.bin").write_bytes(BODY)
        monkeypatch.setattr(manifest, "manifest_folder", lambda: folder)
        monkeypatch.setenv("LULC_DATA_MIRROR", str(tmp_path / "mirror"))
        monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("LULC_OFFLINE", "1")

    return put


@pytest.mark.parametrize("file", LEADING_OUT)
def test_a_manifest_cannot_write_outside_of_the_cache(use, tmp_path, file):
    use(file=file)
    before = sorted(tmp_path.rglob("*"))
    for call in (data.fetch, data.verify, data.missing):
        with pytest.raises(ValueError, match="leads out of the cache"):
            call("tiny")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../tiny", "/tiny", "a\\tiny"])
def test_nor_can_the_name_of_a_dataset(use, name):
    use(name=name)
    with pytest.raises(ValueError, match="leads out of the cache"):
        data.fetch(name)


def test_the_address_of_a_file_does_not_lead_out_of_a_mirror(use, tmp_path):
    use(url="https://raw.githubusercontent.com/%2e%2e/ok.bin")
    (tmp_path / "ok.bin").write_bytes(BODY)
    with pytest.raises(ValueError, match="leads out of the cache"):
        data.fetch("tiny", progress=False)
    assert not (tmp_path / "cache" / "tiny" / "ok.bin").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
@pytest.mark.parametrize("file", LEADING_OUT)
def test_the_list_of_the_pool_names_nothing_outside(monkeypatch, tmp_path, file):
    monkeypatch.setattr(pool, "manifest_folder", lambda: tmp_path)
    (tmp_path / "pool.csv").write_text(f"source,path,bytes,sha256\nnepal,{file},6,00\n")
    with pytest.raises(ValueError, match="leads out of the cache"):
        pool.pool_files("nepal")


def test_a_pipe_in_a_mirror_is_not_waited_for(use, tmp_path):
    use()
    os.remove(tmp_path / "mirror/o/r/1/ok.bin")
    os.mkfifo(tmp_path / "mirror/o/r/1/ok.bin")
    code = (
        "from pathlib import Path; from lulc_utils.cli import main; from lulc_utils.data import manifest\n"
        f"manifest.manifest_folder = lambda: Path({str(tmp_path / 'manifest')!r})\n"
        "raise SystemExit(main(['data', 'fetch', 'tiny', '--quiet']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "mirror has no copy" in done.stderr and done.stderr.count("\n") == 1

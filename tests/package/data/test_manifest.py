"""The manifest itself."""

import csv
import os
import re
from pathlib import Path
from urllib.parse import quote

import pooch
import pytest
import yaml

from lulc_utils import data
from lulc_utils.data import download

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
MANIFEST = Path(__file__).parents[3] / "data_manifest"
NAMES = ["dubai", "terramesh", "satclip", "us-sites", "eurosat"]
with_mirror = pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")


def test_manifest_lists_what_the_book_uses():
    assert data.manifest_folder() == MANIFEST and data.names() == NAMES
    assert {path.stem for path in MANIFEST.glob("*.txt")} == set(NAMES)
    optional = yaml.safe_load((MANIFEST / "datasets.yaml").read_text())["optional"]
    assert all(set(entry) == {"title", "where", "licence"} for entry in optional)


@pytest.mark.parametrize("name", NAMES)
def test_registry_parses_and_agrees_with_the_description(name, tmp_path):
    registry = pooch.create(path=tmp_path, base_url="")
    registry.load_registry(MANIFEST / f"{name}.txt")
    files, entry = data.registry(name), data.about(name)
    assert {f.name: f.sha256 for f in files} == registry.registry
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", f.sha256) for f in files)
    assert len({f.url for f in files}) == len(files) == entry["files"]
    assert sum(f.bytes for f in files) == entry["bytes"] and min(f.bytes for f in files) > 0
    repository = entry["repository"].removeprefix("https://github.com/")
    for file in files:
        assert file.url == f"{download.ORIGIN}{repository}/{entry['commit']}/{quote(file.name)}"
        assert ".." not in Path(file.name).parts and not file.name.startswith("/") and "\\" not in file.name
    needed = {"title", "about", "licence", "licence_short", "citation", "homepage", "used_in"}
    assert all(entry[key] for key in needed)


@with_mirror
def test_manifest_agrees_with_the_list_beside_the_mirror():
    table = Path(REAL_MIRROR).parent / "FILES.csv"
    if not table.is_file():
        pytest.skip("no FILES.csv beside the mirror")
    with open(table, newline="") as stream:
        rows = {(r["dataset"], r["path"], int(r["bytes"]), r["sha256"], r["url"]) for r in csv.DictReader(stream)}
    ours = {(n, f.name, f.bytes, f.sha256.removeprefix("sha256:"), f.url) for n in NAMES for f in data.registry(n)}
    assert ours == rows

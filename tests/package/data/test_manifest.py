"""The manifest itself."""

import csv
import os
import re
import time
from pathlib import Path
from urllib.parse import quote

import pooch
import pytest
import yaml

from lulc_utils import data
from lulc_utils.data import manifest

REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
MANIFEST = Path(__file__).parents[3] / "data_manifest"
NAMES = ["dubai", "terramesh", "satclip"]
NAMES += ["uc-merced", "urban-trees", "buildings", "africa-crops", "flood-hls", "eurosat-rgb", "galileo-nano"]
NOT_USED = {"us-sites", "eurosat"}  # in the mirror, but no chapter has a use for them
with_mirror = pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")


def test_manifest_lists_what_the_book_uses():
    assert data.manifest_folder() == MANIFEST and data.names() == NAMES
    assert {path.stem for path in MANIFEST.glob("*.txt")} == set(NAMES)
    optional = yaml.safe_load((MANIFEST / "datasets.yaml").read_text())["optional"]
    assert all(set(entry) == {"title", "where", "license"} for entry in optional)


@pytest.mark.parametrize("name", NAMES)
def test_registry_parses_and_agrees_with_the_description(name, tmp_path):
    registry = pooch.create(path=tmp_path, base_url="")
    registry.load_registry(MANIFEST / f"{name}.txt")
    files, entry = data.registry(name), data.about(name)
    assert {f.name: f.sha256 for f in files} == registry.registry
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", f.sha256) for f in files)
    assert len({f.url for f in files}) == len(files) == entry["files"]
    assert sum(f.bytes for f in files) == entry["bytes"] and min(f.bytes for f in files) > 0
    places = [place for place in (entry, entry.get("lists")) if place]
    repositories = [f"{p['repository'].replace(manifest.PAGES, manifest.ORIGIN)}/{p['commit']}" for p in places]
    for file in files:
        assert file.url in {f"{repository}/{quote(file.name)}" for repository in repositories}
        assert ".." not in Path(file.name).parts and not file.name.startswith("/") and "\\" not in file.name
    needed = {"title", "about", "license", "license_short", "citation", "homepage"}
    assert all(entry[key] for key in needed) and isinstance(entry["used_in"], list)


def test_the_manifest_knows_which_chapter_loads_what():
    for path in MANIFEST.parent.glob("notebooks/0*.ipynb"):
        for loader in set(re.findall(r"\bdata\.(\w+)\b", path.read_text(encoding="utf8"))):
            if (name := loader.replace("_", "-")) in NAMES:
                assert int(path.stem[:2]) in data.about(name)["used_in"], f"{path.stem} uses {name}"


def test_a_line_that_is_no_entry_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "manifest_folder", lambda: tmp_path)
    (tmp_path / "datasets.yaml").write_text(yaml.safe_dump({"datasets": {"tiny": {"title": "x"}}}))
    for line in ("one.bin", "one.bin md5:00", "one two.bin sha256:00", '"one.bin sha256:00', "a sha256:0 b c"):
        (tmp_path / "tiny.txt").write_text(f"# 3 bytes\n{line}\n")
        with pytest.raises(ValueError, match="which is not 'file sha256:... address'"):
            data.registry("tiny")


def test_a_large_registry_is_read_at_once():
    start = time.process_time()
    assert len(data.registry("eurosat-rgb")) == 5467
    assert time.process_time() - start < 1


def test_what_must_never_be_trained_on_or_touched_is_not_named():
    """The rules of the descriptions: numbers kept back, and the city that is nobody's."""
    names = {name: [Path(file.name) for file in data.registry(name)] for name in NAMES}
    assert {int(path.stem[-2:]) for path in names["uc-merced"]} == set(range(70, 86))
    cities = {path.stem.rsplit("_", 2)[0] for path in names["urban-trees"]}
    assert cities == {"chico", "claremont", "riverside", "eureka", "bishop", "long_beach"}
    for name, words in {
        "uc-merced": ("0 to 69 may be used for training without labels", "86 to 99 are kept"),
        "urban-trees": ("may be used for training without labels", "Palm Springs", "kept back and never touched"),
        "buildings": ("a backbone must never be trained on them",),
    }.items():
        assert all(word in data.about(name)["about"] for word in words)


@with_mirror
@pytest.mark.parametrize("table", ["FILES.csv", "MORE_FILES.csv"])
def test_manifest_agrees_with_the_list_beside_the_mirror(table):
    path = Path(REAL_MIRROR).parent / table
    if not path.is_file():
        pytest.skip(f"no {table} beside the mirror")
    with open(path, newline="") as stream:
        rows = {(r["dataset"], r["path"], int(r["bytes"]), r["sha256"], r["url"]) for r in csv.DictReader(stream)}
    rows = {row for row in rows if row[0] not in NOT_USED}
    named = {row[0] for row in rows}
    assert named == set(NAMES[:3] if table == "FILES.csv" else NAMES[3:])
    ours = {(n, f.name, f.bytes, f.sha256.removeprefix("sha256:"), f.url) for n in named for f in data.registry(n)}
    assert ours == rows

"""The training pool: nothing that is scored on is in it, and it is built from what its list says."""

import csv
import re
from collections import Counter

import numpy as np
import pooch
import pytest
import rasterio

from lulc_utils import cli, data
from lulc_utils.data import pool


def test_the_pool_holds_nothing_that_is_scored_on():
    files = {source: [file.name for file in pool.pool_files(source)] for source in pool.SOURCES}
    assert {source: len(names) for source, names in files.items()} == {"uc-merced": 1470, "naip": 1020, "nepal": 168}
    for name in files["uc-merced"]:
        kind, number = re.fullmatch(r"([a-z]+)/[a-z]+(\d\d)\.tif", name).groups()
        assert name == f"{kind}/{kind}{number}.tif" and int(number) < 70
    cities = Counter(re.fullmatch(r"(\w+)_20(16|18|20)_\d+\.tif", name)[1] for name in files["naip"])
    assert set(cities) == {"chico", "claremont", "riverside", "santa_monica"}
    assert all(re.fullmatch(r"OAM-\d+-\d+-(19|20|21)\.png", name) for name in files["nepal"])
    assert pool.SOURCES["nepal"].folder.endswith(
        "/ramp-data/TRAIN/HOTOSM/2/data/3/"
    )  # places 1, 2, 4 and 5 are scored on


def test_no_file_is_also_in_a_data_set_that_is_scored_on():
    pooled = {file.sha256 for source in pool.SOURCES for file in pool.pool_files(source)}
    both = {f"{name}/{f.name}" for name in data.names() for f in data.registry(name) if f.sha256 in pooled}
    assert {name.split("/")[0] for name in both} <= {"urban-trees"}, both  # of it, cities to fit on
    assert not [name for name in both if re.search(r"eureka|bishop|long_beach|palm_springs", name)]


def test_places_and_meters():
    assert (
        pool.place_of("naip", "santa_monica_2018_7") == pool.place_of("naip", "santa_monica_2020_7") == "santa_monica 7"
    )
    assert pool.place_of("naip", "chico_2018_7") != pool.place_of("naip", "chico_2018_8")
    assert pool.place_of("uc-merced", "agricultural07") == "agricultural07"
    assert pool.meters_of("naip", "chico_2018_7") == 0.6
    assert pool.meters_of("nepal", "OAM-773439-440506-20") == pytest.approx(0.1323, abs=1e-3)  # 27.6 degrees north


@pytest.fixture
def four(tmp_path, monkeypatch):
    """A list of four small files, of which the mirror has all."""
    rows, rng = [], np.random.default_rng(0)
    for source, name in (
        ("uc-merced", "beach/beach00.tif"),
        ("naip", "chico_2018_3.tif"),
        ("naip", "chico_2020_3.tif"),
    ):
        path = tmp_path / "mirror" / pool.SOURCES[source].folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands = 4 if source == "naip" else 3
        with rasterio.open(path, "w", driver="GTiff", width=40, height=40, count=bands, dtype="uint8") as file:
            file.write(np.tile(rng.integers(60, 200, (bands, 1, 1)), (1, 40, 40)).astype("uint8"))
        rows.append([source, name, path.stat().st_size, data_hash(path)])
    folder = tmp_path / "manifest"
    folder.mkdir()
    with (folder / "pool.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([["source", "path", "bytes", "sha256"], *rows])
    monkeypatch.setattr(pool, "manifest_folder", lambda: folder)
    monkeypatch.setenv("LULC_DATA_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("LULC_OFFLINE", "1")
    return tmp_path / "mirror"


def data_hash(path):
    return pooch.file_hash(str(path))


def test_the_pool_is_built_and_continued(four, tmp_path, capsys):
    spoiled = four / pool.SOURCES["naip"].folder / "chico_2020_3.tif"
    good = spoiled.read_bytes()
    spoiled.write_bytes(good[:-1] + b"!")
    out = tmp_path / "out"
    assert cli.main(["data", "pool", "--out", str(out)]) == 1
    assert "chico_2020_3.tif" in capsys.readouterr().err and not (out / "naip" / "chico_2020_3.jpg").exists()
    first = out / "uc-merced" / "beach00.jpg"
    before = first.stat().st_mtime_ns
    spoiled.write_bytes(good)
    assert cli.main(["data", "pool", "--out", str(out)]) == 0
    assert first.stat().st_mtime_ns == before
    with (out / "naip" / "images.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["file"] for row in rows] == ["chico_2018_3.jpg", "chico_2020_3.jpg"]
    assert {row["place"] for row in rows} == {"chico 3"} and all("CC BY" in row["license"] for row in rows)
    with rasterio.open(spoiled) as original, rasterio.open(out / "naip" / "chico_2020_3.jpg") as image:
        assert np.abs(original.read((1, 2, 3)).astype(int) - image.read()).max() < 6
    assert sorted(path.name for path in out.iterdir()) == ["naip", "nepal", "uc-merced"]

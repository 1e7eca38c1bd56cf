"""A place named in a string, and the command line."""

import datetime

import numpy as np
import pytest
from served import BOX, get, make_item, write, write_worldcover

from lulc_utils import places, raster
from lulc_utils.cli import main


def test_a_box_in_a_string_is_read_once_and_kept(server, tmp_path):
    write_worldcover(server)
    server.items = [make_item(server, "A")]
    options = {"catalog": server.url, "worldcover": server.url + "/wc_{tile}.tif", "progress": False}
    options["cache"] = tmp_path / "kept"
    text = " ".join(map(str, BOX)) + " 2023-06-01/2023-08-31"
    [first] = places.open_place(text, **options)
    direct, kept = get(server, labels=True), raster.read_scene(first)
    assert np.array_equal(kept.pixels, direct.pixels) and np.array_equal(kept.labels, direct.labels)
    assert (kept.date, kept.source, kept.crs, kept.name) == (direct.date, direct.source, direct.crs, direct.name)
    server.items = []
    assert places.open_place(text.replace(" ", ", "), **options) == [first], "no network is needed again"
    with pytest.raises(ValueError, match="No image"):
        places.open_place(text, max_cloud=30, **options)


def test_files_and_folders_are_places_too(server, tmp_path):
    server.items = [make_item(server, "A")]
    scene = get(server)
    for name in ("b", "a"):
        raster.write_scene(scene, tmp_path / f"{name}.tif")
    (tmp_path / "a.labels.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    assert [p.name for p in places.open_place(str(tmp_path))] == ["a.tif", "b.tif"]
    assert places.open_place(str(tmp_path / "b.tif")) == [tmp_path / "b.tif"]
    write(tmp_path / "c.tif", np.ones((64, 64), np.uint8), 32632, (5e5, 5e6), 10)
    with pytest.raises(ValueError, match="a.tif and c.tif do not have the same bands"):
        places.open_place(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no file or folder 'Atlantis', and it is not a box with dates"):
        places.open_place("Atlantis")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="contains no GeoTIFF"):
        places.open_place(str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="Dates look like"):
        places.open_place("9 45 9.1 45.1 summer")


def test_command_line_writes_a_whole_place_or_nothing(server, tmp_path, capsys):
    write_worldcover(server)
    server.items = [make_item(server, "A")]
    out = tmp_path / "place.tif"
    box = ["--bbox", *map(str, BOX), "--dates", "2023-06-01/2023-08-31"]
    local = ["--catalog", server.url, "--worldcover", server.url + "/wc_{tile}.tif", "--out", str(out)]
    server.fail = {"/A/B12.tif": 1000}
    assert main(["place", *box, *local, "--quiet"]) == 1
    assert "could not be read in 3 tries" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["web"], "nothing half-written"
    server.fail = {}
    assert main(["place", *box, *local]) == 0
    assert "pixels of 10 m, EPSG:32632; Sentinel-2 (A), 2023-07-01" in capsys.readouterr().out
    scene = raster.read_scene(out, require_crs=True)
    assert scene.labels is not None and scene.valid.all() and scene.date == datetime.date(2023, 7, 1)
    assert main(["place", *box, *local, "--max-cloud", "1", "--quiet"]) == 2
    assert "more than 1 % cloud" in capsys.readouterr().err
    assert main(["place", *box, *local[:-1], str(tmp_path / "no" / "x.tif")]) == 2
    square = ["--around", "45.015", "9.0275", "500", "--dates", "2023-07-01", "--no-labels", "--keep-clouds"]
    assert main(["place", *square, *local, "--quiet"]) == 0
    assert raster.read_scene(out).labels is None and 50 <= raster.read_scene(out).width <= 54

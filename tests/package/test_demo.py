"""`python -m lulc_utils demo`: from nothing to a map, its picture and its score."""

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import stamp

from lulc_utils import demo, evaluate, raster, simulate
from lulc_utils.cli import main

SMALL = ["--size", "136", "--scenes", "2", "--groups", "10", "--quiet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, one_thread):
    """The folder of a small run, 136 pixels wide so that the last patches need no padding but the windows do."""
    folder = tmp_path_factory.mktemp("demo") / "new"
    assert main(["demo", str(folder), *SMALL]) == 0
    return folder


def test_it_writes_what_it_promises_and_nothing_else(made):
    assert sorted(path.name for path in made.iterdir()) == sorted(demo.FILES)


def test_the_scene_and_the_map_lie_on_the_same_ground(made):
    scene, mapped = raster.read_scene(made / "scene.tif"), rasterio.open(made / "map.tif")
    assert np.array_equal(scene.pixels, simulate.aerial(0, 136).pixels) and scene.simulated
    assert mapped.shape == (136, 136) and mapped.crs == scene.crs and mapped.transform == scene.transform
    assert set(np.unique(mapped.read(1))) <= set(range(len(scene.classes)))


def test_the_scores_are_those_of_the_files(tmp_path, capsys, one_thread):
    assert main(["demo", str(tmp_path), *SMALL]) == 0
    table = {
        line.rsplit(maxsplit=2)[0]: line.split()[-2:] for line in capsys.readouterr().out.splitlines() if "." in line
    }
    scene, mapped = raster.read_scene(tmp_path / "scene.tif"), raster.read_scene(tmp_path / "map.tif")
    scores = evaluate.scores(evaluate.confusion(scene.labels, mapped.pixels[0], len(scene.classes)))
    assert table["embedded backbone"] == [f"{scores['accuracy']:.2f}", f"{scores['miou']:.2f}"]
    assert {"raw color", "most frequent class"} <= set(table)


def test_the_page_draws_without_the_network(made):
    page = (made / "map.html").read_text(encoding="utf8")
    assert "simulated truth" in page and "L.map(" in page
    assert "<script src=" not in page and '<link rel="stylesheet"' not in page and len(page) > 140_000


def test_without_leaflet_here_the_page_needs_the_network_and_the_command_says_so(tmp_path, monkeypatch, capsys, made):
    assert main(["demo", str(tmp_path / "with"), *SMALL]) == 0
    assert "from the network" not in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "xstatic.pkg", None)
    assert main(["demo", str(tmp_path / "without"), *SMALL]) == 0
    assert "map.html fetches Leaflet from the network" in capsys.readouterr().out
    assert "<script src=" in (tmp_path / "without" / "map.html").read_text(encoding="utf8")


def test_it_replaces_nothing_unless_forced(made, capsys):
    before = (made / "map.tif").stat().st_mtime_ns
    assert main(["demo", str(made), *SMALL]) == 2
    assert "already exists; choose another folder, or --force" in capsys.readouterr().err
    assert (made / "map.tif").stat().st_mtime_ns == before
    assert main(["demo", str(made), *SMALL, "--force"]) == 0
    assert (made / "map.tif").stat().st_mtime_ns > before


def test_who_stops_it_is_told_what_remains(tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "draw", stop)
    assert main(["demo", str(tmp_path), *SMALL]) == 130
    assert capsys.readouterr().err.endswith("are kept. Run the same command with --force to start anew.\n")
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "scene.labels.tif", "map.tif"}


def test_groups_are_named_by_the_other_scenes_only():
    """Two kinds of ground, dark and bright, in scenes where dark is class 0; in the scene to map it is class 1."""

    def ground(dark):
        scene = simulate.aerial(dark, 64)
        pixels = np.zeros((3, 64, 64), np.uint8)
        pixels[:, :, 32:] = 200
        labels = np.full((64, 64), dark, np.uint8)
        labels[:, 32:] = 1 - dark
        return demo.dataclasses.replace(scene, pixels=pixels, labels=labels)

    def describe(images):
        return demo.vits.raw_color(images, demo.PATCH).numpy()

    classify = demo.named_groups(describe, [ground(0), ground(0)], 2, 0)
    answer = classify(ground(1).pixels)
    assert answer.shape == (8, 8) and (answer[:, :4] == 0).all() and (answer[:, 4:] == 1).all()
    model = demo.as_model("test", classify, ground(1))
    votes = model(ground(1).pixels[:, :61])
    assert tuple(votes.shape) == (7, 61, 64) and np.allclose(votes.sum(0), 1)
    assert (np.asarray(votes.argmax(0)) == ground(0).labels[:61]).all()


def test_the_readme_gets_to_the_map_in_three_commands():
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf8")
    commands = text.split("## A map in three commands")[1].split("```")[1].strip().splitlines()
    name, ref = stamp.repository()
    assert len(commands) <= 3 and commands[-1].endswith("-m lulc_utils demo")
    assert f'install "lulc-utils @ git+https://github.com/{name}@{ref}"' in commands[-2]
    after = text.split("lulc_utils demo\n```")[1].split("##")[0]
    assert all(f"`{file}`" in after for file in demo.FILES if file != "scene.labels.tif")

"""Chapter 6 runs on files of the reader's own."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from served import write

from lulc_utils import raster, simulate


def run_chapter(tmp_path, monkeypatch, place, **parameters):
    """Chapter 6 on a place, with few points and without real data; returns the folder it wrote."""
    papermill = pytest.importorskip("papermill")
    monkeypatch.setenv("LULC_OFFLINE", "1")
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.delenv("LULC_DATA_MIRROR", raising=False)
    parameters |= {"place": str(place), "out_folder": str(tmp_path / "out"), "steps": 2, "side": 96}
    notebook = Path(__file__).parents[3] / "notebooks" / "06_your_own_place.ipynb"
    papermill.execute_notebook(notebook, tmp_path / "run.ipynb", parameters, progress_bar=False, kernel_name="python3")
    return tmp_path / "out"


@pytest.mark.slow
def test_chapter_6_maps_a_geotiff_with_labels(tmp_path, monkeypatch):
    raster.write_scene(simulate.satellite(5, size=120), tmp_path / "mine.tif")
    out = run_chapter(tmp_path, monkeypatch, tmp_path / "mine.tif", n_points=12, n_checks=200)
    with rasterio.open(out / "mine map.tif") as file:
        assert file.shape == (120, 120) and file.crs.is_projected  # all of it, though only the middle was learned
        truth = raster.read_scene(tmp_path / "mine.tif").labels
        assert (file.read(1) == truth).mean() > 0.5
    assert len((out / "to_label.csv").read_text().splitlines()) == 13


@pytest.mark.slow
def test_chapter_6_maps_a_folder_of_photos_with_answers(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for i in range(2):
        scene = simulate.aerial(i, size=128)
        write(
            tmp_path / "photos" / f"{i}.tif",
            scene.pixels,
            scene.crs,
            (scene.transform.c, scene.transform.f),
            0.5,
            nodata=None,
        )
    rows = [
        "point,image,longitude,latitude,class",
        *(f"{i},0.tif,0,0,{c}" for i, c in enumerate(["roof", "", "grass"])),
    ]
    (tmp_path / "filled.csv").write_text("\n".join(rows))
    out = run_chapter(tmp_path, monkeypatch, tmp_path / "photos", n_points=3, answers=str(tmp_path / "filled.csv"))
    for i in range(2):
        with rasterio.open(out / f"{i} map.tif") as file:
            assert file.shape == (128, 128) and set(np.unique(file.read(1))) <= {0, 1}
            assert file.tags(1)["CLASS_0"] == "grass" and file.tags(1)["CLASS_1"] == "roof"

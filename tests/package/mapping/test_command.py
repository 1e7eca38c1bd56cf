"""The command maps, and says in one sentence why it does not."""

import os

import numpy as np
import pytest
import rasterio
from small_rasters import CLASSES, noise, write

from lulc_utils import backbone, mapping, stego
from lulc_utils.cli import main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def saved(tmp_path):
    vit = backbone.load("embedded")
    head, centers = stego.initial(vit.dim, 6, 3, seed=0)
    net = stego.Stego(head.eval().requires_grad_(False), centers, [])
    return mapping.save_model(tmp_path / "model.safetensors", net, vit, CLASSES)


def test_the_command_line_maps(tmp_path, saved, capsys):
    source = write(tmp_path / "a.tif", noise(70, 100), photometric="rgb")
    arguments = [str(source), str(tmp_path / "m.tif"), "--model", str(saved), "--window", "48", "--overlap", "16"]
    assert main(["map", *arguments, "--quiet", "--crf"]) == 0
    assert capsys.readouterr().err == ""
    with rasterio.open(tmp_path / "m.tif") as file:
        assert set(np.unique(file.read())) <= {0, 1, 2}
        assert file.tags()["LULC_MODEL"] == "STEGO on embedded with CRF" and "--crf" in file.tags()["LULC_COMMAND"]
    assert main(["map", *arguments, "--bands", "red,7,2"]) == 2
    assert "has no band 7; it has red, green, blue" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["map", *arguments, "--blend"])
    assert "unrecognized arguments: --blend" in capsys.readouterr().err


def test_the_command_refuses_what_is_no_file_before_it_loads_a_model(tmp_path, capsys):
    source = write(tmp_path / "a.tif", noise(70, 100))
    os.mkfifo(tmp_path / "m.tif")
    assert main(["map", str(source), str(tmp_path / "m.tif"), "--model", "none.safetensors"]) == 2
    assert "m.tif is a pipe, not a file; choose another name" in capsys.readouterr().err

"""Command lines that are wrong in one place each: one plain sentence, a status that says so, nothing left behind."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import rasterio
import student
import torch
from safetensors.torch import save_file

from lulc_utils import backbone, cli, mapping, simulate, stego, tensors
from lulc_utils.contrastive import unet
from lulc_utils.raster import write_scene

pytestmark = pytest.mark.slow
LONG = "n" * 249
FAILS = "LULC_OFFLINE is set|Dask scheduler|could not be written"  # nothing is wrong with the input
RAW = ("Traceback", "previous exception", "Errno", "<class", "Warning")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with one file of every kind; each test gets a copy as its working folder."""
    folder = tmp_path_factory.mktemp("made")
    scene = simulate.aerial(1, 96)
    write_scene(scene, folder / "photo.tif")
    (folder / "images").mkdir()
    write_scene(scene, folder / "images" / "one.tif")
    write_scene(simulate.satellite(1, size=64), folder / "satellite.tif")
    whole = (folder / "photo.tif").read_bytes()
    (folder / "half.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "tail.tif").write_bytes(whole[:-5000])
    (folder / "empty.tif").write_bytes(b"")
    (folder / "text.tif").write_text("This is no image.")
    (folder / "folder.tif").mkdir()
    os.mkfifo(folder / "pipe.tif")
    os.mkfifo(folder / "pipe.safetensors")
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 3, "dtype": "uint8"}
    for name, more, value in (
        ("nodata.tif", {"nodata": 0}, 0),
        ("two bands.tif", {"count": 2}, 9),
        ("complex.tif", {"dtype": "complex64"}, 9),
        ("no place.tif", {}, 9),
    ):
        with rasterio.open(folder / name, "w", **profile | more) as file:
            file.write(np.full((more.get("count", 3), 64, 64), value, more.get("dtype", "uint8")))
    vit = backbone.load("embedded")
    net = stego.Stego(stego.Head(vit.dim, 6), torch.randn(len(scene.classes), 6), [])
    mapping.save_model(folder / "model.safetensors", net, vit, scene.classes, resolution=0.5)
    content, notes = tensors.read(folder / "model.safetensors")
    about = json.loads(notes["about"])
    for name, change in (
        ("no about", {"about": None}),
        ("about is text", {"about": "no JSON"}),
        ("about is a list", {"about": "[1]"}),
        ("no backbone", {"about": json.dumps({k: v for k, v in about.items() if k != "backbone"})}),
        ("strange backbone", {"about": json.dumps(about | {"backbone": 7})}),
        ("other weights", {"about": json.dumps(about | {"backbone hash": "0"})}),
        ("no classes", {"about": json.dumps(about | {"classes": []})}),
        ("strange classes", {"about": json.dumps(about | {"classes": [["roof"]]})}),
        ("strange colors", {"about": json.dumps(about | {"classes": [[c.name, "red"] for c in scene.classes]})}),
        ("other format", {"format": "lulc-utils STEGO map 99"}),
    ):
        kept = {k: v for k, v in (notes | change).items() if v is not None}
        save_file(content, folder / f"{name}.safetensors", kept)
    for name, change in (
        ("no centers", {"centres": None}),
        ("no head", {"head.linear.weight": None}),
        ("wrong shape", {"centres": torch.zeros(7, 99)}),
        ("wrong classes", {"of_cluster": torch.full((7,), 99)}),
    ):
        kept = {k: v for k, v in (content | change).items() if v is not None}
        save_file(kept, folder / f"{name}.safetensors", notes)
    (folder / "half.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    (folder / "text.safetensors").write_text("no tensors")
    (folder / "pickle.pt").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    net = unet.fresh(("a", "b"), torch.rand(2, 2, 32, 32))
    unet.save(net, folder / "unet.safetensors")
    content, notes = tensors.read(folder / "unet.safetensors")
    for name, change in (("shape is text", "x"), ("shape is a list", "[]"), ("strange shape", '{"bands": 3}'),
                         ("huge shape", json.dumps(json.loads(notes["shape"]) | {"widths": [10**6] * 4})),
                         ("other shape", json.dumps(json.loads(notes["shape"]) | {"dim": 9}))):  # fmt: skip
        save_file(content, folder / f"{name}.safetensors", notes | {"shape": change})
    return folder


@pytest.fixture
def at(made, tmp_path, monkeypatch):
    """A copy of these files as the working folder, without data sets and network."""
    for path in made.iterdir():
        if path.name.startswith("pipe"):
            os.mkfifo(tmp_path / path.name)
        elif path.is_dir():
            shutil.copytree(path, tmp_path / path.name)
        else:
            os.link(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LULC_OFFLINE", "1")
    monkeypatch.setenv("LULC_DATA_DIR", f"{tmp_path} data")
    monkeypatch.delenv("LULC_DATA_MIRROR", raising=False)
    return tmp_path


MAP, CON, FINE, DINO = (
    "map photo.tif out.tif --quiet --model model.safetensors",
    "contrastive pretrain --data simulated --patches 2 --size 32 --steps 1 --out out.safetensors",
    "contrastive finetune --data simulated --patches 2 --size 32 --steps 1 --out out.safetensors",
    "dino train --data images --steps 1 --batch-size 2 --crop 32 --out out.safetensors",
)


DAMAGED = ("no about", "about is text", "about is a list", "no backbone", "strange backbone", "no classes",
           "strange classes", "strange colors", "no centers", "no head", "wrong shape")  # fmt: skip


def models(*names):
    return [f"map|photo.tif|out.tif|--quiet|--model|{name}.safetensors" for name in names]


WRONG = [
    # nothing and nonsense
    ("nonsense", "There is no command 'nonsense'"),
    ("doctor --quick", "unrecognized arguments"),
    # map: what is to be mapped
    ("map missing.tif out.tif --model model.safetensors", "There is no file missing.tif; check the path."),
    ("map empty.tif out.tif --model model.safetensors", "empty.tif cannot be read as a raster"),
    ("map text.tif out.tif --model model.safetensors", "text.tif cannot be read as a raster"),
    ("map half.tif out.tif --quiet --model model.safetensors", "half.tif (could not|cannot) be read"),
    ("map tail.tif out.tif --quiet --model model.safetensors", "tail.tif (could not|cannot) be read"),
    ("map pipe.tif out.tif --model model.safetensors", "pipe.tif is a pipe, not a file"),
    ("map folder.tif out.tif --model model.safetensors", "folder.tif cannot be read as a raster"),
    ("map|two bands.tif|out.tif|--model|model.safetensors", "two bands.tif has no band red, green, blue"),
    ("map complex.tif out.tif --model model.safetensors", "only real numbers can be mapped"),
    ("map nodata.tif out.tif --quiet --model model.safetensors", "holds only nodata"),
    ("map satellite.tif out.tif --model model.safetensors", "has no band red, green, blue"),
    ("map satellite.tif out.tif --bands B04,B03,B02 --model model.safetensors", "pixels of 10 m, but the model was"),
    ("map http://127.0.0.1:9/x.tif out.tif --model model.safetensors", "cannot be read as a raster"),
    ("map /vsicurl/x out.tif --model model.safetensors", "cannot be read as a raster"),
    ("map \udce9.tif out.tif --model model.safetensors", "There is no file"),
    (f"map {LONG}{LONG}.tif out.tif --model model.safetensors", "too long"),
    # map: where to
    ("map photo.tif photo.tif --model model.safetensors", "would replace its own source"),
    ("map photo.tif nowhere/out.tif --model model.safetensors", "The folder nowhere does not exist"),
    ("map photo.tif pipe.tif --model model.safetensors", "pipe.tif is a pipe, not a file"),
    ("map photo.tif folder.tif --model model.safetensors", "folder.tif is a folder, not a file"),
    ("map photo.tif /dev/null --model model.safetensors", "/dev/null is a device, not a file"),
    ("map photo.tif text.tif/out.tif --model model.safetensors", "text.tif (does not exist|is a file)"),
    ("map photo.tif /proc/out.tif --quiet --model model.safetensors", "/proc/out.tif.*"),
    (f"map photo.tif {LONG}.tif --quiet --model model.safetensors", "too long"),
    ("map photo.tif \udce9.tif --quiet --model model.safetensors", "not valid|cannot be encoded|UTF-8"),
    # map: how
    (f"{MAP} --window 0", "choose a smaller overlap or a larger window"),
    (f"{MAP} --window -8", "choose a smaller overlap or a larger window"),
    (f"{MAP} --window 96 --overlap 90", "choose a smaller overlap or a larger window"),
    (f"{MAP} --overlap -1", "choose a smaller overlap or a larger window"),
    (f"{MAP} --window x", "invalid int value"),
    (f"{MAP} --bands 1,2", "takes the bands red, green, blue, but 2 bands"),
    (f"{MAP} --bands 1,2,9", "has no band 9"),
    (f"{MAP} --bands 0,1,2", "has no band 0"),
    (f"{MAP} --bands=", "has no band"),
    (f"{MAP} --bands red,red", "but 2 bands were chosen"),
    (f"{MAP} --resolution 0", "resolution must be"),
    (f"{MAP} --resolution -1", "resolution must be"),
    (f"{MAP} --resolution inf", "resolution must be"),
    (f"{MAP} --resolution nan", "resolution must be"),
    (f"{MAP} --resolution 1e9", "resolution|pixel|nodata"),
    (f"{MAP} --resolution 1e-6", "resolution|too (many|large)|pixels"),
    (f"{MAP} --crs EPSG:0", "no coordinate reference system; write it like"),
    (f"{MAP} --crs nonsense", "no coordinate reference system; write it like"),
    (f"{MAP} --crs=", "no coordinate reference system; write it like"),
    (f"{MAP} --resolution 0.5 --resampling nonsense", "There is no resampling"),
    ("map|no place.tif|out.tif|--crs|EPSG:4326|--model|model.safetensors", "cannot be warped; assign one first"),
    (f"{MAP} --device banana", "There is no device 'banana'"),
    (f"{MAP} --device cuda:99", "device"),
    (f"{MAP} --workers 0", "workers must|at least 1|processes"),
    (f"{MAP} --workers -3", "workers must|at least 1|processes"),
    (f"{MAP} --scheduler nonsense", "scheduler"),
    (f"{MAP} --scheduler tcp://127.0.0.1:9", "scheduler tcp://127.0.0.1:9 does not answer; start it, then run again"),
    (f"{MAP} --backbone-weights missing.safetensors", "There is no weights file missing.safetensors"),
    (f"{MAP} --backbone-weights text.safetensors", "not a complete safetensors file"),
    (f"{MAP} --backbone-weights unet.safetensors", "does not fit this model"),
    (f"{MAP} --backbone-weights pickle.pt", "could run code"),
    # map: with what
    ("map photo.tif out.tif --model missing.safetensors", "There is no weights file missing.safetensors"),
    ("map photo.tif out.tif --model pipe.safetensors", "pipe.safetensors is a pipe, not a weights file"),
    ("map photo.tif out.tif --model text.safetensors", "not a complete safetensors file"),
    ("map photo.tif out.tif --model half.safetensors", "not a complete safetensors file"),
    ("map photo.tif out.tif --model unet.safetensors", "no model of lulc_utils.mapping.save_model"),
    ("map photo.tif out.tif --model pickle.pt", "could run code|no model"),
    ("map photo.tif out.tif --model photo.tif", "must be a .safetensors"),
    *[(line, "is damaged") for line in models(*DAMAGED)],
    *[(line, "is damaged|class in") for line in models("wrong classes")],
    *[(line, "with other weights") for line in models("other weights")],
    *[(line, "no model of") for line in models("other format")],
    # demo
    ("demo out --quiet --seed -1", "seeds used must lie in"),
    ("demo out --quiet --seed 99999", "seeds used must lie in"),
    ("demo out --quiet --scenes 0", "fewer --scenes"),
    ("demo out --quiet --scenes -1", "fewer --scenes"),
    ("demo out --quiet --size 64 --scenes 1 --groups 0", "0 (clusters|groups) cannot be made"),
    ("demo out --quiet --size 64 --scenes 1 --groups -1", "-1 (clusters|groups) cannot be made"),
    ("demo out --quiet --size 64 --scenes 1 --groups 99999", "cannot be made"),
    ("demo out --quiet --size 0", "at least"),
    ("demo out --quiet --size -5", "at least"),
    ("demo out --quiet --size 200000", "size"),
    ("demo text.tif --quiet --size 64 --scenes 1", "text.tif is a file, not a folder"),
    ("demo pipe.tif --quiet --size 64 --scenes 1", "not a folder"),
    ("demo /proc/foo --quiet --size 64 --scenes 1", "/proc/foo"),
    (f"demo {LONG}{LONG} --quiet --size 64 --scenes 1", "too long"),
    # data
    ("data", "required"),
    ("data info nonsense", "There is no dataset 'nonsense'"),
    ("data verify nonsense", "There is no dataset 'nonsense'"),
    ("data fetch nonsense", "There is no dataset 'nonsense'"),
    ("data fetch ../x", "There is no dataset '../x'"),
    ("data fetch dubai", "LULC_OFFLINE is set"),
    ("data fetch dubai --workers 0", "at least 1 worker"),
    ("data fetch dubai --workers -2", "at least 1 worker"),
    # place
    ("place", "required"),
    ("place out.tif --bbox nonsense --dates 2023-06-01/2023-06-30", "west|expected|required"),
    # contrastive
    (CON.replace("out.safetensors", "out.pth"), "Weights are written as .safetensors"),
    (CON.replace("out.safetensors", "pipe.safetensors"), "is a pipe"),
    (CON.replace("out.safetensors", "/proc/out.safetensors"), "/proc"),
    (CON.replace("out.safetensors", f"{LONG}.safetensors"), "too long"),
    (CON.replace("out.safetensors", "text.tif/out.safetensors"), "text.tif is a file, not a folder"),
    (CON.replace("simulated", "nowhere"), "There is no folder nowhere"),
    (CON.replace("simulated", "text.tif"), "There is no folder text.tif"),
    (CON.replace("simulated", "folder.tif"), "contains no GeoTIFF"),
    (CON.replace("simulated", "images"), "has no band B02"),
    (f"{CON.replace('simulated', 'images')} --bands z", "has no band z; it has red, green, blue"),
    (f"{CON.replace('simulated', 'images')} --bands red --size 999", "999"),
    (CON.replace("simulated", "satclip"), "LULC_OFFLINE is set"),
    *[
        (f"{CON} {words}", sentence)
        for words, sentence in {
            "--steps 0": "steps must be",
            "--batch-size 0": "batch_size must be",
            "--crop 0": "crop must be",
            "--crop 999": "A crop of 999 pixels does not fit",
            "--points 0": "points must be",
            "--tau 0": "tau must be",
            "--tau nan": "tau must be",
            "--radius -5": "radius must be",
            "--lr -1": "lr must be",
            "--lr 0": "lr must be",
            "--lr inf": "lr must be",
            "--lr x": "invalid float",
            "--seed -1": "seed must be",
            "--seed 1.5": "invalid int",
            "--precision fp16": "invalid choice",
            "--checkpoint-every 0": "checkpoint_every must be",
            "--checkpoint-every -1": "checkpoint_every must be",
            "--log-every 0": "log_every must be",
            "--device banana": "There is no device 'banana'",
            "--device cpu:x": "There is no device 'cpu:x'",
            "--device meta": "There is no device 'meta'",
            "--device cuda:99": "device",
            "--patches 0": "At least one patch",
            "--patches -1": "At least one patch",
            "--dates 0": "At least one patch",
            "--size 5": "at least 16",
            "--size -1": "at least 16",
            "--bands B99": "has no band B99",
            "--region nowhere": "There is no region 'nowhere'",
        }.items()
    ],
    *[
        (f"{FINE} {words}", sentence)
        for words, sentence in {
            "--weights missing.safetensors": "There is no (weights )?file missing.safetensors",
            "--weights text.safetensors": "not a complete safetensors file",
            "--weights model.safetensors": "weights of a U-Net of this",
            "--weights unet.safetensors": "has no band a",
            "--fraction 0": "fraction|share",
            "--fraction -1": "fraction|share",
            "--fraction 2": "fraction|share",
            "--fraction nan": "fraction|share",
            "--lr -1": "lr must be",
        }.items()
    ],
    *[
        (f"{FINE.replace(' ', '|')}|--weights|{name}.safetensors", "is damaged")
        for name in ("shape is text", "shape is a list", "strange shape", "huge shape", "other shape")
    ],
    # dino
    (DINO.replace("images", "nowhere"), "There is no folder nowhere"),
    (DINO.replace("images", "folder.tif"), "no image"),
    (f"{DINO.replace('images', 'simulated')} --scenes 0", "At least one scene must be simulated"),
    (DINO.replace("out.safetensors", "out.tif"), "Weights are written as .safetensors"),
    *[
        (f"{DINO} {words}", sentence)
        for words, sentence in {
            "--lr -1": "lr must be",
            "--teacher-momentum 2": "teacher_momentum must be",
            "--teacher-temp -1 1": "teacher_temp must be",
            "--patch-weight -1": "patch_weight must be",
            "--prototypes 1": "prototypes must be",
            "--n-local -1": "n_local must be",
            "--hidden -1": "hidden must be",
            "--spread -1": "spread must be",
            "--zoom 0 1": "zoom must be",
            "--zoom 2 1": "zoom",
            "--crop 33": "multiple of the patch",
            "--crop 1000": "at least|larger|smaller|fit",
            "--model nonsense": "nonsense",
            "--batch-size 1": "batch_size must be",
            "--steps 0": "steps must be",
            "--checkpoint-every 0": "checkpoint_every must be",
            "--log-every 0": "log_every must be",
            "--device banana": "There is no device 'banana'",
            "--last-phase 2": "last_phase must be",
            "--shares 1+1": "--shares 2 numbers",
            "--shares x": "number",
            "--shares 0": "above 0|share",
            "--shares=-1": "above 0|share",
            "--seed -1": "seed must be",
        }.items()
    ],
]  # fmt: skip


@pytest.mark.parametrize(("line", "sentence"), WRONG, ids=[f"{i}: {line[:60]}" for i, (line, _) in enumerate(WRONG)])
def test_a_wrong_command_line_is_one_sentence_and_leaves_nothing(line, sentence, at, capfd, tried):
    tried("refused plainly")
    words = line.split("|") if "|" in line else line.split()
    before = {str(p.relative_to(at)) for p in at.rglob("*")}
    try:
        status = cli.main(words)
    except SystemExit as end:  # argparse
        status = end.code
    said = capfd.readouterr().err.replace("\r", "\n").strip().splitlines()
    assert status == (1 if re.search(FAILS, said[-1]) else 2), said
    assert re.search(sentence, said[-1]) or "There is no command" in said[0], said[-1]
    raw = [word for word in RAW if word in " ".join(said)]
    assert not raw, said
    left = {str(p.relative_to(at)) for p in at.rglob("*")} - before
    assert not left, f"stays behind: {sorted(left)}"


CORRECTED = [  # refused, and then right under the same name
    (f"{MAP} --bands 1,2", MAP),
    ("map half.tif out.tif --quiet --model model.safetensors", MAP),
    ("map nodata.tif out.tif --quiet --model model.safetensors", MAP),
    ("map photo.tif out.tif --quiet --model half.safetensors", MAP),
    (f"{MAP} --window 0", f"{MAP} --window 48 --overlap 16"),
    (f"{CON} --lr -1", CON),
    (f"{CON} --checkpoint-every 0", CON),
    (f"{DINO} --prototypes 1", DINO),
    ("demo out --quiet --size 64 --scenes 1 --groups 0", "demo out --quiet --size 64 --scenes 1 --groups 5"),
]


@pytest.mark.parametrize(("wrong", "right"), CORRECTED, ids=[wrong for wrong, _ in CORRECTED])
def test_a_refused_input_does_not_block_the_corrected_one(wrong, right, at, capfd, tried):
    tried("right")
    assert cli.main(wrong.split()) in (1, 2)
    assert cli.main(right.split()) == 0, capfd.readouterr().err


def test_copies_for_a_class_that_cannot_be_written(capfd, monkeypatch, tried):
    tried("refused plainly")
    monkeypatch.setattr("sys.argv", ["student.py", "--out", "/proc/foo"])
    assert cli.exit_status(student.main) in (1, 2)
    assert capfd.readouterr().err.startswith("error: /proc/foo/00_start_here.ipynb cannot be made there")

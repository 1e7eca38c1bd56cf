"""Parameters of the library and of the chapters that make no sense, and what an earlier version said too much about."""

import ast
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from lulc_utils import contrastive, dino, points, pseudo_labels, raster, results, simulate
from lulc_utils.training import Saving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
NAN, INF = float("nan"), float("inf")
NONSENSE = [
    *[(contrastive.Pretraining, key, value) for key, values in {
        "steps": (0, -1, 1.5, "9", True, None), "batch_size": (0,), "crop": (0, 15), "points": (0,), "tau": (0, NAN),
        "radius": (-5,), "overlap": (-0.1, 2), "zoom": ((0, 1), 1), "projection": (-1,), "lr": (0, -1, INF, NAN),
        "weight_decay": (-1,), "seed": (-1, 0.5), "precision": ("fp16",)}.items() for value in values],
    *[(contrastive.Finetuning, key, value) for key, values in {
        "steps": (0,), "batch_size": (0,), "lr": (-1,), "seed": (-1,), "precision": (16,)}.items() for value in values],
    *[(dino.Settings, key, value) for key, values in {
        "steps": (0,), "lr": (-1,), "teacher_momentum": (2, -1), "teacher_temp": ((-1, 1), (1,)), "patch_weight": (-1,),
        "prototypes": (1,), "n_local": (-1,), "hidden": (-1,), "mask": ((-1, 1),), "zoom": ((2, 1),), "clip_grad": (0,),
        "last_phase": (2,), "seed": (-1,), "jitter": ("wild",)}.items() for value in values],
    *[(pseudo_labels.Settings, key, value) for key, values in {
        "steps": (0,), "batch_size": (0,), "ratio": (0,), "lr": (0, -1), "ema": (2,), "drop_metadata": (2,),
        "lambda_d": (-1,), "dim": (0,), "seed": (-1,), "metadata": ("all",), "distance": ("far",)}.items()
      for value in values],
    *[(Saving, key, value) for key, values in {
        "checkpoint_every": (0, -1), "log_every": (0, -1)}.items() for value in values],
]  # fmt: skip


@pytest.mark.parametrize(("settings", "key", "value"), NONSENSE, ids=str)
def test_a_setting_that_makes_no_sense_is_refused_by_name(settings, key, value, tried):
    tried("refused plainly")
    with pytest.raises(ValueError, match=key) as error:
        settings(**{key: value})
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


@pytest.mark.parametrize("value", [0, -1, 2.5, "abc", "", None, True, [3]])
def test_a_chapter_refuses_a_parameter_at_once(value, tried):
    tried("refused plainly")
    with pytest.raises(ValueError, match="The parameter n_points must be a whole number of at least 1, not"):
        results.check({"n_points": value})


@pytest.mark.parametrize("value", [(), (0,), (1.5,), ("a",), 0.1, "0.1", [True, None], (float("nan"),)], ids=str)
def test_a_chapter_refuses_shares_that_are_none(value, tried):
    tried("refused plainly")
    with pytest.raises(ValueError, match="The parameter fractions must be shares above 0 and at most 1"):
        results.check({"fractions": value})


@pytest.mark.parametrize(
    ("path", "words"), [("nowhere/a.json", "There is no folder nowhere"), (3, "must be the name of a file")]
)
def test_a_chapter_refuses_a_results_file_at_once(path, words, tried):
    tried("refused plainly")
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        results.check({"results_file": path})


def test_a_chapter_accepts_what_can_be_written(tmp_path, tried):
    tried("right", 2)
    results.check({"results_file": "", "seed": 0, "n_points": 1, "fractions": [0.5]})
    results.check({"results_file": tmp_path / "a.json", "seed": 5})
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(("k", "words"), [(0, "0 groups"), (-1, "-1 groups"), (10**6, "1000000 groups")])
def test_a_number_of_points_that_cannot_be(k, words, tried):
    tried("refused plainly")
    with pytest.raises(ValueError, match=words):
        points.group(torch.rand(50, 3), k)


def test_features_that_do_not_exist(tried):
    tried("refused plainly")
    with pytest.raises(ValueError, match="no features 'color'.*reflectance, U-Net or Galileo"):
        points.describer([simulate.satellite(1, size=64)], "color")


def test_a_checkpoint_without_the_teacher_does_not_finish(tmp_path, tried):
    tried("refused plainly")
    scenes = [simulate.aerial(1, 96)]
    settings, saving = dino.Settings(steps=2, batch_size=2, crop=32), Saving(tmp_path / "c", checkpoint_every=1)
    dino.train(scenes, settings, saving)
    content = torch.load(tmp_path / "c", weights_only=True)
    lacking = [name for name in content["parts"] if "teacher" in name]
    assert lacking
    for name in lacking:
        del content["parts"][name]
    torch.save(content, tmp_path / "c")
    with pytest.raises(ValueError, match="not a complete checkpoint of this version"):
        dino.train(scenes, settings, saving)


def test_a_photograph_without_a_place_is_read_without_a_warning(tmp_path, tried):
    tried("right")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(tmp_path / "a.jpg", "w", driver="JPEG", width=32, height=32, count=3, dtype="uint8") as file:
            file.write(np.full((3, 32, 32), 9, np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert raster.read_scene(tmp_path / "a.jpg").crs is None


def test_the_path_of_chapter_6_calls_what_the_chapter_calls():
    """`chapter_6.run` stands for the notebook, so every function of `points` in the notebook's first half is in it."""
    cells = json.loads((ROOT / "notebooks" / "06_your_own_place.ipynb").read_text())["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    end = next(i for i, text in enumerate(code) if "points.compare" in text)
    called = set(re.findall(r"(?:points|places|mapping|raster|plot|own_place)\.\w+\(", "\n".join(code[1:end])))
    tree = ast.unparse(ast.parse((Path(__file__).parent / "chapter_6.py").read_text()))
    missing = {name for name in called if name not in tree}
    assert missing <= {"raster.write_scene(", "plot.legend(", "plot.bands_of(", "plot.rgb("}, missing

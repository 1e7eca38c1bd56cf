"""Every chapter runs with other documented values of its parameters: no number in a cell depends on the defaults."""

import pytest
import run_chapters
import timm
from safetensors.torch import save_file

SMALL = {"n_train": 16, "n_test": 10}
RUNS = [
    ("00_start_here", {"scene_size": 256, "n_scenes": 6, "trees": 10}),
    ("01_dino_features", {"crop_size": 112, **SMALL}),
    ("01_dino_features", {"backbone_name": "dino_vits16", **SMALL}),
    ("02_stego_clustering", {"crop_size": 112, "code_dim": 6, "epochs": 2, **SMALL}),
    ("02_stego_clustering", {"backbone_name": "dino_vits16", "epochs": 2, **SMALL}),
    (
        "03_contrastive_pretraining",
        {"region": "Mediterranean coast, Europe", "n_points": 200, "n_patches": 70, "steps": 20, "tuning_steps": 30},
    ),
    ("04_metadata_pseudo_labels", {"n_train_scenes": 150, "labels_per_class": 48}),
    ("05_mapping_at_scale", {"backbone_name": "dino_vits16", "place_size": 512, "window": 128, "overlap": 32}),
    ("06_your_own_place", {"features": "U-Net", "n_points": 24, "steps": 10}),
]


@pytest.fixture
def weights_of_the_hub(tmp_path, monkeypatch):
    """Files where the hub's client keeps what it has fetched, with random numbers in them."""
    model = timm.create_model("vit_small_patch16_224.dino", num_classes=0)
    folder = tmp_path / "hub" / "models--timm--vit_small_patch16_224.dino"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0")
    (folder / "snapshots" / "0").mkdir(parents=True)
    save_file(model.state_dict(), folder / "snapshots" / "0" / "model.safetensors")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LULC_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.weekly
@pytest.mark.usefixtures("weights_of_the_hub")
@pytest.mark.parametrize(("chapter", "changed"), RUNS)
def test_a_chapter_runs_with_other_parameters(chapter, changed, tmp_path):
    chosen = run_chapters.parameters("quick", chapter, changed | {"results_file": str(tmp_path / "numbers.json")})
    (row,) = run_chapters.run({chapter: chosen}, tmp_path, jobs=1, timeout=600)
    assert row["status"] == "passed", row["result"]

"""The embedded weights: small, labelled, and better than none."""

import json

import numpy as np
import pytest
from safetensors import safe_open

from lulc_utils import backbone, evaluate, simulate


def test_shipped_weights_are_small_and_say_what_they_saw():
    assert backbone.EMBEDDED_FILE.stat().st_size <= 12e6
    with safe_open(backbone.EMBEDDED_FILE, "pt") as file:
        notes = file.metadata()
    card = backbone.EMBEDDED_FILE.with_suffix(".md").read_text()
    assert "held out: Dubai tiles 3, 5, 7, UC Merced 70-99" in notes["data"] and "tiles 3, 5 and 7" in card
    assert notes["licence"] == "BSD-3-Clause" and notes["seed"] == "0" and notes["steps"] == "4250"
    history = backbone.EMBEDDED_FILE.with_suffix(".jsonl").read_text().splitlines()
    assert json.loads(history[-1])["step"] >= 4250


@pytest.mark.slow
def test_shipped_weights_read_simulated_scenes_better_than_random_ones():
    train, test = simulate.aerial_scenes(range(14), 224), simulate.aerial_scenes(range(1000, 1007), 224)
    scores = {}
    for name in ("embedded", "random"):
        net = backbone.load(name)
        images, labels = (
            [[getattr(s, what) for s in scenes] for scenes in (train, test)] for what in ("pixels", "labels")
        )
        features = [backbone.patch_features(net, np.stack(x), precision="bf16").numpy() for x in images]
        truth = [evaluate.patch_labels(np.stack(y), 8) for y in labels]
        probe = evaluate.linear_probe(features[0], truth[0], samples=3000)
        answers = evaluate.predict(probe, features[1])
        scores[name] = evaluate.scores(evaluate.confusion(truth[1], answers, 7))["miou"]
    assert scores["embedded"] > scores["random"] + 0.2, scores

"""Seams are found where they are, and probes are models that map."""

import numpy as np
import torch

from lulc_utils import backbone, simulate
from lulc_utils.mapping import probes, seams


def test_a_seam_is_where_every_row_changes():
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = 1
    assert seams.jumps(labels)[31] == 0.5 and seams.jumps(labels).sum() == 0.5
    at, elsewhere = seams.seam_score(labels, 32, 0, 8)
    assert at == 0.5 and elsewhere == 0


def test_a_patch_probe_answers_for_every_pixel_and_class():
    scenes = simulate.aerial_scenes(range(3), size=64)
    vit = backbone.load("random")
    model = probes.patch_probe(vit, scenes, samples=100)
    p = torch.as_tensor(model(scenes[0].pixels[:, :60, :52]))
    assert p.shape == (len(scenes[0].classes), 60, 52) and torch.allclose(p.sum(0), torch.ones(60, 52), atol=1e-4)
    assert (
        model.hash
        == probes.patch_probe(vit, scenes, samples=100).hash
        != probes.patch_probe(vit, scenes[:2], samples=90).hash
    )
    rates = seams.compare(model, scenes[1], 32, {"none": 0, "some": 8}, 8)
    assert set(rates) == {"none", "some"} and all(0 <= v <= 1 for kinds in rates.values() for v in kinds.values())


def test_a_pixel_probe_learns_single_pixels():
    scenes = [simulate.satellite(s, size=48) for s in range(2)]
    model = probes.pixel_probe(scenes, samples=1500, resolution=10)
    right = (np.asarray(model(scenes[0].pixels)).argmax(0) == scenes[0].labels).mean()
    assert right > 0.6 and model.resolution == 10 and model.bands == scenes[0].bands

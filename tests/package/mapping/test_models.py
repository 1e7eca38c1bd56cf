"""Models of what the chapters train, to a map and to a file and back."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from small_rasters import CLASSES, classes_of, do, noise, write

from lulc_utils import backbone, cluster, mapping, stego
from lulc_utils.scene import UNLABELLED


def test_a_scikit_learn_classifier_maps_its_own_classes(tmp_path):
    pixels = noise(60, 70)
    truth = np.where(pixels[0] > 120, 2, 0)  # class 1 is unknown to it
    fitted = LogisticRegression().fit(pixels.reshape(3, -1).T, truth.ravel())
    model = mapping.pixel_model(fitted, CLASSES, name="logistic")
    labels = classes_of(do(write(tmp_path / "a.tif", pixels), tmp_path / "m.tif", model, window=30, overlap=10))
    np.testing.assert_array_equal(labels, fitted.predict(pixels.reshape(3, -1).T).reshape(60, 70))
    again = LogisticRegression().fit(pixels.reshape(3, -1).T, truth.ravel())
    weaker = LogisticRegression(C=1e-6).fit(pixels.reshape(3, -1).T, truth.ravel())
    assert model.hash == mapping.pixel_model(again, CLASSES).hash != mapping.pixel_model(weaker, CLASSES).hash
    certain = RidgeClassifier().fit(pixels.reshape(3, -1).T, truth.ravel())  # knows no probabilities
    p = mapping.pixel_model(certain, CLASSES)(pixels)
    np.testing.assert_array_equal(p.argmax(0), certain.predict(pixels.reshape(3, -1).T).reshape(60, 70))
    assert set(np.unique(p)) == {0, 1} and (p.sum(0) == 1).all()
    with pytest.raises(ValueError, match=r"labels must lie in 0..1, not \[0, 2\]"):
        mapping.pixel_model(fitted, CLASSES[:2])


@pytest.fixture(scope="module")
def trained():
    """An untrained backbone and head: what is tested is the way to the map, not its quality."""
    vit = backbone.load("random")
    head, centers = stego.initial(vit.dim, 6, 4, seed=0)
    return stego.Stego(head.eval().requires_grad_(False), centers, []), vit


def test_a_stego_map_shows_the_class_of_the_nearest_cluster(tmp_path, trained):
    net, vit = trained
    pixels, of = noise(64, 80), np.array([2, 0, 2, 1])
    model = mapping.stego_model(net, vit, CLASSES, of)
    out = do(write(tmp_path / "a.tif", pixels, photometric="rgb"), tmp_path / "m.tif", model)
    clusters = cluster.of_pixels(net, backbone.patch_features(vit, pixels[None]), (64, 80))[0].argmax(0).numpy()
    np.testing.assert_array_equal(classes_of(out), of[clusters])
    assert torch.allclose(model(pixels).sum(0), torch.ones(64, 80))
    crf = mapping.stego_model(net, vit, CLASSES, of, crf=True)
    assert crf(pixels).shape == (3, 64, 80) and not torch.allclose(crf(pixels), model(pixels))
    assert len({model.hash, crf.hash, mapping.stego_model(net, vit, CLASSES, of[::-1]).hash}) == 3
    with pytest.raises(ValueError, match=r"Each of the 4 clusters needs a class in 0..2"):
        mapping.stego_model(net, vit, CLASSES, [0, 1, 2, UNLABELLED])
    with pytest.raises(ValueError, match="Each of the 4 clusters needs a class"):
        mapping.stego_model(net, vit, CLASSES, [0, 1])


def test_a_saved_model_comes_back_the_same(tmp_path, trained):
    net, vit = trained
    file = mapping.save_model(tmp_path / "m.safetensors", net, vit, CLASSES, [2, 0, 2, 1], resolution=0.5)
    back = mapping.load_model(file, backbone=vit)
    before = mapping.stego_model(net, vit, CLASSES, [2, 0, 2, 1], resolution=0.5)
    assert (back.hash, back.name, back.classes, back.bands, back.resolution) == (
        before.hash, before.name, CLASSES, ("red", "green", "blue"), 0.5,
    )  # fmt: skip
    assert torch.equal(back(noise(40, 48)), before(noise(40, 48)))
    with pytest.raises(ValueError, match="random backbone, which has no file"):
        mapping.load_model(file)
    with pytest.raises(ValueError, match="with other weights than this one's"):
        mapping.load_model(file, backbone=backbone.load("random", seed=1))
    backbone.save(vit, tmp_path / "vit.safetensors")
    with pytest.raises(ValueError, match="is no model of lulc_utils.mapping.save_model"):
        mapping.load_model(tmp_path / "vit.safetensors")
    with pytest.raises(FileNotFoundError, match="no weights file"):
        mapping.load_model(tmp_path / "none.safetensors")

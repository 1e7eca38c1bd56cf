"""Ways of grouping and of reading features are named, mapped and counted alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lulc_utils import cluster, evaluate, ladder, simulate
from lulc_utils.backbone import raw_color
from lulc_utils.scene import UNLABELLED, pixels_of

PATCH = 8


@pytest.fixture(scope="module")
def crops():
    """Six crops of 64 x 64 pixels and their colors on a grid of 8 x 8 patches."""
    scenes = [replace(simulate.aerial(i, 64), name=f"tile {i // 2} part {i % 2}") for i in range(6)]
    return ladder.Crops(scenes, raw_color(pixels_of(scenes), PATCH))


@pytest.fixture(scope="module")
def groups(crops):
    return cluster.by_cosine(crops.features, 5)


def test_crops_know_their_labels_and_parts(crops):
    assert crops.patch == PATCH and crops.n_classes == 7
    assert np.array_equal(crops.patch_labels, evaluate.patch_labels(crops.labels, PATCH))
    part = crops.part(np.array([False, True, False, False, True, False]))
    assert [s.name for s in part.scenes] == ["tile 0 part 1", "tile 2 part 0"]
    assert torch.equal(part.features, crops.features[[1, 4]]) and np.array_equal(part.labels, crops.labels[[1, 4]])
    assert crops.described_by(crops.features[..., :2]).features.shape[-1] == 2


def test_groups_are_named_one_to_one_until_they_outnumber_the_classes(crops, groups):
    names = ladder.names(groups, crops)
    assert len(names) == 5 and len(set(names)) == 5
    many = cluster.by_cosine(crops.features, 20)
    names = ladder.names(many, crops)
    patches = cluster.of_patches(many, crops.features)
    for k, name in enumerate(names):
        assert name == evaluate.majority_class(crops.patch_labels[patches == k], 7)


def test_answers_cover_every_pixel_and_are_counted_per_crop(crops, groups):
    train, test = crops.part(np.arange(6) < 4), crops.part(np.arange(6) >= 4)
    answers = ladder.answers({"groups": (groups, train, test)}, train, test, sharpen=["groups"], samples=100)
    assert list(answers) == ["majority", "groups", "groups + CRF", "linear probe"]
    assert all(a.shape == (2, 64, 64) for a in answers.values())
    assert np.array_equal(answers["groups"], ladder.maps(groups, ladder.names(groups, train), test))
    assert not np.array_equal(answers["groups"], answers["groups + CRF"])
    tables = ladder.count(answers, test)
    assert all(t.shape == (2, 7, 8) and t.sum() == 2 * 64 * 64 for t in tables.values())
    scores = ladder.scores(tables)
    value, low, high = scores["mIoU"]["groups"]
    assert value == evaluate.scores(tables["groups"].sum(0))["miou"] and low <= value <= high


def test_clicks_are_labelled_patches_and_those_of_kmeans_are_spread_over_the_features(crops):
    hidden = replace(crops.scenes[0], labels=np.full((64, 64), UNLABELLED, np.uint8))
    some = ladder.Crops([hidden, *crops.scenes[1:]], crops.features)
    for clicks in (ladder.clicks_at_random(some, 30, seed=1), ladder.clicks_by_kmeans(some, 30, seed=1)):
        assert len(set(clicks)) == len(clicks) <= 30 and clicks.min() >= 64  # the first crop has no labels
    assert np.array_equal(ladder.clicks_by_kmeans(some, 30, seed=1), ladder.clicks_by_kmeans(some, 30, seed=1))
    rows = torch.nn.functional.normalize(crops.features.flatten(0, 2), dim=1)
    reach = [
        float((rows @ rows[pick(crops, 20)].T).amax(1).min())
        for pick in (ladder.clicks_by_kmeans, ladder.clicks_at_random)
    ]
    assert reach[0] > reach[1]  # the patch least like any click
    with pytest.raises(ValueError, match="400 patches cannot be clicked where 320 are labelled"):
        ladder.clicks_at_random(some, 400)


def test_maps_from_clicks_learn_from_the_clicked_labels_only(crops):
    clicks = ladder.clicks_at_random(crops, 40)
    model = ladder.learn_clicks(crops, clicks)
    maps = ladder.maps_from_clicks(model, crops)
    assert maps.shape == crops.labels.shape and set(np.unique(maps)) <= set(crops.patch_labels.ravel()[clicks])
    lazy = evaluate.majority_class(crops.labels, 7)
    right = (maps == crops.labels).mean()
    assert right > (crops.labels == lazy).mean()
    assert not np.array_equal(maps, ladder.maps_from_clicks(model, crops, crf=True))
    only = np.flatnonzero(crops.patch_labels == lazy)[:5]
    assert (ladder.maps_from_clicks(ladder.learn_clicks(crops, only), crops) == lazy).all()


def test_features_are_read_in_every_way_and_one_class_stands_below(crops):
    def read(x, y, test_x, n):
        assert len(x) == len(y) == 50 and n == 7
        return {"first": np.full(test_x.shape[:3], y[0], np.uint8)}

    described = {"color": crops.features, "mean": crops.features[..., :3]}
    counts = ladder.read_all(read, (crops.scenes, described), (crops.scenes, described), samples=50)
    assert set(counts) == {"first", "one class"} and list(counts["first"]) == ["color", "mean"]
    lazy = counts["one class"]["any"]
    assert lazy.sum() == crops.patch_labels.size and (lazy.sum((0, 1)) > 0).sum() == 1
    assert list(ladder.summary(counts)["first"]) == ["color", "mean", "one class"]


def test_tables_have_a_row_for_every_entry(crops, groups):
    counts = ladder.patch_tables(groups, crops, crops)
    table = ladder.score_table({("a", "b"): counts}, ["x", "y"], "caption", more=[["m", "", 0.1, 0.2, "", 0.3]])
    assert table.header == ["x", "y", "accuracy", "mIoU", "95 % interval", "macro-F1"]
    assert [row[:2] for row in table.rows] == [["a", "b"], ["m", ""]] and " to " in table.rows[0][4]
    gain = ladder.gain_table({("a",): (counts, counts)}, ["x"], "caption")
    assert gain.rows == [["a", "0.00", "0.00 to 0.00"]]
    places = {"tile 1": {"one": {"miou": 0.5}, "other": {"miou": 0.25}}}
    table = ladder.place_table(places, {"other": "short"}, "miou", "caption")
    assert table.header == ["place", "short"] and table.rows == [["tile 1", "0.25"]]
    assert ladder.by_place(places, "one", "other") == {"tile 1": (0.25, 0.25, 0.25)}
    pictures = ladder.map_pictures(crops, {"way": crops.labels}, [2], {"way": "ours"})
    assert list(pictures) == ["tile 1 part 0", ("truth", 2), ("ours", 2)]
    assert np.array_equal(pictures["truth", 2], pictures["ours", 2])
    described = ladder.pca_pictures(crops.scenes, {"color": crops.features}, [0, 3])
    assert list(described) == ["tile 0 part 0", ("color", 0), "tile 1 part 1", ("color", 3)]

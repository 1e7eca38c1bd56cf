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
    assert ladder.by_tile(tables, ["a", "b"])["b"]["groups"][1] == evaluate.scores(tables["groups"][1])["miou"]


def test_every_fold_is_left_out_once(crops):
    folds = ladder.tiles_of(crops)
    assert list(folds) == ["tile 0", "tile 0", "tile 1", "tile 1", "tile 2", "tile 2"]
    asked = []

    def leave_out(fold, seed):
        asked.append((fold, seed))
        return {"way": np.full((2, 64, 64), int(fold[-1]), np.uint8)}

    answers, tables = ladder.cross(leave_out, crops, folds, ["tile 0", "tile 2"], seed=3)
    assert asked == [("tile 0", 3), ("tile 2", 3)]
    assert [set(np.unique(a)) for a in answers["way"]] == [{0}, {0}, {UNLABELLED}, {UNLABELLED}, {2}, {2}]
    assert tables["way"].shape == (2, 7, 8) and tables["way"][1, :, 2].sum() == 2 * 64 * 64


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


def test_repeats_tell_mean_lowest_and_highest(crops, groups):
    mean, low, high = ladder.repeats(lambda seed: groups, crops, crops, range(3))
    assert (
        mean == pytest.approx(low)
        and low == high == evaluate.scores(ladder.patch_tables(groups, crops, crops).sum(0))["miou"]
    )
    images = ladder.five_crops(crops.scenes)
    assert images.shape == (30, 3, 64, 64) and 0 <= images.min() <= images.max() <= 1


def test_tables_have_a_row_for_every_entry(crops, groups):
    counts = ladder.patch_tables(groups, crops, crops)
    table = ladder.score_table({("a", "b"): counts}, ["x", "y"], "caption", more=[["m", "", 0.1, 0.2, "", 0.3]])
    assert table.header == ["x", "y", "accuracy", "mIoU", "95 % interval", "macro-F1"]
    assert [row[:2] for row in table.rows] == [["a", "b"], ["m", ""]] and " to " in table.rows[0][4]
    gain = ladder.gain_table({("a",): (counts, counts)}, ["x"], "caption")
    assert gain.rows == [["a", "+0.00", "+0.00 to +0.00"]]
    tiles = ladder.tile_table({"tile 1": {"way": (0.5, 0.25)}}, {"way": "short"}, "caption")
    assert tiles.header == ["tile", "accuracy, short", "mIoU, short"] and tiles.rows == [["tile 1", "0.50", "0.25"]]
    pictures = ladder.map_pictures(crops, {"way": crops.labels}, [2], {"way": "ours"})
    assert list(pictures) == ["tile 1 part 0", "truth, 2", "ours, 2"]
    assert np.array_equal(pictures["truth, 2"], pictures["ours, 2"])
    described = ladder.pca_pictures(crops.scenes, {"color": crops.features}, [0, 3])
    assert list(described) == ["tile 0 part 0", "color, 0", "tile 1 part 1", "color, 3"]

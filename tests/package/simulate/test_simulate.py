"""Simulated landscapes: the same for the same seed, sound as data, sensible as land, and neither too easy nor too hard.

The difficulty tests train on scenes 0 to 39 and score on scenes 1000 to 1019, per patch of 8 x 8 pixels.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lulc_utils import evaluate, simulate
from lulc_utils.backbone import raw_color
from lulc_utils.simulate import layout, light
from lulc_utils.simulate.aerial import objects
from lulc_utils.simulate.aerial.canvas import BARE, GRASS, TREE

PATCH = 8
CLASSES = len(simulate.AERIAL_CLASSES)


def arrays(seeds):
    """(pixels [N, 3, H, W], patch labels [N, h, w]) of scenes."""
    scenes = simulate.aerial_scenes(seeds)
    labels = np.stack([s.labels for s in scenes])
    return np.stack([s.pixels for s in scenes]), evaluate.patch_labels(labels, PATCH)


@pytest.fixture(scope="module")
def train():
    return arrays(range(40))


@pytest.fixture(scope="module")
def test():
    return arrays(range(1000, 1020))


def miou(truth, predicted):
    return evaluate.scores(evaluate.confusion(truth, predicted, CLASSES))["miou"]


# ------------------------------------------------------------------------------------------------ data


def test_same_seed_same_scene_whatever_was_drawn_before():
    first = simulate.aerial(3, 200)
    np.random.seed(0)  # noqa: NPY002  global state must not matter
    simulate.aerial(4, 100)
    again = simulate.aerial_scenes([5, 3], 200)[1]
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.labels, again.labels)
    assert (first.transform, first.crs, first.date) == (again.transform, again.crs, again.date)
    assert not np.array_equal(first.pixels, simulate.aerial(6, 200).pixels)


@pytest.mark.parametrize("size", [64, 101, 331])
def test_any_size_gives_a_complete_scene(size):
    for seed in range(4):
        scene = simulate.aerial(seed, size)
        assert scene.pixels.shape == (3, size, size) and scene.pixels.dtype == np.uint8
        assert scene.labels.shape == (size, size) and scene.labels.dtype == np.uint8
        assert scene.labels.max() < CLASSES  # so none is UNLABELLED


def test_says_what_it_is():
    scene = simulate.aerial(3, 64)
    assert (scene.name, scene.group, scene.source) == ("simulated 0003", "simulated 0003", "simulated aerial, seed 3")
    assert scene.simulated and scene.bands == ("red", "green", "blue")
    assert scene.class_names == ("building", "road", "water", "bare", "tree", "crop", "grass")
    assert len({c.color for c in scene.classes}) == CLASSES


def test_lies_in_a_utm_zone_on_land():
    zones = set()
    for seed in range(12):
        scene = simulate.aerial(seed, 64)
        west, south, east, north = scene.bounds_latlon()
        zones.add(scene.crs.to_epsg())
        assert scene.crs.is_projected and scene.crs.to_epsg() // 100 == (326 if south > 0 else 327)
        assert (scene.transform.a, scene.transform.e) == (0.5, -0.5)
        assert -180 < west < east < 180 and -60 < south < north < 72
        assert scene.crs.to_epsg() % 100 == int((west + 180) // 6) + 1  # the zone that this longitude belongs to
    assert len(zones) > 4


@pytest.mark.parametrize(("seed", "size", "words"), [(-1, 512, "negative"), (0, 63, "at least 64 x 64")])
def test_bad_input_gets_one_sentence(seed, size, words):
    with pytest.raises(ValueError, match=words) as error:
        simulate.aerial(seed, size)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------ land


def test_classes_are_balanced_over_scenes_and_differ_between_them(train):
    counts = np.stack([np.bincount(p.ravel(), minlength=CLASSES) for p in train[1]])
    shares = counts / counts.sum(1, keepdims=True)  # [scenes, classes]
    assert shares.mean(0).min() > 0.04 and shares.mean(0).max() < 0.35
    assert (shares.std(0) > 0.03).all()


def test_no_crown_hides_road_roof_crop_or_water(monkeypatch):
    with_trees = simulate.aerial(1, 400).labels
    monkeypatch.setattr(objects, "plant_all", lambda land, crowns: None)
    without = simulate.aerial(1, 400).labels
    changed = with_trees != without
    assert changed.sum() > 1000 and (with_trees[changed] == TREE).all()
    assert np.isin(without[changed], (BARE, GRASS)).all()


def test_roads_end_on_roads_or_outside():
    whole = layout.Cell(-500, 500, -400, 400)
    _, roads = layout.cut(np.random.default_rng(0), whole, 150, 8, "street")
    assert len(roads) > 20
    for road in roads:
        for end in (road.start, road.end):
            meets = any(r.across != road.across and r.at == end and r.start <= road.at <= r.end for r in roads)
            assert meets or end in whole


def test_grid_and_image_coordinates_are_inverse():
    grid = layout.draw_grid(np.random.default_rng(5), 512)
    u, v = np.random.default_rng(0).uniform(-300, 300, (2, 50))
    back = layout.to_grid(grid, *layout.to_image(grid, u, v))
    assert np.allclose(back, (u, v), atol=0.1)


def test_shadow_of_a_mast_has_the_length_and_side_that_the_sun_gives():
    top = np.zeros((101, 101), np.float32)
    top[50, 50] = 10.0
    shadow = light.cast_shadow(top, elevation=np.radians(45), azimuth=np.radians(180))  # sun in the south
    rows, cols = np.nonzero(shadow > 0.5)
    assert set(cols) == {50} and rows.max() == 49
    assert abs((50 - rows.min()) * light.METRES - 10) <= 1  # 45 degrees: as long as the mast is high


def test_shading_of_a_slope_follows_the_cosine_law():
    relief = np.tile(np.arange(20, dtype=np.float32) * light.METRES, (20, 1))  # rises by 45 degrees to the east
    for azimuth, expected in ((270, np.cos(np.radians(15))), (90, np.cos(np.radians(75)))):
        lit = light.shading(relief, np.radians(60), np.radians(azimuth))[10, 10]
        assert np.isclose(lit * np.sin(np.radians(60)), expected, atol=1e-4)


def test_sun_stands_where_almanacs_say():
    date = light.datetime.date(2021, 3, 21)  # equinox: at noon 90 degrees minus the latitude, due south or north
    assert np.allclose(np.degrees(light.sun_position(50, date, 12)), (40, 180), atol=1)
    assert np.allclose(np.degrees(light.sun_position(-30, date, 12)), (60, 0), atol=1)
    assert 90 < np.degrees(light.sun_position(50, date, 9)[1]) < 180  # in the morning: south-east


# ------------------------------------------------------------------------------------------ difficulty


def test_colour_alone_is_not_enough_for_a_linear_probe(train, test):
    probe = evaluate.linear_probe(raw_color(train[0], PATCH).numpy(), train[1])
    assert 0.2 < miou(test[1], evaluate.predict(probe, raw_color(test[0], PATCH).numpy())) <= 0.45


def test_colour_alone_does_not_cluster_into_classes(train, test):
    features = raw_color(train[0], PATCH).numpy()
    clusters = evaluate.kmeans(features, CLASSES)
    counts = evaluate.confusion(train[1], evaluate.predict(clusters, features), CLASSES, CLASSES)
    found = evaluate.predict(clusters, raw_color(test[0], PATCH).numpy())
    assert miou(test[1], evaluate.apply_match(found, evaluate.match(counts))) <= 0.25


def conv(inputs, outputs, stride=1, dilation=1, size=3):
    padding = dilation * (size // 2)
    layer = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.block = conv(width, width, dilation=dilation)

    def forward(self, x):
        return x + self.block(x)


def small_network():
    """0.33 million parameters: three strides of two down to the patch grid, then dilated convolutions."""
    return nn.Sequential(
        conv(3, 32, stride=2, size=5),  # [B, 32, H/2, W/2]
        conv(32, 48, stride=2),
        Residual(48, 1),
        conv(48, 96, stride=2),  # [B, 96, H/8, W/8]
        *[Residual(96, dilation) for dilation in (1, 2, 4)],
        nn.Conv2d(96, CLASSES, 1),
    ).to(memory_format=torch.channels_last)


def batch(pixels, labels, rng, crops=8, size=128):
    """Random crops on the patch grid, turned, mirrored, with random exposure and colour cast."""
    x, y, patches = [], [], size // PATCH
    for n in rng.integers(len(pixels), size=crops):
        row, col = rng.integers(0, labels.shape[1] - patches + 1, 2)
        at = np.s_[..., row * PATCH : row * PATCH + size, col * PATCH : col * PATCH + size]
        turns, mirror = int(rng.integers(4)), int(rng.choice([-1, 1]))
        x.append(np.rot90(pixels[n][at], turns, (-2, -1))[..., ::mirror])
        y.append(np.rot90(labels[n, row : row + patches, col : col + patches], turns)[..., ::mirror])
    x = normalised(np.stack(x))
    gain = np.exp(rng.normal(0, 0.15, (crops, 1, 1, 1)) + rng.normal(0, 0.06, (crops, 3, 1, 1)))
    shift = rng.normal(0, 0.25, (crops, 1, 1, 1)) + rng.normal(0, 0.1, (crops, 3, 1, 1))
    x = x * torch.from_numpy(gain).float() + torch.from_numpy(shift).float()
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(np.stack(y)).long()


def normalised(pixels):
    return (torch.from_numpy(pixels).float() / 255 - 0.4) / 0.2


def test_structure_separates_the_classes_for_a_small_network(train, test, one_thread):
    """About 60 seconds of one core: the long one of this file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = small_network()
    rng, steps = np.random.default_rng(0), 1400
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        x, y = batch(*train, rng)
        loss = F.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        found = np.concatenate([network(normalised(x[None])).argmax(1).numpy() for x in test[0]])
    assert miou(test[1], found.astype(np.uint8)) >= 0.75

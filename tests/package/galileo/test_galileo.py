"""The re-written encoder against the authors' own numbers, and what it must do with bands it was not given."""

import datetime
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils import data, galileo
from lulc_utils.galileo import network
from lulc_utils.scene import Scene

GOLDEN = Path(__file__).parents[2] / "golden" / "galileo_11.npz"
REAL_MIRROR = os.environ.get("LULC_DATA_MIRROR", "")
with_mirror = pytest.mark.skipif(not REAL_MIRROR, reason="LULC_DATA_MIRROR is not set")
ALL = tuple(galileo.GROUPS)


@pytest.fixture
def real(monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", REAL_MIRROR)
    galileo.load.cache_clear()
    yield galileo.load()
    galileo.load.cache_clear()


@pytest.fixture(scope="module")
def small():
    """Random weights: what holds for any."""
    torch.manual_seed(0)
    encoder = galileo.Encoder(dim=32, depth=2, heads=4).eval().requires_grad_(False)
    for weights in (encoder.s_t_channel_embed, encoder.st_channel_embed):
        torch.nn.init.normal_(weights)
    return encoder


@with_mirror
@pytest.mark.parametrize("case", "abcd")
def test_tokens_and_their_means_are_the_references(real, case):
    golden = {k[2:]: v for k, v in np.load(GOLDEN, allow_pickle=False).items() if k.startswith(case)}
    groups = tuple(map(str, golden["groups"]))
    tokens, patches = real(
        torch.from_numpy(golden["x"]),
        torch.from_numpy(golden["months"]),
        torch.from_numpy(golden["location"]) if golden["with_location"] else None,
        groups=groups,
        patch_size=int(golden["patch_size"]),
        resolution=float(golden["resolution"]),
    )
    visible = golden["tokens"][..., [ALL.index(group) for group in groups], :]
    np.testing.assert_allclose(tokens.numpy(), visible, atol=1e-4)
    np.testing.assert_allclose(patches.flatten(1, 2).numpy(), golden["per_patch"], atol=1e-4)


@with_mirror
def test_the_fixed_waves_are_the_published_ones(real):
    weights = torch.load(data.galileo_nano().encoder, map_location="cpu", weights_only=True)
    torch.testing.assert_close(network.waves(torch.arange(24), 32), weights["pos_embed"], atol=1e-5, rtol=0)
    torch.testing.assert_close(network.months_of_the_year(32), weights["month_embed.weight"], atol=1e-5, rtol=0)


def test_a_band_that_is_hidden_is_not_read(small):
    x = torch.randn(1, 8, 8, 2, 13)
    other = x.clone()
    other[..., galileo.BANDS.index("B05")] += 3
    other[..., galileo.BANDS.index("VV")] = torch.nan
    visible = ("S2_RGB", "NDVI")
    torch.testing.assert_close(small(x, groups=visible)[1], small(other, groups=visible)[1])
    other = x.clone()
    other[..., galileo.BANDS.index("B03")] += 3
    assert not torch.allclose(small(x, groups=visible)[1], small(other, groups=visible)[1])


def test_month_and_place_change_the_answer_and_can_be_left_out(small):
    x = torch.randn(1, 8, 8, 1, 13)
    months, place = torch.tensor([[3]]), torch.tensor([[1.0, 0, 0]])
    answers = [small(x, *facts)[1] for facts in ((), (months,), (months + 6,), (None, place), (None, -place))]
    assert all(not torch.allclose(a, b) for i, a in enumerate(answers) for b in answers[:i])


@pytest.mark.parametrize("size", [1, 2, 4, 5])
def test_kernels_for_small_patches_see_what_the_large_ones_see_enlarged(size):
    torch.manual_seed(0)
    learned, small = torch.randn(5, 1, 8, 8), torch.randn(size * size)
    each = torch.eye(64).view(64, 1, 8, 8)
    shrink = torch.nn.functional.interpolate(each, (size, size), mode="bicubic", antialias=True).flatten(1).T
    enlarged = np.linalg.lstsq(shrink.double().numpy(), small.double().numpy(), rcond=None)[0]  # the least such patch
    expected = learned.double().flatten(1).numpy() @ enlarged
    seen = network.kernels(learned, size).flatten(1).double().numpy() @ small.double().numpy()
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    assert network.kernels(learned, 8) is learned


@pytest.mark.parametrize(
    ("shape", "how", "words"),
    [
        ((1, 8, 8, 1, 12), {}, "13"),
        ((1, 9, 8, 1, 13), {}, "multiples"),
        ((1, 8, 8, 1, 13), {"patch_size": 9}, "1 to 8"),
        ((1, 8, 8, 25, 13), {}, "at most 24"),
        ((1, 8, 8, 1, 13), {"groups": ("S3",)}, "S3"),
        ((1, 8, 8, 1, 13), {"groups": ()}, "at least one"),
    ],
)
def test_what_does_not_fit_is_said(small, shape, how, words):
    with pytest.raises(ValueError, match=words):
        small(torch.zeros(shape), **how)


@with_mirror
def test_windows_cover_every_patch_and_agree_with_one_window(real):
    pixels = np.random.default_rng(0).uniform(0, 0.5, (3, 46, 130)).astype(np.float32)
    whole = galileo.describe(pixels, ("B02", "B03", "B04"), month=5)
    assert whole.shape == (12, 33, 128) and torch.isfinite(whole).all()
    left = galileo.describe(pixels[..., :48], ("B02", "B03", "B04"), month=5)
    torch.testing.assert_close(left[:, :8], whole[:, :8], atol=1e-4, rtol=0)  # only the first window sees these


@with_mirror
def test_harmonized_bands_are_taken_for_those_of_sentinel_2(real):
    names = {"blue": "B02", "green": "B03", "red": "B04", "near infrared": "B8A"}
    x, groups = galileo.measurements(np.full((4, 8, 8), 0.25, np.float32), tuple(names))
    same, _ = galileo.measurements(np.full((4, 8, 8), 0.25, np.float32), tuple(names.values()))
    assert groups == ("S2_RGB", "S2_NIR_20m", "NDVI") and torch.equal(x, same)
    assert float(x[0, 0, galileo.BANDS.index("NDVI")]) == 0
    with pytest.raises(ValueError, match="Sentinel-2"):
        galileo.measurements(np.zeros((1, 8, 8), np.float32), ("band 1",))


def test_what_is_told_of_scenes_is_what_they_share():
    def scene(month, east):
        where = {"crs": CRS.from_epsg(32632), "transform": from_origin(east, 5_500_000, 10, 10)}
        when = datetime.date(2021, month, 3)
        return Scene("s", np.zeros((1, 8, 8), np.float32), ("B03",), "a test", date=when, **where)

    facts = galileo.shared_facts([scene(4, 500_000), scene(4, 510_000)])
    assert facts["month"] == 4 and abs(facts["lonlat"][0] - 9) < 0.2 and abs(facts["lonlat"][1] - 49.6) < 0.2
    assert 9.9 < facts["meters"] < 10.1
    apart = galileo.shared_facts([scene(4, 500_000), scene(5, 700_000)])
    assert apart["month"] is None and "lonlat" not in apart
    nowhere = Scene("s", np.zeros((1, 8, 8), np.float32), ("B03",), "a test")
    assert galileo.shared_facts([nowhere]) == {"month": None}

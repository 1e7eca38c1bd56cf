"""Geometry and radiometry of the two views."""

import math

import pytest
import torch
from small_trainings import seeded

from lulc_utils import contrastive as co

pytestmark = pytest.mark.usefixtures("one_thread")


def numbered(batch: int = 16, size: int = 64) -> torch.Tensor:
    """Patches whose two bands tell the place: column and row."""
    rows = torch.arange(float(size)).view(-1, 1).expand(size, size)
    return torch.stack([rows.T, rows]).expand(batch, -1, -1, -1).contiguous()


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.6, 1.6)])
def test_pixels_come_from_where_the_map_says(zoom):
    views = co.two_views(numbered(32, 80), 32, seeded(), zoom=zoom, jitter=co.STILL)
    inner = co.pixel_grid(32)[(co.pixel_grid(32) % 31 > 0).all(1)].expand(
        32, -1, -1
    )  # at the rim, zoomed in, there is no more
    for view in views:
        truth = co.to_patch(inner, view.map)
        shown = co.at_points(view.pixels, inner).view(32, -1, 2)
        assert (shown - truth).abs().max() < 1e-4
    corners = torch.stack([v.map[:, :, :2] for v in views]).sign().flatten(2)
    assert len(corners.flatten(0, 1).unique(dim=0)) == 8  # all turns and mirrorings occur
    assert not torch.equal(views[0].map, views[1].map)


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.5, 2.0)])
def test_round_trip_of_the_crop_map(zoom):
    a, b = co.two_views(numbered(64, 80), 40, seeded(1), zoom=zoom)
    points = 39 * torch.rand(64, 50, 2, generator=seeded())
    for view in (a, b):
        assert (co.to_crop(co.to_patch(points, view.map), view.map) - points).abs().max() < 1e-4
    to_b_and_back = co.to_crop(co.to_patch(co.to_crop(co.to_patch(points, a.map), b.map), b.map), a.map)
    assert (to_b_and_back - points).abs().max() < 1e-4


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.7, 1.4)])
def test_views_overlap_and_lie_inside(zoom):
    a, b = co.two_views(numbered(400, 64), 32, seeded(), zoom=zoom, overlap=0.25)
    corners = torch.tensor([[-0.5, -0.5], [31.5, 31.5]]).expand(400, -1, -1)
    low, high = zip(*[co.to_patch(corners, v.map).sort(1).values.unbind(1) for v in (a, b)], strict=True)
    for x, y in zip(low, high, strict=True):
        assert x.min() > -0.5 - 1e-4 and y.max() < 63.5 + 1e-4
    shared = (torch.minimum(*high) - torch.maximum(*low)).clamp_min(0).prod(1)
    share = shared / torch.stack([(y - x).prod(1) for x, y in zip(low, high, strict=True)]).amin(0)
    least = 0.25 if zoom != (1.0, 1.0) else (16 / 32) ** 2  # whole pixels
    assert share.min() >= least - 1e-3 and share.min() < 0.5 and share.max() > 0.8


def test_matching_points_show_the_same_ground():
    a, b = co.two_views(numbered(), 32, seeded(2), jitter=co.STILL)
    points = co.matching_points(a, b, 60, seeded())
    shown_a, shown_b = co.at_points(a.pixels, points.a), co.at_points(b.pixels, points.b)
    assert (shown_a - shown_b).abs().max() < 1e-3
    assert (shown_a.view(16, 60, 2) - points.ground).abs().max() < 1e-3
    assert min(len(torch.unique(p, dim=0)) for p in points.ground.round()) == 60
    moved = (points.a - points.b).abs().amax(-1)
    assert (moved > 1).float().mean() > 0.8  # empty, were the views the same
    again = co.matching_points(a, b, 60, seeded())
    assert all(torch.equal(x, y) for x, y in zip(points, again, strict=True))
    with pytest.raises(ValueError, match="fewer than 1000 points; take fewer"):
        co.matching_points(a, b, 1000, seeded())


def test_second_view_shows_the_other_date():
    first = numbered(6)
    a, b = co.two_views(first, 32, seeded(), other=first + 100, jitter=co.STILL)
    points = co.matching_points(a, b, 20, seeded())
    gap = co.at_points(b.pixels, points.b) - co.at_points(a.pixels, points.a)
    assert (gap - 100).abs().max() < 1e-3
    with pytest.raises(ValueError, match="must have the same shape"):
        co.two_views(first, 32, seeded(), other=first[:3])
    with pytest.raises(ValueError, match="does not fit into patches of 64 x 64"):
        co.two_views(first, 40, seeded(), zoom=(1, 2))


def test_jitter_is_in_units_of_the_bands():
    x, std = torch.full((4000, 2, 2, 2), 0.2), torch.tensor([0.1, 0.01])
    off = co.change(x, seeded(), co.STILL._replace(offset=0.5), std) - x
    assert off.abs().amax((0, 2, 3)) == pytest.approx([0.05, 0.005], rel=0.01) and (off.std((2, 3)) == 0).all()
    gain = co.change(x, seeded(), co.STILL._replace(brightness=0.1), std) / x
    assert gain.min() == pytest.approx(0.9, abs=1e-3) and (gain[:, 0] - gain[:, 1]).abs().max() < 1e-6
    noise = co.change(x, seeded(), co.STILL._replace(noise=1.0), std) - x
    assert noise[:, 0].std() == pytest.approx(0.1 * math.sqrt(1 / 3), rel=0.05)  # amounts are uniform in 0..1
    ramp = numbered(1000, 4)
    dropped = (co.change(ramp, seeded(), co.STILL._replace(drop=0.2)).std((2, 3)) == 0).float().mean()
    assert float(dropped) == pytest.approx(0.2, abs=0.03)
    assert torch.equal(co.change(ramp, seeded(), co.STILL), ramp)


@pytest.mark.parametrize("turned", [True, False])
def test_views_without_turns_keep_their_orientation(turned):
    patches = torch.rand(16, 2, 48, 48)
    a, b = co.two_views(patches, 32, torch.Generator().manual_seed(0), turns=turned, jitter=co.STILL)
    upright = [torch.equal(view.map[:, :, :2], torch.eye(2).expand(16, 2, 2)) for view in (a, b)]
    assert upright == [not turned] * 2

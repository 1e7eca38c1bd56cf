"""Weak and strong views: what changes, by how much, and what stays."""

import pytest
import torch

from lulc_utils import pseudo_labels as pl

from .helpers import SHAPES, close, seeded


def test_weak_views_are_the_eight_turns_and_flips_of_each_image():
    x = torch.arange(16.0).view(1, 1, 4, 4).repeat(200, 1, 1, 1)
    views = {tuple(v.flatten().tolist()) for v in pl.weak(x, seeded())}
    allowed = [torch.rot90(x[0, 0], k) for k in range(4)]
    allowed += [v.flip(-1) for v in allowed]
    assert views == {tuple(v.flatten().tolist()) for v in allowed}


def test_weak_views_of_oblong_images_and_of_series():
    x = torch.arange(8.0).view(1, 1, 2, 4).repeat(100, 1, 1, 1)
    views = {tuple(v.flatten().tolist()) for v in pl.weak(x, seeded())}
    image = x[0, 0]
    assert views == {tuple(v.flatten().tolist()) for v in (image, image.flip(0), image.flip(1), image.flip(0, 1))}
    series = torch.randn(3, 6, 4)
    assert pl.weak(series, seeded()) is series


@pytest.mark.parametrize("shape", SHAPES)
def test_strong_views_have_the_shape_and_depend_on_the_generator_only(shape):
    x = torch.randn(10, *shape, generator=seeded())
    bands = shape[0] if len(shape) == 3 else shape[-1]
    mean, std = torch.zeros(bands), torch.ones(bands)
    a, b, c = (pl.strong(x, seeded(s), mean, std) for s in (1, 1, 2))
    assert a.shape == x.shape and torch.equal(a, b) and not torch.equal(a, c)
    off = pl.strong(x, seeded(1), mean, std, only())
    assert torch.equal(off, pl.weak(x, seeded(1)))


def only(**strength):
    """Nothing but the given changes."""
    return pl.Strength(*(0.0 for _ in pl.Strength._fields))._replace(**strength)


def test_every_part_of_the_strong_view_does_what_it_says():
    n, mean, std = 2000, torch.tensor([5.0, 7.0]), torch.tensor([1.0, 3.0])
    x = torch.full((n, 2, 8, 8), 2.0)

    def see(**strength):
        return pl.strong(x, seeded(), mean, std, only(**strength))

    gain = see(gain=0.1) / 2
    assert (gain == gain[:, :1, :1, :1]).all() and gain[:, 0, 0, 0].std() == pytest.approx(0.1, rel=0.1)
    gain = see(band_gain=0.1) / 2
    assert (gain == gain[:, :, :1, :1]).all() and (gain[:, 0] != gain[:, 1]).any()
    offset = see(offset=0.2) - 2
    assert (offset == offset[:, :, :1, :1]).all()
    close(offset[:, :, 0, 0].std(0), [0.2, 0.6], 0.06)
    noise = see(noise=0.2) - 2
    close(noise.std((0, 2, 3)), [0.2, 0.6], 0.02)
    dropped = see(drop=0.25)
    assert set(dropped[:, 0].unique().tolist()) == {2, 5} and set(dropped[:, 1].unique().tolist()) == {2, 7}
    assert (dropped == dropped[:, :, :1, :1]).all()
    assert (dropped[:, :, 0, 0] != 2).float().mean() == pytest.approx(0.25, abs=0.03)


def test_cutout_hides_one_square_in_all_bands_or_one_run_of_times():
    x = torch.ones(500, 2, 8, 8)
    hidden = pl.strong(x, seeded(), torch.zeros(2), torch.ones(2), only(cutout=0.5)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    rows, columns = hidden[:, 0].any(2), hidden[:, 0].any(1)
    assert torch.equal(hidden[:, 0], rows[:, :, None] & columns[:, None, :])
    assert torch.equal(rows.sum(1), columns.sum(1)) and set(rows.sum(1).tolist()) == {0, 1, 2, 3, 4}
    assert hidden[:, 0].float().mean(0).min() > 0  # every place is hidden now and then
    series = pl.strong(torch.ones(200, 12, 3), seeded(), torch.zeros(3), torch.ones(3), only(cutout=0.5)) == 0
    assert (series == series[:, :, :1]).all()
    runs = series[:, :, 0].long().diff(dim=1, prepend=torch.zeros(200, 1, dtype=torch.int64)).clamp_min(0).sum(1)
    assert runs.max() == 1 and series[:, :, 0].sum(1).max() == 6

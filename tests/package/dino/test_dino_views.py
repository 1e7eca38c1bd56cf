"""Views: the same ground, whatever the turn; the same draws, whoever makes them."""

import pytest
import torch
from torch.nn import functional as F

from lulc_utils import dino

pytestmark = pytest.mark.usefixtures("one_thread")


def numbered(size: int = 200) -> torch.Tensor:
    """An image whose colors tell the place: red the row, green the column."""
    rows = torch.arange(size).view(-1, 1).expand(size, size)
    return torch.stack([rows, rows.T, torch.zeros_like(rows)]).to(torch.uint8)


def test_patches_of_the_same_cell_show_the_same_ground():
    still = dict.fromkeys(dino.MILD, 0.0)
    views = dino.multi_crop(
        [numbered()],
        torch.Generator().manual_seed(3),
        24,
        dino.Crops(crop=40, n_local=2, local_crop=16, zoom=(1, 1), jitter=still, local_jitter=still),
    )
    assert [v.pixels.shape[-1] for v in views] == [40, 40, 16, 16]
    means = [F.avg_pool2d(v.pixels, 8).flatten(2) * 255 for v in views]  # [B, 3, n] place on the ground
    turned = 0
    for teacher in (0, 1):
        for student in range(4):
            index = dino.same_ground(views[student].cells, views[teacher].cells)
            shared = index >= 0
            assert shared.any(1).float().mean() > 0.5
            partner = means[teacher].gather(2, index.clamp_min(0).unsqueeze(1).expand(-1, 3, -1))
            gap = (partner - means[student]).abs().amax(1)
            assert gap[shared].max() < 1e-3  # the very same pixels, whatever the turn
            turned += int((index[shared] != torch.arange(index.shape[1]).expand_as(index)[shared]).sum())
    assert turned > 100  # the test would be empty if the views were never turned


def test_views_depend_on_the_generator_only_and_can_be_shared_out():
    images = [numbered(), numbered(120)]
    whole, again = (dino.multi_crop(images, torch.Generator().manual_seed(5), 6, dino.Crops(crop=40)) for _ in range(2))
    part = dino.multi_crop(images, torch.Generator().manual_seed(5), 6, dino.Crops(crop=40), rows=slice(2, 4))
    for a, b, c in zip(whole, again, part, strict=True):
        assert torch.equal(a.pixels, b.pixels) and a.grid == b.grid == c.grid
        for name in ("pixels", "cells", "masked", "positions"):
            assert torch.equal(getattr(a, name)[2:4], getattr(c, name))


def test_color_jitter_is_mild():
    image = torch.full((3, 90, 90), 128, dtype=torch.uint8)
    image[0] += 40
    view = dino.multi_crop([image], torch.Generator().manual_seed(0), 64, dino.Crops(crop=40))[0]
    red_over_green = view.pixels[:, 0].mean((1, 2)) / view.pixels[:, 1].mean((1, 2))
    assert red_over_green.std() > 0.01
    assert (red_over_green > 0.98).all()  # a red field stays red


def test_two_days_of_a_place_are_two_views_of_one_ground():
    red, blue, other = (torch.full((3, 64, 64), 10, dtype=torch.uint8) for _ in range(3))
    red[0], blue[2], other[1] = 200, 200, 200
    images = dino.on_device([red, other, blue], ["here", "there", "here"])
    crops = dino.Crops(crop=32, dates=True, jitter=dino.MILD | {"blur": 0.0}, n_local=1, local_crop=16)
    first, second, local = dino.multi_crop(images, torch.Generator().manual_seed(0), 32, crops)
    colors = [view.pixels.mean((2, 3)).argmax(1) for view in (first, second, local)]
    place = colors[0] != 1
    assert place.any() and not place.all()
    assert torch.equal(colors[1][~place], colors[0][~place])  # without another day, the same again
    assert torch.equal(colors[1][place], 2 - colors[0][place]) and torch.equal(colors[2], colors[0])


def test_large_images_are_kept_as_pieces_that_cover_them():
    image = numbered(300)[:, :, :120].clone()
    images = dino.on_device([image, numbered(80)])
    assert images.pixels.shape == (3, 3, 256, 256) and images.origin.tolist() == [0, 0, 1]
    assert images.sizes.tolist() == [[256, 120], [256, 120], [80, 80]]
    assert torch.equal(images.pixels[0, :, :, :120], image[:, :256]) and torch.equal(
        images.pixels[1, :, :, :120], image[:, 44:]
    )


def test_a_view_of_less_detail_does_not_alias():
    stripes = torch.zeros(3, 128, 128, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    crops = dino.Crops(crop=40, zoom=(2, 2), jitter=dict.fromkeys(dino.MILD, 0.0))
    view = dino.multi_crop([stripes], torch.Generator().manual_seed(1), 8, crops)[0]
    assert (view.pixels[..., 4:-4, 4:-4] - 0.5).abs().max() < 0.05

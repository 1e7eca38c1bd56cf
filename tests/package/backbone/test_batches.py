"""Windows that cover an image once, batches of even size, and threads that take one each."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from tiny_vit import close, tiny

from lulc_utils import backbone as bb
from lulc_utils.backbone import batches

pytestmark = pytest.mark.usefixtures("one_thread")


def test_spans_cover_everything_once_and_overlap():
    for side in range(3, 12):
        for whole in range(1, 60):
            spans = batches.spans(whole, side)
            assert [i for _, _, kept in spans for i in range(whole)[kept]] == list(range(whole))
            assert all(end - first == min(side, whole) and 0 <= first and end <= whole for first, end, _ in spans)
            assert all(first <= kept.start and kept.stop <= end for first, end, kept in spans)
            assert all(b[0] <= a[1] - bb.OVERLAP for a, b in pairwise(spans))
            for first, end, kept in spans:
                # what is kept never lies at a window's edge, but for the image's
                assert kept.start > first or kept.start == 0
                assert kept.stop < end or kept.stop == whole


def test_a_view_reads_large_images_in_windows():
    model, x = tiny(), np.random.default_rng(1).integers(0, 256, (2, 3, 88, 61), dtype=np.uint8)
    windowed, whole = (bb.wrap(model, "tiny", view=view) for view in (48, None))
    result = bb.patch_features(
        windowed, x
    )  # 11 x 8 patches in windows of 6: rows from 0, 2 and 5, columns from 0 and 2
    assert result.shape == (2, 11, 8, 48)
    corner = bb.patch_features(whole, x[:, :, :48, :48])
    close(result[:, :4, :4], corner[:, :4, :4])
    low = bb.patch_features(whole, x[:, :, 40:, 16:])  # padded to whole patches on the right
    close(result[:, 7:, 5:], low[:, 2:, 3:])
    assert (result - bb.patch_features(whole, x)).abs().max() > 1e-2
    for size in (1, 2, 5):
        close(bb.patch_features(windowed, x, batch_size=size), result)
    far = x.copy()
    far[:, :, 60:] = 255
    assert torch.equal(bb.patch_features(windowed, far)[:, :4], result[:, :4])  # pixels of other windows do not matter
    close(bb.patch_features(windowed, x, blocks=2)[..., 48:], result)


def test_a_view_does_not_change_small_images_and_other_outputs():
    model, x = tiny(), np.random.default_rng(1).integers(0, 256, (1, 3, 48, 30), dtype=np.uint8)
    windowed, whole = (bb.wrap(model, "tiny", view=view) for view in (48, None))
    assert torch.equal(bb.patch_features(windowed, x), bb.patch_features(whole, x))
    large = np.tile(x, (1, 1, 2, 2))
    for call in (bb.tokens, bb.cls_tokens, bb.last_attention):
        assert torch.equal(call(windowed, large), call(whole, large))


def threads_of(model: torch.nn.Module, seen: list) -> None:
    """Let the model note who computes its batches: (thread, how many threads of its own, images)."""
    model.register_forward_pre_hook(
        lambda _, x: seen.append((threading.get_ident(), torch.get_num_threads(), len(x[0])))
    )


def test_threads_take_a_batch_each(two_threads):
    model, seen = tiny(), []
    backbone = bb.wrap(model, "tiny", view=48)
    x = np.random.default_rng(2).integers(0, 256, (3, 3, 88, 61), dtype=np.uint8)  # 6 windows each
    threads_of(model.patch_embed, seen)
    result = bb.patch_features(backbone, x)
    assert [(own, images) for _, own, images in seen] == [(1, 9), (1, 9)]
    assert threading.get_ident() not in {thread for thread, *_ in seen}
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 2
    seen.clear()
    close(bb.patch_features(backbone, x, batch_size=1), result)  # one at a time, by all threads
    assert set(seen) == {(threading.get_ident(), 2, 1)} and len(seen) == 18
    seen.clear()
    close(bb.patch_features(backbone, x, batch_size=5), result)
    assert max(images for *_, images in seen) == 2  # 5 in both together
    for output in (partial(bb.patch_features, blocks=2), bb.last_attention):
        seen.clear()
        output(backbone, x)
        assert {(thread, own) for thread, own, _ in seen} == {(threading.get_ident(), 2)}
    torch.set_num_threads(1)
    seen.clear()
    close(bb.patch_features(backbone, x), result)
    assert set(seen) == {(threading.get_ident(), 1, 18)}


def test_an_error_in_one_thread_ends_all(two_threads):
    model, seen = tiny(), []
    backbone = bb.wrap(model, "tiny")

    def fails(_, x):
        seen.append(len(x[0]))
        time.sleep(0.05)
        raise MemoryError("no room")

    model.patch_embed.register_forward_pre_hook(fails)
    with pytest.raises(MemoryError, match="no room"):
        bb.patch_features(backbone, np.zeros((40, 3, 16, 16), np.uint8), batch_size=2)
    assert torch.get_num_threads() == 2
    assert len(seen) < 20  # most batches were never begun


@pytest.mark.parametrize("pieces, workers, at_once", list(product((1, 2, 7, 36, 100), (1, 2, 16), (1, 5, 32))))
def test_batches_are_even_and_no_larger_than_asked(pieces, workers, at_once):
    parts = batches.even(range(pieces), workers, at_once)
    sizes = [len(batch) for batch in parts]
    assert [i for batch in parts for i in batch] == list(range(pieces))
    assert max(sizes) <= at_once
    rounds = -(-pieces // (workers * at_once))
    assert max(sizes) == -(-pieces // (workers * rounds)) and len(parts) <= workers * rounds

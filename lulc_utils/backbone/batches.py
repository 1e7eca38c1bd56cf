"""How images are read: in windows as large as a backbone's view, and in batches, one on each thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import NamedTuple

import torch

from lulc_utils.backbone.loading import OVERLAP, Backbone


class Window(NamedTuple):
    """A part of an image that the network reads at once, and which of its patches are kept.

    rows, cols   pixels of the image
    into         where in the result of the image the kept patches go; (): everywhere
    of           which patches of the window are kept; (): all
    patches      how many patches the window has
    """

    rows: slice
    cols: slice
    into: tuple[slice, ...]
    of: tuple[slice, ...]
    patches: int


def whole_image(height: int, width: int) -> Window:
    """The window that is a whole image of height x width patches."""
    return Window(slice(None), slice(None), (), (), height * width)


def windows(backbone: Backbone, height: int, width: int) -> list[Window]:
    """The windows in which an image of height x width patches is read; a single one without a `view`."""
    patch = backbone.patch
    side = backbone.view // patch if backbone.view else max(height, width)
    result = []
    for (top, bottom, rows), (left, right, cols) in product(spans(height, side), spans(width, side)):
        pixels = slice(top * patch, bottom * patch), slice(left * patch, right * patch)
        of = slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)
        result.append(Window(*pixels, (rows, cols), of, (bottom - top) * (right - left)))
    return result


def spans(whole: int, side: int) -> list[tuple[int, int, slice]]:
    """(first, end, kept) of evenly spaced spans of `side` that cover `whole` and overlap by OVERLAP or more.

    Where two overlap, each keeps its half: a window knows least about its edge, and its neighbor knows more there.
    """
    if side >= whole:
        return [(0, whole, slice(0, whole))]
    n = 1 + math.ceil((whole - side) / (side - OVERLAP))
    firsts = [round(i * (whole - side) / (n - 1)) for i in range(n)]
    edges = [0, *((a + side + b) // 2 for a, b in pairwise(firsts)), whole]
    return [(first, first + side, slice(*edge)) for first, edge in zip(firsts, pairwise(edges), strict=True)]


def images_at_once(backbone: Backbone, patches: int) -> int:
    """How many images of this many patches go through together: few on a CPU, whose cache holds no more."""
    return max(1, (3_200 if _on_processor(backbone) else 65_536) // patches)


def _on_processor(backbone: Backbone) -> bool:
    return next(backbone.model.parameters()).device.type == "cpu"


def workers(backbone: Backbone) -> int:
    """How many batches are processed in parallel: one on each of torch's threads, but only one on a GPU."""
    return torch.get_num_threads() if _on_processor(backbone) else 1


def even(pieces: Sequence, workers: int, at_once: int) -> list[Sequence]:
    """Pieces in batches of equal size, at most `at_once` in each, so that the workers finish together."""
    rounds = math.ceil(len(pieces) / (workers * at_once))
    size = math.ceil(len(pieces) / (workers * rounds))
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def side_by_side(function: Callable, batches: Sequence, workers: int) -> Iterator:
    """function(batch) for every batch, in order; each of several workers takes one batch and computes on one thread.

    No thread then waits for the others after each of many short steps. What that is worth depends on the windows and on
    the machine (`make bench`): with windows of 80 px it was a seventh, with those of 120 px nothing, on two cores.
    """
    if workers == 1:
        yield from map(function, batches)
        return
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(function, batches)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # a worker's setting is also the default of later threads

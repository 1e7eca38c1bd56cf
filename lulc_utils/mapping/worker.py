"""One window of a map, from the raster to the answer: where windows lie, how they cross over, what the model says.

Few imports: every worker of a cluster loads this file, and most models need no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from lulc_utils import __version__, raster
from lulc_utils.mapping.inputs import Warp, gdal, grid_of, on_grid
from lulc_utils.reading import measured, opened, reason
from lulc_utils.scene import UNLABELLED, LandCover

# ------------------------------------------------------------------------------------------- windows and weights


class Span(NamedTuple):
    """One window along one axis: it reads start..stop, of which begin..end count; lengths of both cross-overs."""

    start: int
    stop: int
    begin: int
    end: int
    fade_in: int
    fade_out: int


def spans(length: int, window: int, overlap: int) -> list[Span]:
    """Windows along an axis of `length` pixels, each crossing over to the next in a zone of `overlap` pixels.

    The last window is moved inwards, so that all have the same size; an axis shorter than a window has one. At most
    two windows count at any pixel. ValueError unless 0 <= overlap <= window / 3.
    """
    if window < 1 or not 0 <= 3 * overlap <= window:
        raise ValueError(
            f"The overlap ({overlap}) must lie between 0 and a third of the window ({window}); "
            "choose a smaller overlap or a larger window."
        )
    size, starts = min(window, length), raster.starts(length, window, overlap)
    # the zone lies in the middle of what two neighbors share
    zones = [(b + a + size - overlap) // 2 for a, b in zip(starts, starts[1:], strict=False)]
    begins, ends = [0, *zones], [*(z + overlap for z in zones), length]
    fades = [0, *[overlap] * len(zones), 0]
    return [
        Span(s, s + size, *used) for s, *used in zip(starts, begins, ends, fades[:-1], fades[1:], strict=True)
    ]  # fmt: skip


def weights(span: Span) -> np.ndarray:
    """How much the window counts at each pixel of begin..end, float32: 1, with a squared sine in the cross-overs."""
    weight = np.ones(span.end - span.begin, np.float32)
    for n, part in ((span.fade_in, weight), (span.fade_out, weight[::-1])):
        part[:n] *= np.sin(np.pi / 2 * (np.arange(n) + 0.5) / max(n, 1)) ** 2
    return weight


# ------------------------------------------------------------------------------------------- from pixels to answers


@dataclass(frozen=True)
class Plan:
    """All that a map depends on: a run with the same plan continues an unfinished one, any other is refused.

    source, model   names, without secrets; `content_of_the_source` and `model_hash` are what counts
    grid            size, reference system and place of the map (`inputs.grid_of`)
    bands           GDAL's numbers, from 1
    """

    source: str
    content_of_the_source: str
    grid: list
    resampling: str
    bands: list[int]
    model: str
    model_hash: str
    classes: Sequence[LandCover]
    window: int
    overlap: int
    version: str = __version__

    def as_json(self) -> dict:
        """The fields by their names in words."""
        return {name.replace("_", " "): value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Job:
    """What it takes to compute any window of a map, here or on another machine."""

    source: str
    model: Callable
    warp: Warp
    plan: Plan
    local: bool = False  # a file of this machine


class Answer(NamedTuple):
    """What one window says about its begin..end, rows x columns: classes where it alone counts, else what to add up.

    labels   uint8 [rows, columns]; UNLABELLED where there are no data, of no meaning in the four strips
    top, bottom   probabilities times weights in the cross-overs with the windows above and below, [K, fade, columns]
    left, right   the same beside, in the rows between top and bottom, [K, rows between, fade]
    """

    labels: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    left: np.ndarray
    right: np.ndarray


def labels_of(p: np.ndarray) -> np.ndarray:
    """argmax of [K, h, w] over K, the first on a tie, [h, w] uint8; np.argmax is several times slower here."""
    best, label = p[0].copy(), np.zeros(p.shape[1:], np.uint8)
    for k in range(1, len(p)):
        np.copyto(label, k, where=p[k] > best)
        np.maximum(best, p[k], out=best)
    return label


def _answer(p: np.ndarray, valid: np.ndarray, row: Span, col: Span) -> Answer:
    """Of [K, rows, columns] and [rows, columns], what others need: a third to a half of the numbers."""
    height, width = valid.shape
    between, inner = slice(row.fade_in, height - row.fade_out), slice(col.fade_in, width - col.fade_out)
    labels = np.where(valid, np.uint8(0), np.uint8(UNLABELLED))
    own = labels[between, inner]
    np.copyto(own, labels_of(p[:, between, inner]), where=valid[between, inner])
    return Answer(
        labels,
        p[:, : row.fade_in],
        p[:, height - row.fade_out :],
        p[:, between, : col.fade_in],
        p[:, between, width - col.fade_out :],
    )


def compute_elsewhere(job: Job, spans: tuple[Span, Span]) -> Answer:
    """`compute` where nothing is open yet, with one thread: Dask runs as many of these as the machine has cores.

    ValueError, FileNotFoundError when this machine has another version of the package or does not see the same source.
    """
    if "torch" in sys.modules:  # loaded by the model, if it needs it
        sys.modules["torch"].set_num_threads(1)
    plan = job.plan
    if plan.version != __version__:
        raise ValueError(
            f"A worker runs lulc_utils {__version__}, this machine {plan.version}; install the same everywhere."
        )
    if job.local and not Path(job.source).exists():
        raise FileNotFoundError(
            f"{job.source} is on this machine, but a worker cannot see it; put it in a shared folder or under an "
            "address."
        )
    with gdal(), opened(job.source) as file, on_grid(file, job.source, job.warp, plan.bands) as view:
        if grid_of(view) != plan.grid:
            raise ValueError(f"A worker sees another {plan.source} than this machine; they must be the same.")
        # strips that are copies: only such travel without the rest of the window and without being copied again
        return Answer(*(np.ascontiguousarray(part) for part in compute(view, job, *spans)))


def compute(view: DatasetReader | WarpedVRT, job: Job, row: Span, col: Span) -> Answer:
    """Read one window, ask the model, and weigh what it says in the cross-overs.

    RuntimeError: the window cannot be read. ValueError: the model's answer does not fit.
    """
    pixels, valid = _read(view, job.plan, row, col)  # [C, h, w], [h, w]
    used = np.s_[row.begin - row.start : row.end - row.start, col.begin - col.start : col.end - col.start]
    if not valid.any():
        nothing = np.zeros((len(job.plan.classes), row.end - row.begin, col.end - col.begin), np.float32)
        return _answer(nothing, valid[used], row, col)
    if not valid.all():
        mean = pixels.mean((1, 2), where=valid, dtype=np.float64)
        pixels = np.where(valid, pixels, mean.astype(pixels.dtype)[:, None, None])
    p = _probabilities(job, pixels)  # [K, h, w]
    p = p[(slice(None), *used)].astype(np.float32)  # a copy, which is changed in place
    if not np.isfinite(p.sum()):
        raise ValueError(
            f"The model answers NaN or infinity in the window at row {row.start}, column {col.start} of "
            f"{job.plan.source}."
        )
    if row.fade_in or row.fade_out:
        p *= weights(row)[:, None]
    if col.fade_in or col.fade_out:
        p *= weights(col)
    return _answer(p, valid[used], row, col)


def _read(view: DatasetReader | WarpedVRT, plan: Plan, row: Span, col: Span) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [C, h, w] of a window, and which of them are valid, [h, w]."""
    window = Window(col.start, row.start, col.stop - col.start, row.stop - row.start)
    try:
        pixels = view.read(plan.bands, window=window)
        return pixels, measured(view, plan.bands, window, pixels)
    except RasterioError as error:
        raise RuntimeError(
            f"{plan.source} could not be read at row {row.start}, column {col.start} ({reason(error)}); run "
            "again to continue from there."
        ) from error


def _probabilities(job: Job, pixels: np.ndarray) -> np.ndarray:
    """The model's answer [K, h, w]; ValueError when it has another shape."""
    p = job.model(pixels)
    p = p.detach().cpu().numpy() if hasattr(p, "detach") else np.asarray(p)
    shape = (len(job.plan.classes), *pixels.shape[1:])
    if p.shape != shape:
        raise ValueError(
            f"The model must answer {shape[0]} classes x {shape[1]} x {shape[2]} pixels for each window of "
            f"{job.plan.source}, but its answer has the shape {p.shape}."
        )
    return p

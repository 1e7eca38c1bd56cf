"""Windows of a raster and a model's answers to them: where windows lie, how they cross over, what a model is given.

Few imports: every worker of a cluster loads this file.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window

from lulc_utils import __version__, raster
from lulc_utils.scene import UNLABELLED, LandCover

if TYPE_CHECKING:
    import torch

CACHE = 64  # MB of blocks that GDAL may keep; its default, 5 % of the machine, would look like growing memory


@dataclass(frozen=True)
class Model:
    """A function from pixels [C, h, w] to probabilities [K, h, w], and what a map should know about it.

    predict     the function; it gets the raster's own numbers, pixels without data filled with the window's mean
    name        for the map's tags
    hash        of all weights; "" when there is none, and then a killed run cannot be resumed
    classes     the K classes
    bands       names of the bands it takes, in order; None: whatever the raster has
    resolution  metres per pixel it was trained at; None: any
    """

    predict: Callable[[np.ndarray], np.ndarray | torch.Tensor] = field(repr=False)
    name: str
    hash: str = ""
    classes: tuple[LandCover, ...] = ()
    bands: tuple[str, ...] | None = None
    resolution: float | None = None

    def __call__(self, pixels: np.ndarray) -> np.ndarray | torch.Tensor:
        """Probabilities of one window."""
        return self.predict(pixels)


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
    size, last = min(window, length), max(length - window, 0)
    starts = [*range(0, last, window - overlap), last]
    # the zone lies in the middle of what two neighbours share
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
class Job:
    """What it takes to compute any window of a map, here or on another machine."""

    source: str
    model: Callable
    warp: tuple  # crs, resolution, resampling
    settings: dict
    local: bool = False  # a file of this machine


@contextmanager
def gdal() -> Iterator[None]:
    """A small cache, and no warning about images without a place on Earth: their maps have none either."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def on_grid(file, source: str, crs, resolution: float | None, resampling: str) -> Iterator:
    """The raster itself or, where another grid is asked for, a view that GDAL warps as it is read."""
    if resampling not in Resampling.__members__:
        raise ValueError(f"There is no resampling '{resampling}'; choose 'nearest', 'bilinear', 'cubic' or 'average'.")
    if crs is None and resolution is None:
        yield file
        return
    if file.crs is None:
        raise ValueError(f"{source} has no coordinate reference system, so it cannot be warped; assign one first.")
    if resolution is not None and not resolution > 0:
        raise ValueError(f"The resolution must be above 0, not {resolution}.")
    try:
        target = file.crs if crs is None else CRS.from_user_input(crs)
    except CRSError:
        raise ValueError(f"'{crs}' is no coordinate reference system; write it like EPSG:32633.") from None
    transform, width, height = calculate_default_transform(
        file.crs, target, file.width, file.height, *file.bounds, resolution=resolution
    )
    if target == file.crs and (height, width) == file.shape and transform.almost_equals(file.transform):
        yield file
        return
    masked = file.nodata is not None or ColorInterp.alpha in file.colorinterp
    grid = {"crs": target, "transform": transform, "width": width, "height": height}
    # without nodata, an alpha band tells apart what the source does not reach
    with WarpedVRT(file, **grid, resampling=Resampling[resampling], add_alpha=not masked) as view:
        yield view


def grid_of(view) -> list:
    """Size, reference system and place of the map."""
    return [view.height, view.width, view.crs and view.crs.to_wkt(), list(view.transform)[:6]]


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


def compute_elsewhere(job: Job, where: tuple[Span, Span]) -> Answer:
    """`compute` where nothing is open yet, with one thread: Dask runs as many of these as the machine has cores."""
    if "torch" in sys.modules:  # loaded by the model, if it needs it
        sys.modules["torch"].set_num_threads(1)
    if job.settings["version"] != __version__:
        raise ValueError(
            f"A worker runs lulc_utils {__version__}, this machine {job.settings['version']}; install the same "
            "everywhere."
        )
    if job.local and not Path(job.source).exists():
        raise FileNotFoundError(
            f"{job.source} is here, but a worker cannot see it; put it in a shared folder or under an address."
        )
    with gdal(), raster._open(job.source) as file, on_grid(file, job.source, *job.warp) as view:
        if grid_of(view) != job.settings["grid"]:
            raise ValueError(
                f"A worker sees another {job.settings['source']} than this machine; they must be the same."
            )
        # strips that are copies: only such travel without the rest of the window and without being copied again
        return Answer(*(np.ascontiguousarray(part) for part in compute(view, job, *where)))


def compute(view, job: Job, row: Span, col: Span) -> Answer:
    """Read one window and ask the model."""
    classes, bands = len(job.settings["classes"]), job.settings["bands"]
    where = Window(col.start, row.start, col.stop - col.start, row.stop - row.start)
    try:
        pixels = view.read(bands, window=where)  # [C, h, w]
        valid = _valid(view, bands, where, pixels)
    except RasterioError as error:
        raise RuntimeError(
            f"{job.settings['source']} could not be read at row {row.start}, column {col.start} ({error}); run again "
            "to go on from here."
        ) from error
    used = np.s_[row.begin - row.start : row.end - row.start, col.begin - col.start : col.end - col.start]
    if not valid.any():
        nothing = np.zeros((classes, row.end - row.begin, col.end - col.begin), np.float32)
        return _answer(nothing, valid[used], row, col)
    if not valid.all():
        mean = pixels.mean((1, 2), where=valid, dtype=np.float64)
        pixels = np.where(valid, pixels, mean.astype(pixels.dtype)[:, None, None])
    p = job.model(pixels)
    p = p.detach().cpu().numpy() if hasattr(p, "detach") else np.asarray(p)
    if p.shape != (classes, *valid.shape):
        raise ValueError(
            f"The model must answer {classes} classes x {valid.shape[0]} x {valid.shape[1]} pixels, but its answer has "
            f"the shape {p.shape}."
        )
    p = p[(slice(None), *used)].astype(np.float32)  # a copy, which is changed in place
    if not np.isfinite(p.sum()):
        raise ValueError(f"The model answers NaN or infinity in the window at row {row.start}, column {col.start}.")
    if row.fade_in or row.fade_out:
        p *= weights(row)[:, None]
    if col.fade_in or col.fade_out:
        p *= weights(col)
    return _answer(p, valid[used], row, col)


def _valid(view, bands, where: Window, pixels: np.ndarray) -> np.ndarray:
    """[h, w] bool: every band measured, by nodata, alpha, mask file or NaN."""
    if all(MaskFlags.all_valid in view.mask_flag_enums[b - 1] for b in bands):
        valid = np.ones(pixels.shape[1:], bool)
    else:
        valid = (view.read_masks(bands, window=where) > 0).all(0)
    return valid & np.isfinite(pixels).all(0) if pixels.dtype.kind == "f" else valid

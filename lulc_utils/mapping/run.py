"""A whole raster becomes a map: window by window, put together where windows cross over, row by row into the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from tqdm import tqdm

from lulc_utils.files import check_target
from lulc_utils.mapping import inputs, map_file, scale, worker
from lulc_utils.mapping.inputs import Warp
from lulc_utils.mapping.map_file import Done
from lulc_utils.mapping.models import Model, checked_classes
from lulc_utils.mapping.worker import Answer, Job, Plan, Span, spans
from lulc_utils.reading import opened
from lulc_utils.scene import UNLABELLED, LandCover

if TYPE_CHECKING:
    from distributed import Client

Answers = Callable[[Iterable[tuple[Span, Span]]], Iterator[Answer]]


def map_raster(
    source: str | Path,
    model: Model | Callable,
    out: str | Path,
    *,
    classes: Sequence[LandCover] | None = None,
    window: int = 512,
    overlap: int = 64,
    bands: Sequence[str | int] | None = None,
    resume: bool = True,
    progress: bool = True,
    command: str | None = None,
    scheduler: str | Client | None = None,
    **warp: str | CRS | float | None,
) -> Path:
    """Map a whole raster with a model and write the classes as a Cloud-Optimized GeoTIFF; returns its path.

    source      the raster: anything rasterio opens, a file, a URL, a VRT
    model       pixels [C, h, w] -> probabilities [K, h, w] (any numbers of which the largest wins); a `Model`, or
                a function, which may have attributes of the same names
    classes     the K classes; those of the model when None. 255 is nodata.
    window      side of the windows in pixels; a multiple of the patch size suits a ViT best
    overlap     pixels in which neighbors cross over, at most a third of the window
    bands       names, or numbers from 1; None: those the model names, else all but an alpha band
    resume      continue where an earlier run stopped; False: start again. A model without a hash always starts again.
    command     what to note as the command; by default this call
    scheduler   None: compute here; a Dask scheduler's address or a dask.distributed.Client: its workers compute, with
                one thread per task. They must see the raster under the same path or address, and have lulc_utils.
                `scale.local(n)` starts n workers on this machine.
    warp        crs=, resolution= and resampling= as for `Warp`: the map is on another grid than the raster

    Pixels in which a band is nodata, masked or NaN are nodata in the map. An existing map is replaced only by a
    complete one. The result is the same whether or not the run was interrupted, if the model's is. After an error
    nothing stays behind unless a whole row of windows is done.

    ValueError: the raster is unreadable or empty, lacks bands, has another resolution than the model; the model's
    answer does not fit; `out` is no file; other settings or another raster than the unfinished run that is to be
    resumed. FileNotFoundError: no such raster or no folder for the map. RuntimeError, OSError: the raster cannot be
    read on or the map not be written (a later run continues), or another run is writing the same map.
    """
    source, out, warped = str(source), Path(out), Warp(**warp)
    check_out(out, source)
    classes = checked_classes(classes or getattr(model, "classes", None))
    with inputs.gdal(), map_file.alone(out), opened(source) as file:
        bands = inputs.band_numbers(file, source, bands, getattr(model, "bands", None))
        inputs.check_resolution(file, source, warped, getattr(model, "resolution", None))
        with inputs.on_grid(file, source, warped, bands) as view:
            plan = _plan(file, view, source, model, (warped.resampling, bands, classes, window, overlap))
            note = command or f"map_raster({source!r}, {plan.model}, {out.name!r}, {window=}, {overlap=})"
            rows, cols = spans(view.height, window, overlap), spans(view.width, window, overlap)
            with _answers(view, Job(source, model, warped, plan), scheduler) as answers:
                done = map_file.unfinished(out, plan) if resume else None
                done = done or map_file.begin(out, view, plan, file.tags(), inputs.without_secrets(note))
                mapped = _fill_part(out, plan, rows, cols, done, answers, progress)
        if mapped == 0:
            map_file.remove_unfinished(out)
            raise ValueError(f"{source} holds only nodata; there is nothing to map.")
        map_file.finish(out)
    return out


def check_out(out: Path, source: str) -> None:
    """ValueError, FileNotFoundError unless a map of `source` may be written to `out`."""
    if not out.parent.is_dir():
        raise FileNotFoundError(f"The folder {out.parent} does not exist; create it before mapping to {out.name}.")
    check_target(out)
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise ValueError(f"The map would replace its own source {source}; choose another name.")


def _plan(file: DatasetReader, view: DatasetReader | WarpedVRT, source: str, model: Callable, settings: tuple) -> Plan:
    """All that the map depends on. settings: the rest of `Plan`, from `resampling` to `overlap`."""
    resampling, bands, classes, window, overlap = settings
    return Plan(
        source=inputs.without_secrets(source),
        content_of_the_source=inputs.fingerprint(file, source),
        grid=inputs.grid_of(view),
        resampling=resampling,
        bands=bands,
        model=getattr(model, "name", None) or getattr(model, "__name__", "a model without a name"),
        model_hash=getattr(model, "hash", ""),
        classes=classes,
        window=window,
        overlap=overlap,
    )


@contextmanager
def _answers(view: DatasetReader | WarpedVRT, job: Job, scheduler: str | Client | None) -> Iterator[Answers]:
    """A function [(row, col)] -> results of `worker.compute` in that order, computed here or on a cluster."""
    if scheduler is None:
        yield lambda todo: (worker.compute(view, job, row, col) for row, col in todo)
        return
    if Path(job.source).exists():  # workers have other working folders
        job = replace(job, source=str(Path(job.source).resolve()), local=True)
    with scale.client(scheduler) as client:
        yield lambda todo: scale.in_order(client, worker.compute_elsewhere, job, todo)


def _fill_part(
    out: Path, plan: Plan, rows: list[Span], cols: list[Span], done: Done, answers: Answers, progress: bool
) -> int:
    """Compute the rows of windows that are not done, write what is final of each; returns the pixels with a class."""
    # share of the rows that need the windows below, too
    wait = np.zeros((len(plan.classes), plan.overlap, cols[-1].end), np.float32)  # [K, overlap, columns]
    # rows that waited died with the earlier run: compute them again from the row of windows above
    todo = range(max(done.windows - 1, 0) if plan.overlap else done.windows, len(rows))
    windows = ((rows[i], col) for i in todo for col in cols)
    total, first = len(rows) * len(cols), done.windows
    bar = tqdm(total=total, initial=first * len(cols), desc=out.name, unit="window", disable=not progress)
    with bar, closing(answers(windows)) as in_turn:
        for i in todo:
            labels = _window_row(in_turn, rows[i], cols, wait, bar if i >= first else None)
            if i < first:
                continue
            map_file.write_rows(out, rows[i].begin, labels)
            mapped = done.mapped + int((labels != UNLABELLED).sum())
            done = Done(i + 1, rows[i].begin + len(labels), mapped)
            map_file.write_state(out, plan, done)
    return done.mapped


def _window_row(
    answers: Iterator[Answer], row: Span, cols: list[Span], wait: np.ndarray, bar: tqdm | None
) -> np.ndarray:
    """Labels of the rows that one row of windows completes, [rows, columns] uint8.

    wait [K, overlap, columns]: in, the share of the windows above; out, what waits for the windows below.
    """
    final = row.end - row.begin - row.fade_out  # rows
    labels = np.empty((final, cols[-1].end), np.uint8)
    pending = None  # right ends of top, rows between and bottom: what waits for the window to the right
    for col, answer in zip(cols, answers, strict=False):
        top, bottom = answer.top, answer.bottom  # [K, fade, columns]
        if col.fade_in:
            # the cross-over with the window to the left, all of its height: both shares added up
            own = top[:, :, : col.fade_in], answer.left, bottom[:, :, : col.fade_in]
            for share, from_left in zip(own, pending, strict=True):
                share += from_left
        width = col.end - col.begin - col.fade_out  # columns that no window to the right will change
        pending = top[:, :, width:], answer.right, bottom[:, :, width:]
        place = slice(col.begin, col.begin + width)
        # where this window counts alone it has decided itself; the two cross-overs are decided now
        labels[:, place] = answer.labels[:final, :width]
        _decide(labels[row.fade_in :, col.begin : col.begin + col.fade_in], answer.left)
        if row.fade_in:
            top = top[:, :, :width]
            top += wait[:, :, place]
            _decide(labels[: row.fade_in, place], top)
        if row.fade_out:
            wait[:, :, place] = bottom[:, :, :width]
        if bar is not None:
            bar.update()
    return labels


def _decide(labels: np.ndarray, p: np.ndarray) -> None:
    """Set the labels [h, w] of a cross-over, whose shares [K, h, w] are complete; nodata stays."""
    np.copyto(labels, worker.labels_of(p), where=labels != UNLABELLED)

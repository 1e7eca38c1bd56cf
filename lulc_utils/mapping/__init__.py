"""From a model to a map: a raster of any size, window by window, into a Cloud-Optimized GeoTIFF.

A *model* is a function: pixels [C, h, w] in, class probabilities [K, h, w] out (windows.py). The raster is read in
windows that overlap. Near the edge of a window a model sees less of the surroundings, so there it counts less and its
neighbour counts more: the weights of two neighbours cross over in a zone `overlap` pixels wide and always sum to 1.

Memory does not grow with the number of rows: one window at a time is in memory, plus the probabilities of the
`overlap` rows that still wait for the windows below, K * overlap * columns * 4 bytes.

Nothing is lost when the process dies: the next run with the same settings computes only what is missing (map_file.py).
With `scheduler` the windows are computed by the workers of a Dask cluster, and only put together here (scale.py).

    python -m lulc_utils.mapping SOURCE.tif MAP.tif --model MODEL.safetensors
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.windows import Window
from tqdm import tqdm

from lulc_utils import __version__, raster
from lulc_utils.mapping import map_file, scale
from lulc_utils.mapping import worker as windows
from lulc_utils.mapping.models import checked_classes, load_model, pixel_model, save_model, stego_model
from lulc_utils.mapping.worker import Job, Model, Span, spans, weights
from lulc_utils.scene import UNLABELLED, LandCover

__all__ = [
    "Model",
    "Span",
    "load_model",
    "main",
    "map_raster",
    "pixel_model",
    "save_model",
    "spans",
    "stego_model",
    "weights",
]


# -------------------------------------------------------------------------------------------------------- the map


def map_raster(
    source: str | Path,
    model: Model | Callable,
    out: str | Path,
    *,
    classes: Sequence[LandCover] | None = None,
    window: int = 512,
    overlap: int = 64,
    bands: Sequence[str | int] | None = None,
    crs: str | CRS | None = None,
    resolution: float | None = None,
    resampling: str = "bilinear",
    resume: bool = True,
    progress: bool = True,
    command: str | None = None,
    scheduler=None,
) -> Path:
    """Map a whole raster with a model and write the classes as a Cloud-Optimized GeoTIFF; returns its path.

    source      anything rasterio opens: a file, a URL, a VRT
    model       pixels [C, h, w] -> probabilities [K, h, w] (any numbers of which the largest wins); a `Model`, or
                a function, which may have attributes of the same names
    classes     the K classes; those of the model when None. 255 is nodata.
    window      side of the windows in pixels; a multiple of the patch size suits a ViT best
    overlap     pixels in which neighbours cross over, at most a third of the window
    bands       names, or numbers from 1; None: those the model names, else all but an alpha band
    crs, resolution    warp the source to this reference system and pixel size (in its units) first, by GDAL's
                WarpedVRT with `resampling` (a name of rasterio.enums.Resampling); the map is on the new grid
    resume      go on where an earlier run stopped; False: start again. A model without a hash starts again always.
    command     what to note as the command; by default this call
    scheduler   None: compute here; a Dask scheduler's address or a dask.distributed.Client: its workers compute, with
                one thread per task. They must see the source under the same path or address, and have lulc_utils.
                `scale.local(n)` starts n workers on this machine.

    Pixels in which a band is nodata, masked or NaN are nodata in the map. An existing map is replaced only by a
    complete one. The result is the same whether or not the run was interrupted, if the model's is.

    ValueError: the source is unreadable or empty, lacks bands, has another resolution than the model; the model's
    answer does not fit; other settings or another source than the unfinished run that is to be resumed.
    FileNotFoundError: no such source or no folder for the map. RuntimeError: the source cannot be read on or the map
    not be written (a later run goes on), or another run is writing the same map.
    """
    out, source = Path(out), str(source)
    classes = checked_classes(classes or getattr(model, "classes", None))
    _check_out(out, source)
    with windows.gdal(), map_file.alone(out), raster._open(source) as file:
        bands = _band_numbers(file, source, bands, getattr(model, "bands", None))
        _check_resolution(file, source, resolution, getattr(model, "resolution", None))
        with windows.on_grid(file, source, crs, resolution, resampling) as view:
            settings = {
                "source": _without_secrets(source),
                "content of the source": _fingerprint(file, source),
                "grid": windows.grid_of(view),
                "resampling": resampling,
                "bands": bands,
                "model": getattr(model, "name", None) or getattr(model, "__name__", "a model without a name"),
                "model hash": getattr(model, "hash", ""),
                "classes": [list(c) for c in classes],
                "window": window,
                "overlap": overlap,
                "version": __version__,
            }
            rows, cols = spans(view.height, window, overlap), spans(view.width, window, overlap)
            job = Job(source, model, (crs, resolution, resampling), settings)
            with _answers(view, job, scheduler) as answers:
                done = map_file.unfinished(out, settings) if resume else None
                if done is None:
                    called = f"map_raster({source!r}, {settings['model']}, {out.name!r}, {window=}, {overlap=})"
                    note = _without_secrets(command or called)
                    done = map_file.begin(out, view, file, settings, classes, note)
                mapped = _fill_part(out, settings, rows, cols, done, answers, progress)
        if mapped == 0:
            map_file.remove_unfinished(out)
            raise ValueError(f"{source} holds only nodata; there is nothing to map.")
        map_file.finish(out)
    return out


@contextmanager
def _answers(view, job: Job, scheduler) -> Iterator[Callable[[Iterable], Iterator]]:
    """A function [(row, col)] -> results of `windows.compute` in that order, computed here or on a cluster."""
    if scheduler is None:
        yield lambda todo: (windows.compute(view, job, *where) for where in todo)
        return
    if Path(job.source).exists():  # workers have other working folders
        job = replace(job, source=str(Path(job.source).resolve()), local=True)
    with scale.client(scheduler) as client:
        yield lambda todo: scale.in_order(client, windows.compute_elsewhere, job, todo)


def _fill_part(out, settings, rows, cols, done: dict, answers: Callable, progress: bool) -> int:
    """Compute the rows of windows that are not done, write what is final of each; returns the pixels with a class."""
    classes, overlap, width = len(settings["classes"]), settings["overlap"], cols[-1].end
    wait = np.zeros((classes, overlap, width), np.float32)  # rows that need the windows below, too
    first, mapped = done["windows"], done["mapped"]
    # rows that waited died with the earlier run: compute them again from the row of windows above
    todo = range(max(first - 1, 0) if overlap else first, len(rows))
    total = len(rows) * len(cols)
    bar = tqdm(total=total, initial=first * len(cols), desc=out.name, unit="window", disable=not progress)
    with bar, closing(answers((rows[i], col) for i in todo for col in cols)) as found:
        for i in todo:
            labels = _window_row(found, rows[i], cols, wait, bar if i >= first else None)
            if i < first:
                continue
            mapped += int((labels != UNLABELLED).sum())
            map_file.write_rows(out, rows[i].begin, labels)
            now = {"windows": i + 1, "rows": rows[i].begin + len(labels), "mapped": mapped}
            map_file.write_state(out, settings, now)
    return mapped


def _window_row(found: Iterator, row: Span, cols: list[Span], wait: np.ndarray, bar) -> np.ndarray:
    """Labels of the rows that one row of windows completes, [rows, columns] uint8.

    wait [K, overlap, columns]: in, the share of the windows above; out, what waits for the windows below.
    """
    final = row.end - row.begin - row.fade_out  # rows
    labels = np.empty((final, cols[-1].end), np.uint8)
    beside = None  # right ends of top, rows between and bottom: what waits for the window to the right
    for col, answer in zip(cols, found, strict=False):
        top, bottom = answer.top, answer.bottom
        if col.fade_in:
            mine = top[:, :, : col.fade_in], answer.left, bottom[:, :, : col.fade_in]
            for share, from_left in zip(mine, beside, strict=True):
                share += from_left
        width = col.end - col.begin - col.fade_out
        beside = top[:, :, width:], answer.right, bottom[:, :, width:]
        here = slice(col.begin, col.begin + width)
        labels[:, here] = answer.labels[:final, :width]
        _decide(labels[row.fade_in :, col.begin : col.begin + col.fade_in], answer.left)
        if row.fade_in:
            top = top[:, :, :width]
            top += wait[:, :, here]
            _decide(labels[: row.fade_in, here], top)
        if row.fade_out:
            wait[:, :, here] = bottom[:, :, :width]
        if bar is not None:
            bar.update()
    return labels


def _decide(labels: np.ndarray, p: np.ndarray) -> None:
    """Set the labels [h, w] of a cross-over, whose shares [K, h, w] are complete; nodata stays."""
    np.copyto(labels, windows.labels_of(p), where=labels != UNLABELLED)


# -------------------------------------------------------------------------------------------------- what is asked


def _check_out(out: Path, source: str) -> None:
    if not out.parent.is_dir():
        raise FileNotFoundError(f"The folder {out.parent} does not exist; create it before mapping to {out.name}.")
    if out.is_dir():
        raise ValueError(f"{out} is a folder; give the map a file name.")
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise ValueError(f"The map would replace its own source {source}; choose another name.")


def _band_numbers(file, source: str, asked, wanted) -> list[int]:
    """GDAL's numbers, from 1, of the bands to read."""
    kinds = [c.name for c in file.colorinterp]
    alpha = [i for i, kind in enumerate(file.colorinterp, 1) if kind == ColorInterp.alpha]
    plain = [i for i in range(1, file.count + 1) if i not in alpha]
    names = [
        d or (kind if kind in ("red", "green", "blue") else f"band {i}")
        for i, (d, kind) in enumerate(zip(file.descriptions, kinds, strict=True), 1)
    ]
    chosen = plain
    if asked is not None or wanted is not None:
        asked = list(wanted if asked is None else asked)
        missing = [str(b) for b in asked if b not in names and not (isinstance(b, int) and 1 <= b <= file.count)]
        nameless = not any(file.descriptions) and not {"red", "green", "blue"} & set(kinds)
        if missing and not (nameless and asked == list(wanted or ()) and len(plain) == len(asked)):
            raise ValueError(
                f"{source} has no band {', '.join(missing)}; it has {', '.join(names)}. Choose with bands=..., by name "
                "or by number from 1."
            )
        chosen = plain if missing else [b if isinstance(b, int) else names.index(b) + 1 for b in asked]
    if not chosen or (wanted is not None and len(chosen) != len(wanted)):
        raise ValueError(f"The model takes the bands {', '.join(wanted or ())}, but {len(chosen)} bands were chosen.")
    if np.dtype(file.dtypes[chosen[0] - 1]).kind not in "uif":
        raise ValueError(f"{source} holds {file.dtypes[chosen[0] - 1]} numbers; only real numbers can be mapped.")
    return chosen


def _check_resolution(file, source: str, asked: float | None, wanted: float | None) -> None:
    """A model trained at 0.5 m sees nothing it knows at 10 m."""
    if asked is not None or wanted is None or file.crs is None or not file.crs.is_projected:
        return
    have = abs(file.res[0]) * file.crs.linear_units_factor[1]
    if not 0.8 <= have / wanted <= 1.25:
        raise ValueError(
            f"{source} has pixels of {have:g} m, but the model was trained at {wanted:g} m; pass resolution={wanted:g} "
            "to warp it, or another resolution to insist."
        )


def _fingerprint(file, source: str) -> str:
    """Hash of the size and time of a local file, of the grid, and of pixels at the corners and in the middle."""
    digest = hashlib.sha256(repr((file.shape, file.dtypes, file.crs, tuple(file.transform), file.nodatavals)).encode())
    if Path(source).is_file():
        stat = Path(source).stat()
        digest.update(repr((stat.st_size, stat.st_mtime_ns)).encode())
    h, w = min(16, file.height), min(16, file.width)
    bottom, right = file.height - h, file.width - w
    for row, col in ((0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)):
        digest.update(file.read(window=Window(col, row, w, h)).tobytes())
    return digest.hexdigest()


def _without_secrets(text: str) -> str:
    """Addresses without user names, passwords and signed parameters: maps are passed on."""
    text = re.sub(r"(?<=://)[^/@\s]*@", "", text)
    return re.sub(r"(https?://[^\s?'\"]*)\?[^\s'\"]*", r"\1", text)


# --------------------------------------------------------------------------------------------------- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0, or 1 after one sentence on what is wrong."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        "python -m lulc_utils.mapping", description="Map a raster with a saved model into a Cloud-Optimized GeoTIFF."
    )
    parser.add_argument("source", help="raster to map: a file, URL or VRT")
    parser.add_argument("out", help="the map to write (.tif)")
    parser.add_argument("--model", required=True, help="file written by lulc_utils.mapping.save_model")
    parser.add_argument("--backbone-weights", help="file with the backbone's weights (default: shipped or the hub's)")
    parser.add_argument("--window", type=int, default=512, help="side of the windows, pixels (%(default)s)")
    parser.add_argument("--overlap", type=int, default=64, help="pixels in which windows cross over (%(default)s)")
    parser.add_argument("--bands", help="bands to read, names or numbers with commas (default: the model's)")
    parser.add_argument("--crs", help="warp to this reference system first, such as EPSG:32633")
    parser.add_argument("--resolution", type=float, help="warp to this pixel size first, in units of the CRS")
    parser.add_argument("--resampling", default="bilinear", help="how to warp (%(default)s)")
    parser.add_argument("--crf", action="store_true", help="sharpen along the edges of the image; much slower")
    parser.add_argument("--scheduler", help="address of a Dask scheduler whose workers compute")
    parser.add_argument("--workers", type=int, help="compute with so many processes on this machine (needs Dask)")
    parser.add_argument("--device", default="cpu", help="where the networks run: cpu or cuda (%(default)s)")
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="go on where an earlier run stopped"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    a = parser.parse_args(arguments)
    bands = a.bands and [int(b) if b.strip().isdigit() else b.strip() for b in a.bands.split(",")]
    if a.scheduler and a.workers:
        parser.error("choose --scheduler or --workers")
    try:
        model = load_model(a.model, crf=a.crf, backbone_weights=a.backbone_weights, device=a.device)
        with scale.local(a.workers) if a.workers is not None else nullcontext(a.scheduler) as scheduler:
            map_raster(
                a.source, model, a.out, window=a.window, overlap=a.overlap, bands=bands, crs=a.crs,
                resolution=a.resolution, resampling=a.resampling, resume=a.resume, progress=not a.quiet,
                command=shlex.join(["python", "-m", "lulc_utils.mapping", *arguments]), scheduler=scheduler,
            )  # fmt: skip
    except (ValueError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0

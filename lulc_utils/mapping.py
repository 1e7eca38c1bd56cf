"""From a model to a map: a raster of any size, window by window, into a Cloud-Optimized GeoTIFF.

A *model* is a function: pixels [C, h, w] in, class probabilities [K, h, w] out. The raster is read in windows that
overlap. Near the edge of a window a model sees less of the surroundings, so there it counts less and its neighbour
counts more: the weights of two neighbours cross over in a zone `overlap` pixels wide and always sum to 1.

Memory does not grow with the number of rows: one window at a time is in memory, plus the probabilities of the
`overlap` rows that still wait for the windows below, K * overlap * columns * 4 bytes.

Nothing is lost when the process dies. Finished rows go into `OUT.part`, an uncompressed GeoTIFF whose layout never
changes; `OUT.state.json` says how many rows are done and everything that they depend on. The next run with the same
settings computes only what is missing. OUT itself appears when it is complete.

    python -m lulc_utils.mapping SOURCE.tif MAP.tif --model MODEL.safetensors
"""

from __future__ import annotations

import argparse
import datetime
import glob
import hashlib
import json
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

import joblib
import numpy as np
import rasterio
import rasterio.shutil
import torch
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window
from safetensors.torch import save_file
from sklearn.base import BaseEstimator
from tqdm import tqdm

from lulc_utils import __version__, raster
from lulc_utils import backbone as vits
from lulc_utils.crf import dense_crf
from lulc_utils.scene import UNLABELLED, LandCover
from lulc_utils.stego import Head, Stego, cluster_pixels

CACHE = 64  # MB of blocks that GDAL may keep; its default, 5 % of the machine, would look like growing memory
BLOCK = 512  # side of the tiles of the map, pixels
FORMAT = "lulc-utils STEGO map 1"


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


def _labels(p: np.ndarray) -> np.ndarray:
    """argmax of [K, h, w] over K, the first on a tie, [h, w] uint8; np.argmax is several times slower here."""
    best, label = p[0].copy(), np.zeros(p.shape[1:], np.uint8)
    for k in range(1, len(p)):
        np.copyto(label, k, where=p[k] > best)
        np.maximum(best, p[k], out=best)
    return label


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

    Pixels in which a band is nodata, masked or NaN are nodata in the map. An existing map is replaced only by a
    complete one. The result is the same whether or not the run was interrupted, if the model's is.

    ValueError: the source is unreadable or empty, lacks bands, has another resolution than the model; the model's
    answer does not fit; other settings or another source than the unfinished run that is to be resumed.
    FileNotFoundError: no such source or no folder for the map. RuntimeError: the source cannot be read on or the map
    not be written (a later run goes on), or another run is writing the same map.
    """
    out, source = Path(out), str(source)
    classes = _checked_classes(classes or getattr(model, "classes", None))
    _check_out(out, source)
    with _gdal(), _alone(out), raster._open(source) as file:
        bands = _band_numbers(file, source, bands, getattr(model, "bands", None))
        _check_resolution(file, source, resolution, getattr(model, "resolution", None))
        with _on_grid(file, source, crs, resolution, resampling) as view:
            settings = {
                "source": _without_secrets(source),
                "content of the source": _fingerprint(file, source),
                "grid": [view.height, view.width, view.crs and view.crs.to_wkt(), list(view.transform)[:6]],
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
            done = _unfinished(out, settings) if resume else None
            if done is None:
                called = f"map_raster({source!r}, {settings['model']}, {out.name!r}, {window=}, {overlap=})"
                done = _begin(out, view, file, settings, classes, _without_secrets(command or called))
            mapped = _fill_part(out, view, model, settings, rows, cols, done, progress)
        if mapped == 0:
            _remove_unfinished(out)
            raise ValueError(f"{source} holds only nodata; there is nothing to map.")
        _finish(out)
    return out


@contextmanager
def _gdal() -> Iterator[None]:
    """A small cache, and no warning about images without a place on Earth: their maps have none either."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _fill_part(out, view, model, settings, rows, cols, done: dict, progress: bool) -> int:
    """Compute the rows of windows that are not done, write what is final of each; returns the pixels with a class."""
    classes, overlap = len(settings["classes"]), settings["overlap"]
    wait = np.zeros((classes, overlap, view.width), np.float32)  # rows that need the windows below, too
    first, mapped = done["windows"], done["mapped"]
    bar = tqdm(
        total=len(rows) * len(cols), initial=first * len(cols), desc=out.name, unit="window", disable=not progress
    )
    with bar:
        # rows that waited died with the earlier run: compute them again from the row of windows above
        for i in range(max(first - 1, 0) if overlap else first, len(rows)):
            labels = _window_row(view, model, settings, rows[i], cols, wait, bar if i >= first else None)
            if i < first:
                continue
            mapped += int((labels != UNLABELLED).sum())
            _write_rows(out, rows[i].begin, labels)
            _write_state(out, settings, {"windows": i + 1, "rows": rows[i].begin + len(labels), "mapped": mapped})
    return mapped


def _window_row(view, model, settings, row: Span, cols: list[Span], wait: np.ndarray, bar) -> np.ndarray:
    """Labels of the rows that one row of windows completes, [rows, columns] uint8.

    wait [K, overlap, columns]: in, the share of the windows above; out, what waits for the windows below.
    """
    final = row.end - row.begin - row.fade_out  # rows
    labels = np.full((final, view.width), UNLABELLED, np.uint8)
    down, beside = weights(row), None  # beside [K, rows, overlap]: what waits for the window to the right
    for col in cols:
        p, valid = _window(view, model, settings, row, col)  # of begin..end of both axes
        if row.fade_in or row.fade_out:
            p *= down[:, None]
        if col.fade_in or col.fade_out:
            p *= weights(col)
        if col.fade_in:
            p[:, :, : col.fade_in] += beside
        width = col.end - col.begin - col.fade_out
        beside = p[:, :, width:].copy()
        p, here = p[:, :, :width], slice(col.begin, col.begin + width)
        if row.fade_in:
            p[:, : row.fade_in] += wait[:, :, here]
        labels[:, here] = np.where(valid[:final, :width], _labels(p[:, :final]), UNLABELLED)
        if row.fade_out:
            wait[:, :, here] = p[:, final:]
        if bar is not None:
            bar.update()
    return labels


def _window(view, model, settings, row: Span, col: Span) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities [K, rows, cols] float32, valid [rows, cols] bool) of the part of a window that counts."""
    classes, bands = len(settings["classes"]), settings["bands"]
    where = Window(col.start, row.start, col.stop - col.start, row.stop - row.start)
    try:
        pixels = view.read(bands, window=where)  # [C, h, w]
        valid = _valid(view, bands, where, pixels)
    except RasterioError as error:
        raise RuntimeError(
            f"{settings['source']} could not be read at row {row.start}, column {col.start} ({error}); run again to "
            "go on from here."
        ) from error
    used = np.s_[row.begin - row.start : row.end - row.start, col.begin - col.start : col.end - col.start]
    if not valid.any():
        return np.zeros((classes, row.end - row.begin, col.end - col.begin), np.float32), valid[used]
    if not valid.all():
        mean = pixels.mean((1, 2), where=valid, dtype=np.float64)
        pixels = np.where(valid, pixels, mean.astype(pixels.dtype)[:, None, None])
    p = model(pixels)
    p = p.detach().cpu().numpy() if isinstance(p, torch.Tensor) else np.asarray(p)
    if p.shape != (classes, *valid.shape):
        raise ValueError(
            f"The model must answer {classes} classes x {valid.shape[0]} x {valid.shape[1]} pixels, but its answer has "
            f"the shape {p.shape}."
        )
    p = p[(slice(None), *used)].astype(np.float32)  # a copy, which is changed in place later
    if not np.isfinite(p.sum()):
        raise ValueError(f"The model answers NaN or infinity in the window at row {row.start}, column {col.start}.")
    return p, valid[used]


def _valid(view, bands, where: Window, pixels: np.ndarray) -> np.ndarray:
    """[h, w] bool: every band measured, by nodata, alpha, mask file or NaN."""
    if all(MaskFlags.all_valid in view.mask_flag_enums[b - 1] for b in bands):
        valid = np.ones(pixels.shape[1:], bool)
    else:
        valid = (view.read_masks(bands, window=where) > 0).all(0)
    return valid & np.isfinite(pixels).all(0) if pixels.dtype.kind == "f" else valid


# -------------------------------------------------------------------------------------------------- what is asked


def _checked_classes(classes: Sequence[LandCover] | None) -> tuple[LandCover, ...]:
    if not classes or len(classes) > UNLABELLED:
        raise ValueError(f"A map needs 1 to {UNLABELLED} classes (name and colour); pass classes=... in model order.")
    classes = tuple(LandCover(*c) for c in classes)
    bad = [c for c in classes if not re.fullmatch("#[0-9a-fA-F]{6}", c.color)]
    if bad:
        raise ValueError(f"The colour of class '{bad[0].name}' must look like #1f77b4, not {bad[0].color}.")
    return classes


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


@contextmanager
def _on_grid(file, source: str, crs, resolution: float | None, resampling: str) -> Iterator:
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


# ----------------------------------------------------------------------------------------- the unfinished map


def _part(out: Path) -> Path:
    return out.with_name(out.name + ".part")


def _state(out: Path) -> Path:
    return out.with_name(out.name + ".state.json")


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """No second run writes the same map meanwhile; the system lets go of the lock of a process that was killed."""
    if fcntl is None:
        yield
        return
    path = out.with_name(out.name + ".lock")
    with _written(out):
        file = path.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
        except BlockingIOError:
            held = False
        if not held:  # or the other run has just removed it
            raise RuntimeError(f"Another run is writing {out}; wait for it or choose another name.")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _unfinished(out: Path, settings: dict) -> dict | None:
    """What an earlier run has done, None when there is nothing to go on with; ValueError when it was another run."""
    if not settings["model hash"] or not _state(out).exists() or not _part(out).exists():
        return None
    state = json.loads(_state(out).read_text())
    for key, now in json.loads(json.dumps(settings)).items():
        if (then := state["settings"].get(key)) != now:
            values = f" ({then}, now {now})" if key in ("window", "overlap", "bands", "model", "resampling") else ""
            raise ValueError(
                f"The unfinished {out.name} cannot be resumed, because '{key}' is not what it was{values}; start again "
                "with resume=False (--no-resume)."
            )
    return state["done"]


def _begin(out: Path, view, file, settings: dict, classes: tuple[LandCover, ...], command: str) -> dict:
    """Create the part with everything but its pixels, and the state: no row is done."""
    _state(out).unlink(missing_ok=True)  # first: an old state must never describe a new part
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": UNLABELLED, "bigtiff": "if_safer"}
    profile |= {"height": view.height, "width": view.width, "crs": view.crs}
    profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    if not view.transform.is_identity:
        profile["transform"] = view.transform
    about = json.loads(file.tags().get(raster.TAG, "{}"))
    origin = about.get("source", Path(settings["source"]).name)  # "simulated ..." stays in front
    about |= {"name": out.stem, "source": f"{origin}, mapped by {settings['model']}", "classes": settings["classes"]}
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    with _written(out):
        with rasterio.open(_part(out), "w", **profile) as part:
            part.write_colormap(1, {i: raster._rgba(c.color) for i, c in enumerate(classes)})
            part.descriptions = ("land cover",)
            part.update_tags(
                **{raster.TAG: json.dumps(about)},
                LULC_MODEL=settings["model"],
                LULC_MODEL_HASH=settings["model hash"] or "unknown",
                LULC_DATE=now,
                LULC_COMMAND=command,
                LULC_SOURCE=settings["source"],
                LULC_WINDOW=f"{settings['window']} pixels, overlap {settings['overlap']}",
                TIFFTAG_SOFTWARE=f"lulc_utils {__version__}",
            )
            part.update_tags(1, **{f"CLASS_{i}": c.name for i, c in enumerate(classes)})
        if _part(out).stat().st_size < view.height * view.width:  # GDAL does not say so
            raise OSError("no space for all pixels")
    done = {"windows": 0, "rows": 0, "mapped": 0}
    _write_state(out, settings, done)
    return done


@contextmanager
def _written(out: Path) -> Iterator[None]:
    """What goes wrong while writing, in one sentence."""
    try:
        yield
    except (RasterioError, OSError) as error:
        raise RuntimeError(
            f"{out} could not be written ({error}); make room or choose another folder, then run again."
        ) from error


def _write_rows(out: Path, row: int, labels: np.ndarray) -> None:
    """Into blocks that exist already, so that a kill at any moment leaves a readable file."""
    with _written(out):
        with rasterio.open(_part(out), "r+") as file:
            file.write(labels, 1, window=Window(0, row, labels.shape[1], len(labels)))
        with _part(out).open("rb+") as file:
            os.fsync(file.fileno())


def _write_state(out: Path, settings: dict, done: dict) -> None:
    new = _state(out).with_name(_state(out).name + ".part")
    with _written(out), new.open("w") as file:
        json.dump({"settings": settings, "done": done}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, _state(out))


def _finish(out: Path) -> None:
    """The complete part as a COG under its final name; what the run needed is removed."""
    cog = out.with_name(out.name + ".cog.part")
    options = {"compress": "deflate", "blocksize": BLOCK, "overview_resampling": "mode", "bigtiff": "if_safer"}
    try:
        with _written(out):
            rasterio.shutil.copy(_part(out), cog, driver="COG", **options)
            with rasterio.open(_part(out)) as part, rasterio.open(cog) as copy:
                if part.checksum(1) != copy.checksum(1):  # a full disk is not always reported
                    raise OSError("the copy differs")
            os.replace(cog, out)
    finally:
        for left in glob.glob(f"{glob.escape(str(cog))}*"):  # GDAL writes overviews beside it
            os.unlink(left)
    _remove_unfinished(out)


def _remove_unfinished(out: Path) -> None:
    _state(out).unlink(missing_ok=True)  # first: no state without its part
    _part(out).unlink(missing_ok=True)


# --------------------------------------------------------------------------------------------------------- models


def pixel_model(
    pipeline: BaseEstimator,
    classes: Sequence[LandCover],
    *,
    name: str = "pixel classifier",
    bands: Sequence[str] | None = None,
    resolution: float | None = None,
) -> Model:
    """A fitted scikit-learn classifier of single pixels, [n, C] -> labels 0..K-1, as a model.

    Without `predict_proba` the answer counts as certain. ValueError when it knows labels beyond the classes.
    """
    classes = _checked_classes(classes)
    known = np.asarray(pipeline.classes_)
    if known.dtype.kind not in "iu" or known.min() < 0 or known.max() >= len(classes):
        raise ValueError(f"The classifier's labels must lie in 0..{len(classes) - 1}, not {known.tolist()}.")

    def predict(pixels: np.ndarray) -> np.ndarray:
        rows = pixels.reshape(len(pixels), -1).T  # [h * w, C]
        p = np.zeros((len(classes), len(rows)), np.float32)
        if hasattr(pipeline, "predict_proba"):
            p[known] = pipeline.predict_proba(rows).T
        else:
            p[pipeline.predict(rows), np.arange(len(rows))] = 1
        return p.reshape(-1, *pixels.shape[1:])

    return Model(predict, name, joblib.hash(pipeline, "sha1"), classes, bands and tuple(bands), resolution)


def stego_model(
    net: Stego,
    backbone: vits.Backbone,
    classes: Sequence[LandCover],
    of_cluster: Sequence[int] | None = None,
    *,
    crf: bool = False,
    bands: Sequence[str] | None = ("red", "green", "blue"),
    resolution: float | None = None,
) -> Model:
    """Backbone, STEGO head and clusters as a model; images as the backbone takes them (uint8 or 0..1).

    of_cluster  class of every cluster, [clusters] (`evaluate.match`); None: cluster k is class k
    crf         sharpen every window along the edges of the image (`crf.dense_crf`)

    A class has the probability of its likeliest cluster, so that the map shows the class of the nearest centre.
    ValueError when a cluster has no class.
    """
    classes = _checked_classes(classes)
    of = np.arange(len(net.centres)) if of_cluster is None else np.asarray(of_cluster, np.int64)
    if len(of) != len(net.centres) or of.min() < 0 or of.max() >= len(classes):
        raise ValueError(
            f"Each of the {len(net.centres)} clusters needs a class in 0..{len(classes) - 1}, but of_cluster is "
            f"{of.tolist()}."
        )
    members = [torch.from_numpy(np.flatnonzero(of == k)) for k in range(len(classes))]

    def predict(pixels: np.ndarray) -> torch.Tensor:
        features = vits.patch_features(backbone, pixels[None])
        clusters = cluster_pixels(net, features, pixels.shape[1:])[0]  # [clusters, h, w]
        empty = clusters.new_zeros(pixels.shape[1:])
        p = torch.stack([clusters[m].amax(0) if len(m) else empty for m in members])  # [K, h, w]
        p = p / p.sum(0)
        if crf:
            image = torch.from_numpy(np.ascontiguousarray(pixels))
            p = dense_crf(image * 255 if image.is_floating_point() else image, p)
        return p

    digest = hashlib.sha256(f"{backbone.weights_hash} {of.tolist()} {crf}".encode())
    for key, value in [*sorted(net.head.state_dict().items()), ("centres", net.centres)]:
        digest.update(f"{key} {tuple(value.shape)}".encode() + value.detach().cpu().float().numpy().tobytes())
    name = f"STEGO on {backbone.name}{' with CRF' if crf else ''}"
    return Model(predict, name, digest.hexdigest(), classes, bands and tuple(bands), resolution)


def save_model(
    path: str | Path,
    net: Stego,
    backbone: vits.Backbone,
    classes: Sequence[LandCover],
    of_cluster: Sequence[int] | None = None,
    *,
    bands: Sequence[str] | None = ("red", "green", "blue"),
    resolution: float | None = None,
) -> Path:
    """Write what `stego_model` needs, but not the backbone, as .safetensors; the backbone goes in by name and hash.

    The file appears under its name only when complete. ValueError as for `stego_model`.
    """
    checked = stego_model(net, backbone, classes, of_cluster, bands=bands, resolution=resolution)
    if not isinstance(net.head, Head):
        raise ValueError(f"Only a head of lulc_utils.stego can be saved, not a {type(net.head).__name__}.")
    tensors = {f"head.{key}": value.detach().cpu().contiguous() for key, value in net.head.state_dict().items()}
    tensors["centres"] = net.centres.detach().cpu().contiguous()
    tensors["of_cluster"] = torch.as_tensor(range(len(net.centres)) if of_cluster is None else list(of_cluster))
    about = {"classes": checked.classes, "bands": checked.bands, "resolution": resolution}
    about |= {"backbone": backbone.name, "backbone hash": backbone.weights_hash}
    with vits._complete_or_absent(Path(path)) as part:
        save_file(tensors, part, metadata={"format": FORMAT, "about": json.dumps(about)})
    return Path(path)


def load_model(
    path: str | Path,
    *,
    crf: bool = False,
    backbone: vits.Backbone | None = None,
    backbone_weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Model:
    """The model that `save_model` wrote, as `stego_model` makes it.

    backbone          the frozen backbone, if it is loaded already
    backbone_weights  its weights as a file, where they are not the hub's

    ValueError: no such file format, or a backbone with other weights than the head was trained on.
    """
    tensors, metadata = vits._read_weights(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is no model of lulc_utils.mapping.save_model.")
    about = json.loads(metadata["about"])
    if backbone is None:
        if about["backbone"].startswith("random") or about["backbone"].endswith("(random weights)"):
            raise ValueError(f"{path} was trained on a random backbone, which has no file; pass backbone=...")
        backbone = vits.load(about["backbone"], weights=backbone_weights, device=device)
    if backbone.weights_hash != about["backbone hash"]:
        raise ValueError(
            f"{path} was trained on the backbone '{about['backbone']}' with other weights than this one's; use the "
            "weights it was trained on."
        )
    code_dim, dim = tensors["head.linear.weight"].shape
    head = Head(dim, code_dim)
    head.load_state_dict({key[5:]: value for key, value in tensors.items() if key.startswith("head.")})
    net = Stego(head.eval().requires_grad_(False).to(device), tensors["centres"].to(device), [])
    options = {"crf": crf, "bands": about["bands"], "resolution": about["resolution"]}
    return stego_model(net, backbone, about["classes"], tensors["of_cluster"].tolist(), **options)


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
    parser.add_argument("--device", default="cpu", help="where the networks run: cpu or cuda (%(default)s)")
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="go on where an earlier run stopped"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    a = parser.parse_args(arguments)
    bands = a.bands and [int(b) if b.strip().isdigit() else b.strip() for b in a.bands.split(",")]
    try:
        model = load_model(a.model, crf=a.crf, backbone_weights=a.backbone_weights, device=a.device)
        map_raster(
            a.source, model, a.out, window=a.window, overlap=a.overlap, bands=bands, crs=a.crs,
            resolution=a.resolution, resampling=a.resampling, resume=a.resume, progress=not a.quiet,
            command=shlex.join(["python", "-m", "lulc_utils.mapping", *arguments]),
        )  # fmt: skip
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

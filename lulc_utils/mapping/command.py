"""`python -m lulc_utils map SOURCE OUT --model MODEL`: map a raster with a saved model."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

from lulc_utils.mapping import scale
from lulc_utils.mapping.models import load_model
from lulc_utils.mapping.run import check_out, map_raster


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `run` takes."""
    parser.add_argument("source", help="raster to map: a file, URL or VRT")
    parser.add_argument("out", help="the map to write (.tif)")
    parser.add_argument("--model", required=True, help="file written by lulc_utils.mapping.save_model")
    parser.add_argument("--backbone-weights", help="file with the backbone's weights (default: shipped or the hub's)")
    parser.add_argument("--window", type=int, default=512, help="side of the windows, pixels (%(default)s)")
    parser.add_argument("--overlap", type=int, default=64, help="pixels in which windows cross over (%(default)s)")
    parser.add_argument("--bands", type=_bands, help="bands to read, names or numbers with commas (the model's)")
    parser.add_argument("--crs", help="warp to this reference system first, such as EPSG:32633")
    parser.add_argument("--resolution", type=float, help="warp to this pixel size first, in units of the CRS")
    parser.add_argument("--resampling", default="bilinear", help="how to warp (%(default)s)")
    parser.add_argument("--crf", action="store_true", help="sharpen along the edges of the image; much slower")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scheduler", help="address of a Dask scheduler whose workers compute")
    where.add_argument("--workers", type=int, help="compute with so many processes on this machine (needs Dask)")
    parser.add_argument("--device", default="cpu", help="where the networks run: cpu or cuda (%(default)s)")
    parser.add_argument(
        "--resume", action=argparse.BooleanOptionalAction, default=True, help="continue where an earlier run stopped"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _bands(text: str) -> list[str | int]:
    return [int(b) if b.strip().isdigit() else b.strip() for b in text.split(",")]


def run(options: argparse.Namespace) -> None:
    """Map; the errors of `load_model` and `map_raster`."""
    o = options
    check_out(Path(o.out), o.source)
    model = load_model(o.model, crf=o.crf, backbone_weights=o.backbone_weights, device=o.device)
    workers = nullcontext(o.scheduler) if o.workers is None else scale.local(o.workers)
    grid = {"crs": o.crs, "resolution": o.resolution, "resampling": o.resampling}
    how = {"bands": o.bands, "resume": o.resume, "progress": not o.quiet, "command": o.command_line}
    with workers as scheduler:
        map_raster(o.source, model, o.out, window=o.window, overlap=o.overlap, scheduler=scheduler, **how, **grid)

"""The file of a map that is not finished: it can be killed at any moment, and gone on with.

Finished rows go into `OUT.part`, an uncompressed GeoTIFF whose layout never changes; `OUT.state.json` says how many
rows are done and everything that they depend on. `OUT.lock` keeps a second run away. OUT itself appears, as a
Cloud-Optimized GeoTIFF, when it is complete.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.windows import Window

from lulc_utils import __version__, files, raster
from lulc_utils.scene import UNLABELLED, LandCover

BLOCK = 512  # side of the tiles of the map, pixels


def part_of(out: Path) -> Path:
    """Where the finished rows lie until the map is complete."""
    return out.with_name(out.name + ".part")


def state_of(out: Path) -> Path:
    """Where it is noted what is done."""
    return out.with_name(out.name + ".state.json")


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """`files.alone` for the map and the note on what is done."""
    with files.alone(out):
        for left in files.leftovers(state_of(out)):
            left.unlink()
        yield


def unfinished(out: Path, settings: dict) -> dict | None:
    """What an earlier run has done, None when there is nothing to go on with; ValueError when it was another run."""
    if not settings["model hash"] or not state_of(out).exists() or not part_of(out).exists():
        return None
    state = json.loads(state_of(out).read_text())
    for key, now in json.loads(json.dumps(settings)).items():
        if (then := state["settings"].get(key)) != now:
            values = f" ({then}, now {now})" if key in ("window", "overlap", "bands", "model", "resampling") else ""
            raise ValueError(
                f"The unfinished {out.name} cannot be resumed, because '{key}' is not what it was{values}; start again "
                "with resume=False (--no-resume)."
            )
    return state["done"]


def begin(out: Path, view, file, settings: dict, classes: tuple[LandCover, ...], command: str) -> dict:
    """Create the part with everything but its pixels, and the state: no row is done."""
    state_of(out).unlink(missing_ok=True)  # first: an old state must never describe a new part
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
        with rasterio.open(part_of(out), "w", **profile) as part:
            part.write_colormap(1, {i: (*bytes.fromhex(c.color[1:]), 255) for i, c in enumerate(classes)})
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
        if part_of(out).stat().st_size < view.height * view.width:  # GDAL does not say so
            raise OSError("no space for all pixels")
    done = {"windows": 0, "rows": 0, "mapped": 0}
    write_state(out, settings, done)
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


def write_rows(out: Path, row: int, labels: np.ndarray) -> None:
    """Into blocks that exist already, so that a kill at any moment leaves a readable file."""
    with _written(out):
        with rasterio.open(part_of(out), "r+") as file:
            file.write(labels, 1, window=Window(0, row, labels.shape[1], len(labels)))
        with part_of(out).open("rb+") as file:
            os.fsync(file.fileno())


def write_state(out: Path, settings: dict, done: dict) -> None:
    """Replace the note on what is done; it is on disk when this returns."""
    with _written(out), files.complete_or_absent(state_of(out)) as part, part.open("w") as file:
        json.dump({"settings": settings, "done": done}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def finish(out: Path) -> None:
    """The complete part as a COG under its final name; what the run needed is removed."""
    options = {"compress": "deflate", "blocksize": BLOCK, "overview_resampling": "mode", "bigtiff": "if_safer"}
    with _written(out), files.complete_or_absent(out) as cog:
        rasterio.shutil.copy(part_of(out), cog, driver="COG", **options)
        with rasterio.open(part_of(out)) as part, rasterio.open(cog) as copy:
            if part.checksum(1) != copy.checksum(1):  # a full disk is not always reported
                raise OSError("the copy differs")
    remove_unfinished(out)


def remove_unfinished(out: Path) -> None:
    """Forget what was done."""
    state_of(out).unlink(missing_ok=True)  # first: no state without its part
    part_of(out).unlink(missing_ok=True)

"""The file of a map that is not finished: the run can be killed at any moment, and continued.

Finished rows go into `OUT.part`, an uncompressed GeoTIFF whose layout never changes; `OUT.state.json` says how many
rows are done and everything that they depend on. `OUT.lock` keeps a second run away. OUT itself appears, as a
Cloud-Optimized GeoTIFF, when it is complete.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from lulc_utils import __version__, files, raster
from lulc_utils.mapping.worker import Plan
from lulc_utils.reading import reason
from lulc_utils.scene import UNLABELLED

BLOCK = 512  # side of the tiles of the map, pixels


class Done(NamedTuple):
    """What is final: rows of windows, rows of pixels, and pixels with a class."""

    windows: int = 0
    rows: int = 0
    mapped: int = 0


def part_of(out: Path) -> Path:
    """Where the finished rows lie until the map is complete."""
    return out.with_name(out.name + ".part")


def state_of(out: Path) -> Path:
    """Where it is noted what is done."""
    return out.with_name(out.name + ".state.json")


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """`files.alone` for the map and all that is kept beside it; after an error nothing stays of what has not begun."""
    files.check_target(part_of(out))
    with files.alone(out):
        for left in files.leftovers(state_of(out)):
            left.unlink()
        try:
            yield
        except BaseException:
            with suppress(ValueError):
                if not _state(out)[1].windows:
                    remove_unfinished(out)
            raise


def unfinished(out: Path, plan: Plan) -> Done | None:
    """What an earlier run has done, None when there is nothing to continue; ValueError when its plan was another."""
    settings, done = _state(out)
    if not plan.model_hash or not done.windows or not part_of(out).exists():
        return None
    for key, now in json.loads(json.dumps(plan.as_json())).items():
        if (then := settings.get(key)) != now:
            values = f" ({then}, now {now})" if key in ("window", "overlap", "bands", "model", "resampling") else ""
            raise ValueError(
                f"The unfinished {out} cannot be resumed, because '{key}' is not what it was{values}; start again "
                "with resume=False (--no-resume)."
            )
    return done


def _state(out: Path) -> tuple[dict, Done]:
    """Settings of the unfinished map and what is done, nothing without a note; ValueError for a damaged one."""
    path = state_of(out)
    files.check_target(path)
    if not path.exists():
        return {}, Done()
    try:
        state = json.loads(path.read_text())
        return dict(state["settings"]), Done(**{name: int(n) for name, n in state["done"].items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path} is damaged; start again with resume=False (--no-resume).") from None


def begin(out: Path, view: DatasetReader | WarpedVRT, plan: Plan, tags: dict[str, str], command: str) -> Done:
    """Create the part with everything but its pixels, and the state: no row is done. tags: those of the source."""
    state_of(out).unlink(missing_ok=True)  # first: an old state must never describe a new part
    part_of(out).unlink(missing_ok=True)  # of a run that was killed here: GDAL would open it, to delete it, and fail
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": UNLABELLED, "bigtiff": "if_safer"}
    profile |= {"height": view.height, "width": view.width, "crs": view.crs}
    profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    if not view.transform.is_identity:
        profile["transform"] = view.transform
    with _written(out):
        with rasterio.open(part_of(out), "w", **profile) as part:
            part.write_colormap(1, {i: (*bytes.fromhex(c.color[1:]), 255) for i, c in enumerate(plan.classes)})
            part.descriptions = ("land cover",)
            part.update_tags(**_tags(out, plan, tags, command))
            part.update_tags(1, **{f"CLASS_{i}": c.name for i, c in enumerate(plan.classes)})
        if part_of(out).stat().st_size < view.height * view.width:  # GDAL does not say so
            raise OSError("no space for all pixels")
    write_state(out, plan, Done())
    return Done()


def _tags(out: Path, plan: Plan, tags: dict[str, str], command: str) -> dict[str, str]:
    """Where the map comes from."""
    about = json.loads(tags.get(raster.TAG, "{}"))
    origin = about.get("source", Path(plan.source).name)  # "simulated ..." stays in front
    about |= {"name": out.stem, "source": f"{origin}, mapped by {plan.model}", "classes": plan.classes}
    return {
        raster.TAG: json.dumps(about),
        "LULC_MODEL": plan.model,
        "LULC_MODEL_HASH": plan.model_hash or "unknown",
        "LULC_DATE": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "LULC_COMMAND": command,
        "LULC_SOURCE": plan.source,
        "LULC_WINDOW": f"{plan.window} pixels, overlap {plan.overlap}",
        "TIFFTAG_SOFTWARE": f"lulc_utils {__version__}",
    }


@contextmanager
def _written(out: Path) -> Iterator[None]:
    """What goes wrong while writing, in one sentence."""
    try:
        yield
    except (RasterioError, OSError) as error:
        raise RuntimeError(
            f"{out} could not be written ({reason(error)}); make room or choose another folder, then run again."
        ) from error


def write_rows(out: Path, row: int, labels: np.ndarray) -> None:
    """Into blocks that exist already, so that a kill at any moment leaves a readable file."""
    with _written(out):
        with rasterio.open(part_of(out), "r+") as file:
            file.write(labels, 1, window=Window(0, row, labels.shape[1], len(labels)))
        with part_of(out).open("rb+") as file:
            os.fsync(file.fileno())


def write_state(out: Path, plan: Plan, done: Done) -> None:
    """Replace the note on what is done; it is on disk when this returns."""
    with files.complete_or_absent(state_of(out)) as part, _written(out), part.open("w") as file:
        json.dump({"settings": plan.as_json(), "done": done._asdict()}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def finish(out: Path) -> None:
    """The complete part as a COG under its final name; what the run needed is removed."""
    options = {"compress": "deflate", "blocksize": BLOCK, "overview_resampling": "mode", "bigtiff": "if_safer"}
    with files.complete_or_absent(out) as cog, _written(out):
        rasterio.shutil.copy(part_of(out), cog, driver="COG", **options)
        with rasterio.open(part_of(out)) as part, rasterio.open(cog) as copy:
            if part.checksum(1) != copy.checksum(1):  # a full disk is not always reported
                raise OSError("the copy differs")
    raster.remove_sidecars(out)
    remove_unfinished(out)


def remove_unfinished(out: Path) -> None:
    """Forget what was done."""
    state_of(out).unlink(missing_ok=True)  # first: no state without its part
    part_of(out).unlink(missing_ok=True)

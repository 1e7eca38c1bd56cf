"""Speed of mapping whole scenes (`make bench`). Nothing here is a test.

A simulated photograph is tiled to scenes of any size. Two models: one that looks at single pixels and costs almost
nothing, so that reading and writing are measured, next to GDAL's own copy of the scene to a COG; and the
embedded backbone with a STEGO head, next to the same model on the same windows without any map. Two Dask workers are
compared with one; all use one thread each.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import rasterio.shutil
import torch
from rasterio.windows import Window
from rows import Row, seconds

from lulc_utils import backbone, mapping, raster, simulate, stego
from lulc_utils.mapping import scale
from lulc_utils.simulate import AERIAL_CLASSES

if TYPE_CHECKING:
    from distributed import Client

TILE = 1024
EMBEDDED = "the embedded backbone and a STEGO head"


def tiled_scene(path: Path, size: int) -> Path:
    """A size x size photograph made of one simulated scene, mirrored from tile to tile; never in memory as a whole."""
    scene = simulate.aerial(3, TILE)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": size, "width": size, "crs": scene.crs}
    profile |= {"transform": scene.transform, "tiled": True, "blockxsize": 512, "blockysize": 512}
    with rasterio.Env(GDAL_CACHEMAX=64), rasterio.open(path, "w", **profile, compress="deflate") as file:
        file.descriptions = scene.bands
        file.update_tags(**{raster.TAG: f'{{"source": "{scene.source}, tiled"}}'})
        for window in raster.tiles(size, size, TILE):
            down, right = window.row_off // TILE % 2, window.col_off // TILE % 2
            pixels = scene.pixels[:, :: -1 if down else 1, :: -1 if right else 1]
            file.write(pixels[:, : window.height, : window.width], window=window)
    return path


def by_brightness(pixels: np.ndarray) -> np.ndarray:
    """A cheap model of single pixels: seven classes by green, [3, h, w] -> [7, h, w]."""
    green = pixels[1].astype(np.float32)
    p = np.empty((7, *green.shape), np.float32)
    for k in range(7):
        np.abs(green - 36 * (k + 0.5), out=p[k])
    return np.negative(p, out=p)


CHEAP = mapping.Model(by_brightness, "brightness", "bench", AERIAL_CLASSES)


def embedded_stego() -> mapping.Model:
    """The embedded backbone with an untrained head: it costs the same."""
    net = backbone.load("embedded")
    head, centers = stego.initial(net.dim, 24, len(AERIAL_CLASSES), seed=0)
    return mapping.stego_model(stego.Stego(head.eval().requires_grad_(False), centers, []), net, AERIAL_CLASSES)


def bare(source: Path, model: mapping.Model, window: int, overlap: int) -> None:
    """The model on the windows that `map_raster` would give it; its output is discarded."""
    with rasterio.Env(GDAL_CACHEMAX=64), rasterio.open(source) as file:
        rows, cols = (mapping.spans(n, window, overlap) for n in file.shape)
        for row in rows:
            for col in cols:
                model(file.read(window=Window(col.start, row.start, col.stop - col.start, row.stop - row.start)))


def run(size: int = 4096, stego_size: int = 960) -> list[Row]:
    """Time of mapping against GDAL's copy of the same scene, and against the bare model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, small = tiled_scene(folder / "a.tif", size), tiled_scene(folder / "small.tif", stego_size)
        out, model = folder / "map.tif", embedded_stego()

        def to_map(source: Path, model: mapping.Model, overlap: int) -> None:
            mapping.map_raster(source, model, out, overlap=overlap, progress=False)

        def copy_to_cog() -> None:
            with rasterio.Env(GDAL_CACHEMAX=64):
                rasterio.shutil.copy(source, folder / "copy.tif", driver="COG", compress="deflate", blocksize=512)

        cheap = seconds(
            {"copy": copy_to_cog, "0": lambda: to_map(source, CHEAP, 0), "64": lambda: to_map(source, CHEAP, 64)}, 3
        )
        costly = seconds(
            {"bare": lambda: bare(small, model, 512, 64), "map": lambda: to_map(small, model, 64)}, repeats=9
        )
    return [*(copy_row(size, overlap, cheap) for overlap in ("0", "64")), bare_row(stego_size, costly)]


def copy_row(size: int, overlap: str, taken: dict[str, float]) -> Row:
    """Mapping with a trivial model against copying."""
    return Row(
        f"mapping against copying, overlap {overlap}",
        taken["copy"] / taken[overlap],
        "ratio",
        f"Mapping {size} x {size} pixels with a trivial model, {size**2 / 1e6 / taken[overlap]:.1f} megapixels/s: "
        "reading, blending and writing.",
        "the speed of GDAL's copy of the same scene to a COG",
        ("at least", 0.5),
    )


def bare_row(size: int, taken: dict[str, float]) -> Row:
    """Mapping with the network against the network alone."""
    return Row(
        "mapping against the bare model",
        taken["bare"] / taken["map"],
        "ratio",
        f"Mapping {size} x {size} pixels with {EMBEDDED}, {size**2 / 1e6 / taken['map']:.2f} megapixels/s "
        "(windows of 512, overlap 64).",
        "the speed of the bare model on the same windows",
        ("at least", 0.85),
    )


# ------------------------------------------------------------------------------------------------ two workers


def waiting(seconds: float) -> mapping.Model:
    """A model that takes time but no CPU: if two workers then stay below 2x, it is not for lack of cores."""

    def wait(pixels: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return by_brightness(pixels)

    return mapping.Model(wait, "waiting", "bench", AERIAL_CLASSES)


def alone(source: Path, window: int, overlap: int) -> None:
    """The bare model with one thread, in the calling process."""
    torch.set_num_threads(1)
    bare(source, embedded_stego(), window, overlap)


def workers(size: int = 1824, window: int = 256, overlap: int = 32) -> list[Row]:
    """Two Dask workers against one: with the network, with a model that only waits; and two independent processes."""
    with tempfile.TemporaryDirectory() as name, scale.local(1) as single, scale.local(2) as double:
        double.wait_for_workers(2)
        source, out = tiled_scene(Path(name) / "a.tif", size), Path(name) / "map.tif"
        options = {"window": window, "overlap": overlap, "progress": False}

        def on(client: Client, model: mapping.Model) -> None:
            mapping.map_raster(source, model, out, scheduler=client, **options)

        def together(client: Client, copies: int) -> None:
            client.gather([client.submit(alone, source, window, overlap, pure=False) for _ in range(copies)])

        def pair(model: mapping.Model, repeats: int = 5) -> dict[str, float]:
            return seconds({"1": lambda: on(single, model), "2": lambda: on(double, model)}, repeats)

        network, wait = pair(embedded_stego()), pair(waiting(0.2), 1)
        apart = seconds({"1": lambda: together(single, 1), "2": lambda: together(double, 2)}, repeats=1)
        driver = seconds({"2": lambda: on(double, CHEAP)}, repeats=3)
    what = f"{size} x {size} pixels, windows of {window}, overlap {overlap}, one thread each"
    return worker_rows(size**2 / 1e6, what, network, wait, apart) + [
        Row(
            "what one driver can put together",
            size**2 / 1e6 / driver["2"],
            "megapixels/s",
            f"Two workers with a trivial model, driver and scheduler on the same cores ({what}).",
            threads=1,
        )
    ]


def worker_rows(pixels: float, what: str, network: dict, wait: dict, apart: dict) -> list[Row]:
    """Ratios of seconds with one worker ("1") and two ("2"); pixels in millions."""
    rates = f"{pixels / network['1']:.2f} megapixels/s with one worker, {pixels / network['2']:.2f} with two"
    return [
        Row(
            "two workers, embedded backbone",
            network["1"] / network["2"],
            "ratio",
            f"Mapping with {EMBEDDED}, {rates} ({what}).",
            "the speed of one worker",
            ("at least", 1.7),
            threads=1,
        ),
        Row(
            "two workers, waiting model",
            wait["1"] / wait["2"],
            "ratio",
            f"The same with a model that only waits, so that scheduler and driver need not share a core ({what}).",
            "the speed of one worker",
            threads=1,
        ),
        Row(
            "two processes that share nothing",
            2 * apart["1"] / apart["2"],
            "ratio",
            "The bare model on the whole scene in two processes at once: what this machine's two cores can give.",
            "the speed of one process",
            threads=1,
        ),
    ]


if __name__ == "__main__":
    print(*run(), *workers(), sep="\n")

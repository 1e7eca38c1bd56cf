"""Speed and memory of mapping whole scenes (`make bench`). Nothing here is a test.

A simulated photograph is tiled to scenes of any size. Two models: one that looks at single pixels and costs almost
nothing, so that reading and writing is what is measured, next to GDAL's own copy of the scene to a COG; and the
embedded backbone with a STEGO head, next to the same model on the same windows without any map. Peak memory is that
of a process of its own for each size. Two Dask workers are compared with one; all use one thread each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import torch
from bench_rows import Row, seconds
from rasterio.windows import Window

from lulc_utils import backbone, mapping, raster, simulate, stego
from lulc_utils.mapping import scale
from lulc_utils.simulate import AERIAL_CLASSES

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
    """The embedded backbone with a head that was never trained: it costs the same."""
    net = backbone.load("embedded")
    head, centers = stego.initial(net.dim, 24, len(AERIAL_CLASSES), seed=0)
    return mapping.stego_model(stego.Stego(head.eval().requires_grad_(False), centers, []), net, AERIAL_CLASSES)


def bare(source: Path, model: mapping.Model, window: int, overlap: int) -> None:
    """The model on the windows that `map_raster` would give it; the answers are thrown away."""
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
        out, copied, model = folder / "map.tif", folder / "copy.tif", embedded_stego()

        def to_map(source: Path, model: mapping.Model, overlap: int) -> None:
            mapping.map_raster(source, model, out, overlap=overlap, progress=False)

        def copy_to_cog() -> None:
            with rasterio.Env(GDAL_CACHEMAX=64):
                rasterio.shutil.copy(source, copied, driver="COG", compress="deflate", blocksize=512)

        cheap = seconds(
            {"copy": copy_to_cog, "0": lambda: to_map(source, CHEAP, 0), "64": lambda: to_map(source, CHEAP, 64)}, 3
        )
        dear = seconds(
            {"bare": lambda: bare(small, model, 512, 64), "map": lambda: to_map(small, model, 64)}, repeats=9
        )
    rows = [
        Row(
            f"mapping against copying, overlap {overlap}",
            cheap["copy"] / cheap[overlap],
            "ratio",
            f"Mapping {size} x {size} pixels with next to no model, {size**2 / 1e6 / cheap[overlap]:.1f} megapixels/s: "
            "reading, blending and writing.",
            "the speed of GDAL's copy of the same scene to a COG",
            ("at least", 0.5),
        )
        for overlap in ("0", "64")
    ]
    rate = stego_size**2 / 1e6 / dear["map"]
    return [
        *rows,
        Row(
            "mapping against the bare model",
            dear["bare"] / dear["map"],
            "ratio",
            f"Mapping {stego_size} x {stego_size} pixels with {EMBEDDED}, {rate:.2f} megapixels/s.",
            "the speed of the bare model on the same windows",
            ("at least", 0.85),
        ),
    ]


# ------------------------------------------------------------------------------------------------ two workers


def waiting(seconds: float) -> mapping.Model:
    """A model that takes time but no processor: what two workers then lack of 2x is not for want of cores."""

    def wait(pixels: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return by_brightness(pixels)

    return mapping.Model(wait, "waiting", "bench", AERIAL_CLASSES)


def alone(source: Path, window: int, overlap: int) -> None:
    """The bare model with one thread, in whatever process this is called."""
    torch.set_num_threads(1)
    bare(source, embedded_stego(), window, overlap)


def workers(size: int = 1824, window: int = 256, overlap: int = 32) -> list[Row]:
    """Two Dask workers against one: with the network, with a model that only waits; and two processes by themselves."""
    with tempfile.TemporaryDirectory() as name, scale.local(1) as one, scale.local(2) as two:
        two.wait_for_workers(2)
        source, out = tiled_scene(Path(name) / "a.tif", size), Path(name) / "map.tif"

        def on(client, model: mapping.Model) -> None:
            mapping.map_raster(source, model, out, window=window, overlap=overlap, scheduler=client, progress=False)

        def together(client, copies: int) -> None:
            client.gather([client.submit(alone, source, window, overlap, pure=False) for _ in range(copies)])

        def pair(model: mapping.Model, repeats: int = 5) -> dict:
            return seconds({"1": lambda: on(one, model), "2": lambda: on(two, model)}, repeats)

        network, wait = pair(embedded_stego()), pair(waiting(0.2), 1)
        apart = seconds({"1": lambda: together(one, 1), "2": lambda: together(two, 2)}, repeats=1)
        driver = seconds({"2": lambda: on(two, CHEAP)}, repeats=3)
    pixels = size**2 / 1e6
    what = f"{size} x {size} pixels, windows of {window}, overlap {overlap}"
    return [
        Row(
            "two workers, embedded backbone",
            network["1"] / network["2"],
            "ratio",
            f"Mapping with {EMBEDDED}, {pixels / network['1']:.2f} megapixels/s with one worker, "
            f"{pixels / network['2']:.2f} with two ({what}).",
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
        Row(
            "what one driver can put together",
            pixels / driver["2"],
            "megapixels/s",
            f"Two workers with next to no model, driver and scheduler beside them on the same cores ({what}).",
            threads=1,
        ),
    ]


# ---------------------------------------------------------------------------------------------------- memory


def now_and_then(every: int, start: int) -> mapping.Model:
    """The network in the first windows and in one of `every` later ones, brightness in the others."""
    network, seen = embedded_stego(), [0]

    def predict(pixels: np.ndarray) -> np.ndarray:
        seen[0] += 1
        return (network if seen[0] <= start or seen[0] % every == 0 else by_brightness)(pixels)

    return mapping.Model(predict, "network now and then", "bench", AERIAL_CLASSES)


def peak_memory(size: int, model: str, window: int = 512, overlap: int = 64) -> float:
    """MiB, the largest resident size of a process that maps a scene with the model, an expression (Linux)."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bench_mapping as b; b.torch.set_num_threads(1); "
        f"b.mapping.map_raster(sys.argv[2], b.{model}, sys.argv[3], window={window}, overlap={overlap}, "
        "progress=False); print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )  # not getrusage: its peak is that of the parent where the parent was larger
    with tempfile.TemporaryDirectory() as name:
        arguments = [str(Path(__file__).parent), str(tiled_scene(Path(name) / "a.tif", size)), f"{name}/map.tif"]
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def _memory_rows(sizes: tuple[int, int], peaks: tuple[float, float], what: str, words: str) -> list[Row]:
    """Both peaks, and the larger scene's against the smaller one's."""
    limit = ("at most", 2048)
    each = [
        Row(f"memory, {what}, {n} pixels", peak, "MiB", f"Peak of a process that maps {n} x {n} pixels {words}.", "",
            limit, 1)
        for n, peak in zip(sizes, peaks, strict=True)
    ]  # fmt: skip
    return [
        *each,
        Row(
            f"memory, {what}, {sizes[1]} against {sizes[0]} pixels",
            peaks[1] / peaks[0],
            "ratio",
            f"A scene with {(sizes[1] / sizes[0]) ** 2:g} times as many pixels needs so many times the memory.",
            "the peak memory of the smaller scene",
            ("at most", 1.1),
            threads=1,
        ),
    ]


def memory(sizes: tuple[int, int] = (4096, 16384)) -> list[Row]:
    """Peak memory with the pixel-wise model."""
    return _memory_rows(sizes, tuple(peak_memory(n, "CHEAP") for n in sizes), "pixel-wise model", "by brightness")


def memory_embedded(sizes: tuple[int, int] = (4096, 16384), every: int = 16) -> list[Row]:
    """Peak memory with the network: in every window of the smaller scene, in a part of those of the larger one."""
    row = len(mapping.spans(sizes[1], 512, 64))
    peaks = peak_memory(sizes[0], "embedded_stego()"), peak_memory(sizes[1], f"now_and_then({every}, {row})")
    words = (
        f"with {EMBEDDED} (the larger scene: in the first row of windows and one of {every} later ones, else by "
        "brightness, to save hours)"
    )
    return _memory_rows(sizes, peaks, "embedded backbone", words)


if __name__ == "__main__":
    print(*run(), *workers(), *memory(), sep="\n")

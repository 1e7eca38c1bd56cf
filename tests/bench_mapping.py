"""Speed and memory of mapping whole scenes (`make bench`). Nothing here is a test.

A simulated photograph is tiled to scenes of any size. Two models: one that looks at single pixels and costs almost
nothing, so that reading and writing is what is measured, next to GDAL's own copy of the scene to a COG; and the
embedded backbone with a STEGO head, next to the same model on the same windows without any map. Peak memory is that
of a process of its own for each size. Two Dask workers are compared with one; both use one thread each.
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
from rasterio.windows import Window

from lulc_utils import backbone, mapping, raster, scale, simulate, stego
from lulc_utils.simulate import AERIAL_CLASSES

TILE = 1024


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
    head, centres = stego._initial(net.dim, 24, len(AERIAL_CLASSES), seed=0)
    return mapping.stego_model(stego.Stego(head.eval().requires_grad_(False), centres, []), net, AERIAL_CLASSES)


def bare(source: Path, model: mapping.Model, window: int, overlap: int) -> None:
    """The model on the windows that `map_raster` would give it; the answers are thrown away."""
    with rasterio.Env(GDAL_CACHEMAX=64), rasterio.open(source) as file:
        rows, cols = (mapping.spans(n, window, overlap) for n in file.shape)
        for row in rows:
            for col in cols:
                model(file.read(window=Window(col.start, row.start, col.stop - col.start, row.stop - row.start)))


def peak_memory(source: Path, folder: Path, model: str, window: int, overlap: int) -> float:
    """MiB, the largest resident size of a process that maps the scene (Linux)."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bench_mapping as b; b.torch.set_num_threads(1); "
        "model = b.CHEAP if sys.argv[4] == 'cheap' else b.embedded_stego(); "
        "b.mapping.map_raster(sys.argv[2], model, sys.argv[3], window=int(sys.argv[5]), overlap=int(sys.argv[6]), "
        "progress=False); print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )  # not getrusage: its peak is that of the parent where the parent was larger
    arguments = [str(Path(__file__).parent), str(source), str(folder / "memory.tif"), model, str(window), str(overlap)]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def waiting(seconds: float) -> mapping.Model:
    """A model that takes time but no processor: what two workers then lack of 2x is what putting together costs."""

    def wait(pixels: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return by_brightness(pixels)

    return mapping.Model(wait, "waiting", "bench", AERIAL_CLASSES)


def workers(source: Path, size: int, out: Path) -> None:
    """Two Dask workers against one, with the embedded backbone and with a model that only waits."""
    from bench import seconds

    def on(client, model: mapping.Model) -> None:
        mapping.map_raster(source, model, out, window=256, overlap=64, scheduler=client, progress=False)

    with scale.local(1) as one, scale.local(2) as two:
        two.wait_for_workers(2)
        for words, model in (
            ("the embedded backbone and STEGO", embedded_stego()),
            ("a model that waits", waiting(0.2)),
        ):
            taken = seconds({n: lambda c=c, m=model: on(c, m) for n, c in ((1, one), (2, two))}, repeats=3)
            print(
                f"mapping {size} x {size} pixels with {words}: two workers {taken[1] / taken[2]:.2f} times as fast as "
                f"one ({size**2 / 1e6 / taken[1]:.2f} megapixels/s)"
            )
        taken = seconds({"two": lambda: on(two, CHEAP)}, repeats=3)
        print(f"  one process can put together {size**2 / 1e6 / taken['two']:.1f} megapixels/s of its workers' answers")


def run(size: int = 4096, stego_size: int = 960, memory: tuple[int, ...] = (2048, 8192), dask_size: int = 1536) -> None:
    """Ratios of time, and peak memory for scenes of several sizes."""
    from bench import seconds  # bench.py calls this function

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, small = tiled_scene(folder / "a.tif", size), tiled_scene(folder / "small.tif", stego_size)
        out, copied = folder / "map.tif", folder / "copy.tif"

        def to_map(source: Path, model: mapping.Model, overlap: int) -> None:
            mapping.map_raster(source, model, out, overlap=overlap, progress=False)

        def copy_to_cog() -> None:
            with rasterio.Env(GDAL_CACHEMAX=64):
                rasterio.shutil.copy(source, copied, driver="COG", compress="deflate", blocksize=512)

        taken = seconds(
            {
                "copy": copy_to_cog,
                "bare": lambda: bare(source, CHEAP, 512, 0),
                "map": lambda: to_map(source, CHEAP, 0),
                "blended": lambda: to_map(source, CHEAP, 64),
            },
            repeats=3,
        )
        print(f"mapping {size} x {size} pixels by brightness: {size**2 / 1e6 / taken['map']:.1f} megapixels/s")
        for kind, words in (("map", "overlap 0"), ("blended", "overlap 64")):
            print(
                f"  {words}: {taken['copy'] / taken[kind]:.2f} times the speed of GDAL's copy to COG, "
                f"{taken['bare'] / taken[kind]:.2f} times that of the bare model with reading"
            )
        model = embedded_stego()
        taken = seconds(
            {"bare": lambda: bare(small, model, 512, 64), "map": lambda: to_map(small, model, 64)}, repeats=3
        )
        print(
            f"mapping {stego_size} x {stego_size} pixels with the embedded backbone and STEGO: "
            f"{stego_size**2 / 1e6 / taken['map']:.2f} megapixels/s, "
            f"{taken['bare'] / taken['map']:.2f} times the speed of the bare model on the same windows"
        )
        workers(tiled_scene(folder / "dask.tif", dask_size), dask_size, out)
        peaks = {n: peak_memory(tiled_scene(folder / "m.tif", n), folder, "cheap", 512, 64) for n in memory}
        print("  peak memory: " + ", ".join(f"{n} x {n} pixels {peak:.0f} MiB" for n, peak in peaks.items()))


if __name__ == "__main__":
    print(f"{torch.get_num_threads()} threads")
    run()

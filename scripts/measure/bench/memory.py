"""Peak memory of mapping whole scenes, each in its own process (`make bench`). Nothing here is a test."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from mapping import EMBEDDED, by_brightness, embedded_stego, tiled_scene
from rows import Row

from lulc_utils.mapping import Model, spans
from lulc_utils.simulate import AERIAL_CLASSES


def now_and_then(every: int, start: int) -> Model:
    """The network in the first windows and in one of `every` later ones, brightness in the others."""
    network, seen = embedded_stego(), [0]

    def predict(pixels: np.ndarray) -> np.ndarray:
        seen[0] += 1
        return (network if seen[0] <= start or seen[0] % every == 0 else by_brightness)(pixels)

    return Model(predict, "network now and then", "bench", AERIAL_CLASSES)


def peak_memory(size: int, model: str, window: int = 512, overlap: int = 64) -> float:
    """MiB, the largest resident size of a process that maps a scene with the model, an expression (Linux)."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import torch; torch.set_num_threads(1); "
        "from lulc_utils.mapping import map_raster; from mapping import CHEAP, embedded_stego; "
        f"from memory import now_and_then; map_raster(sys.argv[2], {model}, sys.argv[3], window={window}, "
        f"overlap={overlap}, progress=False); print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )  # not getrusage: its peak is that of the parent where the parent was larger
    with tempfile.TemporaryDirectory() as name:
        arguments = [str(Path(__file__).parent), str(tiled_scene(Path(name) / "a.tif", size)), f"{name}/map.tif"]
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def rows_of(sizes: tuple[int, int], peaks: tuple[float, float], what: str, words: str) -> list[Row]:
    """Rows of both peaks, and the larger scene's against the smaller one's."""
    each = [
        Row(
            f"memory, {what}, {n} pixels",
            peak,
            "MiB",
            f"Peak of a process that maps {n} x {n} pixels {words}.",
            target=("at most", 2048),
            threads=1,
        )
        for n, peak in zip(sizes, peaks, strict=True)
    ]
    return [
        *each,
        Row(
            f"memory, {what}, {sizes[1]} against {sizes[0]} pixels",
            peaks[1] / peaks[0],
            "ratio",
            f"A scene with {(sizes[1] / sizes[0]) ** 2:g} times as many pixels needs this many times the memory.",
            "the peak memory of the smaller scene",
            ("at most", 1.1),
            threads=1,
        ),
    ]


def run(sizes: tuple[int, int] = (4096, 16384)) -> list[Row]:
    """Peak memory with the pixel-wise model."""
    return rows_of(sizes, tuple(peak_memory(n, "CHEAP") for n in sizes), "pixel-wise model", "by brightness")


def embedded(sizes: tuple[int, int] = (4096, 16384), every: int = 16) -> list[Row]:
    """Peak memory with the network: in every window of the smaller scene, in some windows of the larger one."""
    row = len(spans(sizes[1], 512, 64))
    peaks = peak_memory(sizes[0], "embedded_stego()"), peak_memory(sizes[1], f"now_and_then({every}, {row})")
    words = (
        f"with {EMBEDDED} (the larger scene: in the first row of windows and one of {every} later ones, else by "
        "brightness, to save hours)"
    )
    return rows_of(sizes, peaks, "embedded backbone", words)


if __name__ == "__main__":
    print(*run(), sep="\n")

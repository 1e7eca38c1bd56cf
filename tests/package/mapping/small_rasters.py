"""Small rasters and models that the tests of this folder map."""

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils import mapping
from lulc_utils.scene import LandCover

CLASSES = (LandCover("water", "#0072b2"), LandCover("grass", "#7bc97b"), LandCover("bare land", "#e6c79c"))


def predict(pixels):
    """Three classes by the brightness of the first band: [C, h, w] -> [3, h, w]."""
    x = pixels[0].astype(np.float32)
    return np.stack([-np.abs(x - center) for center in (40, 120, 200)])


MODEL = mapping.Model(predict, "nearest brightness", "abc123", CLASSES)


def soft(pixels):
    """A model with context: every pixel depends on its window, so that blending shows."""
    p = predict(pixels) + pixels[0].mean()
    return np.exp(p / 20 + np.linspace(0, 3, p.shape[1])[:, None] * np.arange(3)[:, None, None])


CONTEXT = mapping.Model(soft, MODEL.name, MODEL.hash, CLASSES)


class Killed(Exception):
    pass


def stopping(after, model=MODEL):
    """The same model, which dies after some windows."""
    left = [after]

    def run(pixels):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return soft(pixels)

    return mapping.Model(run, model.name, model.hash, model.classes)


def write(path, pixels, **profile):
    profile = {"crs": CRS.from_epsg(32633), "transform": from_origin(500_000, 6_000_000, 10, 10)} | profile
    profile = {k: v for k, v in profile.items() if v is not None}
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype=pixels.dtype, count=count, height=height, width=width, **profile
    ) as file:
        file.write(pixels)
    return path


def noise(height, width, bands=3, seed=0):
    return np.random.default_rng(seed).integers(1, 250, (bands, height, width)).astype(np.uint8)


def classes_of(path):
    with rasterio.open(path) as file:
        return file.read(1)


def do(source, out, model=MODEL, **options):
    return mapping.map_raster(source, model, out, progress=False, **options)


def left_over(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith((".tif", ".py")))

"""From a model to a map: a raster of any size, window by window, into a Cloud-Optimized GeoTIFF.

A *model* is a function: pixels [C, h, w] in, class probabilities [K, h, w] out. The raster is read in windows that
overlap. Near the edge of a window a model sees less of the surroundings, so there it counts less and its neighbor
counts more: the weights of two neighbors cross over in a zone `overlap` pixels wide and always sum to 1.

Memory does not grow with the number of rows: one window at a time is in memory, plus the probabilities of the
`overlap` rows that still wait for the windows below, K * overlap * columns * 4 bytes.

Nothing is lost when the process dies: the next run with the same settings computes only what is missing (map_file.py).
With `scheduler` the windows are computed by the workers of a Dask cluster, and only put together here (scale.py).

    python -m lulc_utils map SOURCE.tif MAP.tif --model MODEL.safetensors

A raster's way to a map: run.map_raster -> inputs (opened, warped) -> worker (each window) -> run -> map_file.
"""

from lulc_utils.mapping.inputs import Warp
from lulc_utils.mapping.models import Model, load_model, pixel_model, save_model, stego_model
from lulc_utils.mapping.run import map_raster
from lulc_utils.mapping.worker import Span, spans, weights

__all__ = [
    "Model",
    "Span",
    "Warp",
    "load_model",
    "map_raster",
    "pixel_model",
    "save_model",
    "spans",
    "stego_model",
    "weights",
]

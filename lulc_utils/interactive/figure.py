"""What the interactive figures share: a self-contained piece of HTML, and pictures and numbers packed into it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from lulc_utils.literal import as_html, as_json, plain
from lulc_utils.scene import Scene

LARGEST = 200_000  # bytes that one figure may add to a page
SIDE = 384  # longest side of a packed picture, pixels


@dataclass(frozen=True)
class Interactive:
    """A figure for the browser: `html` is all it needs, a terminal shows `caption` instead."""

    html: str
    caption: str

    def __repr__(self) -> str:
        return f"[interactive figure, shown by a browser] {plain(self.caption)}"

    def _repr_html_(self) -> str:
        return self.html


def assemble(
    kind: str, data: dict, static: str, caption: str, *, shared: tuple[str, ...] = (), largest: int = LARGEST
) -> Interactive:
    """One `<figure>` with a static part, its caption, its numbers, its style and its script.

    kind     "similarity", "swipe", ...: names the JavaScript file and the function in it
    data     what the script needs, as JSON
    static   HTML shown without scripts and in print; its texts are already escaped
    shared   further JavaScript files that it uses, "learn" for learn.js

    ValueError when the figure would be larger than `largest` bytes.
    """
    if not caption.strip():
        raise ValueError("An interactive figure needs a caption that says what it shows.")
    code = "".join(script(name) for name in ("common", *shared, kind))
    code = f'(function () {{\n"use strict";\n{code}setUp("{kind}", {kind});\n}})();'
    text = (
        f'<figure class="lulc-figure" data-kind="{kind}"><style>{_file("figure.css")}</style>'
        f'<div class="lulc-static">{static}</div>'
        "<noscript><p>Without scripts this picture shows only the first state of the figure.</p></noscript>"
        f"<figcaption>{as_html(caption)}</figcaption>"
        f'<script type="application/json">{as_json(data)}</script><script>{code}</script></figure>'
    )
    size = len(text.encode())
    if size > largest:
        raise ValueError(
            f"The interactive figure would take {size // 1000} kB, more than the {largest // 1000} kB that a page "
            "can spare; give it a smaller scene or fewer things to show."
        )
    return Interactive(text, caption)


def script(name: str) -> str:
    """The text of one of this package's JavaScript files, "vit" for vit.js."""
    return _file(f"{name}.js")


def _file(name: str) -> str:
    return (files("lulc_utils.interactive") / name).read_text(encoding="utf8")


def image(uri: str, alt: str) -> str:
    """An `<img>` with alt text."""
    return f'<img src="{uri}" alt="{as_html(alt)}">'


def photo(rgb: np.ndarray, longest: int = SIDE) -> str:
    """A picture (rows, cols, 3) uint8 as a JPEG data address, reduced to `longest` pixels."""
    return _encoded(_reduced(Image.fromarray(rgb), longest, Image.Resampling.LANCZOS), "jpeg", quality=85)


def drawing(rgb: np.ndarray, longest: int = SIDE) -> str:
    """A picture with few colors (rows, cols, 3) uint8 as a PNG data address, reduced without mixing colors."""
    few = _reduced(Image.fromarray(rgb), longest, Image.Resampling.NEAREST)
    return _encoded(few.quantize(64), "png", optimize=True)


def _reduced(picture: Image.Image, longest: int, how: Image.Resampling) -> Image.Image:
    scale = min(1, longest / max(picture.size))
    return picture.resize([max(1, round(n * scale)) for n in picture.size], how) if scale < 1 else picture


def _encoded(picture: Image.Image, kind: str, **options) -> str:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def numbers(values: np.ndarray) -> str:
    """An array's bytes, little-endian, in base64; the script knows shape and type."""
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def grid_of(scene: Scene, features: ArrayLike, name: str) -> np.ndarray:
    """Features [h, w, D] as float64; ValueError unless they are finite and their grid tiles the scene with squares."""
    grid = np.asarray(features, np.float64)
    if grid.ndim != 3:
        raise ValueError(f"The features '{name}' must be [rows, columns, numbers], not of shape {grid.shape}.")
    rows, cols = grid.shape[:2]
    if not rows or not cols or scene.height % rows or scene.width % cols or scene.height * cols != scene.width * rows:
        raise ValueError(
            f"The features '{name}' are a grid of {rows} x {cols} patches, which does not fit the scene "
            f"'{scene.name}' of {scene.height} x {scene.width} pixels; crop the scene to whole patches."
        )
    if not np.isfinite(grid).all():
        raise ValueError(f"The features '{name}' have numbers that are not finite (NaN or infinite).")
    return grid


def checked_patch(patch: tuple[int, int], rows: int, cols: int) -> tuple[int, int]:
    """(row, column) as whole numbers; ValueError when there is no such patch."""
    row, col = map(int, patch)
    if not (0 <= row < rows and 0 <= col < cols):
        raise ValueError(f"There is no patch in row {row}, column {col} of a grid of {rows} x {cols} (counted from 0).")
    return row, col


def framed(rgb: np.ndarray, patch: tuple[int, int], side: int) -> np.ndarray:
    """A copy of a picture in which one patch has a frame, white on black."""
    picture, (top, left) = rgb.copy(), (n * side for n in patch)
    inside = rgb[top : top + side, left : left + side]
    picture[max(top - 2, 0) : top + side + 2, max(left - 2, 0) : left + side + 2] = 0
    picture[max(top - 1, 0) : top + side + 1, max(left - 1, 0) : left + side + 1] = 255
    picture[top : top + side, left : left + side] = inside
    return picture


def over_gray(rgb: np.ndarray, colors: np.ndarray, side: int) -> np.ndarray:
    """Colors [h, w, 3] uint8 of the patches over a gray picture (rows, cols, 3) uint8, as in `plot.heat`."""
    large = colors.repeat(side, 0).repeat(side, 1)
    return (0.25 * rgb.mean(-1, keepdims=True) + 0.75 * large).round().astype(np.uint8)

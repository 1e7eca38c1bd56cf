"""A scene: pixels, what they are called, where and when they were taken, and, if known, what they show."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from lulc_utils import ground

UNLABELLED = 255  # label of a pixel that nobody has labelled; never counted in any score


class LandCover(NamedTuple):
    """One class of a legend: its name and the color that figures and maps draw it in ("#rrggbb")."""

    name: str
    color: str


@dataclass(frozen=True)
class Scene:
    """An image with everything needed to use it honestly.

    name       short and unique within its data set ("tile 3 part 007")
    pixels     (bands, rows, cols) array of any numeric type
    bands      one name per band ("red", "B08"), in the order of `pixels`
    source     where it came from, in words a caption can use; starts with "simulated" when it is
    labels     (rows, cols) uint8: index into `classes`, or UNLABELLED; None when there is no truth
    classes    the legend of `labels`
    transform  affine map from (col, row) to coordinates of `crs`; None when the image has no place on Earth
    crs        coordinate reference system of `transform`, or None
    date       day of acquisition, or None when it is not known
    nodata     pixel value that means "nothing measured here", or None
    group      what a spatial split must keep together (tile, region); "" means the scene stands alone
    measured   (rows, cols) bool: False where a mask or an alpha band says that nothing was measured; None without one
    """

    name: str
    pixels: np.ndarray
    bands: tuple[str, ...]
    source: str
    labels: np.ndarray | None = None
    classes: tuple[LandCover, ...] = ()
    transform: Affine | None = None
    crs: CRS | None = None
    date: datetime.date | None = None
    nodata: float | None = None
    group: str = ""
    measured: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3:
            raise ValueError(f"Scene '{self.name}': pixels must be (bands, rows, cols), not {self.pixels.shape}.")
        if len(self.bands) != len(self.pixels):
            raise ValueError(
                f"Scene '{self.name}': {len(self.pixels)} bands of pixels but {len(self.bands)} band names."
            )
        if self.measured is not None and self.measured.shape != self.pixels.shape[1:]:
            raise ValueError(f"Scene '{self.name}': `measured` must be {self.pixels.shape[1:]}.")
        if self.labels is not None:
            if self.labels.shape != self.pixels.shape[1:]:
                raise ValueError(
                    f"Scene '{self.name}': the mask is {self.labels.shape} but the image is "
                    f"{self.pixels.shape[1:]} (rows, cols); they must cover the same pixels."
                )
            known = self.labels[self.labels != UNLABELLED]
            if known.size and int(known.max()) >= len(self.classes):
                raise ValueError(
                    f"Scene '{self.name}': label {int(known.max())} has no entry among the {len(self.classes)} classes."
                )

    @property
    def height(self) -> int:
        """Rows."""
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        """Columns."""
        return self.pixels.shape[2]

    @property
    def simulated(self) -> bool:
        """True when the scene was drawn by `lulc_utils.simulate`."""
        return self.source.startswith("simulated")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels."""
        return tuple(c.name for c in self.classes)

    @property
    def valid(self) -> np.ndarray:
        """(rows, cols) bool: pixels in which every band was measured (not nodata, not NaN, not masked)."""
        ok = np.ones(self.pixels.shape[1:], bool) if self.measured is None else self.measured.copy()
        if np.issubdtype(self.pixels.dtype, np.floating):
            ok &= np.isfinite(self.pixels).all(0)
        if self.nodata is not None and not np.isnan(self.nodata):
            ok &= (self.pixels != self.nodata).all(0)
        return ok

    def select(self, *names: str) -> np.ndarray:
        """Bands by name, (len(names), rows, cols). ValueError names a band that is not there."""
        missing = [n for n in names if n not in self.bands]
        if missing:
            raise ValueError(f"Scene '{self.name}' has no band {', '.join(missing)}; it has {', '.join(self.bands)}.")
        return self.pixels[[self.bands.index(n) for n in names]]

    def crop(self, row: int, col: int, height: int, width: int) -> Scene:
        """The part that starts at (row, col); ValueError when it reaches outside the scene."""
        if row < 0 or col < 0 or height < 1 or width < 1 or row + height > self.height or col + width > self.width:
            raise ValueError(
                f"Scene '{self.name}' is {self.height} x {self.width} pixels; a crop of {height} x {width} "
                f"at row {row}, column {col} does not fit."
            )
        inside = np.s_[..., row : row + height, col : col + width]
        moved = self.transform and window_transform(Window(col, row, width, height), self.transform)
        labels, measured = (None if a is None else a[inside] for a in (self.labels, self.measured))
        return replace(self, pixels=self.pixels[inside], labels=labels, measured=measured, transform=moved)

    def middle(self, height: int, width: int | None = None) -> Scene:
        """A part of this size from the middle, square without a width; ValueError when the scene is smaller."""
        width = width or height
        return self.crop((self.height - height) // 2, (self.width - width) // 2, height, width)

    def bounds_latlon(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in degrees; ValueError when the scene has no place on Earth.

        East is above 180 where the scene crosses that line.
        """
        if self.crs is None or self.transform is None:
            raise ValueError(f"Scene '{self.name}' has no coordinate reference system, so it cannot be put on a map.")
        return ground.bounds(self.crs, self.transform, self.pixels.shape[1:])


def group_of(scene: Scene) -> str:
    """What a spatial split keeps together: the scene's group or, without one, the scene itself."""
    return scene.group or scene.name


def mosaic(parts: Sequence[Scene], columns: int) -> Scene:
    """Scenes that lie side by side, row by row, put together; what else a scene knows is that of the first part."""
    rows = [parts[i : i + columns] for i in range(0, len(parts), columns)]
    pixels = np.block([[s.pixels for s in row] for row in rows])
    labels = None if parts[0].labels is None else np.block([[s.labels for s in row] for row in rows])
    masked = any(s.measured is not None for s in parts)
    measured = np.block([[s.valid for s in row] for row in rows]) if masked else None
    return replace(parts[0], pixels=pixels, labels=labels, measured=measured)


def labels_from_colors(rgb: np.ndarray, table: dict[str, int], *, allow_other: bool = False) -> np.ndarray:
    """Turn a mask drawn in colors into labels.

    rgb          (3, rows, cols) uint8: red, green, blue
    table        color "#rrggbb" -> label; UNLABELLED is a label like any other here
    allow_other  True: a color that is not in `table` becomes UNLABELLED; False: it is a ValueError

    Returns (rows, cols) uint8.
    """
    if rgb.ndim != 3 or rgb.shape[0] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"A color mask must be (3, rows, cols) uint8, not {rgb.shape} {rgb.dtype}.")
    red, green, blue = rgb.astype(np.int32)
    packed = red << 16 | green << 8 | blue  # [rows, cols], one number per color
    labels = np.full(packed.shape, UNLABELLED, np.uint8)
    other = np.ones(packed.shape, bool)
    for color, label in table.items():
        same = packed == int(color.lstrip("#"), 16)
        labels[same] = label
        other &= ~same
    if not allow_other and other.any():
        colors, counts = np.unique(packed[other], return_counts=True)
        more = f" (and {len(colors) - 1} other colors)" if len(colors) > 1 else ""
        raise ValueError(
            f"{counts.sum()} pixels of the mask have the color #{colors[counts.argmax()]:06x}{more}, "
            "which is not in the color table."
        )
    return labels


def pixels_of(scenes: Sequence[Scene]) -> np.ndarray:
    """Pixels of scenes of one size, [N, bands, rows, cols]."""
    return np.stack([s.pixels for s in scenes])


def labels_of(scenes: Sequence[Scene]) -> np.ndarray:
    """Labels of scenes of one size, [N, rows, cols]."""
    return np.stack([s.labels for s in scenes])

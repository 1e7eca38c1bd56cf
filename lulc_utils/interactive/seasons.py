"""Spectra and greenness of the simulated classes over the days of a year and the latitudes of two hemispheres."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.ndimage import maximum_filter, minimum_filter

from lulc_utils.interactive.figure import Interactive, assemble, drawing, image, numbers
from lulc_utils.plot import COLORS
from lulc_utils.simulate import REGIONS, SATELLITE_CLASSES, ndvi, satellite_year
from lulc_utils.simulate.satellite import DEFAULT_YEAR
from lulc_utils.simulate.satellite.spectra import WAVELENGTHS
from lulc_utils.style import WIDEST

DAYS = tuple(range(1, 367, 15))
LATITUDES = (-60, -54, -48, -42, -36, 36, 42, 48, 54, 60)
LINES = {  # color ("currentColor": that of the text) and dashes; contrast is at least 3:1 on white and on black
    "trees": (COLORS[1], "2 3"), "grass": (COLORS[2], "8 3 2 3"), "winter crop": ("#b5608f", ""),
    "summer crop": ("#b87a00", "8 4"), "bare": ("currentColor", "12 3 2 3 2 3"), "water": (COLORS[0], "1 5"),
}  # fmt: skip
STEP = 1e-4  # of reflectance and NDVI in the packed table


def season_latitude(
    region: str = "temperate plain, Europe",
    *,
    caption: str,
    latitudes: tuple[float, ...] = LATITUDES,
    days: tuple[int, ...] = DAYS,
    start: tuple[int, float] = (136, 48),
    seeds: int = 4,
    size: int = 64,
) -> Interactive:
    """Two sliders, the day and the latitude: mean spectra of the simulated classes, and the course of their NDVI.

    region     the region whose ground, crops and climate are moved north and south (a key of simulate.REGIONS)
    caption    the finding, and something to try
    latitudes  degrees, ascending, negative in the south; days: of the year 2020, ascending
    start      (day, latitude) to begin with, each one of the above
    seeds      simulated grounds that are averaged, size: their side in pixels

    Sliders stop only where the simulator was run, so every value is the simulator's own, rounded to 0.0001. ValueError
    for places and days outside the simulator's range, and when a class does not occur.
    """
    if region not in REGIONS:
        raise ValueError(f"There is no simulated region '{region}'; there are: {'; '.join(REGIONS)}.")
    for name, values in (("latitudes", latitudes), ("days", days)):
        if len(values) < 2 or list(values) != sorted(set(values)):
            raise ValueError(f"The {name} must be at least two, in ascending order, not {tuple(values)}.")
    if start[0] not in days or start[1] not in latitudes:
        raise ValueError(f"The start {tuple(start)} must be one of the days and one of the latitudes.")
    table = season_table(region, latitudes, days, seeds, size)
    at = list(latitudes).index(start[1]), list(days).index(start[0])
    data = {
        "latitudes": list(latitudes), "days": list(days), "dates": [_date(day) for day in days],
        "start": at, "wavelengths": list(WAVELENGTHS), "step": STEP, "values": numbers(_packed(table)),
        "lines": [{"name": name, "color": color, "dash": dash} for name, (color, dash) in LINES.items()],
        "top": float(np.ceil(table[..., :10].max() * 10) / 10),
    }  # fmt: skip
    where = f"on day {start[0]} at {abs(start[1]):g} degrees {'north' if start[1] > 0 else 'south'}"
    greens = ", ".join(f"{name} {value:.2f}" for name, value in zip(LINES, table[at][:, 10], strict=True))
    alt = (
        f"Two line charts of simulated ground ({region}) {where}: reflectance over wavelength, and NDVI over the year. "
    )
    alt += f"NDVI on this day: {greens}."
    return assemble("seasons", data, image(_chart(table, at, days), alt), caption, shared=("lines",))


def season_table(
    region: str, latitudes: Sequence[float], days: Sequence[int], seeds: int = 4, size: int = 64
) -> np.ndarray:
    """Means over the pixels of a class, [latitudes, days, classes of LINES, 11]: ten reflectances and the NDVI.

    The same grounds (seeds 0, 1, ...) are seen at every latitude, at the middle longitude of the region, without haze.
    Only pixels whose eight neighbors have the same class count, so that no borders are included.
    """
    names = [c.name for c in SATELLITE_CLASSES]
    longitude = sum(REGIONS[region].longitudes) / 2
    sums, counts = np.zeros((len(latitudes), len(days), len(LINES), 11)), np.zeros(len(LINES))
    for seed in range(seeds):
        for i, latitude in enumerate(latitudes):
            scenes = satellite_year(seed, region, dates=days, size=size, place=(latitude, longitude))
            masks = np.stack([_inside(scenes[0].labels, names.index(name)) for name in LINES])
            for j, scene in enumerate(scenes):
                values = np.concatenate([scene.pixels, ndvi(scene.pixels)[None]]).reshape(11, -1).astype(np.float64)
                sums[i, j] += masks @ values.T
        counts += masks.sum(1)
    if (counts == 0).any():
        missing = [name for name, count in zip(LINES, counts, strict=True) if not count]
        raise ValueError(f"The simulated grounds have no {', '.join(missing)}; give more seeds or a larger size.")
    return sums / counts[:, None]


def _inside(labels: np.ndarray, label: int) -> np.ndarray:
    """Pixels of a class that have only their own kind around them, [rows * cols] bool."""
    return ((minimum_filter(labels, 3) == label) & (maximum_filter(labels, 3) == label)).ravel()


def _packed(table: np.ndarray) -> np.ndarray:
    return np.rint(table / STEP).astype(np.int16)


def _date(day: int) -> str:
    date = datetime.date(DEFAULT_YEAR, 1, 1) + datetime.timedelta(days=int(day) - 1)
    return f"{date.day} {date:%B}"


def _chart(table: np.ndarray, at: tuple[int, int], days: tuple[int, ...]) -> str:
    """The first state, drawn without pyplot so that no open figure is affected."""
    figure = Figure(figsize=(WIDEST, 3.4), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for k, (name, (color, dash)) in enumerate(LINES.items()):
        line = (0, tuple(map(float, dash.split()))) if dash else "-"
        style = {"color": "black" if color == "currentColor" else color, "linestyle": line, "label": name}
        left.plot(WAVELENGTHS, table[at][k, :10], **style)
        right.plot(days, table[at[0], :, k, 10], **style)
    right.axvline(days[at[1]], color="black", linewidth=0.8)
    left.set(xlabel="wavelength (nm)", ylabel="reflectance", ylim=(0, None))
    right.set(xlabel="day of the year", ylabel="NDVI", ylim=(-0.6, 1))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, handlelength=4)
    figure.canvas.draw()
    return drawing(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy(), longest=720)

"""Training data: patches cut from scenes, simulated dates of the same ground, stacks of dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from lulc_utils import data, raster, simulate
from lulc_utils.scene import Scene
from lulc_utils.simulate.light import sun_position
from lulc_utils.simulate.satellite.atmosphere import add_clouds, add_haze
from lulc_utils.simulate.satellite.scene import OVERPASS
from lulc_utils.simulate.satellite.seasons import season_day

FIRST_SEED = 10_000  # of simulated scenes for training from the command line; chapters and tests use smaller seeds


def images_and_bands(
    images: np.ndarray | torch.Tensor | Sequence[Scene], bands: Sequence[str] | None, crop: int
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Images as one float32 tensor and the names of their bands; ValueError when crops cannot be cut from them."""
    if len(images) and isinstance(images[0], Scene):
        images, bands, _ = patches(images, bands=bands)
    images = torch.as_tensor(np.asarray(images) if not isinstance(images, torch.Tensor) else images).float()
    if images.ndim not in (4, 5) or not len(images):
        raise ValueError(
            f"Images must be [patches, bands, rows, cols], with dates [patches, dates, bands, rows, cols], "
            f"not an array of shape {tuple(images.shape)}."
        )
    if crop > min(images.shape[-2:]):
        raise ValueError(f"A crop of {crop} pixels does not fit into patches of {tuple(images.shape[-2:])}.")
    if not torch.isfinite(images).all():
        raise ValueError("The images hold NaN or infinite values; mask or fill them first.")
    bands = tuple(bands or (f"band {i}" for i in range(1, images.shape[-3] + 1)))
    if len(bands) != images.shape[-3]:
        raise ValueError(f"The images have {images.shape[-3]} bands but {len(bands)} names of bands.")
    return images, bands


def about(images: torch.Tensor, bands: Sequence[str], random: bool) -> dict:
    """What, besides the settings, must be the same when a run continues; random: whether it starts without a model."""
    mean = f"{float(images.double().mean()):.6g}"
    return {"bands": list(bands), "shape": list(images.shape), "mean": mean, "random": random}


def patches(
    scenes: Sequence[Scene], size: int | None = None, bands: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray | None]:
    """Scenes cut into squares: images [P, C, size, size] float32, band names, labels [P, size, size] or None.

    size    None: the scenes as they are; all must then be of one size
    bands   which bands, in this order; None: those of the first scene

    Labels are None unless every scene has them. ValueError names the scene that does not fit.
    """
    if not len(scenes):
        raise ValueError("There are no scenes to train on.")
    bands = tuple(bands or scenes[0].bands)
    pieces = [piece for scene in scenes for piece in (raster.crops(scene, size) if size else [scene])]
    shapes = {piece.pixels.shape[1:] for piece in pieces}
    if len(shapes) > 1:
        raise ValueError(f"The scenes have {len(shapes)} different sizes; cut them to one with patches(scenes, size).")
    images = np.stack([piece.select(*bands) for piece in pieces]).astype(np.float32)
    whole = all(scene.labels is not None for scene in scenes)
    return images, bands, np.stack([piece.labels for piece in pieces]) if whole else None


def simulated_dates(
    region: str,
    seeds: Sequence[int],
    dates: int = 1,
    size: int = 64,
    *,
    haze: float = 0.8,
    clouds: float = 0.0,
    progress: bool = False,
) -> list[list[Scene]]:
    """Simulated acquisitions of many grounds, one list of len(seeds) scenes per date.

    Every ground has its own dates, drawn from the region's growing season, and every acquisition its own haze, drawn
    from 0 to `haze`, and its own share of clouds, from 0 to `clouds` (labels say what lies below). What differs between
    two dates of one ground is what the network should learn to ignore. The same arguments give the same scenes.
    ValueError for a region that does not exist.
    """
    if region not in simulate.REGIONS:
        raise ValueError(f"There is no region '{region}'; there are {'; '.join(simulate.REGIONS)}.")
    about, rows = simulate.REGIONS[region], []
    for seed in tqdm(seeds, desc="simulating", disable=not progress):
        rng = np.random.default_rng([seed, 3])
        days = [season_day(day, sum(about.latitudes) / 2) for day in rng.uniform(*about.season, dates)]
        scenes = simulate.satellite_year(seed, region, dates=[max(1, int(day)) for day in days], size=size)
        hazy = [replace(s, pixels=add_haze(rng, s.pixels, haze * rng.random())) for s in scenes]
        rows.append([_clouded(rng, s, clouds * rng.random(), sum(about.latitudes) / 2) if clouds else s for s in hazy])
    return [list(scenes) for scenes in zip(*rows, strict=True)]


def _clouded(rng: np.random.Generator, scene: Scene, share: float, latitude: float) -> Scene:
    sun = sun_position(latitude, scene.date, OVERPASS)
    return replace(scene, pixels=np.clip(add_clouds(rng, scene.pixels, share, sun), 0, 1).astype(np.float32))


def date_stacks(dates: Sequence[Sequence[Scene]], depth: int) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Several dates as one image with more bands: images [P, K, depth * C, H, W], their bands, labels [P, H, W].

    dates    `simulated_dates`, or any lists of scenes of the same P grounds, one per date
    depth    dates per stack, sorted by date; K = len(dates) // depth stacks of different dates of every ground

    With K = 1 take images[:, 0] to fine-tune on; K >= 2 is what `pretrain` takes, and pairs one with another.
    ValueError when there are too few dates.
    """
    if not 1 <= depth <= len(dates):
        raise ValueError(f"Stacks of {depth} dates cannot be made of {len(dates)}.")
    stacks = []
    for first in range(0, len(dates) - depth + 1, depth):
        grounds = zip(*dates[first : first + depth], strict=True)
        sorted_grounds = [sorted(scenes, key=lambda s: s.date.timetuple().tm_yday) for scenes in grounds]
        stacks.append(np.stack([np.concatenate([s.pixels for s in scenes]) for scenes in sorted_grounds]))
    names = tuple(f"{band} {i}" for i in range(1, depth + 1) for band in dates[0][0].bands)
    return np.stack(stacks, 1), names, np.stack([s.labels for s in dates[0]])


def scenes_for(
    source: str, regions: Sequence[str] = (), n: int = 100, dates: int = 1, size: int = 64, *, progress: bool = False
) -> list[list[Scene]]:
    """Scenes for training, one list per date, of "simulated", "satclip", "terramesh" or a folder of GeoTIFFs.

    regions   of the simulator, or parts of their names; all when empty. n patches of each.
    dates     simulated only: how many dates of the same ground

    Simulated scenes have seeds from 10000, which no chapter uses. ValueError, FileNotFoundError or DataUnavailable
    when there is nothing to train on.
    """
    if source != "simulated":
        read = {"satclip": data.satclip, "terramesh": data.terramesh}.get(source)
        scenes = read(progress=progress) if read else _read_folder(Path(source))
        return [[piece for scene in scenes for piece in raster.crops(scene, size)]]
    if n < 1 or dates < 1:
        raise ValueError(f"At least one patch on one date must be simulated, not {n} on {dates}.")
    if unknown := [part for part in regions if not any(part in name for name in simulate.REGIONS)]:
        raise ValueError(f"There is no region '{unknown[0]}'; there are {'; '.join(simulate.REGIONS)}.")
    chosen = [name for name in simulate.REGIONS if not regions or any(part in name for part in regions)]
    seeds = range(FIRST_SEED, FIRST_SEED + n)
    parts = [simulated_dates(region, seeds, dates, size, progress=progress) for region in chosen]
    return [[scene for part in same for scene in part] for same in zip(*parts, strict=True)]


def _read_folder(folder: Path) -> list[Scene]:
    """All GeoTIFFs of a folder in the order of their names; masks lie next to them as NAME.labels.tif."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}; --data takes simulated, satclip, terramesh or a folder of GeoTIFFs."
        )
    files = [f for f in sorted(folder.glob("*.tif")) if not f.name.endswith(".labels.tif")]
    if not files:
        raise ValueError(f"{folder} contains no GeoTIFF (*.tif).")
    return [raster.read_scene(file) for file in files]

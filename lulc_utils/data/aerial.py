"""Aerial photographs in red, green and blue: scenes of 21 kinds, cities with vegetation, cities with buildings.

Which of them may be trained on stands with each function; the published sets have more, of which some are nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio

from lulc_utils.data.datasets import RGB, read_rgb
from lulc_utils.data.download import fetch
from lulc_utils.data.manifest import registry
from lulc_utils.legends import BUILDING_CLASSES, VEGETATION_CLASSES
from lulc_utils.scene import Scene

UC_MERCED_KINDS = (
    "agricultural", "airplane", "baseball diamond", "beach", "buildings", "chaparral", "dense residential", "forest",
    "freeway", "golf course", "harbor", "intersection", "medium residential", "mobile home park", "overpass",
    "parking lot", "river", "runway", "sparse residential", "storage tanks", "tennis court",
)  # fmt: skip
UC_MERCED_METERS = 0.3  # per pixel, as its authors say; the files do not know it
CITIES_TO_FIT = ("chico", "claremont", "riverside")
CITIES_TO_SCORE = ("eureka", "bishop", "long_beach")
VEGETATION = 0.2  # lowest NDVI of vegetation
DEGREE = 40_075_017 / 360  # meters per degree at the equator, of which web-Mercator makes its tiles
HOT = "ramp-data/TRAIN/HOTOSM/2"
BUILDINGS = {  # place -> folder of its images, folder of its masks, name of a mask
    "Kampala": (f"{HOT}/chips", f"{HOT}/binarymasks", "{}.mask.tif"),
    "Nairobi": (f"{HOT}/data/5", f"{HOT}/labels/5", "{}.tif"),
}


def uc_merced(numbers: Iterable[int] = range(70, 86), *, progress: bool = True) -> list[Scene]:
    """UC Merced Land Use: a photograph of each of UC_MERCED_KINDS per number, 21 in a row, fetched if needed.

    numbers  70 to 85, which are for scoring. Of the hundred of a kind 0 to 69 may be used for training without labels
             (they are not here) and 86 to 99 are nobody's. Neighbors can come from one photograph: leave a gap

    Pixels are (3, 256, 256) uint8, a few scenes are some pixels smaller, 0.3 m (UC_MERCED_METERS); there is no place,
    no date and no label of a pixel. **`group` is the kind of the scene**, which a model has to answer; do not split by
    it. Public domain imagery of the USGS, meant for research (Yang and Newsam 2010). ValueError for another number,
    DataUnavailable when files are missing.
    """
    numbers = list(dict.fromkeys(numbers))
    if strange := [number for number in numbers if number not in range(70, 86)]:
        raise ValueError(
            f"UC Merced has the numbers 70 to 85 here, not {strange[0]}: those below are for training without labels, "
            "those above are kept back."
        )
    names = [(kind, kind.replace(" ", ""), number) for number in numbers for kind in UC_MERCED_KINDS]
    files = [f"UCMerced_LandUse/Images/{word}/{word}{number}.tif" for _, word, number in names]
    folder = fetch("uc-merced", files=files, progress=progress)
    return [
        Scene(f"{kind} {number}", read_rgb(folder / file), RGB, f"UC Merced, {kind} {number}", group=kind)
        for (kind, _, number), file in zip(names, files, strict=True)
    ]


def urban_trees(cities: Iterable[str] | None = None, year: int = 2020, *, progress: bool = True) -> list[Scene]:
    """Places in Californian cities from the air (NAIP) with their vegetation, fetched if needed.

    cities  of CITIES_TO_FIT (16 places each), on which a backbone may be trained without labels as well, and of
            CITIES_TO_SCORE (21, 10 and 24), which nothing is ever fitted to; default: all six
    year    2020; three places each of Long Beach and Riverside also exist in 2016 and 2018

    Pixels are (3, 256, 256) uint8, red, green and blue; the near infrared of the files only makes the labels
    (VEGETATION_CLASSES by NDVI >= 0.2), so that no model sees it. 0.6 m, UTM. `group` is the city: split by it, because
    "Riverside 1 2020" and "Riverside 1 2018" are one place, which stays on one side. CC BY 4.0 (Ventura et al. 2024).
    ValueError for a city that is not there or has nothing of that year, DataUnavailable when files are missing.
    """
    known = CITIES_TO_FIT + CITIES_TO_SCORE
    cities = [cities] if isinstance(cities, str) else list(known if cities is None else cities)
    names = [file.name for file in registry("urban-trees")]
    files = {city: [name for name in names if name.startswith(f"images/{city}_{year}_")] for city in cities}
    for city, those in files.items():
        if not those:
            raise ValueError(
                f"There is no image of '{city}' in {year}; there are {', '.join(known)} in 2020 and some of long_beach "
                "and riverside in 2016 and 2018."
            )
    folder = fetch("urban-trees", files=sum(files.values(), []), progress=progress)
    return [naip_scene(folder / name) for those in files.values() for name in those]


def place_title(place: str) -> str:
    """The name of a place for a reader: "Long Beach 7" for "long_beach 7"; what is in no such city stays."""
    city = re.match(rf"({'|'.join(CITIES_TO_FIT + CITIES_TO_SCORE)})\b", place)
    return city[0].replace("_", " ").title() + place[city.end() :] if city else place


def naip_scene(path: Path) -> Scene:
    """A file <city>_<year>_<number>.tif of red, green, blue and near infrared; see `urban_trees`."""
    city, year, number = path.stem.rsplit("_", 2)
    with rasterio.open(path) as file:
        pixels, where = file.read(), {"transform": file.transform, "crs": file.crs}
    red, infrared = pixels[0].astype(np.float32), pixels[3].astype(np.float32)
    green = infrared - red >= np.float32(VEGETATION) * np.maximum(infrared + red, 1)  # black pixels are none
    return Scene(
        name=place_title(f"{city} {number} {year}"),
        pixels=pixels[:3],
        bands=RGB,
        source=f"NAIP {year} (Urban Tree Detection), {place_title(city)} {number}",
        labels=green.astype(np.uint8),
        classes=VEGETATION_CLASSES,
        group=city,
        **where,
    )


def buildings(place: str, *, progress: bool = True) -> list[Scene]:
    """Image tiles of dense, self-built housing with masks of the buildings, fetched if needed.

    place  "Kampala" (118 tiles, 23 % building) or "Nairobi" (100, 29 %; some masks are shifted by a meter or so)

    Pixels are (3, 256, 256) uint8, labels index BUILDING_CLASSES. Web-Mercator tiles of zoom 19 (0.3 m), 20 (0.15 m)
    and 21 (0.075 m); `ground_resolution` says which. Levels overlap on the ground and `group` is the place: fit on one,
    score on the other. No backbone may be trained on either. OpenAerialMap, masks from OpenStreetMap (ODbL); the host
    does not state the imagery's license. ValueError for another place, DataUnavailable when files are missing.
    """
    if place not in BUILDINGS:
        raise ValueError(f"There are buildings of {' and '.join(BUILDINGS)}, not of '{place}'.")
    images, masks, pattern = BUILDINGS[place]
    names = [file.name for file in registry("buildings") if file.name.startswith(f"{images}/")]
    pairs = [(name, f"{masks}/{pattern.format(Path(name).stem)}") for name in names]
    folder = fetch("buildings", files=sum(pairs, ()), progress=progress)
    return [building_scene(folder / image, folder / mask, place) for image, mask in pairs]


def building_scene(image: Path, mask: Path, place: str) -> Scene:
    """A tile OAM-<column>-<row>-<zoom>; its mask, which knows where it lies, is 0 and 1 or 0 and 255."""
    column, row, zoom = image.stem.split("-")[1:]
    with rasterio.open(mask) as file:
        labels, where = (file.read(1) > 0).astype(np.uint8), {"transform": file.transform, "crs": file.crs}
    return Scene(
        name=f"{place} {zoom}/{column}/{row}",
        pixels=read_rgb(image),
        bands=RGB,
        source=f"OpenAerialMap, {place}, tile {column}/{row} of zoom {zoom}",
        labels=labels,
        classes=BUILDING_CLASSES,
        group=place,
        **where,
    )


def ground_resolution(scene: Scene) -> float:
    """Meters on the ground that a pixel is wide. ValueError when the scene has no place on Earth."""
    _, south, _, north = scene.bounds_latlon()
    width = abs(scene.transform.a)
    if scene.crs.is_projected:
        return width * scene.crs.linear_units_factor[1]
    return float(width * DEGREE * np.cos(np.radians((south + north) / 2)))

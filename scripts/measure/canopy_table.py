"""Make lulc_utils/simulate/satellite/canopy.npz: how bright plant canopies are in ten bands of Sentinel-2.

    pip install prosail            (needed here only; the package itself reads the table)
    python scripts/measure/canopy_table.py

Leaves are simulated with PROSPECT-D (Feret et al. 2017), canopies of such leaves with 4SAIL (Verhoef et al. 2007), in
the implementation of Gomez-Dans (package `prosail`), from 400 to 2500 nm, and averaged over the bands.

The soil is not an axis of the table. For every canopy, three numbers per band give the effect of any background:

    R(background) = A + T * background / (1 - D * background)

A is the canopy above a black background, T the share of light that reaches the ground and comes back up, D the share
that the canopy reflects back down. In 4SAIL this is exact except for the hot spot in multiple scattering; `worst` below
measures the loss. So soil, water and litter can all lie under the same leaves.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from lulc_utils.files import complete_or_absent

TARGET = Path(__file__).resolve().parents[2] / "lulc_utils" / "simulate" / "satellite" / "canopy.npz"

# Center and width (full width at half maximum) of the Multi-Spectral Instrument of Sentinel-2A in nanometers, from
# ESA's Sentinel-2 user documentation. The measured response curves are replaced by super-Gaussians of that width.
RESPONSE = {
    "B02": (492.4, 66), "B03": (559.8, 36), "B04": (664.6, 31), "B05": (704.1, 15), "B06": (740.5, 15),
    "B07": (782.8, 20), "B08": (832.8, 106), "B8A": (864.7, 21), "B11": (1613.7, 91), "B12": (2202.4, 175),
}  # fmt: skip

AXES = {
    "sun": (20.0, 45.0, 70.0),  # zenith angle of the sun, degrees; the satellite looks straight down
    "leaf_angle": (38.0, 58.0),  # mean inclination of the leaves, degrees: flat as of beet, steep as of wheat
    "lai": (0.0, 0.3, 0.7, 1.3, 2.2, 3.4, 5.0, 7.5),  # leaf area per ground area
    "chlorophyll": (4.0, 15.0, 30.0, 45.0, 65.0),  # micrograms per square centimeter of leaf
    "brown": (0.0, 0.25, 0.6, 1.2),  # brown pigment, 0 in a fresh leaf, about 1 in a dead one
    "water": (0.003, 0.010, 0.022),  # equivalent water thickness of the leaf, centimeters
}
STRUCTURE, HOT_SPOT = 1.6, 0.05  # leaf structure parameter N; leaf size relative to the height of the canopy


def response() -> np.ndarray:
    """Weight of every nanometer from 400 to 2500 in every band, [10, 2101], rows sum to 1."""
    nm = np.arange(400, 2501)
    rows = [np.exp(-np.log(2) * (2 * np.abs(nm - center) / width) ** 6) for center, width in RESPONSE.values()]
    return np.stack(rows) / np.sum(rows, 1, keepdims=True)


def leaf_traits(chlorophyll: float, water: float) -> dict:
    """Carotenoid and dry matter that go with the two traits of the table."""
    return {"cab": chlorophyll, "car": 1.5 + chlorophyll / 5, "cw": water, "cm": 0.003 + 0.2 * water}


def canopy(sun: float, leaf_angle: float, lai: float, chlorophyll: float, brown: float, water: float, **more):
    """The result of prosail for one canopy seen from above."""
    import prosail

    return prosail.run_prosail(
        n=STRUCTURE, cbrown=brown, lai=lai, lidfa=leaf_angle, hspot=HOT_SPOT, tts=sun, tto=0.0, psi=0.0,
        prospect_version="D", **leaf_traits(chlorophyll, water), **more,
    )  # fmt: skip


def terms(weights: np.ndarray, *traits: float) -> np.ndarray:
    """A, T and D in every band, [3, 10]."""
    names = "tss too tsstoo rdd tdd rsd tsd rdo tdo rso rsos rsod rddt rsdt rdot rsodt rsost rsot".split()
    fluxes = dict(zip(names, canopy(*traits, factor="ALLALL", rsoil0=np.full(2101, 0.1)), strict=False))
    down_and_up = (fluxes["tss"] + fluxes["tsd"]) * fluxes["tdo"] + fluxes["tsd"] * fluxes["too"] + fluxes["tsstoo"]
    return np.stack([weights @ np.broadcast_to(t, 2101) for t in (fluxes["rso"], down_and_up, fluxes["rdd"])])


def table(weights: np.ndarray) -> np.ndarray:
    """[sun, leaf_angle, lai, chlorophyll, brown, water, term, band] float16."""
    shape = tuple(len(a) for a in AXES.values())
    out = np.empty((*shape, 3, len(RESPONSE)), np.float16)
    for place in np.ndindex(*shape):
        traits = [axis[i] for axis, i in zip(AXES.values(), place, strict=True)]
        bare = traits[2] == 0  # 4SAIL needs leaves; without any, the background is all there is
        out[place] = np.array([0, 1, 0])[:, None] if bare else terms(weights, *traits)
    return out


def worst(weights: np.ndarray, cube: np.ndarray, seed: int = 0, trials: int = 60) -> float:
    """Largest error in reflectance of the table against full runs of the model, over random soils and grid points."""
    rng, worst_error = np.random.default_rng(seed), 0.0
    for _ in range(trials):
        place = [rng.integers(name == "lai", len(axis)) for name, axis in AXES.items()]
        soil = rng.uniform(0.02, 0.4)
        full = weights @ canopy(
            *(axis[i] for axis, i in zip(AXES.values(), place, strict=True)), rsoil0=np.full(2101, soil)
        )
        a, t, d = cube[tuple(place)].astype(float)
        worst_error = max(worst_error, float(np.abs(a + t * soil / (1 - d * soil) - full).max()))
    return worst_error


def main() -> None:
    """Make the table, measure its error, and write it."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=Path, default=TARGET)
    path = options.parse_args().out
    weights = response()
    cube = table(weights)
    axes = {name: np.array(values, np.float32) for name, values in AXES.items()}
    with complete_or_absent(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, terms=cube, bands=np.array(list(RESPONSE)), **axes)
    count = len(list(itertools.product(*AXES.values())))
    print(f"{count} canopies, {path.stat().st_size / 1000:.0f} kB, worst error {worst(weights, cube):.4f}: {path}")


if __name__ == "__main__":
    main()

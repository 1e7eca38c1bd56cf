"""Simulated satellite scenes: physics of the spectra, seasons on both hemispheres, sound data, fair difficulty."""

import datetime

import numpy as np
import pytest
from scipy import ndimage
from threadpoolctl import threadpool_limits

from lulc_utils import evaluate, simulate
from lulc_utils.simulate.satellite import atmosphere, cover, fields, seasons, spectra
from lulc_utils.simulate.satellite.regions import BARE, BUILT, GRASS, SUMMER, TREES, WATER, WETLAND, WINTER
from lulc_utils.simulate.satellite.spectra import BANDS, Canopy

PLAIN, COAST, SAVANNA, MIOMBO, PAMPAS, HUMID = simulate.REGIONS
CLASSES = len(simulate.SATELLITE_CLASSES)
B02, B03, B04, B05, B06, B07, B08, B8A, B11, B12 = range(10)
each_region = pytest.mark.parametrize("region", simulate.REGIONS)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def plants(lai, chlorophyll=42.0, brown=0.05, water=0.012, steep=0.6, soil="loam", sun=40.0):
    """Spectra [U, 10] of canopies over one dry soil."""
    traits = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(t, float)) for t in (lai, chlorophyll, brown, water, steep))
    )
    return spectra.vegetation(Canopy(*traits), np.tile(np.float32(spectra.SOILS[soil]), (len(traits[0]), 1)), sun)


# ------------------------------------------------------------------------------------------------ spectra


def test_red_edge_in_green_canopies_and_not_in_soil_or_dead_leaves():
    green = plants([2, 4, 6])
    assert (green[:, B07] > 4 * green[:, B05] - 0.1).all() and (green[:, B08] > 6 * green[:, B04]).all()
    assert (np.diff(green[:, B04 : B07 + 1], axis=1) > 0.02).all()
    assert (green[:, B03] > green[:, B02]).all() and (green[:, B03] > green[:, B04]).all()  # leaves look green
    soils = spectra.table_of(spectra.SOILS)
    assert (soils[:, B08] < 2.2 * soils[:, B04]).all() and (np.diff(soils[:, :B11], axis=1) > 0).all()
    dead = plants(3, chlorophyll=4, brown=1.2, water=0.003)[0]
    assert dead[B07] / dead[B05] < 2 < green[0, B07] / green[0, B05]


def test_more_leaves_more_ndvi_less_swir_and_without_leaves_the_ground():
    found = plants([0, 0.3, 1, 2, 4, 7])
    assert found[0] == pytest.approx(np.float32(spectra.SOILS["loam"]), abs=1e-6)
    assert (np.diff(simulate.ndvi(found.T)) > 0).all()
    assert (np.diff(found[:, B12]) < 0).all()
    assert (plants(3, water=0.02)[0] < plants(3, water=0.005)[0])[[B11, B12]].all()  # water in leaves absorbs
    assert plants(3, chlorophyll=60)[0, B05] < plants(3, chlorophyll=15)[0, B05]  # chlorophyll moves the red edge


def test_table_has_the_documented_grid_and_interpolation_returns_its_entries():
    cube, axes = spectra._canopy_table()
    assert cube.shape == (*(len(a) for a in axes.values()), 3, 10) and np.isfinite(cube).all()
    assert cube.min() >= 0 and cube[..., 2, :].max() < 1
    at = (1, 1, 4, 2, 1, 1)
    sun, angle, *traits = (a[i] for a, i in zip(axes.values(), at, strict=True))
    above, through, back = cube[at]
    soil = np.float32(spectra.SOILS["red"])
    steep = (angle - axes["leaf_angle"][0]) / np.ptp(axes["leaf_angle"])
    assert plants(*traits, steep, "red", sun)[0] == pytest.approx(above + through * soil / (1 - back * soil), abs=1e-5)
    between = plants(*traits, steep, "red", sun + 5)[0], plants(*traits, steep, "red", sun + 25)[0]
    assert not np.allclose(*between, atol=1e-3)  # the height of the sun matters


def test_a_known_canopy_of_prosail():
    """Full PROSAIL run (PROSPECT-D, 4SAIL; LAI 3.4, 45 ug/cm2, spherical-like 58 degrees, sun 45) over soil 0.1."""
    grey = np.full((1, 10), 0.1, np.float32)
    canopy = Canopy(*(np.array([v]) for v in (3.4, 45.0, 0.0, 0.010, 1.0)))
    golden = [0.0202, 0.0516, 0.0141, 0.0711, 0.3157, 0.4139, 0.4140, 0.4136, 0.2133, 0.0905]
    assert spectra.vegetation(canopy, grey, 45.0)[0] == pytest.approx(golden, abs=2e-3)


def test_water_is_darkest_in_the_infrared_and_wet_soil_darker_than_dry():
    waters = spectra.table_of(spectra.WATERS)
    others = np.concatenate([spectra.table_of(t) for t in (spectra.SOILS, spectra.MATERIALS)])
    assert waters[:, B08:].max() < 0.06 < others[:, B08:].min()
    assert (waters[:, B12] < waters[:, [B02, B03]].min(1)).all()
    soils = spectra.table_of(spectra.SOILS)
    damp = spectra.wet(soils, np.full(len(soils), 0.7))
    assert (damp < soils).all() and ((damp / soils)[:, B12] < (damp / soils)[:, B08]).all()


@each_region
def test_class_spectra_of_scenes(region):
    """Medians over pixels away from borders: water darkest in the infrared, trees darker than fields, red edge."""
    pixels = {k: [] for k in range(CLASSES)}
    for seed in range(10):
        for scene in simulate.satellite_year(seed, region, dates=4, size=96):
            inner = ndimage.minimum_filter(scene.labels, 5) == ndimage.maximum_filter(scene.labels, 5)
            for k in pixels:
                pixels[k].append(scene.pixels[:, inner & (scene.labels == k)])
    median = {k: np.median(np.concatenate(v, 1), 1) for k, v in pixels.items() if sum(x.shape[1] for x in v) > 200}
    assert {WATER, TREES, GRASS, SUMMER} <= set(median)
    for k, values in median.items():
        assert k == WATER or (values[[B8A, B11, B12]] > median[WATER][[B8A, B11, B12]]).all(), k
    assert median[TREES][B04] < median[GRASS][B04] and median[TREES][B11] < median[GRASS][B11]
    assert median[TREES][B07] > 2.5 * median[TREES][B05]
    for k in {BARE, BUILT} & set(median):
        assert median[k][B07] < 2.2 * median[k][B05]


# ------------------------------------------------------------------------------------------------ seasons


def peak(region, label, dates=range(8, 366, 15), seeds=range(5), **more):
    """Day of the year with the highest mean NDVI of a class."""
    found = np.zeros((len(seeds), len(dates)))
    for row, seed in zip(found, seeds, strict=True):
        for i, scene in enumerate(simulate.satellite_year(seed, region, dates=dates, size=64, **more)):
            here = scene.labels == label
            row[i] = simulate.ndvi(scene.pixels)[here].sum()
    return dates[int(found.sum(0).argmax())]


@pytest.mark.parametrize(
    "region, label, first, last",
    [
        (PLAIN, WINTER, 120, 180), (PLAIN, SUMMER, 190, 260), (COAST, WINTER, 70, 125), (COAST, SUMMER, 165, 230),
        (SAVANNA, SUMMER, 215, 275), (SAVANNA, WINTER, 1, 70), (MIOMBO, SUMMER, 15, 80), (MIOMBO, WINTER, 190, 260),
        (PAMPAS, WINTER, 255, 320), (PAMPAS, SUMMER, 8, 85), (HUMID, SUMMER, 1, 60), (HUMID, WINTER, 190, 260),
    ],
)  # fmt: skip
def test_ndvi_peaks_in_the_right_season_on_both_hemispheres(region, label, first, last):
    assert first <= peak(region, label) <= last


def test_the_same_green_field_means_another_crop_in_another_season_or_hemisphere():
    def winter_share(region, day):
        scenes = [simulate.satellite(s, region, day, size=64) for s in range(8)]
        green = np.concatenate([s.labels[simulate.ndvi(s.pixels) > 0.75] for s in scenes])
        return (green == WINTER).sum() / np.isin(green, (WINTER, SUMMER)).sum()

    assert winter_share(PLAIN, 125) > 0.85 and winter_share(PLAIN, 225) < 0.2
    assert winter_share(PAMPAS, 35) < 0.3 and winter_share(PAMPAS, 275) > 0.85


def test_phenology_is_continuous_in_place_and_day_and_later_polewards():
    climate = simulate.REGIONS[PLAIN].climate
    for latitude in np.arange(-59.0, 69, 0.5):
        a = seasons.weather(climate, latitude, 10.0, 130)
        for b in (
            seasons.weather(climate, latitude + 0.01, 10.0, 130),
            seasons.weather(climate, latitude, 10.05, 130),
            seasons.weather(climate, latitude, 10.0, 130.1),
        ):
            turn = abs((b.day - a.day + 180) % seasons.YEAR - 180)
            assert max(turn, abs(b.delay - a.delay)) < 0.6
            assert abs(b.warmth - a.warmth) < 0.2 and abs(b.moisture - a.moisture) < 0.01
    assert seasons.season_day(130, 50) == 130 and seasons.season_day(130, -50) == pytest.approx(130 + 182.625)
    crop = simulate.REGIONS[PLAIN].winter[0]
    days = np.arange(0, 365.25, 0.25)
    leaves = seasons.crop_growth(crop, days).leaves
    assert np.abs(np.diff(leaves, append=leaves[0])).max() < 0.05 and leaves.max() > 0.99 and leaves.min() == 0
    assert seasons.weather(climate, 54, 10, 130).delay - seasons.weather(climate, 48, 10, 130).delay > 15


def test_moving_a_ground_north_delays_it_and_keeps_it():
    south, north = (simulate.satellite(3, PLAIN, 110, place=(lat, 10.0)) for lat in (46.0, 56.0))
    assert np.array_equal(south.labels, north.labels)
    wheat = south.labels == WINTER
    assert wheat.any() and simulate.ndvi(south.pixels)[wheat].mean() > simulate.ndvi(north.pixels)[wheat].mean() + 0.1
    west, low, _, _ = north.bounds_latlon()
    assert (round(west, 1), round(low, 1)) == (10.0, 56.0)


# ------------------------------------------------------------------------------------------------ data


@pytest.mark.parametrize("size", [16, 65, 128])
def test_scene_is_sound(size):
    for seed, region in enumerate(simulate.REGIONS):
        scene = simulate.satellite(seed, region, size=size)
        assert scene.bands == BANDS == ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
        assert scene.pixels.shape == (10, size, size) and scene.pixels.dtype == np.float32
        assert scene.pixels.flags.c_contiguous and scene.labels.flags.c_contiguous
        assert scene.labels.shape == (size, size) and scene.labels.dtype == np.uint8 and scene.labels.max() < CLASSES
        assert scene.simulated and region in scene.source and simulate.region_of(scene) == region
        assert (scene.transform.a, scene.transform.e) == (10, -10)
        west, south, east, north = scene.bounds_latlon()
        lat, lon = simulate.REGIONS[region].latitudes, simulate.REGIONS[region].longitudes
        assert lat[0] - 0.05 < south < north < lat[1] + 0.05 and lon[0] - 0.05 < west < east < lon[1] + 0.05
        assert scene.crs.to_epsg() == (32600 if south > 0 else 32700) + int((west + 180) // 6) + 1


def test_regions_lie_on_three_continents_and_both_hemispheres():
    found = simulate.REGIONS.values()
    assert len({r.continent for r in found}) == 3 and {np.sign(r.latitudes[0]) for r in found} == {-1, 1}
    for region in found:
        assert len(region.mix) == CLASSES and sum(region.mix) == pytest.approx(1, abs=0.02)
        assert sum(region.soils.values()) == pytest.approx(1) and sum(region.roofs.values()) == pytest.approx(1)
    assert len({c.color for c in simulate.SATELLITE_CLASSES}) == CLASSES


def test_same_arguments_same_scene_and_golden_means():
    first = simulate.satellite(7, PAMPAS, 40)
    np.random.seed(0)  # noqa: NPY002  global state must not matter
    simulate.satellite(8, PAMPAS, 40)
    again = simulate.satellite_year(7, PAMPAS, dates=[200, datetime.date(2020, 2, 9)])[1]
    assert np.array_equal(first.pixels, again.pixels) and np.array_equal(first.labels, again.labels)
    assert (first.name, first.date, first.transform) == (again.name, again.date, again.transform)
    assert not np.array_equal(first.labels, simulate.satellite(8, PAMPAS, 40).labels)
    assert not np.array_equal(first.labels, simulate.satellite(7, HUMID, 40).labels)
    assert first.pixels.mean((1, 2)) == pytest.approx(
        [0.0575, 0.1019, 0.0697, 0.1326, 0.3061, 0.3580, 0.3820, 0.3769, 0.2402, 0.1483], abs=2e-3
    )
    assert np.bincount(first.labels.ravel(), minlength=8) / 128**2 == pytest.approx(
        [0.0193, 0.0005, 0.1014, 0.0787, 0.3928, 0.2439, 0.1632, 0.0002], abs=0.005
    )


def test_a_year_shows_one_ground_in_many_seasons():
    year = simulate.satellite_year(2, COAST, size=64)
    assert len(year) == 12 and len({s.date.month for s in year}) == 12 and len({s.name for s in year}) == 12
    assert all(np.array_equal(s.labels, year[0].labels) and s.group == year[0].group for s in year)
    assert np.abs(year[3].pixels - year[8].pixels).mean() > 0.02
    assert np.array_equal(year[4].pixels, simulate.satellite(2, COAST, year[4].date, size=64).pixels)


def test_drawn_dates_lie_in_the_region_s_season():
    for region in (PLAIN, PAMPAS):
        dates = {simulate.satellite(s, region, size=16).date for s in range(30)}
        first, last = simulate.REGIONS[region].season
        latitude = np.mean(simulate.REGIONS[region].latitudes)
        days = [seasons.season_day(d.timetuple().tm_yday, latitude) for d in dates]
        assert first - 2 <= min(days) and max(days) <= last + 2 and len(dates) > 20
        assert len({d.year for d in dates}) > 3


def test_region_of_other_scenes():
    with pytest.raises(ValueError, match="not drawn by simulate.satellite"):
        simulate.region_of(simulate.aerial(0, 64))


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"seed": -1}, "not be negative"), ({"region": "Atlantis"}, f"there are: {PLAIN}; "),
        ({"size": 15}, "at least 16"),
        ({"date": 0}, "1..366"), ({"date": 367}, "1..366"), ({"clouds": 1.1}, "clouds must lie in 0..1"),
        ({"haze": -0.1}, "haze must lie in 0..1"), ({"place": (80, 0)}, "latitude in -60..70"),
        ({"clouds": float("nan")}, "clouds must"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(arguments, words):
    with pytest.raises(ValueError, match=words) as error:
        simulate.satellite(**({"seed": 0} | arguments))
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_a_year_of_no_dates_is_refused():
    with pytest.raises(ValueError, match="1 to 366 dates, not 0"):
        simulate.satellite_year(0, dates=0)


# ------------------------------------------------------------------------------------------------ ground


def mean_field(region, seeds=range(6)):
    """Mean area of a crop field in hectares, on grounds of 2.56 km."""
    areas = []
    for seed in seeds:
        ground = fields.draw_ground(np.random.default_rng(seed), simulate.REGIONS[region], 256)
        pixels = np.bincount(ground.unit.ravel(), minlength=len(ground.kind))
        areas.append(pixels[np.isin(ground.kind, (WINTER, SUMMER))] / 100)
    return np.concatenate(areas).mean()


def test_fields_have_the_size_of_their_region():
    size = {r: mean_field(r) for r in simulate.REGIONS}
    assert size[PAMPAS] > 3 * size[PLAIN] > 5 * size[SAVANNA]
    assert size[SAVANNA] < 0.6 and size[PAMPAS] > 5  # hectares, parts of fields at the edge of the scene included


def test_parcels_cover_everything_once_and_are_cut_to_size():
    y, x = np.mgrid[:90, :120].astype(np.float32)
    parcel, count = fields.cut_parcels(np.random.default_rng(0), x, y, 15.0)
    assert sorted(set(parcel.ravel())) == list(range(count)) and count > 40
    for box in ndimage.find_objects(parcel + 1):
        sides = [s.stop - s.start for s in box]
        assert (parcel[box] == parcel[box][0, 0]).all() and max(sides) < 15 * np.exp(0.35 * 3.5)
    whole, one = fields.cut_parcels(np.random.default_rng(0), x, y, 1e4)
    assert one == 1 and not whole.any()


def test_class_mixes_follow_the_region():
    shares = {}
    for region in (HUMID, PAMPAS):
        scenes = [simulate.satellite(s, region, size=64) for s in range(40)]
        shares[region] = np.bincount(np.concatenate([s.labels.ravel() for s in scenes]), minlength=8) / (40 * 64**2)
        assert shares[region] == pytest.approx(np.array(simulate.REGIONS[region].mix), abs=0.07)
    assert shares[HUMID][TREES] > 3 * shares[PAMPAS][TREES] and shares[PAMPAS][SUMMER] > 2 * shares[HUMID][SUMMER]


# ------------------------------------------------------------------------------------------------ sensor, atmosphere


def test_border_pixels_are_mixtures_of_their_neighbours():
    ground = np.zeros((10, 24, 24), np.float32)
    ground[:, :, 11:] = 0.4
    ground[:, 5:9, 3:6] = 0.3
    seen = atmosphere.sense(ground)
    low, high = (f(ground, (1, 7, 7)) for f in (ndimage.minimum_filter, ndimage.maximum_filter))
    assert (seen >= low - 1e-6).all() and (seen <= high + 1e-6).all()
    assert 0 < seen[B04, 15, 10] < seen[B04, 15, 11] < 0.4  # 10 m band: a border one pixel to either side
    assert seen[B04, 15, 8] == 0 and seen[B04, 15, 13] == pytest.approx(0.4)
    for band in (B05, B06, B07, B8A, B11, B12):  # 20 m bands: blocks of two by two
        blocks = seen[band].reshape(12, 2, 12, 2)
        assert np.ptp(blocks, (1, 3)).max() == 0
    assert 0.1 < seen[B11, 15, 10] < 0.3
    assert seen.mean() == pytest.approx(ground.mean(), abs=1e-3)


def test_wheat_beside_soil_is_mixed_in_a_scene_before_noise():
    region = simulate.REGIONS[PLAIN]
    ground = fields.draw_ground(np.random.default_rng(1), region, 64)
    now = seasons.weather(region.climate, 51, 10, 140)
    pure = cover.reflectance(ground, region, now, 35.0)
    seen = atmosphere.sense(pure)
    low, high = (f(pure, (1, 7, 7)) for f in (ndimage.minimum_filter, ndimage.maximum_filter))
    assert ((seen >= low - 1e-6) & (seen <= high + 1e-6)).all()
    assert seen.std() < pure.std()


def test_haze_raises_blue_most():
    clear, hazy = (simulate.satellite(4, PLAIN, 200, haze=h).pixels for h in (0, 0.5))
    change = (hazy - clear).mean((1, 2))
    assert change.argmax() == B02 and change[B02] > 0.03 and (np.diff(change[[B02, B03, B04, B11]]) < 0).all()
    assert np.ptp(hazy[B04]) < np.ptp(clear[B04])  # and takes contrast


def test_clouds_brighten_and_cast_shadows_away_from_the_sun():
    clear, cloudy = (simulate.satellite(5, PLAIN, 172, clouds=c).pixels for c in (0, 0.2))
    change = cloudy - clear
    white = cloudy[B02] > 0.35
    assert 0.1 < white.mean() < 0.3 and change[:, white].mean() > 0.25
    shade = (change[B08] < -0.05) & ~white
    assert 0.03 < shade.mean() < 0.3
    lost = -change[:, shade].mean(1) / clear[:, shade].mean(1)
    assert lost[B02] < lost[B08]  # the blue sky lights shadows
    sun = (np.radians(45), np.radians(180))  # in the south: shadows fall north, to smaller rows
    flat = np.full((10, 100, 100), 0.3, np.float32)
    seen = atmosphere.add_clouds(np.random.default_rng(0), flat, 0.1, sun)
    white, dark = seen[B08] > 0.32, seen[B08] < 0.28
    best = max(range(0, 100), key=lambda r: (np.roll(white, -r, 0) & dark).sum() / max(dark.sum(), 1))
    assert 25 < best < 95 and (np.roll(white, -best, 0) & dark).sum() > 0.7 * dark.sum()
    assert simulate.satellite(5, clouds=1.0, size=32).pixels[B02].min() > 0.4


def test_reflectance_stays_in_range_whatever_the_weather():
    for seed, region in enumerate(simulate.REGIONS):
        for haze, clouds in ((0, 0), (1, 0.5)):
            pixels = simulate.satellite(seed, region, 15, size=48, haze=haze, clouds=clouds, place=(65, 3)).pixels
            assert np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1
            assert 0.005 < pixels.mean() < 0.7


def test_slopes_facing_the_sun_are_brighter():
    hill = np.tile(np.linspace(2, -2, 64, dtype=np.float32)[:, None], (1, 64))  # high in the north, facing south
    south = atmosphere.hillshade(hill, 1.0, (np.radians(40), np.pi))
    assert south.mean() > 1.01 and atmosphere.hillshade(hill, 1.0, (np.radians(40), 0.0)).mean() < 0.99
    assert atmosphere.hillshade(np.zeros((64, 64)), 1.0, (1.0, 2.0)) == pytest.approx(1)


# ------------------------------------------------------------------------------------------------ difficulty


def surroundings(pixels):
    """A pixel with mean and deviation of the 5 x 5 and 15 x 15 pixels around it, [50, H, W]."""
    found = [pixels]
    for side in (5, 15):
        mean = ndimage.uniform_filter(pixels, (0, side, side))
        square = ndimage.uniform_filter(pixels**2, (0, side, side))
        found += [mean, np.sqrt(np.maximum(square - mean**2, 0))]
    return np.concatenate(found)


def samples(region, seeds, count):
    """(features [N, 50] of which the first ten are the pixel, labels [N]) of random pixels of 80 x 80 scenes."""
    rng, features, labels = np.random.default_rng(0), [], []
    for seed in seeds:
        scene = simulate.satellite(seed, region, size=80)
        chosen = rng.choice(80 * 80, count, replace=False)
        features.append(surroundings(scene.pixels).reshape(50, -1).T[chosen])
        labels.append(scene.labels.ravel()[chosen])
    return np.concatenate(features), np.concatenate(labels)


def test_pixels_alone_do_not_solve_it_and_less_so_elsewhere():
    regions = (PLAIN, SAVANNA, PAMPAS, HUMID)
    train = {r: samples(r, range(30), 120) for r in regions}
    test = {r: samples(r, range(1000, 1016), 300) for r in regions}

    def score(where, there, width):
        model = evaluate.linear_probe(train[where][0][:, :width], train[where][1])
        found = evaluate.predict(model, test[there][0][:, :width])
        return evaluate.scores(evaluate.confusion(test[there][1], found, CLASSES))["miou"]

    pixel = np.array([[score(a, b, 10) for b in regions] for a in regions])
    around = np.array([score(a, a, 50) for a in regions])
    at_home, abroad = np.diag(pixel), pixel[~np.eye(4, dtype=bool)]
    assert 0.42 < at_home.min() and at_home.max() < 0.66 and 0.45 < at_home.mean() < 0.6
    assert abroad.mean() < at_home.mean() - 0.05
    assert around.mean() > at_home.mean() + 0.015
    everything_one_class = max(np.bincount(y).max() / len(y) for _, y in test.values())
    assert everything_one_class < 0.55 and WETLAND < CLASSES

"""Areas and lengths on the ellipsoid against closed forms, and one area in every reference system."""

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform
from scipy.integrate import trapezoid

from lulc_utils import ground, raster
from lulc_utils.scene import Scene

FOOT = 0.3048006096


def zone(south, north, degrees):
    """Area of a part of the zone between two parallels, hectares: Snyder 1987, equation 3-12, by another integral."""
    lat = np.radians(np.linspace(south, north, 200_001))
    meridian = ground.A * (1 - ground.E2) / (1 - ground.E2 * np.sin(lat) ** 2) ** 1.5
    parallel = ground.A * np.cos(lat) / np.sqrt(1 - ground.E2 * np.sin(lat) ** 2)
    return trapezoid(meridian * parallel, lat) * np.radians(degrees) / 10_000


def at(crs, lon, lat):
    (x,), (y,) = transform("EPSG:4326", crs, [lon], [lat])
    return x, y


@pytest.mark.parametrize("west, north", [(10, 1), (10, 46), (-179.9, -70), (179.95, 60), (0, 90), (359.95, 10)])
def test_pixels_in_degrees_have_the_area_between_their_parallels(west, north):
    area = ground.pixel_hectares(CRS.from_epsg(4326), from_origin(west, north, 0.01, 0.01), (20, 10))
    np.testing.assert_allclose(
        area.sum(1), [zone(north - 0.01 * (i + 1), north - 0.01 * i, 0.1) for i in range(20)], 1e-5
    )


def test_the_earth_has_its_area_in_degrees_and_in_an_equal_area_projection():
    earth = 510_065_621.7 * 100  # hectares, WGS84
    degrees = ground.pixel_hectares(CRS.from_epsg(4326), from_origin(-180, 90, 0.25, 0.25), (720, 1440))
    assert degrees.shape == (720, 1440) and degrees.sum() == pytest.approx(earth, rel=3e-5)
    x, y = 17_367_530.45, 7_314_540.83  # EPSG:6933
    equal = ground.pixel_hectares(CRS.from_epsg(6933), from_origin(-x, y, x / 400, y / 200), (400, 800))
    np.testing.assert_allclose(equal[50:350], x / 400 * y / 200 / 10_000, rtol=1e-3)


@pytest.mark.parametrize(
    "code, size, turned",
    [
        (32633, 2.3, 0),
        (32633, 3, 30),
        (3857, 4, 0),
        (3857, 4, 75),
        (3035, 3, 0),
        (4326, 3e-5, 0),
        (3395, 4, 0),
    ],
)
def test_a_field_has_as_many_hectares_in_every_system(code, size, turned):
    """A square of 1 km in UTM is 100.08 ha on the ellipsoid (the scale of UTM is 0.9996 here), however it is cut up."""
    utm, crs = CRS.from_epsg(32633), CRS.from_epsg(code)
    x, y = at(crs, 15.0, 45.15)
    grid = (
        Affine.translation(x, y) * Affine.rotation(turned) * Affine.scale(size, -size) * Affine.translation(-500, -500)
    )
    rows, cols = np.indices((1000, 1000)) + 0.5
    east, north = transform(crs, utm, *grid * (cols.ravel(), rows.ravel()))
    east0, north0 = at(utm, 15.0, 45.15)
    field = (abs(np.array(east) - east0) < 500) & (abs(np.array(north) - north0) < 500)
    hectares = ground.pixel_hectares(crs, grid, (1000, 1000)).ravel()[field].sum()
    assert hectares == pytest.approx(100 / 0.9996**2, rel=4e-3)  # pixels are in or out


def test_feet_are_feet():
    x, y = at("EPSG:2263", -74, 40.7)
    transform_ft, crs = from_origin(x, y, 100 / FOOT, 100 / FOOT), CRS.from_epsg(2263)
    np.testing.assert_allclose(ground.pixel_hectares(crs, transform_ft, (3, 4)), 1, rtol=2e-4)
    np.testing.assert_allclose(ground.pixel_meters(crs, transform_ft, (3, 4)), 100, rtol=1e-4)


@pytest.mark.parametrize("code, factor", [(3031, 0.9727), (3413, 0.9698)])
def test_the_pixels_at_a_pole_are_no_exception(code, factor):
    hectares = ground.pixel_hectares(CRS.from_epsg(code), from_origin(-1000, 1000, 100, 100), (20, 20))
    np.testing.assert_allclose(hectares, hectares[0, 0], rtol=1e-5)
    assert hectares[0, 0] == pytest.approx(1 / factor**2, rel=1e-3)  # scale of both projections at the pole


def test_the_size_of_a_pixel_is_that_on_the_ground():
    across, down = ground.pixel_meters(CRS.from_epsg(4326), from_origin(5, 60.5, 0.001, 0.001), (1000, 1000))
    assert across == pytest.approx(55.80, abs=0.01) and down == pytest.approx(111.41, abs=0.01)
    x, y = at("EPSG:3857", 5, 60)
    np.testing.assert_allclose(
        ground.pixel_meters(CRS.from_epsg(3857), from_origin(x, y, 10, 10), (2, 2)), 5, rtol=4e-3
    )


@pytest.mark.parametrize(
    "code, transform, shape, wanted",
    [
        (4326, from_origin(170, 10, 1, 1), (20, 20), (170, -10, 190, 10)),
        (4326, from_origin(-190, 10, 1, 1), (20, 20), (170, -10, 190, 10)),
        (4326, from_origin(0, 90, 1, 1), (180, 360), (0, -90, 360, 90)),
        (4326, from_origin(-180, 90, 1, 1), (180, 360), (-180, -90, 180, 90)),
        (3031, from_origin(-1000, 1000, 10, 10), (200, 200), (-180, -90, 180, -89.987)),
        (3413, from_origin(-1000, 1000, 10, 10), (200, 200), (-180, 89.987, 180, 90)),
    ],
)
def test_bounds_run_on_across_180_degrees_and_reach_the_poles(code, transform, shape, wanted):
    np.testing.assert_allclose(ground.bounds(CRS.from_epsg(code), transform, shape), wanted, atol=1e-3)


def test_a_scene_across_180_degrees_is_no_wider_than_it_is():
    x, y = at("EPSG:32701", 179.95, -17)
    scene = Scene(
        "Taveuni", np.ones((1, 100, 100)), ("a",), "here", None, (), from_origin(x, y, 100, 100), CRS.from_epsg(32701)
    )
    west, south, east, north = scene.bounds_latlon()
    assert 179.9 < west < 179.96 and 180.03 < east < 180.06 and south < -17.05 and north == pytest.approx(-17, abs=0.02)


def test_pixels_beyond_the_projection_have_no_area():
    """The corners of a world in Mollweide, an equal-area ellipse of 18 040 by 9 020 km."""
    x, y = 18_040_096, 9_020_048
    world, crs = from_origin(-x, y, x / 50, y / 50), CRS.from_user_input("ESRI:54009")
    hectares = ground.pixel_hectares(crs, world, (100, 100))
    assert (hectares[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    np.testing.assert_allclose(hectares[40:60, 10:90], x / 50 * y / 50 / 10_000, rtol=7e-3)
    with pytest.raises(ValueError, match="No edge of this raster lies on the Earth"):
        ground.bounds(crs, world, (100, 100))


def test_what_has_no_place_on_earth_is_refused(tmp_path):
    plan = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    with pytest.raises(ValueError, match="no place on Earth"):
        ground.pixel_hectares(plan, from_origin(0, 0, 1, 1), (2, 2))
    path = raster.write_scene(Scene("bare", np.ones((1, 4, 4), np.uint8), ("a",), "somewhere"), tmp_path / "a.tif")
    with pytest.raises(ValueError, match="no coordinate reference system"):
        raster.pixel_hectares(path)

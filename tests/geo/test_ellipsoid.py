"""Areas against pyproj's geodesics, and cuts at the antimeridian and around poles by hand."""

import numpy as np
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from earthreason.errors import EarthReasonError
from earthreason.geo.ellipsoid import (
    densify,
    geodesic_areas,
    geographic_polygons,
    ground_pixel_size,
    is_on_earth,
    transform_polygons,
)
from earthreason.geo.grid import GeoGrid
from earthreason.geo.layers import layer_of
from tests.geo.layer_cases import RINGS, answers_of

EARTH = Geod(ellps="WGS84")
LOCAL = 'ENGCRS["site",EDATUM["hut"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'


def rectangle_area(west: float, south: float, east: float, north: float) -> float:
    """Area between two parallels and two meridians, in closed form on the ellipsoid (Snyder 1987, equation 3-12)."""
    a, eccentricity = EARTH.a, np.sqrt(EARTH.es)

    def q(latitude: float) -> float:
        sine = eccentricity * np.sin(np.radians(latitude))
        return (1 - EARTH.es) * (sine / (1 - sine**2) + np.arctanh(sine)) / eccentricity

    return float(a * a * np.radians(east - west) * (q(north) - q(south)) / 2)


@pytest.mark.parametrize(
    "bounds", [(13, 52, 13.5, 52.25), (-70, -33.1, -69.9, -33), (179, 10, 181, 11), (10, -1, 12, 1), (0, 80, 20, 89)]
)
def test_areas_between_parallels_are_the_closed_form(bounds):
    (area,) = geodesic_areas(np.array([shapely.box(*bounds)]), CRS("EPSG:4326").to_wkt())
    assert area == pytest.approx(rectangle_area(*bounds), rel=1e-6)


@pytest.mark.parametrize(
    ("crs", "x", "y"),
    [
        ("EPSG:32633", 650_000, 5_800_000),  # UTM, north
        ("EPSG:32719", 350_000, 6_300_000),  # UTM, south
        ("EPSG:3857", 1_500_000, 6_900_000),  # 61 % too long here
        ("EPSG:3035", 4_400_000, 3_300_000),  # equal area
        ("EPSG:3832", 3_200_000, 1_000_000),  # Mercator of the Pacific, across the antimeridian
        ("EPSG:32601", 166_000, 100_000),  # UTM zone 1, at the antimeridian
    ],
)
@pytest.mark.parametrize("size", [0.3, 10, 20_000])
def test_areas_of_squares_are_those_of_the_geodesics(crs, x, y, size):
    square = shapely.box(x, y, x + size, y + size)
    (area,) = geodesic_areas(np.array([square]), CRS(crs).to_wkt())
    dense = shapely.get_coordinates(shapely.segmentize(square, max(size / 100, 50)))
    longitudes, latitudes = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*dense.T)
    geodesic = abs(EARTH.polygon_area_perimeter(longitudes, latitudes)[0])
    assert area == pytest.approx(geodesic, rel=1e-7, abs=5e-5)  # geodesics round here, by more than a small area may


def test_an_equal_area_crs_has_the_plane_area():
    (area,) = geodesic_areas(np.array([shapely.box(4_400_000, 3_300_000, 4_401_000, 3_300_500)]), CRS(3035).to_wkt())
    assert area == pytest.approx(500_000, rel=1e-8)


def test_holes_are_taken_off():
    ring = shapely.box(4e6, 3e6, 4e6 + 70, 3e6 + 70).difference(shapely.box(4e6 + 10, 3e6 + 10, 4e6 + 30, 3e6 + 30))
    (area,) = geodesic_areas(np.array([ring]), CRS(3035).to_wkt())
    assert area == pytest.approx(4_500, rel=1e-6)


def test_feet_are_not_metres():
    square = np.array([shapely.box(6_000_000, 2_000_000, 6_000_100, 2_000_100)])  # California 3, US survey feet
    (area,) = geodesic_areas(square, CRS("EPSG:2227").to_wkt())
    assert area == pytest.approx((100 * 1200 / 3937) ** 2, rel=1e-3)


def test_an_area_at_the_pole_is_that_of_the_geodesics():
    cap = shapely.Point(0, 0).buffer(500_000, quad_segs=200)  # 500 km in the plane: about 512 km on the ground
    (area,) = geodesic_areas(np.array([cap]), CRS(3995).to_wkt())
    longitudes, latitudes = Transformer.from_crs(3995, 4326, always_xy=True).transform(*shapely.get_coordinates(cap).T)
    assert area == pytest.approx(abs(EARTH.polygon_area_perimeter(longitudes, latitudes)[0]), rel=1e-5)


def test_there_is_no_area_without_a_place_on_the_earth():
    assert geodesic_areas(np.array([shapely.box(0, 0, 1, 1)]), None) is None
    assert geodesic_areas(np.array([shapely.box(0, 0, 1, 1)]), LOCAL) is None
    assert not is_on_earth(LOCAL)
    layer = layer_of(answers_of(RINGS, crs=LOCAL))
    assert [region.area_m2 for region in layer] == [None] * 3
    assert [region.pixels for region in layer] == [24, 8, 3]


def test_the_areas_of_a_layer_add_up_to_its_pixels_on_the_ellipsoid():
    transform = (0.001, 0, 13.0, 0, -0.001, 52.0)
    layer = layer_of(answers_of(RINGS, transform=transform, crs=CRS(4326).to_wkt()))
    rows, _ = np.nonzero(RINGS)
    pixels = [rectangle_area(13.0, 52 - (row + 1) * 0.001, 13.001, 52 - row * 0.001) for row in rows]
    assert layer["area_m2"].sum() == pytest.approx(sum(pixels), rel=1e-7)
    assert layer.summaries[0].area_m2 == pytest.approx(sum(pixels), rel=1e-7)


def test_the_ground_size_of_a_pixel_is_that_of_the_geodesics():
    grid = GeoGrid(100, 100, (0.001, 0, 13.0, 0, -0.001, 60.05), CRS(4326).to_wkt())
    across, down = ground_pixel_size(grid)
    assert across == pytest.approx(EARTH.inv(13, 60, 13.001, 60)[2], rel=1e-6)
    assert down == pytest.approx(EARTH.inv(13, 60, 13, 59.999)[2], rel=1e-6)


def test_a_polygon_across_the_antimeridian_becomes_two():
    (cut,) = geographic_polygons(np.array([shapely.box(179, 10, 181, 11)]), CRS(4326).to_wkt())
    assert cut.geom_type == "MultiPolygon"
    west, east = sorted(cut.geoms, key=lambda part: part.bounds[0])
    assert west.bounds == (-180, 10, -179, 11)
    assert east.bounds == (179, 10, 180, 11)
    assert all(part.exterior.is_ccw for part in cut.geoms)


def test_a_hole_across_the_antimeridian_stays_a_hole():
    ring = shapely.box(178, 10, 182, 14).difference(shapely.box(179, 11, 181, 13))
    (cut,) = geographic_polygons(np.array([ring]), CRS(4326).to_wkt())
    assert cut.area == pytest.approx(12)
    assert not cut.intersects(shapely.Point(180, 12))
    assert not cut.intersects(shapely.Point(-179.5, 12))


def test_a_square_across_the_antimeridian_in_utm_stays_small():
    square = shapely.box(160_000, 1_000_000, 180_000, 1_020_000)  # zone 1: its west lies below -180
    (cut,) = geographic_polygons(np.array([square]), CRS(32601).to_wkt())
    assert cut.area < 0.04
    assert cut.bounds[0] == -180
    assert cut.bounds[2] == 180


def test_a_square_around_the_pole_reaches_the_pole():
    square = shapely.box(-1e6, -1e6, 1e6, 1e6)
    (cut,) = geographic_polygons(np.array([square]), CRS(3995).to_wkt())
    assert cut.bounds[0] == -180
    assert cut.bounds[2:] == (180, 90)
    assert cut.contains(shapely.Point(30, 89))
    assert not cut.contains(shapely.Point(30, 70))


def test_long_edges_stay_where_they_were():
    strip = shapely.box(300_000, 5_800_000, 700_000, 5_800_010)
    (moved,) = transform_polygons(np.array([strip]), CRS(32633).to_wkt(), "OGC:CRS84")
    middle = Transformer.from_crs(32633, "OGC:CRS84", always_xy=True).transform(410_000.5, 5_800_005)
    assert moved.contains(shapely.Point(middle))


def test_positions_outside_a_crs_are_one_line():
    with pytest.raises(EarthReasonError, match="outside the area"):
        transform_polygons(np.array([shapely.box(10, 50, 11, 51)]), CRS(4326).to_wkt(), "+proj=ortho +lat_0=-90")


def test_corners_are_added_to_holes_too_as_geos_adds_them():
    polygon = shapely.Polygon(
        [(500_000, 0), (502_500, 0), (502_500, 700), (500_000, 700)],
        [[(500_100, 100), (500_100, 600), (500_900, 600), (500_900, 100)]],
    )
    found = densify(np.array([polygon, shapely.box(0, 0, 900, 100)]), "EPSG:32632", 200.0)
    expected = shapely.segmentize([polygon, shapely.box(0, 0, 900, 100)], 200.0)
    assert [geometry.wkt for geometry in found] == [geometry.wkt for geometry in expected]
    assert len(found[0].interiors[0].coords) == 15  # 5 edges of 200 m at most, in 500 + 800 m, twice: 3 + 4 + 3 + 4

import pytest

pytest.importorskip("pyproj", reason="the geo extra is not installed")

from pyproj import Geod, Transformer

from earthreason.geo.grid import GeoGrid
from earthreason.geo.resolution import ground_resolution


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32632", (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0)),
        ("EPSG:32632", (0.4, 0.3, 700_000.0, 0.3, -0.4, 6_300_000.0)),
        ("EPSG:3857", (1.0, 0.0, 1_000_000.0, 0.0, 1.0, 8_000_000.0)),
        ("EPSG:4326", (1e-5, 0.0, 9.0, 0.0, -1e-5, 48.0)),
        ("EPSG:2263", (2.0, 0.0, 984_000.0, 0.0, -2.0, 213_000.0)),
    ],
)
def test_the_square_of_the_gsd_is_the_geodesic_area_of_a_pixel(crs, transform):
    grid = GeoGrid(100, 100, transform, crs)
    a, b, c, d, e, f = transform
    pixels = [(30, 30), (70, 30), (70, 70), (30, 70)]
    ring = [(a * column + b * row + c, d * column + e * row + f) for column, row in pixels]
    degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*zip(*ring, strict=True))
    area = abs(Geod(ellps="WGS84").polygon_area_perimeter(*degrees)[0]) / 40**2
    assert ground_resolution(grid) ** 2 == pytest.approx(area, rel=1e-4)


def test_a_coarser_working_grid_has_a_coarser_gsd():
    grid = GeoGrid(400, 600, (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0), "EPSG:32632")
    assert ground_resolution(grid.resized(100, 150)) == pytest.approx(4 * ground_resolution(grid), rel=1e-5)


def test_without_place_or_crs_it_is_not_known():
    assert ground_resolution(GeoGrid(4, 6)) is None
    assert ground_resolution(GeoGrid(4, 6, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))) is None

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import rasterize
from scipy.ndimage import label

from earthreason.errors import EarthReasonError
from earthreason.geo import regions
from earthreason.geo.answers import ArrayRaster
from earthreason.geo.grid import GeoGrid
from earthreason.geo.layers import layer_of
from earthreason.geo.regions import find_regions
from tests.geo.layer_cases import NORTH_UP, RINGS, answers_of, run_gdal

TRANSFORMS = {
    "north up": NORTH_UP,
    "south up": (10, 0, 500_000, 0, 10, 5_000_000),
    "rotated": (8, 3, 500_000, 2, -9, 5_000_000),
    "fine": (0.0000003, 0, 13.4, 0, -0.0000003, 52.5),
    "mirrored": (-10, 0, 500_000, 0, -10, 5_000_000),
}

masks = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(lambda shape: arrays(bool, shape))


def raster_of(mask: np.ndarray, probabilities: np.ndarray | None = None) -> ArrayRaster:
    given_ = mask.astype(np.float32) if probabilities is None else probabilities
    return ArrayRaster(GeoGrid(*mask.shape), mask, given_)


@given(mask=masks, transform=st.sampled_from(sorted(TRANSFORMS)), rows=st.integers(1, 5))
def test_rasterising_the_polygons_gives_the_mask_again(mask, transform, rows):
    before = regions._STRIP_PIXELS
    regions._STRIP_PIXELS = rows * mask.shape[1]
    try:
        layer = layer_of(answers_of(mask, transform=TRANSFORMS[transform], crs=None))
    finally:
        regions._STRIP_PIXELS = before
    assert len(layer) == label(mask)[1]
    assert all(region.geometry.is_valid and region.geometry.geom_type == "Polygon" for region in layer)
    assert all(region.geometry.exterior.is_ccw for region in layer)
    shapes = [(region.geometry, number) for number, region in enumerate(layer, 1)]
    again = np.zeros(mask.shape, np.uint16)
    if shapes:
        again = rasterize(shapes, mask.shape, transform=Affine(*TRANSFORMS[transform]), dtype="uint16")
    np.testing.assert_array_equal(again > 0, mask)
    for number, region in enumerate(layer, 1):
        assert region.pixels == (again == number).sum()


@pytest.mark.parametrize("transform", ["north up", "south up", "rotated"])
def test_gdal_rasterises_a_written_layer_to_the_mask(tmp_path, transform):
    mask = np.random.default_rng(3).random((41, 67)) < 0.6
    layer_of(answers_of(mask, transform=TRANSFORMS[transform])).save(tmp_path / "a.gpkg")
    with rasterio.open(
        tmp_path / "burnt.tif",
        "w",
        driver="GTiff",
        height=41,
        width=67,
        count=1,
        dtype="uint8",
        transform=Affine(*TRANSFORMS[transform]),
        crs="EPSG:32633",
    ) as target:
        target.write(np.zeros((1, 41, 67), np.uint8))
    run_gdal("gdal_rasterize", "-q", "-burn", "1", "-l", "answers", tmp_path / "a.gpkg", tmp_path / "burnt.tif")
    with rasterio.open(tmp_path / "burnt.tif") as source:
        np.testing.assert_array_equal(source.read(1) > 0, mask)


@given(mask=masks, seed=st.integers(0, 99), rows=st.integers(1, 5))
def test_scores_and_pixels_are_those_of_labelled_components(mask, seed, rows):
    probabilities = np.random.default_rng(seed).random(mask.shape).astype(np.float32)
    before = regions._STRIP_PIXELS
    regions._STRIP_PIXELS = rows * mask.shape[1]
    try:
        found = find_regions(raster_of(mask, probabilities))
    finally:
        regions._STRIP_PIXELS = before
    labels, count = label(mask)  # numbered by first pixel, as the regions are
    owners = range(1, count + 1)
    assert found.pixels.tolist() == [int((labels == owner).sum()) for owner in owners]
    np.testing.assert_allclose(
        found.scores, [probabilities[labels == owner].astype(float).mean() for owner in owners], rtol=1e-12
    )


@given(mask=masks, rows=st.integers(1, 5))
def test_polygons_are_those_of_gdal_made_valid_by_geos(mask, rows):
    before = regions._STRIP_PIXELS
    regions._STRIP_PIXELS = rows * mask.shape[1]
    try:
        found = find_regions(raster_of(mask)).polygons
    finally:
        regions._STRIP_PIXELS = before
    traced = rasterio.features.shapes(mask.astype(np.uint8), mask=mask, connectivity=4)
    valid = [shapely.make_valid(shapely.geometry.shape(shape), method="structure") for shape, _ in traced]
    assert shapely.is_valid(found).all()
    assert {polygon.normalize().wkt for polygon in found} == {polygon.normalize().wkt for polygon in valid}
    assert shapely.get_coordinates(found).shape == shapely.get_coordinates(np.array(valid, object)).shape


def test_a_region_of_a_hundred_thousand_holes_is_traced():
    """Holes of one pixel at every other pixel of every other row: the time must not grow with their square."""
    mask = np.ones((641, 641), bool)
    mask[1::2, 1::2] = False
    (polygon,) = find_regions(raster_of(mask)).polygons
    assert len(polygon.interiors) == 320 * 320
    assert polygon.area == 641**2 - 320**2
    assert shapely.get_num_coordinates(polygon) == 5 * (320 * 320 + 1)


def test_holes_within_holes_and_touching_corners_stay_apart():
    outer, inner, third = find_regions(raster_of(RINGS)).polygons
    assert [len(polygon.interiors) for polygon in (outer, inner, third)] == [1, 1, 0]
    assert [polygon.area for polygon in (outer, inner, third)] == [24, 8, 3]
    assert outer.touches(third)


def test_a_region_that_meets_itself_at_a_corner_is_valid():
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    (polygon,) = find_regions(raster_of(mask)).polygons
    assert polygon.is_valid
    assert polygon.area == 7


def test_pixel_coordinates_without_a_transform():
    mask = np.zeros((4, 5), bool)
    mask[1, 2:4] = True
    layer = layer_of(answers_of(mask, transform=None))
    assert layer.crs is None
    assert layer[0].geometry.equals(shapely.box(2, 1, 4, 2))
    assert layer[0].area_m2 is None


def test_noise_is_refused_instead_of_filling_the_memory(monkeypatch):
    monkeypatch.setattr(regions, "MOST_REGIONS", 10)
    with pytest.raises(EarthReasonError, match="more than 10 regions.*raise the threshold"):
        find_regions(raster_of(np.indices((9, 9)).sum(0) % 2 == 0))


def test_outlines_that_would_fill_the_memory_are_refused(monkeypatch):
    """A comb of 50 teeth is one region with 200 corners or more."""
    mask = np.ones((99, 99), bool)
    mask[1:, 1::2] = False
    monkeypatch.setattr(regions, "MOST_CORNERS", 190)
    with pytest.raises(EarthReasonError, match="more than 190 corners.*raise the threshold"):
        find_regions(raster_of(mask))

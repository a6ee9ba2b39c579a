import sys

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS
from scipy.ndimage import label

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.geo.layers import layer_of
from tests.geo.layer_cases import NORTH_UP, RINGS, answers_of, picture

NOTHING = np.zeros_like(RINGS)


def test_a_layer_is_a_sequence_and_a_table():
    layer = layer_of(answers_of(RINGS, NOTHING))
    assert len(layer) == 3
    assert [region.pixels for region in layer] == [24, 8, 3]
    assert layer.columns == ("question", "answer", "score", "area_m2", "pixels", "geometry")
    assert layer["pixels"].tolist() == [24, 8, 3]
    np.testing.assert_allclose(layer["score"], 0.75)
    assert layer[-1].geometry is layer["geometry"][2]
    assert len(layer[1:]) == 2
    assert layer[1:].crs == layer.crs


def test_a_wrong_column_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'score'"):
        layer_of(answers_of(RINGS))["scores"]


def test_nothing_found_is_said_of_its_question():
    layer = layer_of(answers_of(RINGS, NOTHING))
    first, second = layer.summaries
    assert (first.has_target, first.regions, first.answer) == (True, 3, "target")
    assert (second.has_target, second.regions, second.answer, second.area_m2) == (False, 0, "no target", 0)
    assert "Où est l'eau ?" in repr(layer)
    assert "no target (no-target score 0.90)" in repr(layer)


def test_the_model_s_words_follow_the_answer():
    assert layer_of(answers_of(RINGS, text="three roofs"))[0].answer == "target: three roofs"


def test_small_regions_are_left_out_by_their_area_on_the_ellipsoid():
    layer = layer_of(answers_of(RINGS), min_area=500)  # pixels of 100 m²
    assert layer["pixels"].tolist() == [24, 8]
    assert layer.summaries[0].regions == 2


@pytest.mark.parametrize("option", ["simplify", "min_area"])
def test_metres_need_a_place_on_the_earth(option):
    with pytest.raises(EarthReasonError, match=f"{option} is in metres"):
        layer_of(answers_of(RINGS, crs=None), **{option: 5.0})


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_sizes_that_are_none_are_refused(value):
    with pytest.raises(EarthReasonError, match="simplify: .* is not a size"):
        layer_of(answers_of(RINGS), simplify=value)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000), density=st.sampled_from([0.3, 0.5, 0.7, 0.9]), metres=st.sampled_from([5, 12, 25, 80])
)
def test_simplified_regions_neither_overlap_nor_vanish_and_keep_their_holes(seed, density, metres):
    mask = np.random.default_rng(seed).random((16, 16)) < density
    plain, simple = layer_of(answers_of(mask)), layer_of(answers_of(mask), simplify=metres)
    assert len(simple) == len(plain) == label(mask)[1]
    assert shapely.is_valid(simple["geometry"]).all()
    assert not shapely.is_empty(simple["geometry"]).any()
    holes = [[len(region.geometry.interiors) for region in layer] for layer in (plain, simple)]
    assert holes[0] == holes[1]
    shapes = simple["geometry"]
    assert shapely.union_all(shapes).area == pytest.approx(shapely.area(shapes).sum())
    for column in ("score", "pixels", "area_m2"):
        np.testing.assert_array_equal(simple[column], plain[column])


def test_simplifying_takes_the_stairs_from_a_slope_in_metres_of_the_ground():
    stairs = np.tri(30, dtype=bool)
    degrees = (0.0001, 0, 13.0, 0, -0.0001, 60.0)  # 5.6 m by 11.1 m
    answers = answers_of(stairs, transform=degrees, crs=CRS(4326).to_wkt())
    outlines = [layer_of(answers, simplify=metres)[0].geometry.exterior for metres in (0.0, 3.0, 8.0)]
    count = [len(outline.coords) for outline in outlines]
    assert count[0] == 63
    assert count[1] == 63  # a triangle of a step has 5.6 * 11.1 / 2 m², the square of 5.6 m
    assert count[2] < 30


def test_the_geo_interface_is_in_wgs_84():
    layer = layer_of(answers_of(RINGS))
    found = layer.__geo_interface__
    assert found["type"] == "FeatureCollection"
    ring = shapely.geometry.shape(found["features"][0]["geometry"])
    assert ring.exterior.is_ccw
    assert ring.bounds[0] == pytest.approx(15, abs=1e-6)  # the central meridian of zone 33
    assert found["features"][0]["properties"]["pixels"] == 24


def test_the_geo_interface_without_a_crs_is_in_its_own_coordinates():
    found = layer_of(answers_of(RINGS, crs=None)).__geo_interface__
    assert shapely.geometry.shape(found["features"][0]["geometry"]).bounds == (500_000, 4_999_930, 500_070, 5_000_000)


def test_to_crs_moves_polygons_and_keeps_areas():
    layer = layer_of(answers_of(RINGS))
    moved = layer.to_crs("EPSG:3035")
    assert CRS(moved.crs).to_epsg() == 3035
    np.testing.assert_array_equal(moved["area_m2"], layer["area_m2"])
    np.testing.assert_allclose(shapely.area(moved["geometry"]), layer["area_m2"], rtol=1e-4)
    with pytest.raises(EarthReasonError, match="unknown CRS 'EPSG:99'"):
        layer.to_crs("EPSG:99")
    with pytest.raises(EarthReasonError, match="no CRS"):
        layer_of(answers_of(RINGS, crs=None)).to_crs("EPSG:3035")


def test_geopandas_is_asked_for_only_when_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(EarthReasonError, match="pip install geopandas"):
        layer_of(answers_of(RINGS)).to_geodataframe()


def test_a_geodataframe_has_the_columns_and_the_crs():
    pytest.importorskip("geopandas")
    layer = layer_of(answers_of(RINGS))
    frame = layer.to_geodataframe()
    assert tuple(frame.columns) == layer.columns
    assert frame.crs == CRS(32633)
    np.testing.assert_allclose(frame.area, 100 * layer["pixels"])


def test_the_repr_shows_questions_and_ten_regions():
    shown = repr(layer_of(answers_of(picture("#." * 12))))
    assert shown.startswith("AnswerLayer: 12 regions, 1 question, WGS 84 / UTM zone 33N\n")
    assert shown.endswith("... and 2 more")
    assert all(len(line) < 100 for line in shown.splitlines())


def test_a_crs_without_a_transform_is_no_place():
    layer = layer_of(answers_of(RINGS, transform=None))
    assert layer.crs is None
    assert NORTH_UP[2] not in layer[0].geometry.bounds

"""Layers as GDAL's own programs of Debian read them, without a warning."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.geo.layers import layer_of
from earthreason.geo.writing_vectors import VECTOR_SUFFIXES
from tests.geo.layer_cases import FACTS, RINGS, answers_of, ogr_features, run_gdal

NOTHING = np.zeros_like(RINGS)
LAYER_NAMES = {".gpkg": "answers", ".geojson": "answers", ".json": "answers", ".kml": "Where are roofs?"}
PLANE = (".gpkg", ".fgb", ".shp", ".shp.zip")


@pytest.mark.parametrize("suffix", VECTOR_SUFFIXES)
def test_ogrinfo_reads_every_format_without_a_warning(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    layer_of(answers_of(RINGS)).save(path)
    name = LAYER_NAMES.get(suffix, "a")
    assert "Feature Count: 3" in run_gdal("ogrinfo", "-al", "-so", path, name)
    features = ogr_features(path, name)
    assert len(features) == 3
    features.sort(key=lambda feature: -feature["properties"]["pixels"])  # FlatGeobuf sorts by place
    assert [feature["properties"]["question"] for feature in features] == ["Where are roofs?"] * 3
    assert [feature["properties"]["pixels"] for feature in features] == [24, 8, 3]
    assert [feature["properties"]["score"] for feature in features] == [0.75] * 3
    assert features[0]["properties"]["area_m2"] == pytest.approx(2400, rel=1e-3)
    assert [feature["properties"]["answer"] for feature in features] == ["target"] * 3
    run = [features[0]["properties"][n] for n in ("scene", "model_name" if suffix == ".kml" else "model", "checkpoint")]
    assert run == ["scene_1.tif", "tiny", "c/1"]


@pytest.mark.parametrize("suffix", VECTOR_SUFFIXES)
def test_nothing_found_is_an_empty_layer_with_fields_type_and_crs(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    layer_of(answers_of(NOTHING)).save(path)
    run_gdal("ogrinfo", "-al", "-so", path)
    name = LAYER_NAMES.get(suffix, "a")
    info = pyogrio.read_info(path, layer=name, force_feature_count=True)
    assert info["features"] == 0
    if suffix not in (".geojson", ".json", ".kml"):  # which state neither fields nor a type of geometry
        assert info["geometry_type"] == "Polygon"
        assert list(info["fields"][:5]) == ["question", "answer", "score", "area_m2", "pixels"]
        assert (
            CRS(info["crs"]).equals(CRS(32633), ignore_axis_order=True)
            or "UTM_Zone_33N" in info["crs"]
            or (CRS(info["crs"]).to_epsg() == 32633)
        )
    words = {
        ".gpkg": lambda: info["layer_metadata"]["DESCRIPTION"],
        ".geojson": lambda: json.loads(path.read_text())["description"],
        ".json": lambda: json.loads(path.read_text())["description"],
        ".kml": path.read_text,
        ".fgb": lambda: info["layer_metadata"]["DESCRIPTION"],
        ".shp": path.with_suffix(".shp.xml").read_text,
    }
    if suffix in words:
        assert "Where are roofs?: nothing found (no target), no-target score 0.900" in words[suffix]()


def test_a_geopackage_has_a_row_for_every_question(tmp_path):
    layer_of(answers_of(RINGS, NOTHING)).save(tmp_path / "a.gpkg")
    rows = ogr_features(tmp_path / "a.gpkg", "questions")
    assert [row["properties"]["question"] for row in rows] == ["Where are roofs?", "Où est l'eau ?"]
    assert [row["properties"]["has_target"] for row in rows] == [True, False]
    assert [row["properties"]["regions"] for row in rows] == [3, 0]
    assert [row["geometry"] for row in rows] == [None, None]
    told = run_gdal("ogrinfo", "-al", "-so", tmp_path / "a.gpkg", "answers")
    assert all(f"  {name}={value}\n" in told for name, value in FACTS.items())


@pytest.mark.parametrize("suffix", PLANE)
def test_coordinates_of_a_projected_crs_are_kept_to_the_last_bit(tmp_path, suffix):
    odd = (0.1, 0.03, 500_000.1, -0.02, -1 / 3, 5_000_000.7)
    layer = layer_of(answers_of(RINGS, transform=odd))
    layer.save(tmp_path / f"a{suffix}")
    _, _, geometry, _ = pyogrio.raw.read(tmp_path / f"a{suffix}", layer="answers" if suffix == ".gpkg" else None)
    read = {shapely.normalize(shapely.from_wkb(wkb)).wkb for wkb in geometry}
    assert read == {shapely.normalize(region.geometry).wkb for region in layer}


def test_geojson_follows_rfc_7946(tmp_path):
    layer_of(answers_of(RINGS, NOTHING)).save(tmp_path / "a.geojson")
    found = json.loads((tmp_path / "a.geojson").read_text())
    assert "crs" not in found
    assert found["earthreason"]["facts"] == FACTS
    assert [entry["has_target"] for entry in found["earthreason"]["questions"]] == [True, False]
    outline, hole = found["features"][0]["geometry"]["coordinates"]
    assert shapely.LinearRing(outline).is_ccw
    assert not shapely.LinearRing(hole).is_ccw
    assert all(round(value, 7) == value for point in outline for value in point)
    assert outline[0] == pytest.approx((15, 45.15), abs=0.01)


def test_geojson_and_kml_are_cut_at_the_antimeridian(tmp_path):
    answers = answers_of(RINGS, transform=(0.1, 0, 179.7, 0, -0.1, 10), crs=CRS(4326).to_wkt())
    for suffix in (".geojson", ".kml"):
        layer_of(answers).save(tmp_path / f"a{suffix}")
        run_gdal("ogrinfo", "-al", "-so", tmp_path / f"a{suffix}")
        bounds = pyogrio.read_bounds(tmp_path / f"a{suffix}")[1]
        assert bounds[0].min() == -180
        assert bounds[2].max() == 180
    kinds = [f["geometry"]["type"] for f in json.loads((tmp_path / "a.geojson").read_text())["features"]]
    assert kinds == ["MultiPolygon", "MultiPolygon", "Polygon"]


@pytest.mark.parametrize("suffix", [".geojson", ".kml"])
def test_longitudes_need_a_crs(tmp_path, suffix):
    with pytest.raises(EarthReasonError, match=r"the scene has no CRS; write a \.gpkg"):
        layer_of(answers_of(RINGS, crs=None)).save(tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", PLANE)
def test_a_layer_without_a_crs_is_written_without_a_warning(tmp_path, suffix):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer_of(answers_of(RINGS, crs=None)).save(tmp_path / f"a{suffix}")
    run_gdal("ogrinfo", "-al", "-so", tmp_path / f"a{suffix}")
    assert pyogrio.read_info(tmp_path / f"a{suffix}", layer="answers" if suffix == ".gpkg" else None)["features"] == 3


def test_the_gpkg_and_debian_s_gdal_agree_on_the_polygons(tmp_path):
    layer = layer_of(answers_of(RINGS))
    layer.save(tmp_path / "a.gpkg")
    read = [shapely.geometry.shape(feature["geometry"]) for feature in ogr_features(tmp_path / "a.gpkg", "answers")]
    assert all(a.equals(b.geometry) for a, b in zip(read, layer, strict=True))


def test_long_texts_of_a_shapefile_are_cut_with_a_warning(tmp_path):
    question = "é" * 200
    with pytest.warns(UserWarning, match="'question' was cut.*gpkg"):
        layer_of(answers_of(RINGS, questions=(question,))).save(tmp_path / "a.shp")
    assert ogr_features(tmp_path / "a.shp")[0]["properties"]["question"] == "é" * 127
    assert (tmp_path / "a.cpg").read_text() == "UTF-8"


def test_a_shapefile_replaces_all_its_parts_and_old_indexes(tmp_path):
    layer_of(answers_of(RINGS)).save(tmp_path / "a.shp")
    (tmp_path / "a.qix").write_bytes(b"old")
    (tmp_path / "a.txt").write_text("mine")
    layer_of(answers_of(RINGS, crs=None)).save(tmp_path / "a.shp")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.cpg", "a.dbf", "a.shp", "a.shp.xml", "a.shx", "a.txt"]  # no .prj: the new one has no CRS


@pytest.mark.parametrize(
    "name", ["50% %20 é ü.gpkg", "ответ.shp", "a b.geojson", "x&y.kml", "UPPER.GPKG", "two.dots.shp"]
)
def test_names_with_odd_characters(tmp_path, name):
    layer_of(answers_of(RINGS)).save(tmp_path / name)
    assert (tmp_path / name).is_file()
    run_gdal("ogrinfo", "-al", "-so", tmp_path / name)


@pytest.mark.parametrize("suffix", VECTOR_SUFFIXES)
def test_characters_that_files_cannot_hold_are_replaced(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    layer_of(answers_of(RINGS, questions=("a\x0bb\ud800 <c> & 100 %",), text="no\x00thing")).save(path)
    run_gdal("ogrinfo", "-al", "-so", path)
    found = ogr_features(path, "answers" if suffix == ".gpkg" else None)[0]["properties"]
    assert (found["question"], found["answer"]) == ("a\ufffdb\ufffd <c> & 100 %", "target: no\ufffdthing")


def test_an_unknown_suffix_names_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match=r"did you mean '.gpkg'"):
        layer_of(answers_of(RINGS)).save(tmp_path / "a.gpk")


WRITE = """
import resource, sys
from pathlib import Path
import numpy as np
from earthreason.errors import EarthReasonError
from earthreason.geo.layers import layer_of
from tests.geo.layer_cases import answers_of
layer = layer_of(answers_of(np.random.default_rng(1).random((200, 200)) < 0.4))
for limit in (3_000, 150_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for name in sys.argv[1:]:
        try:
            layer.save(name)
        except EarthReasonError as error:
            print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    paths = [tmp_path / f"a{suffix}" for suffix in VECTOR_SUFFIXES]
    for path in paths:
        layer_of(answers_of(NOTHING)).save(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    done = subprocess.run([sys.executable, "-c", WRITE, *map(str, paths)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split(": cannot write the layer: ")[0] for line in lines] == [str(path) for path in paths] * 2
    assert done.stderr == ""
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

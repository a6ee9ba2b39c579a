"""Vectors of the world onto georeferenced images, and back."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.exports import export_workspace
from annotation_tools.formats.base import ReadOptions
from annotation_tools.imports import ImportOptions
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError, EarthReasonError

from ..conftest import box, drawn, import_images, import_masks, write_geotiff

GOLDENS = Path(__file__).parents[1] / "goldens/vectors"
BURNT = {
    name: np.array([list(map(int, row)) for row in rows], bool)
    for name, rows in json.loads((GOLDENS / "burnt.json").read_text())["burnt"].items()
}
"""Masks by gdal_rasterize of GDAL 3.6.2; see goldens/vectors/make.py."""


def geojson(path, ring, crs=None, label="pond"):
    feature = {
        "type": "Feature",
        "properties": {"category": label},
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
    }
    document = {"type": "FeatureCollection", "features": [feature]}
    if crs is not None:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def placed(tmp_path):
    write_geotiff(tmp_path / "in" / "scene.tif", metres=0.5, size=(40, 60))
    import_images(tmp_path / "placed", str(tmp_path / "in"))
    return Workspace.open(tmp_path / "placed")


def world(*pixels):
    return [[500_000 + 0.5 * x, 5_300_000 - 0.5 * y] for x, y in pixels]


def test_geojson_is_rasterised_where_it_lies(placed, tmp_path):
    path = geojson(tmp_path / "v.geojson", world((10, 5), (30, 5), (30, 25), (10, 25)), "urn:ogc:def:crs:EPSG::32632")
    import_masks(placed.root, path)
    assert np.array_equal(placed.prelabels()["scene"].mask, box((40, 60), 5, 10, 25, 30))


def test_geojson_that_is_written_comes_back_exactly(placed, tmp_path):
    mask = box((40, 60), 5, 10, 25, 30) & ~box((40, 60), 8, 12, 10, 20)
    placed.add_drawings([drawn("scene", mask, "anna")])
    export_workspace(placed, "geojson", tmp_path / "out")
    import_masks(placed.root, tmp_path / "out" / "scene.geojson")
    assert np.array_equal(placed.prelabels()["scene"].mask, mask)


def test_vectors_in_degrees_are_brought_to_the_image(placed, tmp_path):
    from pyproj import Transformer

    turn = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    ring = [list(turn.transform(*point)) for point in world((10, 5), (30, 5), (30, 25), (10, 25))]
    import_masks(placed.root, geojson(tmp_path / "v.geojson", ring))
    assert np.array_equal(placed.prelabels()["scene"].mask, box((40, 60), 5, 10, 25, 30))


def test_a_geopackage_with_a_hole_and_a_part_outside(placed, tmp_path):
    import pyogrio
    from shapely import to_wkb
    from shapely.geometry import Polygon

    shape = Polygon(world((-10, 0), (20, 0), (20, 20), (-10, 20)), [world((5, 5), (10, 5), (10, 10), (5, 10))])
    pyogrio.raw.write(
        tmp_path / "v.gpkg",
        np.array([to_wkb(shape)], object),
        [np.array(["pond"], object)],
        ["label"],
        geometry_type="Polygon",
        crs="EPSG:32632",
        driver="GPKG",
    )
    import_masks(placed.root, tmp_path / "v.gpkg")
    expected = box((40, 60), 0, 0, 20, 20) & ~box((40, 60), 5, 5, 10, 10)
    assert np.array_equal(placed.prelabels()["scene"].mask, expected)
    assert placed.prelabels()["scene"].category == "pond"


def test_a_crs_that_is_missing_on_either_side_is_an_error(placed, workspace, tmp_path):
    import pyogrio
    from shapely import to_wkb
    from shapely.geometry import box as rectangle

    with pytest.warns(UserWarning, match="crs"):
        pyogrio.raw.write(
            tmp_path / "no.gpkg",
            np.array([to_wkb(rectangle(0, 0, 1, 1))], object),
            [],
            [],
            geometry_type="Polygon",
            crs=None,
            driver="GPKG",
        )
    with pytest.raises(DataFormatError, match="states no CRS"):
        import_masks(placed.root, tmp_path / "no.gpkg")
    path = geojson(tmp_path / "v.geojson", [[0, 0], [1, 0], [1, 1]])
    with pytest.raises(EarthReasonError, match="no image of the workspace has a georeference"):
        import_masks(workspace.root, path)
    write_geotiff(tmp_path / "bare" / "bare.tif", crs=None)
    import_images(tmp_path / "bare-work", str(tmp_path / "bare"))
    with pytest.raises(DataFormatError, match="'bare' has no CRS"):
        import_masks(tmp_path / "bare-work", path)


def test_a_vector_that_crosses_itself_is_named(placed, tmp_path):
    path = geojson(tmp_path / "v.geojson", world((0, 0), (20, 20), (20, 0), (0, 20)), "EPSG:32632")
    with pytest.raises(DataFormatError, match=r"feature 1, image 'scene': Self-intersection"):
        import_masks(placed.root, path)


@pytest.fixture
def grid(tmp_path):
    write_geotiff(tmp_path / "in" / "scene.tif", metres=0.5, size=(48, 64))
    import_images(tmp_path / "grid", str(tmp_path / "in"))
    return Workspace.open(tmp_path / "grid")


def imported(workspace, path, name="scene", **options):
    found = import_masks(workspace.root, path, ImportOptions(read=ReadOptions(**options)))
    return workspace.prelabels()[name], found


def write_document(path, document):
    path.write_text(json.dumps(document))
    return path


def polygon(*pixels, holes=()):
    return {"type": "Polygon", "coordinates": [world(*pixels, pixels[0]), *(world(*hole, hole[0]) for hole in holes)]}


def square(left, top, side):
    return polygon((left, top), (left + side, top), (left + side, top + side), (left, top + side))


def collection(*geometries, **properties):
    features = [{"type": "Feature", "properties": properties, "geometry": geometry} for geometry in geometries]
    crs = {"type": "name", "properties": {"name": "EPSG:32632"}}
    return {"type": "FeatureCollection", "crs": crs, "features": features}


@pytest.mark.parametrize("category", ["pond", "Gewässer"])
@pytest.mark.parametrize("name", ["shapes.geojson", "shapes.fgb", "shapes.shp", "shapes.kml", "no.cpg", "SHAPES.SHP"])
def test_pixels_are_those_that_gdal_rasterize_burns(grid, tmp_path, name, category):
    if name in ("no.cpg", "SHAPES.SHP"):
        for suffix in (".shp", ".shx", ".dbf", ".prj"):
            other = f"no{suffix}" if name == "no.cpg" else f"SHAPES{suffix.upper()}"
            shutil.copy(GOLDENS / f"shapes{suffix}", tmp_path / other)
        path = tmp_path / name.replace("no.cpg", "no.shp")
    else:
        path = GOLDENS / name
    drawing, _ = imported(grid, path, category=category)
    assert np.array_equal(drawing.mask, BURNT[category])
    assert drawing.category == category


def test_several_layers_are_listed_and_chosen(grid):
    path = GOLDENS / "layers.gpkg"  # in degrees, with a z
    with pytest.raises(
        DataFormatError, match=r"'ponds' \(20 polygons\), 'waters' \(20 polygons\); choose one with --l"
    ):
        imported(grid, path)
    with pytest.raises(DataFormatError, match="no layer 'pools'; layers: 'ponds', 'waters'"):
        imported(grid, path, layer="pools")
    assert np.array_equal(imported(grid, path, layer="Ponds")[0].mask, BURNT["pond"])
    assert imported(grid, path, layer="waters")[0].category is None
    with pytest.raises(DataFormatError, match=r"several categories \(pond, waters\)"):
        imported(grid, path, layer="*")
    drawing, found = imported(grid, path, layer="*", category="waters")
    assert np.array_equal(drawing.mask, BURNT["Gewässer"])
    assert found.skipped["shapes of other labels"] > 0


def test_the_label_field_is_found_in_any_case_and_can_be_chosen(grid):
    path = GOLDENS / "shapes.geojson"
    with pytest.raises(DataFormatError, match=r"several categories \(Gewässer, pond\)"):
        imported(grid, path)
    assert np.array_equal(imported(grid, path, label_field="CODE", category="0")[0].mask, BURNT["pond"])
    drawing, _ = imported(grid, path, label_field="", unnamed="water")
    assert np.array_equal(drawing.mask, BURNT["all"])
    assert drawing.category == "water"
    with pytest.raises(DataFormatError, match="no field 'kind'; fields: CLASS, code"):
        imported(grid, path, label_field="kind")


@pytest.mark.parametrize("suffix", [".json", ".geojson"])
@pytest.mark.parametrize("form", ["geometry", "feature", "collection"])
def test_bare_geometries_are_read(placed, tmp_path, form, suffix):
    from pyproj import Transformer

    turn = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True)
    ring = [[*turn.transform(*point), 300.0] for point in world((10, 5), (30, 5), (30, 25), (10, 25), (10, 5))]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    document = {
        "geometry": geometry,
        "feature": {"type": "Feature", "properties": None, "geometry": geometry},
        "collection": {
            "type": "GeometryCollection",
            "geometries": [{"type": "Point", "coordinates": [9, 48]}, geometry],
        },
    }[form]
    drawing, found = imported(placed, write_document(tmp_path / f"v{suffix}", document))
    assert np.array_equal(drawing.mask, box((40, 60), 5, 10, 25, 30))
    assert found.skipped["points"] == (form == "collection")


@pytest.mark.parametrize("text", ["3", "null", "[[[[", "{}", '{"type": "Topology"}', "[" * 100_000])
def test_other_json_gives_one_line(placed, tmp_path, text):
    for name in ("v.geojson", "v.json"):
        (tmp_path / name).write_text(text)
        with pytest.raises(EarthReasonError) as caught:
            imported(placed, tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["v.gpkg", "v.shp", "v.fgb", "v.kml"])
def test_content_of_another_kind_gives_one_line(placed, tmp_path, name):
    (tmp_path / name).write_text('<OGRVRTDataSource><OGRVRTLayer name="x"/></OGRVRTDataSource>')
    with pytest.raises(DataFormatError, match=rf"v{Path(name).suffix}: its content is not that of a"):
        imported(placed, tmp_path / name)


def test_what_has_no_area_is_counted(placed, tmp_path):
    point = {"type": "Point", "coordinates": world((3, 3))[0]}
    line = {"type": "LineString", "coordinates": world((3, 3), (9, 9))}
    empty = {"type": "Polygon", "coordinates": []}
    path = write_document(
        tmp_path / "v.geojson", collection(point, line, None, empty, square(5, 5, 4), square(900, 5, 4))
    )
    drawing, found = imported(placed, path)
    assert np.array_equal(drawing.mask, box((40, 60), 5, 5, 9, 9))
    assert found.skipped == {"points": 1, "lines": 1, "features without geometry": 2, "features beside all images": 1}
    with pytest.raises(DataFormatError, match=r"no feature has an area \(1 points, 1 lines\)"):
        imported(placed, write_document(tmp_path / "p.geojson", collection(point, line)))


def test_a_feature_without_a_pixel_centre_is_named_and_never_no_target(placed, tmp_path):
    path = write_document(tmp_path / "v.geojson", collection(square(5.6, 5.6, 0.3), square(20, 20, 3)))
    with pytest.raises(DataFormatError, match=r"feature 1, image 'scene': marks no pixel"):
        imported(placed, path, unmarked_is_empty=True)
    assert placed.prelabels() == {}


def test_features_beside_every_image_are_named_and_never_no_target(placed, tmp_path):
    path = write_document(tmp_path / "v.geojson", collection(square(500, 5, 4)))
    with pytest.raises(DataFormatError, match=r"no feature lies on an image: they are at x 500250.*image 'scene' at x"):
        imported(placed, path, unmarked_is_empty=True)
    swapped = {
        "type": "Polygon",
        "coordinates": [[[47.8533, 9.0001], [47.8534, 9.0001], [47.8534, 9.0002], [47.8533, 9.0001]]],
    }
    with pytest.raises(DataFormatError, match="x and y seem to be swapped"):
        imported(placed, write_document(tmp_path / "s.geojson", swapped))


def test_a_feature_of_the_next_tile_that_grazes_this_one_is_no_fault(tmp_path):
    for number in range(2):
        origin = (500_000 + 30 * number, 5_300_000)
        write_geotiff(tmp_path / "in" / f"tile{number}.tif", metres=0.5, size=(40, 60), origin=origin)
    import_images(tmp_path / "tiles", str(tmp_path / "in"))
    tiles = Workspace.open(tmp_path / "tiles")
    path = write_document(tmp_path / "v.geojson", collection(square(59.7, 10, 6)))
    drawing, found = imported(tiles, path, name="tile1", unmarked_is_empty=True)
    assert np.array_equal(drawing.mask, box((40, 60), 10, 0, 16, 6))
    assert set(tiles.prelabels()) == {"tile1"}
    assert found.skipped == {"features with pixels only beyond the border of an image": 1}


def test_repair_fills_crossing_rings_even_odd_and_unites_parts(placed, tmp_path):
    bow = polygon((0, 0), (20, 20), (20, 0), (0, 20))
    parts = {
        "type": "MultiPolygon",
        "coordinates": [square(30, 4, 10)["coordinates"], square(35, 9, 10)["coordinates"]],
    }
    drawing, _ = imported(placed, write_document(tmp_path / "v.geojson", collection(bow, parts)), repair=True)
    rows, columns = np.mgrid[:40, :60] + 0.5
    near = np.abs(columns - 10) > np.abs(rows - 10)  # pixels on the diagonals belong to neither side for sure
    sure = ~(np.isclose(np.abs(columns - 10), np.abs(rows - 10)) & (columns < 20) & (rows < 20))
    expected = (near & (columns < 20) & (rows < 20)) | box((40, 60), 4, 30, 14, 40) | box((40, 60), 9, 35, 19, 45)
    assert np.array_equal(drawing.mask[sure], expected[sure])


@pytest.mark.parametrize("form", ["cut", "uncut", "past 180"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32601"])
def test_the_antimeridian_is_crossed(tmp_path, form, crs):
    import rasterio
    from pyproj import Transformer
    from rasterio.transform import from_origin

    west, north = (
        (179.9, 0.1) if crs == "EPSG:4326" else Transformer.from_crs(4326, crs, always_xy=True).transform(179.9, 0.1)
    )
    step = 0.01 if crs == "EPSG:4326" else 1113.0
    (tmp_path / "in").mkdir()
    facts = {
        "height": 20,
        "width": 20,
        "count": 1,
        "dtype": "uint8",
        "crs": crs,
        "transform": from_origin(west, north, step, step),
    }
    with rasterio.open(tmp_path / "in" / "scene.tif", "w", driver="GTiff", **facts) as target:
        target.write(np.arange(400, dtype=np.uint8).reshape(1, 20, 20))
    import_images(tmp_path / "date", str(tmp_path / "in"))

    def rectangle(left, right):
        return [[[left, -0.05], [right, -0.05], [right, 0.05], [left, 0.05], [left, -0.05]]]

    geometry = {
        "cut": {"type": "MultiPolygon", "coordinates": [rectangle(179.95, 180), rectangle(-180, -179.95)]},
        "uncut": {"type": "Polygon", "coordinates": rectangle(179.95, -179.95)},
        "past 180": {"type": "Polygon", "coordinates": rectangle(179.95, 180.05)},
    }[form]
    drawing, _ = imported(Workspace.open(tmp_path / "date"), write_document(tmp_path / "v.geojson", geometry))
    assert np.array_equal(drawing.mask, box((20, 20), 5, 5, 15, 15))


def test_a_missing_prj_and_projected_numbers_without_a_crs_are_errors(grid, tmp_path):
    for suffix in (".shp", ".shx", ".dbf"):
        shutil.copy(GOLDENS / f"shapes{suffix}", tmp_path / f"s{suffix}")
    with pytest.raises(DataFormatError, match=r"states no CRS.*restore its \.prj"):
        imported(grid, tmp_path / "s.shp")
    (tmp_path / "s.shx").unlink()
    with pytest.raises(DataFormatError, match=r"s\.shp: .*\.shx"):
        imported(grid, tmp_path / "s.shp")
    with pytest.raises(DataFormatError, match="its coordinates are no degrees"):
        imported(grid, write_document(tmp_path / "v.geojson", square(5, 5, 4)))
    without = collection(square(5, 5, 4)) | {"crs": None}
    with pytest.raises(DataFormatError, match="states no CRS"):
        imported(grid, write_document(tmp_path / "n.geojson", without))


def test_targets_of_an_image_that_are_exported_come_back_to_their_tasks(placed, tmp_path):
    from dataclasses import replace

    scene = placed.tasks["scene"]
    placed.replace_tasks(
        [replace(scene, task=f"scene__{name}", category="pond", target=name) for name in ("old", "new")]
    )
    work = Workspace.open(placed.root)
    masks = {"scene__old": box((40, 60), 5, 10, 25, 30), "scene__new": box((40, 60), 30, 40, 38, 50)}
    work.add_drawings([drawn(name, mask, "anna") for name, mask in masks.items()])
    export_workspace(work, "geojson", tmp_path / "out")
    import_masks(work.root, tmp_path / "out")
    found = Workspace.open(work.root).prelabels()
    assert {name: np.array_equal(found[name].mask, mask) for name, mask in masks.items()} == dict.fromkeys(masks, True)


def test_many_features_are_burnt_in_their_own_windows(grid):
    from shapely.geometry import box as rectangle

    from annotation_tools.formats.vectors import burn_window

    patch = burn_window(rectangle(1000, 2000, 1010, 2020), 20_000, 20_000)
    assert (patch.top, patch.left, patch.mask.shape, patch.mask.all()) == (2000, 1000, (20, 10), True)

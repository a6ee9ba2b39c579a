"""Vectors of the world onto georeferenced images, and back."""

import json

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.exports import export_workspace
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError, EarthReasonError

from ..conftest import box, drawn, import_images, import_masks, write_geotiff


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
    with pytest.raises(DataFormatError, match=r"feature 1: Self-intersection"):
        import_masks(placed.root, path)

import json

import numpy as np
import pytest

pytest.importorskip("pyproj", reason="the geo extra is not installed")

from pyproj import Transformer
from shapely.geometry import Polygon, box, mapping

from earthreason.errors import EarthReasonError
from earthreason.geo.area import parse_area
from earthreason.geo.grid import GeoGrid, Window

from .rasters import gdal, needs_gdal, write

UTM = GeoGrid(400, 600, (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0), "EPSG:32632")


def marked(area, grid):
    """(height, width) bool of the pixels of a grid that are in an area."""
    out = np.zeros((grid.height, grid.width), bool)
    window = area.window
    inside = area.inside(window)
    out[window.top : window.bottom, window.left : window.right] = True if inside is None else inside
    return out


def burnt(folder, grid, geojson):
    """The same by GDAL's own program on a raster of the grid."""
    write(
        folder / "burnt.tif", np.zeros((1, grid.height, grid.width), np.uint8), transform=grid.transform, crs=grid.crs
    )
    (folder / "area.geojson").write_text(json.dumps(geojson))
    gdal("gdal_rasterize", "-q", "-burn", 1, folder / "area.geojson", folder / "burnt.tif")
    import rasterio

    with rasterio.open(folder / "burnt.tif") as source:
        return source.read(1) > 0


def test_a_box_in_the_units_of_the_scene_is_a_window_by_hand():
    area = parse_area("500010,5299900,500100.2,5299950", UTM, "scene")
    assert area.window == Window(20, 100, 181, 100)
    inside = area.inside(area.window)
    assert inside[:, :180].all()
    assert not inside[:, 180].any()  # centre at 500100.25, the box ends at 500100.2
    assert area.inside(Window(20, 100, 50, 50)) is None


def test_a_window_of_pixels_is_clipped_to_the_scene_and_needs_no_place():
    plain = GeoGrid(40, 60)
    assert parse_area("pixels:10,20,5,6", plain).window == Window(10, 20, 5, 6)
    area = parse_area("pixels:-5,30,100,100", plain)
    assert area.window == Window(0, 30, 60, 10)
    assert area.inside(area.window) is None


@needs_gdal
@pytest.mark.parametrize(
    "transform",
    [
        (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0),
        (0.5, 0.0, 500_000.0, 0.0, 0.5, 5_299_800.0),  # south up
        (0.4, 0.3, 500_000.0, 0.3, -0.4, 5_299_900.0),  # rotated
    ],
)
def test_polygons_with_holes_cover_the_pixels_that_gdal_rasterize_covers(tmp_path, transform):
    grid = GeoGrid(400, 600, transform, "EPSG:32632")
    shape = Polygon(
        [(500_100.13, 5_299_890.21), (500_190.4, 5_299_905.3), (500_170.7, 5_299_980.8), (500_090.9, 5_299_950.5)],
        [[(500_120.2, 5_299_910.1), (500_150.3, 5_299_915.4), (500_140.6, 5_299_940.7)]],
    )
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(shape)}
    stated = {"type": "FeatureCollection", "features": [feature]} | {
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    }
    expected = burnt(tmp_path, grid, stated)
    assert expected.sum() > 10_000
    assert np.array_equal(marked(parse_area(stated, grid), grid), expected)
    assert np.array_equal(marked(parse_area(shape, grid, "EPSG:32632"), grid), expected)


@needs_gdal
def test_degrees_are_projected_with_edges_that_become_curves(tmp_path):
    grid = GeoGrid(900, 1200, (500.0, 0.0, 100_000.0, 0.0, -500.0, 5_500_000.0), "EPSG:32632")  # 600 km wide
    area = parse_area("6,46,12,49", grid)
    dense = box(6, 46, 12, 49).segmentize(0.01)
    forth = Transformer.from_crs("EPSG:4326", "EPSG:32632", always_xy=True)
    ring = [list(forth.transform(*point)) for point in dense.exterior.coords]
    stated = {"type": "Polygon", "coordinates": [ring]}
    stated["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    expected = burnt(tmp_path, grid, stated)
    assert (marked(area, grid) != expected).sum() <= 2  # centres within a micrometre of an edge
    straight = [list(forth.transform(*point)) for point in box(6, 46, 12, 49).exterior.coords]
    assert (burnt(tmp_path, grid, stated | {"coordinates": [straight]}) != expected).sum() > 5_000


@needs_gdal
@pytest.mark.parametrize("name", ["area.gpkg", "area.shp", "area.fgb"])
def test_layers_of_other_programs_are_read_with_their_crs(tmp_path, name):
    lonlat = [(9.001, 47.8522), (9.0025, 47.8522), (9.0025, 47.853), (9.001, 47.853), (9.001, 47.8522)]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [lonlat]}))
    path = tmp_path / name
    gdal("ogr2ogr", "-t_srs", "EPSG:3857", path, tmp_path / "a.geojson")
    grid = GeoGrid(400, 600, (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_100.0), "EPSG:32632")
    expected = marked(parse_area(tmp_path / "a.geojson", grid), grid)
    assert expected.sum() > 20_000
    assert (marked(parse_area(path, grid), grid) != expected).sum() < 0.001 * expected.sum()


def test_a_working_grid_has_the_same_area():
    half = UTM.resized(200, 300)
    area = parse_area("500010,5299900,500100.2,5299950", UTM, "scene")
    assert np.array_equal(
        marked(area.on(half), half), marked(parse_area("500010,5299900,500100.2,5299950", half, "scene"), half)
    )
    assert parse_area("pixels:10,20,30,40", UTM).on(half).window == Window(5, 10, 15, 20)


@pytest.mark.parametrize("text", ["179.5,-17,-179.5,-16", "179.5,-17,180.5,-16"])
def test_boxes_over_the_antimeridian_are_whole(text):
    utm_60 = GeoGrid(300, 300, (1000.0, 0.0, 700_000.0, 0.0, -1000.0, 8_300_000.0), "EPSG:32760")
    pieces = [parse_area(part, utm_60) for part in ("179.5,-17,180,-16", "-180,-17,-179.5,-16")]
    expected = marked(pieces[0], utm_60) | marked(pieces[1], utm_60)
    assert min(marked(piece, utm_60).sum() for piece in pieces) > 5_000
    assert np.array_equal(marked(parse_area(text, utm_60), utm_60), expected)


@pytest.mark.parametrize("west", [170.0, -190.0])
def test_a_scene_in_degrees_may_run_on_over_the_antimeridian(west):
    scene = GeoGrid(100, 200, (0.1, 0.0, west, 0.0, -0.1, 5.0), "EPSG:4326")
    area = parse_area("-175,0,-172,2", scene)
    assert area.window == Window(150, 30, 30, 20)
    assert parse_area("-175,0,-172,2", GeoGrid(100, 200, scene.transform, "EPSG:4269")).window == area.window


def test_the_whole_world_is_the_whole_scene_also_at_a_pole_and_around_the_globe():
    polar = GeoGrid(100, 100, (50_000.0, 0.0, -2_500_000.0, 0.0, -50_000.0, 2_500_000.0), "EPSG:3413")
    globe = GeoGrid(180, 360, (1.0, 0.0, -180.0, 0.0, -1.0, 90.0), "EPSG:4326")
    half = 20_037_508.342789244
    mercator = GeoGrid(100, 100, (half / 50, 0.0, -half, 0.0, -half / 50, half), "EPSG:3857")
    flush = GeoGrid(100, 100, (1000.0, 0.0, half - 100_000, 0.0, -1000.0, 50_000.0), "EPSG:3857")
    for grid in (UTM, globe, polar, mercator, flush):
        assert marked(parse_area("-180,-90,180,90", grid), grid).all(), grid.crs
    cap = marked(parse_area("-180,80,180,90", polar), polar)
    to_degrees = Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
    centres = -2_500_000 + 50_000 * (np.arange(100) + 0.5)
    latitudes = to_degrees.transform(*np.meshgrid(centres, -centres))[1]
    assert np.array_equal(cap, latitudes > 80)


def refusal(value, grid=UTM, crs=None):
    with pytest.raises(EarthReasonError) as caught:
        parse_area(value, grid, crs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_area_outside_is_refused_with_both_extents():
    said = refusal("10,50,11,51")
    assert "(10, 50, 11, 51) is outside the scene (9," in said
    assert "swapped" not in said
    assert "swapped" in refusal("47.84,8.99,47.86,9.01")
    assert "outside the scene (500000, 5299800, 500300, 5300000)" in refusal("0,0,10,10", UTM, "scene")
    assert "outside the scene, which has 600 x 400 pixels" in refusal("pixels:600,0,5,5")


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("9,48,9,49", "has no size"),
        ("9,49,10,48", "has no size"),
        ("9,nan,10,49", "must be four numbers"),
        ("a,b,c,d", "must be four numbers"),
        ("500000,5299900,500100,5299950", "a latitude is from -90 to 90"),
        ("pixels:0,0,0,5", "has no pixel"),
        ("pixels:0,0,5", "in whole pixels"),
        ("pixels:0,0,5.5,5", "in whole pixels"),
        ("none.geojson", "there is no area file none.geojson"),
        ({"type": "Point", "coordinates": [9, 48]}, "needs polygons, but it has Point"),
        ({"type": "FeatureCollection", "features": []}, "needs polygons, but it has nothing"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}, "Self-intersection"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [float("nan"), 2], [2, 0], [0, 0]]]}, "not a finite number"),
        ({"type": "Polygon", "coordinates": "x"}, "not GeoJSON"),
        ({"type": "Topology"}, "'Topology' is no type of GeoJSON"),
        ({"type": "Polygon", "coordinates": [], "crs": 4}, "names no CRS"),
        ("{]", "not readable as GeoJSON"),
        (7, "is no text, path, or GeoJSON"),
    ],
)
def test_what_is_no_area_is_refused_in_one_line(tmp_path, monkeypatch, value, fault):
    monkeypatch.chdir(tmp_path)
    assert fault in refusal(value)


def test_scenes_without_crs_or_place_take_no_degrees():
    assert "states no CRS" in refusal("9,48,10,49", GeoGrid(40, 60, UTM.transform))
    assert "pixels:left,top,width,height" in refusal("9,48,10,49", GeoGrid(40, 60))
    assert "unknown CRS 'EPSG:1'" in refusal("9,48,10,49", UTM, "EPSG:1")


def test_a_local_crs_takes_its_own_units_only():
    local = 'LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    grid = GeoGrid(40, 60, (1.0, 0.0, 0.0, 0.0, -1.0, 40.0), local)
    assert "cannot be expressed" in refusal("9,48,10,49", grid)
    assert "--aoi-crs scene" in refusal("9,48,10,49", grid)
    assert parse_area("10,10,20,30", grid, "scene").window == Window(10, 10, 10, 20)


def test_an_area_between_pixel_centres_is_refused():
    assert "smaller than a pixel" in refusal("500000.3,5299900,500000.6,5299900.2", UTM, "scene")


def test_a_file_that_other_drivers_would_open_is_refused(tmp_path):
    (tmp_path / "a.gpkg").write_text("<OGRVRTDataSource><OGRVRTLayer name='x'/></OGRVRTDataSource>")
    assert "not a GeoJSON, GeoPackage, Shapefile or FlatGeobuf file" in refusal(tmp_path / "a.gpkg")


def test_points_beside_polygons_are_passed_over_with_a_line(caplog):
    shape = mapping(box(500_010, 5_299_900, 500_100, 5_299_950))
    both = {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [0, 0]}, shape]}
    assert parse_area(both, UTM, "scene").window == Window(20, 100, 180, 100)
    assert "only polygons are used: 1 of 2 shapes" in caplog.text

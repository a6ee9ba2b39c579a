"""Scenes of the server's folder, and uploads with a CRS: maps, areas, layers, and what stays closed."""

import io
import json
import math
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from pyproj import Geod
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from tests.baselines.serve.fakes import pixels_of, running, square

WEST, NORTH, STEP = 500_000.0, 5_400_000.0, 10.0


def write_tiff(path, pixels, crs="EPSG:32632", transform=None, **profile):
    """Write (height, width, bands) pixels."""
    height, width, count = pixels.shape
    transform = from_origin(WEST, NORTH, STEP, STEP) if transform is None else transform
    options = {"driver": "GTiff", "height": height, "width": width, "count": count, "dtype": pixels.dtype}
    with rasterio.open(path, "w", **options, crs=crs, transform=transform, **profile) as target:
        target.write(np.moveaxis(pixels, -1, 0))
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "scenes"
    made.mkdir()
    write_tiff(made / "city.tif", square(300, 400, (100, 50, 200, 150)))
    write_tiff(made / "photo.tif", square(30, 40), crs=None, transform=rasterio.Affine.identity())
    write_tiff(tmp_path / "secret.tif", square())
    (made / "link.tif").symlink_to(tmp_path / "secret.tif")
    (made / "broken.tif").write_bytes(b"II*\0 no more")
    (made / "notes.txt").write_text("private")
    return made


@pytest.fixture
def server(model, settings, folder):
    with running(model, replace(settings, scenes=folder)) as made:
        yield made


def test_the_list_has_what_can_be_opened_with_bounds_and_gsd(server):
    scenes = {scene["name"]: scene for scene in server.client.get("/api/info").json()["scenes"]}
    assert set(scenes) == {"city.tif", "photo.tif"}
    city = scenes["city.tif"]
    assert (city["width"], city["height"]) == (400, 300)
    assert city["gsd"] == pytest.approx(10, rel=1e-3)  # the scale of UTM on its central meridian is 0.9996
    expected = transform_bounds("EPSG:32632", "EPSG:4326", WEST, NORTH - 3000, WEST + 4000, NORTH, densify_pts=21)
    assert city["bounds"] == pytest.approx(expected, abs=1e-4)
    assert (scenes["photo.tif"]["bounds"], scenes["photo.tif"]["gsd"]) == (None, None)


@pytest.mark.parametrize(
    "name",
    ["link.tif", "notes.txt", "../secret.tif", "..%2Fsecret.tif", "%2e%2e/secret.tif", "/etc/passwd", "a%00.tif", "."],
)
def test_nothing_else_of_the_disk_is_served(server, name):
    assert server.client.get(f"/api/scenes/{name}/overview.png").status_code == 404
    assert server.client.get(f"/api/scenes/{name}/3/1/1.png").status_code == 404
    assert server.segment(None, scene=name).status_code == 404


def test_a_broken_scene_is_one_line(server):
    answer = server.segment(None, scene="broken.tif")
    assert answer.status_code == 422
    assert "broken.tif" in answer.json()["error"]


def tile_of(longitude, latitude, zoom):
    """The tile that holds a place, by the formula of web maps."""
    count = 2**zoom
    y = math.asinh(math.tan(math.radians(latitude)))
    return int((longitude + 180) / 360 * count), int((1 - y / math.pi) / 2 * count)


def test_map_tiles_show_the_scene_where_it_lies(server):
    """GDAL's own warp of the file gives the same colours at the same places."""
    from rasterio.vrt import WarpedVRT

    west, south, east, north = server.client.get("/api/info").json()["scenes"][0]["bounds"]
    zoom = 13
    column, row = tile_of((west + east) / 2, (south + north) / 2, zoom)
    answer = server.client.get(f"/api/scenes/city.tif/{zoom}/{column}/{row}.png")
    drawn = pixels_of(answer)
    assert drawn.shape == (256, 256, 4)
    side = 2 * math.pi * 6378137 / 2**zoom
    left, top = column * side - math.pi * 6378137, math.pi * 6378137 - row * side
    place = rasterio.transform.from_origin(left, top, side / 256, side / 256)
    path = server.state.settings.scenes / "city.tif"
    with (
        rasterio.open(path) as source,
        WarpedVRT(source, crs="EPSG:3857", transform=place, height=256, width=256, add_alpha=True) as warped,
    ):
        expected = np.moveaxis(warped.read(), 0, -1)
    agree = np.abs(drawn[..., :3].astype(int) - expected[..., :3]).max(axis=-1) < 60
    shown = (drawn[..., 3] > 0) & (expected[..., 3] > 0)
    assert shown.mean() > 0.2
    assert agree[shown].mean() > 0.97
    assert ((drawn[..., 3] > 0) == (expected[..., 3] > 0)).mean() > 0.98


def test_tiles_are_transparent_elsewhere_and_missing_beyond_the_world(server):
    assert not pixels_of(server.client.get("/api/scenes/city.tif/5/0/0.png")).any()
    assert server.client.get("/api/scenes/city.tif/2/4/0.png").status_code == 404
    assert server.client.get("/api/scenes/city.tif/99/0/0.png").status_code == 404
    assert server.client.get("/api/scenes/photo.tif/0/0/0.png").status_code == 404


def test_a_tile_is_not_sent_again_until_the_file_changes(server, folder):
    first = server.client.get("/api/scenes/city.tif/8/134/88.png")
    again = {"If-None-Match": first.headers["etag"]}
    assert server.client.get("/api/scenes/city.tif/8/134/88.png", headers=again).status_code == 304
    write_tiff(folder / "city.tif", square(200, 400))
    assert server.client.get("/api/scenes/city.tif/8/134/88.png", headers=again).status_code == 200
    assert server.client.get("/api/info").json()["scenes"][0]["height"] == 200


def test_the_overview_is_the_scene(server):
    assert np.array_equal(pixels_of(server.client.get("/api/scenes/photo.tif/overview.png"))[..., :3], square(30, 40))


def test_a_scene_gives_area_bounds_and_layers(server, tmp_path):
    told = server.segment(None, scene="city.tif").json()
    (found,) = told["answers"]
    assert found["share"] == pytest.approx(100 * 100 / (300 * 400), rel=0.02)
    assert found["regions"] == 1
    west, south, east, north = transform_bounds(
        "EPSG:32632", "EPSG:4326", WEST + 1000, NORTH - 1500, WEST + 2000, NORTH - 500
    )
    corners = [(west, south), (east, south), (east, north), (west, north)]
    expected = abs(Geod(ellps="WGS84").polygon_area_perimeter(*zip(*corners, strict=True))[0])
    assert found["area_m2"] == pytest.approx(expected, rel=0.03)
    geojson = server.client.get(found["links"]["geojson"])
    assert 'filename="city_answer_1.geojson"' in geojson.headers["content-disposition"]
    (feature,) = geojson.json()["features"]
    xs, ys = zip(*feature["geometry"]["coordinates"][0], strict=True)
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((west, south, east, north), abs=2e-4)
    content = server.client.get(found["links"]["geotiff"]).content
    with rasterio.open(io.BytesIO(content)) as mask:
        assert mask.crs.to_epsg() == 32632
        assert mask.transform[2] == WEST
        assert (mask.read(1) > 0)[50:150, 100:200].all()
    path = tmp_path / "answer.tif"
    path.write_bytes(content)
    try:
        done = subprocess.run(["gdalinfo", "-json", str(path)], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("gdalinfo is not installed: apt-get install gdal-bin")
    assert done.stderr == ""
    assert 'ID["EPSG",32632]' in json.loads(done.stdout)["coordinateSystem"]["wkt"]


def test_the_map_of_an_answer_covers_its_bounds(server):
    told = server.segment(None, scene="city.tif").json()
    drawn = pixels_of(server.client.get(told["answers"][0]["links"]["map"]))
    height, width = drawn.shape[:2]
    west, south, east, north = transform_bounds("EPSG:4326", "EPSG:3857", *told["bounds"])
    x, y = rasterio.warp.transform("EPSG:32632", "EPSG:3857", [WEST + 1500], [NORTH - 1000])
    column, row = (x[0] - west) / (east - west) * width, (north - y[0]) / (north - south) * height
    assert drawn[int(row), int(column), 0] > 200  # the middle of the target
    assert drawn[..., 1].max() == 255
    assert (drawn[..., 1] > 0).mean() > 0.9


def test_an_area_of_a_scene_is_answered_alone(server):
    west, south, east, north = transform_bounds(
        "EPSG:32632", "EPSG:4326", WEST + 1000, NORTH - 1500, WEST + 2000, NORTH - 500
    )
    told = server.segment(None, scene="city.tif", area=f"{west},{south},{east},{north}").json()
    assert 98 <= told["width"] <= 106
    assert 98 <= told["height"] <= 106
    assert told["answers"][0]["share"] > 0.9


@pytest.mark.parametrize("area", ["1,2,3", "a,b,c,d", "nan,0,1,1", "100,10,101,11", "9,48,9,48"])
def test_areas_that_are_none_or_elsewhere_are_refused(server, area):
    answer = server.segment(None, scene="city.tif", area=area)
    assert answer.status_code == 422, answer.text
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("area", ["notes.txt", "/etc/passwd", "pixels:0,0,5,5", '{"type": "Point"}'])
def test_an_area_is_never_a_file_of_the_server(server, area):
    answer = server.segment(None, scene="city.tif", area=area)
    assert answer.status_code == 422
    assert answer.json()["error"] == "area: give west,south,east,north in degrees"


def test_a_large_scene_asks_for_an_area(model, settings, folder):
    with rasterio.open(
        folder / "vast.tif",
        "w",
        driver="GTiff",
        height=3000,
        width=3000,
        count=3,
        dtype="uint8",
        crs="EPSG:32632",
        transform=from_origin(WEST, NORTH, STEP, STEP),
        tiled=True,
        sparse_ok=True,
    ):
        pass
    with running(model, replace(settings, scenes=folder)) as server:
        answer = server.segment(None, scene="vast.tif")
        assert answer.status_code == 422
        assert "3000 x 3000 px" in answer.json()["error"]
        assert "smaller area" in answer.json()["error"]
        assert model.calls == []


def test_an_upload_of_16_bits_keeps_its_crs(server, tmp_path):
    pixels = square(80, 120, (20, 10, 60, 50)).astype(np.uint16) * 40
    path = write_tiff(tmp_path / "deep.tif", pixels)
    told = server.segment(path.read_bytes(), name="deep scene.TIF").json()
    (found,) = told["answers"]
    assert found["area_m2"] == pytest.approx(40 * 40 * 100, rel=0.01)
    assert told["gsd"] == pytest.approx(10, rel=1e-3)
    answer = server.client.get(found["links"]["geotiff"])
    assert "deep_scene_answer_1.tif" in answer.headers["content-disposition"]
    with rasterio.open(io.BytesIO(answer.content)) as mask:
        assert mask.crs.to_epsg() == 32632
        marked = mask.read(1) > 0
    expected = np.zeros((80, 120), bool)
    expected[10:50, 20:60] = True
    assert np.array_equal(marked, expected)


def test_pixels_without_data_are_transparent_and_never_marked(server, tmp_path):
    pixels = np.concatenate([square(60, 60, (0, 0, 60, 60)), np.full((60, 60, 1), 255, np.uint8)], axis=2)
    pixels[:, :30, 3] = 0
    path = write_tiff(tmp_path / "half.tif", pixels, photometric="RGB", alpha="YES")
    (found,) = server.segment(path.read_bytes(), name="half.tif").json()["answers"]
    drawn = pixels_of(server.client.get(found["links"]["probability"]))
    assert not drawn[:, :30, 1].any()
    assert (drawn[:, 30:, 1] == 255).all()
    assert not pixels_of(server.client.get(found["links"]["mask"]))[:, :30].any()
    assert found["share"] == pytest.approx(1)


def test_a_picture_without_a_place_gives_polygons_in_pixels(server):
    from tests.baselines.serve.fakes import png

    (found,) = server.segment(png(square())).json()["answers"]
    (feature,) = server.client.get(found["links"]["geojson"]).json()["features"]
    xs, ys = zip(*feature["geometry"]["coordinates"][0], strict=True)
    assert (min(xs), min(ys), max(xs), max(ys)) == (10, 5, 30, 25)
    assert server.client.get("/results/x/0/map.png").status_code == 404

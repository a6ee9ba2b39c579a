"""Files and names that are made to break the server, or to make it tell of its folders."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from baselines.serve import downloads
from earthreason.errors import EarthReasonError
from tests.baselines.serve.fakes import png, running, square
from tests.baselines.serve.test_scenes import write_tiff

MARS = 'GEOGCS["Mars",DATUM["M",SPHEROID["M",3396190,169.8]],PRIMEM["0",0],UNIT["degree",0.0174532925199433]]'


def tiff(pixels, crs=None, transform=None):
    with MemoryFile() as file:
        write_tiff(file.name, pixels, crs, rasterio.Affine.identity() if transform is None else transform)
        return file.read()


@pytest.fixture
def whole_server(model, settings, tmp_path):
    """A server with scenes and the real pipeline."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    write_tiff(folder / "mars.tif", square(), MARS, from_origin(10, 10, 0.01, 0.01))
    write_tiff(folder / "ok.tif", square())
    (folder / "text.tif").write_text("no raster")
    whole = (folder / "ok.tif").read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with running(model, replace(settings, scenes=folder)) as made:
        yield made


def test_a_raster_of_another_planet_is_answered_without_a_place_on_the_map(whole_server):
    told = whole_server.segment(tiff(square(), MARS, from_origin(10, 10, 0.01, 0.01)))
    assert told.status_code == 200, told.text
    assert told.json()["bounds"] is None
    scenes = {scene["name"]: scene["bounds"] for scene in whole_server.client.get("/api/info").json()["scenes"]}
    assert scenes["mars.tif"] is None
    assert scenes["ok.tif"] is not None


def test_a_transform_beyond_numbers_is_no_fault_of_the_model(whole_server):
    told = whole_server.segment(tiff(square(), "EPSG:32632", from_origin(1e300, 1e300, 1e290, 1e290)))
    assert told.status_code == 422
    assert "is not that of a grid" in told.json()["error"]


def test_coarse_pixels_do_not_multiply_the_work(model, settings):
    model.ground_resolution = (0.5, 2.0)
    with running(model, settings) as server:
        coarse = tiff(square(400, 400), "EPSG:32632", from_origin(5e5, 5e6, 16, 16))
        told = server.segment(coarse)
        assert told.status_code == 422
        assert "64 times as many" in told.json()["error"]  # 16 m seen at 2 m: 8 times, each way
        assert model.calls == []
        fine = tiff(square(400, 400), "EPSG:32632", from_origin(5e5, 5e6, 1, 1))
        assert server.segment(fine).status_code == 200


@pytest.mark.parametrize("name", ["text.tif", "cut.tif"])
def test_errors_about_scenes_name_the_file_and_not_its_folder(whole_server, tmp_path, name):
    answers = [whole_server.segment(scene=name), whole_server.client.get(f"/api/scenes/{name}/overview.png")]
    for answer in answers:
        assert answer.status_code == 422
        assert name in answer.json()["error"]
        assert str(tmp_path) not in answer.text


def test_errors_about_downloads_name_the_file_and_not_its_folder(server, monkeypatch):
    def refuse(path, _):
        raise EarthReasonError(f"{path}: the mask is noise")

    monkeypatch.setattr(downloads, "write_answer", refuse)
    found = server.segment(png(square())).json()["answers"][0]
    answer = server.client.get(found["links"]["geojson"])
    assert (answer.status_code, answer.json()["error"]) == (422, "a_answer_1.geojson: the mask is noise")


def test_an_upload_shows_no_file_of_the_server_as_its_overviews(whole_server, tmp_path):
    secret = write_tiff(tmp_path / "secret.tif", np.full((64, 64, 3), 200, np.uint8))
    upload = write_tiff(tmp_path / "upload.tif", np.zeros((512, 512, 3), np.uint8))
    with rasterio.open(upload, "r+") as opened:
        opened.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    with rasterio.open(upload) as opened:
        assert opened.read(1, out_shape=(64, 64)).mean() == 200  # what GDAL makes of it
    told = whole_server.segment(upload.read_bytes(), name="upload.tif")
    assert told.status_code == 422
    assert told.json()["error"].startswith("upload.tif: names another file")


def test_names_and_questions_are_data_in_every_file(whole_server):
    hostile = '</x>]]><script>alert(1)</script>"&'
    picture = tiff(square(), "EPSG:32632", from_origin(5e5, 5e6, 1, 1))
    found = whole_server.segment(picture, [hostile], name="<img onerror=x>\u202e.tif").json()["answers"][0]
    layer = whole_server.client.get(found["links"]["geojson"])
    assert json.loads(layer.content)["features"][0]["properties"]["question"] == hostile
    raster = whole_server.client.get(found["links"]["geotiff"])
    for answer in (layer, raster):
        assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._-]+"', answer.headers["content-disposition"])
        assert answer.headers["x-content-type-options"] == "nosniff"
    with MemoryFile(raster.content) as file, file.open() as opened:
        assert hostile in opened.tags(1).values() or hostile in opened.descriptions


def test_numbers_that_are_none_mark_nothing(whole_server):
    nothing = np.full((8, 8, 3), np.nan, np.float32)
    found = whole_server.segment(tiff(nothing)).json()["answers"][0]
    assert (found["has_target"], found["share"], found["regions"]) == (False, 0, 0)

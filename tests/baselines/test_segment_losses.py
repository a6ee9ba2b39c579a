"""`earthreason-baselines segment` loses nothing: neither what it reads nor what others keep beside an output."""

import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

pytest.importorskip("rasterio")
pytest.importorskip("pyogrio")

from tests.baselines.test_segment import QUESTION, segment
from tests.geo.fakes import noise
from tests.geo.rasters import corners, gdal, needs_gdal
from tests.geo.test_predictor import write_scene


@pytest.fixture
def scene(tmp_path):
    return write_scene(tmp_path / "scene.tif", noise(60, 80))


@pytest.mark.parametrize(
    "arguments",
    [
        ["scene.tif", "--out", "scene.tif"],
        ["scene.tif", "--mask", "./scene.tif"],
        ["scene.tif", "--out", "o.gpkg", "--json", "scene.tif"],
        ["link.tif", "--probability", "scene.tif"],
        ["scene.tif", "--mask", "link.tif"],
        ["scene.tif", "--questions", "more.txt", "--json", "more.txt"],
        ["scene.tif", "--aoi", "area.geojson", "--out", "area.geojson"],
    ],
)
def test_a_file_that_is_read_is_not_written(scene, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.tif").symlink_to("scene.tif")
    (tmp_path / "more.txt").write_text("what else?")
    (tmp_path / "area.geojson").write_text(
        '{"type": "Polygon", "coordinates": [[[8, 47], [10, 47], [9, 48], [8, 47]]]}'
    )
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = segment(arguments[0], QUESTION, *arguments[1:], checkpoint="none")
    assert "would be lost" in str(done.exception)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@needs_gdal
def test_a_raster_of_a_mosaic_is_not_written(scene, tmp_path):
    mosaic = tmp_path / "mosaic.vrt"
    gdal("gdal_translate", "-q", "-of", "VRT", scene, mosaic)
    before = scene.read_bytes()
    done = segment(mosaic, QUESTION, "--mask", scene, checkpoint="none")
    assert "would be lost" in str(done.exception)
    assert scene.read_bytes() == before


def test_pictures_of_several_questions_do_not_replace_another_output(scene, tmp_path):
    outputs = ["--out", tmp_path / "o.png", "--out", tmp_path / "o-1.jpg", "--json", tmp_path / "o-2.png"]
    done = segment(scene, "one?", "two?", *outputs, checkpoint="none")
    assert "two outputs" in str(done.exception)
    assert "o-2.png" in str(done.exception)


@needs_gdal
def test_a_new_mask_does_not_take_the_place_and_overviews_of_the_old_one(scene, tmp_path):
    mask = tmp_path / "mask.tif"
    shutil.copy(scene, mask)
    gdal("gdaladdo", "-q", "-ro", mask, 2)
    place = "<SRS>EPSG:3857</SRS><GeoTransform>0, 1, 0, 100, 0, -1</GeoTransform>"
    mask.with_name("mask.tif.aux.xml").write_text(f"<PAMDataset>{place}</PAMDataset>")
    assert corners(mask) == (1, 0, 0, 0, -1, 100)  # GDAL goes by the file beside it
    done = segment(scene, QUESTION, "--mask", mask, "--gsd", 0.5)
    assert done.exit_code == 0, done.output
    assert corners(mask) == corners(scene)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.tif", "scene.tif"]


def test_the_journal_of_an_old_geopackage_is_not_played_into_the_new_one(scene, tmp_path):
    layer = tmp_path / "answer.gpkg"
    write = (
        "import os, sqlite3, sys\n"
        "layer = sqlite3.connect(sys.argv[1])\n"
        "layer.execute('pragma journal_mode=wal')\n"
        "layer.execute('create table mine (x)')\n"
        "layer.commit()\n"
        "os._exit(0)\n"  # as a GIS program that crashed
    )
    subprocess.run([sys.executable, "-c", write, str(layer)], check=True)
    assert (tmp_path / "answer.gpkg-wal").exists()
    done = segment(scene, QUESTION, "--out", layer)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.gpkg", "scene.tif"]
    with sqlite3.connect(layer) as opened:
        tables = {name for (name,) in opened.execute("select name from sqlite_master where type = 'table'")}
    assert "answers" in tables
    assert "mine" not in tables


def test_the_resolution_that_is_worked_at_is_told_and_stated(scene, tmp_path):
    done = segment(scene, QUESTION, "--json", tmp_path / "o.json", "--gsd", 1)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "o.json").read_text())
    assert report["grid"]["scene_gsd"] == pytest.approx(0.5, rel=1e-3)
    assert report["grid"]["gsd"] == pytest.approx(1, rel=1e-3)
    assert (report["grid"]["width"], report["grid"]["height"]) == (40, 30)
    assert "0.5 m per pixel, worked at 1 m, as asked" in " ".join(done.stderr.split())

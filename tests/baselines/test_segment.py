"""`earthreason-baselines segment` from end to end, with the checkpoint `tiny` of the package."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from baselines.cli import app
from earthreason.errors import EarthReasonError
from tests.geo.fakes import noise

rasterio = pytest.importorskip("rasterio")
pyogrio = pytest.importorskip("pyogrio")

from tests.geo.test_predictor import write_scene  # noqa: E402  (needs rasterio)

QUESTION = "where could a ship tie up?"


def segment(*arguments, checkpoint="tiny"):
    return CliRunner().invoke(app, ["segment", *map(str, arguments), "--checkpoint", checkpoint])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif", noise(300, 400))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "in.png"
    Image.fromarray(noise(120, 180)).save(path)
    return path


@pytest.fixture(scope="module")
def predictor():
    from baselines.registry import PredictorOptions
    from baselines.segment_models import load_model

    return load_model(None, PredictorOptions(checkpoint="tiny"))


def test_a_picture_gives_overlay_mask_and_words(picture, predictor, tmp_path):
    done = segment(picture, QUESTION, "--out", tmp_path / "out.png", "--mask", tmp_path / "mask.png", "--answer")
    assert done.exit_code == 0, done.output
    (expected,) = predictor.segment([Image.open(picture)], [QUESTION])
    mask = np.asarray(Image.open(tmp_path / "mask.png")) > 0
    assert np.array_equal(mask, np.zeros_like(mask) if expected.mask is None else expected.mask)
    assert Image.open(tmp_path / "out.png").size == (180, 120)
    lines = done.stdout.splitlines()
    score = f"no-target score {expected.no_target_score:.3f}, threshold {predictor.no_target_threshold:.3f}"
    assert (
        lines[0] == ("no target" if expected.mask is None else f"target: {mask.mean():.1%} of the image") + f"; {score}"
    )
    assert lines[1] == f"answer: {predictor.answer(Image.open(picture), QUESTION)}"
    assert lines[2:] == [f"overlay: {tmp_path / 'out.png'}", f"mask: {tmp_path / 'mask.png'}"]


def test_the_suffix_decides_on_the_picture(picture, tmp_path):
    assert segment(picture, QUESTION, "--out", tmp_path / "out.jpg").exit_code == 0
    assert Image.open(tmp_path / "out.jpg").format == "JPEG"


def test_a_geotiff_gives_rasters_and_polygons_in_its_place(scene, tmp_path):
    names = ("a.gpkg", "a.geojson", "a.png", "mask.tif", "p.tif")
    layer, geojson, overlay, mask, probability = (tmp_path / name for name in names)
    outputs = ("--out", layer, "--out", geojson, "--out", overlay, "--mask", mask, "--probability", probability)
    report = tmp_path / "report.json"
    rest = ("--gsd", 0.5, "--tile", 128, "--no-target-threshold", 1, "--json", report)
    done = segment(scene, QUESTION, "which roofs are red?", *outputs, *rest)
    assert done.exit_code == 0, done.output
    with rasterio.open(scene) as source, rasterio.open(mask) as masks, rasterio.open(probability) as probabilities:
        assert masks.crs == probabilities.crs == source.crs
        assert masks.transform == probabilities.transform == source.transform
        assert masks.shape == (300, 400)
        assert masks.count == 2
        marks, values = masks.read(), probabilities.read()
    assert np.array_equal(marks == 1, values > 0.5) or np.abs(values[(marks == 1) != (values > 0.5)] - 0.5).max() < 1e-4
    found = json.loads(report.read_text())["answers"]
    table = pyogrio.read_info(layer, layer="answers")
    assert table["crs"] == "EPSG:32632"
    assert table["features"] == sum(answer["regions"] for answer in found)
    for number, answer in enumerate(found):
        assert answer["share"] == pytest.approx((marks[number] == 1).mean())
        inside = values[number][marks[number] == 1]
        assert answer["score"] == pytest.approx(inside.mean() if inside.size else None, abs=1e-3)
    assert [answer["outputs"][2] for answer in found] == [str(tmp_path / "a-1.png"), str(tmp_path / "a-2.png")]
    assert Image.open(tmp_path / "a-2.png").size == (400, 300)
    assert json.loads(geojson.read_text())["type"] == "FeatureCollection"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["a.gpkg", "a.geojson", "a-1.png", "a-2.png", "mask.tif", "p.tif", "report.json"]
    )
    hectares = [f"{answer['area_m2'] / 10_000:,.2f} ha" for answer in found if answer["has_target"]]
    assert re.findall(r"of the image \((.+?)\) in \d+ region", done.stdout) == hectares  # the area of all of them


def test_questions_come_from_a_file_too_and_json_is_printed(picture, tmp_path):
    (tmp_path / "questions.txt").write_text("\ufeffwhere?\n\nwhich ones?\n", encoding="utf-8")
    done = segment(picture, "--questions", tmp_path / "questions.txt", "--json", "-")
    assert [answer["question"] for answer in json.loads(done.stdout)["answers"]] == ["where?", "which ones?"]


def test_a_killed_run_goes_on_and_writes_the_same_bytes(scene, tmp_path):
    def arguments(name):
        return [str(scene), QUESTION, "--mask", str(tmp_path / name), "--tile", "64", "--gsd", "0.5"]

    command = [sys.executable, "-m", "baselines", "segment", *arguments("a.png"), "--checkpoint", "tiny"]
    folder = tmp_path / "a.png.partial"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "."})
    try:
        deadline = time.monotonic() + 120
        while not list(folder.glob("row-*.json")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "a.png").exists()
    finished = len(list(folder.glob("row-*.json")))
    other = segment(*arguments("a.png"), "--threshold", 0.4)
    assert "unfinished run that differs in threshold" in str(other.exception)
    again = segment(*arguments("a.png"))
    assert again.exit_code == 0
    assert f"{finished} of 7 rows of tiles are finished" in " ".join(again.stderr.split())
    assert segment(*arguments("b.png")).exit_code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "o.xyz"], "suffix"),
        ([], "nothing to write"),
        (["--out", "o.png", "--mask", "m.gpkg"], "must end in .png or .tif"),
        (["--out", "o.png", "--probability", "p.png"], "must end in .tif"),
        (["--out", "o.png", "--mask", "o.png"], "two outputs"),
        (["--out", "o.png", "--questions", "nothing.txt"], "no such file"),
        (["--out", "o.png", "--tile", "3"], "too small"),
        (["--out", "o.png", "--gsd", "1"], "unknown"),
        (["--out", "o.png", "--bands", "4;3"], "bands"),
        (["--out", "o.png", "--stretch", "much"], "stretch"),
        (["--out", "o.png", "--aoi", "pixels:500,500,10,10"], "outside"),
        (["--out", "o.png", "--aoi", "7,8,9,10"], "no place on Earth"),
        (["--out", "o.geojson"], "no CRS"),
        (["--out", "o.gpkg", "--simplify", "2"], "metres"),
    ],
)
def test_bad_requests_are_one_line_before_the_model_is_loaded(picture, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    done = segment(picture, QUESTION, *arguments, checkpoint="nowhere")
    assert isinstance(done.exception, EarthReasonError), done.output
    assert words in str(done.exception)
    assert "\n" not in str(done.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n cut"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "in.png").write_bytes(content)
    done = segment(tmp_path / "in.png", QUESTION, "--out", tmp_path / "out.png")
    assert isinstance(done.exception, EarthReasonError)
    assert "in.png" in str(done.exception)
    assert not (tmp_path / "out.png").exists()


def test_a_model_without_weights_can_be_asked(scene, tmp_path):
    done = CliRunner().invoke(
        app, ["segment", str(scene), QUESTION, "--model", "saliency", "--out", str(tmp_path / "a.tif"), "--tile", "128"]
    )
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "a.tif") as mask:
        assert 0 < (mask.read(1) == 1).mean() < 1

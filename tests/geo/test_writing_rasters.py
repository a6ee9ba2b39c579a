"""Rasters as GDAL's own programs of Debian read them, without a warning."""

import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.geo.answers import SceneAnswer, SceneAnswers
from earthreason.geo.writing_rasters import write_mask, write_probability
from tests.geo.layer_cases import FACTS, RINGS, answers_of, grid_of, run_gdal

NOTHING = np.zeros_like(RINGS)
QUESTIONS = ("Where are roofs?", "Où est l'eau ?")


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    """A mask of 1,300 by 1,800 pixels: several blocks each way, two overviews."""
    mask = np.random.default_rng(5).random((13, 18)) < 0.4
    return np.kron(mask, np.ones((100, 100), bool))


@pytest.mark.parametrize(
    "transform",
    [None, (10, 0, 500_000, 0, -10, 5_000_000), (10, 0, 500_000, 0, 10, 5_000_000), (8, 3, 500_000, 2, -9, 5_000_000)],
    ids=["none", "north up", "south up", "rotated"],
)
@pytest.mark.parametrize("write", [write_mask, write_probability])
def test_a_geotiff_keeps_place_values_and_questions(tmp_path, large, transform, write):
    path = tmp_path / "a.tif"
    answers = answers_of(large, np.zeros_like(large), transform=transform)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(path, answers)
    told = run_gdal("gdalinfo", "-checksum", path)
    assert "LAYOUT=COG" in told
    assert ("AREA_OR_POINT=Area" in told) == (transform is not None)
    assert "Overviews: 900x650, 450x325" in told
    assert all(f"Description = {question}" in told for question in QUESTIONS)
    assert all(f"  {name}={value}\n" in told for name, value in FACTS.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as source:
            values = source.read()
            assert source.crs == (None if transform is None else rasterio.CRS.from_epsg(32633))
            assert tuple(source.transform)[:6] == (transform or (1, 0, 0, 0, 1, 0))
            assert [source.tags(band)["question"] for band in (1, 2)] == list(QUESTIONS)
            assert [source.tags(band)["has_target"] for band in (1, 2)] == ["yes", "no"]
            assert [float(source.tags(band)["no_target_score"]) for band in (1, 2)] == [0.1, 0.9]
    expected = np.stack([large, np.zeros_like(large)])
    if write is write_mask:
        assert values.dtype == np.uint8
        np.testing.assert_array_equal(values, expected)
    else:
        np.testing.assert_array_equal(values, np.where(expected, 0.75, 0.25).astype(np.float32))


def test_gdal_s_own_check_finds_a_cloud_optimised_geotiff(tmp_path, large):
    write_mask(tmp_path / "a.tif", answers_of(large))
    write_probability(tmp_path / "b.tif", answers_of(large))
    if not Path("/usr/bin/python3").exists():
        pytest.skip("python3-gdal is not here")
    check = ["/usr/bin/python3", "-m", "osgeo_utils.samples.validate_cloud_optimized_geotiff"]
    for name in "ab":
        done = subprocess.run([*check, str(tmp_path / f"{name}.tif")], capture_output=True, text=True)
        if "No module named" in done.stderr:
            pytest.skip("python3-gdal is not here")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "is a valid cloud optimized GeoTIFF" in done.stdout


def test_the_header_of_a_cloud_optimised_geotiff_comes_first(tmp_path, large):
    write_mask(tmp_path / "a.tif", answers_of(large))
    head = (tmp_path / "a.tif").read_bytes()[:400]
    assert b"GDAL_STRUCTURAL_METADATA_SIZE" in head
    assert b"LAYOUT=IFDS_BEFORE_DATA" in head
    assert b"KNOWN_INCOMPATIBLE_EDITION=NO" in head


def test_pixels_that_were_not_asked_are_nodata(tmp_path):
    probabilities = np.where(RINGS, 0.75, 0.25)
    probabilities[:, -1] = np.nan
    mask = RINGS & ~np.isnan(probabilities)
    for answers in (answers_of(mask, probabilities=probabilities), answers_of(NOTHING, probabilities=probabilities)):
        write_mask(tmp_path / "a.tif", answers)
        write_probability(tmp_path / "b.tif", answers)
        assert "NoData Value=255" in run_gdal("gdalinfo", tmp_path / "a.tif")
        assert "NoData Value=nan" in run_gdal("gdalinfo", tmp_path / "b.tif")
        with rasterio.open(tmp_path / "a.tif") as source:
            values = source.read(1)
            np.testing.assert_array_equal(source.read_masks(1) == 0, np.isnan(probabilities))
        np.testing.assert_array_equal(values == 1, answers.answers[0].raster.marked)
        with rasterio.open(tmp_path / "b.tif") as source:
            np.testing.assert_array_equal(source.read(1), probabilities.astype(np.float32))


def test_an_answer_on_disk_is_read_in_bounded_windows(tmp_path):
    shapes = []

    def probability(window):
        shapes.append((window.height, window.width))
        return np.full((window.height, window.width), 0.7, np.float32)

    grid = grid_of(np.broadcast_to(False, (600, 40_000)))
    raster = SimpleNamespace(grid=grid, probability=probability, mask=lambda window: probability(window) > 0.5)
    write_mask(tmp_path / "a.tif", SceneAnswers(grid, (SceneAnswer("q", 0.1, True, raster),)))
    assert max(height * width for height, width in shapes) <= 512 * 16_384
    with rasterio.open(tmp_path / "a.tif") as source:
        assert source.read(1).min() == 1


def test_a_png_is_black_and_white(tmp_path):
    write_mask(tmp_path / "a.png", answers_of(RINGS, transform=None))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), np.where(RINGS, 255, 0))
    write_mask(tmp_path / "a.png", answers_of(NOTHING))
    with Image.open(tmp_path / "a.png") as image:
        assert not np.asarray(image).any()


def test_a_png_holds_one_question(tmp_path):
    with pytest.raises(EarthReasonError, match=r"one question, not of 2; write a \.tif"):
        write_mask(tmp_path / "a.png", answers_of(RINGS, NOTHING))


def test_unknown_suffixes_name_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match=r"did you mean '.tiff?'"):
        write_mask(tmp_path / "a.tff", answers_of(RINGS))
    with pytest.raises(UnknownNameError, match=r"'.png'.*known: .tif, .tiff"):
        write_probability(tmp_path / "a.png", answers_of(RINGS))


@pytest.mark.parametrize("name", ["50% %20 é ü.tif", "ответ.tiff", "a b.TIF"])
def test_names_with_odd_characters(tmp_path, name):
    write_mask(tmp_path / name, answers_of(RINGS))
    assert "LAYOUT=COG" in run_gdal("gdalinfo", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_characters_that_files_cannot_hold_are_replaced(tmp_path):
    write_mask(tmp_path / "a.tif", answers_of(RINGS, questions=("a\x0bb\ud800 <c>",)))
    assert "Description = a\ufffdb\ufffd <c>" in run_gdal("gdalinfo", tmp_path / "a.tif")


def test_masks_of_three_or_four_questions_are_no_colours(tmp_path):
    for count in (3, 4):
        write_mask(tmp_path / "m.tif", answers_of(*[RINGS] * count, questions=tuple("abcd"[:count])))
        told = run_gdal("gdalinfo", tmp_path / "m.tif")
        assert told.count("ColorInterp=") == count
        assert "ColorInterp=Gray" in told
        assert not any(f"ColorInterp={colour}" in told for colour in ("Red", "Green", "Blue", "Alpha"))


WRITE = """
import resource, sys
from pathlib import Path
import numpy as np
from earthreason.errors import EarthReasonError
from earthreason.geo.writing_rasters import write_mask, write_probability
from tests.geo.layer_cases import answers_of
rng = np.random.default_rng(1)
answers = answers_of(rng.random((1200, 1200)) < 0.4, probabilities=rng.random((1200, 1200)))
for limit in (1_000, 100_000, int(sys.argv[2])):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for name, write in (("m.tif", write_mask), ("m.png", write_mask), ("p.tif", write_probability)):
        try:
            write(Path(sys.argv[1], name), answers)
        except EarthReasonError as error:
            print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    rng = np.random.default_rng(1)
    small = answers_of(RINGS)
    whole = answers_of(rng.random((1200, 1200)) < 0.4, probabilities=rng.random((1200, 1200)))
    sizes = []
    for name, write in (("m.tif", write_mask), ("m.png", write_mask), ("p.tif", write_probability)):
        write(tmp_path / name, whole)
        sizes.append((tmp_path / name).stat().st_size)
        write(tmp_path / name, small)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    almost = str(min(sizes) - 50)  # the end is missing
    done = subprocess.run([sys.executable, "-c", WRITE, tmp_path, almost], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split(": cannot write the ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("m.tif", "m.png", "p.tif")
    ] * 3
    assert all(line.startswith("_tiff") for line in done.stderr.splitlines())  # libtiff cannot be told to be silent
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

"""The scenes of the benchmark are what it says, as GDAL reads them, and what it measures is the process it ran."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.scenes import BLOCK, Colour, draw_blocks, measure, read_all, side_of, write_scene
from earthreason.geo.model import TileModel

rasterio = pytest.importorskip("rasterio")


@pytest.fixture(scope="module")
def blocks():
    return draw_blocks(("lake",))


def test_a_drawn_scene_comes_in_eight_orientations(blocks):
    assert len({block.tobytes() for block in blocks}) == 8
    assert {block.shape for block in blocks} == {(3, BLOCK, BLOCK)}


@pytest.mark.parametrize(("megapixels", "side"), [(0.1, 512), (1, 1024), (100, 10240), (2000, 45056)])
def test_a_scene_has_whole_blocks_and_at_least_the_pixels_that_were_asked_for(megapixels, side):
    assert side_of(megapixels) == side
    assert side**2 >= megapixels * 1e6


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="GDAL's tools are not installed")
def test_gdal_sees_a_tiled_compressed_raster_in_utm(tmp_path, blocks):
    write_scene(tmp_path / "scene.tif", 2 * BLOCK, blocks)
    run = subprocess.run(["gdalinfo", "-json", tmp_path / "scene.tif"], check=True, capture_output=True, text=True)
    told = json.loads(run.stdout)
    assert told["size"] == [1024, 1024]
    assert told["geoTransform"] == [500000, 1, 0, 5400000, 0, -1]
    assert "UTM zone 32N" in told["coordinateSystem"]["wkt"]
    assert told["metadata"]["IMAGE_STRUCTURE"]["COMPRESSION"] == "DEFLATE"
    assert [band["block"] for band in told["bands"]] == [[512, 512]] * 3
    assert run.stderr == ""


def test_the_peer_reads_every_pixel(tmp_path, blocks):
    write_scene(tmp_path / "scene.tif", 3 * BLOCK, blocks)
    with rasterio.open(tmp_path / "scene.tif") as raster:
        assert read_all(tmp_path / "scene.tif", 1000) == int(raster.read().sum(dtype=np.int64))


def test_the_peak_memory_is_that_of_the_process(tmp_path):
    """A process that fills 200 MB has a peak above that, and one that does not stays below."""
    small = measure([sys.executable, "-c", "print(1)"], tmp_path / "log", 60)
    # The peak is looked up while the process lives, so it lives for a while.
    large = measure(
        [sys.executable, "-c", "import time; x = bytearray(b'1') * 200_000_000; time.sleep(1); print(2)"],
        tmp_path / "log",
        60,
    )
    assert small.output == "1\n"
    assert small.memory < 100e6
    assert 200e6 < large.memory < 300e6


def test_what_fails_is_told_and_what_takes_too_long_is_stopped(tmp_path):
    with pytest.raises(RuntimeError, match="no such thing"):
        measure([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "log", 60)
    assert measure([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log", 0.2) is None


def test_the_model_of_colours_marks_blue():
    model: TileModel = Colour()
    tile = np.full((64, 96, 3), (60, 60, 40), np.uint8)
    tile[:32, :48] = (10, 10, 200)
    (scores,) = model.score_tiles([tile], ["a?", "b?"])
    assert scores.logits.shape == (2, 64, 96)
    assert (scores.logits[:, :24, :40] > 0).all()
    assert (scores.logits[:, 40:, 56:] < 0).all()


def test_the_seconds_of_a_core_leave_waiting_out(tmp_path):
    idle = measure([sys.executable, "-c", "import time; time.sleep(0.5)"], tmp_path / "log", 60)
    assert idle.core_seconds < 0.4 < idle.seconds

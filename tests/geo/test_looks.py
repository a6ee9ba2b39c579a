"""The limits of the stretch come from few pixels of a large file, and windows from few blocks."""

import numpy as np
import pytest

from earthreason.errors import DataFormatError
from earthreason.geo import looks
from earthreason.geo.grid import Window
from earthreason.geo.reading import open_scene

from .rasters import noise, write

SIDE = 2048
BLOCK = 128


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A ramp of 2,048 x 2,048 pixels, and limits from at most 64 x 64 of them."""
    monkeypatch.setattr(looks, "MOST_SAMPLED", 64 * 64)
    monkeypatch.setattr(looks, "_SAMPLES_A_SIDE", 8)
    monkeypatch.setattr(looks, "_SAMPLE_SIDE", 8)
    ramp = np.arange(SIDE, dtype=np.uint16)[np.newaxis, np.newaxis].repeat(SIDE, 1)
    return write(tmp_path / "large.tif", ramp, tiled=True, blockxsize=BLOCK, blockysize=BLOCK, compress="deflate")


@pytest.fixture
def sizes(monkeypatch):
    """(window, shape) of all that is read of an opened file while limits are sought."""
    read = []

    def note(source, form, reads, original=looks._sampled):
        read.extend(reads)
        return original(source, form, reads)

    monkeypatch.setattr(looks, "_sampled", note)
    return read


def limits(path):
    with open_scene(path) as scene:
        return [float(number) for number in scene.facts["stretch"].split(" = ")[1].split(",")]


def test_without_overviews_small_windows_all_over_the_file_are_looked_at(large, sizes):
    low, high = limits(large)
    assert len(sizes) == 64
    assert all(shape == (8, 8) == (window.height, window.width) for window, shape in sizes)
    assert {window.left % BLOCK for window, _ in sizes} == {0}  # so that each touches one block
    assert low < 0.05 * SIDE
    assert high > 0.85 * SIDE


def test_with_overviews_a_small_one_is_looked_at(large, sizes):
    import rasterio

    with rasterio.open(large, "r+") as target:
        target.build_overviews([2, 4, 8, 16, 32])
    low, high = limits(large)
    assert sizes == [(Window(0, 0, SIDE, SIDE), (64, 64))]
    assert low == pytest.approx(0.02 * SIDE, abs=32)
    assert high == pytest.approx(0.98 * SIDE, abs=32)


def test_an_overview_that_is_itself_large_is_not_read_whole(large, sizes):
    import rasterio

    with rasterio.open(large, "r+") as target:
        target.build_overviews([2])
    limits(large)
    assert len(sizes) == 64


def test_data_that_no_window_meets_is_found(tmp_path, large, sizes):
    values = np.zeros((1, 512, 512), np.uint16)
    values[0, 84:140, 84:140] = np.arange(56 * 56).reshape(56, 56) + 1000
    path = write(tmp_path / "few.tif", values, nodata=0)
    low, high = limits(path)
    assert 1000 <= low < 1800 < 3400 < high < 1000 + 56 * 56
    assert sizes[-1] == (Window(0, 0, 512, 512), (64, 64))


def test_a_window_decodes_its_own_blocks_only(tmp_path):
    """A file of which all other blocks are gone is read as long as nobody asks for them."""
    values = noise(1, 1024, 1024)
    path = write(tmp_path / "a.tif", values, tiled=True, blockxsize=BLOCK, blockysize=BLOCK)
    content = path.read_bytes()
    kept = content.find(values[0, 0, :BLOCK].tobytes()) + BLOCK * BLOCK
    path.write_bytes(content[:kept])
    with open_scene(path) as scene:
        pixels = scene.read(Window(0, 0, BLOCK, BLOCK), BLOCK, BLOCK).pixels[..., 0]
        assert np.array_equal(pixels, values[0, :BLOCK, :BLOCK])
        with pytest.raises(DataFormatError, match="truncated"):
            scene.read(Window(1, 0, BLOCK, BLOCK), BLOCK, BLOCK)

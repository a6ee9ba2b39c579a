import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from earthreason.data.pictures import open_picture, rgb_content
from earthreason.errors import DataFormatError
from earthreason.geo.bands import Stretch
from earthreason.geo.grid import Window
from earthreason.geo.reading import open_scene

from .rasters import bytes_of, corners, gdal, needs_gdal, noise, write

FORMS = {
    "big": ["-co", "BIGTIFF=YES"],
    "cog": ["-of", "COG"],
    "jpeg": ["-co", "COMPRESS=JPEG", "-co", "PHOTOMETRIC=YCBCR", "-co", "TILED=YES"],
    "lzw": ["-co", "COMPRESS=LZW", "-co", "PREDICTOR=2"],
    "zstd": ["-co", "COMPRESS=ZSTD", "-co", "PREDICTOR=2", "-co", "TILED=YES"],
    "separate": ["-co", "INTERLEAVE=BAND"],
    "blocks": ["-co", "TILED=YES", "-co", "BLOCKXSIZE=16", "-co", "BLOCKYSIZE=32"],
    "big endian": ["-co", "ENDIANNESS=BIG"],
    "jp2": ["-of", "JP2OpenJPEG", "-co", "REVERSIBLE=YES", "-co", "QUALITY=100"],
    "vrt": ["-of", "VRT"],
    "png": ["-of", "PNG"],
    "bmp": ["-of", "BMP"],
    "webp": ["-of", "WEBP", "-co", "LOSSLESS=YES"],
}


def whole(path, **options):
    with open_scene(path, **options) as scene:
        return scene.read(scene.grid.whole, scene.grid.height, scene.grid.width)


@needs_gdal
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_pixels_and_the_place_that_gdal_gives(tmp_path, form):
    smooth = np.add.outer(np.arange(70), np.arange(90)) + np.array([0, 30, 60])[:, None, None]
    values = smooth.astype(np.uint8) if form == "jpeg" else noise(3, 70, 90)
    write(tmp_path / "source.tif", values, meanings=("red", "green", "blue"))
    path = tmp_path / "scene.any"
    gdal("gdal_translate", "-q", "-of", "GTiff", *FORMS[form], tmp_path / "source.tif", path)  # the last -of counts
    with open_scene(path) as scene:
        block = scene.read(Window(10, 20, 60, 40), 40, 60)
        assert scene.grid.transform == corners(path)
    expected = bytes_of(path, tmp_path)[20:60, 10:70].astype(int)
    # Two versions of a JPEG decoder may round chroma differently by a few steps.
    assert np.abs(block.pixels - expected).max() <= (3 if form == "jpeg" else 0)
    assert block.valid is None


@needs_gdal
def test_a_mosaic_of_gdalbuildvrt_is_read_and_what_it_leaves_open_has_no_data(tmp_path):
    left = write(tmp_path / "tiles/a.tif", noise(seed=1))
    right = write(tmp_path / "tiles/b.tif", noise(seed=2), transform=(0.5, 0, 500_040.0, 0, -0.5, 5_299_990.0))
    gdal("gdalbuildvrt", "-q", "-addalpha", tmp_path / "mosaic.vrt", left, right)
    block = whole(tmp_path / "mosaic.vrt")
    assert block.pixels.shape == (60, 140, 3)
    assert np.array_equal(block.pixels[:40, :60], noise(seed=1).transpose(1, 2, 0))
    assert np.array_equal(block.pixels[20:, 80:], noise(seed=2).transpose(1, 2, 0))
    expected = np.zeros((60, 140), bool)
    expected[:40, :60] = expected[20:, 80:] = True
    assert np.array_equal(block.valid, expected)


def test_smaller_windows_are_averages_and_larger_ones_are_bilinear(tmp_path):
    values = noise(1, 40, 60)
    path = write(tmp_path / "a.tif", values)
    with open_scene(path) as scene:
        half = scene.read(Window(4, 8, 40, 20), 10, 20).pixels[..., 0]
        twice = scene.read(Window(10, 10, 20, 10), 20, 40).pixels[..., 0]
    blocks = values[0, 8:28, 4:44].reshape(10, 2, 20, 2).mean(axis=(1, 3))
    assert np.abs(half - blocks).max() <= 0.5
    by_opencv = cv2.resize(values[0].astype(np.float32), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)[20:40, 20:60]
    assert np.abs(twice[1:-1, 1:-1] - by_opencv[1:-1, 1:-1]).max() <= 1


def test_small_views_come_from_overviews(tmp_path):
    import rasterio

    path = write(tmp_path / "o.tif", np.full((1, 128, 128), 10, np.uint8), tiled=True, blockxsize=16, blockysize=16)
    with rasterio.open(path, "r+") as target:
        target.build_overviews([4])
    with rasterio.open(path, "r+") as target:  # the overview keeps 10
        target.write(np.full((1, 128, 128), 200, np.uint8))
    with open_scene(path) as scene:
        assert scene.read(scene.grid.whole, 32, 32).pixels.max() == 10
        assert scene.read(scene.grid.whole, 128, 128).pixels.min() == 200


@pytest.mark.parametrize("name", ["rgb.jpg", "grey.png", "palette.png", "rgba.png", "turned.jpg", "deep.png", "c.webp"])
def test_a_plain_picture_has_the_pixels_of_the_dataset(tmp_path, name):
    path = tmp_path / name
    picture = Image.fromarray(noise(3, 50, 70).transpose(1, 2, 0))
    if name == "deep.png":
        Image.fromarray(noise(1, 50, 70, np.uint16, 60_000)[0]).save(path)
    elif name == "turned.jpg":
        exif = Image.Exif()
        exif[274] = 6
        picture.save(path, exif=exif)
    else:
        mode = {"grey.png": "L", "palette.png": "P"}.get(name, "RGB")
        picture.convert(mode).save(path)
    stored = rgb_content(path.read_bytes(), path)[0]
    block = whole(path)
    assert np.array_equal(block.pixels, np.asarray(open_picture(stored).convert("RGB")))
    assert block.valid is None


def test_pixels_of_a_picture_that_are_clear_have_no_data(tmp_path):
    pixels = np.full((4, 6, 4), 200, np.uint8)
    pixels[:, :2, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    block = whole(tmp_path / "a.png")
    assert block.valid.tolist() == [[False] * 2 + [True] * 4] * 4
    assert block.pixels[0, ::2].tolist() == [[0] * 3, [200] * 3, [200] * 3]


def test_a_picture_of_12_bits_in_16_is_dark_as_in_the_dataset_and_that_is_said(tmp_path, caplog):
    Image.fromarray(np.linspace(0, 4000, 200).astype(np.uint16).reshape(10, 20)).save(tmp_path / "dim.png")
    Image.fromarray(np.linspace(0, 65535, 200).astype(np.uint16).reshape(10, 20)).save(tmp_path / "full.png")
    assert whole(tmp_path / "dim.png").pixels.max() == 4000 // 256
    assert "dim.png: 16 bits that use only a part of their range" in caplog.text
    caplog.clear()
    assert whole(tmp_path / "full.png").pixels.max() == 255
    assert not caplog.text


def test_a_dark_picture_of_16_bits_is_stretched_as_the_dataset_would_refuse_it(tmp_path):
    Image.fromarray(np.arange(200, dtype=np.uint16).reshape(10, 20)).save(tmp_path / "dark.png")
    pixels = whole(tmp_path / "dark.png").pixels
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_pictures_too_large_for_pillow_are_read_in_windows(tmp_path):
    path = tmp_path / "large.png"
    picture = Image.new("1", (13_450, 13_400))  # 180 MP
    picture.putpixel((13_010, 20), 1)
    picture.save(path, compress_level=1)
    with pytest.raises(Image.DecompressionBombError):
        open_picture(path.read_bytes())
    with open_scene(path) as scene:
        assert (scene.grid.height, scene.grid.width) == (13_400, 13_450)
        shown = scene.read(Window(13_000, 0, 300, 200), 200, 300).pixels
    assert np.argwhere(shown[..., 0]).tolist() == [[20, 10]]
    assert shown[20, 10].tolist() == [255] * 3


def test_scene_without_anything_to_tell_has_no_place_and_no_crs(tmp_path):
    with open_scene(write(tmp_path / "a.tif", noise(), transform=None, crs=None)) as scene:
        assert (scene.grid.transform, scene.grid.crs, scene.name) == (None, None, "a.tif")


def test_every_kind_of_missing_data_is_black_and_not_valid(tmp_path):
    bands = noise(3, 6, 6, np.uint8) // 2 + 1
    holed = bands.copy()
    holed[:, 2, 3] = 0
    alpha = np.full((1, 6, 6), 255, np.uint8)
    alpha[0, 2, 3] = 0
    floats = bands.astype(np.float32)
    floats[:, 2, 3] = np.nan
    write(tmp_path / "nodata.tif", holed, nodata=0)
    write(tmp_path / "alpha.tif", np.concatenate([bands, alpha]), meanings=("red", "green", "blue", "alpha"))
    write(tmp_path / "nan.tif", floats)
    import rasterio

    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(write(tmp_path / "mask.tif", bands), "r+") as target:
        target.write_mask(alpha[0] > 0)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(write(tmp_path / "msk.tif", bands), "r+") as target:
        target.write_mask(alpha[0] > 0)
    expected = np.ones((6, 6), bool)
    expected[2, 3] = False
    for name in ("nodata", "alpha", "nan", "mask", "msk"):
        block = whole(tmp_path / f"{name}.tif")
        assert np.array_equal(block.valid, expected), name
        assert block.pixels[2, 3].tolist() == [0, 0, 0], name
        if name != "nan":
            assert np.array_equal(block.pixels[expected], bands.transpose(1, 2, 0)[expected]), name


def test_a_pixel_has_data_if_one_of_its_bands_has(tmp_path):
    bands = noise(3, 6, 6) // 2 + 1
    bands[0, 1, 1] = 0
    bands[:, 4, 4] = 0
    block = whole(write(tmp_path / "a.tif", bands, nodata=0))
    assert (~block.valid).nonzero() == (4, 4)
    assert block.pixels[1, 1].tolist() == bands[:, 1, 1].tolist()


def test_averages_leave_out_pixels_without_data(tmp_path):
    bands = np.full((1, 4, 4), 100, np.uint8)
    bands[0, 0, 1] = 0
    with open_scene(write(tmp_path / "a.tif", bands, nodata=0)) as scene:
        assert scene.read(scene.grid.whole, 2, 2).pixels[..., 0].tolist() == [[100, 100], [100, 100]]


def test_palettes_are_shown_in_their_colours_at_every_size(tmp_path):
    import rasterio

    path = write(tmp_path / "p.tif", np.arange(4, dtype=np.uint8).reshape(1, 2, 2), photometric="palette")
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, {0: (9, 0, 0, 255), 1: (0, 99, 0, 255), 2: (0, 0, 255, 255), 3: (1, 2, 3, 255)})
    with open_scene(path) as scene:
        for side in (2, 4):
            pixels = scene.read(scene.grid.whole, side, side).pixels
            assert sorted({tuple(map(int, colour)) for colour in pixels.reshape(-1, 3)}) == [
                (0, 0, 255),
                (0, 99, 0),
                (1, 2, 3),
                (9, 0, 0),
            ]


@needs_gdal
def test_one_bit_is_black_and_white_also_where_0_is_white(tmp_path):
    bits = noise(1, 8, 16, np.uint8, 2)
    write(tmp_path / "plain.tif", bits, nbits=1)
    write(tmp_path / "white.tif", bits, nbits=1, photometric="MINISWHITE")
    assert np.array_equal(whole(tmp_path / "plain.tif").pixels[..., 0], bits[0] * 255)
    gdal("gdal_translate", "-q", "-expand", "gray", tmp_path / "white.tif", tmp_path / "grey.tif")
    assert np.array_equal(whole(tmp_path / "white.tif").pixels[..., :1], bytes_of(tmp_path / "grey.tif", tmp_path))


def test_windows_can_be_read_by_several_threads(tmp_path):
    values = noise(3, 256, 256)
    path = write(tmp_path / "a.tif", values, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    started = threading.Barrier(4)
    with open_scene(path) as scene, ThreadPoolExecutor(4) as pool:

        def check(part):
            started.wait()
            for row in range(0, 256, 16):
                pixels = scene.read(Window(part * 64, row, 64, 16), 16, 64).pixels
                assert np.array_equal(pixels, values[:, row : row + 16, part * 64 : part * 64 + 64].transpose(1, 2, 0))
            return part

        assert sorted(pool.map(check, range(4))) == [0, 1, 2, 3]


def test_a_window_beyond_the_scene_is_a_mistake_of_the_caller(tmp_path):
    with open_scene(write(tmp_path / "a.tif", noise())) as scene:
        for window in (Window(-1, 0, 2, 2), Window(50, 0, 11, 2), Window(0, 0, 0, 2)):
            with pytest.raises(ValueError, match="not inside 60 x 40"):
                scene.read(window, 2, 2)


def test_a_mosaic_cut_in_two_has_the_same_pixels_with_fixed_limits(tmp_path):
    values = noise(3, 40, 60, np.uint16, 4000)
    fixed = Stretch.parse("100,3000")
    parts = [values, values[..., :25], values[..., 25:]]
    paths = [write(tmp_path / f"{number}.tif", part) for number, part in enumerate(parts)]
    one, left, right = (whole(path, stretch=fixed).pixels for path in paths)
    assert np.array_equal(one, np.concatenate([left, right], axis=1))
    apart = np.concatenate([whole(path).pixels for path in paths[1:]], axis=1)
    assert not np.array_equal(one, apart)


def test_what_users_must_know_is_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, "earthreason.geo")
    with open_scene(write(tmp_path / "many.tif", noise(30, 5, 5, np.uint16), crs=None)) as scene:
        assert scene.facts["bands"] == "1,2,3"
    assert "first three are used" in caplog.text
    assert "in no CRS" in caplog.text
    assert "stretch 2%,98% of band 1 = " in caplog.text


def test_errors_of_the_caller_are_not_taken_for_damage(tmp_path):
    from rasterio.errors import RasterioIOError

    path = write(tmp_path / "a.tif", noise())
    with pytest.raises(RasterioIOError, match="mine"), open_scene(path):
        raise RasterioIOError("mine")
    with pytest.raises(DataFormatError, match=r"a\.tif: --bands 4 cannot be read"), open_scene(path, bands=(4,)):
        pass

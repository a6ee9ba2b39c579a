"""TIFFs as GDAL and tools of its kind write them: MINISWHITE, validity masks, overviews."""

import logging
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from earthreason.masks.pictures import PictureError, read_mask_picture
from earthreason.predictions import read_predictions

rasterio = pytest.importorskip("rasterio")

MASK = np.zeros((9, 16), bool)
MASK[2:6, 3:13] = True
VALID = np.zeros((9, 16), bool)
VALID[:, :10] = True
DTYPES = {"1 bit": ("uint8", {"NBITS": 1}), "8 bits": ("uint8", {}), "16 bits": ("uint16", {})}


def write(path, array, valid=None, overviews=(), **options):
    """Write a GeoTIFF by GDAL."""
    height, width = array.shape
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore")  # it has no place on Earth
        size = {"height": height, "width": width, "count": 1, "dtype": array.dtype}
        with rasterio.open(path, "w", driver="GTiff", **size, **options) as file:
            file.write(array, 1)
            if valid is not None:
                file.write_mask(valid)
        if overviews:
            with rasterio.open(path, "r+") as file:
                file.build_overviews(list(overviews))
    return path.read_bytes()


def official(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) != 0


def rasterio_reads(path, masked=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as file:
            return np.ma.filled(file.read(1, masked=True), 0) if masked else file.read(1)


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits"])
def test_a_tiff_whose_white_is_zero_is_read_as_opencv_reads_it(kind, compression, tmp_path):
    dtype, options = DTYPES[kind]
    options = options | ({} if compression is None else {"compress": compression})
    top = 1 if kind == "1 bit" else np.iinfo(dtype).max
    content = write(
        tmp_path / "a.tif", MASK.astype(dtype) * np.dtype(dtype).type(top), photometric="MINISWHITE", **options
    )
    assert np.array_equal(rasterio_reads(tmp_path / "a.tif") != 0, MASK)  # the stored numbers
    picture = read_mask_picture(content, ["TIFF"])
    assert np.array_equal(picture.mask, official(content))
    assert np.array_equal(picture.mask, ~MASK)
    assert picture.white_is_zero


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_zero_inverts_the_nodata_value_too(dtype, tmp_path):
    top = np.iinfo(dtype).max
    array = np.where(MASK, top, 0).astype(dtype)
    array[0, :5] = 3
    content = write(tmp_path / "a.tif", array, photometric="MINISWHITE", nodata=3)
    assert np.array_equal(read_mask_picture(content, ["TIFF"]).mask, (array != top) & (array != 3))


def test_a_float_tiff_whose_white_is_zero_is_refused(tmp_path):
    content = write(tmp_path / "a.tif", MASK.astype("float32"), photometric="MINISWHITE")
    with pytest.raises(PictureError, match="MINISWHITE and has 32-bit pixels; save the mask as 8-bit PNG"):
        read_mask_picture(content, ["TIFF"])


def test_masks_whose_white_is_zero_are_logged_once(tmp_path, caplog):
    for name in ("a.tif", "b.tif"):
        write(tmp_path / name, MASK.astype("uint8"), photometric="MINISWHITE", NBITS=1)
    write(tmp_path / "c.tif", MASK.astype("uint8"))
    with caplog.at_level(logging.WARNING):
        read_predictions(tmp_path)
    (record,) = caplog.records
    assert "2 TIFF masks in MINISWHITE" in record.getMessage()
    assert record.getMessage().endswith("the first is a.tif")


@pytest.mark.parametrize("options", [{}, {"compress": "deflate"}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
@pytest.mark.parametrize("overviews", [(), (2, 4)])
def test_pixels_outside_the_validity_mask_are_not_target(options, overviews, tmp_path):
    content = write(tmp_path / "a.tif", MASK.astype("uint8"), VALID, overviews, **options)
    assert np.array_equal(rasterio_reads(tmp_path / "a.tif", masked=True) != 0, MASK & VALID)
    assert np.array_equal(read_mask_picture(content, ["TIFF"]).mask, MASK & VALID)
    assert np.array_equal(read_mask_picture(content, ["TIFF"], expected=MASK.shape).mask, MASK & VALID)


def test_a_bigtiff_that_pillow_cannot_read_says_what_to_save(tmp_path):
    content = write(tmp_path / "a.tif", MASK.astype("uint8"), BIGTIFF="YES", ENDIANNESS="BIG")
    with pytest.raises(PictureError, match="of a kind that Pillow cannot read.*; save the mask as 8-bit PNG"):
        read_mask_picture(content, ["TIFF"])


def test_validity_masks_and_nodata_values_both_hold(tmp_path):
    array = MASK.astype("uint8")
    array[3, 3] = 9
    content = write(tmp_path / "a.tif", array, VALID, nodata=9)
    expected = MASK & VALID
    expected[3, 3] = False
    assert np.array_equal(read_mask_picture(content, ["TIFF"]).mask, expected)


@pytest.mark.parametrize("kind", [1, 4, 5])  # TIFF 6.0: NewSubfileType is 1 for a reduced image, 4 for a mask
def test_pages_of_another_size_beside_the_first_are_left_out(kind, tmp_path):
    overview = TiffImagePlugin.ImageFileDirectory_v2()
    overview[254] = kind
    small = Image.new("L", (4, 4), 255)
    small.encoderinfo = {"tiffinfo": overview}
    path = tmp_path / "a.tif"
    Image.fromarray(MASK.astype(np.uint8)).save(path, "TIFF", save_all=True, append_images=[small])
    assert np.array_equal(read_mask_picture(path.read_bytes(), ["TIFF"]).mask, MASK)


def test_the_bytes_of_a_picture_without_other_pages_keep_their_meaning(tmp_path):
    # The entry of a validity mask (TIFF 6.0: tag 262, SHORT, one value, 4) as pixels of a class map.
    entry = np.frombuffer(b"\x06\x01\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00", np.uint8)
    array = np.zeros((9, 16), np.uint8)
    array[4, 2:14] = entry
    content = write(tmp_path / "a.tif", array)
    assert np.array_equal(read_mask_picture(content, ["TIFF"]).mask, array != 0)

"""Masks of pictures agree with the official reader, `cv2.imread(path, cv2.IMREAD_GRAYSCALE) != 0`."""

import io
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from earthreason.data.pictures import label_picture
from earthreason.masks.pictures import PictureError, mask_of_picture, read_mask_picture
from earthreason.predictions import read_predictions

MASK = np.zeros((9, 13), bool)
MASK[2:6, 3:11] = True
INDEX = MASK.astype(np.uint8)
GREY = INDEX * 255
BLACK, WHITE, RED, DARK = (0, 0, 0), (255, 255, 255), (255, 0, 0), (1, 1, 1)


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def palette(*colours, bits=8, indices=INDEX, **options):
    image = Image.fromarray(indices, "P")
    image.putpalette([value for colour in colours for value in colour])
    return encoded(image, bits=bits, **options)


def official(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE) != 0


def stacked(mode, *channels):
    return encoded(Image.merge(mode, [Image.fromarray(channel.astype(np.uint8)) for channel in channels]))


FULL, NONE = np.full(MASK.shape, 255), np.zeros(MASK.shape)
PICTURES = {
    **{f"palette of {bits} bits": palette(BLACK, RED, bits=bits) for bits in (1, 2, 4, 8)},
    **{f"inverted palette of {bits} bits": palette(WHITE, BLACK, bits=bits) for bits in (1, 2, 4, 8)},
    "palette without black": palette(DARK, WHITE),
    "palette of black only": palette(BLACK, BLACK),
    "palette too dark for grey": palette(BLACK, (1, 0, 1)),
    "palette with one clear index": palette(BLACK, RED, transparency=0),
    "palette with alpha": palette(BLACK, RED, transparency=b"\x00\xff"),
    "palette of three classes": palette(BLACK, RED, WHITE, indices=INDEX + (np.arange(13) > 7)),
    "1 bit": encoded(Image.fromarray(MASK)),
    "inverted 1 bit": encoded(Image.fromarray(~MASK)),
    "grey 0 and 1": encoded(Image.fromarray(INDEX)),
    "grey 0 and 255": encoded(Image.fromarray(GREY)),
    "grey 7 and 8": encoded(Image.fromarray(INDEX + 7)),
    "three levels": encoded(Image.fromarray(GREY // 2 + (np.arange(13) > 7).astype(np.uint8))),
    "grey with alpha": stacked("LA", GREY, FULL),
    "grey with the mask in alpha too": stacked("LA", GREY, GREY),
    "RGB": stacked("RGB", GREY, GREY, GREY),
    "red": stacked("RGB", GREY, NONE, NONE),
    "dark green": stacked("RGB", NONE, INDEX * 2, NONE),
    "RGBA": stacked("RGBA", GREY, NONE, NONE, FULL),
    "RGBA, clear target": stacked("RGBA", GREY, GREY, NONE, 255 - GREY),
    "16 bits": encoded(Image.fromarray(INDEX.astype(np.uint16) * 65535)),
    "16 bits, 256": encoded(Image.fromarray(INDEX.astype(np.uint16) * 256)),
    "TIFF": encoded(Image.fromarray(GREY), "TIFF"),
    "TIFF, 1 bit": encoded(Image.fromarray(MASK), "TIFF"),
    "TIFF, LZW": encoded(Image.fromarray(GREY), "TIFF", compression="tiff_lzw"),
    "TIFF, RGB": encoded(Image.fromarray(GREY).convert("RGB"), "TIFF"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_labels_and_predictions_are_read_as_the_official_reader_reads_them(tmp_path, name):
    content = PICTURES[name]
    expected = official(content)
    assert np.array_equal(label_picture(content, tmp_path / "a.png")[0], expected)
    ending = "tif" if name.startswith("TIFF") else "png"
    (tmp_path / f"a.{ending}").write_bytes(content)
    (prediction,) = read_predictions(tmp_path).predictions
    decoded = coco.decode(prediction.segmentation)
    assert np.array_equal(decoded.astype(bool), expected)


def test_every_dark_and_many_other_colours_are_target_where_opencv_makes_them_grey():
    dark = np.stack(np.meshgrid(*[np.arange(12)] * 3), -1).reshape(1, -1, 3)
    spread = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), -1).reshape(1, -1, 3)
    content = encoded(Image.fromarray(np.concatenate([dark, spread], 1).astype(np.uint8)))
    assert np.array_equal(read_mask_picture(content, ["PNG"]).mask, official(content))


@pytest.mark.parametrize("value", [1, 127, 255])
def test_16_bits_keep_small_values_that_opencv_shifts_away(value):
    content = encoded(Image.fromarray(INDEX.astype(np.uint16) * value))
    assert not official(content).any()
    assert np.array_equal(read_mask_picture(content, ["PNG"]).mask, MASK)


@pytest.mark.parametrize("colour", [0, 255])
def test_a_mask_that_is_only_transparency_is_refused_where_opencv_sees_one_value(colour):
    for content in (
        stacked("RGBA", *[np.full(MASK.shape, colour)] * 3, GREY),
        stacked("LA", np.full(MASK.shape, colour), GREY),
        palette(*[(colour,) * 3] * 2, transparency=b"\x00\xff"),
    ):
        assert len(np.unique(official(content))) == 1
        with pytest.raises(PictureError, match="only the transparency varies; save the mask as one channel"):
            read_mask_picture(content, ["PNG"])


def geotiff(array, nodata, folder):
    """Write a GeoTIFF by GDAL, through rasterio."""
    rasterio = pytest.importorskip("rasterio")
    path = folder / "a.tif"
    height, width = array.shape
    options = {"height": height, "width": width, "count": 1, "dtype": array.dtype, "nodata": nodata}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has no place on Earth
        with rasterio.open(path, "w", driver="GTiff", **options) as file:
            file.write(array, 1)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("dtype", "nodata", "background"),
    [
        ("uint8", 7, 7),
        ("uint8", 255, 255),
        ("int16", -9999, -9999),
        ("uint16", 65535, 65535),
        ("float32", -1e20, -1e20),
        ("float32", float("nan"), float("nan")),
        ("float32", -3.4028234663852886e38, -3.4028234663852886e38),
        ("uint8", 0, 0),
        ("uint8", None, 0),
        ("int8", -1, -1),
        ("int8", -128, -128),
        ("int8", 5, 5),
        ("uint32", 4294967295, 4294967295),
        ("int32", -1, -1),
    ],
)
def test_pixels_of_a_geotiffs_nodata_value_are_not_target(tmp_path, dtype, nodata, background):
    array = np.where(MASK, 1, 0).astype(dtype)
    array[:, 0] = background
    picture = read_mask_picture(geotiff(array, nodata, tmp_path), ["TIFF"])
    assert np.array_equal(picture.mask, MASK)


def test_a_nodata_value_beside_colours_is_refused(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "a.tif"
    options = {"height": 4, "width": 5, "count": 3, "dtype": "uint8", "nodata": 255, "photometric": "RGB"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", driver="GTiff", **options) as file:
            file.write(np.ones((3, 4, 5), np.uint8))
    with pytest.raises(PictureError, match="has one channel here; save the mask as 8-bit grey"):
        read_mask_picture(path.read_bytes(), ["TIFF"])


def test_a_kind_of_tiff_that_pillow_cannot_read_says_what_to_save(tmp_path):
    with pytest.raises(PictureError, match="64-bit floats; save the mask as 8-bit PNG"):
        read_mask_picture(geotiff(MASK.astype(np.float64), None, tmp_path), ["TIFF"])


def test_a_float_tiff_of_probabilities_and_one_of_several_pages_are_refused():
    with pytest.raises(PictureError, match="only 0 and 1; threshold it first"):
        read_mask_picture(encoded(Image.fromarray(MASK.astype(np.float32) / 2), "TIFF"), ["TIFF"])
    page = Image.fromarray(GREY)
    with pytest.raises(PictureError, match="a TIFF of 2 pages; save one mask a file"):
        read_mask_picture(encoded(page, "TIFF", save_all=True, append_images=[page]), ["TIFF"])


def test_a_picture_of_the_wrong_size_is_refused_by_its_header_alone():
    header_only = encoded(Image.fromarray(np.zeros((400, 300), np.uint8)))[:60]
    with pytest.raises(PictureError, match="mask is 400x300 .* expected 300x400; height and width are swapped"):
        read_mask_picture(header_only, ["PNG"], expected=(300, 400))


def test_a_shape_in_the_transparency_of_a_palette_is_refused():
    image = Image.new("P", (13, 9))
    image.putpalette([255, 255, 255])
    image = image.convert("PA")
    image.putalpha(Image.fromarray(GREY))
    assert image.mode == "PA"
    with pytest.raises(PictureError, match="only the transparency varies"):
        mask_of_picture(image)

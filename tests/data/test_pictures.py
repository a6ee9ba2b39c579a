"""Pictures of every kind are normalised as documented, or refused by name."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthreason.data.pictures import mask_of, rgb_content
from earthreason.errors import DataFormatError

HERE = Path("folder/a.png")
MASK = np.zeros((6, 8), bool)
MASK[1:4, 2:7] = True


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(MASK),
        Image.fromarray(MASK.astype(np.uint8)),
        Image.fromarray(MASK.astype(np.uint8) * 255),
        Image.fromarray(MASK.astype(np.uint16) * 65535),
        Image.fromarray(MASK.astype(np.uint8) * 255).convert("RGB"),
        Image.fromarray(MASK.astype(np.uint8) * 255).convert("RGBA"),
    ],
    ids=["1 bit", "0 and 1", "0 and 255", "16 bits", "grey as RGB", "grey as RGBA"],
)
def test_labels_of_every_depth_are_the_same_mask(image):
    assert np.array_equal(mask_of(encoded(image), HERE), MASK)


def test_a_label_whose_shape_is_only_transparency_is_refused_by_name():
    alpha = Image.fromarray(MASK.astype(np.uint8) * 255)
    white = Image.merge("RGBA", [Image.new("L", (8, 6), 255)] * 3 + [alpha])
    with pytest.raises(DataFormatError, match=r"folder/a\.png.*only the transparency varies"):
        mask_of(encoded(white), HERE)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_images_of_other_modes_become_rgb(mode):
    content, size = rgb_content(encoded(Image.new(mode, (8, 6))), HERE)
    assert size == (6, 8)
    assert Image.open(io.BytesIO(content)).mode == "RGB"


def test_cmyk_jpegs_become_rgb_and_rgb_files_keep_their_bytes():
    cmyk, _ = rgb_content(encoded(Image.new("CMYK", (8, 6)), "JPEG"), HERE)
    assert Image.open(io.BytesIO(cmyk)).mode == "RGB"
    plain = encoded(Image.new("RGB", (8, 6), (9, 8, 7)), "JPEG")
    assert rgb_content(plain, HERE)[0] == plain


def test_an_exif_rotation_is_not_applied():
    image = Image.new("RGB", (8, 6))
    exif = image.getexif()
    exif[0x0112] = 6
    assert rgb_content(encoded(image, "JPEG", exif=exif), HERE)[1] == (6, 8)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encoded(Image.new("RGB", (80, 60)))[:-40], "not a readable image"),
        (b"", "not JPEG, PNG, TIFF, BMP or WEBP"),
        (encoded(Image.new("RGB", (8, 6)), "GIF"), "not JPEG, PNG, TIFF, BMP or WEBP"),
        (encoded(Image.fromarray(MASK.astype(np.uint16))), "8 bits a channel"),
    ],
    ids=["cut off", "empty", "GIF", "16 bits"],
)
def test_what_is_no_image_is_named(content, words):
    with pytest.raises(DataFormatError, match=rf"folder/a\.png.*{words}"):
        rgb_content(content, HERE)

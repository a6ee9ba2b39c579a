"""Images and labels of every mode have the pixels that `cv2.imread` reads."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from earthreason.data.pictures import label_picture, rgb_content
from earthreason.errors import DataFormatError

HEIGHT, WIDTH = 16, 24
DEEP = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
PIXELS = (DEEP >> 8).astype(np.uint8)
SMOOTH = cv2.resize(PIXELS, (96, 64), interpolation=cv2.INTER_LINEAR)
GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA = 0, 4, 2, 6


def encoded(pixels, form="PNG", mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(buffer, form, **options)
    return buffer.getvalue()


def four_channels(mode, pixels=PIXELS):
    return Image.merge(mode, [Image.fromarray(np.ascontiguousarray(pixels[..., at])) for at in range(len(mode))])


def png(pixels, colour, interlaced=False):
    """Write a PNG of 8 or 16 bits by hand: Pillow writes neither 16-bit colours nor interlaced files."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    passes = [(0, 0, 1, 1)]
    if interlaced:  # Adam7: first row and column, and steps
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    big_endian = pixels.astype(f">u{pixels.itemsize}")
    lines = [b"\0" + row.tobytes() for top, left, down, across in passes for row in big_endian[top::down, left::across]]
    header = struct.pack(">IIBBBBB", *pixels.shape[1::-1], 8 * pixels.itemsize, colour, 0, 0, interlaced)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


PALETTE = Image.fromarray(PIXELS[..., :3]).quantize(17)
WHITE_FIRST = Image.fromarray((PIXELS[..., 0] > 99).astype(np.uint8), "P")
WHITE_FIRST.putpalette([255, 255, 255, 0, 0, 0])
EXACT = {
    "1": encoded(PIXELS[..., 0] > 99),
    "L": encoded(PIXELS[..., 0]),
    "L, JPEG": encoded(PIXELS[..., 0], "JPEG"),
    "L, TIFF": encoded(PIXELS[..., 0], "TIFF"),
    "L, BMP": encoded(PIXELS[..., 0], "BMP"),
    "RGB, BMP": encoded(PIXELS[..., :3], "BMP"),
    "RGB, WebP": encoded(PIXELS[..., :3], "WEBP", lossless=True),
    "LA": png(PIXELS[..., :2], GREY_ALPHA),
    "P": encoded(PALETTE),
    "P, one colour clear": encoded(PALETTE, transparency=3),
    "P, white first": encoded(WHITE_FIRST),
    "P, white first, 1 bit": encoded(WHITE_FIRST, bits=1),
    "P, TIFF": encoded(PALETTE, "TIFF"),
    "RGB": encoded(PIXELS[..., :3]),
    "RGB, JPEG": encoded(PIXELS[..., :3], "JPEG"),
    "RGB, progressive JPEG": encoded(PIXELS[..., :3], "JPEG", progressive=True),
    "RGB, TIFF": encoded(PIXELS[..., :3], "TIFF"),
    "RGBA": encoded(PIXELS),
    "interlaced": png(PIXELS[..., :3], COLOUR, interlaced=True),
    "interlaced grey": png(PIXELS[..., 0], GREY, interlaced=True),
    "16 bits": encoded(DEEP[..., 0]),
    "16 bits, TIFF": encoded(DEEP[..., 0], "TIFF"),
    "16 bits, LA": png(DEEP[..., :2], GREY_ALPHA),
    "16 bits, RGB": png(DEEP[..., :3], COLOUR),
    "16 bits, RGBA": png(DEEP, COLOUR_ALPHA),
    "16 bits, interlaced RGB": png(DEEP[..., :3], COLOUR, interlaced=True),
}
ADOBE = encoded(four_channels("CMYK", SMOOTH), "JPEG", quality=95)
MARKER = ADOBE.index(b"\xff\xee")
CLOSE = {
    "CMYK, JPEG of Adobe": ADOBE,
    "CMYK, JPEG without Adobe's marker": ADOBE[:MARKER] + ADOBE[MARKER + 2 + ADOBE[MARKER + 3] :],
    "CMYK, TIFF": encoded(four_channels("CMYK"), "TIFF"),
}
"""OpenCV converts CMYK in integers that differ from Pillow's by up to 2 of 255."""


def opencv(content, flag):
    return cv2.imdecode(np.frombuffer(content, np.uint8), flag)


@pytest.mark.parametrize("name", [*EXACT, *CLOSE])
def test_images_have_the_pixels_of_opencv(tmp_path, name):
    content = (EXACT | CLOSE)[name]
    picture, size = rgb_content(content, tmp_path)
    ours = np.asarray(Image.open(io.BytesIO(picture)))
    theirs = opencv(content, cv2.IMREAD_COLOR)[..., ::-1]
    assert ours.shape == theirs.shape == (*size, 3)
    assert np.abs(ours.astype(int) - theirs).max() <= (2 if name in CLOSE else 0)


@pytest.mark.parametrize("name", [name for name in (*EXACT, *CLOSE) if not name.startswith("16 bits")])
def test_labels_have_the_target_of_opencv(tmp_path, name):
    content = (EXACT | CLOSE)[name]
    assert np.array_equal(label_picture(content, tmp_path)[0], opencv(content, cv2.IMREAD_GRAYSCALE) != 0)


@pytest.mark.parametrize("name", [name for name in EXACT if name.startswith("16 bits, ") and "RGB" in name])
def test_labels_of_16_bit_colours_have_the_target_of_opencv(tmp_path, name):
    assert np.array_equal(label_picture(EXACT[name], tmp_path)[0], opencv(EXACT[name], cv2.IMREAD_GRAYSCALE) != 0)


def test_16_bits_that_would_turn_black_and_32_bits_are_refused(tmp_path):
    path = tmp_path / "a.png"
    for dark in (encoded((DEEP[..., 0] % 256).astype(np.uint16)), png(DEEP[..., :3] % 256, COLOUR)):
        assert not opencv(dark, cv2.IMREAD_COLOR).any()
        with pytest.raises(DataFormatError, match=r"a\.png.*16 bits, but no value above 25\d.*stretch it to 8 bits"):
            rgb_content(dark, path)
    for black in (encoded(DEEP[..., 0] * 0), png(DEEP[..., :3] * 0, COLOUR)):
        assert not np.asarray(Image.open(io.BytesIO(rgb_content(black, path)[0]))).any()
    for dtype in (np.int32, np.float32):
        with pytest.raises(DataFormatError, match=r"a\.png.*mode [IF]; stretch it to 8 bits a channel first"):
            rgb_content(encoded(DEEP[..., 0].astype(dtype), "TIFF"), path)

"""Parts of large files against Pillow, which decodes them as a whole."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.review.large import LargePictures, PackedMask
from annotation_tools.review.pictures import outline, picture_bytes
from earthreason.errors import DataFormatError

BOX = (100, 500, 300, 200)
PEAK = """
import resource, sys
from pathlib import Path
from annotation_tools.review.pictures import overlay_png, picture_bytes
import rasterio
picture_bytes(Path(sys.argv[1]), (0, 0, 8, 8)), overlay_png(Path(sys.argv[1]), True, (0, 0, 8, 8))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
picture_bytes(Path(sys.argv[2])), picture_bytes(Path(sys.argv[2]), (4000, 4000, 1500, 1500))
overlay_png(Path(sys.argv[3]), False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def noise(mode, size=(700, 900)):
    pixels = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode)


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGB", "a.png"),
        ("L", "a.png"),
        ("P", "a.png"),
        ("RGBA", "a.png"),
        ("LA", "a.png"),
        ("1", "a.png"),
        ("RGB", "a.tif"),
        ("L", "a.tif"),
        ("CMYK", "a.tif"),
        ("RGB", "a.bmp"),
        ("L", "a.jpg"),
    ],
)
def test_a_part_has_the_pixels_that_pillow_decodes(tmp_path, mode, name):
    noise(mode).save(tmp_path / name)
    part = LargePictures().part(tmp_path / name, 1600, BOX)
    with Image.open(tmp_path / name) as image:
        whole = image.convert("RGB")
    assert np.array_equal(np.asarray(part), np.asarray(whole)[500:700, 100:400])


def test_a_tiff_in_which_white_is_zero_is_not_inverted(tmp_path):
    noise("L").save(tmp_path / "a.tif", tiffinfo={262: 0})
    part = LargePictures().part(tmp_path / "a.tif", 1600, BOX)
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(np.asarray(part)[..., 0], np.asarray(image)[500:700, 100:400])


def test_of_16_bits_the_upper_8_are_shown(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65535, (900, 700), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    part = np.asarray(LargePictures().part(tmp_path / "a.png", 1600, BOX))
    assert np.array_equal(part[..., 1], deep[500:700, 100:400] >> 8)


def test_a_colour_jpeg_differs_from_pillow_only_in_the_smoothing_of_colours(tmp_path):
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 30, 3), dtype=np.uint8)).resize((700, 900))
    smooth.save(tmp_path / "a.jpg", quality=95)
    part = np.asarray(LargePictures().part(tmp_path / "a.jpg", 1600, BOX)).astype(int)
    with Image.open(tmp_path / "a.jpg") as image:
        assert np.abs(part - np.asarray(image)[500:700, 100:400]).max() <= 16


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_truncated_picture_is_refused_by_name(tmp_path, name):
    path = tmp_path / name
    noise("RGB", (1700, 400)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for box in (None, (0, 300, 50, 50)):
        with pytest.raises(DataFormatError, match=rf"{name}: not a readable picture"):
            picture_bytes(path, box)


def test_a_replaced_picture_is_shown_and_old_copies_are_deleted(tmp_path):
    pictures = LargePictures()
    for number in range(7):
        Image.new("RGB", (64, 64), (number * 30, 0, 0)).save(tmp_path / f"{number}.png")
        shown = pictures.part(tmp_path / f"{number}.png", 1600)
        assert shown.getpixel((5, 5)) == (number * 30, 0, 0)
    assert len(list(pictures._copies.values())) == 4
    assert all(path.is_file() for path in pictures._copies.values())


def test_a_mask_of_any_kind_is_packed_as_the_judge_reads_it(tmp_path):
    mask = np.random.default_rng(2).random((1030, 701)) > 0.7
    for form, picture in {
        "L": Image.fromarray(mask.astype(np.uint8)),
        "1": Image.fromarray(mask),
        "RGB": Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB"),
    }.items():
        picture.save(tmp_path / f"{form}.png")
        packed = PackedMask.read(tmp_path / f"{form}.png")
        assert np.array_equal(packed.part(5000), mask), form
        assert np.array_equal(packed.part(5000, (3, 600, 90, 430)), mask[600:1030, 3:93]), form


def test_a_single_pixel_stays_visible_in_a_reduced_mask():
    mask = np.zeros((5001, 3001), bool)
    mask[4999, 2999] = True
    shown = PackedMask([mask]).part(1600)
    assert shown.shape == (1251, 751)
    assert np.argwhere(shown).tolist() == [[1249, 749]]


def test_the_outline_is_that_of_scikit_image():
    from skimage.morphology import erosion, footprint_rectangle

    mask = np.random.default_rng(5).random((90, 60)) > 0.1
    mask[20:80, 5:55] = True
    assert np.array_equal(outline(mask), mask & ~erosion(mask, footprint_rectangle((3, 3))))


def test_a_large_picture_and_its_mask_never_need_the_memory_of_the_decoded_picture(tmp_path):
    side = 6000
    rows = np.random.default_rng(0).integers(0, 255, (side, 1, 3), dtype=np.uint8)
    Image.fromarray(np.broadcast_to(rows, (side, side, 3)).copy()).save(tmp_path / "a.png", compress_level=1)
    Image.fromarray((rows[..., 0] > 128).repeat(side, 1).astype(np.uint8)).save(tmp_path / "m.png", compress_level=1)
    noise("L", (1700, 1700)).save(tmp_path / "small.png")
    names = [str(tmp_path / name) for name in ("small.png", "a.png", "m.png")]
    run = subprocess.run([sys.executable, "-c", PEAK, *names], capture_output=True, text=True, check=True)
    assert int(run.stdout) * 1024 < side * side * 3

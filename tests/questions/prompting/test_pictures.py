"""What is sent of a sample, told from the JPEGs themselves."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from earthreason.data.schema import Record
from earthreason.masks.png import encode_mask_png
from earthreason.overlay import PREDICTION_COLOUR
from earthreason.questions.prompting.pictures import (
    TargetView,
    describe_pictures,
    picture_urls,
    size_sent,
    view_target,
)

WHOLE = ("image", "overlay")


def record_of(mask, grey=90):
    picture = io.BytesIO()
    Image.new("RGB", mask.shape[::-1], (grey, grey, grey)).save(picture, "PNG", compress_level=1)
    return Record("a", picture.getvalue(), encode_mask_png(mask), *mask.shape, not mask.any(), ["?"])


def mask_of(shape, *boxes):
    mask = np.zeros(shape, bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def sent(mask):
    """Decode what is sent, by kind."""
    record, view = record_of(mask), view_target(mask)
    urls = picture_urls(record, view.kinds, view)
    contents = [base64.b64decode(url.partition(",")[2]) for url in urls]
    return {kind: np.asarray(Image.open(io.BytesIO(c))) for kind, c in zip(view.kinds, contents, strict=True)}


def orange(pixels):
    """Pixels nearer to the colour of the target than to the grey around it."""
    far = np.abs(pixels.astype(int) - np.array(PREDICTION_COLOUR)).sum(-1)
    return far < np.abs(pixels.astype(int) - 90).sum(-1)


def test_six_pixels_of_a_large_image_are_plain_to_see():
    mask = mask_of((7617, 7617), (2000, 4000, 2006, 4006))
    pictures = sent(mask)
    assert {kind: picture.shape for kind, picture in pictures.items()} == {
        "image": (1024, 1024, 3),
        "overlay": (1024, 1024, 3),
        "crop": (768, 768, 3),
        "crop overlay": (768, 768, 3),
    }
    rows, columns = np.nonzero(orange(pictures["overlay"]))
    assert len(rows) > 100  # the ring: 2 x 3.14 x 14 px of two pixels
    assert abs(rows.mean() - 4003 * 1024 / 7617) < 2
    assert abs(columns.mean() - 2003 * 1024 / 7617) < 2
    assert rows.max() - rows.min() < 40
    rows, columns = np.nonzero(orange(pictures["crop overlay"]))
    assert rows.max() - rows.min() > 768 / 4 - 8
    assert not orange(pictures["image"]).any()
    assert not orange(pictures["crop"]).any()


@pytest.mark.parametrize(("scale", "share"), [(1, 6), (3, 20), (7, 100)])
def test_an_enlarged_target_takes_a_quarter_of_the_side_wherever_it_lies(scale, share):
    side, height, width = 1100 * scale, 1000 * scale, share
    for left, top in ((0, 0), (side // 2, height // 2), (side - width, height - width), (side - width, 0)):
        mask = mask_of((height, side), (left, top, left + width, top + width))
        view = view_target(mask)
        assert view.regions == 1
        x, y, right, bottom = view.crop
        assert 0 <= x <= left < left + width <= right <= side
        assert 0 <= y <= top < top + width <= bottom <= height
        assert width / max(right - x, bottom - y) == pytest.approx(1 / 4, abs=0.01)


@pytest.mark.parametrize(
    ("box", "crops"),
    [
        ((0, 0, 127, 127), True),
        ((0, 0, 128, 128), False),
        ((0, 0, 500, 3), False),  # long and thin: shown by its outline
        ((0, 0, 1024, 1024), False),
    ],
)
def test_a_crop_is_sent_of_a_target_shorter_than_an_eighth_of_the_side(box, crops):
    view = view_target(mask_of((1024, 1024), box))
    assert (view.crop is not None) == crops
    assert view.kinds == (("image", "overlay", "crop", "crop overlay") if crops else WHOLE)
    larger = view_target(mask_of((4096, 4096), tuple(4 * value for value in box)))
    assert (larger.crop is not None) == crops  # pixels as shown, not of the image


def test_of_scattered_small_regions_the_largest_is_enlarged():
    mask = mask_of((1024, 1024), (10, 10, 20, 20), (900, 900, 930, 930), (500, 20, 510, 30))
    view = view_target(mask)
    assert (view.regions, view.is_part) == (3, True)
    left, top, right, bottom = view.crop
    assert (left, top, right, bottom) == (855, 855, 975, 975)  # four times 30 around (915, 915)
    assert view_target(mask_of((1024, 1024), (10, 10, 20, 20), (900, 900, 964, 964))).crop is None


def test_touching_corners_are_one_region_and_specks_beside_a_large_one_are_none():
    assert view_target(mask_of((100, 100), (0, 0, 10, 10), (10, 10, 20, 20))).regions == 1
    assert view_target(mask_of((100, 100), (0, 0, 30, 30), (50, 50, 52, 52))).regions == 1  # 4 px beside 900
    assert view_target(mask_of((100, 100), (0, 0, 30, 30), (50, 50, 53, 53))).regions == 2  # a hundredth
    assert view_target(np.zeros((10, 10), bool)) == TargetView()


def test_a_line_of_one_pixel_is_seen_in_a_large_image():
    mask = mask_of((4000, 4000), (500, 2001, 3500, 2002))
    overlay = sent(mask)["overlay"]
    rows, columns = np.nonzero(orange(overlay))
    assert len(set(columns.tolist())) > 760  # 3,000 px of 4,000 as shown at 1,024
    assert abs(rows.mean() - 2001.5 * 0.256) < 2


def test_a_small_image_is_enlarged_around_its_target():
    mask = mask_of((123, 123), (50, 60, 80, 90))
    pictures = sent(mask)
    assert pictures["image"].shape == (123, 123, 3)
    assert max(pictures["crop"].shape) == 768
    tinted = np.abs(pictures["crop overlay"].astype(int) - 90).sum(-1) > 30
    assert tinted.mean() == pytest.approx((30 / 120) ** 2, rel=0.1)


@pytest.mark.parametrize("shape", [(7617, 7617), (123, 123), (300, 4000), (4000, 300), (1024, 1023), (1, 3000)])
def test_the_sizes_that_costs_are_reckoned_with_are_those_sent(shape):
    mask = mask_of(shape, (0, 0, 1, 1))
    for kind, picture in sent(mask).items():
        height, width = size_sent(kind, *shape)
        if kind in WHOLE:
            assert abs(picture.shape[0] - height) <= 1
            assert abs(picture.shape[1] - width) <= 1
        else:
            assert picture.shape[0] <= height
            assert picture.shape[1] <= width
            assert max(picture.shape) == max(height, width)


def test_the_prompt_says_which_picture_is_which():
    kinds = ("image", "overlay", "crop", "crop overlay")
    lines = describe_pictures(kinds, TargetView(1, (0, 0, 1, 1))).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Picture 1", "Picture 2", "Picture 3", "Picture 4"]
    assert "tinted" not in lines[0] + lines[2]
    assert "tinted" in lines[1]
    assert "tinted" in lines[3]
    assert "one of the target's regions" in describe_pictures(kinds, TargetView(3, (0, 0, 1, 1), is_part=True))
    assert describe_pictures((), TargetView()).startswith("No picture is shown")

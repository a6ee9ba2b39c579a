"""Shapes of Label Studio whose masks were worked by hand, or come from label-studio-sdk."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from annotation_tools.formats.base import AS_STATED
from annotation_tools.formats.labelstudio import corners, drawing_of_results
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError
from earthreason.masks.rle import decode_rle

TASK = AnnotationTask("a", "a.png", 10, 20)


def shape(kind, label="pond", **value):
    return {"type": kind, "original_width": 20, "original_height": 10, "value": {kind: [label], **value}}


def mask_of(*results, task=TASK):
    return drawing_of_results(list(results), task, "here", AS_STATED).mask


def test_a_box_turned_by_a_quarter_lies_left_of_its_corner():
    # 4 px wide and 2 px high at (10, 2): its width then runs down, and its height to the left.
    turned = shape("rectanglelabels", x=50, y=20, width=20, height=20, rotation=90)
    rows, columns = np.nonzero(mask_of(turned))
    assert (rows.min(), rows.max(), columns.min(), columns.max(), len(rows)) == (2, 5, 8, 9, 8)


def test_corners_are_those_of_label_studio_sdk():
    # convert_annotation_to_yolo_obb of label-studio-sdk 2.1.2, on an image of 200 x 100 px
    value = {"x": 50, "y": 20, "width": 20, "height": 30, "rotation": 30}
    expected = [(100, 20), (134.6410161514, 40), (119.6410161514, 65.9807621135), (85, 45.9807621135)]
    assert np.allclose(corners(value, (100, 200)), expected)


def test_a_turned_box_may_leave_the_image():
    turned = shape("rectanglelabels", x=0, y=0, width=20, height=40, rotation=45)
    assert mask_of(turned).any()


def test_an_ellipse_marks_the_pixels_whose_centres_are_inside():
    # Centre (5, 5), radii 2 and 1 px: the centres inside are (x - 5)^2 / 4 + (y - 5)^2 <= 1 at halves.
    ellipse = shape("ellipselabels", x=25, y=50, radiusX=10, radiusY=10)
    rows, columns = np.nonzero(mask_of(ellipse))
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (row, column) for row in (4, 5) for column in (3, 4, 5, 6)
    ]


def test_an_ellipse_turned_by_a_quarter_exchanges_its_radii():
    upright = shape("ellipselabels", x=25, y=50, radiusX=15, radiusY=10)  # 3 and 1 px
    lying = shape("ellipselabels", x=25, y=50, radiusX=5, radiusY=30, rotation=90)  # 1 and 3 px, turned
    assert mask_of(upright).sum() == 12
    assert np.array_equal(mask_of(upright), mask_of(lying))


def test_an_ellipse_over_the_border_is_cut_there():
    assert mask_of(shape("ellipselabels", x=0, y=0, radiusX=10, radiusY=20)).sum() == 3  # 2 px around (0, 0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (shape("ellipselabels", x=25, y=50, radiusX=0, radiusY=10), "two radii above 0"),
        (shape("ellipselabels", x=25, y=50, radiusX=float("nan"), radiusY=10), "two radii above 0"),
        (shape("ellipselabels", x=25, y=50, radiusX=1, radiusY=1), "region 1: marks no pixel"),
        (shape("ellipselabels", x=250, y=50, radiusX=10, radiusY=10), "region 1: marks no pixel"),
        (shape("rectanglelabels", x=1, y=1, width=0.5, height=10), "region 1: marks no pixel"),
    ],
)
def test_a_shape_without_a_pixel_is_named_and_never_becomes_no_target(bad, message):
    with pytest.raises(DataFormatError, match=message):
        mask_of(bad)


def test_regions_are_separate_targets_only_where_the_task_says_so():
    left, right = (shape("rectanglelabels", x=x, y=0, width=20, height=50) for x in (0, 10))
    united = drawing_of_results([left, right], TASK, "here", AS_STATED)
    kept = drawing_of_results([left, right], AnnotationTask("a", "a.png", 10, 20, separate=True), "here", AS_STATED)
    assert united.targets is None
    assert united.segmentation == kept.segmentation
    assert [int(decode_rle(target).sum()) for target in kept.targets] == [20, 20]
    assert united.mask.sum() == 30


def test_a_bitmask_is_marked_from_half_coverage():
    pixels = np.zeros((10, 20, 4), np.uint8)
    pixels[0, :4, 3] = (255, 128, 127, 1)
    sink = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(sink, "PNG")
    url = "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()
    assert np.flatnonzero(mask_of(shape("bitmasklabels", imageDataURL=url))).tolist() == [0, 1]

"""CVAT files: what is no mask is counted, and faults are named. The corpus holds their masks."""

import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError

SIZE = (20, 30)


def read(folder, shapes, options=AS_STATED):
    image = f'<image id="0" name="a.png" width="30" height="20">{shapes}</image>'
    (folder / "v.xml").write_text(f"<annotations>{image}</annotations>")
    return read_masks(folder / "v.xml", {"a": AnnotationTask("a", "a.png", *SIZE)}, options)


def test_lines_of_other_labels_do_not_stop_the_import(tmp_path):
    shapes = '<polyline label="road" points="1,1;2,2"/><box label="pond" xtl="1" ytl="1" xbr="4" ybr="4"/>'
    reading = read(tmp_path, shapes, ReadOptions(category="pond"))
    assert [drawing.category for drawing in reading.drawings] == ["pond"]
    assert reading.skipped == {"polylines": 1}


def test_an_image_with_only_a_line_is_never_taken_as_empty(tmp_path):
    shapes = '<polyline label="road" points="1,1;2,2"/>'
    assert read(tmp_path, shapes, ReadOptions(unmarked_is_empty=True)).drawings == []


def test_broken_shapes_of_other_labels_are_not_drawn(tmp_path):
    shapes = '<polygon label="road" points="x"/><box label="pond" xtl="1" ytl="1" xbr="4" ybr="4"/>'
    assert len(read(tmp_path, shapes, ReadOptions(category="pond")).drawings) == 1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<polygon label="p" points=""/>', "not a CVAT polygon"),
        ('<polygon label="p" points="1,1;2;3,3"/>', "not a CVAT polygon"),
        ('<polygon label="p" points="1,nan;2,2;3,3"/>', "not a finite number"),
        ('<box label="p" xtl="1" ytl="1" xbr="inf" ybr="2"/>', "not a CVAT box"),
        ('<box label="p" ytl="1" xbr="3" ybr="2"/>', "not a CVAT box .KeyError: 'xtl'"),
        ('<box label="p" xtl="5" ytl="5" xbr="5" ybr="9" rotation="30"/>', "must be greater than 0"),
        ('<ellipse label="p" cx="90" cy="5" rx="5" ry="5"/>', "its centre .90, 5. is outside the image"),
        ('<ellipse label="p" cx="9" cy="5" rx="-5" ry="5"/>', "must be greater than 0"),
        ('<ellipse label="p" cx="9" cy="5" rx="1e12" ry="5"/>', "larger than any image"),
        ('<ellipse label="p" cx="9" cy="5" rx="5" ry="nan"/>', "not a CVAT ellipse"),
        ('<mask label="p" rle="" left="0" top="0" width="2" height="2"/>', "not a CVAT mask"),
        ('<mask label="p" rle="4" left="0" top="0" width="2" height="2"/>', "marks no pixel"),
        ('<mask label="p" rle="4" left="0" top="0" width="2"/>', "not a CVAT mask"),
        ('<box label="p" xtl="9.1" ytl="9.1" xbr="9.2" ybr="9.2"/>', "marks no pixel"),
    ],
)
def test_faults_name_image_and_shape_in_one_line(tmp_path, shape, message):
    with pytest.raises(DataFormatError, match=message) as caught:
        read(tmp_path, shape)
    assert "v.xml, image 'a.png', shape 1 ('p')" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_round_shape_may_have_its_centre_outside_if_repaired(tmp_path):
    shape = '<ellipse label="p" cx="32" cy="5" rx="5" ry="5"/>'
    (drawing,) = read(tmp_path, shape, ReadOptions(repair=True)).drawings
    assert drawing.mask[5, 29]


def test_a_shape_without_the_attribute_of_label_field_is_unnamed(tmp_path):
    shape = '<box label="p" xtl="1" ytl="1" xbr="4" ybr="4"/>'
    (drawing,) = read(tmp_path, shape, ReadOptions(label_field="kind")).drawings
    assert drawing.category is None

"""Pascal VOC and class pictures: colours, void, and faults. The corpus holds their masks."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.classmaps import voc_colour
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError

from ..conftest import box

SIZE = (20, 30)
POND = (10, 200, 30)


def read(path, options=AS_STATED):
    return read_masks(path, {"a": AnnotationTask("a", "a.png", *SIZE)}, options)


def class_picture(folder, pixels, labelmap="background:0,0,0::\npond:10,200,30::\n", name="a.png"):
    (folder / "SegmentationClass").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / "SegmentationClass" / name)
    if labelmap is not None:
        (folder / "labelmap.txt").write_text(labelmap)
    return folder


def coloured(mask, colour=POND):
    return np.where(mask[..., None], np.uint8(colour), np.uint8(0))


def test_the_palette_begins_with_the_published_colours():
    # devkit of VOC 2012, VOClabelcolormap: background, aeroplane, bicycle, bird, boat, bottle, ..., tvmonitor, void
    published = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 5: (128, 0, 128)}
    published |= {15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {index: voc_colour(index) for index in published} == published


def test_background_alone_is_no_target_only_if_somebody_says_so(tmp_path):
    class_picture(tmp_path, np.zeros((*SIZE, 3), np.uint8))
    assert read(tmp_path).drawings == []
    (drawing,) = read(tmp_path, ReadOptions(unmarked_is_empty=True)).drawings
    assert drawing.is_empty


def test_an_image_left_open_is_never_taken_as_empty(tmp_path):
    class_picture(tmp_path, coloured(box(SIZE, 1, 1, 9, 9), (224, 224, 192)))
    reading = read(tmp_path, ReadOptions(unmarked_is_empty=True))
    assert reading.drawings == []
    assert sum(reading.skipped.values()) == 1


def test_a_colour_without_a_label_is_an_error(tmp_path):
    class_picture(tmp_path, coloured(box(SIZE, 1, 1, 9, 9), (1, 2, 3)))
    with pytest.raises(DataFormatError, match=r"SegmentationClass/a\.png: has pixels of \(1, 2, 3\)"):
        read(tmp_path)


@pytest.mark.parametrize("line", ["pond", "pond:1,2", "pond:a,b,c::", "pond:0,0,0::\nmill:0,0,0::", "# nothing"])
def test_a_broken_labelmap_is_one_line(tmp_path, line):
    class_picture(tmp_path, coloured(box(SIZE, 1, 1, 9, 9)), line)
    with pytest.raises(DataFormatError, match=r"labelmap\.txt") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_indices_without_palette_are_those_of_voc(tmp_path):
    class_picture(tmp_path, 4 * box(SIZE, 1, 1, 9, 9).astype(np.uint8), None)
    (drawing,) = read(tmp_path).drawings
    assert drawing.category == "boat"
    assert np.array_equal(drawing.mask, box(SIZE, 1, 1, 9, 9))


def test_a_picture_of_another_size_is_refused(tmp_path):
    class_picture(tmp_path, coloured(box((40, 60), 1, 1, 9, 9)))
    with pytest.raises(DataFormatError, match="drawn on 60 x 40 pixels"):
        read(tmp_path)


def test_objects_of_another_size_are_refused(tmp_path):
    class_picture(tmp_path, coloured(box(SIZE, 1, 1, 9, 9)))
    (tmp_path / "SegmentationObject").mkdir()
    Image.fromarray(coloured(box((40, 60), 1, 1, 9, 9))).save(tmp_path / "SegmentationObject" / "a.png")
    with pytest.raises(DataFormatError, match="SegmentationObject has another size"):
        read(tmp_path)


def test_a_changed_picture_is_read_again(tmp_path):
    for mask in (box(SIZE, 1, 1, 9, 9), box(SIZE, 2, 2, 5, 5)):
        (drawing,) = read(class_picture(tmp_path, coloured(mask))).drawings
        assert np.array_equal(drawing.mask, mask)


def test_a_broken_picture_is_one_line(tmp_path):
    class_picture(tmp_path, coloured(box(SIZE, 1, 1, 9, 9)))
    picture = tmp_path / "SegmentationClass" / "a.png"
    picture.write_bytes(picture.read_bytes()[:50])
    with pytest.raises(DataFormatError, match=r"a\.png: not a readable picture") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_masks_of_roboflow_with_an_unlisted_value_are_an_error(tmp_path):
    Image.fromarray(7 * box(SIZE, 1, 1, 9, 9).astype(np.uint8)).save(tmp_path / "a_mask.png")
    (tmp_path / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, pond\n")
    with pytest.raises(DataFormatError, match=r"a_mask\.png: has pixels of 7"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<polygon><x1>1</x1><y1>1</y1></polygon>", "at least three points"),
        ("<polygon><x1>1</x1></polygon>", "not a polygon of Pascal VOC"),
        ("<polygon><pt><x>a</x><y>1</y></pt></polygon>", "not a polygon of Pascal VOC"),
        ("", "has neither a polygon nor a box"),
    ],
)
def test_broken_objects_are_named(tmp_path, content, message):
    text = f"<annotation><filename>a.png</filename><object><name>pond</name>{content}</object></annotation>"
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataFormatError, match=message) as caught:
        read(tmp_path / "a.xml")
    assert "a.xml, object 1 ('pond')" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_name_of_the_file_stands_in_for_a_missing_name(tmp_path):
    square = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate([(1, 1), (5, 1), (5, 5)], start=1))
    text = f"<annotation><object><name>pond</name><polygon>{square}</polygon></object></annotation>"
    (tmp_path / "a.xml").write_text(text)
    assert len(read(tmp_path / "a.xml").drawings) == 1

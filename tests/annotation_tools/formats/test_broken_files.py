"""Whatever an annotation file holds, reading it ends with masks or with one line that names the file."""

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.drawing import draw
from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.labelstudio import task_of_drawing
from annotation_tools.formats.registry import read_masks
from annotation_tools.formats.writers.labelme import document_of_drawings
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.masks.rle import encode_mask

from ..conftest import box

SIZE = (20, 30)
MASK = box(SIZE, 3, 2, 12, 10)
TASKS = {"a": AnnotationTask("a", "a.png", *SIZE)}
LABELME = document_of_drawings([draw("a", MASK, "pond")], "a.png")
LABELME["shapes"] += [
    {"label": "pond", "points": [[2, 3], [10, 3], [10, 12]], "shape_type": "polygon", "group_id": 1, "flags": {}},
    {"label": "pond", "points": [[5, 5], [7, 5]], "shape_type": "circle"},
]
IMAGE = {"id": 1, "file_name": "a.png", "height": 20, "width": 30, "extra": {"name": "a.png"}, "earthreason": {}}
COCO = {
    "images": [IMAGE],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": encode_mask(MASK), "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[2.0, 3, 10, 3, 10, 12]], "bbox": [2, 3, 8, 9]},
        {"id": 3, "image_id": 1, "category_id": 1, "segmentation": {"size": [20, 30], "counts": [43, 9, 548]}},
    ],
    "categories": [{"id": 1, "name": "pond"}],
}
PANOPTIC = {
    "images": [IMAGE],
    "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 5, "category_id": 1}]}],
    "categories": [{"id": 1, "name": "pond"}],
}
RESULTS = [{"image_id": "a", "category_id": 1, "segmentation": encode_mask(MASK), "score": 0.9}]
EXPORT = [task_of_drawing(draw("a", MASK, "pond"), "a.png")]
EXPORT[0]["annotations"][0] |= {"completed_by": {"id": 1, "email": "anna@example.org"}, "id": 3, "lead_time": 2.5}
EXPORT[0]["annotations"][0]["result"].append(
    {
        "type": "polygonlabels",
        "original_width": 30,
        "original_height": 20,
        "value": {"points": [[10, 10], [50, 10], [50, 60]], "polygonlabels": ["polygon"]},
    }
)
FILES = {"labelme": LABELME, "coco": COCO, "panoptic": PANOPTIC, "results": RESULTS, "label studio": EXPORT}
NUMBERS = [True, -1, 3, 1.5, 10**400, float("nan"), float("inf")]
ODD = [None, *NUMBERS, "", "x", "-", [], {}, [[]], [None], [[1, 2], 3], {"a": 1}]
WORTHLESS = ["3", "null", "true", '"x"', "[[[[", "", " ", "{", "{}", "[3]", "[null]", "[[]]", '[{"a": 1}]', "\x00"]


def read(folder, content, name="x.json"):
    (folder / name).write_text(content, encoding="utf-8")
    return read_masks(folder / name, TASKS)


@pytest.mark.parametrize("form", [form for form in FILES if form != "panoptic"])  # that one lacks its PNG
def test_the_files_are_sound_before_they_are_broken(form, tmp_path):
    assert read(tmp_path, json.dumps(FILES[form])).drawings[0].mask[3:12, 2:10].all()


@pytest.mark.parametrize("content", [*WORTHLESS, "[" * 100_000], ids=lambda content: content[:8] or "nothing")
@pytest.mark.parametrize("name", ["x.json", "x.xml"])
def test_what_is_no_annotation_file_is_one_line_with_its_name(tmp_path, content, name):
    with pytest.raises(DataFormatError) as caught:
        read(tmp_path, content, name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_bytes_that_are_no_text_are_named(tmp_path):
    for name in ("x.json", "x.xml"):
        (tmp_path / name).write_bytes(b"\xff\xfe\xfa[")
        with pytest.raises(DataFormatError, match=name):
            read_masks(tmp_path / name, TASKS)


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if not (isinstance(key, int) and key > 6):  # a few of the bytes of a stream are enough
            yield from places(child, (*path, key))


def changed(document, path, value, drop=False):
    if not path:
        return value
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


def outcome(path, options):
    """Drawings of a file, or the one line that says why there are none."""
    try:
        return read_masks(path, TASKS, options).drawings, ""
    except EarthReasonError as error:
        return [], str(error)


def check(folder, document, options=AS_STATED):
    (folder / "x.json").write_text(json.dumps(document))
    drawings, error = outcome(folder / "x.json", options)
    assert not error or "x.json" in error
    for drawing in drawings:
        assert drawing.mask.shape == SIZE
        assert drawing.mask.any() or "true" in json.dumps(document) or "no target" in json.dumps(document)


@pytest.mark.parametrize("form", FILES)
def test_every_value_may_be_missing_or_of_another_kind(form, tmp_path):
    for path in places(FILES[form]):
        if path:
            check(tmp_path, changed(FILES[form], path, None, drop=True))
        for odd in ODD:
            check(tmp_path, changed(FILES[form], path, odd))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_several_changes_at_once(data, tmp_path_factory):
    document = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(list(places(document))))
        odd = st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=5)
        document = changed(document, path, data.draw(odd), drop=bool(path) and data.draw(st.booleans()))
    options = data.draw(st.builds(ReadOptions, repair=st.booleans(), instances=st.booleans(), new_targets=st.booleans(),
                                  category=st.sampled_from([None, "pond"])))  # fmt: skip
    check(tmp_path_factory.mktemp("fuzz"), document, options)


XML = (
    "<annotation><filename>a.png</filename><folder>x</folder><object><name>pond</name><deleted>0</deleted><polygon>"
    "<pt><x>2</x><y>3</y></pt><pt><x>10</x><y>3</y></pt><pt><x>10</x><y>12</y></pt></polygon></object>"
    "<imagesize><nrows>20</nrows><ncols>30</ncols></imagesize></annotation>"
)


@settings(max_examples=150)
@given(
    start=st.integers(0, len(XML)),
    length=st.integers(0, 30),
    text=st.sampled_from(["", "x", "nan", "1e999", "<pt/>", "<object/>", "-5", "&amp;", "9" * 400]),
)
def test_broken_xml_of_labelme(start, length, text, tmp_path_factory):
    path = tmp_path_factory.mktemp("xml") / "x.xml"
    path.write_text(XML[:start] + text + XML[start + length :])
    drawings, error = outcome(path, AS_STATED)
    assert "x.xml" in error or not error
    assert all(drawing.mask.any() for drawing in drawings)


def test_labelme_xml_marks_pixels_by_their_centres_and_leaves_deleted_objects_out(tmp_path):
    deleted = "<object><name>mill</name><deleted>1</deleted><polygon><pt><x>9</x></pt></polygon></object>"
    reading = read(tmp_path, XML.replace("<imagesize>", f"{deleted}<imagesize>"), "x.xml")
    # By hand: the triangle (2, 3), (10, 3), (10, 12) holds the centres with (x - 2) * 9 > (y - 3) * 8.
    rows, columns = np.mgrid[0:20, 0:30] + 0.5
    expected = (columns < 10) & (rows > 3) & ((columns - 2) * 9 > (rows - 3) * 8)
    assert np.array_equal(reading.drawings[0].mask, expected)
    assert reading.skipped == {"deleted objects": 1}

"""A folder is read as one: every file is read, is known to describe the export, or is named."""

import json

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError
from earthreason.masks.png import encode_mask_png

from ..conftest import box, drawings_in, write_picture

SIZE = (20, 30)


def labelme(path, image, label="pond"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = {"label": label, "points": [[2, 3], [10, 12]], "shape_type": "rectangle"}
    document = {"version": "5.5.0", "imagePath": image, "imageHeight": 20, "imageWidth": 30, "flags": {}}
    path.write_text(json.dumps(document | {"shapes": [shape]}))


def cvat(path, image):
    box = '<box label="pond" xtl="2" ytl="3" xbr="10" ybr="12"/>'
    path.write_text(f'<annotations><image id="0" name="{image}" width="30" height="20">{box}</image></annotations>')


def reading_of(path, names, options=AS_STATED):
    return read_masks(path, {name: AnnotationTask(name, f"{name}.png", *SIZE) for name in names}, options)


def test_pictures_beside_annotations_are_pictures(tmp_path):
    labelme(tmp_path / "a.json", "a.png")
    write_picture(tmp_path / "a.png")
    (drawing,) = drawings_in(tmp_path, SIZE)
    assert drawing.mask.sum() < 200


def test_unknown_annotation_files_are_all_named(tmp_path):
    labelme(tmp_path / "a.json", "a.png")
    for name in ("x.json", "y.xml", "z.csv"):
        (tmp_path / name).write_text({"x.json": "{}", "y.xml": "<p/>", "z.csv": "1,2"}[name])
    with pytest.raises(DataFormatError, match=r"x\.json, .*y\.xml, .*z\.csv: in none of the known formats"):
        drawings_in(tmp_path, SIZE)


def test_files_of_other_kinds_are_counted_and_those_of_exports_are_not(tmp_path):
    labelme(tmp_path / "a.json", "a.png")
    for name in ("README.roboflow.txt", "data.yaml", "classes.txt", "notes.json", "labelmap.txt", "LICENSE"):
        (tmp_path / name).write_text("{}")
    assert reading_of(tmp_path, "a").skipped == {}
    (tmp_path / "notes.doc").write_text("?")
    assert reading_of(tmp_path, "a").skipped == {f"files in no known format ({tmp_path / 'notes.doc'})": 1}


def test_two_formats_in_a_folder_are_both_read(tmp_path):
    labelme(tmp_path / "a.json", "a.png")
    cvat(tmp_path / "v.xml", "b.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "c.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    assert {drawing.task for drawing in drawings_in(tmp_path, SIZE, names="abc")} == {"a", "b", "c"}


def test_an_image_in_two_files_names_both(tmp_path):
    labelme(tmp_path / "a.json", "a.png")
    cvat(tmp_path / "v.xml", "a.png")
    message = rf"a: drawn more than once, in {tmp_path}/a\.json and {tmp_path}/v\.xml, image 'a\.png'"
    with pytest.raises(DataFormatError, match=message):
        drawings_in(tmp_path, SIZE, names="ab")


def test_a_picture_of_classes_is_no_second_mask_of_a_yolo_export(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    write_picture(tmp_path / "images" / "a.png")
    assert len(drawings_in(tmp_path, SIZE)) == 1


def test_a_folder_with_nothing_to_read_says_so(tmp_path):
    (tmp_path / "readme.md").write_text("x")
    with pytest.raises(DataFormatError, match="in none of the known formats"):
        drawings_in(tmp_path, SIZE)


def test_masks_and_other_files_are_read_and_counted(tmp_path):
    (tmp_path / "a.png").write_bytes(encode_mask_png(box(SIZE, 1, 2, 5, 6)))
    (tmp_path / "b.doc").write_text("?")
    reading = reading_of(tmp_path, "a")
    assert len(reading.drawings) == 1
    assert sum(reading.skipped.values()) == 1


def test_files_of_many_images_are_read_as_one(tmp_path):
    names = [f"scene{number:03}" for number in range(300)]
    for name in names:
        labelme(tmp_path / f"{name}.json", f"{name}.png")
    found = reading_of(tmp_path, names).drawings
    assert [drawing.task for drawing in found] == names
    assert np.array_equal(found[0].mask, found[-1].mask)


def test_an_image_with_shapes_of_several_files_can_have_a_target_of_each(tmp_path):
    labelme(tmp_path / "water" / "a.json", "a.png", "water")
    labelme(tmp_path / "road" / "a.json", "a.png", "road")
    reading = reading_of(tmp_path, "a", ReadOptions(new_targets=True))
    assert {drawing.task for drawing in reading.drawings} == {"a__water", "a__road"}

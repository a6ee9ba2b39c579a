"""Folders of YOLO labels: names of classes, images and faults. The corpus holds their masks."""

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats import source as source_module
from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError

SIZE = (20, 30)
SQUARE = "0 0.1 0.15 0.34 0.15 0.34 0.6 0.1 0.6\n"


def read(folder, options=AS_STATED, names=("a",), **origins):
    tasks = {name: AnnotationTask(name, f"{name}.png", *SIZE, origin=origins.get(name)) for name in names}
    return read_masks(folder, tasks, options)


def export(folder, labels, settings="names: [pond, mill]\n"):
    for path, text in labels.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "data.yaml").write_text(settings)
    return folder


def test_an_empty_label_file_is_no_target_only_if_somebody_says_so(tmp_path):
    export(tmp_path, {"labels/a.txt": "\n"})
    assert read(tmp_path).drawings == []
    (drawing,) = read(tmp_path, ReadOptions(unmarked_is_empty=True)).drawings
    assert drawing.is_empty


def test_an_image_with_boxes_is_never_taken_as_empty(tmp_path):
    export(tmp_path, {"labels/a.txt": "0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1 0.97\n"})  # the second with confidence
    reading = read(tmp_path, ReadOptions(unmarked_is_empty=True))
    assert reading.drawings == []
    assert reading.skipped == {"boxes without a mask": 2}


def test_poses_are_no_polygons(tmp_path):
    export(tmp_path, {"labels/a.txt": "0 0.5 0.5 0.1 0.1 0.4 0.4 0.6 0.6\n"}, "names: [pond]\nkpt_shape: [2, 2]\n")
    assert read(tmp_path).skipped == {"poses": 1}


def test_the_settings_file_stands_for_its_folder(tmp_path):
    export(tmp_path, {"labels/train/a.txt": SQUARE})
    (drawing,) = read(tmp_path / "data.yaml").drawings
    assert drawing.category == "pond"


def test_a_folder_of_labels_without_names_numbers_the_classes(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(SQUARE)
    for folder in (tmp_path, tmp_path / "labels"):
        (drawing,) = read(folder).drawings
        assert drawing.category == "0"


@pytest.mark.parametrize("name", ["test", "train", "classes2", "readme"])
def test_images_named_like_files_of_an_export_are_read(tmp_path, name):
    export(tmp_path, {f"labels/{name}.txt": SQUARE})
    assert len(read(tmp_path, names=(name,)).drawings) == 1


def test_pictures_beside_the_labels_tell_images_of_one_name_apart(tmp_path):
    export(tmp_path, {"labels/north/a.txt": SQUARE, "images/north/a.png": "", "images/south/a.png": ""})
    reading = read(tmp_path, names=("one", "two"), one="north/a.png", two="south/a.png")
    assert [drawing.task for drawing in reading.drawings] == ["one"]


def test_two_label_files_of_one_image_are_an_error(tmp_path):
    export(tmp_path, {"labels/train/a.txt": SQUARE, "labels/val/a.txt": SQUARE})
    with pytest.raises(DataFormatError, match=r"several images of the file fit it"):
        read(tmp_path)


def test_names_of_a_picture_that_roboflow_renamed(tmp_path):
    export(tmp_path, {"train/labels/a_png.rf.0a1b2c.txt": SQUARE})
    assert [drawing.task for drawing in read(tmp_path).drawings] == ["a"]


def test_two_lists_of_classes_that_differ_are_an_error(tmp_path):
    export(tmp_path, {"one/labels/a.txt": SQUARE, "one/classes.txt": "mill\npond\n"})
    with pytest.raises(DataFormatError, match="list different classes"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.1 0.1 0.5 0.5 0.9 0.1 0.9", "line 2: has 8 numbers"),
        ("0 0.1 0.1 0.5", "line 2: has 4 numbers"),
        ("pond 0.1 0.1 0.5 0.5 0.9 0.1", "line 2: 'pond 0.1.* is not a class and coordinates"),
        ("7 0.1 0.1 0.5 0.5 0.9 0.1", "line 2: the class 7 is not in the list"),
        ("0.5 0.1 0.1 0.5 0.5 0.9 0.1", "line 2: the class 0.5 is not a whole number"),
        ("nan 0.1 0.1 0.5 0.5 0.9 0.1", "line 2: the class nan is not a whole number"),
        ("0 0.1 nan 0.5 0.5 0.9 0.1", "line 2: a coordinate is not a finite number"),
        ("0 10 15 34 15 34 60", "line 2: extends over x 300"),
        ("0 0.1 0.1 0.9 0.9 0.9 0.1 0.1 0.9", "line 2: Self-intersection.*--repair"),
    ],
)
def test_faults_name_the_line(tmp_path, line, message):
    export(tmp_path, {"labels/a.txt": SQUARE + line})
    with pytest.raises(DataFormatError, match=rf"labels/a\.txt, {message}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("names: 3\n", "must be a list of classes"),
        ("names: {a: b}\n", "must be a list of classes"),
        ("names: [a", "not YAML"),
        ("!!python/object/apply:os.system [ls]", "not YAML"),
    ],
)
def test_broken_settings_are_one_line(tmp_path, settings, message):
    export(tmp_path, {"labels/a.txt": SQUARE}, settings)
    with pytest.raises(DataFormatError, match=rf"data\.yaml: .*{message}") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_repaired_wings_are_both_filled(tmp_path):
    export(tmp_path, {"labels/a.txt": "0 0.1 0.1 0.9 0.9 0.9 0.1 0.1 0.9\n"})
    (drawing,) = read(tmp_path, ReadOptions(repair=True)).drawings
    assert drawing.mask[10, 5]
    assert drawing.mask[10, 24]
    assert not drawing.mask[4, 15]


def test_far_coordinates_do_not_overflow_in_a_repair(tmp_path):
    export(tmp_path, {"labels/a.txt": "0 0.1 0.1 1e30 0.9 0.9 0.1\n"})
    with pytest.raises(DataFormatError, match="far outside"):
        read(tmp_path, ReadOptions(repair=True))


def test_a_folder_is_listed_as_often_for_many_files_as_for_one(tmp_path, monkeypatch):
    listed = []
    monkeypatch.setattr(
        source_module,
        "visible_files",
        lambda *given, real=source_module.visible_files: listed.append(1) or real(*given),
    )
    export(tmp_path, {f"labels/scene{number}.txt": SQUARE for number in range(50)})
    assert len(read(tmp_path, names=[f"scene{number}" for number in range(50)]).drawings) == 50
    assert len(listed) == 1


def test_every_polygon_is_a_target_of_its_own_if_asked(tmp_path):
    export(tmp_path, {"labels/a.txt": SQUARE + "0 0.6 0.6 0.9 0.6 0.9 0.9\n"})
    (drawing,) = read(tmp_path, ReadOptions(instances=True)).drawings
    assert len(drawing.targets) == 2
    assert np.count_nonzero(drawing.mask) > 0

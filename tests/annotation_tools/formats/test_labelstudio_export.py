"""Exports of Label Studio: those of goldens/labelstudio.json were converted by label-studio-sdk itself."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.registry import read_masks
from annotation_tools.formats.runs import from_row_runs
from annotation_tools.workspace import AnnotationTask
from earthreason.errors import DataFormatError

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "labelstudio.json").read_text())
SIZE = (20, 30)
TASKS = {name: AnnotationTask(name, f"{name}.png", *SIZE) for name in ("a", "b", "lake north", "d")}
BRUSH = from_row_runs(GOLDEN["brush"], *SIZE)
WHERE = {"original_width": 30, "original_height": 20, "image_rotation": 0}


def read(folder, document, options=AS_STATED):
    (folder / "x.json").write_text(json.dumps(document))
    return read_masks(folder / "x.json", TASKS, options)


def region(kind, value, **more):
    return {"id": "r", "from_name": "x", "to_name": "image", "type": kind, "value": value, **WHERE, **more}


def polygon(**more):
    return {"points": [[10, 10], [50, 10], [50, 60], [10, 60]], **more}


def task(*results, image="a.png", **more):
    annotation = {"id": 5, "completed_by": {"id": 1, "email": "anna@example.org"}, "result": list(results)}
    return {"id": 1, "data": {"image": image}, "annotations": [annotation | more.pop("of", {})], **more}


@pytest.mark.parametrize("form", ["JSON", "JSON_MIN"])
def test_what_label_studio_exports_is_read(form, tmp_path):
    reading = read(tmp_path, GOLDEN[form])
    drawings = {drawing.task: drawing for drawing in reading.drawings}
    assert sorted(drawings) == ["a", "b", "lake north"]
    assert drawings["a"].annotator == "anna@example.org"
    assert (drawings["a"].category, drawings["a"].seconds) == ("pond", 3.2)
    assert drawings["a"].mask.sum() > 0
    assert drawings["b"].is_empty
    assert np.array_equal(drawings["lake north"].mask, BRUSH)
    assert reading.skipped["keypointlabels"] == 1


def test_both_forms_of_an_export_say_the_same(tmp_path):
    masks = [
        {drawing.task: (drawing.segmentation, drawing.category) for drawing in read(tmp_path, GOLDEN[form]).drawings}
        for form in ("JSON", "JSON_MIN")
    ]
    assert masks[0] == masks[1]


def test_the_coco_export_of_label_studio_finds_its_images(tmp_path):
    reading = read(tmp_path, GOLDEN["COCO"], ReadOptions(category="polygon"))
    assert [drawing.task for drawing in reading.drawings] == ["a"]
    assert reading.strangers == []


def test_predictions_drafts_and_cancelled_annotations_are_counted_and_never_read(tmp_path):
    broken = {"result": "nothing"}
    one = task(region("polygonlabels", polygon()), predictions=[broken, broken], drafts=[broken])
    one["annotations"].append({"was_cancelled": True, "result": "nothing"})
    reading = read(tmp_path, [one])
    assert len(reading.drawings) == 1
    assert reading.skipped == {"predictions": 2, "drafts": 1, "cancelled annotations": 1}
    only = {"data": {"image": "a.png"}, "annotations": [], "predictions": [broken]}
    assert read(tmp_path, [only], ReadOptions(unmarked_is_empty=True)).drawings == []


@pytest.mark.parametrize(
    ("who", "name"), [({"id": 1, "email": "a@b.c"}, "a@b.c"), (7, "7"), (None, ""), ({"id": 3}, "3")]
)
def test_people_are_objects_or_numbers(tmp_path, who, name):
    (drawing,) = read(tmp_path, [task(region("polygonlabels", polygon()), of={"completed_by": who})]).drawings
    assert drawing.annotator == name


def test_tasks_of_other_projects_name_their_picture_in_any_column(tmp_path):
    one = task(region("polygonlabels", polygon(polygonlabels=["pond"])))
    one["data"] = {"question": "Where?", "scene": "/data/upload/1/1a2b3c4d-a.png"}
    assert read(tmp_path, [one]).drawings[0].category == "pond"
    one["data"] = {"question": "Where?"}
    with pytest.raises(DataFormatError, match="task 1: has no picture in its data"):
        read(tmp_path, [one])
    assert read(tmp_path, [one | {"file_upload": "1a2b3c4d-a.png"}]).drawings[0].task == "a"


def test_labels_that_a_control_of_their_own_gives_belong_to_the_region(tmp_path):
    results = [region("polygon", polygon()), region("labels", polygon(labels=["mill"]))]
    (drawing,) = read(tmp_path, [task(*results)]).drawings
    assert (drawing.category, int(drawing.mask.sum())) == ("mill", 12 * 10)


def test_regions_without_labels_in_the_short_form(tmp_path):
    row = {"image": "a.png", "id": 1, "mark": [polygon(closed=True, original_width=30, original_height=20)]}
    assert read(tmp_path, [row]).drawings[0].mask.sum() == 12 * 10
    row["mark"] = [{"x": 10, "y": 10, "width": 40, "height": 50, "original_width": 30, "original_height": 20}]
    assert read(tmp_path, [row]).drawings[0].mask.sum() == 12 * 10


def test_a_row_that_says_no_target_in_any_choice_is_one_without_a_target(tmp_path):
    for said in ("no target", {"choices": ["no target", "x"]}):
        assert read(tmp_path, [{"image": "a.png", "status": said}]).drawings[0].is_empty
    assert read(tmp_path, [{"image": "a.png", "status": "seen"}]).drawings == []

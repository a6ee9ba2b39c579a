"""Exports of several targets an image: of tasks that share a picture, and of separate targets of one task."""

import contextlib
import io
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from pycocotools.coco import COCO

from annotation_tools.exports import export_workspace
from annotation_tools.imports import ImportOptions
from annotation_tools.quality.adjudicate import Rules, adjudicate
from annotation_tools.review.build import open_review
from annotation_tools.review.model import Plan, ReviewJudgement
from annotation_tools.review.verdicts import review_outcome
from annotation_tools.workspace import AnnotationTask, Workspace
from earthreason.data.pictures import mask_of
from earthreason.data.reader import open_source, read_all
from earthreason.errors import DataFormatError
from earthreason.masks.rle import encode_mask

from .conftest import box, drawn, import_masks, write_picture

SIZE = (20, 30)
POND, MILL = box(SIZE, 1, 1, 6, 9), box(SIZE, 8, 8, 12, 20)
ONE, TWO = box(SIZE, 14, 2, 18, 6), box(SIZE, 14, 6, 18, 10)  # they touch
NONE = np.zeros(SIZE, bool)
SOURCES = {"cvat": "annotations.xml", "labelstudio": "tasks.json", "labelme": "", "png": ""}


def make_workspace(root):
    """Image `scene` with the tasks pond, mill, boats (two separate targets) and quay (none), and image `b` with one."""
    write_picture(root / "images" / "scene.png", *SIZE)
    write_picture(root / "images" / "b.png", *SIZE, seed=2)
    workspace = Workspace(root)
    workspace.add_tasks(
        [
            AnnotationTask(
                "pond", "scene.png", *SIZE, category="water", target="the pond", questions=["Where to swim?"]
            ),
            AnnotationTask("mill", "scene.png", *SIZE, category="building", questions=["Where is corn ground?"]),
            AnnotationTask("boats", "scene.png", *SIZE, target="boats", separate=True, questions=["What sails?"]),
            AnnotationTask("quay", "scene.png", *SIZE, category="quay", questions=["Where to moor?"]),
            AnnotationTask("b", "b.png", *SIZE, category="water", questions=["Where else to swim?"]),
        ]
    )
    return workspace


@pytest.fixture
def shared(tmp_path):
    workspace = make_workspace(tmp_path / "work")
    apart = replace(drawn("boats", ONE | TWO, "anna", None), targets=[encode_mask(ONE), encode_mask(TWO)])
    workspace.add_drawings([drawn("pond", POND, "anna", "water"), drawn("mill", MILL, "anna", "water"), apart])
    workspace.add_drawings([drawn("quay", NONE, "anna"), drawn("b", POND, "anna", "water")])
    return workspace


def targets_of(drawing):
    return None if drawing.targets is None else [target["counts"] for target in drawing.targets]


@pytest.mark.parametrize("form", SOURCES)
def test_tasks_of_one_image_are_read_back_each_with_its_own_mask(shared, tmp_path, form):
    """Pond and mill have the same label, so labels alone could not tell them apart, and quay has no target."""
    export_workspace(shared, form, tmp_path / "out")
    other = make_workspace(tmp_path / "other")
    import_masks(other.root, tmp_path / "out" / SOURCES[form], ImportOptions(annotator="anna"))
    read, before = other.drawings(), shared.drawings()
    assert set(read) == set(before)
    for name, (drawing,) in before.items():
        assert np.array_equal(read[name][0].mask, drawing.mask)
    if form != "png":
        assert targets_of(read["boats"][0]) == targets_of(before["boats"][0])


@pytest.mark.parametrize(("form", "where"), [("cvat", "images"), ("labelme", ""), ("labelstudio", "images")])
def test_a_shared_picture_is_copied_once(shared, tmp_path, form, where):
    export_workspace(shared, form, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / where).glob("*.png")) == ["b.png", "scene.png"]


def test_cvat_has_one_image_with_a_mask_for_each_target(shared, tmp_path):
    export_workspace(shared, "cvat", tmp_path / "out")
    images = ElementTree.parse(tmp_path / "out" / "annotations.xml").getroot().findall("image")
    assert [image.get("name") for image in images] == ["b.png", "scene.png"]
    shapes = images[1].findall("mask")
    assert sorted(shape.get("label") for shape in shapes) == ["boats", "boats", "water", "water"]
    (tag,) = images[1].findall("tag")
    assert tag.get("label") == "no target"
    assert tag.find("attribute").text == "quay"


def test_labelme_has_one_document_with_a_mask_for_each_target(shared, tmp_path):
    export_workspace(shared, "labelme", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "scene.json").read_text())
    assert sorted(shape["description"] for shape in document["shapes"]) == ["boats", "boats", "mill", "pond"]
    assert document["flags"] == {"no target: quay": True}


def test_a_shape_added_in_labelme_goes_to_the_task_of_its_label_or_is_refused(shared, tmp_path):
    export_workspace(shared, "labelme", tmp_path / "out")
    path = tmp_path / "out" / "scene.json"
    document = json.loads(path.read_text())
    points = [[20, 1], [25, 1], [25, 5], [20, 5]]
    new = {"label": "boats", "points": points, "shape_type": "polygon", "flags": {}, "description": ""}
    path.write_text(json.dumps(document | {"shapes": [*document["shapes"], new]}))
    other = make_workspace(tmp_path / "other")
    import_masks(other.root, tmp_path / "out", ImportOptions(annotator="anna"))
    (boats,) = other.drawings()["boats"]
    assert len(boats.targets) == 3
    assert boats.mask.sum() == 16 + 16 + 30  # labelme marks the outline too: 6 x 5 pixels
    ambiguous = new | {"label": "water"}  # pond or mill: both have shapes of this label
    path.write_text(json.dumps(document | {"shapes": [*document["shapes"], ambiguous]}))
    with pytest.raises(DataFormatError, match="pond: drawn more than once"):
        import_masks(other.root, tmp_path / "out", ImportOptions(annotator="ben"))


def test_geojson_has_a_feature_for_each_separate_target(shared, tmp_path):
    export_workspace(shared, "geojson", tmp_path / "out")
    features = json.loads((tmp_path / "out" / "boats.geojson").read_text())["features"]
    assert [feature["properties"]["target"] for feature in features] == [1, 2]


def test_png_has_the_union_and_a_file_for_each_separate_target(shared, tmp_path):
    export_workspace(shared, "png", tmp_path / "out")
    files = [tmp_path / "out" / "boats.png", *sorted((tmp_path / "out" / "targets").iterdir())]
    assert [path.name for path in files] == ["boats.png", "boats.target-1.png", "boats.target-2.png"]
    masks = [mask_of(path.read_bytes(), path) for path in files]
    assert all(np.array_equal(one, other) for one, other in zip(masks, [ONE | TWO, ONE, TWO], strict=True))


@pytest.mark.parametrize("form", ["parquet", "coco", "webdataset"])
def test_the_column_targets_holds_separate_targets_and_is_null_without(shared, tmp_path, form):
    shared.write_consensus(adjudicate(shared.drawings(), Rules()))
    written = export_workspace(shared, form, tmp_path / "out")
    records = {record.sample_id: record for _, record in read_all(open_source(tmp_path / "out"))}
    masks = [mask_of(target, tmp_path) for target in records["boats"].targets]
    assert all(np.array_equal(one, other) for one, other in zip(masks, [ONE, TWO], strict=True))
    assert [name for name, record in records.items() if record.targets is not None] == ["boats"]
    assert written.united == []


def test_pycocotools_reads_one_annotation_for_each_separate_target(shared, tmp_path):
    export_workspace(shared, "coco", tmp_path / "out")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "out" / "annotations" / "test.json")
    (image,) = [image for image in coco.imgs.values() if image["earthreason"]["sample_id"] == "boats"]
    masks = [coco.annToMask(coco.anns[number]) for number in coco.getAnnIds([image["id"]])]
    assert [mask.sum() for mask in masks] == [16, 16]
    assert np.array_equal(masks[0].astype(bool), ONE)


def test_a_release_has_one_mask_a_sample_and_says_whose_targets_it_unites(shared, tmp_path):
    written = export_workspace(shared, "release", tmp_path / "out")
    records = {record.sample_id: record for _, record in read_all(open_source(tmp_path / "out"))}
    assert written.united == ["boats"]
    assert np.array_equal(mask_of(records["boats"].mask, tmp_path), ONE | TWO)


def test_a_sample_that_a_review_leaves_out_is_not_named_as_united(shared, tmp_path):
    store = open_review(str(shared.root), tmp_path / "review", Plan(overlap=0, second_pass=0))
    (boats,) = [
        item
        for item in iter(lambda: store.item("rita"), None)
        if _judged(store, item, "reject" if "sails" in item.question else "accept") == "reject"
    ]
    store.close()
    written = export_workspace(shared, "release", tmp_path / "out", reviews=review_outcome(tmp_path / "review"))
    assert "boats" not in {record.sample_id for _, record in read_all(open_source(tmp_path / "out"))}
    assert (boats.question, written.united) == ("What sails?", [])


def _judged(store, item, verdict):
    same = {"review": store.review, "reviewer": "rita", "item": item.item, "place": item.place, "revision": 0}
    reasons = ["leak"] if verdict == "reject" else []
    store.judge(ReviewJudgement(**same, key=f"key-{item.place:05}", verdict=verdict, reasons=reasons))
    return verdict

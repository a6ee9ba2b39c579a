"""COCO exports as pycocotools reads and scores them, and with the keys that FiftyOne's importer needs."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from earthreason.data.about import About
from earthreason.data.exports import export
from earthreason.data.omissions import Tolerance
from earthreason.data.reader import open_source
from tests.data.memory import Memory, box, png, sample, several

ABOUT = About("Harbours", "CC-BY-4.0", "Drawn.", "https://example.org/h", "Harbour office", "2025-05-04", "Someone")


@pytest.fixture
def out(tmp_path):
    export(Memory(several()), "coco", tmp_path / "out", about=ABOUT)
    return tmp_path / "out"


@pytest.fixture
def train(out):
    return COCO(str(out / "annotations" / "train.json"))


def test_masks_areas_and_boxes_are_those_of_the_pixels(train):
    expected = [box(2, 3, 7, 13), box(5, 10, 15, 25), box(2, 3, 7, 13), box(16, 0, 20, 9)]
    found = train.loadAnns(train.getAnnIds())
    assert [annotation["image_id"] for annotation in found] == [1, 2, 2, 2]
    for annotation, mask in zip(found, expected, strict=True):
        assert np.array_equal(train.annToMask(annotation), mask)
        assert annotation["area"] == mask.sum()
        rows, columns = np.nonzero(mask)
        left, top = columns.min(), rows.min()
        assert annotation["bbox"] == [left, top, columns.max() - left + 1, rows.max() - top + 1]
        assert isinstance(annotation["segmentation"]["counts"], str)
    assert [annotation["iscrowd"] for annotation in found] == [0, 0, 0, 1]


def test_info_licences_and_categories_are_complete(out):
    tables = [json.loads((out / "annotations" / f"{split}.json").read_text()) for split in ("train", "test")]
    for table in tables:
        assert table["info"] == {
            "description": "Harbours. Drawn.",
            "version": "1.0.0",
            "url": "https://example.org/h",
            "contributor": "Harbour office",
            "date_created": "2025-05-04",
            "year": 2025,
        }
        licence = {"id": 1, "name": "CC-BY-4.0", "url": "https://spdx.org/licenses/CC-BY-4.0.html"}
        assert table["licenses"] == [licence]
        assert {image["license"] for image in table["images"]} == {1}
        assert [(each["name"], each["supercategory"]) for each in table["categories"]] == [
            ("lake", "target"),
            ("pier", "target"),
            ("target", "target"),
        ]
    for kind in ("images", "annotations"):
        ids = [each["id"] for table in tables for each in table[kind]]
        assert len(set(ids)) == len(ids)


def test_every_image_is_found_below_images_with_its_size(out):
    for split in ("train", "test"):
        table = COCO(str(out / "annotations" / f"{split}.json"))
        for image in table.loadImgs(table.getImgIds()):
            with Image.open(out / "images" / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"])


def test_a_set_without_any_target_has_a_category(tmp_path):
    """FiftyOne takes the largest id of a category, which an empty list has not."""
    export(Memory({"test": [sample("a", box(0, 0, 0, 0))]}), "coco", tmp_path / "out")
    table = json.loads((tmp_path / "out" / "annotations" / "test.json").read_text())
    assert table["annotations"] == []
    assert [each["name"] for each in table["categories"]] == ["target"]


def scored(truth, detections, kind):
    evaluation = COCOeval(truth, truth.loadRes(detections), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_cocoeval_gives_perfect_detections_one_and_ignores_what_is_found_in_ignored_pixels(train, kind):
    found = [
        {key: each[key] for key in ("image_id", "category_id", "bbox", "segmentation")}
        for each in train.loadAnns(train.getAnnIds())
    ]
    crowd = found[-1]
    perfect = [{**each, "score": 0.5} for each in found[:-1]]
    assert scored(train, perfect, kind)[0] == pytest.approx(1)
    # In ignored pixels, with a higher score than all the others: neither right nor wrong.
    assert scored(train, [*perfect, {**crowd, "score": 0.9}], kind)[0] == pytest.approx(1)
    # The same pixels in the first image, where they are background.
    false_alarm = {**crowd, "image_id": 1, "category_id": found[0]["category_id"], "score": 0.9}
    assert scored(train, [*perfect, false_alarm], kind)[0] == pytest.approx((0.5 + 1) / 2, abs=1e-3)
    assert scored(train, perfect[:1], kind)[0] == pytest.approx(1 / 2)  # the pier is not found, the lake is


def test_crowds_of_any_coco_file_are_read_as_ignored_pixels(out):
    path = out / "annotations" / "train.json"
    table = json.loads(path.read_text())
    for image in table["images"]:
        del image["earthreason"]
    path.write_text(json.dumps(table))
    (_, second) = open_source(out).read("train")
    assert second.ignore == png(box(16, 0, 20, 9))
    assert second.mask == png(box(2, 3, 7, 13) | box(5, 10, 15, 25))
    assert second.targets is None


def test_ignored_pixels_of_older_exports_are_read(out):
    path = out / "annotations" / "train.json"
    table = json.loads(path.read_text())
    crowd = table["annotations"].pop()
    table["images"][1]["earthreason"]["ignore"] = crowd["segmentation"]
    path.write_text(json.dumps(table))
    (_, second) = open_source(out).read("train")
    assert second.ignore == png(box(16, 0, 20, 9))


SQUARE = [2, 1, 6, 1, 6, 4, 2, 4]


@pytest.fixture
def foreign(tmp_path):
    """Write a file of another tool with one 6 x 8 picture, `a.png` in `folder`, and open it."""

    def write(folder="images", image=None, annotation=None, more=()):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(tmp_path / folder / "a.png")
        table = {
            "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8, **(image or {})}, *more],
            "annotations": [{"id": 1, "image_id": 1, "segmentation": [SQUARE], **(annotation or {})}],
        }
        path = tmp_path / "annotations" / "instances_val2017.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(table))
        return open_source(path, Tolerance(share=1.0))

    return write


def drawn(record):
    return np.asarray(Image.open(io.BytesIO(record.mask))) != 0


@pytest.mark.parametrize("folder", ["images", "val2017", "images/val2017", "."])
def test_images_of_other_tools_are_found(foreign, folder):
    (record,) = foreign(folder).read("validation")
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True  # COCO's corners are between pixels
    assert np.array_equal(drawn(record), expected)


def test_an_id_as_text_is_that_number(foreign):
    (record,) = foreign(image={"id": "1"}).read("validation")
    assert drawn(record).sum() == 12


def test_annotations_of_images_that_are_not_listed_are_said(foreign, caplog):
    (record,) = foreign(annotation={"image_id": 7}).read("validation")
    assert not drawn(record).any()
    assert "skipped 1 annotation of images that the file does not list (the first of 7)" in caplog.text


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"height": 10**9, "width": 10**9}, "label of another size"),
        ({"earthreason": {"questions": [1]}}, "broken questions"),
        ({"earthreason": {"answers": "a lake"}}, "broken answers"),
        ({"earthreason": {"ground_resolution": "1 m"}}, "broken ground_resolution"),
        ({"earthreason": {"sample_id": ""}}, "broken sample_id"),
    ],
    ids=str,
)
def test_values_that_no_table_holds_leave_the_sample_out(foreign, image, reason):
    source = foreign(image=image)
    assert list(source.read("validation")) == []
    assert [omission.reason for omission in source.omissions] == [reason]


def test_the_second_of_two_samples_with_one_id_is_left_out(foreign):
    source = foreign(more=[{"id": 1, "file_name": "a.png", "height": 6, "width": 8}])
    assert [record.sample_id for record in source.read("validation")] == ["1"]
    assert [(omission.sample, omission.reason) for omission in source.omissions] == [("images[1]", "id used twice")]

"""FiftyOne's own importers and exporters read and write what the integration writes and reads.

    EARTHREASON_FIFTYONE=/path/to/environment/bin/python python -m pytest tests/integrations/test_fiftyone.py

That environment has fiftyone and, without a MongoDB, mongomock.
"""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from earthreason import evaluate
from earthreason.data.exports import export
from earthreason.errors import DataFormatError, DataNotFoundError
from tests.conftest import ROOT
from tests.data.memory import Memory, box, several
from tests.integrations.foreign import python_with, run_program, snippet_of

START = """
import json, sys
from pathlib import Path
sys.path.insert(0, "TESTS")
import fiftyone_stand_in
import fiftyone as fo
import numpy as np
from earthreason import evaluate, load_dataset
from earthreason_fiftyone import *
""".replace("TESTS", str(ROOT / "tests" / "integrations"))


@pytest.fixture
def run(tmp_path):
    python = python_with("fiftyone", "EARTHREASON_FIFTYONE")
    quiet = {"FIFTYONE_DO_NOT_TRACK": "1", "FIFTYONE_SHOW_PROGRESS_BARS": "0"}
    return lambda code: run_program(python, START + code, "fiftyone", tmp_path, **quiet)


def test_samples_go_through_fiftyones_dataset_and_its_exports_with_the_same_scores(run):
    code = """
rows = load_dataset("earthreason", "sample", split="test[:16]")
answers = {}
for number, row in enumerate(rows):
    mask = np.asarray(row["mask"]) != 0
    mask[: mask.shape[0] // 2] = False
    answers[row["sample_id"]] = None if number % 5 == 0 else mask
dataset = fo.Dataset("sample")
dataset.add_samples(list(samples_of(rows, "media", answers)))
dataset.default_mask_targets = MASK_TARGETS
first, row = dataset.first(), rows[0]
facts = [first["questions"] == row["questions"], first["category"] == row["category"], first["sample_id"]]
ious = evaluate(answers, rows, "native", resamples=0).per_sample.set_index("sample_id")["iou"]
same = [abs(sample["iou"] - ious[sample["sample_id"]]) for sample in dataset]
dataset.export("own", dataset_type=fo.types.FiftyOneDataset)
again = fo.Dataset.from_dir("own", dataset_type=fo.types.FiftyOneDataset)
dataset.export("directory", dataset_type=fo.types.ImageSegmentationDirectory, label_field="prediction")
Path("directory/labels").rename("labels")
judged = [
    evaluate(given, rows, resamples=0)
    for given in (answers, masks_of_samples(again, "prediction"), masks_of_export("own", "prediction"), "labels")
]
truth = evaluate(masks_of_export("own", "ground_truth"), rows, resamples=0)
print(json.dumps([facts, row["sample_id"], max(same), [dict(result) for result in judged], truth["gIoU"], len(again)]))
"""
    facts, first, difference, (expected, *judged), truth, count = run(code)
    assert facts == [True, True, first]
    assert difference < 1e-9
    assert 0 < expected["gIoU"] < 1
    assert judged == [expected] * 3
    assert (truth, count) == (pytest.approx(1), 16)


def test_iou_leaves_out_ignored_pixels_and_predictions_have_every_form_of_the_judge(run):
    # Of 8 target pixels 4 are found, and 8 false ones count nowhere: an IoU of a half.
    code = """
from PIL import Image
from earthreason.masks.rle import encode_mask
mask, ignore, left = np.zeros((3, 6, 8), bool)
mask[0], left[0, :4], ignore[4] = True, True, True
row = {"sample_id": "a", "image": Image.new("RGB", (8, 6)), "mask": Image.fromarray(mask), "questions": ["Where?"],
    "answers": [], "ignore": Image.fromarray(ignore)}
given = [left | ignore, encode_mask(left | ignore), [left, ignore]]
found = [next(samples_of([row], f"media{n}", {"a": each})) for n, each in enumerate(given)]
empty = row | {"mask": Image.fromarray(mask & False)}
found += [next(samples_of([empty], "media3", {"a": ignore})), next(samples_of([empty], "media4", {"a": None}))]
reasons = []
for number, wrong in enumerate([row | {"mask": None}, row]):
    try:
        next(samples_of([wrong], f"wrong{number}", {"a": left[:3]}))
    except Exception as error:
        reasons.append([type(error).__name__, str(error)])
print(json.dumps([[sample["iou"] for sample in found], reasons]))
"""
    ious, (hidden, wrong) = run(code)
    assert ious == [0.5, 0.5, 0.5, 1, 1]
    assert hidden == ["DataFormatError", "sample 'a' has no mask: this split's labels are hidden"]
    assert "mask is 3x8" in wrong[1]


def test_the_snippet_of_the_page_runs(run):
    code = snippet_of("fiftyone").replace('"test"', '"test[:8]"')
    assert run(
        code + "\nprint(json.dumps([len(dataset), evaluate(answers, rows, 'native', resamples=0)['gIoU']]))"
    ) == [8, 1]


def test_fiftyone_imports_a_segmentation_directory(run):
    code = """
rows = load_dataset("earthreason", "sample", split="validation[:6]")
count = write_segmentations(rows, "out")
dataset = fo.Dataset.from_dir("out", dataset_type=fo.types.ImageSegmentationDirectory)
masks = masks_of_samples(dataset, "ground_truth")
same = [bool((masks[row["sample_id"]] == np.asarray(row["mask"])).all()) for row in rows]
print(json.dumps([count, len(dataset), all(same), len(same)]))
"""
    assert run(code) == [6, 6, True, 6]


def test_fiftyone_imports_the_coco_files_of_export_with_their_masks(run, tmp_path):
    # tests/data/memory.py: in split train, sample b has two targets and ignored pixels.
    export(Memory(several()), "coco", tmp_path / "coco")
    code = """
dataset = fo.Dataset.from_dir(dataset_type=fo.types.COCODetectionDataset, label_types="segmentations",
    data_path="coco/images", labels_path="coco/annotations/train.json")
dataset.export("own", dataset_type=fo.types.FiftyOneDataset)
masks = masks_of_export("own", "ground_truth")
print(json.dumps([[[found.label, found.iscrowd, np.argwhere(mask).tolist()]
    for found, mask in zip(sample["ground_truth"].detections, masks[Path(sample.filepath).stem], strict=True)]
    for sample in dataset]))
"""
    first, second = run(code)

    def pixels(mask):
        return np.argwhere(mask).tolist()

    assert first == [["lake", 0, pixels(box(2, 3, 7, 13))]]
    assert second == [
        ["pier", 0, pixels(box(5, 10, 15, 25))],
        ["pier", 0, pixels(box(2, 3, 7, 13))],
        ["pier", 1, pixels(box(16, 0, 20, 9))],
    ]


# Files alone, without FiftyOne


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "integrations" / "fiftyone"))
    import earthreason_fiftyone

    return earthreason_fiftyone


def exported(folder, **fields):
    """A folder in the form that fiftyone 1.22.1 wrote."""
    folder.mkdir()
    sample = {"filepath": "data/a.png", "tags": [], "sample_id": "a", **fields}
    (folder / "samples.json").write_text(json.dumps({"samples": [sample, {"filepath": "data/b.png", "tags": []}]}))
    return folder


def test_a_mask_inside_the_file_is_read(module, tmp_path):
    # What fiftyone 1.22.1 stored for a mask of 4 x 6 pixels with 255 in rows 1 and 2, columns 2 to 4.
    stored = (
        "eJyb7BfqGxDJyFDGUK2eklqcXKRupaBeU2qorqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RomOgpmmjoKtQpkAy4GKPj//z+cBAEA"
        "WQ8htw=="
    )
    label = {"_cls": "Segmentation", "mask": {"$binary": {"base64": stored, "subType": "00"}}}
    masks = module.masks_of_export(exported(tmp_path / "own", prediction=label), "prediction")
    assert masks["b"] is None
    assert np.argwhere(masks["a"]).tolist() == [[row, column] for row in (1, 2) for column in (2, 3, 4)]
    truth = np.zeros((4, 6), bool)
    truth[1:3, 2:5] = True
    assert evaluate(masks, {"a": truth, "b": ~truth & False}, "native")["gIoU"] == 1


def test_a_mask_that_needs_pickle_is_not_loaded(module, tmp_path):
    content = io.BytesIO()
    np.save(content, np.array([{}], dtype=object), allow_pickle=True)
    packed = base64.b64encode(zlib.compress(content.getvalue())).decode()
    label = {"_cls": "Segmentation", "mask": {"$binary": {"base64": packed}}}
    with pytest.raises(ValueError, match="allow_pickle=False"):
        module.masks_of_export(exported(tmp_path / "own", prediction=label), "prediction")


def test_what_cannot_be_read_is_refused_by_name(module, tmp_path):
    folder = exported(tmp_path / "own", found={"_cls": "Classification", "label": "pier"})
    with pytest.raises(DataFormatError, match="no sample has a field 'prediction'; labels are in: found"):
        module.masks_of_export(folder, "prediction")
    with pytest.raises(
        DataFormatError, match="'found' of sample 'a' holds Classification; give Segmentation or Detections"
    ):
        module.masks_of_export(folder, "found")
    box_only = exported(
        tmp_path / "boxes", found={"_cls": "Detections", "detections": [{"bounding_box": [0, 0, 1, 1]}]}
    )
    (box_only / "data").mkdir()
    Image.new("RGB", (6, 4)).save(box_only / "data" / "a.png")
    with pytest.raises(DataFormatError, match="'found' of sample 'a' has a box without a mask"):
        module.masks_of_export(box_only, "found")
    with pytest.raises(DataNotFoundError, match="no export of FiftyOne"):
        module.masks_of_export(tmp_path, "prediction")

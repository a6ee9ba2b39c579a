"""Related sets and other forms of samples are read by field name, and broken files are named."""

import io
import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from earthreason import load_dataset
from earthreason.cli.main import app
from earthreason.data.exports import push_to_hub
from earthreason.data.pictures import mask_of
from earthreason.data.reader import find_records, open_source, read_all
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import encode_mask
from tests.conftest import Bomb
from tests.data.faults import fault_in
from tests.data.memory import picture


def test_a_failed_upload_names_the_command_that_goes_on(tmp_path):
    with pytest.raises(EarthReasonError, match=f"hf upload me/mine {tmp_path} --repo-type dataset"):
        push_to_hub(tmp_path, "me/mine")


def test_the_folder_of_a_download_is_a_release_whatever_json_lies_beside_it(release):
    (release / "download.json").write_text("{}")
    source = open_source(release)
    assert (source.name, source.counts["train"]) == ("release", 3)


def test_earthreason_fs_rows_are_read_by_field_name(tmp_path):
    mask = np.eye(8, dtype=bool)
    row = {
        "id": "EarthReason_0826_0",
        "image": {"bytes": picture(8, 8), "path": "a.jpg"},
        "mask": {"bytes": encode_mask_png(mask), "path": "a.png"},
        "problem": "Where?",
        "category": "lake",
        "bbox_list": [[0, 0, 8, 8]],
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "val-00000.parquet")
    ((split, record),) = read_all(open_source(tmp_path))
    assert (split, record.sample_id) == ("validation", "EarthReason_0826_0")
    assert (record.questions, record.category) == (["Where?"], "lake")
    assert json.loads(record.extra) == {"bbox_list": [[0, 0, 8, 8]]}
    assert np.array_equal(mask_of(record.mask, "a"), mask)


def test_jsonl_derivatives_name_pictures_beside_them(tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(8, 6))
    (tmp_path / "a.png").write_bytes(encode_mask_png(np.ones((8, 6), bool)))
    row = {"id": "x", "image": "a.jpg", "mask": "a.png", "problem": "Where?", "category": None}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n\n")
    ((split, record),) = read_all(open_source(tmp_path / "train.jsonl"))
    assert (split, record.height, record.width) == ("train", 8, 6)
    (tmp_path / "train.jsonl").write_text(json.dumps({**row, "mask": "../secret.png"}))
    assert "points outside" in fault_in(tmp_path / "train.jsonl")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(DataNotFoundError, match="sample"):
        open_source(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataNotFoundError, match="known files"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(EarthReasonError, match="nearest: 'synthetic_s7_"):
        find_records(open_source("sample"), ["synthetic_s7_test_00003"])


# Referring sets


def rrsisd(root, segmentation, **changes):
    images = root / "images" / "rrsisd" / "JPEGImages"
    images.mkdir(parents=True)
    (root / "rrsisd").mkdir()
    (images / "00007.jpg").write_bytes(picture(20, 30))
    sentence = {"raw": "The ship", "sent": "the ship", "tokens": [], "sent_id": 1}
    reference = {"ref_id": 3, "ann_id": 5, "image_id": 7, "category_id": 2, "split": "train", "sentences": [sentence]}
    reference.update(changes)
    with (root / "rrsisd" / "refs(unc).p").open("wb") as file:
        pickle.dump([reference], file, protocol=2)
    instances = {
        "images": [{"id": 7, "file_name": "00007.jpg"}],
        "annotations": [{"id": 5, "image_id": 7, "category_id": 2, "segmentation": segmentation}],
        "categories": [{"id": 2, "name": "ship"}],
    }
    (root / "rrsisd" / "instances.json").write_text(json.dumps(instances))
    return root


SQUARE = np.zeros((20, 30), bool)
SQUARE[4:10, 5:15] = True


@pytest.mark.parametrize(
    "segmentation",
    [
        [[5, 4, 15, 4, 15, 10, 5, 10]],
        [dict(encode_mask(SQUARE))],
        dict(encode_mask(SQUARE)),
        [dict(encode_mask(SQUARE & (np.arange(30) < 9))), dict(encode_mask(SQUARE & (np.arange(30) >= 9)))],
        {"size": [20, 30], "counts": [104, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 310]},
    ],
)
def test_rrsisd_masks_of_every_form_are_the_same(tmp_path, segmentation):
    rows = load_dataset("earthreason", "rrsis-d", data_dir=rrsisd(tmp_path / "set", segmentation), split="train")
    assert rows[0]["questions"] == ["The ship"]
    assert rows[0]["category"] == "ship"
    assert np.array_equal(np.asarray(rows[0]["mask"]) > 0, SQUARE)


@pytest.mark.parametrize(
    ("segmentation", "changes", "words"),
    [
        ([[5, 4, 15, 4, 15, 10, 5, 10]], {"image_id": 8}, "8 is missing"),
        ([[5, 4, 15, 4, 15, 10, 5, 10]], {"ann_id": 8}, "8 is missing"),
        ({"size": [20, 31], "counts": "0"}, {}, "reference 3"),
        ({"size": [20, 30], "counts": "zz"}, {}, "reference 3"),
        ({"size": [20, 30], "counts": [5, 5]}, {}, "do not fill"),
        ("nonsense", {}, "reference 3"),
    ],
)
def test_broken_rrsisd_is_named(tmp_path, segmentation, changes, words):
    source = open_source(rrsisd(tmp_path / "set", segmentation, **changes))
    with pytest.raises(DataFormatError, match=words):
        list(source.read("train"))


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path):
    root = rrsisd(tmp_path / "set", [[5, 4, 15, 4, 15, 10]])
    with (root / "rrsisd" / "refs(unc).p").open("wb") as file:
        pickle.dump([Bomb(tmp_path / "ran")], file)
    with pytest.raises(DataFormatError, match="nothing in it was run"):
        open_source(root)
    assert not (tmp_path / "ran").exists()


def refsegrs(root, lines="17 the road\n17 vehicles on it\n"):
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    Image.open(io.BytesIO(picture(12, 12))).save(root / "images" / "17.tif")
    Image.fromarray(np.eye(12, dtype=np.uint8) * 255).save(root / "masks" / "17.tif")
    for split in ("train", "val", "test"):
        (root / f"output_phrase_{split}.txt").write_text(lines)
    return root


def test_refsegrs_has_a_sample_for_every_phrase(tmp_path):
    loaded = load_dataset("earthreason", "refsegrs", data_dir=refsegrs(tmp_path / "set"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 2, "validation": 2, "test": 2}
    assert loaded["validation"][1]["questions"] == ["vehicles on it"]
    ids = [name for rows in loaded.values() for name in rows["sample_id"]]
    assert len(set(ids)) == 6
    assert np.array_equal(np.asarray(loaded["train"][0]["mask"]) > 0, np.eye(12, dtype=bool))


def test_a_line_that_is_no_phrase_is_named(tmp_path):
    with pytest.raises(DataFormatError, match="train.txt line 2"):
        list(open_source(refsegrs(tmp_path / "set", "17 road\nroad without number\n")).read("train"))


def test_a_missing_tif_is_named(tmp_path):
    with pytest.raises(DataFormatError, match=r"18\.tif is missing"):
        list(open_source(refsegrs(tmp_path / "set", "18 road\n")).read("train"))


def test_reasonseg_shapes_are_drawn_by_falling_area(tmp_path):
    folder = tmp_path / "set" / "val"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(picture(40, 40))
    shapes = [
        {"label": "ignore", "points": [[10, 10], [19, 10], [19, 19], [10, 19]]},
        {"label": "target", "points": [[0, 0], [30, 0], [30, 30], [0, 30]]},
        {"label": "flag", "points": [[35, 35], [39, 35], [39, 39]]},
    ]
    content = {"text": ["where – exactly?"], "is_sentence": True, "shapes": shapes}
    (folder / "a.json").write_bytes(json.dumps(content, ensure_ascii=False).encode("cp1252"))
    rows = load_dataset("earthreason", "reasonseg", data_dir=tmp_path / "set", split="validation")
    mask = np.asarray(rows[0]["mask"]) > 0
    assert rows[0]["questions"] == ["where – exactly?"]
    assert mask[5, 5]
    assert not mask[15, 15]
    assert not mask[36, 38]


def test_referring_sets_need_a_folder():
    with pytest.raises(DataNotFoundError, match="--config rrsis-d --data-dir FOLDER.*data_dir=FOLDER"):
        load_dataset("earthreason", "rrsis-d")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"junk"),
        ("a.tar", b"junk"),
        ("a.json", b"{"),
        ("a.json", b'{"images": 3}'),
        ("a.json", b'{"images": [{"id": 1}], "annotations": []}'),
        ("a.json", b'{"images": [{"id": 1, "height": 4, "width": 4, "file_name": "../../x.jpg"}], "annotations": []}'),
        ("a.jsonl", b"{"),
        ("a.jsonl", b'{"id": "a"}'),
        ("a.jsonl", b"[]"),
    ],
)
def test_a_broken_file_is_named_whatever_is_wrong_with_it(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    fault = fault_in(tmp_path / name)
    assert fault
    assert name in fault or "jsonl" in name


def test_parquet_of_something_else_is_named(tmp_path):
    pq.write_table(pa.table({"colour": ["red"]}), tmp_path / "a.parquet")
    assert "no field" in fault_in(tmp_path)


def test_a_folder_that_is_taken_is_refused_before_anything_is_drawn(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    for command in (["stats", "sample"], ["browse", "sample"], ["export", "sample", "--format", "coco"]):
        result = CliRunner().invoke(app, [*command, "--out", str(tmp_path)])
        assert isinstance(result.exception, EarthReasonError)
        assert "already exists" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

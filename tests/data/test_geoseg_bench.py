"""GeoSeg-Bench against masks that OpenCV drew and wrote."""

import json
import shutil

import cv2
import numpy as np
import pytest

from earthreason import load_dataset
from earthreason.data.omissions import Tolerance
from earthreason.data.pictures import mask_of
from earthreason.data.reader import open_source
from earthreason.data.sources.geoseg_bench import GeoSegBench
from earthreason.errors import DataFormatError
from tests.data.fakes import geoseg_bench as fake

EVERY = Tolerance(share=1)


@pytest.fixture
def folder(tmp_path):
    fake.make(tmp_path / "set")
    return tmp_path / "set"


def read(folder, split="test"):
    source = open_source(folder, EVERY)
    return list(source.read(split)), {omission.reason: omission.message for omission in source.omissions}


def change(folder, number, **values):
    index = json.loads((folder / "test.json").read_text())
    index[number].update(values)
    (folder / "test.json").write_text(json.dumps(index))


def test_masks_texts_and_tasks_are_those_of_the_set(folder):
    loaded = load_dataset("earthreason", "geoseg-bench", data_dir=folder)
    for split, samples in fake.expected().items():
        assert len(loaded[split]) == len(samples)
        for row, sample in zip(loaded[split], samples, strict=True):
            assert np.array_equal(np.asarray(row["mask"]) != 0, sample["mask"])
            assert row["questions"] == sample["questions"]
            assert row["answers"] == sample["answers"]
            assert row["reasoning_type"] == sample["task"]


def test_points_and_boxes_stay_in_the_question(folder):
    records, _ = read(folder)
    assert [record.questions[0] for record in records][1:3] == [fake.BOX, fake.POINTS]


def test_only_255_and_1_are_target_as_in_the_code_of_unigeoseg(folder):
    grey = np.zeros((fake.HEIGHT, fake.WIDTH), np.uint8)
    grey[0, :4] = (255, 1, 128, 254)
    cv2.imwrite(str(folder / "ref/masks/0001.png"), grey)
    mask = mask_of(read(folder)[0][0].mask, folder)
    assert np.argwhere(mask).tolist() == [[0, 0], [0, 1]]


def test_a_mask_of_16_bits_has_the_upper_bits_as_opencv_reads_it(folder):
    grey = np.zeros((fake.HEIGHT, fake.WIDTH), np.uint16)
    grey[3, 5:9] = 65535
    path = folder / "ref/masks/0001.png"
    cv2.imwrite(str(path), grey)
    read_by_opencv = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) == 255
    assert np.array_equal(mask_of(read(folder)[0][0].mask, folder), read_by_opencv)
    assert read_by_opencv.sum() == 4


@pytest.mark.parametrize("keys", [("questions", "answer"), ("question", "answers")])
def test_other_spellings_of_the_keys_are_read(folder, keys):
    (folder / "ref/jsons/0001.json").write_text(json.dumps({keys[0]: ["one", "two"], keys[1]: "because"}))
    record = read(folder)[0][0]
    assert (record.questions, record.answers) == (["one", "two"], ["because"])


def test_the_index_in_the_folder_of_each_task_gives_the_task(tmp_path):
    # As on the Hub: interactive/test.json with paths below interactive/.
    fake.make(tmp_path / "whole")
    for part, name in (("intera", "interactive"), ("ref", "referring")):
        shutil.copytree(tmp_path / "whole" / part, tmp_path / "set" / name / "data")
        entries = [
            {key: value.replace(f"{part}/", "data/") for key, value in entry.items()}
            for entry in json.loads((tmp_path / "whole" / "test.json").read_text())
            if entry["img"].startswith(part)
        ]
        (tmp_path / "set" / name / "test.json").write_text(json.dumps(entries))
    records, omissions = read(tmp_path / "set")
    assert [record.reasoning_type for record in records] == ["interactive", "interactive", "referring"]
    assert len({record.sample_id for record in records}) == 3
    assert omissions == {}
    # The id is the same whether one part or the whole set is there.
    alone, _ = read(tmp_path / "set" / "referring")
    assert [record.sample_id for record in alone] == [records[2].sample_id]


def test_a_name_in_another_case_is_found(folder):
    (folder / "ref/images/0001.jpg").rename(folder / "ref/images/0001.JPG")
    assert len(read(folder)[0]) == 4


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"img": "ref/images/9999.jpg"}, "no image"),
        ({"mask": "ref/masks/9999.png"}, "no label"),
        ({"json": "ref/jsons/9999.json"}, "no questions"),
        ({"img": "../../secret.jpg"}, "name leads outside"),
        ({"mask": "/etc/passwd"}, "name leads outside"),
        ({"json": "C:\\secret.json"}, "name leads outside"),
        ({"img": None}, "broken entry"),
        ({"json": "intera/jsons/0001.json", "img": "intera/images/0001.jpg"}, "repeated entry"),
    ],
)
def test_a_broken_entry_is_left_out_with_its_reason(folder, values, reason):
    change(folder, 0, **values)
    records, omissions = read(folder)
    assert len(records) == 3
    assert list(omissions) == [reason]


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("ref/images/0001.jpg", b"junk", "unreadable image"),
        ("ref/masks/0001.png", b"junk", "unreadable label"),
        ("ref/jsons/0001.json", b"{", "broken data"),
        ("ref/jsons/0001.json", b"[]", "unreadable questions"),
        ("ref/jsons/0001.json", b'{"question": [" "], "reason": []}', "no questions"),
        ("ref/jsons/0001.json", b'{"question": [3]}', "unreadable questions"),
    ],
)
def test_a_broken_file_is_left_out_with_its_reason_and_named(folder, path, content, reason):
    (folder / path).write_bytes(content)
    records, omissions = read(folder)
    assert len(records) == 3
    assert list(omissions) == [reason]
    assert path.rpartition("/")[2] in omissions[reason]


@pytest.mark.parametrize("content", ["", "{}", '[{"img": "a", "mask": "b", "json": "c"}'])
def test_a_broken_index_is_one_error_that_names_it(folder, content):
    (folder / "test.json").write_text(content)
    with pytest.raises(DataFormatError, match=r"test\.json: "):
        GeoSegBench(folder)

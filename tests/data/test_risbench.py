"""RISBench in its two forms against masks made with numpy as its public readers have them: > 0."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from earthreason import load_dataset
from earthreason.data.omissions import Tolerance
from earthreason.data.reader import open_source
from earthreason.errors import DataFormatError, DataNotFoundError
from tests.data.fakes import refsegrs
from tests.data.fakes import risbench as fake

EVERY = Tolerance(share=1)


def read(folder, split="test"):
    source = open_source(folder, EVERY)
    return list(source.read(split)), {omission.reason: omission.message for omission in source.omissions}


@pytest.mark.parametrize("make", [fake.make, fake.make_mirror, fake.make_saved])
def test_masks_pictures_and_phrases_are_those_of_the_set(make, tmp_path):
    make(tmp_path / "set")
    loaded = load_dataset("earthreason", "risbench", data_dir=tmp_path / "set")
    assert set(loaded) == {"train", "validation", "test"}
    for split, lines in fake.LINES.items():
        rows = loaded[fake.HUB_NAMES[split]]
        assert [row["questions"] for row in rows] == [[phrase] for _, phrase in lines]
        for row, (name, _) in zip(rows, lines, strict=True):
            assert np.array_equal(np.asarray(row["mask"]) != 0, fake.mask_of(name))
            assert np.array_equal(np.asarray(row["image"]), np.asarray(fake.picture_of(name)))


def test_ids_have_the_split_because_validation_names_training_pictures(tmp_path):
    fake.make(tmp_path)
    ids = [record.sample_id for split in ("train", "validation") for record in read(tmp_path, split)[0]]
    assert ids == ["risbench_train_train_0_0_1", "risbench_train_train_0_1_1", "risbench_validation_train_1_0_1"]


def test_two_phrases_about_one_picture_are_two_samples(tmp_path):
    fake.make(tmp_path)
    with (tmp_path / "output_phrase_test.txt").open("a") as file:
        file.write("test_0_0.png another phrase\n")
    records, _ = read(tmp_path)
    assert [record.sample_id for record in records][::2] == ["risbench_test_test_0_0_1", "risbench_test_test_0_0_2"]


def test_risbench_and_refsegrs_in_other_folder_names_are_told_apart_by_their_lines(tmp_path):
    fake.make(tmp_path / "a")
    (tmp_path / "a" / "img_rgb").rename(tmp_path / "a" / "images")
    (tmp_path / "a" / "mask").rename(tmp_path / "a" / "masks")
    refsegrs.make(tmp_path / "b")
    assert open_source(tmp_path / "a").name == "risbench"
    assert len(read(tmp_path / "a")[0]) == 2
    assert open_source(tmp_path / "b").name == "refsegrs"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"test_9_9.png the pier", "no image"),
        (b"../../secret.png the pier", "name leads outside"),
        (b"/etc/secret.png the pier", "name leads outside"),
        (b"test_0_0.png", "broken line"),
        (b"test_0_0.png the \xff pier", "broken line"),
    ],
)
def test_a_broken_line_is_left_out_with_its_reason(tmp_path, line, reason):
    fake.make(tmp_path)
    with (tmp_path / "output_phrase_test.txt").open("ab") as file:
        file.write(line + b"\n")
    records, omissions = read(tmp_path)
    assert len(records) == 2
    assert list(omissions) == [reason]


def test_a_suffix_in_another_case_is_found_and_a_missing_mask_is_not(tmp_path):
    fake.make(tmp_path)
    (tmp_path / "img_rgb" / "test_0_0.png").rename(tmp_path / "img_rgb" / "test_0_0.PNG")
    (tmp_path / "mask" / "test_0_3.png").unlink()
    records, omissions = read(tmp_path)
    assert [record.sample_id for record in records] == ["risbench_test_test_0_0_1"]
    assert list(omissions) == ["no label"]


def test_phrases_in_utf_16_are_one_error_that_says_so(tmp_path):
    fake.make(tmp_path)
    path = tmp_path / "output_phrase_test.txt"
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(DataFormatError, match=r"output_phrase_test\.txt: is UTF-16"):
        open_source(tmp_path)


def test_a_broken_row_of_the_mirror_is_left_out(tmp_path):
    fake.make_mirror(tmp_path)
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    rows = pq.read_table(path).to_pylist()
    rows += [
        {**rows[0], "mask": None},
        {**rows[0], "image": {"bytes": b"junk", "path": None}},
        {**rows[0], "phrase": ""},
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    records, omissions = read(tmp_path)
    assert [record.sample_id for record in records] == ["risbench_test_000000", "risbench_test_000001"]
    assert set(omissions) == {"broken row", "unreadable image"}


def test_a_broken_table_is_one_error_that_names_it(tmp_path):
    fake.make_mirror(tmp_path)
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataFormatError, match=r"train-00000-of-00001\.parquet"):
        open_source(tmp_path)


def test_a_folder_without_the_set_is_one_error(tmp_path):
    Image.new("RGB", (4, 4)).save(buffer := io.BytesIO(), "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    with pytest.raises(DataNotFoundError, match="contains no RISBench"):
        load_dataset("earthreason", "risbench", data_dir=tmp_path)

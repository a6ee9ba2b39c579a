"""Archives beside unpacked folders, names in them, and splits without a readable sample: nothing is lost silently."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from earthreason import load_dataset
from earthreason.data.sources.release import Release, find_release
from earthreason.errors import DataFormatError, DataNotFoundError
from tests.data.releases import write_tree

PARTS = ("images", "labels", "QAs")


def picture(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def files(split, stems):
    """Return images, labels and questions of a split by path; a label has its place in `stems` as its area."""
    made = {}
    for area, stem in enumerate(stems, start=1):
        label = np.zeros((4, 8), np.uint8)
        label.flat[:area] = 255
        made[f"{split}/images/{stem}.png"] = picture(np.full((4, 8, 3), 10 * area, np.uint8))
        made[f"{split}/labels/{stem}.png"] = picture(label)
        made[f"{split}/QAs/{stem}.json"] = json.dumps({"questions": ["Where?"], "answer": ["There."]}).encode()
    return made


def pack(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_empty_folders_beside_the_archive_do_not_hide_it(tmp_path):
    pack(tmp_path / "train.zip", files("train", ["a", "b"]))
    for part in PARTS:
        (tmp_path / "train" / part).mkdir(parents=True)
    rows = load_dataset("earthreason", data_dir=tmp_path)["train"]
    assert [np.count_nonzero(row["mask"]) for row in rows] == [1, 2]


def test_what_an_interrupted_unpacking_left_in_the_zip_is_said(tmp_path, caplog):
    whole = files("train", ["a", "b", "c"])
    pack(tmp_path / "train.zip", whole)
    write_tree(tmp_path, {name: data for name, data in whole.items() if "/c." not in name})
    assert Release(tmp_path).counts == {"train": 2}
    assert "train.zip has 3 files that the unpacked folders lack (train/images/c.png, ...)" in caplog.text


def test_a_zip_that_was_unpacked_whole_is_not_mentioned(tmp_path, caplog):
    whole = files("train", ["a", "b", "c"])
    pack(tmp_path / "train.zip", whole)
    write_tree(tmp_path, whole)
    assert Release(tmp_path).counts == {"train": 3}
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("encoding", "stem"), [("gbk", "机场一"), ("utf-8", "机场一"), ("utf-8", "café"), ("cp437", "é")]
)
def test_names_of_packers_that_do_not_state_their_encoding_are_read(tmp_path, monkeypatch, encoding, stem):
    name_without_flag = lambda member: (member.filename.encode(encoding), member.flag_bits & ~0x800)  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipInfo, "_encodeFilenameFlags", name_without_flag)
        pack(tmp_path / "train.zip", files("train", [stem]))
    assert [record.sample_id for record in Release(tmp_path).read("train")] == [f"train-{stem}"]


def test_a_split_without_samples_does_not_refuse_the_others(tmp_path):
    write_tree(tmp_path, files("train", ["a"]))
    for part in PARTS:
        (tmp_path / "test" / part).mkdir(parents=True)
    assert list(load_dataset("earthreason", data_dir=tmp_path)) == ["train"]


def test_a_split_without_a_readable_sample_does_not_refuse_the_others_where_that_is_allowed(tmp_path):
    broken = {name: b"" if "labels" in name else data for name, data in files("test", ["a", "b"]).items()}
    write_tree(tmp_path, files("train", ["a"]) | broken)
    with pytest.raises(DataFormatError, match=r"2 of 2 samples of test \(100.0%\) cannot be read"):
        load_dataset("earthreason", data_dir=tmp_path)
    assert list(load_dataset("earthreason", data_dir=tmp_path, max_left_out=1.0)) == ["train"]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_release_without_a_readable_sample_is_an_error_whatever_is_allowed(tmp_path, streaming):
    write_tree(tmp_path, {name: b"" if "labels" in name else data for name, data in files("test", ["a"]).items()})
    with pytest.raises(DataFormatError, match="of 1 sample none can be read.*The first: .*a.png: not a readable"):
        load_dataset("earthreason", data_dir=tmp_path, max_left_out=1.0, streaming=streaming)


def test_folders_without_files_are_no_release(tmp_path):
    for part in PARTS:
        (tmp_path / "val" / part).mkdir(parents=True)
    with pytest.raises(DataNotFoundError, match="These folders are there, but they have no files of samples"):
        find_release(tmp_path)

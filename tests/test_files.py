import json
import os
from pathlib import Path

import pytest

from earthreason.errors import DataFormatError
from earthreason.files import atomic_path, text_lines, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "folder"
    with atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "x").write_text("x")
        assert not target.exists()
    assert (target / "x").read_text() == "x"


def test_a_folder_does_not_replace_one_with_content(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "mine").write_text("x")
    with pytest.raises(FileExistsError), atomic_path(target) as temporary:
        temporary.mkdir()
    assert (target / "mine").exists()


@pytest.mark.parametrize("name", ["folder", "folder/."])
def test_a_file_in_place_of_a_folder_is_refused_by_the_folders_name(tmp_path, name, monkeypatch):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    for target in (tmp_path / name, Path()):
        with pytest.raises(IsADirectoryError, match="give the name of a file") as caught:
            write_text(target, "x")
        assert caught.value.filename == str(target)
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


def test_json_refuses_what_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    write_json(tmp_path / "a.json", {"ä": 1})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ä": 1}


def test_a_pipe_or_device_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is a device or a pipe"):
        write_json(pipe, {})
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_lines_are_those_of_the_text_without_its_mark_and_other_encodings_are_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\xe2\x80\xa8b\nc")
    assert list(text_lines(tmp_path / "a.txt")) == ["a\u2028b\n", "c"]
    (tmp_path / "a.txt").write_bytes(b"a\n\xe9\n")
    with pytest.raises(DataFormatError, match=r"a\.txt: not UTF-8 text"):
        list(text_lines(tmp_path / "a.txt"))


def test_a_folder_that_takes_nothing_is_refused_by_the_name_that_was_given():
    with pytest.raises(OSError, match="No such file") as refused, atomic_path(Path("/proc/out.json")):
        pass
    assert refused.value.filename == "/proc/out.json"

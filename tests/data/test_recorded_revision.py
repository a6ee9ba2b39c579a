"""The commit that a download recorded is found from its folder and from its release."""

import pytest

from earthreason.data.download import recorded_revision


def test_the_commit_is_found_from_the_folder_and_from_the_release(tmp_path):
    (tmp_path / "release").mkdir()
    assert recorded_revision(tmp_path) is None
    (tmp_path / "download.json").write_text('{"repository": "a/b", "revision": "1f0c", "files": {}, "samples": {}}')
    assert recorded_revision(tmp_path) == recorded_revision(tmp_path / "release") == "1f0c"


@pytest.mark.parametrize("text", ["", "[]", '{"rev": 1}', "\xff"])
def test_a_file_of_the_same_name_is_no_record(tmp_path, text):
    (tmp_path / "download.json").write_text(text, "latin-1")
    assert recorded_revision(tmp_path) is None

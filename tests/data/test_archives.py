import zipfile

import pytest

from earthreason.data.archives import extract_archives
from earthreason.data.sources.release import find_release
from earthreason.errors import DataFormatError


def pack(release, target, names=None):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(release.rglob("*")):
            if path.is_file():
                archive.write(path, f"RSReasonSeg/{path.relative_to(release)}")


def test_a_zip_of_the_release_is_found_after_extraction(release, tmp_path):
    download = tmp_path / "download"
    download.mkdir()
    pack(release, download / "data.zip")
    assert find_release(extract_archives(download)).name == "RSReasonSeg"


def test_members_that_point_outside_are_refused(tmp_path):
    download = tmp_path / "download"
    download.mkdir()
    with zipfile.ZipFile(download / "evil.zip", "w") as archive:
        archive.writestr("../outside.txt", "x")
    with pytest.raises(DataFormatError, match="outside"):
        extract_archives(download)
    assert not (tmp_path / "outside.txt").exists()

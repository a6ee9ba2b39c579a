"""Archives of any kind unpack, and every fault of one is a single line that names the archive and the member."""

import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from earthreason.data import archives
from earthreason.data.archives import extract_archives
from earthreason.data.sources.release import find_release
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from tests.data.releases import fabricate, tar_of, zip_of

IMAGE = "train/images/r0001.png"


def unpack(tmp_path, content, name="data.zip"):
    """Unpack one archive; return the folder, which the test removes or reads."""
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / name).write_bytes(content)
    return extract_archives(folder, tmp_path / "out")


def refused(tmp_path, content, name="data.zip"):
    """The message about an archive; nothing of it is left."""
    with pytest.raises(EarthReasonError) as caught:
        unpack(tmp_path, content, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["download"]
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path / "download" / name) in message
    return message


def patched(member_count, **changes):
    """A zip whose local headers and directory state another method or flags."""
    content = bytearray(zip_of({f"train/images/r{n:04d}.png": bytes(50) for n in range(member_count)}))
    offsets = {"flags": (6, 8), "method": (8, 10)}
    for field, value in changes.items():
        for signature, offset in zip((b"PK\x03\x04", b"PK\x01\x02"), offsets[field], strict=True):
            at = content.find(signature)
            while at >= 0:
                content[at + offset : at + offset + 2] = value.to_bytes(2, "little")
                at = content.find(signature, at + 4)
    return bytes(content)


def zip_with(name, content=b"x", mode=0o644, first=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for other in first:
            archive.writestr(other, b"other")
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, content)
    return buffer.getvalue()


def tar_with(name, kind=tarfile.REGTYPE, target=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member, io.BytesIO(b""))
    return buffer.getvalue()


def test_a_zip_of_the_release_is_found_after_extraction(tmp_path):
    fabricate(tmp_path / "download", ("one zip",))
    assert find_release(extract_archives(tmp_path / "download")).name == "RSReasonSeg"


def test_a_zip_for_each_split_becomes_one_folder(tmp_path):
    fabricate(tmp_path / "download", ("zip of each split",))
    for name in ("train.zip", "val.zip", "test.zip"):
        with zipfile.ZipFile(tmp_path / "download" / name, "a") as archive:
            archive.writestr("RSReasonSeg/README.md", name)
    release = find_release(extract_archives(tmp_path / "download"))
    assert release.name == "RSReasonSeg"
    assert {path.name for path in release.iterdir()} == {"train", "val", "test"}


def test_a_folder_without_archives_is_returned_as_it_is(tmp_path):
    assert extract_archives(tmp_path) == tmp_path
    with pytest.raises(DataNotFoundError, match="no folder"):
        extract_archives(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zip_with("../outside.txt"), "'../outside.txt' points outside"),
        (zip_with("/etc/passwd"), "points outside"),
        (zip_with("C:\\Windows\\x.png"), "points outside"),
        (zip_with("train/link", b"/etc/passwd", stat.S_IFLNK | 0o777), "'train/link' is a symbolic link"),
        (zip_with("train/images/a/x.png", first=["train/images/a"]), "another file or folder has this name"),
        (zip_with("train/images/a", first=["train/images/a/x.png"]), "another file or folder has this name"),
        (zip_with("train/images/" + "x" * 300 + ".png"), "name is too long"),
        (zip_with("train/images/x\n.png"), "no valid name"),
        (patched(2, method=9), "not supported here"),
        (patched(2, flags=1), "'train/images/r0000.png' is encrypted and needs a password"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not a complete archive"),
        (b"<html>Too many requests</html>", "not a complete archive"),
        (b"", "empty (0 bytes)"),
        (b"PK", "not a complete archive"),
        (zip_of({IMAGE: os.urandom(9000)})[:-200], "not a complete archive"),
        (zip_of({"inner.zip": b"junk"}), "'inner.zip': not a complete archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_or_dangerous_zip_is_refused_in_one_line(tmp_path, content, words):
    assert words in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (tar_with("../x.png"), "points outside"),
        (tar_with("/x.png"), "points outside"),
        (tar_with("x.png", tarfile.SYMTYPE, "/etc/passwd"), "'x.png' is a link"),
        (tar_with("x.png", tarfile.LNKTYPE, "y.png"), "'x.png' is a link"),
        (tar_with("x", tarfile.CHRTYPE), "neither a file nor a folder"),
        (tar_with("x", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (tar_of({IMAGE: os.urandom(90_000)}, "w")[:40_000], "not a complete archive"),
        (tar_of({IMAGE: os.urandom(90_000)}, "w:gz")[:40_000], "not a complete archive"),
        (tar_of({IMAGE: os.urandom(90_000)}, "w:xz")[:40_000], "not a complete archive"),
        (b"\x1f\x8b junk", "not a complete archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_or_dangerous_tar_is_refused_in_one_line(tmp_path, content, words):
    assert words in refused(tmp_path, content, "data.tar.gz")


def test_a_wrong_checksum_names_the_member(tmp_path):
    pixels = os.urandom(500)
    content = zip_of({"train/images/a.png": b"a", IMAGE: pixels}, zipfile.ZIP_STORED)
    broken = content.replace(pixels, pixels[:100] + bytes([pixels[100] ^ 1]) + pixels[101:])
    assert zlib.crc32(pixels) in (member.CRC for member in zipfile.ZipFile(io.BytesIO(broken)).infolist())
    message = refused(tmp_path, broken)
    assert IMAGE in message
    assert "Bad CRC-32" in message


def test_bombs_are_refused_before_they_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    zeros = zip_of({"zeros.png": bytes(4 << 20)})
    assert "implausible for images" in refused(tmp_path, zeros)
    shutil.rmtree(tmp_path / "download")
    assert "implausible for images" in refused(tmp_path, zip_of({"inner.zip": zeros}))
    shutil.rmtree(tmp_path / "download")
    assert "implausible for images" in refused(tmp_path, tar_of({"zeros.png": bytes(4 << 20)}, "w:gz"), "data.tgz")
    shutil.rmtree(tmp_path / "download")
    nested = b"x"
    for depth in range(4):
        nested = zip_of({f"{depth}.zip" if depth else "x.png": nested})
    assert "more than 3 archives inside each other" in refused(tmp_path, nested)
    shutil.rmtree(tmp_path / "download")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    assert "implausible for images" in refused(tmp_path, zip_of({f"{n}.png": b"" for n in range(6)}))


@pytest.mark.parametrize(("left", "missing"), [((1, 3), 2), ((2, 3), 1)])
def test_a_missing_piece_is_named(tmp_path, left, missing):
    fabricate(tmp_path, ("zip in pieces",))
    for number in {1, 2, 3} - set(left):
        (tmp_path / f"EarthReason.zip.{number:03d}").unlink()
    with pytest.raises(DataFormatError, match=rf"EarthReason.zip.00\d: piece 00{missing} of the archive is missing"):
        find_release(tmp_path)


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs zip")
def test_a_zip_split_by_info_zip_says_how_to_join_it(tmp_path):
    fabricate(tmp_path / "whole")
    (tmp_path / "whole" / "noise.bin").write_bytes(np.random.default_rng(0).bytes(200_000))
    (tmp_path / "parts").mkdir()
    command = ["zip", "-q", "-r", "-s", "64k", str(tmp_path / "parts" / "EarthReason.zip"), "."]
    subprocess.run(command, cwd=tmp_path / "whole", check=True)
    with pytest.raises(DataFormatError, match=r"EarthReason.zip: .*EarthReason.z01.*zip -s 0 EarthReason.zip"):
        find_release(tmp_path / "parts")


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs zip")
def test_a_zip_with_a_password_says_so(tmp_path):
    fabricate(tmp_path / "whole")
    (tmp_path / "packed").mkdir()
    command = ["zip", "-q", "-r", "-P", "secret", str(tmp_path / "packed" / "data.zip"), "."]
    subprocess.run(command, cwd=tmp_path / "whole", check=True)
    with pytest.raises(DataFormatError, match=r"data.zip: '.*' is encrypted and needs a password"):
        find_release(tmp_path / "packed")


def test_an_archive_of_a_kind_that_is_not_read_is_named(tmp_path):
    (tmp_path / "EarthReason.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    with pytest.raises(DataNotFoundError, match="EarthReason.7z is an archive of a kind that is not read here"):
        find_release(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    fabricate(tmp_path / "data", ("one zip",))
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr("earthreason.data.locate.unpacked_root", lambda: tmp_path / "file")
    with pytest.raises(EarthReasonError, match="cannot be unpacked there.*HF_DATASETS_CACHE"):
        find_release(tmp_path / "data")

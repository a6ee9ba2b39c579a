"""ZIP archives are read like the folder they hold, and dangerous ones are refused before anything is written."""

import io
import json
import stat
import zipfile

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.formats import archives
from annotation_tools.formats.base import ReadOptions
from earthreason.errors import DataFormatError
from earthreason.masks.png import encode_mask_png

from ..conftest import box, drawings_in

SIZE = (20, 30)


def cvat(shapes, name="a.png"):
    image = f'<image id="0" name="{name}" width="30" height="20">{shapes}</image>'
    return f"<annotations><version>1.1</version>{image}</annotations>"


SQUARE = '<box label="pond" xtl="2" ytl="3" xbr="10" ybr="12"/>'


def archive(folder, files, name="export.zip", **options):
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, **options) as target:
        for path, content in files.items():
            target.writestr(path, content)
    return folder / name


def test_masks_in_an_archive_are_read_and_leftovers_of_macos_are_not(tmp_path):
    png = encode_mask_png(box(SIZE, 1, 2, 5, 6))
    files = {"masks/a.png": png, "__MACOSX/masks/._b.png": b"x", "masks/.DS_Store": b"x", "masks/b.png": png}
    drawings = drawings_in(archive(tmp_path, files), SIZE, names=("a", "b"))
    assert {drawing.task for drawing in drawings} == {"a", "b"}
    assert all(np.array_equal(drawing.mask, box(SIZE, 1, 2, 5, 6)) for drawing in drawings)


def test_messages_name_the_file_in_the_archive(tmp_path):
    broken = archive(tmp_path, {"in/annotations.xml": cvat('<polygon label="p" points="1,1;2,2"/>')})
    with pytest.raises(DataFormatError, match=rf"^{broken}/in/annotations\.xml, image 'a\.png', shape 1") as caught:
        drawings_in(broken, SIZE)
    assert "earthreason-" not in str(caught.value)


def test_messages_of_readers_that_name_the_opened_file_name_it_in_the_archive(tmp_path):
    broken = archive(tmp_path, {"masks/a.png": b"no picture"})
    with pytest.raises(DataFormatError, match=rf"{broken}/masks/a\.png") as caught:
        drawings_in(broken, SIZE)
    assert "earthreason-" not in str(caught.value)


@pytest.mark.parametrize("name", ["../a.json", "/etc/a.json", "x/../../a.json", "..\\a.json", "C:\\a.json"])
def test_files_that_would_be_written_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(DataFormatError, match="outside of the folder"):
        drawings_in(archive(tmp_path, {name: "{}"}), SIZE)
    assert not (tmp_path / "a.json").exists()
    assert not (tmp_path.parent / "a.json").exists()


def test_links_are_refused(tmp_path):
    entry = zipfile.ZipInfo("a.xml")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as target:
        target.writestr(entry, "/etc/passwd")
    with pytest.raises(DataFormatError, match=r"a\.xml: is a link"):
        drawings_in(tmp_path / "export.zip", SIZE)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = archive(tmp_path, {"a.xml": cvat(SQUARE)})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # flag of the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and of the directory
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"a\.xml: is encrypted"):
        drawings_in(path, SIZE)


def test_an_archive_in_an_archive_is_refused(tmp_path):
    inner = archive(tmp_path, {"a.xml": cvat(SQUARE)}, "inner.zip").read_bytes()
    with pytest.raises(DataFormatError, match=r"export\.zip/in/inner\.zip: is an archive in an archive"):
        drawings_in(archive(tmp_path, {"in/inner.zip": inner}), SIZE)


def test_an_archive_that_fills_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 1_000_000)
    zeros = bytes(archives.SMALL + 1)
    path = archive(tmp_path, {"a.json": zeros})
    assert path.stat().st_size * archives.HIGHEST_RATIO < len(zeros)
    with pytest.raises(DataFormatError, match="more than 200 times"):
        drawings_in(path, SIZE)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(DataFormatError, match="4 files"):
        drawings_in(archive(tmp_path, {f"{number}.json": "{}" for number in range(4)}), SIZE)


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    path = archive(tmp_path, {"a.xml": cvat(SQUARE)})
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as target:
        target.writestr("a.xml", cvat(""))
    with pytest.raises(DataFormatError, match=r"a\.xml: is there twice"):
        drawings_in(path, SIZE)


@pytest.mark.parametrize("cut", [0, 10, 60, -30])
def test_a_damaged_archive_is_one_line(tmp_path, cut):
    path = archive(tmp_path, {"a.xml": cvat(SQUARE)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataFormatError, match=r"export\.zip: not a readable ZIP archive") as caught:
        drawings_in(path, SIZE)
    assert "\n" not in str(caught.value)


def test_a_flipped_byte_in_a_file_is_noticed(tmp_path):
    path = archive(tmp_path, {"a.xml": cvat(SQUARE)})
    content = bytearray(path.read_bytes())
    content[content.index(b"a.xml") + 20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"export\.zip: not a readable ZIP archive"):
        drawings_in(path, SIZE)


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataFormatError, match="both a file and a folder"):
        drawings_in(archive(tmp_path, {"a": "x", "a/b.json": "{}"}), SIZE)


def test_archives_in_a_folder_are_read_with_the_files_beside_them(tmp_path):
    archive(tmp_path, {"annotations.xml": cvat(SQUARE)})
    (tmp_path / "b.xml").write_text(cvat('<box label="pond" xtl="0" ytl="0" xbr="4" ybr="4"/>', "b.png"))
    drawings = {drawing.task: drawing.mask for drawing in drawings_in(tmp_path, SIZE, names=("a", "b"))}
    assert np.array_equal(drawings["a"], box(SIZE, 3, 2, 12, 10))
    assert np.array_equal(drawings["b"], box(SIZE, 0, 0, 4, 4))


def test_an_image_in_two_archives_names_both(tmp_path):
    for name in ("one.zip", "two.zip"):
        archive(tmp_path, {"annotations.xml": cvat(SQUARE)}, name)
    with pytest.raises(
        DataFormatError, match=r"one\.zip/annotations\.xml, image 'a\.png' and .*two\.zip/annotations\.xml"
    ):
        drawings_in(tmp_path, SIZE)


def test_pictures_are_not_unpacked_but_tell_images_apart(tmp_path):
    label = "0 0.1 0.15 0.34 0.15 0.34 0.6 0.1 0.6\n"
    files = {"images/train/a.jpg": b"picture", "labels/train/a.txt": label, "data.yaml": "names: [pond]\n"}
    (drawing,) = drawings_in(archive(tmp_path, files), SIZE, ReadOptions())
    assert drawing.category == "pond"


def test_the_temporary_folder_is_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    drawings_in(archive(tmp_path, {"a.xml": cvat(SQUARE)}), SIZE)
    with pytest.raises(DataFormatError):
        drawings_in(archive(tmp_path, {"a.xml": cvat("<blob/>")}), SIZE)
    assert not list((tmp_path / "scratch").iterdir())


def test_a_coco_file_in_an_archive(tmp_path):
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "segmentation": [[2, 3, 10, 3, 10, 12, 2, 12]]}],
        "categories": [{"id": 1, "name": "pond"}],
    }
    (drawing,) = drawings_in(archive(tmp_path, {"result.json": json.dumps(document)}), SIZE)
    assert np.array_equal(drawing.mask, box(SIZE, 3, 2, 12, 10))


def test_an_archive_of_unknown_files_says_so(tmp_path):
    with pytest.raises(DataFormatError, match=r"export\.zip/x\.json: in none of the known formats"):
        drawings_in(archive(tmp_path, {"x.json": "{}"}), SIZE)
    with pytest.raises(DataFormatError, match=r"export\.zip: in none of the known formats"):
        drawings_in(archive(tmp_path, {"x.doc": "1"}), SIZE)
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    (tmp_path / "export.zip").write_bytes(empty.getvalue())
    with pytest.raises(DataFormatError, match=r"export\.zip: in none of the known formats"):
        drawings_in(tmp_path / "export.zip", SIZE)

"""Folders and zips of masks: what is accepted, what is skipped, and what each damage is called."""

import io
import logging
import os
import stat
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from earthreason import evaluate
from earthreason.errors import DataNotFoundError, EarthReasonError, PredictionsError
from earthreason.predictions import from_folder, open_predictions, read_predictions
from tests.conftest import Bomb

MASK = np.zeros((6, 9), bool)
MASK[1:4, 2:7] = True


def png(mask=MASK):
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def fill(path, files, **options):
    """Write files into a folder, or into a zip if the name ends so."""
    if path.suffix not in (".zip", ".npz"):
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def ids(path):
    return [(p.sample_id, p.question_index) for p in read_predictions(path).predictions]


def faults_of(path):
    with pytest.raises(PredictionsError) as caught:
        read_predictions(path)
    return str(caught.value)


KINDS = pytest.mark.parametrize("kind", ["masks", "masks.zip"])


@KINDS
def test_files_of_sub_folders_are_known_by_their_names(tmp_path, kind):
    files = {"north/a.png": png(), "south/deep/b__1.tif": png(), "c.npy": npy(MASK)}
    assert sorted(ids(fill(tmp_path / kind, files))) == [("a", 0), ("b", 1), ("c", 0)]


@KINDS
@pytest.mark.parametrize("other", ["south/a.png", "south/a.tif", "a__0.npy", "a.PNG"])
def test_one_question_in_two_files_is_one_clear_error(tmp_path, kind, other):
    content = npy(MASK) if other.endswith("npy") else png()
    message = faults_of(fill(tmp_path / kind, {"north/a.png": png(), other: content}))
    assert "1 error" in message
    assert "the same sample and question as" in message
    assert "north/a.png" in message
    assert other in message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_in_a_zip_is_one_clear_error(tmp_path):
    path = fill(tmp_path / "masks.zip", {"a.png": png()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.png", png(~MASK))
    assert "a.png: the same sample and question as a.png; keep one" in faults_of(path)


SYSTEM = [
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "._a.png",
    "__MACOSX/._a.png",
    "__MACOSX/a.png",
    ".ipynb_checkpoints/a-checkpoint.png",
    "sub/.DS_Store",
    "sub/Thumbs.db",
]


@KINDS
def test_files_of_operating_systems_are_skipped_and_said_in_one_line(tmp_path, kind, caplog):
    path = fill(tmp_path / kind, {"a.png": png()} | dict.fromkeys(SYSTEM, b"x"))
    truth = {"a": MASK}
    with caplog.at_level(logging.WARNING):
        assert evaluate(open_predictions(path), truth, "native", resamples=0, boundary=True)["gIoU"] == 1
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert f"skipped {len(SYSTEM)} system files" in lines[0]


@KINDS
def test_soft_edges_are_said_once_with_the_first_file_and_their_number(tmp_path, kind, caplog):
    soft = (MASK * 255).astype(np.uint8)
    soft[0, 0] = 1
    buffer = io.BytesIO()
    Image.fromarray(soft).save(buffer, "PNG")
    path = fill(tmp_path / kind, {"a.png": png(), "b.png": buffer.getvalue(), "c.png": buffer.getvalue()})
    marked = MASK.copy()
    marked[0, 0] = True
    truth = {"a": MASK, "b": marked, "c": marked}
    with caplog.at_level(logging.WARNING):
        assert evaluate(open_predictions(path), truth, "native", resamples=0, boundary=True)["gIoU"] == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "2 masks with more than two levels" in line
    assert "the first is b.png (3)" in line


@KINDS
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jpg", png(), "JPEG changes the pixels of a mask; save PNG"),
        ("a.pkl", b"", "pickles are never read"),
        ("preds.json", b"[]", "give this file itself"),
        ("notes.txt", b"", "move other files away"),
        (".png.png.gif", b"", None),
        ("a.png", b"", "not a readable mask: its content is not PNG or TIFF"),
        ("a.png", png()[:-30], "not a readable mask"),
        ("a.png", b"GIF89a", "its content is not PNG or TIFF"),
        ("a.npy", npy(MASK)[:-3], "does not fill its shape"),
        ("a.npy", npy(MASK) + b"x", "does not fill its shape"),
        ("a.npy", npy(MASK[None]), "save a mask of shape (height, width)"),
        ("a.npy", npy(np.zeros((0, 4), bool)), "does not fill its shape"),
        ("a.npy", npy(MASK / 2), "threshold it first"),
        ("a.npy", npy(MASK.astype(complex)), "save a bool array"),
        ("a.npy", npy(np.array(["x"])), "save a bool array"),
        ("a.npy", b"\x93NUMPY\x01\x00\x76\x00", "not a readable mask"),
        ("a.npy", npy(MASK).replace(b"(6, 9)", b"(6, 10**9)"), "not a readable mask"),
        ("a.npy", npy(MASK).replace(b"(6, 9), }   ", b"(99999999, 9), }"), "not a readable mask"),
        ("a__99999.png", png(), None),
    ],
)
def test_what_is_no_mask_is_named_with_a_remedy(tmp_path, kind, name, content, words):
    path = fill(tmp_path / kind, {name: content, "z.png": png()})
    if words is None:
        assert ("z", 0) in ids(path)
    else:
        message = faults_of(path)
        assert f"{name}: " in message
        assert words in message


def test_pickled_arrays_never_run_their_code(tmp_path):
    mark = tmp_path / "ran"
    path = fill(tmp_path / "masks", {"a.npy": npy(np.array([Bomb(mark)], object), allow_pickle=True)})
    assert "pickled objects are never read" in faults_of(path)
    np.savez(tmp_path / "masks.npz", a=np.array([Bomb(mark)], object))
    assert "pickled objects are never read" in faults_of(tmp_path / "masks.npz")
    assert not mark.exists()


def test_sizes_are_compared_before_pixels_are_decoded(tmp_path):
    """Headers alone, of masks that would need 400 MiB, give the message about the size."""
    large = np.zeros((2, 2), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "PNG")
    header = bytearray(buffer.getvalue())  # its four pixels are those of 2 x 2
    header[16:24] = (20_000).to_bytes(4) + (5_000).to_bytes(4)
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    array = npy(MASK).replace(b"(6, 9), }" + b" " * 8, b"(20000, 20000), }")
    for name, content, size in (("a.png", bytes(header), "5000x20000"), ("a.npy", array, "20000x20000")):
        path = fill(tmp_path / name.replace(".", "-"), {name: content, "b.png": png()})
        with pytest.raises(
            PredictionsError, match=f"mask is {size} .*expected 6x9; save masks at the image's own size"
        ):
            evaluate(path, {"a": MASK, "b": MASK}, "native", resamples=0)


def test_a_mask_of_an_unknown_sample_is_not_decoded_but_named(tmp_path):
    path = fill(tmp_path / "masks", {"a.png": png(), "boat.png": b"not a picture"})
    with pytest.raises(PredictionsError, match="sample 'boat': not in ground truth"):
        evaluate(path, {"a": MASK}, "native", resamples=0)


def test_every_flipped_byte_of_a_zip_gives_masks_or_one_error(tmp_path):
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        sound = fill(tmp_path / "masks.zip", {"a.png": png()}, compression=compression).read_bytes()
        path = tmp_path / "flipped.zip"
        for at in range(len(sound)):
            for mask in (0x01, 0x08, 0xFF):
                path.write_bytes(sound[:at] + bytes([sound[at] ^ mask]) + sound[at + 1 :])
                with suppress(EarthReasonError):
                    read_predictions(path)


def test_every_truncation_of_a_zip_is_one_error(tmp_path):
    sound = fill(tmp_path / "masks.zip", {"a.png": png()}, compression=zipfile.ZIP_DEFLATED).read_bytes()
    path = tmp_path / "cut.zip"
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        with pytest.raises(PredictionsError, match=r"cut\.zip"):
            read_predictions(path)
    path.write_bytes(sound[:-10])
    assert (
        "the zip cannot be read (File is not a zip file); make or copy it again, or check its permissions"
        in faults_of(path)
    )


@pytest.mark.parametrize(
    ("compression", "words"),
    [(zipfile.ZIP_LZMA, "by another method than deflate; zip the files again"), (zipfile.ZIP_BZIP2, "than deflate")],
)
def test_other_methods_of_packing_are_named(tmp_path, compression, words):
    assert words in faults_of(fill(tmp_path / "masks.zip", {"a.png": png()}, compression=compression))


def test_an_encrypted_zip_is_named(tmp_path):
    path = fill(tmp_path / "masks.zip", {"a.png": png()})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(content)
    assert "a.png: not a readable mask: encrypted; zip the files without a password" in faults_of(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", npy(MASK), "one NumPy array; put it as SAMPLE_ID.npy into a folder"),
        ("a.png", png(), "one picture; put it as SAMPLE_ID.png into a folder"),
        ("p.pkl", b"\x80\x04\x95", "a pickle, which is never read"),
        ("p.parquet", b"PAR1xxxx", "a parquet file; write JSON"),
        ("p.json", b"", "the file is empty"),
        ("p.zip", b"PK\x05\x06" + bytes(18), "contains no masks"),
    ],
)
def test_files_of_other_kinds_are_named_with_a_remedy(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert words in faults_of(tmp_path / name)


def test_a_folder_named_as_a_file_is_read_as_a_folder(tmp_path):
    assert ids(fill(tmp_path / "x.json", {"a.png": png()})) == [("a", 0)]
    (tmp_path / "y.json").mkdir()
    assert "contains no masks; expected SAMPLE_ID.png" in faults_of(tmp_path / "y.json")


def test_pipes_devices_and_missing_paths_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    assert "a pipe or device, which is read only once; save it to a file first" in faults_of(tmp_path / "pipe.json")
    assert "a pipe or device" in faults_of("/dev/null")
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "pipe.json").unlink()
    assert "a.png: not a readable mask: not a regular file" in faults_of(tmp_path)
    for open_it in (open_predictions, from_folder):
        with pytest.raises(DataNotFoundError, match="there is no predictions file"):
            open_it(tmp_path / "nothing")
    with pytest.raises(EarthReasonError, match="."):
        open_predictions("nul\0.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["p.json", "masks", "masks/a.png", "masks.zip"])
def test_what_may_not_be_read_is_named(tmp_path, name):
    fill(tmp_path / "masks", {"a.png": png()})
    fill(tmp_path / "masks.zip", {"a.png": png()})
    (tmp_path / "p.json").write_text("[]")
    target = tmp_path / name
    before = stat.S_IMODE(target.stat().st_mode)
    target.chmod(0)
    try:
        assert "ermission" in faults_of(tmp_path / name.partition("/")[0])
    finally:
        target.chmod(before)


@KINDS
def test_arrays_of_every_kind_are_the_mask_that_pycocotools_encodes(tmp_path, kind):
    arrays = {"b": MASK, "u": MASK.astype(np.uint8) * 255, "i": MASK.astype(np.int64), "f": MASK.astype(np.float16)}
    arrays |= {"o": np.asfortranarray(MASK), "e": MASK.astype(">u2"), "n": ~MASK}
    path = fill(tmp_path / kind, {f"{name}.npy": npy(array) for name, array in arrays.items()})
    for prediction in read_predictions(path).predictions:
        mask = arrays[prediction.sample_id] != 0
        expected = coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert prediction.segmentation == {"size": [6, 9], "counts": expected}


def test_the_last_question_index_of_a_file_has_five_digits(tmp_path):
    path = fill(tmp_path / "masks", {"a__10000.png": png(), "a__9999.png": png()})
    assert ids(path) == [("a", 10_000), ("a", 9_999)]

"""RefSegRS is read line by line; a broken line or picture spoils no other."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from earthreason.data.sources.refsegrs import RefSegRS
from earthreason.errors import DataFormatError

GREY = np.eye(12, dtype=np.uint8) * 255


def write(root, lines, suffix=".tif", **tags):
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in (17, 18):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}{suffix}", "TIFF", **tags)
        Image.fromarray(GREY[:, :10]).save(root / "masks" / f"{number}{suffix}", "TIFF", **tags)
    (root / "output_phrase_train.txt").write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    return RefSegRS(root)


def test_broken_lines_and_absent_pictures_are_named_and_spoil_no_other(tmp_path):
    source = write(tmp_path, "17 road\nroad without number\n\n99 car\n17 the vehicles\n")
    readers = [read_one for _, read_one in source.samples("train")]
    assert source.counts == {"train": 4}
    for at, words in ((1, "train.txt line 2: expected a number and a phrase"), (2, r"99\.tif is missing; .*line 4")):
        with pytest.raises(DataFormatError, match=words):
            readers[at]()
    assert [readers[at]().sample_id for at in (0, 3)] == ["refsegrs_train_17_1", "refsegrs_train_17_2"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_phrases_are_read_in_unicode_and_windows_1252(tmp_path, encoding):
    (record,) = write(tmp_path, "17 the café’s road\n".encode(encoding)).read("train")
    assert record.questions == ["the café’s road"]


def test_phrases_in_gbk_are_refused_by_name(tmp_path):
    with pytest.raises(DataFormatError, match="output_phrase_train.txt: byte .*probably gbk"):
        write(tmp_path, "17 停机坪和道路\n".encode("gbk"))


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".TIF"])
@pytest.mark.parametrize(("orientation", "quarters"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_both_pictures_are_turned_alike(tmp_path, suffix, orientation, quarters):
    (record,) = write(tmp_path, "18 road\n", suffix, tiffinfo={274: orientation}).read("train")
    stored = np.random.default_rng(18).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    image, mask = (np.asarray(Image.open(io.BytesIO(content))) for content in (record.image, record.mask))
    assert np.array_equal(image, np.rot90(stored, quarters))
    assert np.array_equal(mask > 0, np.rot90(GREY[:, :10], quarters) > 0)
    if orientation < 5:  # OpenCV 5.0 does not read TIFFs that are to be turned by a quarter
        assert np.array_equal(image, cv2.imread(str(tmp_path / "images" / f"18{suffix}"))[..., ::-1])

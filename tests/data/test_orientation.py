"""EXIF orientations: the row's picture and its mask agree pixel by pixel, and nothing else of a file changes."""

import io
import json
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from earthreason import load_dataset
from earthreason.data.audit.verify import audit
from earthreason.data.exports import FORMATS, export
from earthreason.data.pictures import rgb_content, upright
from earthreason.data.reader import open_source
from earthreason.errors import DataFormatError, EarthReasonError

TAG = 0x0112
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
MASK = np.zeros((24, 32), bool)
MASK[2:9, 3:14] = True
"""The target, a bright block in the upper left quarter of dark stored pixels."""


def scene(mask=MASK):
    return Image.fromarray(np.where(mask[..., None], np.uint8([230, 200, 180]), np.uint8([20, 40, 30])))


def encoded(image, form, orientation=None, **options):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x8298] = "somebody"
    if orientation is not None:
        exif[TAG] = orientation
    buffer = io.BytesIO()
    image.save(buffer, form, exif=exif, **options)
    return buffer.getvalue()


def pixels(content):
    """Decode as `datasets` does, which turns pictures by their tags."""
    from datasets import Image as Feature

    return np.asarray(Feature().decode_example({"bytes": content, "path": None}))


def by_opencv(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_tag_alone_is_removed_and_every_reader_sees_the_stored_pixels(tmp_path, form, orientation):
    content = encoded(scene(), form, orientation)
    stripped, size = rgb_content(content, tmp_path)
    untagged = pixels(encoded(scene(), form))
    assert size == (24, 32)
    assert np.array_equal(pixels(stripped), untagged)
    assert np.array_equal(by_opencv(stripped), untagged)
    with Image.open(io.BytesIO(stripped)) as image:
        assert image.format == form
        assert (TAG in image.getexif()) == (orientation == 1)
        assert (image.getexif()[0x010F], image.getexif()[0x8298]) == ("a camera", "somebody")
    changed = np.flatnonzero(np.frombuffer(stripped, np.uint8) != np.frombuffer(content, np.uint8))
    assert len(stripped) == len(content)
    # The directory of the tags, and in a PNG its checksum.
    assert len(changed) <= 60
    assert (stripped == content) == (orientation == 1)


def test_a_jpeg_with_further_pictures_behind_it_keeps_its_bytes(tmp_path):
    content = encoded(scene(), "MPO", 6, save_all=True, append_images=[scene()])
    stripped, size = rgb_content(content, tmp_path)
    assert (size, len(stripped), stripped[:2]) == ((24, 32), len(content), b"\xff\xd8")
    assert np.array_equal(pixels(stripped), by_opencv(encoded(scene(), "JPEG")))


def test_a_tag_in_xmp_which_pillow_applies_too_is_removed(tmp_path):
    for options in ({"xmp": XMP}, {"xmp": XMP, "orientation": 6}):
        content = encoded(scene(), "JPEG", **options)
        assert pixels(content).shape == (32, 24, 3)
        stripped, _ = rgb_content(content, tmp_path)
        assert stripped[:2] == b"\xff\xd8"
        assert pixels(stripped).shape == (24, 32, 3)
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
    assert np.array_equal(pixels(rgb_content(encoded(scene(), "PNG", pnginfo=notes), tmp_path)[0]), np.array(scene()))


def test_a_damaged_exif_block_costs_no_sample(tmp_path):
    whole = encoded(scene(), "PNG", 6)
    place = whole.index(b"eXIf")
    length = int.from_bytes(whole[place - 4 : place], "big")
    chunk = b"eXIfXX" + whole[place + 6 : place + 4 + length]
    content = whole[:place] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + whole[place + 8 + length :]
    with Image.open(io.BytesIO(content)) as image, pytest.raises(SyntaxError):
        image.getexif()
    assert np.array_equal(pixels(rgb_content(content, tmp_path)[0]), np.array(scene()))


def release(root, content, mask, suffix="jpg"):
    for part in ("images", "labels", "QAs"):
        (root / "test" / part).mkdir(parents=True)
    (root / "test" / "images" / f"a.{suffix}").write_bytes(content)
    Image.fromarray(mask).save(root / "test" / "labels" / "a.png")
    (root / "test" / "QAs" / "a.json").write_text(json.dumps({"questions": ["Where?"], "answer": ["There."]}))
    return root


def agree(image, mask):
    """Return whether the bright pixels of an image are the target."""
    return np.mean((np.asarray(image.convert("L")) > 120) == (np.asarray(mask) > 0)) > 0.99


@pytest.mark.parametrize("square", [False, True], ids=["oblong", "square"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_rows_of_a_release_agree_with_labels_of_the_stored_pixels(tmp_path, orientation, square):
    mask = np.pad(MASK, ((0, 8 if square else 0), (0, 0)))
    root = release(tmp_path / "set", encoded(scene(mask), "JPEG", orientation, quality=95), mask)
    (row,) = load_dataset("earthreason", data_dir=root, split="test")
    assert row["image"].size == row["mask"].size == mask.shape[::-1] == (row["width"], row["height"])
    assert agree(row["image"], row["mask"])


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(5, 9))
def test_a_label_that_has_only_the_size_of_the_turned_picture_turns_it(tmp_path, orientation, form):
    content = encoded(scene(), form, orientation)
    label = by_opencv(content)[..., 0] > 120
    root = release(tmp_path / "set", content, label, {"JPEG": "jpg", "PNG": "png"}[form])
    (row,) = load_dataset("earthreason", data_dir=root, split="test")
    assert row["image"].size == row["mask"].size == (24, 32) == (row["width"], row["height"])
    assert agree(row["image"], row["mask"])
    assert {finding.rule for finding in audit(root, workers=1).findings} <= {"encoding", "split"}
    with pytest.raises(DataFormatError, match="the label is 33x24"):
        Image.new("L", (24, 33)).save(root / "test" / "labels" / "a.png")
        list(open_source(root).read("test"))


@pytest.mark.parametrize("form", FORMATS)
def test_exports_have_no_tag(tmp_path, form):
    root = release(tmp_path / "set", encoded(scene(), "JPEG", 6, quality=95), MASK)
    export(open_source(root), form, tmp_path / "out")
    (record,) = open_source(tmp_path / "out").read("test")
    assert np.array_equal(pixels(record.image), by_opencv(encoded(scene(), "JPEG", quality=95)))


def test_the_torch_dataset_places_both_alike(tmp_path):
    root = release(tmp_path / "set", encoded(scene(), "JPEG", 6, quality=95), MASK)
    torch = pytest.importorskip("earthreason.torch", reason="torch is not installed")
    (item,) = torch.PixelReasoningDataset(load_dataset("earthreason", data_dir=root, split="test"), side=32)
    bright = item["image"].float().mean(0).numpy() > 120
    assert np.mean(bright == item["mask"].numpy()) > 0.99
    assert np.array_equal(item["native_mask"].numpy(), MASK)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_pictures_are_those_that_opencv_reads(tmp_path, orientation):
    content = encoded(scene(), "JPEG", orientation)
    assert np.array_equal(pixels(upright(content, tmp_path)), by_opencv(content))
    assert (upright(content, tmp_path) == content) == (orientation == 1)


@pytest.mark.parametrize("turn", [False, True], ids=["stored", "turned"])
def test_question_files_agree_with_masks_of_either_size(tmp_path, turn):
    content = encoded(scene(), "JPEG", 6, quality=95)
    (tmp_path / "a.jpg").write_bytes(content)
    Image.fromarray(by_opencv(content)[..., 0] > 120 if turn else MASK).save(tmp_path / "a.png")
    row = {"id": "a", "image": "a.jpg", "mask": "a.png", "problem": "Where?"}
    (tmp_path / "test.jsonl").write_text(json.dumps(row))
    (record,) = open_source(tmp_path / "test.jsonl").read("test")
    image, mask = (Image.fromarray(pixels(content)) for content in (record.image, record.mask))
    assert (record.height, record.width) == ((32, 24) if turn else (24, 32)) == image.size[::-1]
    assert agree(image, mask)


@pytest.mark.parametrize("form", ["parquet", "webdataset"])
def test_tables_of_other_makers_lose_the_tag_too(tmp_path, form):
    root = release(tmp_path / "set", encoded(scene(), "JPEG", quality=95), MASK)
    (record,) = open_source(root).read("test")
    tagged = replace(record, image=encoded(scene(), "JPEG", 6, quality=95))
    export(Records([tagged]), form, tmp_path / "out")
    (again,) = open_source(tmp_path / "out").read("test")
    assert np.array_equal(pixels(again.image), by_opencv(record.image))
    export(Records([record]), form, tmp_path / "plain")
    (kept,) = open_source(tmp_path / "plain").read("test")
    assert kept.image == record.image


class Records:
    name = "records"

    def __init__(self, records):
        self._records, self.counts = records, {"test": len(records)}

    def read(self, _split):
        return iter(self._records)


def test_the_torch_dataset_refuses_rows_whose_picture_another_loader_turned(tmp_path):
    torch = pytest.importorskip("earthreason.torch", reason="torch is not installed")
    root = release(tmp_path / "set", encoded(scene(), "JPEG"), MASK)
    row = load_dataset("earthreason", data_dir=root, split="test")[0]
    row["image"] = row["image"].transpose(Image.Transpose.ROTATE_90)
    with pytest.raises(
        EarthReasonError, match=r"'test-a': the image is 32x24 .* but the mask is 24x32; load the rows by"
    ):
        torch.PixelReasoningDataset([row], side=32)[0]

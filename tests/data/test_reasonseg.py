"""ReasonSeg is read as LISA reads it: masks drawn by OpenCV on the picture that `cv2.imread` gives."""

import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from earthreason import load_dataset
from earthreason.data.reader import open_source
from earthreason.data.sources.reasonseg import ReasonSeg
from earthreason.errors import DataFormatError
from earthreason.masks.rle import decode_rle
from tests.conftest import SHARED

GOLDEN = SHARED / "goldens" / "polygons" / "shapes.json"
BLOCK = {"label": "target", "points": [[2, 3], [20, 3], [20, 10], [2, 10]]}


def add(folder, name, content, picture=None, suffix=".jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    if picture is None:
        buffer = io.BytesIO()
        Image.new("RGB", (40, 30)).save(buffer, "JPEG")
        picture = buffer.getvalue()
    (folder / f"{name}{suffix}").write_bytes(picture)
    whole = content if isinstance(content, bytes) else json.dumps({"text": ["where?"], "is_sentence": True} | content)
    (folder / f"{name}.json").write_bytes(whole if isinstance(whole, bytes) else whole.encode())


def only(root, split="validation"):
    (record,) = open_source(root).read(split)
    return record


def mask_of(png):
    return None if png is None else np.asarray(Image.open(io.BytesIO(png))) > 0


def lisas(shapes, image):
    """Draw shapes in falling order of their pixels, each as a closed outline and its inside, by OpenCV alone."""

    def draw(canvas, shape, value):
        points = np.array([shape["points"]], dtype=np.int32)
        cv2.polylines(canvas, points, True, value, 1)
        cv2.fillPoly(canvas, points, value)
        return canvas

    size = image.shape[:2]
    canvas = np.zeros(size, np.uint8)
    for shape in sorted(shapes, key=lambda shape: -int(draw(np.zeros(size, np.uint8), shape, 1).sum())):
        draw(canvas, shape, 255 if "ignore" in shape["label"].lower() else 1)
    return canvas == 1, canvas == 255


@pytest.mark.skipif(not GOLDEN.is_file(), reason="../shared/goldens is not here")
def test_every_golden_case_goes_through_the_reader_unchanged(tmp_path):
    cases = json.loads(GOLDEN.read_text())["cases"]
    for number, case in enumerate(cases):
        buffer = io.BytesIO()
        Image.new("RGB", (case["width"], case["height"])).save(buffer, "PNG")
        add(tmp_path / "set" / "val", f"{number:02d}", {"shapes": case["shapes"]}, buffer.getvalue())
    records = list(open_source(tmp_path / "set").read("validation"))
    assert len(records) == 40
    for case, record in zip(cases, records, strict=True):
        expected = decode_rle(case["ignore"])
        assert np.array_equal(mask_of(record.mask), decode_rle(case["target"]))
        assert np.array_equal(np.zeros_like(expected) if record.ignore is None else mask_of(record.ignore), expected)


SHAPES = {
    "no shape": [],
    "one point": [{"label": "target", "points": [[7, 5]]}],
    "two points": [{"label": "target", "points": [[7, 5], [30, 20]]}],
    "fractions": [{"label": "target", "points": [[2.9, 3.9], [20.9, 3.1], [20.2, 10.8]]}],
    "beyond the picture": [{"label": "target", "points": [[-50, -20], [300, 7], [40, 500]]}],
    "one past the border": [{"label": "target", "points": [[10, 10], [40, 10], [40, 30], [10, 30]]}],
    "ignore over target": [BLOCK, {"label": "Ignore", "points": [[5, 5], [9, 5], [9, 9], [5, 9]]}],
    "target over ignore": [{"label": "ignore_1", "points": [[0, 0], [39, 0], [39, 29], [0, 29]]}, BLOCK],
    "only ignore": [{"label": "ignore", "points": [[5, 5], [9, 5], [9, 9], [5, 9]]}],
}


@pytest.mark.parametrize("name", SHAPES)
def test_targets_and_ignored_pixels_are_those_of_opencv(tmp_path, name):
    add(tmp_path / "set" / "val", "a", {"shapes": SHAPES[name]})
    record = only(tmp_path / "set")
    target, ignore = lisas(SHAPES[name], np.zeros((30, 40, 3)))
    assert np.array_equal(mask_of(record.mask), target)
    assert np.array_equal(np.zeros((30, 40), bool) if record.ignore is None else mask_of(record.ignore), ignore)
    assert (record.ignore is None) == (not ignore.any())
    assert record.is_empty == (not target.any())


def test_a_shape_without_points_draws_nothing(tmp_path):
    add(tmp_path / "set" / "val", "a", {"shapes": [{"label": "target", "points": []}, BLOCK]})
    assert mask_of(only(tmp_path / "set").mask).sum() == 19 * 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [30, 40], ids=["oblong", "square"])
def test_shapes_lie_on_the_picture_that_opencv_reads(tmp_path, orientation, side):
    stored = np.random.default_rng(3).integers(0, 256, (side, 40, 3), dtype=np.uint8)
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(buffer, "JPEG", exif=exif)
    add(tmp_path / "set" / "val", "a", {"shapes": [BLOCK]}, buffer.getvalue())
    image = cv2.imread(str(tmp_path / "set" / "val" / "a.jpg"))
    (row,) = load_dataset("earthreason", "reasonseg", data_dir=tmp_path / "set", split="validation")
    assert np.array_equal(np.asarray(row["image"]), image[..., ::-1])
    assert np.array_equal(np.asarray(row["mask"]) > 0, lisas([BLOCK], image)[0])
    assert (row["height"], row["width"]) == image.shape[:2]


def test_texts_may_be_one_string_and_is_sentence_is_kept(tmp_path):
    add(tmp_path / "set" / "val", "a", {"text": "where is it?", "is_sentence": False, "shapes": [BLOCK]})
    record = only(tmp_path / "set")
    assert record.questions == ["where is it?"]
    assert json.loads(record.extra) == {"is_sentence": False}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_annotations_in_windows_1252_and_unicode_are_read(tmp_path, encoding):
    content = json.dumps({"text": ["the “café” – where?"], "shapes": [BLOCK]}, ensure_ascii=False)
    add(tmp_path / "set" / "val", "a", content.encode(encoding))
    assert only(tmp_path / "set").questions == ["the “café” – where?"]


def test_splits_are_folders_and_explanations_are_answers_of_train(tmp_path):
    root = tmp_path / "ReasonSeg"
    for split, names in {"train": ["a", "b.c"], "val": ["a"], "test": ["d"]}.items():
        for name in names:
            add(root / split, name, {"shapes": [BLOCK]}, suffix=".JPG" if name == "d" else ".jpeg")
    (root / "explanatory").mkdir()
    items = [{"image": "b.c.jpeg", "query": "where?", "outputs": "Because it is flat."}]
    (root / "explanatory" / "train.json").write_text(json.dumps(items))
    source = open_source(root)
    assert (source.name, source.counts) == ("reasonseg", {"train": 2, "validation": 1, "test": 1})
    found = {record.sample_id: record.answers for split in source.counts for record in source.read(split)}
    assert found == {"train_a": [], "train_b.c": ["Because it is flat."], "validation_a": [], "test_d": []}
    (root / "explanatory" / "train.json").write_text("{")
    assert [record.answers for record in open_source(root).read("train")] == [[], []]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"shapes": [{"label": "target"}]}, "it has no 'points'"),
        ({"shapes": [{"label": None, "points": []}]}, "not a ReasonSeg annotation"),
        ({"shapes": [{"label": "target", "points": [[1, 2, 3]]}]}, "a polygon is a list of"),
        ({"shapes": [{"label": "target", "points": [[1e300, 2], [3, 4]]}]}, "far outside"),
        ({"shapes": None}, "not a ReasonSeg annotation"),
        ({"text": None, "shapes": []}, "not a ReasonSeg annotation"),
        ({"text": [" "], "shapes": []}, "has no text"),
        (b"[]", "not a ReasonSeg annotation"),
        (b"{", "not JSON"),
    ],
)
def test_a_broken_annotation_is_named_and_spoils_no_other(tmp_path, content, words):
    folder = tmp_path / "set" / "val"
    add(folder, "a", {"shapes": [BLOCK]})
    add(folder, "b", content)
    add(folder, "c", {"shapes": [BLOCK]})
    add(folder, "d", {"shapes": [BLOCK]}, b"no picture")
    add(folder, "e", {"shapes": [BLOCK]})
    (folder / "e.jpg").unlink()
    source = ReasonSeg(tmp_path / "set")
    readers = dict(source.samples("validation"))
    assert list(readers) == [f"{name}.json" for name in "abcde"]
    for name, reason in {"b": words, "d": r"d\.jpg: not a readable image", "e": "no picture of that name"}.items():
        with pytest.raises(DataFormatError, match=reason) as caught:
            readers[f"{name}.json"]()
        assert f"{folder}/{name}." in str(caught.value)
    assert [readers[f"{name}.json"]().sample_id for name in "ac"] == ["validation_a", "validation_c"]

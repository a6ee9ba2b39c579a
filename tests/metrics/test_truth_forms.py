"""A ground-truth file takes the masks and packings of predictions, and means what pycocotools or numpy draws."""

import gzip
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from earthreason import evaluate
from earthreason.errors import TruthError
from earthreason.metrics.references import read_references
from tests.encodings import compressed, decoded, uncompressed

HEIGHT, WIDTH = 20, 30
FIELD, POND = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
FIELD[5:15, 3:13] = True
POND[2:10, 16:28] = True
RING = [3, 5, 13, 5, 13, 15, 3, 15]
STAR = [16.5, 2.2, 27.1, 9.4, 15.0, 6.1, 28.3, 4.4, 20.9, 11.7]
SIDES = {"height": HEIGHT, "width": WIDTH}


def drawn(*rings):
    return coco.decode(coco.frPyObjects([list(map(float, ring)) for ring in rings], HEIGHT, WIDTH)).any(axis=2)


def write(path, *samples):
    path.write_text(json.dumps({"samples": samples}))
    return path


MASKS = {
    "compressed": (compressed(FIELD), FIELD),
    "uncompressed": (uncompressed(POND), POND),
    "uncompressed, full": ({"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}, np.ones((HEIGHT, WIDTH), bool)),
    "list of one": ([compressed(FIELD)], FIELD),
    "list of one uncompressed": ([uncompressed(POND)], POND),
    "list of two": ([compressed(FIELD), uncompressed(POND)], FIELD | POND),
    "polygon": ([RING], FIELD),
    "polygons": ([RING, STAR], drawn(RING, STAR)),
    "null": (None, FIELD & POND),
    "empty list": ([], FIELD & POND),
}


@pytest.mark.parametrize(("value", "expected"), MASKS.values(), ids=MASKS)
def test_every_form_of_a_mask_is_its_pixels(value, expected, tmp_path):
    reference = read_references(write(tmp_path / "t.json", {"sample_id": "a", "segmentation": value} | SIDES))["a"]
    assert np.array_equal(decoded(reference.segmentation), expected)
    several = isinstance(value, list) and len(value) > 1 and isinstance(value[0], dict)
    assert [decoded(target).sum() for target in reference.targets] == ([FIELD.sum(), POND.sum()] if several else [])


@pytest.mark.parametrize("value", [uncompressed(POND), [compressed(POND)], [[16, 2, 28, 2, 28, 10, 16, 10]]])
def test_ignored_pixels_have_the_same_forms(value, tmp_path):
    record = {"sample_id": "a", "segmentation": [RING], "ignore": value} | SIDES
    reference = read_references(write(tmp_path / "t.json", record))["a"]
    assert np.array_equal(decoded(reference.ignore), POND)
    assert np.array_equal(decoded(reference.segmentation), FIELD)


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ({}, r'segmentation: polygons need the size of the image; add "height" and "width" in pixels to the sample'),
        ({"height": 20}, 'polygons need the size of the image; add "height" and "width"'),
        ({"height": "20", "width": 30}, r"samples\[0\].height: .*a whole number of pixels"),
        ({"height": 20, "width": 10**9}, r"samples\[0\].width: "),
    ],
)
def test_polygons_need_the_sides_of_the_sample(sides, words, tmp_path):
    with pytest.raises(TruthError, match=words) as raised:
        read_references(write(tmp_path / "t.json", {"sample_id": "a", "segmentation": [RING]} | sides))
    assert len(raised.value.faults) == 1


FIRST = {"sample_id": "a", "segmentation": [RING], "category": "field"} | SIDES
SECOND = {"height": HEIGHT, "width": WIDTH, "segmentation": uncompressed(POND), "sample_id": "b"}
LINES = f"{json.dumps(FIRST)}\n\n{json.dumps(SECOND)}\n"
DOCUMENT = json.dumps({"licence": [{"id": 1}], "samples": [FIRST, SECOND], "info": {"version": 1}})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", DOCUMENT.encode()),
        ("t.json", b"\xef\xbb\xbf" + DOCUMENT.encode()),
        ("t.json", json.dumps([FIRST, SECOND]).encode()),
        ("t.json.gz", gzip.compress(DOCUMENT.encode(), mtime=0)),
        ("t.jsonl", LINES.encode()),
        ("t.ndjson", LINES.encode()),
        ("t.ndjson", f'{{"info": {{}}}}\n{LINES}'.encode()),
        ("t.txt", LINES.encode()),
        ("t.txt", "".join(reversed(LINES.splitlines(keepends=True))).encode()),
        ("t.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
    ],
)
def test_every_packing_holds_the_same_samples(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    references = read_references(path)
    assert sorted(references) == ["a", "b"]
    assert np.array_equal(decoded(references["a"].segmentation), FIELD)
    assert np.array_equal(decoded(references["b"].segmentation), POND)
    assert references["a"].category == "field"
    # By hand: both squares are 100 pixels, of which 10 columns are shared with FIELD itself.
    assert evaluate({"a": FIELD, "b": None}, path, "native", resamples=0)["cIoU"] == 100 / (100 + POND.sum())


def test_a_folder_zip_or_npz_of_masks_is_ground_truth(tmp_path):
    folder = tmp_path / "masks"
    (folder / "north").mkdir(parents=True)
    Image.fromarray(FIELD).save(folder / "a.png")
    np.save(folder / "north" / "b.npy", POND)
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        archive.write(folder / "a.png", "a.png")
        archive.write(folder / "north" / "b.npy", "masks/b.npy")
    np.savez(tmp_path / "masks.npz", a=FIELD, b=POND)
    for path in (folder, tmp_path / "masks.zip", tmp_path / "masks.npz"):
        references = read_references(path)
        assert [decoded(references[name].segmentation).sum() for name in "ab"] == [FIELD.sum(), POND.sum()]
    Image.fromarray(FIELD).save(folder / "a__1.png")
    with pytest.raises(TruthError, match=r"a__1: a sample has one mask; name it SAMPLE_ID\.png"):
        read_references(folder)


@pytest.mark.parametrize("value", [None, [[0, 0, 60_000, 0, 60_000, 60_000]]])
def test_a_huge_stated_size_costs_no_memory(value, tmp_path):
    record = {"sample_id": "a", "segmentation": value, "height": 60_000, "width": 60_000}
    tracemalloc.start()
    reference = read_references(write(tmp_path / "t.json", record))["a"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A triangle that is half of the square, to the pixels of its diagonal.
    assert reference.area == pytest.approx(0 if value is None else 60_000**2 / 2, rel=1e-4)
    assert peak < 100 << 20
    record |= {"height": 100_000, "width": 100_000}
    with pytest.raises(TruthError, match=r"fewer than 2\^32 pixels; write compressed counts"):
        read_references(write(tmp_path / "t.json", record))

"""Every form of a mask in a record is the mask that numpy or pycocotools draws, or is refused with a remedy."""

import gzip
import json

import numpy as np
import pytest
from pycocotools import mask as coco

from earthreason import evaluate
from earthreason.errors import DataFormatError, DataNotFoundError, PredictionsError
from earthreason.predictions import (
    from_coco,
    from_folder,
    open_predictions,
    read_predictions,
    text_file,
    write_predictions,
)
from earthreason.types import Prediction
from tests.encodings import compressed, decoded, uncompressed

HEIGHT, WIDTH = 40, 50
LEFT, RIGHT = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
LEFT[10:30, 5:20] = True
RIGHT[5:25, 30:45] = True


def sizes(_):
    return HEIGHT, WIDTH


def read(value, size_of=sizes):
    faults = []
    (prediction,) = list(from_coco([{"image_id": "a", "segmentation": value}]).read(faults, size_of)) or [None]
    return prediction, faults


@pytest.mark.parametrize("mask", [LEFT, RIGHT, LEFT | RIGHT, ~LEFT, LEFT & RIGHT, np.ones((HEIGHT, WIDTH), bool)])
def test_runs_text_and_bytes_are_the_same_mask(mask):
    text = compressed(mask)
    for value in (text, uncompressed(mask), {**text, "counts": text["counts"].encode()}):
        prediction, faults = read(value)
        assert not faults
        assert prediction.segmentation == text
        assert prediction.targets == ()


def test_runs_of_no_pixels_are_joined_so_that_equal_masks_have_equal_text():
    runs = uncompressed(LEFT)
    first, *rest = runs["counts"]
    prediction, _ = read({**runs, "counts": [3, 0, first - 3, *rest, 0, 0]})
    assert prediction.segmentation == compressed(LEFT)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([5, 5], "add up to 10, not to 40 x 50"),
        ([], "add up to 0"),
        ([2001], "add up to 2001"),
        ([2010, -10], "none negative"),
        ([2000.0], "whole numbers"),
        ([True, 1999], "whole numbers"),
        (["2000"], "whole numbers"),
        ([10**30], "add up to"),
    ],
)
def test_runs_that_do_not_fill_the_mask_are_refused(counts, words):
    prediction, faults = read({"size": [HEIGHT, WIDTH], "counts": counts})
    assert prediction is None
    assert len(faults) == 1
    assert faults[0].startswith("[0].segmentation: ")
    assert words in faults[0]


RING = [5, 10, 20, 10, 20, 30, 5, 30]
STAR = [30.5, 5.2, 44.9, 24.0, 28.1, 12.7, 46.0, 11.9, 33.3, 26.4]


@pytest.mark.parametrize("rings", [[RING], [STAR], [RING, STAR], [[-5, -5, 60, -5, 60, 45]], [[50, 0, 50, 40, 0, 40]]])
def test_polygons_are_drawn_as_pycocotools_draws_them(rings):
    prediction, faults = read(rings)
    assert not faults
    expected = coco.decode(coco.frPyObjects([list(map(float, ring)) for ring in rings], HEIGHT, WIDTH)).any(axis=2)
    assert np.array_equal(decoded(prediction.segmentation), expected)
    assert prediction.targets == ()


def test_a_polygon_of_a_rectangle_is_its_pixels():
    assert np.array_equal(decoded(read([RING])[0].segmentation), LEFT)


@pytest.mark.parametrize(
    ("rings", "words"),
    [
        ([[1, 2, 3, 4]], "ring 0 of the polygons has 4 numbers"),
        ([RING, [1, 2, 3, 4, 5, 6, 7]], "ring 1 of the polygons has 7 numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "has the coordinate nan"),
        ([[1, 2, 3, 4, 5, float("inf")]], "has the coordinate inf"),
        ([[1, 2, 3, 4, 5, 1e300]], "has the coordinate 1e\\+300"),
        ([[1, 2, 3, 4, 5, 10**400]], "has the coordinate"),
        ([[1, 2, 3, 4, 5, "6"]], "not a list of numbers"),
        ([[1, 2, 3, 4, 5, True]], "not a list of numbers"),
        ([[[1, 2], [3, 4], [5, 6]]], "not a list of numbers"),
        ([[0, 0, 900_000, 900_000, 0, 900_000] * 3], "outline"),
        (RING, r"segmentation as a list contains polygons \[\[x1, y1"),
        ([RING, compressed(LEFT)], "ring 1 of the polygons is not a list of numbers"),
        (["abc"], "segmentation as a list contains"),
        ([None], "segmentation as a list contains"),
    ],
)
def test_what_is_no_polygon_is_refused(rings, words):
    prediction, faults = read(rings)
    assert prediction is None
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(faults)
    assert len(faults) == 1


def test_polygons_need_the_size_of_the_image():
    _, faults = read([RING], None)
    assert faults == [
        "[0].segmentation: polygons need the size of the image, which is known only while scoring; write RLE here"
    ]


def test_a_list_of_masks_is_their_union_and_keeps_their_order():
    prediction, faults = read([compressed(RIGHT), uncompressed(LEFT)])
    assert not faults
    assert np.array_equal(decoded(prediction.segmentation), LEFT | RIGHT)
    assert [decoded(target).tolist() for target in prediction.targets] == [RIGHT.tolist(), LEFT.tolist()]
    assert read([compressed(LEFT)])[0].targets == (compressed(LEFT),)
    assert read([])[0].segmentation is None


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ([compressed(LEFT), compressed(LEFT[:, :20])], "the masks of a union have one size"),
        ([compressed(LEFT), {"size": [HEIGHT, WIDTH], "counts": "0"}], "falls short|RLE"),
        ([compressed(LEFT), {"size": [HEIGHT], "counts": "0"}], "mask 1 of the list: size"),
        ([compressed(LEFT), {"size": [HEIGHT, WIDTH], "counts": [1]}], "mask 1 of the list: the run lengths"),
        ([compressed(LEFT), None], "mask 1 of the list"),
        ([compressed(LEFT)] * 10_001, "at most 10000"),
    ],
)
def test_lists_without_a_union_are_refused(masks, words):
    prediction, faults = read(masks)
    assert prediction is None
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(faults)


def test_a_list_of_masks_is_written_and_read_back(tmp_path):
    targets = compressed(RIGHT), compressed(LEFT)
    written = Prediction("a", compressed(LEFT | RIGHT), targets=targets)
    for name in ("p.json", "p.jsonl"):
        write_predictions(tmp_path / name, [written])
        assert read_predictions(tmp_path / name).predictions == [written]


TRUTH = {"a": LEFT | RIGHT, "7": np.zeros((HEIGHT, WIDTH), bool)}


@pytest.mark.parametrize("instances", ["error", "union"])
@pytest.mark.parametrize("form", ["rle", "polygons"])
def test_instances_of_one_image_are_refused_by_default_and_merged_on_request(tmp_path, instances, form):
    halves = [compressed(LEFT), compressed(RIGHT)]
    if form == "polygons":
        halves = [[RING], [[30, 5, 45, 5, 45, 25, 30, 25]]]
    results = [{"image_id": "a", "category_id": 1, "segmentation": half, "score": 0.5} for half in halves]
    results.append({"image_id": 7, "segmentation": None})
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    for source in (
        open_predictions(path, instances),
        from_coco(path, instances=instances),
        from_coco(results, None, instances),
    ):
        if instances == "error":
            with pytest.raises(PredictionsError, match="sample 'a': predicted more than once.*--instances union"):
                evaluate(source, TRUTH, "native", resamples=0)
        else:
            assert evaluate(source, TRUTH, "native", resamples=0)["gIoU"] == 1


def test_merged_instances_keep_the_highest_score_the_first_answer_and_no_targets():
    results = [
        {"image_id": "a", "segmentation": [compressed(LEFT)], "score": 0.2},
        {"image_id": "b", "segmentation": None},
        {"image_id": "a", "segmentation": None, "score": 0.9, "answer": "here"},
        {"image_id": "a", "segmentation": compressed(RIGHT), "answer": "there"},
    ]
    merged = list(from_coco(results, instances="union").read([]))
    assert merged == [Prediction("a", compressed(LEFT | RIGHT), 0, 0.9, "here"), Prediction("b", None)]
    results[3]["segmentation"] = compressed(RIGHT[:, :40])
    faults = []
    assert [p.sample_id for p in from_coco(results, instances="union").read(faults)] == ["b"]
    assert "sample 'a' question 0: its instances have no union" in faults[0]


def test_numbers_of_images_become_the_stems_of_their_files(tmp_path):
    dataset = {"images": [{"id": 11, "file_name": "val/a.jpg"}, {"id": "12", "file_name": "7.png"}]}
    results = [{"image_id": 11, "segmentation": compressed(LEFT | RIGHT)}, {"image_id": 12, "segmentation": None}]
    (tmp_path / "dataset.json").write_text(json.dumps(dataset))
    (tmp_path / "results.json").write_text(json.dumps(results))
    for given, images in ((results, dataset), (tmp_path / "results.json", tmp_path / "dataset.json")):
        assert evaluate(from_coco(given, images), TRUTH, "native", resamples=0)["gIoU"] == 1
    faults = []
    assert list(from_coco([{"image_id": 99, "segmentation": None}], dataset).read(faults)) == []
    assert faults == ["[0]: image_id '99' is not among the images of the COCO dataset"]


@pytest.mark.parametrize(("sample_id", "agrees"), [("a", True), (11, True), ("11", True), ("7", False), (12, False)])
def test_a_sample_id_that_contradicts_the_image_is_refused(sample_id, agrees):
    dataset = {"images": [{"id": 11, "file_name": "val/a.jpg"}, {"id": 12, "file_name": "7.png"}]}
    faults = []
    result = {"image_id": 11, "sample_id": sample_id, "segmentation": None}
    assert [p.sample_id for p in from_coco([result], dataset).read(faults)] == ["a"] * agrees
    assert faults == ([] if agrees else [f"[0]: image_id '11' is 'a' but sample_id is '{sample_id}'; keep one of them"])


def test_a_dataset_without_images_names_no_result(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": "a", "segmentation": None}]))
    for results in (path, json.loads(path.read_text())):
        with pytest.raises(PredictionsError, match="image_id 'a' is not among the images"):
            evaluate(from_coco(results, {"images": []}), TRUTH, "native", resamples=0)


def test_what_is_no_coco_dataset_is_refused(tmp_path):
    same = {"images": [{"id": 1, "file_name": "x/a.png"}, {"id": 2, "file_name": "y/a.png"}]}
    for images, words in ((same, "the file stem 'a'"), ({}, "a COCO dataset has"), ({"images": [{}]}, "needs 'id'")):
        with pytest.raises(DataFormatError, match=words):
            from_coco([], images)
    with pytest.raises(DataNotFoundError, match="no COCO dataset"):
        from_coco([], tmp_path / "nothing.json")
    with pytest.raises(PredictionsError, match="a list of records"):
        from_coco({"annotations": []})


@pytest.mark.parametrize("name", ["p.json.gz", "p.jsonl.gz", "p.ndjson.gz", "p.json", "p"])
@pytest.mark.parametrize("lines", [False, True])
def test_text_packed_by_gzip_is_known_by_its_content(tmp_path, name, lines):
    records = [{"sample_id": "a", "segmentation": compressed(LEFT)}, {"sample_id": "b", "segmentation": None}]
    text = (
        "\n".join(map(json.dumps, records)) if lines else json.dumps({"info": {"model": "m"}, "predictions": records})
    )
    (tmp_path / name).write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    assert [p.sample_id for p in read_predictions(tmp_path / name).predictions] == ["a", "b"]


def test_a_gzip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text_file, "MAX_UNPACKED_BYTES", 3 << 20)
    path = tmp_path / "p.json.gz"
    path.write_bytes(gzip.compress(b"[" + b" " * (4 << 20) + b"]"))
    with pytest.raises(PredictionsError, match="unpacks to over 3 MiB; unpack it with gunzip"):
        read_predictions(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "head only"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    content = bytearray(gzip.compress(json.dumps([{"sample_id": "a", "segmentation": None}] * 1000).encode()))
    if damage == "flipped":
        content[-6] ^= 1  # in the check sum
    path = tmp_path / "p.json.gz"
    path.write_bytes({"cut": content[:-30], "flipped": content, "head only": content[:2]}[damage])
    with pytest.raises(PredictionsError, match="a damaged gzip file .*; pack or copy the file again"):
        read_predictions(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_holds_one_array_a_question(tmp_path, save):
    path = tmp_path / "masks.npz"
    save(path, **{"a": LEFT, "a__2": RIGHT.astype(np.uint8) * 255, "b": np.asfortranarray(LEFT).astype(np.float64)})
    found = {(p.sample_id, p.question_index): decoded(p.segmentation) for p in from_folder(path).read([])}
    assert found.keys() == {("a", 0), ("a", 2), ("b", 0)}
    assert np.array_equal(found["a", 0], LEFT)
    assert np.array_equal(found["a", 2], RIGHT)
    assert np.array_equal(found["b", 0], LEFT)


def test_a_file_that_changes_after_it_was_opened_is_refused(tmp_path):
    path = tmp_path / "p.json"
    for indent in (None, "\u2003"):  # decoded at once, and read record by record
        text = json.dumps([{"sample_id": "a", "segmentation": compressed(LEFT)}])
        path.write_text(text if indent is None else text.replace("[{", '[{"bbox": [], '))
        opened = open_predictions(path)
        assert evaluate(opened, {"a": LEFT}, "native", resamples=0)["gIoU"] == 1
        path.write_text(json.dumps([{"sample_id": "a", "segmentation": None, "bbox": [0, 0, 1, 1]}]))
        for again in (lambda opened=opened: list(opened.read([])), opened.fingerprint):
            with pytest.raises(PredictionsError, match="changed since it was opened; open it again"):
                again()


def test_rings_are_refused_before_their_outlines_take_seconds():
    far = [0, 0, 900_000, 1, 0, 2]
    _, faults = read([far] * 40)
    assert "outlines of" in faults[0]
    assert "at most 9000 are drawn" in faults[0]  # 100 for each row and column
    _, faults = read([[0, 0, 1, 0, 1, 1]] * 10_001)
    assert "10001 rings in one mask; at most 10000" in faults[0]


def test_records_of_large_arrays_that_differ_in_one_run_have_different_hashes():
    runs = np.array([1] * 1999 + [1])
    masks = []
    for at in (900, 902):
        changed = runs.copy()
        changed[at], changed[at + 1] = 0, 2
        masks.append({"size": [40, 50], "counts": changed})
    first, second = (from_coco([{"image_id": "a", "segmentation": mask}]).fingerprint() for mask in masks)
    assert first != second


def test_prediction_objects_may_hold_what_pycocotools_returns():
    raw = coco.encode(np.asfortranarray(LEFT, np.uint8))
    other = compressed(RIGHT)
    both = coco.merge([raw, coco.encode(np.asfortranarray(RIGHT, np.uint8))])
    assert evaluate([Prediction("a", raw)], {"a": LEFT}, "native", resamples=0)["gIoU"] == 1
    several = Prediction("a", both, targets=(raw, other))
    assert evaluate([several], {"a": [LEFT, RIGHT]}, "native", resamples=0)["gIoU"] == 1
    with pytest.raises(PredictionsError, match="an RLE size is"):
        evaluate([Prediction("a", {"size": [40, 50, 1], "counts": "0"})], {"a": LEFT}, "native", resamples=0)


def test_records_with_polygons_are_drawn_at_the_size_of_the_truth():
    record = {"sample_id": "a", "segmentation": [[5, 10, 20, 10, 20, 30, 5, 30]]}
    assert evaluate([record], {"a": LEFT}, "native", resamples=0)["gIoU"] == 1


@pytest.mark.parametrize("side", [65_536, 65_537])
def test_run_lengths_of_more_pixels_than_32_bits_are_refused(side):
    faults = []
    value = {"size": [65_536, side], "counts": [65_536 * side]}
    assert list(from_coco([{"image_id": "a", "segmentation": value}]).read(faults, lambda _: None)) == []
    assert "fewer than 2^32 pixels" in faults[0]

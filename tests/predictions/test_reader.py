import hashlib
import json
import random
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from earthreason.errors import DataNotFoundError, EarthReasonError, PredictionsError
from earthreason.masks.grids import Grid
from earthreason.masks.rle import decode_rle, encode_mask
from earthreason.predictions import Predictions, open_predictions, read_predictions, write_predictions
from earthreason.predictions import members as members_module
from earthreason.predictions import stream as stream_module
from earthreason.types import Prediction

MASK = np.eye(4, dtype=bool)
RLE = encode_mask(MASK)
RECORD = {"sample_id": "a", "segmentation": RLE}


def read(tmp_path, content, name="preds.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_predictions(path)


def faults(tmp_path, content, name="preds.json"):
    with pytest.raises(PredictionsError) as caught:
        read(tmp_path, content, name)
    return str(caught.value)


def test_bare_list_and_object_read_the_same(tmp_path):
    bare = read(tmp_path, [RECORD]).predictions
    assert bare == read(tmp_path, {"info": {"model": "m"}, "predictions": [RECORD]}).predictions
    assert bare == [Prediction("a", RLE)]


def test_info_may_come_after_the_predictions(tmp_path):
    content = {"predictions": [RECORD], "more": {"x": [1]}, "info": {"grid": "letterbox-1024"}}
    assert read(tmp_path, content).grid.name == "letterbox-1024"


def test_coco_results_read_as_predictions(tmp_path):
    record = {"image_id": 7, "category_id": 1, "segmentation": RLE, "score": 0.5}
    assert read(tmp_path, [record]).predictions == [Prediction("7", RLE, score=0.5)]


def test_jsonl_with_info_on_its_first_line(tmp_path):
    lines = json.dumps({"info": {"model": "m"}}) + "\n\n" + json.dumps(RECORD) + "\n"
    read_back = read(tmp_path, lines, "preds.jsonl")
    assert read_back.info == {"model": "m"}
    assert len(read_back.predictions) == 1


def test_byte_order_marks_are_skipped(tmp_path):
    assert len(read(tmp_path, "\ufeff" + json.dumps([RECORD])).predictions) == 1


def masks_folder(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    Image.fromarray(MASK).save(folder / "a.png")
    Image.fromarray((MASK * 255).astype(np.uint8)).save(folder / "b__3.png")
    (folder / ".DS_Store").write_bytes(b"x")
    return folder


def test_a_folder_and_a_zip_of_masks_read_the_same(tmp_path):
    folder = masks_folder(tmp_path)
    archive = tmp_path / "masks.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"inner/{path.name}")
        file.writestr("__MACOSX/._a.png", b"x")
    expected = [Prediction("a", RLE), Prediction("b", RLE, question_index=3)]
    assert read_predictions(folder).predictions == expected
    assert read_predictions(archive).predictions == expected
    assert np.array_equal(decode_rle(expected[0].segmentation), MASK)


def test_other_files_among_masks_are_named(tmp_path):
    folder = masks_folder(tmp_path)
    (folder / "notes.txt").write_text("x")
    Image.new("RGB", (4, 4)).save(folder / "c.jpg")
    (folder / "d.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(PredictionsError) as caught:
        read_predictions(folder)
    for words in ("notes.txt: expected SAMPLE_ID.png", "c.jpg: expected SAMPLE_ID.png", "d.png: not a read"):
        assert words in str(caught.value)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(members_module, "MAX_MEMBER_BYTES", 10)
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(masks_folder(tmp_path) / "a.png", "a.png")
    with pytest.raises(PredictionsError, match="unpacks to over"):
        read_predictions(archive)


def test_a_truncated_zip_is_an_error_of_ours(tmp_path):
    archive = tmp_path / "masks.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(masks_folder(tmp_path) / "a.png", "a.png")
    content = bytearray(archive.read_bytes())
    content[40:60] = bytes(20)
    archive.write_bytes(content)
    with pytest.raises(PredictionsError):
        read_predictions(archive)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("{", "found the end of the file|line 1"),
        ("[1, 2", "expected"),
        ('{"a": 1}', "no list under 'predictions'"),
        ('"text"', "expected a list of predictions"),
        ("[] []", "something follows"),
        ('[{"sample_id": "a", "segmentation": NaN}]', "NaN is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "line 1"),
        ('{"info": 3, "predictions": []}', "info: expected an object, got int"),
        ([RECORD, 7], r"\[1\]"),
        ('{"info": {"grid": "letterbox"}, "predictions": []}', "info.grid: unknown grid 'letterbox'"),
        ([{"segmentation": None}], r"\[0\].sample_id: field required"),
        ([{"sample_id": "a"}], r"\[0\].segmentation: field required"),
        ([{"sample_id": "a", "segmentation": [[1, 2, 3]]}], r"\[0\].segmentation"),
        ([{"sample_id": "a", "segmentation": {"size": [4, 4], "counts": [1, 2]}}], "add up to 3, not to 4 x 4"),
        ([{"sample_id": "a", "segmentation": {"size": [4], "counts": "0"}}], r"segmentation.size"),
        ([{"sample_id": "a", "segmentation": {"size": [10**9, 4], "counts": "0"}}], r"segmentation.size.0"),
        ([{"sample_id": "a", "segmentation": None, "question_index": -1}], "question_index"),
        ([{"sample_id": True, "segmentation": None}], "sample_id"),
        ([7], r"\[0\]"),
    ],
)
def test_broken_files_say_what_is_wrong_and_where(tmp_path, content, words):
    with pytest.raises(PredictionsError, match=words) as caught:
        read(tmp_path, content)
    assert "preds.json" in str(caught.value)


def test_not_utf8_is_told(tmp_path):
    path = tmp_path / "preds.json"
    path.write_bytes(b'[{"sample_id": "\xe9"}]')
    with pytest.raises(PredictionsError, match="0xe9 is not UTF-8"):
        read_predictions(path)


def test_all_faults_are_counted_and_ten_are_shown(tmp_path):
    text = faults(tmp_path, [{"sample_id": ""}] * 8)
    assert "16 errors" in text
    assert "... and 6 more" in text
    assert text.count("\n") == 11


def test_broken_lines_do_not_hide_later_ones(tmp_path):
    text = faults(tmp_path, '{"sample_id"\n' + json.dumps(RECORD) + "\n[]\n", "preds.jsonl")
    assert "line 1: not JSON" in text
    assert "line 3" in text


def test_what_was_read_names_its_file_grid_and_info(tmp_path):
    info = {"model": "m", "grid": "letterbox-512"}
    for name, content in (
        ("a.json", json.dumps({"info": info, "predictions": [RECORD]})),
        ("b.jsonl", json.dumps({"info": info}) + "\n" + json.dumps(RECORD)),
    ):
        expected = Predictions(str(tmp_path / name), [Prediction("a", RLE)], Grid("letterbox", 512), info)
        assert read(tmp_path, content, name) == expected
    assert read(tmp_path, [RECORD]) == Predictions(
        str(tmp_path / "preds.json"), [Prediction("a", RLE)], Grid("native"), {}
    )
    folder = masks_folder(tmp_path)
    opened = open_predictions(str(folder))
    assert (opened.source, opened.grid.name, opened.info) == (str(folder), "native", {})


def test_info_after_the_first_line_of_jsonl_is_a_fault(tmp_path):
    lines = json.dumps(RECORD) + "\n" + json.dumps({"info": {"grid": "letterbox-512"}}) + "\n"
    (tmp_path / "preds.jsonl").write_text(lines)
    assert open_predictions(tmp_path / "preds.jsonl").grid.name == "native"
    assert "line 2.sample_id: field required" in faults(tmp_path, lines, "preds.jsonl")


def test_a_file_opens_if_one_prediction_is_valid_or_none_is_wrong(tmp_path):
    path = tmp_path / "preds.json"
    path.write_text(json.dumps([RECORD, 7]))
    gathered = []
    assert list(open_predictions(path).read(gathered)) == [Prediction("a", RLE)]
    assert len(gathered) == 1
    path.write_text("[]")
    assert list(open_predictions(path).read(gathered)) == []
    path.write_text("[7]")
    with pytest.raises(PredictionsError, match=r"\[0\]") as caught:
        open_predictions(path)
    assert str(path) in str(caught.value)


def test_fingerprints_are_sha256_of_files_and_records(tmp_path):
    folder = masks_folder(tmp_path)
    contents = [(name, (folder / name).read_bytes()) for name in ("a.png", "b__3.png")]
    joined = b"".join(f"{len(name)}:{name}{len(content)}:".encode() + content for name, content in contents)
    assert open_predictions(folder).fingerprint() == hashlib.sha256(joined).hexdigest()
    path = tmp_path / "preds.json"
    path.write_text(json.dumps([RECORD]))
    assert open_predictions(path).fingerprint() == hashlib.sha256(path.read_bytes()).hexdigest()
    in_memory = Predictions("memory", [Prediction("a", None), Prediction("b", None, score=0.5)], Grid("letterbox", 512))
    text = (
        'letterbox-512{"question_index": 0, "sample_id": "a", "segmentation": null}'
        '{"question_index": 0, "sample_id": "b", "score": 0.5, "segmentation": null}'
    )
    assert in_memory.fingerprint() == hashlib.sha256(text.encode()).hexdigest()


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataNotFoundError, match="nothing.json"):
        open_predictions(tmp_path / "nothing.json")


records = st.builds(
    Prediction,
    sample_id=st.text(min_size=1, max_size=12),
    segmentation=st.one_of(st.none(), st.just(RLE)),
    question_index=st.integers(0, 9),
    score=st.one_of(st.none(), st.floats(0, 1)),
    answer=st.one_of(st.none(), st.text(max_size=30)),
)


@given(st.lists(records, max_size=8), st.sampled_from([".json", ".jsonl"]), st.integers(1, 40))
@settings(max_examples=150)
def test_what_is_written_reads_back_whatever_the_size_of_a_chunk(tmp_path_factory, predictions, suffix, chunk):
    path = tmp_path_factory.mktemp("round") / f"preds{suffix}"
    write_predictions(path, predictions, {"model": "m"})
    original = stream_module._CHUNK
    stream_module._CHUNK = chunk
    try:
        back = read_predictions(path)
    finally:
        stream_module._CHUNK = original
    assert back.predictions == predictions
    assert back.info == {"model": "m"}


def test_ten_thousand_damaged_files_never_end_in_another_error(tmp_path):
    """Bytes of a good file are flipped, cut and repeated; reading either works or says why not."""
    good = json.dumps({"info": {"model": "m"}, "predictions": [RECORD, {"image_id": 3, "segmentation": None}]}).encode()
    generator = random.Random(0)
    path = tmp_path / "preds.json"
    refused = 0
    for _ in range(10_000):
        damaged = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            at = generator.randrange(len(damaged))
            kind = generator.randrange(3)
            if kind == 0:
                damaged[at] = generator.randrange(256)
            elif kind == 1:
                del damaged[at : at + generator.randint(1, 20)]
            else:
                damaged[at:at] = damaged[at : at + generator.randint(1, 20)]
            if not damaged:
                damaged = bytearray(b" ")
        path.write_bytes(damaged)
        try:
            read_predictions(path)
        except EarthReasonError:
            refused += 1
    assert refused > 5000

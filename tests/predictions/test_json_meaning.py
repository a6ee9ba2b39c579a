"""One JSON text has one meaning: what readers of JSON disagree on is refused, with its place and a remedy."""

import codecs
import json

import pytest

from earthreason.errors import PredictionsError
from earthreason.masks.rle import encode_mask
from earthreason.predictions import open_predictions, read_predictions

RLE = encode_mask([[0, 1], [0, 1]])
MASK = json.dumps(RLE)
SOUND = f'{{"sample_id": "a", "segmentation": {MASK}}}'


def faults_of(tmp_path, content, name="preds.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PredictionsError) as caught:
        read_predictions(path)
    return str(caught.value)


REPEATED = [
    ('{"sample_id": "a", "sample_id": "b", "segmentation": null}', "key 'sample_id' is written more than once"),
    (f'{{"sample_id": "a", "segmentation": null, "segmentation": {MASK}}}', "key 'segmentation'"),
    ('{"sample_id": "a", "segmentation": {"size": [2, 2], "size": [1, 4], "counts": "22"}}', "key 'size'"),
    ('{"sample_id": "a", "segmentation": null, "more": {"x": [{"y": 1, "y": 2}]}}', "key 'y'"),
    ('{"sample_id": "a", "\\u0073ample_id": "b", "segmentation": null}', "key 'sample_id'"),
    ('{"sample_id": "a", "image_id": "b", "segmentation": null}', "sample_id is 'a' but image_id is 'b'; keep one"),
    ('{"sample_id": "7", "image_id": 8, "segmentation": null}', "sample_id is '7' but image_id is '8'"),
]


@pytest.mark.parametrize(("record", "words"), REPEATED)
def test_a_repeated_key_is_refused_at_its_place_and_does_not_hide_later_faults(tmp_path, record, words):
    for text, place in ((f"[{SOUND}, {record}, 7]", "[1]"), (f'{{"predictions": [{record}, 7]}}', "predictions[0]")):
        message = faults_of(tmp_path, text)
        assert f"{place}: {words}" in message
        assert "2 errors" in message
    assert f"line 2: {words}" in faults_of(tmp_path, f"{SOUND}\n{record}\n", "preds.jsonl")


@pytest.mark.parametrize("image_id", ['"7"', "7"])
def test_the_same_id_under_both_keys_is_accepted(tmp_path, image_id):
    (tmp_path / "p.json").write_text(f'[{{"sample_id": "7", "image_id": {image_id}, "segmentation": null}}]')
    assert read_predictions(tmp_path / "p.json").predictions[0].sample_id == "7"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'{{"predictions": [{SOUND}], "predictions": []}}', "key 'predictions' is written more than once"),
        (f'{{"info": {{}}, "info": {{"grid": "letterbox-512"}}, "predictions": [{SOUND}]}}', "key 'info'"),
        (f'{{"info": {{"grid": "native", "grid": "letterbox-512"}}, "predictions": [{SOUND}]}}', "key 'grid'"),
        (f'{{"x": 1, "x": 2, "predictions": [{SOUND}]}}', "key 'x'"),
        (f'{{"x": {{"y": 1, "y": 2}}, "predictions": [{SOUND}]}}', "key 'y'"),
        (f'{{"info": {{"model": "\\ud800"}}, "predictions": [{SOUND}]}}', "info: a text or number in it cannot be"),
        (f'{{"info": {{"x": 1e999}}, "predictions": [{SOUND}]}}', "info: a text or number in it cannot be"),
    ],
)
def test_repeated_keys_around_the_records_are_refused(tmp_path, text, words):
    assert words in faults_of(tmp_path, text)


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\u2028", "\x0b", "\x0c", "\x1c", "\x85", "\ufeff"])
@pytest.mark.parametrize("where", ["{0}[{1}]", "[{0}{1}]", "[{1}{0}]", "[{1},{0}{1}]", "[{1}]{0}"])
def test_only_four_characters_are_white_space(tmp_path, space, where):
    """RFC 8259, section 2: space, tab, line feed and carriage return."""
    if space == "\ufeff" and where.startswith("{0}"):
        pytest.skip("there it is the byte order mark")
    text = where.format(space, SOUND)
    with pytest.raises(ValueError, match="."):
        json.loads(text)
    assert "1 error" in faults_of(tmp_path, text)
    assert "not JSON" in faults_of(tmp_path, f"{SOUND}\n{space}\n", "preds.jsonl")


def test_the_four_characters_are_white_space(tmp_path):
    (tmp_path / "p.json").write_text(f" \t\r\n[ \t\r\n{SOUND}\t]\r\n\t ")
    assert len(read_predictions(tmp_path / "p.json").predictions) == 1


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ('{"image_id": 1.0, "segmentation": null}', "image_id: "),
        ('{"image_id": 1e2, "segmentation": null}', "image_id: "),
        ('{"image_id": true, "segmentation": null}', "image_id: "),
        ('{"image_id": null, "segmentation": null}', "image_id: "),
        ('{"image_id": "\\ud800", "segmentation": null}', "image_id: "),
        (f'{{"image_id": {"9" * 600}, "segmentation": null}}', "image_id: "),
        ('{"sample_id": "a", "segmentation": null, "question_index": 0.0}', "question_index: "),
        ('{"sample_id": "a", "segmentation": null, "question_index": true}', "question_index: "),
        ('{"sample_id": "a", "segmentation": null, "question_index": "1"}', "question_index: "),
        ('{"sample_id": "a", "segmentation": null, "score": 1e999}', "score: "),
        ('{"sample_id": "a", "segmentation": null, "score": "0.5"}', "score: "),
        ('{"sample_id": "a", "segmentation": {"size": [2.0, 2], "counts": "22"}}', "segmentation.size.0: "),
        ('{"sample_id": "a", "segmentation": {"size": [true, 2], "counts": "22"}}', "segmentation.size.0: "),
        ('{"sample_id": "a", "segmentation": {"size": [2, 2], "counts": 22}}', "segmentation.counts: "),
        ('{"sample_id": "a", "segmentation": false}', "segmentation: "),
        ('{"sample_id": "a", "segmentation": 0}', "segmentation: "),
    ],
)
def test_values_of_another_type_are_refused_with_a_remedy(tmp_path, record, words):
    message = faults_of(tmp_path, f"[{record}]")
    assert f"[0].{words}" in message
    assert "; " in message.splitlines()[1]


def test_minus_zero_is_zero(tmp_path):
    (tmp_path / "p.json").write_text('[{"image_id": -0, "segmentation": null, "question_index": -0}]')
    (prediction,) = read_predictions(tmp_path / "p.json").predictions
    assert (prediction.sample_id, prediction.question_index) == ("0", 0)


@pytest.mark.parametrize(
    "text",
    [
        f"[{SOUND},]",
        f"[{SOUND} // the first\n]",
        f"[/* none */ {SOUND}]",
        f"[{SOUND.replace(chr(34), chr(39))}]",
        '[{"sample_id": "a", "segmentation": None}]',
        '[{"sample_id": "a", "segmentation": -Infinity}]',
        '[{"sample_id": "a\nb", "segmentation": null}]',
        '[{"sample_id": "a\0b", "segmentation": null}]',
        '[{sample_id: "a", "segmentation": null}]',
        f"[{SOUND}",
        f"[{SOUND}]]",
        '[{"image_id": 01, "segmentation": null}]',
    ],
)
def test_dialects_of_json_are_refused(tmp_path, text):
    assert "not a predictions file: " in faults_of(tmp_path, text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_other_encodings_are_named(tmp_path, encoding):
    message = faults_of(tmp_path, f"[{SOUND}]".encode(encoding))
    assert f"the text is {encoding[:6].upper()}; write the file as UTF-8" in message


@pytest.mark.parametrize("head", [codecs.BOM_UTF8[:1], codecs.BOM_UTF8[:2]])
def test_a_cut_byte_order_mark_is_refused(tmp_path, head):
    assert "0xef is not UTF-8" in faults_of(tmp_path, head + f"[{SOUND}]".encode())
    assert "0xef is not UTF-8" in faults_of(tmp_path, head)


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.ndjson", "p.txt", "p"])
@pytest.mark.parametrize("info", ["", '{"info": {"model": "m"}}\n'])
def test_json_lines_are_known_by_their_content(tmp_path, name, info):
    (tmp_path / name).write_text(f"{info}{SOUND}\n\n{SOUND}\n")
    opened = read_predictions(tmp_path / name)
    assert (len(opened.predictions), opened.info) == (2, {"model": "m"} if info else {})


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["p.jsonl", "p.ndjson", "p"])
def test_one_json_value_is_known_by_its_content_too(tmp_path, name, indent):
    record = json.loads(SOUND)
    for value in ([record], {"info": {"model": "m"}, "predictions": [record]}, {"predictions": [record], "x": 1}):
        (tmp_path / name).write_text(json.dumps(value, indent=indent))
        assert len(read_predictions(tmp_path / name).predictions) == 1


def test_a_fault_of_the_info_is_said_when_the_file_is_opened(tmp_path):
    (tmp_path / "p.json").write_text('{"info": {"a": 1, "a": 2}, "predictions": []}')
    with pytest.raises(PredictionsError, match="info: key 'a' is written more than once"):
        open_predictions(tmp_path / "p.json")

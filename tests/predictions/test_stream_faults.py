"""What the reader says about text that is no predictions file, and what it still reads of JSON Lines."""

import gzip

import pytest

from earthreason.predictions import stream
from earthreason.predictions.stream import text_values

RECORD = '{"sample_id": "a"}'
VALUE = {"sample_id": "a"}
SHAPE = 'expected a list of predictions or {"info": {...}, "predictions": [...]}'


def read(path, text):
    path.write_text(text)
    faults = []
    return list(text_values(path, faults)), faults


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("3", f"{SHAPE}, found '3'; write the file with json.dump"),
        ('{"predictions": {}}', f"line 1: {SHAPE}; 'predictions' is not a list"),
        ('{"other": [1]}', f"an object with the keys other; {SHAPE}, but there is no list under 'predictions'"),
        ('{"info": {}, 1: 2}', "line 1: a key is text in double quotes; write the file with json.dump"),
        ("[1 2]", "line 1: expected ',', found '2'"),
        ('[1, {"a" 1}]', "line 1: expecting ':' delimiter"),
        ("[1\n", "line 2: expected ',', found the end of the file"),
        (f'{{"{"k" * 70}": 1, "{"k" * 70}": 2}}', f"line 1: key '{'k' * 60}' is written more than once; keep one"),
        (f'{{"{"k" * 70}": {{"a": 1, "a": 2}}}}', f"line 1: in '{'k' * 60}': key 'a' is written more than once"),
    ],
)
def test_what_is_no_predictions_file_is_named(tmp_path, text, words):
    values, (fault,) = read(tmp_path / "p.json", text)
    assert [value for place, value in values if place != "info"] in ([], [1])
    assert fault.startswith(f"not a predictions file: {words}")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: not JSON: Expecting property name"),
        (f"{RECORD} x", "line 2: not JSON: something follows the value at character 19; each line holds one"),
        ("[" * 100_000, "line 2: not JSON: nested too deeply; each line holds one prediction"),
        ("[NaN]", "line 2: not JSON: NaN is not JSON"),
    ],
)
def test_lines_after_a_broken_one_are_read(tmp_path, line, words):
    values, (fault,) = read(tmp_path / "p.jsonl", f"{RECORD}\n{line}\n{RECORD}")
    assert values == [("line 1", VALUE), ("line 3", VALUE)]
    assert fault.startswith(words)


def test_only_the_first_line_holds_the_info(tmp_path):
    path, info = tmp_path / "p.jsonl", '{"info": {"n": 1}}'
    assert read(path, f"{info}\n{RECORD}\n{info}")[0] == [
        ("info", {"n": 1}),
        ("line 2", VALUE),
        ("line 3", {"info": {"n": 1}}),
    ]
    assert read(path, f"x\n{info}\n{RECORD}")[0] == [("line 2", {"info": {"n": 1}}), ("line 3", VALUE)]


def test_the_longest_line_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "MAX_VALUE_CHARACTERS", 1 << 20)
    path = tmp_path / "p.jsonl"
    longest = '{"sample_id": "' + "a" * ((1 << 20) - 18) + '"}\n'  # the line end is counted
    assert len(longest) == 1 << 20
    values, faults = read(path, f"{RECORD}\n{longest}{RECORD}\n")
    assert (len(values), faults) == (3, [])
    values, faults = read(path, f"{RECORD}\n{longest.replace('a', 'aa', 1)}{RECORD}\n")
    assert len(values) == 1
    assert faults == ["not a predictions file: line 2: one value is over 1 MiB"]


def test_the_longest_value_is_bounded_and_said_in_mib(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "MAX_VALUE_CHARACTERS", 2 << 20)
    values, faults = read(tmp_path / "p.json", '[1, "' + "a" * (5 << 20) + '"]')
    assert values == [("[0]", 1)]
    assert faults == ["not a predictions file: line 1: one value is over 2 MiB"]


def test_the_name_decides_only_where_the_content_does_not(tmp_path):
    # A file of plain numbers has no key to judge by.
    assert (
        read(tmp_path / "p.jsonl", "1\n2")[0]
        == read(tmp_path / "p.NDJSON", "1\n2")[0]
        == [("line 1", 1), ("line 2", 2)]
    )
    assert read(tmp_path / "p.json", "1\n2")[0] == []
    (tmp_path / "p.jsonl.GZ").write_bytes(gzip.compress(b"1\n2"))
    assert list(text_values(tmp_path / "p.jsonl.GZ", [])) == [("line 1", 1), ("line 2", 2)]


def test_values_after_a_repeated_key_are_read(tmp_path):
    repeated = '{"a": 1, "a": 2}'
    values, faults = read(tmp_path / "p.json", f"[0, {repeated}, 5, {repeated}, 7]")
    assert [place for place, _ in values] == ["[0]", "[1]", "[2]", "[3]", "[4]"]
    assert [values[number][1] for number in (0, 2, 4)] == [0, 5, 7]
    assert faults == []


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    faults = []
    assert list(text_values(tmp_path, faults)) == []
    assert faults == ["cannot be read: Is a directory; check the file and its permissions"]

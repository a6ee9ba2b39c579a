"""Question files in every encoding are read right, or refused with the name of their encoding."""

import json
from pathlib import Path

import pytest

from earthreason.data.sources.base import read_json
from earthreason.data.sources.release import parse_questions
from earthreason.data.texts import decode_text
from earthreason.errors import DataFormatError

PLACE = Path("QAs/a.json")
CHINESE = "图中哪个区域可以停放飞机？请说明理由。"
FRENCH = "Où se trouve la forêt créée près du château ?"


def questions(text, encoding, mark=b""):
    return mark + json.dumps({"questions": [text], "answer": []}, ensure_ascii=False).encode(encoding)


@pytest.mark.parametrize("text", ["where?", CHINESE, FRENCH, "Where? \U0001f6e9"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("utf-32-be", b""),
    ],
)
def test_unicode_is_read_with_and_without_a_byte_order_mark(text, encoding, mark):
    assert parse_questions(questions(text, encoding, mark), PLACE)["questions"] == [text]


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (CHINESE, "gbk", "gbk"),
        ("Which area is 机场 here?", "gbk", "gbk"),
        ("𠀀 and 机场", "gb18030", "gb18030"),
        (FRENCH, "latin1", "latin1"),
        ("naïve façade, 5 °C, 30 m²", "latin1", "latin1"),
        ("the “green” area – exactly", "cp1252", "cp1252"),
        ("œuvre à côté", "cp1252", "cp1252"),
    ],
)
def test_another_encoding_is_named_with_the_command_that_converts_it(text, encoding, named):
    with pytest.raises(DataFormatError) as caught:
        parse_questions(questions(text, encoding), PLACE)
    message = str(caught.value)
    assert message.startswith("QAs/a.json: byte 0x")
    assert f"probably {named}: iconv -f {named} -t utf-8 a.json" in message
    # The command gives the text.
    assert questions(text, encoding).decode(named) == questions(text, "utf-8").decode()


@pytest.mark.parametrize("damage", [b"\xff", b"\xe5\x9b"])
def test_a_damaged_byte_in_utf_8_is_not_taken_for_another_encoding(damage):
    content = questions(CHINESE, "utf-8").replace("停".encode(), damage)
    with pytest.raises(DataFormatError, match="the rest of the file is, so a byte is damaged; restore the file"):
        parse_questions(content, PLACE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"questions": ["\x81\x8d ?"]}', "byte 0x81 at 16 is not UTF-8; write the file as UTF-8"),
        (questions("why", "utf-16-le", b"\xff\xfe")[:-1], "begins as UTF-16 but is not"),
        (b'{"questions": ["plane \\ud83d"]}', r"\\ud83d is half of a character"),
        (b'{"questions": ["why"], "note": "\\uDEAD"}', r"\\udead is half of a character"),
        (b'{"questions": ["why"], "ground_resolution": 1' + b"0" * 400 + b"}", "ground_resolution is too large"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\0\0\0", "not JSON|begins as"),
    ],
)
def test_what_no_table_can_hold_is_refused_in_one_line(content, words):
    with pytest.raises(DataFormatError, match=words) as caught:
        parse_questions(content, PLACE)
    assert "\n" not in str(caught.value)


def test_a_whole_surrogate_pair_is_one_character():
    assert parse_questions(b'{"questions": ["\\ud83d\\udee9"]}', PLACE)["questions"] == ["\U0001f6e9"]


def test_annotation_files_may_be_in_windows_1252_but_not_in_gbk(tmp_path):
    path = tmp_path / "a.json"
    for text in ("the “green” area", FRENCH):
        path.write_bytes(questions(text, "cp1252"))
        assert read_json(path)["questions"] == [text]
    path.write_bytes(questions(CHINESE, "gbk"))
    with pytest.raises(DataFormatError, match=r"a\.json: byte 0x.*probably gbk"):
        read_json(path)
    assert decode_text(b"17 caf\xe9", path, western=True) == "17 café"

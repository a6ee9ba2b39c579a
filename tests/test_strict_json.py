"""JSON with one meaning: what is refused, and the words of the refusals."""

import codecs
import json

import pytest

from earthreason.strict_json import RepeatedKeyError, strict_loads


@pytest.mark.parametrize("value", [None, 0, "\u00e9\U0001f30d", [], {"a": {"a": [1, 2.5, False]}}])
def test_text_is_read_as_json_reads_it_with_or_without_a_byte_order_mark(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert strict_loads(text.encode()) == strict_loads(codecs.BOM_UTF8 + text.encode()) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": "\xff"}', "byte 0xff is not UTF-8"),
        (codecs.BOM_UTF8 + b'{"a": "\xfe"}', "byte 0xfe is not UTF-8"),
        (codecs.BOM_UTF8 + b"[]" + codecs.BOM_UTF8, r"Extra data: line 1 column 3 \(char 2\)"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[NaN]", "NaN is not JSON; write null or leave the key out"),
        (b"[-Infinity]", "-Infinity is not JSON; write null or leave the key out"),
    ],
)
def test_what_is_not_json_is_refused(content, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        strict_loads(content)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "a"),
        ('[{"x": {"b": 1, "\\u0062": 2}}]', "b"),
        (f'{{"{"k" * 70}": 1, "{"k" * 70}": 2}}', "k" * 60),
    ],
)
def test_a_repeated_key_is_named_by_its_first_60_characters(content, key):
    with pytest.raises(RepeatedKeyError, match=f"^key '{key}' is written more than once in one object; keep one$"):
        strict_loads(content.encode())

"""Decode text files of strangers: UTF-8, UTF-16 and UTF-32 are read, another encoding is named in the error.

A file in another encoding is not read by guess: a wrong guess gives questions that look sound and are not.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from earthreason.errors import DataFormatError

_CHINESE = re.compile("[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef]{2,}")
_LOWEST_PRINTED = 0xA0
_WESTERN = ("latin1", "cp1252")


def decode_text(content: bytes, path: Path, western: bool = False) -> str:
    """Decode a text in UTF-8, UTF-16 or UTF-32; the last two are known by a byte order mark or an ASCII beginning.

    Args:
        content: bytes of the file.
        path: name of the file in messages.
        western: also read Windows-1252, unless the text looks like another encoding.

    Raises:
        DataFormatError: the text has another encoding; names the file, the likely encoding and what to do.
    """
    encoding = json.detect_encoding(content)
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        if encoding not in ("utf-8", "utf-8-sig"):
            reason = f"begins as {encoding.upper()} but is not ({error.reason}); write the file as UTF-8"
            raise DataFormatError(f"{path}: {reason}") from None
        likely = likely_encoding(content)
        if western and likely in _WESTERN:
            return content.decode("cp1252")
        place = f"byte {error.object[error.start]:#04x} at {error.start} is not UTF-8"
    remedies = {
        None: "write the file as UTF-8",
        "utf-8": "the rest of the file is, so a byte is damaged; restore the file",
    }
    command = f"write the file as UTF-8 (it is probably {likely}: iconv -f {likely} -t utf-8 {path.name})"
    raise DataFormatError(f"{path}: {place}; {remedies.get(likely, command)}")


def likely_encoding(content: bytes) -> str | None:
    """Return the likely encoding of a text that is not UTF-8.

    Returns:
        `utf-8` if few of many characters are damaged, `gbk` or `gb18030` if two Chinese characters stand side by side,
        `cp1252`, or `latin1` where it gives the same text; None if it is none of these.
    """
    characters = content.decode("utf-8", "replace")
    damaged = characters.count("\ufffd")
    if sum(character > "\x7f" for character in characters) > 5 * damaged:
        return "utf-8"
    for encoding in ("gbk", "gb18030"):
        text = _decoded(content, encoding)
        if text is not None and _CHINESE.search(text):
            return encoding
    if not any(0x7F < byte < _LOWEST_PRINTED for byte in content):
        return "latin1"
    return None if _decoded(content, "cp1252") is None else "cp1252"


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def parse_json(content: bytes, path: Path, western: bool = False, halves: bool = False) -> Any:
    r"""Parse JSON in an encoding that `decode_text` reads.

    Args:
        content: as of `decode_text`.
        path: as of `decode_text`.
        western: as of `decode_text`.
        halves: accept halves of surrogate pairs, for a file of many samples that are checked one by one.

    Raises:
        DataFormatError: the text has another encoding, is not JSON, or has half of a surrogate pair (`\ud83d`), which
            no table can hold; names the file.
    """
    text = decode_text(content, path, western)
    try:
        value = json.loads(text)
        if not halves and ("\\ud" in text or "\\uD" in text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise DataFormatError(f"{path}: {half} is half of a character; write the text again") from None
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"{path}: not JSON ({error})") from None
    return value

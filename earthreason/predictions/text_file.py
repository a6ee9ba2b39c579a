"""Opening of the UTF-8 text of a file, packed by gzip or not."""

from __future__ import annotations

import codecs
import gzip
import io
from typing import Any, BinaryIO, TextIO

from earthreason.predictions.foreign import HEAD, describe_other_file

MAX_UNPACKED_BYTES = 1 << 30
"""Largest text in a gzip file, three times that of 100,000 predictions."""
_AT_ONCE = 1 << 20
_GZIP = b"\x1f\x8b"
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UnreadableTextError(ValueError):
    """The text cannot be read from this place on."""


class _Bounded(io.RawIOBase):
    """The text of a gzip file, up to `MAX_UNPACKED_BYTES`."""

    def __init__(self, packed: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=packed)
        self._left = MAX_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            size = f"{MAX_UNPACKED_BYTES >> 20} MiB"
            raise UnreadableTextError(f"it unpacks to over {size}; unpack it with gunzip and give the text")
        buffer[: len(piece)] = piece
        return len(piece)


def open_text(packed: BinaryIO) -> TextIO:
    """Open the UTF-8 text of a file, or of the gzip file that it is, after its byte order mark.

    Raises:
        UnreadableTextError: the text has another encoding, or the gzip file packs something else.
    """
    binary: Any = packed
    if packed.peek(2)[:2] == _GZIP:  # type: ignore[attr-defined]
        binary = io.BufferedReader(_Bounded(packed), _AT_ONCE)
    start = binary.peek(HEAD)[:HEAD]
    if binary is not packed:
        if start.startswith((_GZIP, b"PK")):
            raise UnreadableTextError("gzip packs another archive; unpack it with gunzip and give what is inside")
        if (what := describe_other_file(start)) is not None:
            raise UnreadableTextError(f"unpacked, {what}")
    head = start[:4]
    if head.startswith((*_UTF32, *_UTF16)) or b"\0" in head:
        name = "UTF-32" if head.startswith(_UTF32) or head.count(b"\0") > 2 else "UTF-16"
        raise UnreadableTextError(f"the text is {name}; write the file as UTF-8, the encoding of JSON")
    if head.startswith(codecs.BOM_UTF8):
        binary.read(len(codecs.BOM_UTF8))
    return io.TextIOWrapper(binary, encoding="utf-8")

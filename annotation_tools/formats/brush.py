"""Brush masks of Label Studio: a bit-packed run-length stream of the flattened RGBA pixels, as a list of bytes.

Layout (thi.ng rle-pack, taken from Label Studio's converter), most significant bit first. Header: 32 bits number of
words, 5 bits word size - 1, and four run sizes - 1 of 4 bits each. Records: 1 bit "run" or "literal", 2 bits index of
the run size, length - 1 in that many bits, and one word (run) or `length` words (literal).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earthreason.errors import DataFormatError

_RUN_BITS = (3, 4, 8, 16)
_LONGEST = 1 << 16
_CHANNELS = 4
HALF = 128
"""Least alpha (0 to 255) of a marked pixel. Canvases antialias strokes: alpha is the share of the pixel they cover."""


def encode_brush(mask: np.ndarray) -> list[int]:
    """Encode a (height, width) mask; foreground is 255 in all four channels, background 0."""
    flat = np.asarray(mask, bool).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [flat.size]])) * _CHANNELS
    values = np.where(flat[starts], 255, 0)
    pieces = -(-lengths // _LONGEST)
    values = np.repeat(values, pieces)
    last = np.cumsum(pieces) - 1
    pieced = np.full(pieces.sum(), _LONGEST, np.int64)
    pieced[last] = lengths - (pieces - 1) * _LONGEST
    # A record holds 1 (run), index of the run size, length - 1 and value; it uses the smallest size that fits.
    size_index = np.searchsorted(np.array([1 << bits for bits in _RUN_BITS]), pieced)
    run_bits = np.array(_RUN_BITS)[size_index]
    records = (((1 << 2 | size_index) << run_bits | (pieced - 1)) << 8) | values
    widths = run_bits + 11
    columns = np.arange(int(widths.max()))[None, :]
    bits = (records[:, None] >> np.maximum(widths[:, None] - 1 - columns, 0)) & 1
    body = bits[columns < widths[:, None]].astype(np.uint8)
    return np.packbits(np.concatenate([_header(flat.size * _CHANNELS), body])).tolist()


def _header(words: int) -> np.ndarray:
    value, width = words, 32
    for part, bits in ((7, 5), *((size - 1, 4) for size in _RUN_BITS)):
        value, width = value << bits | part, width + bits
    return np.array([value >> shift & 1 for shift in range(width - 1, -1, -1)], np.uint8)


def decode_brush(stream: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode a stream into a (height, width) bool mask of the pixels that the stroke covers by half or more.

    Raises:
        DataFormatError: the stream is invalid or truncated, or belongs to an image of another size.
    """
    return decode_coverage(stream, height, width) >= HALF


def decode_coverage(stream: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode a stream into the alpha of the pixels, (height, width) uint8; errors are those of `decode_brush`."""
    try:
        content = bytes(stream)
    except (TypeError, ValueError):
        raise DataFormatError("the brush mask is not a list of bytes (0 to 255)") from None
    reader = _Bits(content)
    words, word_bits = reader.take(32), reader.take(5) + 1
    run_bits = [reader.take(4) + 1 for _ in range(4)]
    expected = height * width * _CHANNELS
    if words != expected or word_bits != 8:
        raise DataFormatError(
            f"the brush mask holds {words // _CHANNELS} pixels, the image {height}x{width} = {height * width}; "
            "it was drawn on the image at another size"
        )
    out = np.zeros(words, np.uint8)
    place = 0
    while place < words:
        is_run = reader.take(1)
        length = reader.take(run_bits[reader.take(2)]) + 1
        end = place + length
        if end > words:
            raise DataFormatError("the runs of the brush mask exceed its pixels")
        out[place:end] = reader.take(8) if is_run else reader.take_words(length)
        place = end
    return out.reshape(height, width, _CHANNELS)[..., 3]


class _Bits:
    """Reads a byte string bit by bit."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def _advance(self, bits: int) -> int:
        place = self._place
        self._place += bits
        if self._place > 8 * len(self._content):
            raise DataFormatError("the brush mask is truncated")
        return place

    def take(self, bits: int) -> int:
        place = self._advance(bits)
        end = place + bits
        window = int.from_bytes(self._content[place >> 3 : (end + 7) >> 3], "big")
        return window >> (-end & 7) & ((1 << bits) - 1)

    def take_words(self, count: int) -> np.ndarray:
        place = self._advance(8 * count)
        window = np.frombuffer(self._content[place >> 3 : (place + 8 * count + 7) >> 3], np.uint8)
        offset = place & 7
        return np.packbits(np.unpackbits(window)[offset : offset + 8 * count])

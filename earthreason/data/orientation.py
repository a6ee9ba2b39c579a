"""EXIF orientations: which pixels a mask belongs to, and pictures without a tag that viewers would turn them by.

`datasets`, browsers and `cv2.imread` turn a picture by its tag, but never the mask beside it. So no row has a tag:

- Masks belong to the stored pixels, and the tag alone is removed from the bytes of the file.
- Only if the mask has the size of the turned picture, and not that of the stored one, the pixels are turned.
"""

from __future__ import annotations

import io
import re
import struct
import zlib

from PIL import Image

_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = range(5, 9)
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def orientation_of(image: Image.Image) -> int:
    """Return the orientation of a picture as EXIF or XMP state it, 2 to 8; 1 if it is not to be turned.

    Raises:
        ValueError: the EXIF block is damaged.
    """
    try:
        value = image.getexif().get(_TAG, 1)
    except Exception as error:  # Pillow raises almost any type for a damaged block
        raise ValueError(f"damaged EXIF block: {error}") from None
    return value if isinstance(value, int) and value in _TURNS else 1


def swaps_sides(orientation: int) -> bool:
    """Return whether turning by an orientation swaps height and width."""
    return orientation in _QUARTER_TURNS


def fits_turned_only(size: tuple[int, int], image: Image.Image) -> bool:
    """Return whether a mask of (height, width) has the size of the turned picture, and not that of the stored one."""
    return image.size == size != size[::-1] and swaps_sides(orientation_of(image))


def turned(image: Image.Image) -> Image.Image:
    """Turn the pixels of a decoded picture by its tag.

    Raises:
        ValueError: the EXIF block is damaged.
    """
    turn = _TURNS.get(orientation_of(image))
    return image if turn is None else image.transpose(turn)


def without_orientation(content: bytes) -> bytes | None:
    """Remove the orientation from a JPEG or PNG; every other byte keeps its value and its place.

    Returns:
        The content; None if the orientation stands where only encoding the picture again removes it.
    """
    try:
        stripped = _edited_png(content) if content.startswith(_PNG_SIGNATURE) else _edited_jpeg(content)
        with Image.open(io.BytesIO(stripped)) as image:
            return stripped if orientation_of(image) == 1 else None
    except (ValueError, IndexError, struct.error, OSError):
        return None


def _edited_jpeg(content: bytes) -> bytes:
    parts, place = [content[:2]], 2
    while content[place + 1] != _START_OF_SCAN:
        marker, length = struct.unpack_from(">xBH", content, place)
        segment = content[place : place + 2 + length]
        head, payload = segment[:4], segment[4:]
        if marker == _APP1 and payload.startswith(_EXIF):
            segment = head + _EXIF + _edited_tiff(payload[len(_EXIF) :])
        elif marker == _APP1 and payload.startswith(_XMP):
            segment = head + re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\g<1>1", payload)
        parts.append(segment)
        place += 2 + length
    return b"".join([*parts, content[place:]])


def _edited_png(content: bytes) -> bytes:
    parts, place = [_PNG_SIGNATURE], len(_PNG_SIGNATURE)
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        chunk = content[place : place + 12 + length]
        if chunk[4:8] == b"eXIf":
            named = b"eXIf" + _edited_tiff(chunk[8:-4])
            chunk = chunk[:4] + named + struct.pack(">I", zlib.crc32(named))
        parts.append(chunk)
        place += 12 + length
    return b"".join(parts)


def _edited_tiff(block: bytes) -> bytes:
    """Remove the entry of the orientation from the first directory of a TIFF block, which keeps its length."""
    order = "<" if block.startswith(b"II") else ">"
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    first, end = start + 2, start + 2 + 12 * count
    entries = [block[place : place + 12] for place in range(first, end, 12)]
    kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] != _TAG]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + block[end : end + 4]
    return block[:start] + directory.ljust(end + 4 - start, b"\0")[: len(block) - start] + block[end + 4 :]

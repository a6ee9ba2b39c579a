"""What files are that hold no predictions and no ground truth, and what to do with them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from earthreason.errors import DataNotFoundError, GatheredError, list_keys

_BY_FIRST_BYTES = {
    b"\x93NUMPY": "one NumPy array; put it as SAMPLE_ID.npy into a folder and give the folder",
    b"\x89PNG": "one picture; put it as SAMPLE_ID.png into a folder and give the folder",
    **dict.fromkeys(
        (b"II*\0", b"II+\0", b"MM\0*", b"MM\0+"),
        "one TIFF picture; put it as SAMPLE_ID.tif into a folder and give the folder",
    ),
    b"\xff\xd8\xff": "a JPEG picture, which changes the pixels of a mask; save SAMPLE_ID.png into a folder and give it",
    b"\x80": "a pickle, which is never read, because loading one runs its code; write JSON",
    b"PAR1": "a parquet file; write JSON or JSON Lines",
    b"ARROW1": "an Arrow file; write JSON or JSON Lines",
    b"\x89HDF": "an HDF5 file; write JSON, or masks as PNG",
    b"\xd0\xcf\x11\xe0": "an Excel file; write JSON or JSON Lines",
    b"GIF8": "a GIF picture; save SAMPLE_ID.png into a folder and give it",
    b"BM": "a BMP picture; save SAMPLE_ID.png into a folder and give it",
    b"\0\0\0\x0cjP": "a JPEG 2000 picture; save SAMPLE_ID.png into a folder and give it",
    b"RIFF": "a WebP picture or a video; save SAMPLE_ID.png into a folder and give it",
    b"\x1aE\xdf\xa3": "a video; write JSON, or masks as PNG",
    b"MATLAB": "a MATLAB file; write JSON, or masks as PNG",
    b"SQLite": "an SQLite database; write JSON or JSON Lines",
    b"%PDF": "a PDF; write JSON, or masks as PNG",
    b"7z\xbc\xaf": "a 7z archive; make a zip",
    b"Rar!": "a RAR archive; make a zip",
    b"BZh": "packed by bzip2; pack it by gzip or zip",
    b"\xfd7zXZ": "packed by xz; pack it by gzip or zip",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard; pack it by gzip or zip",
}
_BY_KEYS = {
    ("images", "annotations"): "a COCO dataset",
    ("shapes",): "a LabelMe or ReasonSeg file of one image",
    ("type", "features"): "GeoJSON, whose coordinates are usually not pixels",
    ("type", "geometry"): "GeoJSON, whose coordinates are usually not pixels",
    ("annotations",): "a file of annotations",
    ("predictions",): "predictions",
    ("samples",): "ground truth",
}
_ENTRIES = {("predictions",), ("samples",)}
_DRAW = "unite the shapes of each image to one mask (`pycocotools.mask.merge`, `PIL.ImageDraw`)"
_TAR, _TAR_AT = b"ustar", 257
HEAD = 512
"""First bytes of a file that say what it is."""


def describe_other_file(head: bytes) -> str | None:
    """Say what a file is, by its first `HEAD` bytes, that is neither text, gzip, nor a zip; None if unknown.

    The description ends with what to do.
    """
    if head[4:8] == b"ftyp":
        return "it is a video; write JSON, or masks as PNG"
    if head[_TAR_AT:].startswith(_TAR):
        return "it is a tar archive; make a zip"
    return next((f"it is {what}" for magic, what in _BY_FIRST_BYTES.items() if head.startswith(magic)), None)


def check_usable(path: Path, kind: str, refusal: type[GatheredError]) -> None:
    """Check by its kind and first bytes whether a file or folder may hold predictions or ground truth.

    Args:
        path: file or folder.
        kind: name of the file in messages.
        refusal: error to raise about one that may not.

    Raises:
        DataNotFoundError: there is no such file or folder.
        GatheredError: it holds something else or cannot be read; of the type `refusal`.
    """
    try:
        unusable = _describe_unusable(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DataNotFoundError(f"there is no {kind} {path}") from None
    if unusable is not None:
        raise refusal(str(path), [unusable])


def _describe_unusable(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
        if S_ISDIR(mode):
            return None
        if not S_ISREG(mode):  # before it is opened, because opening a pipe waits for its writer
            return "a pipe or device, which is read only once; save it to a file first"
        with path.open("rb") as file:
            return describe_other_file(file.read(HEAD))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"cannot be read: {reason}; check the path and its permissions"


def describe_other_keys(keys: Collection[str]) -> str:
    """Say what a JSON object is, by its keys, and what to do if it holds shapes."""
    for known, what in _BY_KEYS.items():
        if {*known} <= {*keys}:
            return what if known in _ENTRIES else f"{what}; {_DRAW}"
    return f"an object with the keys {list_keys(sorted(keys))[:80]}" if keys else "an empty object"

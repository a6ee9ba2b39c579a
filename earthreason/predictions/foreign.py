"""What files are that hold no predictions and no ground truth, and what to do with them."""

from __future__ import annotations

from collections.abc import Collection

_BY_FIRST_BYTES = {
    b"\x93NUMPY": "one NumPy array; put it as SAMPLE_ID.npy into a folder and give the folder",
    b"\x89PNG": "one picture; put it as SAMPLE_ID.png into a folder and give the folder",
    b"II*\0": "one TIFF picture; put it as SAMPLE_ID.tif into a folder and give the folder",
    b"II+\0": "one TIFF picture; put it as SAMPLE_ID.tif into a folder and give the folder",
    b"MM\0+": "one TIFF picture; put it as SAMPLE_ID.tif into a folder and give the folder",
    b"MM\0*": "one TIFF picture; put it as SAMPLE_ID.tif into a folder and give the folder",
    b"\xff\xd8\xff": "a JPEG picture, which changes the pixels of a mask; save SAMPLE_ID.png into a folder and give it",
    b"\x80": "a pickle, which is never read, because loading one runs its code; write JSON",
    b"PAR1": "a parquet file; write JSON or JSON Lines",
    b"ARROW1": "an Arrow file; write JSON or JSON Lines",
    b"\x89HDF": "an HDF5 file; write JSON, or masks as PNG",
    b"\xd0\xcf\x11\xe0": "an Excel file; write JSON or JSON Lines",
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
    ("shapes", "imagePath"): "a LabelMe file of one image",
    ("type", "features"): "GeoJSON, whose coordinates are usually not pixels",
    ("predictions",): "predictions",
    ("samples",): "ground truth",
}
_DRAW = "unite the shapes of each image to one mask (`pycocotools.mask.merge`, `PIL.ImageDraw`)"


def describe_other_file(head: bytes) -> str | None:
    """Say what a file is, by its first 8 bytes, that holds neither text nor masks of several samples; None if unknown.

    The description ends with what to do.
    """
    if head[4:8] == b"ftyp":
        return "it is a video; write JSON, or masks as PNG"
    return next((f"it is {what}" for magic, what in _BY_FIRST_BYTES.items() if head.startswith(magic)), None)


def describe_other_keys(keys: Collection[str]) -> str:
    """Say what a JSON object is, by its keys, and what to do if it holds shapes."""
    for known, what in _BY_KEYS.items():
        if {*known} <= {*keys}:
            return what if len(known) == 1 else f"{what}; {_DRAW}"
    return f"an object with the keys {', '.join(sorted(keys))[:80]}" if keys else "an empty object"

"""Masks in the files of a folder or zip, one mask a file."""

from __future__ import annotations

import io
import logging
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from earthreason.files import is_system_name
from earthreason.masks.pictures import describe_wrong_size, read_mask_picture
from earthreason.masks.rle import encode_mask
from earthreason.plurals import count_of
from earthreason.predictions.names import known_name
from earthreason.predictions.segmentation import SizeOf
from earthreason.types import Prediction

MAX_MEMBER_BYTES = 256 << 20
_NAME = re.compile(r"(?P<sample_id>.+?)(?:__(?P<question_index>\d{1,5}))?\.(?P<ending>png|tiff?|npy)", re.I | re.S)
_UNNAMED = re.compile(r"arr_\d+")  # the names that numpy.savez gives
_NAME_ARRAYS = "no sample has this name; name arrays by sample id: np.savez(path, **{sample_id: mask, ...})"
_EXPECTED = "expected SAMPLE_ID.png or SAMPLE_ID__QUESTION_INDEX.png (or .tif, .npy)"
_GIVE_FILE = "give this file itself, not the folder or zip around it"
_AS_PNG = "save masks as PNG"
_ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG changes the pixels of a mask; save PNG"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".gz", ".npz", ".zip"), _GIVE_FILE),
    **dict.fromkeys((".bmp", ".gif", ".webp", ".jp2"), _AS_PNG),
    **dict.fromkeys((".txt", ".xml", ".csv", ".arrow", ".parquet"), f"{_AS_PNG}, or move other files away"),
    ".pkl": "pickles are never read, because loading one runs its code; save .npy",
    "": "give the name its ending, or move other files away",
}
_log = logging.getLogger(__name__)

Member = tuple[str, Callable[[], bytes]]
"""Path below the folder or zip, and function that reads the file."""


class Notes:
    """What is worth a line in the log, once for a folder or zip."""

    def __init__(self) -> None:
        self.skipped: list[str] = []
        self.soft: list[tuple[str, int]] = []
        self.nodata: list[tuple[str, float]] = []
        self.white_is_zero: list[str] = []
        self.logged = False

    def log(self, path: Path) -> None:
        """Log the notes of a complete pass, unless an earlier pass did."""
        if not self.logged:
            if self.skipped:
                _log.warning(
                    "%s: skipped %s, such as %s", path, count_of(len(self.skipped), "system file"), self.skipped[0]
                )
            if self.soft:
                (name, levels), count = self.soft[0], len(self.soft)
                message = "%s: %s with more than two levels, where every level but 0 is target; the first is %s (%d)"
                _log.warning(message, path, count_of(count, "mask"), name, levels)
            if self.nodata:
                (name, value), count = self.nodata[0], len(self.nodata)
                message = "%s: %s with pixels of a nodata value, which are not target; the first is %s (%g)"
                _log.warning(message, path, count_of(count, "mask"), name, value)
            if self.white_is_zero:
                first, count = self.white_is_zero[0], len(self.white_is_zero)
                message = (
                    "%s: %s in MINISWHITE, where 0 is white and target, as OpenCV reads it; tools that "
                    "return stored numbers, such as rasterio, show the inverse; the first is %s"
                )
                _log.warning(message, path, count_of(count, "TIFF mask"), first)
        self.logged = True


def holds_masks(path: Path) -> bool:
    """Return whether a path is a folder or, by its content, a zip, such as an `.npz`."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        head = file.read(4)
    return head[:2] == b"PK" or zipfile.is_zipfile(path)


def mask_files(path: Path, skipped: list[str] | None = None) -> Iterator[Member]:
    """Yield the files of a folder or zip. Nothing is extracted, so no member can write outside.

    Args:
        path: folder, with its sub-folders, or zip.
        skipped: list to extend by the names of hidden files and of files that operating systems leave behind.

    Raises:
        OSError, zipfile.BadZipFile and others: the folder or zip cannot be read.
    """
    for name, read in _folder_files(path) if path.is_dir() else _zip_files(path):
        if not any(is_system_name(part) for part in PurePosixPath(name).parts if part != ".."):
            yield name, read
        elif skipped is not None:
            skipped.append(name)


def _folder_files(folder: Path) -> Iterator[Member]:
    found = []
    for root, folders, names in os.walk(folder, onerror=_raise):
        links = [name for name in folders if (Path(root) / name).is_symlink() and not name.startswith(".")]
        if links:  # they may lead round in a circle, or out of a submission
            raise ValueError(f"{links[0]!r} in it is a link to a folder, which is not followed")
        found += [Path(root) / name for name in names]
    for file in sorted(found):
        yield file.relative_to(folder).as_posix(), partial(_read_file, file)


def _raise(error: OSError) -> None:
    raise error


def _read_file(file: Path) -> bytes:
    if not file.is_file():
        raise ValueError("not a regular file, such as a link that leads nowhere; copy the file itself")
    if file.stat().st_size > MAX_MEMBER_BYTES:
        raise ValueError(f"over {MAX_MEMBER_BYTES >> 20} MiB; save the mask as PNG")
    return file.read_bytes()


def _zip_files(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename or "?", partial(_read_member, archive, member)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 1:
        raise ValueError("encrypted; zip the files without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("packed by another method than deflate; zip the files again")
    if member.file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"unpacks to over {MAX_MEMBER_BYTES >> 20} MiB; save the mask as PNG")
    return archive.read(member)


def mask_predictions(
    path: Path, faults: list[str], size_of: SizeOf | None = None, notes: Notes | None = None
) -> Iterator[Prediction]:
    """Yield the predictions of a folder or zip of masks; append the faults of other files to `faults`.

    Args:
        path: folder or zip of PNG, TIFF or NumPy files; an `.npz` file is a zip.
        faults: list to extend.
        size_of: function from a sample id to the (height, width) of its image in pixels. A mask of another size is
            refused before it is decoded, and the mask of an unknown sample is not decoded.
        notes: notes to extend and log.
    """
    notes = notes or Notes()
    files: dict[tuple[str, int], str] = {}
    any_read = False
    skipped: list[str] = []
    try:
        for name, read in mask_files(path, skipped):
            any_read = True
            match = _NAME.fullmatch(PurePosixPath(name).name)
            if match is None:
                remedy = _ENDINGS.get(PurePosixPath(name).suffix.lower(), "move other files away")
                faults.append(f"{name}: {_EXPECTED}; {remedy}")
                continue
            key = known_name(match["sample_id"], size_of), int(match["question_index"] or 0)
            if key in files:
                faults.append(f"{name}: the same sample and question as {files[key]}; keep one")
                continue
            files[key] = name
            if _UNNAMED.fullmatch(key[0]) and size_of is not None and size_of(key[0]) is None:
                faults.append(f"{name}: {_NAME_ARRAYS}")
                continue
            try:
                yield _read_mask(name, match["ending"].lower(), key, read, size_of, notes)
            except Exception as error:  # libraries raise almost any type for damaged content
                remedy = "" if isinstance(error, ValueError) else "; save or copy the file again"
                faults.append(f"{name}: not a readable mask: {str(error) or type(error).__name__}{remedy}")
    except Exception as error:
        kind = "folder" if path.is_dir() else "zip"
        reason = str(error) or type(error).__name__
        faults.append(f"the {kind} cannot be read ({reason}); make or copy it again, or check its permissions")
        return
    notes.skipped = skipped
    notes.log(path)
    if not any_read:
        faults.append(f"contains no masks; {_EXPECTED}")


def _read_mask(
    name: str, ending: str, key: tuple[str, int], read: Callable[[], bytes], size_of: SizeOf | None, notes: Notes
) -> Prediction:
    sample_id, question_index = key
    expected = None
    if size_of is not None:
        expected = size_of(sample_id)
        if expected is None:  # the judge refuses the unknown sample
            return Prediction(sample_id, None, question_index)
    content = read()
    if ending == "npy":
        mask = _decode_npy(content, expected)
        if not notes.logged and ((mask != 0) & (mask != mask.max())).any():
            notes.soft.append((name, len(np.unique(mask))))
    else:
        picture = read_mask_picture(content, ["PNG", "TIFF"], expected)
        mask = picture.mask
        if picture.levels > 2 and not notes.logged:
            notes.soft.append((name, picture.levels))
        if picture.nodata is not None and not notes.logged:
            notes.nodata.append((name, picture.nodata))
        if picture.white_is_zero and not notes.logged:
            notes.white_is_zero.append(name)
    return Prediction(sample_id, encode_mask(mask), question_index)


def _decode_npy(content: bytes, expected: tuple[int, int] | None) -> np.ndarray:
    """Decode a NumPy file without pickle and without an allocation that its header demands."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_column, dtype = header(file)
    if dtype.kind not in "buif":
        raise ValueError(f"an array of {dtype}; save a bool array (pickled objects are never read)")
    if len(shape) != 2:
        raise ValueError(f"an array of shape {shape}; save a mask of shape (height, width)")
    if expected is not None and shape != expected:
        raise ValueError(describe_wrong_size(shape, expected))
    pixels = shape[0] * shape[1]
    if len(content) - file.tell() != pixels * dtype.itemsize or min(shape) < 1:
        raise ValueError(f"its content does not fill its shape {shape}; save it again with numpy.save")
    array = np.frombuffer(content, dtype, offset=file.tell())
    return array.reshape(shape, order="F" if by_column else "C")

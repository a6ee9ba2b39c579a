"""Find the files of published sets: index files by their first entry, and pictures by name within one folder."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image

from earthreason.data.pictures import FORMATS
from earthreason.data.sources.annotations import mask_of_annotation
from earthreason.data.sources.base import IMAGE_SUFFIXES
from earthreason.data.texts import decode_text
from earthreason.errors import DataFormatError
from earthreason.files import visible_files
from earthreason.masks.drawing import FARTHEST

PICTURE_SUFFIXES = (*IMAGE_SUFFIXES, ".tif", ".tiff")
NO_PICTURE = "no picture"
"""Reason of samples that are left out because their picture is missing."""
ANOTHER_SIZE = "label of another size"
"""Reason of samples that are left out because mask and picture differ in size."""
_BEGINNING = 1 << 20
_DEPTH = 3
_FEW = 50
"""An index is among few JSON files in its folder; a folder with more has one per image."""


def starts_with(path: Path, keys: Collection[str], without: Collection[str] = ()) -> bool:
    """Return whether a JSON file holds an object that has all of some keys and none of others, or a list of such.

    Only the beginning of the file is read, and one such object is enough, because others may be broken.
    """
    decoder = json.JSONDecoder()
    try:
        with path.open("rb") as file:
            text = file.read(_BEGINNING).decode("utf-8-sig", "replace").lstrip().removeprefix("[").lstrip()
        while text:
            entry, end = decoder.raw_decode(text)
            if isinstance(entry, dict) and set(keys) <= entry.keys() and not set(without) & entry.keys():
                return True
            text = text[end:].lstrip().removeprefix(",").lstrip()
    except (OSError, ValueError, RecursionError):
        pass
    return False


def any_starts_with(folder: Path, pattern: str, keys: Collection[str]) -> bool:
    """Return whether one of the first JSON files of a folder, by a glob pattern, holds an object with all the keys."""
    return any(starts_with(path, keys) for path in visible_files(folder, pattern)[:_FEW])


def folders_below(root: Path, depth: int = _DEPTH) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and its subfolders down to a depth, outer ones first, with the names of their files in order."""
    for path, folders, files in os.walk(root, followlinks=True):
        folder = Path(path)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        if len(folder.relative_to(root).parts) >= depth:
            folders.clear()
        yield folder, sorted(files)


def index_files(root: Path) -> Iterator[Path]:
    """Yield the JSON files below a folder that may be an index."""
    for folder, names in folders_below(root):
        files = [name for name in names if name.lower().endswith(".json") and not name.startswith(".")]
        if len(files) <= _FEW:
            yield from (folder / name for name in files)


def read_index(path: Path, what: str) -> list[Any]:
    """Read a JSON file that holds a list. Half of a surrogate pair in one sample does not refuse the others here.

    Raises:
        DataFormatError: it does not.
    """
    try:
        entries = json.loads(decode_text(path.read_bytes(), path, western=True))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataFormatError):
            raise
        raise DataFormatError(f"{path}: not JSON ({error})") from None
    if not isinstance(entries, list):
        raise DataFormatError(f"{path}: {what} is a JSON list of samples, not a {type(entries).__name__}")
    return entries


def text_of(entry: Any, key: str, place: str) -> str:
    """Return a text of an entry, or a number as text.

    Raises:
        DataFormatError: the entry is no object, or has no such text.
    """
    value = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        found = "nothing" if value is None or value == "" else type(value).__name__
        raise DataFormatError(f"{place}: {key!r} is a text, found {found}", f"no {key}")
    if any("\ud800" <= letter <= "\udfff" for letter in str(value)):
        raise DataFormatError(f"{place}: {key!r} has half a character that UTF-8 cannot encode", f"broken {key}")
    return str(value)


def texts_of(entry: Any, key: str, place: str) -> list[str]:
    """Return the texts of an entry; one text may stand without a list.

    Raises:
        DataFormatError: the entry has no such texts, or one is no text.
    """
    values = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(values, list):
        return [text_of(entry, key, place)]
    texts = [text_of({key: value}, key, place) for value in values]
    if not texts:
        raise DataFormatError(f"{place}: {key!r} is an empty list", f"no {key}")
    return texts


def unique_ids(ids: Iterable[str]) -> list[str]:
    """Return the ids in order; the second of two equal ones ends with `#2`, so that both samples are kept."""
    seen: set[str] = set()
    unique = []
    for sample_id in ids:
        number, candidate = 1, sample_id
        while candidate in seen:
            number += 1
            candidate = f"{sample_id}#{number}"
        seen.add(candidate)
        unique.append(candidate)
    return unique


class Pictures:
    """Pictures within a folder, by the names that annotations give; upper and lower case and the suffix may differ."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: str, place: str) -> Path:
        """Find a picture by a file name or a path below the folder.

        Args:
            name: name, with or without the suffix of a picture.
            place: what gives the name, for messages.

        Raises:
            DataFormatError: there is no such picture, there are several, or the name leads out of the folder.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or parts[0] == "/" or PureWindowsPath(name).drive or "\0" in name:
            raise DataFormatError(f"{place}: the picture {name!r} is outside of {self.folder}", "name leads outside")
        folder = self.folder.joinpath(*parts[:-1])
        found = self._listing(folder).get(_stem(parts[-1]).casefold(), [])
        for same in (str, str.casefold):
            exact = [path for path in found if same(path.name) == same(parts[-1])]
            if len(exact) == 1:
                return exact[0]
        if not found:
            raise DataFormatError(f"{place}: there is no picture {name!r} in {folder}", NO_PICTURE)
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise DataFormatError(f"{place}: {folder} has several pictures {name!r}: {names}", "several pictures")
        return found[0]

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._listings:
            listing: dict[str, list[Path]] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
                    listing.setdefault(path.stem.casefold(), []).append(path)
            self._listings[folder] = listing
        return self._listings[folder]


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix}".lower() in PICTURE_SUFFIXES else name


def size_of(picture: Path) -> tuple[int, int]:
    """Return the (height, width) in pixels that the header of a picture states.

    Raises:
        DataFormatError: the file is not a picture.
    """
    try:
        with Image.open(picture, formats=FORMATS) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataFormatError(f"{picture}: not a readable image ({error})", "unreadable image") from None


def check_stated_size(stated: tuple[Any, Any], picture: Path, place: str) -> None:
    """Check the (height, width) that an annotation states before a mask of that size is made.

    A turned picture is accepted, because its header may state the sides before it is turned.

    Raises:
        DataFormatError: the picture has another size.
    """
    height, width = size_of(picture)
    if stated not in ((height, width), (width, height)):
        raise DataFormatError(
            f"{place}: the mask is {stated[0]}x{stated[1]} (height x width), but {picture.name} is {height}x{width}",
            ANOTHER_SIZE,
        )


def mask_of_rle(rle: Any, picture: Path, place: str) -> np.ndarray:
    """Decode an RLE of a picture, compressed or not, as (height, width) bool.

    Raises:
        DataFormatError: it is broken, or the picture has another size.
    """
    try:
        height, width = rle["size"]
        check_stated_size((height, width), picture, place)
        return mask_of_annotation(rle, height, width)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        if isinstance(error, DataFormatError) and error.reason == ANOTHER_SIZE:
            raise
        raise DataFormatError(f"{place}: a mask is broken: {error}", "broken mask") from None


def vertices_of(polygon: Any, place: str) -> np.ndarray:
    """Return the numbers of a polygon as float64, in the shape of the nested lists.

    Raises:
        DataFormatError: a value is no number, or is far outside of every picture.
    """
    try:
        values = np.asarray(polygon)
        if values.dtype.kind not in "iuf" and values.size:
            raise ValueError(f"{values.dtype} instead of numbers")
        values = values.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataFormatError(f"{place}: a polygon is a list of coordinates ({error})", "broken polygon") from None
    if not (np.abs(values) <= FARTHEST).all():  # NaN is outside too
        raise DataFormatError(f"{place}: a polygon has a vertex far outside of every picture", "broken polygon")
    return values

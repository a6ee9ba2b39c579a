"""Interface of every source of samples: a declaration, and records by split that are read lazily."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from earthreason.data.about import OWN_DATA, About
from earthreason.data.pictures import SoftLabels, check_sizes, mask_of, rgb_content, untagged
from earthreason.data.schema import Record, extra_keys
from earthreason.data.texts import parse_json
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.masks.png import encode_mask_png

ON_DISK = {"train": "train", "validation": "val", "test": "test"}
"""Folder name of every split in the official release and related datasets."""
FROM_DISK = {folder: split for split, folder in ON_DISK.items()}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


class Source(Protocol):
    """Records by split.

    Attributes:
        name: name of the format.
        counts: number of records, by split.
    """

    @property
    def name(self) -> str: ...
    @property
    def counts(self) -> Mapping[str, int]: ...

    def read(self, split: str) -> Iterator[Record]:
        """Read the records of a split, in a fixed order."""
        ...


@dataclass(frozen=True)
class SourceFormat:
    """Declaration of a format that samples are stored in; pass it to `register` in the file that defines it.

    Attributes:
        name: unique name, shown by `earthreason info`.
        title: short description of the format.
        matches: function that returns whether a folder has this format, or the folder below it that has; no match is
            False or None.
        open: function that opens a folder, or a file with one of `suffixes`.
        suffixes: suffixes of single files in this format, in lower case with the dot.
        precedence: rank among the formats that match a folder; the lowest is opened.
        config: configuration name for `load_dataset("earthreason", config, data_dir=...)`; None for formats of any
            dataset, which the configuration `default` reads.
        about: title, licence, origin and citation of the dataset, for its card.
        paper: URL of the paper that describes the dataset.
        how_to_get: URL where users get the dataset.
        revision: revision of the dataset that this reader was written for.
        splits: published number of samples, by split.
    """

    name: str
    title: str
    matches: Callable[[Path], bool | Path | None]
    open: Callable[[Path], Source]
    suffixes: tuple[str, ...] = ()
    precedence: int = 50
    config: str | None = None
    about: About = OWN_DATA
    paper: str | None = None
    how_to_get: str | None = None
    revision: str | None = None
    splits: Mapping[str, int] | None = None


FORMATS: dict[str, SourceFormat] = {}
"""Registered formats by name."""


def register(source_format: SourceFormat) -> SourceFormat:
    """Add a format to `FORMATS`.

    Raises:
        ValueError: the name, the configuration or a file ending is taken.
    """
    for other in FORMATS.values():
        taken = set(other.suffixes) & set(source_format.suffixes)
        if other.name == source_format.name or taken:
            raise ValueError(f"source {source_format.name!r}: {other.name!r} has that name or {sorted(taken)} already")
        if source_format.config is not None and other.config == source_format.config:
            raise ValueError(f"source {source_format.name!r}: {other.name!r} has the config {other.config!r} already")
    FORMATS[source_format.name] = source_format
    return source_format


@contextmanager
def named(path: Path, what: str) -> Iterator[None]:
    """Turn the exceptions that decoders raise on broken files into one error that names the file.

    Raises:
        DataFormatError: the block raised such an exception.
    """
    try:
        yield
    except EarthReasonError:  # it names the place already
        raise
    except (KeyError, TypeError, ValueError, AttributeError, tarfile.TarError, zlib.error, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise DataFormatError(f"{path}: not {what} ({type(error).__name__}: {reason})") from None


def find_file(root: Path, name: str, what: str) -> Path:
    """Find a file by its name at any depth below `root`.

    Raises:
        DataNotFoundError: there is no such file.
    """
    if not root.is_dir():
        raise DataNotFoundError(f"there is no folder {root}")
    for path in sorted(root.rglob("*")):
        if path.name == name:
            return path
    raise DataNotFoundError(f"{root} contains no {what}: there is no file {name} in it")


def make_record(
    sample_id: str,
    image: Path,
    mask: np.ndarray,
    question: str | list[str],
    content: bytes | None = None,
    **facts: Any,
) -> Record:
    """Make a record from a picture, a mask and questions.

    Args:
        sample_id: id, unique over all splits.
        image: path of the picture; it is read unless `content` is given.
        mask: (height, width) bool.
        question: one question, or several about the same mask.
        content: encoded picture.
        **facts: optional columns of the record.

    Raises:
        DataFormatError: the picture is unreadable, or its size differs from that of the mask.
    """
    picture, (height, width) = rgb_content(image.read_bytes() if content is None else content, image, mask.shape)
    check_sizes(mask, (height, width), Path(f"mask of {sample_id}"), image)
    return Record(
        sample_id=sample_id,
        image=picture,
        mask=encode_mask_png(mask),
        height=height,
        width=width,
        is_empty=not mask.any(),
        questions=[question] if isinstance(question, str) else question,
        **facts,
    )


def without_tag(record: Record, path: Path) -> Record:
    """Return the record of another table, at `path`, with a picture that no reader turns by an EXIF orientation."""
    image = untagged(record.image, path / record.sample_id, (record.height, record.width))
    return record if image is record.image else replace(record, image=image)


def split_of_name(stem: str) -> str:
    """Return the split that a file name contains: `val-00000-of-00001` is validation; `test` if it contains none."""
    return next((split for split, name in ON_DISK.items() if name in stem.lower()), "test")


def by_split(files: list[Path]) -> dict[str, list[Path]]:
    """Group files by the split in their names."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(split_of_name(path.stem), []).append(path)
    return groups


def record_of_question(row: Mapping[str, Any], folder: Path, notes: SoftLabels | None = None) -> Record:
    """Read a row `id, image, mask, problem, category, bbox_list`, with pictures as bytes or as paths below `folder`.

    `notes` is that of `label_picture`.

    Raises:
        DataFormatError: a field is missing or a picture is unreadable.
    """
    try:
        sample_id, question = str(row["id"]), str(row["problem"])
        image, image_path = _content(row["image"], folder)
        mask_content, mask_path = _content(row["mask"], folder)
    except KeyError as error:
        raise DataFormatError(f"{folder}: a row has no field {error}") from None
    extra = extra_keys(row, ("id", "image", "mask", "problem", "category"))
    mask = mask_of(mask_content, mask_path, notes)
    return make_record(sample_id, image_path, mask, question, image, category=row.get("category"), extra=extra)


def _content(value: Any, folder: Path) -> tuple[bytes, Path]:
    if isinstance(value, dict):
        if value.get("bytes"):
            return value["bytes"], Path(value.get("path") or "embedded picture")
        value = value.get("path")
    if isinstance(value, bytes):
        return value, Path("embedded picture")
    path = folder / str(value)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataFormatError(f"{value}: points outside {folder}")
    if not path.is_file():
        raise DataFormatError(f"there is no picture {path}")
    return path.read_bytes(), path


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, or in Windows-1252 as LISA's reader reads some of ReasonSeg's.

    Raises:
        DataFormatError: the file has another encoding, or is not JSON; names the file.
    """
    return parse_json(path.read_bytes(), path, western=True)

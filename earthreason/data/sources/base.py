"""Interface of every source of samples: a declaration, and records by split that are read lazily."""

from __future__ import annotations

import glob
import logging
import re
import tarfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from earthreason.data import layout
from earthreason.data.about import OWN_DATA, About
from earthreason.data.omissions import Omissions, Tolerance
from earthreason.data.pictures import SoftLabels, check_sizes, mask_of, rgb_content, untagged
from earthreason.data.schema import Record, check_types, extra_keys
from earthreason.data.sources.places import path_below
from earthreason.data.texts import parse_json
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import visible_files
from earthreason.masks.png import encode_mask_png

_log = logging.getLogger(__name__)
ON_DISK = {"train": "train", "validation": "val", "test": "test"}
"""Folder name of every split in the official release and related datasets."""
FROM_DISK = {folder: split for split, folder in ON_DISK.items()}
IMAGE_SUFFIXES = layout.FOLDERS["images"]


class Source(Protocol):
    """Records by split.

    Attributes:
        name: name of the format.
        counts: number of records by split, with those that turn out to be broken and are left out.
    """

    @property
    def name(self) -> str: ...
    @property
    def counts(self) -> Mapping[str, int]: ...

    def read(self, split: str) -> Iterator[Record]:
        """Read the records of a split, in a fixed order."""
        ...


class SampleSource(ABC):
    """Base of sources that read sample by sample: a sample that is broken is left out, and the others are read.

    Attributes:
        name: name of the format.
        counts: number of samples by split, with those that are left out.
        omissions: samples that were left out so far.
        tolerance: how many samples of a split may be left out; None if the caller decides after reading.
        place: folder or file that was opened; None if unknown.
    """

    name: str
    counts: Mapping[str, int]
    place: Path | None = None

    def __init__(self) -> None:
        self.omissions = Omissions()
        self.tolerance: Tolerance | None = Tolerance()

    @abstractmethod
    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the samples of a split in a fixed order: a name for messages, and a function that reads the sample.

        The function raises DataFormatError or OSError if the sample is broken, and names the file.
        """

    def read(self, split: str) -> Iterator[Record]:
        """Read the sound samples of a split; the others are added to `omissions`.

        Raises:
            DataFormatError: more samples of the split are broken than `tolerance` allows; raised after the last.
        """
        times: Counter[str] = Counter()
        places: dict[str, str] = {}
        for name, read_sample in self.samples(split):
            times[name] += 1
            # Several samples may have one name, such as the number of their image.
            place = name if times[name] == 1 else f"{name} ({times[name]})"
            try:
                record = read_sample()
                check_types(record, place)
                other = places.setdefault(record.sample_id, place)
                if other != place:
                    message = f"{place}: the sample id {record.sample_id!r} is that of {other} too; rename one"
                    raise DataFormatError(message, "id used twice")
            except (DataFormatError, OSError) as error:
                self.omissions.add(split, place, error)
            else:
                yield record
        if self.tolerance is not None:
            left_out = self.omissions.of_split(split)
            left_out.check(self.counts, self.tolerance, self.name)
            if left_out:
                _log.warning("%s: %s", self.name, left_out.summary())


def omissions_of(source: Source) -> Omissions:
    """Return what a source has left out so far; nothing for sources that are always whole."""
    omissions = getattr(source, "omissions", None)
    return omissions if isinstance(omissions, Omissions) else Omissions()


@dataclass(frozen=True)
class SourceFormat:
    """Declaration of a format that samples are stored in; pass it to `register` in the file that defines it.

    Attributes:
        name: unique name.
        title: short description of the format.
        matches: function that returns whether a folder has this format, or the folder below it that has; no match is
            False or None.
        open: function that opens a folder, or a file with one of `suffixes`.
        suffixes: suffixes of single files in this format, in lower case with the dot.
        precedence: rank among the formats that match a folder; the lowest is opened.
        config: configuration name for `load_dataset("earthreason", config, data_dir=...)`; None for formats of any
            dataset, which the configuration `default` reads.
        variants: further configurations, and the function that opens each; they read other parts of the same folder.
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
    variants: Mapping[str, Callable[[Path], Source]] = field(default_factory=dict)

    def configurations(self) -> dict[str, SourceFormat]:
        """Return this format by each of its configurations."""
        own = {} if self.config is None else {self.config: self}
        return own | {name: replace(self, open=opened) for name, opened in self.variants.items()}


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
        shared = other.configurations().keys() & source_format.configurations().keys()
        if shared:
            raise ValueError(f"source {source_format.name!r}: {other.name!r} has the config {sorted(shared)} already")
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
    if found := visible_files(root, f"**/{glob.escape(name)}"):
        return found[0]
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


def split_of_name(path: str | Path, root: Path | None = None, alone: bool = False) -> str:
    """Return the split that a file name says in a whole word: `val-00000-of-00001` is validation, `testA` is test.

    Words end where letters end or where their case changes. If no word of the name is in `layout.SPLIT_WORDS`, the
    folders between the file and `root` are asked, the nearest first. `eval` is no split: people evaluate on any.

    Args:
        path: file, or its name.
        root: folder that was opened; None if the file was.
        alone: whether the file is the only one, so that one without a split is `test`.

    Raises:
        DataFormatError: the name says several splits, or none and the file is not alone; says how to name it.
    """
    path = Path(path)
    said = _splits_in(path.stem)
    if len(said) > 1:
        raise DataFormatError(
            f"{path}: its name says several splits ({', '.join(sorted(said))}); rename it so that it says one, such as "
            f"{min(said)}{path.suffix}"
        )
    folders = () if root is None else path.relative_to(root).parts[-2::-1]
    for splits in (said, *map(_splits_in, folders)):
        if len(splits) == 1:
            return splits.pop()
    if alone:
        return "test"
    raise DataFormatError(
        f"{path}: its name says no split; rename it, such as test-{path.name} (train, val or test as a whole word), or "
        "open this file alone, which is then test"
    )


def _splits_in(name: str) -> set[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return {layout.SPLIT_WORDS[word] for word in re.findall(r"[^\W\d_]+", parted.lower()) if word in layout.SPLIT_WORDS}


def by_split(files: list[Path], root: Path | None = None) -> dict[str, list[Path]]:
    """Group files by the split in their names, or in those of their folders below `root`.

    Raises:
        DataFormatError: a file has several splits, or one of several files has none.
    """
    groups: dict[str, list[Path]] = {}
    for path in files:
        split = split_of_name(path, None if path == root else root, alone=len(files) == 1)
        groups.setdefault(split, []).append(path)
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
    path = path_below(folder, value, "a row")
    if not path.is_file():
        raise DataFormatError(f"there is no picture {path}")
    return path.read_bytes(), path


def read_json(path: Path) -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, or in Windows-1252 as LISA's reader reads some of ReasonSeg's.

    Raises:
        DataFormatError: the file has another encoding, or is not JSON; names the file.
    """
    return parse_json(path.read_bytes(), path, western=True)

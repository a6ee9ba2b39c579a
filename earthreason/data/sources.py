"""Any place samples come from, seen the same way: records by split, read lazily.

A new format is one class with `name`, `counts` and `read`, and one line in `_FOLDER_READERS`.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from earthreason.data.pictures import mask_of
from earthreason.data.referring import (
    RRSISD,
    ReasonSeg,
    RefSegRS,
    holds_pictures_with_json,
    make_record,
    mask_of_annotation,
)
from earthreason.data.release import find_release, list_samples, read_split
from earthreason.data.schema import SPLITS, Record, extra_keys, record_of_row
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError

_FACTS = ("category", "ground_resolution", "source", "reasoning_type", "extra")


@contextmanager
def named(path: Path, what: str) -> Iterator[None]:
    """Turn what decoders raise on broken files into one error that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, tarfile.TarError, zlib.error, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else ""
        raise DataFormatError(f"{path}: not {what} ({type(error).__name__}: {reason})") from None


class Source(Protocol):
    """Records by split.

    Attributes:
        name: of the format.
        counts: records of every split.
    """

    @property
    def name(self) -> str: ...
    @property
    def counts(self) -> Mapping[str, int]: ...

    def read(self, split: str) -> Iterator[Record]:
        """The records of a split, in a fixed order."""
        ...


class Release:
    """The official layout, however deep it is nested."""

    name = "release"

    def __init__(self, root: Path) -> None:
        self._samples = list_samples(find_release(root))
        self.counts = {split: len(files) for split, files in self._samples.items()}

    def read(self, split: str) -> Iterator[Record]:
        return read_split(self._samples, split)


class Parquet:
    """Parquet files: ours, or EarthReason-FS and others with `id, image, mask, problem, category, bbox_list`."""

    name = "parquet"

    def __init__(self, root: Path) -> None:
        import pyarrow.parquet as pq

        files = [root] if root.is_file() else sorted(root.rglob("*.parquet"))
        if not files:
            raise DataNotFoundError(f"{root} holds no parquet files")
        self._files = by_split(files)
        self.counts = dict.fromkeys(self._files, 0)
        for split, paths in self._files.items():
            for path in paths:
                with named(path, "a parquet file"):
                    self.counts[split] += pq.ParquetFile(path).metadata.num_rows

    def read(self, split: str) -> Iterator[Record]:
        import pyarrow.parquet as pq

        for path in self._files[split]:
            with named(path, "a parquet file of samples"):
                for batch in pq.ParquetFile(path).iter_batches(batch_size=16):
                    for row in batch.to_pylist():
                        yield record_of_row(row) if "sample_id" in row else record_of_question(row, path.parent)


class JSONLines:
    """JSONL with one question a line (Geo-R1's fields); images and masks are paths beside the file."""

    name = "jsonl"

    def __init__(self, path: Path) -> None:
        self._path, self._split = path, split_of_name(path.stem)
        with path.open(encoding="utf-8-sig") as file:
            self.counts = {self._split: sum(1 for line in file if line.strip())}

    def read(self, split: str) -> Iterator[Record]:
        with self._path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    with named(Path(f"{self._path} line {number}"), "a question with its pictures"):
                        record = record_of_question(json.loads(line), self._path.parent)
                    yield record


class COCO:
    """Our COCO export: one annotation file a split, sample facts under `earthreason` of every image."""

    name = "coco"

    def __init__(self, root: Path) -> None:
        files = [root] if root.is_file() else sorted((root / "annotations").glob("*.json"))
        self._files = {split_of_name(path.stem): path for path in files}
        if not self._files:
            raise DataNotFoundError(f"{root} holds no annotations/*.json")
        self._tables, self.counts = {}, {}
        for split, path in self._files.items():
            with named(path, "a COCO annotation file"):
                table = json.loads(path.read_text(encoding="utf-8-sig"))
                self._tables[split], self.counts[split] = table, len(table["images"])

    def read(self, split: str) -> Iterator[Record]:
        with named(self._files[split], "a COCO annotation file"):
            yield from self._records(self._tables[split], self._files[split])

    def _records(self, table: dict[str, Any], path: Path) -> Iterator[Record]:
        base = path.parent.parent if path.parent.name == "annotations" else path.parent
        masks: dict[int, list[Any]] = {}
        for annotation in table["annotations"]:
            masks.setdefault(annotation["image_id"], []).append(annotation["segmentation"])
        for image in table["images"]:
            height, width = image["height"], image["width"]
            parts = [mask_of_annotation(part, height, width) for part in masks.get(image["id"], [])]
            mask = np.logical_or.reduce(parts) if parts else np.zeros((height, width), bool)
            facts = image.get("earthreason", {})
            file = base / "images" / image["file_name"]
            if not file.resolve().is_relative_to(base.resolve()) or not file.is_file():
                raise DataFormatError(f"{path}: there is no image {image['file_name']!r} in {base / 'images'}")
            questions = facts.get("questions") or [""]
            yield make_record(
                str(facts.get("sample_id", image["id"])), file, mask, questions, answers=facts.get("answers", []),
                **{key: facts.get(key) for key in _FACTS},
            )  # fmt: skip


class WebDataset:
    """Tar shards `SPLIT-000000.tar` with KEY.jpg or .png, KEY.mask.png and KEY.json."""

    name = "webdataset"

    def __init__(self, root: Path) -> None:
        files = [root] if root.is_file() else sorted(root.glob("*.tar"))
        self._files = by_split(files)
        self.counts = {split: sum(_count_json(p) for p in paths) for split, paths in self._files.items()}
        if not self.counts:
            raise DataNotFoundError(f"{root} holds no tar files")

    def read(self, split: str) -> Iterator[Record]:
        for path in self._files[split]:
            with named(path, "a tar file of samples"), tarfile.open(path) as archive:
                held: dict[str, bytes] = {}
                for member in archive:
                    reader = archive.extractfile(member)
                    if reader is not None:
                        held[member.name.partition(".")[2]] = reader.read()
                    if member.name.endswith(".json"):
                        facts = json.loads(held["json"])
                        picture = held["jpg"] if "jpg" in held else held["png"]
                        yield Record(image=picture, mask=held["mask.png"], **facts)
                        held = {}


def _count_json(path: Path) -> int:
    with named(path, "a tar file"), tarfile.open(path) as archive:
        return sum(member.name.endswith(".json") for member in archive)


class Configured:
    """A configuration of `load_dataset`, such as `sample`."""

    name = "dataset"

    def __init__(self, config: str, data_dir: Path | None = None) -> None:
        from datasets import Image

        from earthreason.data.load import load_dataset

        self.config = config
        loaded = load_dataset("earthreason", config, data_dir=data_dir)
        self._splits = {
            split: rows.cast_column("image", Image(decode=False)).cast_column("mask", Image(decode=False))
            for split, rows in loaded.items()
        }
        self.counts = {split: len(rows) for split, rows in self._splits.items()}

    def read(self, split: str) -> Iterator[Record]:
        return map(record_of_row, self._splits[split])


def split_of_name(stem: str) -> str:
    """The split a file's name speaks of: `val-00000-of-00001` is validation; test where it says nothing."""
    lowered = stem.lower()
    for word, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        if word in lowered:
            return split
    return "test"


def by_split(files: list[Path]) -> dict[str, list[Path]]:
    """Files by the split that their names speak of."""
    found: dict[str, list[Path]] = {}
    for path in files:
        found.setdefault(split_of_name(path.stem), []).append(path)
    return found


def record_of_question(row: Mapping[str, Any], folder: Path) -> Record:
    """A row `id, image, mask, problem, category, bbox_list`, with pictures as bytes or as paths below `folder`.

    Raises:
        DataFormatError: a field is missing or a picture is not readable.
    """
    try:
        sample_id, question = str(row["id"]), str(row["problem"])
        image, image_path = _content(row["image"], folder)
        mask_content, mask_path = _content(row["mask"], folder)
    except KeyError as error:
        raise DataFormatError(f"{folder}: a row has no field {error}") from None
    extra = extra_keys(row, ("id", "image", "mask", "problem", "category"))
    mask = mask_of(mask_content, mask_path)
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


_FOLDER_READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Source]], ...] = (
    (lambda p: (p / "annotations").is_dir() and (p / "images").is_dir(), COCO),
    (lambda p: any(p.rglob("refs(unc).p")), RRSISD),
    (lambda p: any(p.rglob("output_phrase_train.txt")), RefSegRS),
    (lambda p: any(p.rglob("*.parquet")), Parquet),
    (lambda p: any(p.glob("*.tar")), WebDataset),
    (holds_pictures_with_json, ReasonSeg),
    (lambda p: True, Release),
)
_FILE_READERS: dict[str, Callable[[Path], Source]] = {
    ".parquet": Parquet, ".jsonl": JSONLines, ".json": COCO, ".tar": WebDataset,
}  # fmt: skip


def holds_other_form(folder: Path) -> bool:
    """Whether a folder holds samples in another form than the release's."""
    return folder.is_dir() and next(reader for matches, reader in _FOLDER_READERS if matches(folder)) is not Release


def open_source(source: str | Path) -> Source:
    """Open samples by what lies at a path, or by the name of a configuration.

    Raises:
        DataNotFoundError: there is nothing, or nothing that is known.
        DataFormatError: it is broken; names the place.
    """
    from earthreason.data.configs import CONFIGS

    path = Path(source).expanduser()
    if str(source) in CONFIGS and not path.exists():
        return Configured(str(source))
    if path.is_file():
        reader = _FILE_READERS.get(path.suffix.lower())
        if reader is None:
            raise DataNotFoundError(f"{path}: no known data; known files end with {', '.join(_FILE_READERS)}")
        return reader(path)
    if not path.is_dir():
        known = ", ".join(CONFIGS)
        raise DataNotFoundError(f"there is no {source}; give a folder, a file, or a configuration ({known})")
    return next(reader for matches, reader in _FOLDER_READERS if matches(path))(path)


def read_all(source: Source) -> Iterator[tuple[str, Record]]:
    """Every record with its split, in the order train, validation, test."""
    for split in sorted(source.counts, key=lambda name: SPLITS.index(name) if name in SPLITS else len(SPLITS)):
        for record in source.read(split):
            yield split, record


def find_records(source: Source, sample_ids: list[str]) -> dict[str, tuple[str, Record]]:
    """Split and record of the ids asked for.

    Raises:
        EarthReasonError: one is not there; names the nearest.
    """
    from difflib import get_close_matches

    found: dict[str, tuple[str, Record]] = {}
    known = []
    for split, record in read_all(source):
        known.append(record.sample_id)
        if record.sample_id in sample_ids:
            found[record.sample_id] = split, record
            if len(found) == len(set(sample_ids)):
                return found
    absent = next(sample_id for sample_id in sample_ids if sample_id not in found)
    nearest = get_close_matches(absent, known, n=1)
    raise EarthReasonError(f"there is no sample {absent!r}" + (f"; nearest: {nearest[0]!r}" if nearest else ""))

"""Read RISBench (CroBIM, arXiv 2410.08613): its own folder, or the tables of a mirror on the Hub.

A line of `output_phrase_SPLIT.txt` is the name of a picture with its suffix, a space and a phrase; mask > 0 is target.
Public readers of that folder and of the mirror agree on this; the `val` lines name pictures of the training pool
(`train_0_0.png`), so ids have the split of the line.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.about import About
from earthreason.data.pictures import SoftLabels, mask_of
from earthreason.data.schema import Record
from earthreason.data.sources.base import (
    FROM_DISK,
    SampleSource,
    SourceFormat,
    by_split,
    make_record,
    named,
    record_of_question,
    register,
)
from earthreason.data.sources.lookup import first_line
from earthreason.data.sources.places import NamedFiles
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import visible_files

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema

_PAGE = "https://github.com/HIT-SIRS/CroBIM"
_COLUMNS = ("image", "mask", "phrase")
_PHRASES = "output_phrase_*.txt"
_PICTURE = re.compile(rb"\S+\.(?:png|jpe?g|tiff?)\s", re.IGNORECASE)
_ROWS_AT_ONCE = 16


class RISBench(SampleSource):
    """Samples of `output_phrase_SPLIT.txt` with `img_rgb/` and `mask/`."""

    name = "risbench"

    def __init__(self, root: Path) -> None:
        super().__init__()
        folder = _folder(root)
        if folder is None:
            raise DataNotFoundError(
                f"{root} contains no RISBench: expected output_phrase_SPLIT.txt with lines `FILE PHRASE`, img_rgb/ and "
                "mask/, or tables with image, mask and phrase"
            )
        self._images = NamedFiles(_first_folder(folder, "img_rgb", "images"))
        self._masks = NamedFiles(_first_folder(folder, "mask", "masks"))
        self._lines: dict[str, list[tuple[str, bytes]]] = {}
        for name, split in FROM_DISK.items():
            path = folder / f"output_phrase_{name}.txt"
            if path.is_file():
                content = path.read_bytes()
                if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise DataFormatError(f"{path}: is UTF-16; write it as UTF-8 (iconv -f utf-16 -t utf-8)")
                lines = enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), start=1)
                self._lines[split] = [(f"{path} line {number}", line) for number, line in lines if line.strip()]
                if not self._lines[split]:
                    raise DataFormatError(
                        f"{path}: the list of phrases is empty; restore it, or remove it to do without the split"
                    )
        self.counts = {split: len(lines) for split, lines in self._lines.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the lines of a split."""
        seen: Counter[str] = Counter()
        notes = SoftLabels()
        for place, line in self._lines[split]:
            name = line.split(maxsplit=1)[0].decode("utf-8", "replace")
            stem = name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or name
            seen[stem] += 1
            sample_id = f"risbench_{split}_{stem}_{seen[stem]}"
            yield Path(place).name, partial(self._record, sample_id, place, line, notes)

    def _record(self, sample_id: str, place: str, line: bytes, notes: SoftLabels) -> Record:
        try:
            name, *phrases = line.decode("utf-8").strip().split(maxsplit=1)
        except UnicodeDecodeError as error:
            raise DataFormatError(f"{place}: byte {line[error.start]:#04x} is not UTF-8", "broken line") from None
        if not phrases:
            raise DataFormatError(f"{place}: expected a file name and a phrase, found {name[:40]!r}", "broken line")
        image, label = self._images.find(name, place, "image"), self._masks.find(name, place, "label")
        mask = mask_of(label.read_bytes(), label, notes)
        return make_record(sample_id, image, mask, phrases, source="RISBench")


class RISBenchTables(SampleSource):
    """Samples of parquet or Arrow files with the columns `image`, `mask` and `phrase`."""

    name = "risbench"

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._files = by_split(_tables(root), root)
        self.counts = {}
        for split, paths in self._files.items():
            self.counts[split] = sum(batch.num_rows for path in paths for batch in _batches(path, _COLUMNS[-1:]))

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the rows of a split; the id of a row is its number, because the mirror has no names."""
        notes = SoftLabels()
        number = 0
        for path in self._files[split]:
            for batch in _batches(path, _COLUMNS):
                for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                    for row in batch.slice(start, _ROWS_AT_ONCE).to_pylist():
                        place = Path(f"{path} row {number}")
                        yield f"row {number}", partial(_row_record, row, f"risbench_{split}_{number:06d}", place, notes)
                        number += 1


def _row_record(row: dict[str, Any], sample_id: str, place: Path, notes: SoftLabels) -> Record:
    with named(place, "a row with image, mask and phrase"):
        if any(row[column] is None for column in _COLUMNS) or not str(row["phrase"]).strip():
            raise DataFormatError(f"{place}: image, mask or phrase is empty", "broken row")
        question = {"id": sample_id, "image": row["image"], "mask": row["mask"], "problem": str(row["phrase"]).strip()}
        record = record_of_question(question, place.parent, notes)
        return replace(record, source="RISBench")


@contextmanager
def _arrow(path: Path) -> Iterator[Any]:
    """Open an Arrow file in the form of streams, which `datasets` writes, or in that of files."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as memory:
        try:
            reader = pa.ipc.open_stream(memory)
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(memory)
        yield reader


def _batches(path: Path, columns: tuple[str, ...]) -> Iterator[RecordBatch]:
    import pyarrow.parquet as pq

    with named(path, "a table with image, mask and phrase"):
        if path.suffix.lower() == ".parquet":
            yield from pq.ParquetFile(path).iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns))
            return
        with _arrow(path) as reader:
            stored = (reader.get_batch(n) for n in range(reader.num_record_batches)) if _is_file(reader) else reader
            for batch in stored:
                yield batch.select(list(columns))


def _is_file(reader: Any) -> bool:
    return hasattr(reader, "num_record_batches")


def _schema(path: Path) -> Schema | None:
    import pyarrow.parquet as pq

    try:
        with named(path, "a table"):
            if path.suffix.lower() == ".parquet":
                return pq.read_schema(path)
            with _arrow(path) as reader:
                return reader.schema
    except DataFormatError:
        return None


def _tables(root: Path) -> list[Path]:
    files = (path for suffix in ("parquet", "arrow") for path in visible_files(root, f"**/*.{suffix}"))
    # `datasets` leaves results of map and filter beside a saved dataset.
    return sorted(path for path in files if not path.name.startswith("cache-"))


def _has_tables(root: Path) -> bool:
    tables = _tables(root)
    schema = _schema(tables[0]) if tables else None
    return schema is not None and set(_COLUMNS) <= set(schema.names)


def _folder(root: Path) -> Path | None:
    """Return the folder at any depth whose phrases start with the name of a picture; RefSegRS has numbers there."""
    files = visible_files(root, f"**/{_PHRASES}")
    return next((path.parent for path in files if _PICTURE.match(first_line(path))), None)


def _first_folder(folder: Path, *names: str) -> Path:
    return next((folder / name for name in names if (folder / name).is_dir()), folder / names[0])


def _open(root: Path) -> RISBench | RISBenchTables:
    return RISBenchTables(root) if _folder(root) is None and _has_tables(root) else RISBench(root)


register(
    SourceFormat(
        name="risbench",
        title="RISBench: output_phrase_SPLIT.txt with img_rgb/ and mask/, or tables with image, mask and phrase",
        matches=lambda folder: _folder(folder) is not None or _has_tables(folder),
        open=_open,
        precedence=25,
        config="risbench",
        about=About(
            title="RISBench",
            licence="unknown",
            origin="RISBench was published with CroBIM (arXiv 2410.08613).",
            url=_PAGE,
            citation="Cross-Modal Bidirectional Interaction Model for Referring Remote Sensing Image Segmentation, "
            "arXiv 2410.08613",
        ),
        paper="https://arxiv.org/abs/2410.08613",
        how_to_get=_PAGE,
        splits={"train": 26_300, "validation": 10_013, "test": 16_158},
    )
)

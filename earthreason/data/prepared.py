"""Prepared folders: parquet files and a card with YAML configs, the Hub's own layout of a dataset.

`datasets` reads such a folder without our code, so slicing, streaming, `num_proc` and column selection work as usual.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path

from earthreason.data.about import OWN_DATA, About
from earthreason.data.cards import write_card
from earthreason.data.omissions import LEFT_OUT, Omissions, Tolerance
from earthreason.data.schema import Record, features
from earthreason.errors import DataFormatError
from earthreason.files import atomic_path, write_json
from earthreason.plurals import count_of

DATASET = "earthreason"
"""Name of every prepared folder, because `datasets` takes the last component of a path as the name of the dataset."""
FORMAT = 5
"""Version of columns and reading rules; increase it whenever they change, so that older copies are not used."""
_LIBRARIES = ("pillow", "opencv-python-headless", "pyarrow")
"""Libraries that decide bytes of prepared files: they encode pictures, draw polygons and write tables."""
ROWS_PER_GROUP = 100
"""The Hub's viewer recommends row groups of 100 to 300 MB; 100 rows of the release take about 25 MB, at most 280."""
ROWS_PER_FILE = 400
"""Streaming workers divide a split by files, so every split has several."""

_ORIGIN = "origin.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """What a prepared folder was made from.

    Attributes:
        config: configuration of `load_dataset`.
        source: folder, or repository and commit.
        versions: versions of our format and of the libraries that decide bytes.
    """

    config: str
    source: str
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """Return the versions of our format and of the libraries that decide bytes of a prepared folder."""
    return {"format": str(FORMAT), **{library: _version_of(library) for library in _LIBRARIES}}


def _version_of(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # such as opencv-python in place of opencv-python-headless
        return "unknown"


def versions_key() -> str:
    """Return six hexadecimal digits for `versions`."""
    return hashlib.sha256(json.dumps(versions(), sort_keys=True).encode()).hexdigest()[:6]


def read_origin(folder: Path) -> Origin | None:
    """Return what a prepared folder was made from; None for folders of older versions."""
    path = folder / _ORIGIN
    return Origin(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


def write_prepared(
    folder: Path,
    config: str,
    splits: Mapping[str, Iterable[Record]],
    counts: Mapping[str, int],
    data: str = "data",
    about: About = OWN_DATA,
    omissions: Omissions | None = None,
    source: str | None = None,
) -> None:
    """Write a prepared folder atomically, so that an interrupted run leaves nothing behind.

    Args:
        folder: folder to create; `datasets` takes its last component as the name of the dataset.
        config: name of the configuration.
        splits: records by split, consumed lazily.
        counts: number of samples by split, with those that are left out while the records are read.
        data: name of the subfolder for the parquet files. The cache of `datasets` identifies a dataset by the names
            in its card only, so different content under one dataset name needs different names here.
        about: title, licence and origin for the card.
        omissions: samples that the source of the records leaves out; they are listed in `left_out.json`.
        source: folder, or repository and commit, that the records come from; None for an export.
    """
    with atomic_path(folder) as temporary:
        data_folder = temporary / data
        data_folder.mkdir(parents=True)
        rows_written: dict[str, int] = {}
        for split, records in splits.items():
            paths = [data_folder / name for name in file_names(split, counts[split])]
            rows = iter(records)
            rows_written[split] = sum(write_rows(path, islice(rows, ROWS_PER_FILE)) for path in paths)
            if not rows_written[split]:  # `datasets` fails on a split without rows
                del rows_written[split]
                for path in paths:
                    path.unlink()
        omissions = omissions or Omissions()
        omissions.write(temporary / LEFT_OUT, counts)
        about.write(temporary)
        if source is not None:
            write_json(temporary / _ORIGIN, asdict(Origin(config, source, versions())))
        files_of = {split: f"{data}/{split}-*.parquet" for split in rows_written}
        write_card(temporary, about, rows_written, files_of, config=config, omissions=omissions)


def file_names(split: str, count: int) -> list[str]:
    """List the names of the parquet files of a split of `count` samples, with those that are left out."""
    files = max(1, -(-count // ROWS_PER_FILE))
    return [f"{split}-{number:05d}-of-{files:05d}.parquet" for number in range(files)]


def write_rows(path: Path, records: Iterable[Record]) -> int:
    """Write a parquet file; return its number of rows."""
    import pyarrow.parquet as pq
    from pyarrow import Table

    schema = features().arrow_schema
    rows = iter(records)
    written = 0
    with pq.ParquetWriter(path, schema, compression="snappy", write_page_index=True) as writer:
        for group in _batches(rows, ROWS_PER_GROUP):
            writer.write_table(Table.from_pylist([record.to_row() for record in group], schema=schema))
            written += len(group)
    return written


def check_left_out(folder: Path, tolerance: Tolerance, source: str) -> Omissions:
    """Return what a prepared folder leaves out, and log one line about it.

    Raises:
        DataFormatError: everything is left out, or more than `tolerance` allows.
    """
    path = folder / LEFT_OUT
    omissions, counts = Omissions.read(path)
    if counts and sum(counts.values()) == len(omissions):
        raise DataFormatError(
            f"{source}: of {count_of(len(omissions), 'sample')} none can be read: {omissions.summary()}. The first: "
            f"{omissions.first_message}. All are listed in {path}"
        )
    omissions.check(counts, tolerance, source, path)
    if omissions:
        _log.warning("%s: %s; all are listed in %s", source, omissions.summary(), path)
    return omissions


def split_files(folder: Path, split: str) -> list[Path]:
    """List the parquet files of a split in a prepared folder, in the order of its rows."""
    return sorted(folder.glob(f"*/{glob.escape(split)}-?????-of-?????.parquet"))


def _batches(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while batch := list(islice(records, size)):
        yield batch

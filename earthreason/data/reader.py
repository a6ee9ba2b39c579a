"""Open samples by a path or by the name of a configuration, as every command does with its SRC."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from earthreason.data.about import read_about
from earthreason.data.configs import CONFIGS, FolderConfig, get_config
from earthreason.data.load import load_dataset
from earthreason.data.omissions import Tolerance
from earthreason.data.prepared import check_left_out
from earthreason.data.schema import PICTURES, TARGETS, Record, in_order, record_of_row, undecoded
from earthreason.data.sources import Source, open_folder_or_file
from earthreason.errors import DataNotFoundError, EarthReasonError, SampleNotFoundError


class Configured:
    """Records of a configuration of `load_dataset`, such as `sample`."""

    name = "dataset"

    def __init__(self, config: str, data_dir: Path | None = None, tolerance: Tolerance | None = None) -> None:
        self.config = config
        folder = get_config(config).prepare(data_dir)
        self.about = read_about(folder)
        self.omissions = check_left_out(folder, tolerance or Tolerance(), config)
        loaded = load_dataset(str(folder), config)
        self._splits = {split: undecoded(rows, *PICTURES, TARGETS) for split, rows in loaded.items()}
        self.counts = {split: len(rows) for split, rows in self._splits.items()}

    def read(self, split: str) -> Iterator[Record]:
        """Read the records of a split."""
        return map(record_of_row, self._splits[split])


def open_source(source: str | Path, tolerance: Tolerance | None = None) -> Source:
    """Open the samples in a folder or file, or those of a configuration.

    `tolerance` says how many samples may be left out because they are broken: 2 % of a split by default. A source that
    is not prepared checks it at the end of each split.

    Raises:
        DataNotFoundError: the path is absent or has no known format.
        DataFormatError: the content is broken; names the file.
    """
    path = Path(source).expanduser()
    if str(source) in CONFIGS and not path.exists():
        return Configured(str(source), tolerance=tolerance)
    if not path.exists():
        known = ", ".join(CONFIGS)
        raise DataNotFoundError(f"there is no {source}; give a folder, a file, or a configuration ({known})")
    return open_folder_or_file(path, tolerance)


def open_as(config: str, folder: Path) -> Source:
    """Open a folder as the dataset of a configuration, whatever its files look like.

    Raises:
        UnknownNameError: the configuration is unknown.
        EarthReasonError: the configuration is not read from a folder.
        DataNotFoundError: the folder has no such dataset.
    """
    chosen = get_config(config)
    if not isinstance(chosen, FolderConfig):
        raise EarthReasonError(f"the configuration {config!r} is not read from a folder of its own; leave it out")
    return chosen.source_format.open(folder)


def read_all(source: Source) -> Iterator[tuple[str, Record]]:
    """Read every record with its split, in the order train, validation, test."""
    for split in in_order(source.counts):
        for record in source.read(split):
            yield split, record


def find_records(source: Source, sample_ids: list[str]) -> dict[str, tuple[str, Record]]:
    """Find samples by their ids and return the split and record of each.

    Raises:
        SampleNotFoundError: an id does not exist; names the nearest.
    """
    records: dict[str, tuple[str, Record]] = {}
    known = []
    for split, record in read_all(source):
        known.append(record.sample_id)
        if record.sample_id in sample_ids:
            records[record.sample_id] = split, record
            if len(records) == len(set(sample_ids)):
                return records
    absent = next(sample_id for sample_id in sample_ids if sample_id not in records)
    nearest = get_close_matches(absent, known, n=1)
    raise SampleNotFoundError(f"there is no sample {absent!r}" + (f"; nearest: {nearest[0]!r}" if nearest else ""))


def choose_record(source: Source) -> tuple[str, Record]:
    """Choose the first sample that has a target, of the test split if there is one; return its split and record.

    Raises:
        SampleNotFoundError: the source has no sample.
    """
    first = None
    for split in reversed(in_order(source.counts)):
        for record in source.read(split):
            if not record.is_empty:
                return split, record
            first = first or (split, record)
    if first is None:
        raise SampleNotFoundError(f"{source.name}: there is no sample to show")
    return first

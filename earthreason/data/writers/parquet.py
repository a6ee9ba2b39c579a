"""Write parquet files with a dataset card and Croissant metadata, at once or in parts."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from earthreason.data.about import About, read_about
from earthreason.data.cards import write_card
from earthreason.data.croissant import describe
from earthreason.data.omissions import LEFT_OUT, Omissions, Tolerance
from earthreason.data.prepared import ROWS_PER_FILE, file_names, write_prepared, write_rows
from earthreason.data.sources import Source
from earthreason.data.sources.base import SampleSource, omissions_of
from earthreason.data.sources.ranges import read_range
from earthreason.data.writers.base import register
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import atomic_path, refuse_taken, write_json
from earthreason.installing import install_command
from earthreason.shards import Shard, check_complete

PART = "part.json"
"""Name of the file that says which part of an export a folder has."""
_DATA = "data"
_log = logging.getLogger(__name__)


@register("parquet")
def write(source: Source, folder: Path, about: About) -> None:
    """Write `data/SPLIT-*.parquet`, `README.md` and `croissant.json`."""
    splits = {split: source.read(split) for split in source.counts}
    write_prepared(folder, "default", splits, source.counts, about=about, omissions=omissions_of(source))
    _write_croissant(folder, about)


def _write_croissant(folder: Path, about: About) -> None:
    if find_spec("mlcroissant") is None:
        remedy = install_command("earthreason[croissant]")
        _log.warning("%s has no croissant.json, because mlcroissant is not installed: %s", folder.name, remedy)
    else:
        write_json(folder / "croissant.json", describe(folder, about))


def write_part(
    source: Source, folder: Path, about: About, shard: Shard, progress: Callable[[int], object] = lambda _: None
) -> dict[str, int]:
    """Write the parquet files of one part, named as in the whole; return the number of rows by split.

    A part has whole files, so that the files of all parts make the dataset. Card and metadata are written by
    `merge_parts`, which also decides whether too many samples are left out.

    Args:
        source: all samples.
        folder: folder to create; it must be absent or empty.
        about: title, licence and origin.
        shard: part to write.
        progress: called with the number of samples after every file.

    Raises:
        EarthReasonError: `folder` is not empty.
    """
    refuse_taken(folder)
    tolerance = source.tolerance if isinstance(source, SampleSource) else None
    written = dict.fromkeys(source.counts, 0)
    with atomic_path(folder) as temporary:
        (temporary / _DATA).mkdir(parents=True)
        for split, name, numbers in _files_of(source.counts, shard):
            written[split] += write_rows(temporary / _DATA / name, read_range(source, split, numbers))
            progress(len(numbers))
        about.write(temporary)
        omissions_of(source).write(temporary / LEFT_OUT, source.counts)
        told = {"shard": str(shard), "tolerance": None if tolerance is None else asdict(tolerance)}
        write_json(temporary / PART, told)
    return written


def merge_parts(folders: Sequence[Path], out: Path) -> dict[str, int]:
    """Make one dataset of all parts, with card and metadata; return the number of rows by split.

    The parts stay as they are; their files are linked where the file system can, else copied. Without broken samples,
    the dataset is equal, byte for byte, to the one that `export` writes without `--shard`.

    Raises:
        DataFormatError: more samples are left out than the parts' tolerance allows, a file is missing, or a sample id
            is in two parts.
        EarthReasonError: a folder is no part, a part is missing or given twice, the parts are of different sources, or
            `out` is not empty.
    """
    refuse_taken(out)
    told = {folder: _read_part(folder) for folder in folders}
    ordered = sorted(told, key=lambda folder: Shard.parse(told[folder]["shard"]).number)
    check_complete((str(folder), Shard.parse(told[folder]["shard"])) for folder in folders)
    about, (_, counts) = read_about(ordered[0]), Omissions.read(ordered[0] / LEFT_OUT)
    for folder in ordered:
        if read_about(folder) != about or Omissions.read(folder / LEFT_OUT)[1] != counts:
            raise EarthReasonError(f"{folder}: a part of another export than {ordered[0]}; export it again")
    omissions = Omissions(omission for folder in ordered for omission in Omissions.read(folder / LEFT_OUT)[0])
    if (tolerance := told[ordered[0]]["tolerance"]) is not None:
        omissions.check(counts, Tolerance(**tolerance), str(ordered[0]))
    with atomic_path(out) as temporary:
        (temporary / _DATA).mkdir(parents=True)
        rows = dict.fromkeys(counts, 0)
        seen: dict[str, str] = {}
        for folder in ordered:
            for split, name, _ in _files_of(counts, Shard.parse(told[folder]["shard"])):
                _place(folder / _DATA / name, temporary / _DATA / name)
                rows[split] += _note_ids(temporary / _DATA / name, seen)
        for split in [split for split in rows if not rows[split]]:  # `datasets` fails on a split without rows
            del rows[split]
            for name in file_names(split, counts[split]):
                (temporary / _DATA / name).unlink()
        omissions.write(temporary / LEFT_OUT, counts)
        about.write(temporary)
        files = {split: f"{_DATA}/{split}-*.parquet" for split in rows}
        write_card(temporary, about, rows, files, omissions=omissions)
        _write_croissant(temporary, about)
    return rows


def _files_of(counts: Mapping[str, int], shard: Shard) -> list[tuple[str, str, range]]:
    """List split, name and numbers of the samples of every file of a part; the files of all splits are divided."""
    files = [
        (split, name, range(number * ROWS_PER_FILE, min((number + 1) * ROWS_PER_FILE, count)))
        for split, count in counts.items()
        for number, name in enumerate(file_names(split, count))
    ]
    return [files[number] for number in shard.items_of(len(files))]


def is_part(folder: Path) -> bool:
    """Return whether a folder is a part of an export."""
    return (folder / PART).is_file()


def _read_part(folder: Path) -> dict[str, Any]:
    if not is_part(folder):
        raise EarthReasonError(f"{folder}: not a part of an export: it has no {PART}; `export --shard` writes it")
    told: dict[str, Any] = json.loads((folder / PART).read_text("utf-8"))
    return told


def _place(file: Path, target: Path) -> None:
    if not file.is_file():
        raise DataFormatError(f"there is no {file}; export the part again")
    try:
        os.link(file, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(file, target)


def _note_ids(path: Path, seen: dict[str, str]) -> int:
    """Add the sample ids of a file to those that were seen; return their number."""
    from pyarrow.parquet import read_table

    ids = read_table(path, columns=["sample_id"]).column("sample_id").to_pylist()
    for sample_id in ids:
        if seen.setdefault(sample_id, path.name) != path.name:
            raise DataFormatError(f"sample id {sample_id!r} is in {seen[sample_id]} and in {path.name}; rename one")
    return len(ids)

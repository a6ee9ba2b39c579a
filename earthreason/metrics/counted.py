"""Region counts in files: each machine counts one part of a split, and the merged counts are scored as one.

A file has the counts of every registered protocol, so that it can be scored by any of them. It names the predictions
and the ground truth by their SHA-256, so that counts are never scored as those of other masks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError, PredictionsError
from earthreason.files import atomic_path, refuse_folder
from earthreason.masks.grids import Grid
from earthreason.metrics.counting import count_regions, size_lookup
from earthreason.metrics.counts import RegionCounts, ViewCounts, join_tables
from earthreason.metrics.protocols import PROTOCOLS, View
from earthreason.metrics.references import References
from earthreason.plurals import count_of
from earthreason.predictions.folder import moved
from earthreason.predictions.instances import Instances
from earthreason.predictions.merge import common_info
from earthreason.predictions.reader import PredictionsFile, open_predictions
from earthreason.predictions.segmentation import SizeOf
from earthreason.shards import Shard, check_complete
from earthreason.types import Prediction

if TYPE_CHECKING:
    import pyarrow as pa

ENDING = ".parquet"
_FORMAT = "earthreason-counts/3"
_KEY = b"earthreason"
_COLUMNS = dict.fromkeys(RegionCounts.__dataclass_fields__, "int64") | {
    "sample_id": "string",
    **dict.fromkeys(("truth_empty", "prediction_empty", "answered", "failed"), "bool_"),
}


@dataclass(frozen=True)
class CountedFile:
    """Predictions of a counted part: path, SHA-256, and what the file says about itself."""

    path: str
    sha256: str
    info: dict[str, Any]


@dataclass(frozen=True)
class CountedTruth:
    """Ground truth of a counted part: SHA-256 of its samples, and number of all samples of the split."""

    sha256: str
    total: int


@dataclass(frozen=True)
class CountedPredictions:
    """Counts of predictions, in place of the predictions: a source that `evaluate` scores without reading masks.

    Attributes:
        path: the file.
        shard: part of the split that was counted; None if the file has the whole.
        grid: grid of the predicted masks.
        info: metadata of the predictions.
        instances: how several masks for one question were read.
        files: predictions of every part; once if all parts were counted from one file.
        truths: ground truth of every part, in order.
    """

    path: Path
    shard: Shard | None
    grid: Grid
    info: dict[str, Any]
    instances: Instances
    files: tuple[CountedFile, ...]
    truths: tuple[CountedTruth, ...]

    @property
    def source(self) -> str:
        """Name of the predictions, or of this file if they were several files."""
        return self.files[0].path if len(self.files) == 1 else str(self.path)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the predictions file; of several files, that of their hashes in order."""
        if len(self.files) == 1:
            return self.files[0].sha256
        return sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterator[Prediction]:
        """Read the predictions again, as pictures and boundaries need them.

        Raises:
            PredictionsError: a file was changed since it was counted.
            DataNotFoundError: a file is no longer there.
        """
        for counted in self.files:
            file = open_predictions(counted.path, self.instances)
            if file.fingerprint() != counted.sha256:
                raise PredictionsError(counted.path, ["it was changed since it was counted; count it again"])
            yield from file.read(faults, size_of)

    def tables(self, views: Collection[View], references: References) -> ViewCounts:
        """Return the counts that were made against `references`, sorted by key.

        Raises:
            EarthReasonError: this is one part of several, or the ground truth is another one.
            DataFormatError: the file lacks a view, or is damaged.
        """
        if self.shard is not None:
            raise EarthReasonError(
                f"{self.path} has part {self.shard} only; merge all parts first: earthreason merge PART... --out FILE"
            )
        for number, counted in enumerate(self.truths, start=1):
            shard = Shard(number, len(self.truths))
            if counted != _describe(references, shard):
                raise EarthReasonError(
                    f"{self.path}: part {shard} was counted against other ground truth than {references.source}; "
                    "choose the same --config, --split, --data-dir and --limit, or count again"
                )
        tables = self._tables or dict.fromkeys((view.name for view in views), self._nothing)
        lacking = [view.name for view in views if view.name not in tables]
        if lacking:
            raise DataFormatError(f"{self.path}: has no counts on {', '.join(lacking)}; count again with this version")
        return join_tables([{view: tables[view.name] for view in views}])

    @cached_property
    def _tables(self) -> dict[str, RegionCounts]:
        """Counts by view; empty if not one question was answered."""
        import pyarrow.compute as pc

        table = _read_table(self.path)
        parts = {name: table.filter(pc.equal(table.column("view"), name)) for name in pc.unique(table.column("view"))}
        return {str(name): _counts_of(part) for name, part in parts.items()}

    @property
    def _nothing(self) -> RegionCounts:
        return _counts_of(_read_table(self.path).slice(0, 0))


def _counts_of(table: pa.Table) -> RegionCounts:
    return RegionCounts.from_columns({column: _as_array(table.column(column)) for column in _COLUMNS})


def is_counts(path: Path) -> bool:
    """Return whether a path names counts, by its ending; predictions have no such files."""
    return path.suffix == ENDING and path.is_file()


def open_counts(path: Path) -> CountedPredictions:
    """Open counts; the tables are read when they are scored.

    Raises:
        DataFormatError: the file has no counts of this version.
    """
    import pyarrow as pa
    from pyarrow.parquet import read_schema

    try:
        metadata = read_schema(path).metadata or {}
        header = json.loads(metadata.get(_KEY, b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataFormatError(f"{path}: not a readable parquet file ({_first_line(error)})") from None
    if header.get("format") != _FORMAT:
        raise DataFormatError(f"{path}: no counts of `earthreason-eval --counts` in the format {_FORMAT}")
    return CountedPredictions(
        path,
        Shard.of_option(header["shard"]),
        Grid.parse(header["grid"]),
        header["info"],
        header["instances"],
        tuple(CountedFile(**file) for file in header["files"]),
        tuple(CountedTruth(**truth) for truth in header["truths"]),
    )


def part_to_count(
    predictions: PredictionsFile | CountedPredictions, shard: str | None, out: Path | None
) -> Shard | None:
    """Return the part that the options `--shard` and `--counts` ask for; None if they ask for scores.

    Raises:
        EarthReasonError: one of the options lacks the other, or they are given for counts.
    """
    part = Shard.of_option(shard)
    if part is None and out is not None and isinstance(stated := predictions.info.get("shard"), str):
        part = Shard.parse(stated)
    if (part is None) != (out is None):
        given, other = ("--counts", "--shard I/N") if part is None else ("--shard", "--counts FILE.parquet")
        raise EarthReasonError(f"{given} needs {other}: a part is counted, and the merged counts are scored")
    if out is not None:
        _uncounted(predictions, out)
    return part


def _uncounted(predictions: PredictionsFile | CountedPredictions, out: Path) -> PredictionsFile:
    """Return predictions of which counts can be written to `out`; refuse others."""
    check_name(out)
    if isinstance(predictions, CountedPredictions):
        raise EarthReasonError(f"{predictions.path} has counts already; give the predictions, or no --counts")
    return predictions


def count_part(
    predictions: PredictionsFile | CountedPredictions, references: References, shard: Shard, out: Path, workers: int = 1
) -> int:
    """Count the predictions for one part of a split, and write the counts; return the number of questions.

    Args:
        predictions: predictions of the whole split, or of this part.
        references: ground truth of the whole split.
        shard: part to count.
        out: file to write; its name ends in `.parquet`.
        workers: number of threads.

    Raises:
        PredictionsError: the predictions have faults; lists all of them.
        EarthReasonError: the predictions are those of another part, or `out` has another ending or is a folder.
    """
    predictions = _uncounted(predictions, out)
    stated = predictions.info.get("shard")
    if stated is not None and str(stated) != str(shard):
        raise EarthReasonError(f"{predictions.source} has part {stated}, not {shard}; give the same --shard")
    part = _part_of(references, shard)
    views = dict.fromkeys(rules.view for rules in PROTOCOLS.values() if rules.view.accepts(predictions.grid))
    tables = count_regions(_OfPart(predictions, references, part), part, list(views), workers)
    info = moved(predictions.info, predictions.path, out)
    file = CountedFile(predictions.source, predictions.fingerprint(), info)
    counted = CountedPredictions(
        out,
        shard,
        predictions.grid,
        info,
        predictions.instances,
        (file,),
        (_describe(references, shard),),
    )
    _write(counted, _to_arrow(tables))
    return int((next(iter(tables.values())).target_index == 0).sum())


def merge_counts(paths: Sequence[Path], out: Path) -> int:
    """Merge the counts of all parts to one file, which `evaluate` scores; return the number of parts.

    Raises:
        DataFormatError: a file has no counts.
        EarthReasonError: a part is missing or given twice, or the parts are of different predictions or ground truth.
    """
    import pyarrow as pa

    check_name(out)
    parts = [(shard, counted) for counted in map(open_counts, paths) if (shard := counted.shard) is not None]
    if len(parts) < len(paths):
        whole = next(path for path in paths if open_counts(path).shard is None)
        raise EarthReasonError(f"{whole} is whole already; give the parts only")
    parts.sort(key=lambda part: part[0].number)
    check_complete((str(counted.path), shard) for shard, counted in parts)
    first = parts[0][1]
    for _, counted in parts:
        for name, value in (("grid", counted.grid), ("instances", counted.instances)):
            if value != getattr(first, name):
                raise EarthReasonError(f"{counted.path}: counted with another {name} than {first.path}; count it again")
        if counted.truths[0].total != first.truths[0].total:
            raise EarthReasonError(
                f"{counted.path}: counted against {count_of(counted.truths[0].total, 'sample')}, but {first.path} "
                f"against {first.truths[0].total}; count all parts against one split"
            )
    files = list(
        {
            file.sha256: replace(file, info=moved(file.info, counted.path, out))
            for _, counted in parts
            for file in counted.files
        }.values()
    )
    info = common_info([(file.path, file.info) for file in files])
    truths = tuple(truth for _, counted in parts for truth in counted.truths)
    merged = replace(first, path=out, shard=None, info=info, files=tuple(files), truths=truths)
    _write(merged, pa.concat_tables([_read_table(counted.path) for _, counted in parts]))
    return len(parts)


def check_name(path: Path) -> None:
    """Check the name of a file of counts before slow work begins.

    Raises:
        EarthReasonError: it does not end in `.parquet`, or it is a folder.
    """
    if path.suffix != ENDING:
        raise EarthReasonError(f"{path}: the name of a file of counts must end in {ENDING}")
    refuse_folder(path)


@dataclass(frozen=True)
class _OfPart:
    """Predictions for the samples of a part, and those for unknown samples, which are faults."""

    predictions: PredictionsFile
    references: References
    part: References

    @property
    def source(self) -> str:
        return self.predictions.source

    @property
    def grid(self) -> Grid:
        return self.predictions.grid

    @property
    def info(self) -> dict[str, Any]:
        return self.predictions.info

    def fingerprint(self) -> str:
        return self.predictions.fingerprint()

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterator[Prediction]:
        for prediction in self.predictions.read(faults, size_lookup(self.references)):
            found = self.references.find(prediction.sample_id)
            if found is None or found in self.part:
                yield prediction if found in (None, prediction.sample_id) else replace(prediction, sample_id=found)


def _part_of(references: References, shard: Shard) -> References:
    listed = list(references.values())
    return References([listed[n] for n in shard.items_of(len(listed))], references.source, left_out=references.left_out)


def _describe(references: References, shard: Shard) -> CountedTruth:
    return CountedTruth(_part_of(references, shard).fingerprint(), len(references))


def _to_arrow(tables: ViewCounts) -> pa.Table:
    import pyarrow as pa

    schema = pa.schema([("view", pa.string()), *((name, getattr(pa, kind)()) for name, kind in _COLUMNS.items())])
    return pa.concat_tables(
        pa.table({"view": pa.repeat(view.name, len(table)), **table.columns()}, schema=schema)
        for view, table in tables.items()
    )


def _write(counted: CountedPredictions, table: pa.Table) -> None:
    from pyarrow.parquet import write_table

    header = {
        "format": _FORMAT,
        "shard": None if counted.shard is None else str(counted.shard),
        "grid": counted.grid.name,
        "info": counted.info,
        "instances": counted.instances,
        "files": list(map(asdict, counted.files)),
        "truths": list(map(asdict, counted.truths)),
    }
    described = table.replace_schema_metadata({_KEY: json.dumps(header, allow_nan=False).encode()})
    with atomic_path(counted.path) as temporary:
        write_table(described, temporary, compression="zstd")


def _read_table(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise DataFormatError(f"{path}: damaged; count again ({_first_line(error)})") from None


def _as_array(column: Any) -> np.ndarray:
    values: np.ndarray = column.to_numpy()
    return values


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

"""Read parquet files with our columns, or with `id, image, mask, problem, category, bbox_list` as Geo-R1 has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from earthreason.data.pictures import SoftLabels
from earthreason.data.schema import Record, record_of_row
from earthreason.data.sources.base import (
    SampleSource,
    SourceFormat,
    by_split,
    named,
    record_of_question,
    register,
    without_tag,
)
from earthreason.errors import DataNotFoundError
from earthreason.files import visible_files

_ROWS_AT_ONCE = 16


class Parquet(SampleSource):
    """Samples of parquet files at any depth below a folder; their names or folders say the split."""

    name = "parquet"

    def __init__(self, root: Path, files: list[Path] | None = None) -> None:
        import pyarrow.parquet as pq

        super().__init__()
        if files is None:
            files = [root] if root.is_file() else visible_files(root, "**/*.parquet")
        if not files:
            raise DataNotFoundError(f"{root} contains no parquet files")
        self._files = by_split(files, root)
        self.counts = dict.fromkeys(self._files, 0)
        for split, paths in self._files.items():
            for path in paths:
                with named(path, "a parquet file"):
                    self.counts[split] += pq.ParquetFile(path).metadata.num_rows

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the rows of a split."""
        import pyarrow.parquet as pq

        notes = SoftLabels()
        for path in self._files[split]:
            number = 0
            with named(path, "a parquet file of samples"):
                for batch in pq.ParquetFile(path).iter_batches(batch_size=_ROWS_AT_ONCE):
                    for row in batch.to_pylist():
                        yield f"{path.name} row {number}", partial(_record, row, Path(f"{path} row {number}"), notes)
                        number += 1


def _record(row: dict[str, Any], place: Path, notes: SoftLabels) -> Record:
    with named(place, "a sample"):
        if "sample_id" in row:
            return without_tag(record_of_row(row), place)
        return record_of_question(row, place.parent, notes)


register(
    SourceFormat(
        name="parquet",
        title="parquet files with our columns or with id, image, mask, problem",
        matches=lambda folder: bool(visible_files(folder, "**/*.parquet")),
        open=Parquet,
        suffixes=(".parquet",),
        precedence=40,
    )
)

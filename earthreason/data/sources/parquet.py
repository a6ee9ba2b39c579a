"""Read parquet files with our columns, or with `id, image, mask, problem, category, bbox_list` as EarthReason-FS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from earthreason.data.pictures import SoftLabels
from earthreason.data.schema import Record, record_of_row
from earthreason.data.sources.base import SourceFormat, by_split, named, record_of_question, register, without_tag
from earthreason.errors import DataNotFoundError

_ROWS_AT_ONCE = 16


class Parquet:
    """Samples of parquet files at any depth below a folder; their names contain the split."""

    name = "parquet"

    def __init__(self, root: Path) -> None:
        import pyarrow.parquet as pq

        files = [root] if root.is_file() else sorted(root.rglob("*.parquet"))
        if not files:
            raise DataNotFoundError(f"{root} contains no parquet files")
        self._files = by_split(files)
        self.counts = dict.fromkeys(self._files, 0)
        for split, paths in self._files.items():
            for path in paths:
                with named(path, "a parquet file"):
                    self.counts[split] += pq.ParquetFile(path).metadata.num_rows

    def read(self, split: str) -> Iterator[Record]:
        """Read the records of a split."""
        import pyarrow.parquet as pq

        notes = SoftLabels()
        for path in self._files[split]:
            with named(path, "a parquet file of samples"):
                for batch in pq.ParquetFile(path).iter_batches(batch_size=_ROWS_AT_ONCE):
                    for row in batch.to_pylist():
                        ours = "sample_id" in row
                        yield (
                            without_tag(record_of_row(row), path)
                            if ours
                            else record_of_question(row, path.parent, notes)
                        )


register(
    SourceFormat(
        name="parquet",
        title="parquet files with our columns or with id, image, mask, problem",
        matches=lambda folder: any(folder.rglob("*.parquet")),
        open=Parquet,
        suffixes=(".parquet",),
        precedence=40,
    )
)

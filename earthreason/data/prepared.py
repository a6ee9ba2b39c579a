"""Prepared folders: the Hub's own form of a dataset (a card with YAML configs beside parquet files), written by us.

`datasets` reads such a folder without our code, so slicing, streaming, `num_proc` and column selection come for free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from earthreason.data.about import OWN_DATA, About
from earthreason.data.schema import Record, features
from earthreason.files import atomic_path

FORMAT = 2
"""Goes up when the columns change, so that no cache holds folders of other columns."""
ROWS_PER_GROUP = 100
"""The Hub's viewer wants row groups of 100 to 300 MB; 100 rows of the release are about 25 MB, at most 280."""
ROWS_PER_FILE = 400
"""Streaming workers share a split by files, so a split is cut into several."""

_CARD = """---
{licence_lines}
task_categories:
- image-segmentation
- visual-question-answering
language:
- en
tags:
- remote-sensing
- reasoning-segmentation
size_categories:
- {size}
configs:
- config_name: {config}
  data_files:
{files}---

# {title}

Written by the `earthreason` package. One row per image: an overhead image, the binary mask of the region that answers
its questions, the questions and the answers.

| column | what it is |
|---|---|
| `sample_id` | unique over all splits |
| `image`, `mask` | RGB picture; mask of the same size, 0 and 255 |
| `questions`, `answers` | implicit questions that mean the mask; explanatory answers |
| `is_empty` | nothing in the image answers: the mask is all zero and `answers` is empty |
| `height`, `width` | pixels |
| `category`, `ground_resolution`, `source`, `reasoning_type` | null where the source does not say |
| `extra` | other keys of the source, a JSON object |

Rows: {counts}.

Licence: {licence}. {origin}
"""


def write_prepared(
    folder: Path,
    config: str,
    splits: Mapping[str, Iterable[Record]],
    row_counts: Mapping[str, int],
    data: str = "data",
    about: About = OWN_DATA,
) -> None:
    """Write a prepared folder atomically: an interrupted run leaves nothing.

    Args:
        folder: becomes the dataset; its last component is the dataset's name for `datasets`.
        config: name of the configuration.
        splits: records by split, consumed lazily.
        row_counts: rows of each split, to number its files.
        data: name of the folder of the parquet files. The cache of `datasets` knows a dataset by the names in its
            card only, so different content under one dataset name needs different names here.
        about: what the card says of the set.
    """
    import pyarrow.parquet as pq
    from pyarrow import Table

    schema = features().arrow_schema
    with atomic_path(folder) as temporary:
        data_folder = temporary / data
        data_folder.mkdir(parents=True)
        for split, records in splits.items():
            files = max(1, -(-row_counts[split] // ROWS_PER_FILE))
            rows = iter(records)
            for number in range(files):
                path = data_folder / f"{split}-{number:05d}-of-{files:05d}.parquet"
                with pq.ParquetWriter(path, schema, compression="snappy", write_page_index=True) as writer:
                    for group in _batches(islice(rows, ROWS_PER_FILE), ROWS_PER_GROUP):
                        writer.write_table(Table.from_pylist([record.to_row() for record in group], schema=schema))
        files_yaml = "".join(f"  - split: {split}\n    path: {data}/{split}-*.parquet\n" for split in splits)
        counts = ", ".join(f"{split} {row_counts[split]:,}" for split in splits)
        total = sum(row_counts[split] for split in splits)
        size = "n<1K" if total < 1000 else "1K<n<10K" if total < 10_000 else "10K<n<100K"
        card = _CARD.format(
            config=config,
            files=files_yaml,
            counts=counts,
            size=size,
            licence_lines=about.licence_lines,
            title=about.title,
            licence=about.licence,
            origin=about.origin,
        )
        (temporary / "README.md").write_text(card, encoding="utf-8")


def _batches(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while batch := list(islice(records, size)):
        yield batch

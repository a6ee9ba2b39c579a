"""Write a folder that is a dataset repository of the Hub as it is: the parquet files with a card for strangers.

The card says how to load and to score the data, and states the types of the columns and the number of rows. So the Hub
shows them without reading the files, and `datasets` refuses a repository that lacks rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.about import About
from earthreason.data.prepared import split_files, write_prepared
from earthreason.data.schema import features
from earthreason.data.sources import Source
from earthreason.data.sources.base import omissions_of
from earthreason.data.writers.base import register
from earthreason.errors import DataFormatError

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

_CARD = "README.md"
_LOADING = Path(__file__).with_name("hub.md")


@register("hub")
def write(source: Source, folder: Path, about: About) -> None:
    """Write `data/SPLIT-*.parquet` and a `README.md` whose front matter `datasets` and the Hub's viewer read."""
    splits = {split: source.read(split) for split in source.counts}
    write_prepared(folder, "default", splits, source.counts, about=about, omissions=omissions_of(source))
    _describe(folder, list(source.counts), source.name)


def _describe(folder: Path, splits: list[str], name: str) -> None:
    """Add types, sizes and the way to load to the card of a prepared folder."""
    import pyarrow.parquet as pq
    from datasets import SplitDict, SplitInfo
    from datasets.info import DatasetInfo, DatasetInfosDict
    from huggingface_hub import DatasetCard, DatasetCardData

    sizes = SplitDict()
    downloaded = 0
    for split in splits:
        if not (paths := split_files(folder, split)):  # a split without rows has no files
            continue
        metadata = [pq.read_metadata(path) for path in paths]
        unpacked = sum(
            table.row_group(group).total_byte_size for table in metadata for group in range(table.num_row_groups)
        )
        sizes.add(SplitInfo(split, num_bytes=unpacked, num_examples=sum(table.num_rows for table in metadata)))
        downloaded += sum(path.stat().st_size for path in paths)
    if not sizes:
        raise DataFormatError(f"{name} has no samples, and `datasets` loads no repository without rows")
    info = DatasetInfo(
        features=features(),
        splits=sizes,
        download_size=downloaded,
        dataset_size=sum(each.num_bytes for each in sizes.values()),
    )
    stated = DatasetCardData()
    DatasetInfosDict(default=info).to_dataset_card_data(stated)
    card = DatasetCard.load(folder / _CARD)
    card.data["dataset_info"] = {
        **card.data["dataset_info"],
        **stated["dataset_info"],
        "features": _older_names(stated),
    }
    split = "test" if "test" in sizes else next(iter(sizes))
    card.text = f"{card.text.rstrip()}\n\n{_LOADING.read_text('utf-8').format(split=split)}"
    card.save(folder / _CARD)


def _older_names(stated: DatasetCardData) -> list[dict[str, Any]]:
    """Return the features of a card with `sequence` for `list`, which `datasets` before 4.0 reads as well."""
    columns: list[dict[str, Any]] = stated["dataset_info"]["features"]
    return [{("sequence" if key == "list" else key): kind for key, kind in column.items()} for column in columns]

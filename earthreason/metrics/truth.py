"""Ground truth of a loaded split. Images are not decoded.

The truth of a prepared folder is kept in a file beside it, because reading that file needs neither `datasets` nor
pictures.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.data.configs import DATA_VARIABLE, DEFAULT_CONFIG, get_config
from earthreason.data.download import recorded_revision
from earthreason.data.omissions import Omissions, Tolerance
from earthreason.data.prepared import check_left_out, split_files
from earthreason.data.schema import SPLIT_ALIASES, TARGETS, undecoded
from earthreason.data.sources.base import ON_DISK
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import fingerprint_files
from earthreason.masks.pictures import mask_of_picture
from earthreason.masks.rle import encode_mask
from earthreason.metrics.references import Reference, References, read_references, write_references
from earthreason.metrics.values import as_rle, sample_id_of
from earthreason.types import OPTIONAL_FACTS, RLE

if TYPE_CHECKING:
    from datasets import Dataset

EDITION = 2
"""Increase it whenever the same parquet files give other references, so that older truth files are ignored."""
REQUIRED = ("sample_id", "mask", "questions")
"""Columns that every split with ground truth has."""
_MASKS = ("mask", "ignore", TARGETS)
_log = logging.getLogger(__name__)


def load_references(
    config: str | None, split: str, data_dir: Path | None = None, tolerance: Tolerance | None = None
) -> References:
    """Load the ground truth of a split: from its truth file, else from its parquet files; a slice from `datasets`.

    `tolerance` says how many samples may be left out because their files are broken; by default, 2 % of a split.

    Raises:
        DataFormatError: the labels of the split are hidden.
        EarthReasonError: the data or the split cannot be loaded.
    """
    source = f"{config or DEFAULT_CONFIG} {split}"
    where = data_dir or (os.environ.get(DATA_VARIABLE) if config in (None, DEFAULT_CONFIG) else None)
    revision = None if where is None else recorded_revision(Path(where).expanduser())
    folder = get_config(config).prepare(None if data_dir is None else Path(data_dir).expanduser())
    allowed = tolerance or Tolerance()
    omissions = check_left_out(folder, allowed, get_config(config).name)
    files = split_files(folder, SPLIT_ALIASES.get(split, split))
    if files:
        references = _references_of_files(folder, files, split, source)
        return References(
            references,
            source,
            config=get_config(config).name,
            split=SPLIT_ALIASES.get(split, split),
            revision=revision,
            left_out=_names_of(omissions, SPLIT_ALIASES.get(split, split)),
        )
    from earthreason.data.load import load_dataset

    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir, max_left_out=1.0)
    return references_of(dataset, source, revision=revision)


def _names_of(omissions: Omissions, split: str) -> set[str]:
    """Return the names that predictions may have for what is left out of a split: with and without the split."""
    samples = [omission.sample for omission in omissions if omission.split == split]
    return {*samples, *(f"{ON_DISK.get(split, split)}-{sample}" for sample in samples)}


def truth_file(folder: Path, files: Iterable[Path], split: str) -> Path:
    """Return the path of a split's truth file, whose name changes with the parquet files' names, sizes and times."""
    name = SPLIT_ALIASES.get(split, split)
    return folder.with_name("truth") / f"{name}-{EDITION}-{fingerprint_files(folder, files)}.json"


def _references_of_files(folder: Path, files: list[Path], split: str, source: str) -> list[Reference]:
    path = truth_file(folder, files, split)
    if path.is_file():
        try:
            return list(read_references(path).values())
        except (DataFormatError, OSError) as error:
            _log.debug("%s is not used: %s", path, error)
    # `datasets` would read its own cache, which does not notice that a parquet file has changed.
    references = References(_references_of_rows(_rows_of_files(files), source), source)
    try:
        write_references(path, references)
        for outdated in path.parent.glob("*.json"):
            if outdated != path and outdated.name.rsplit("-", 2)[0] == path.name.rsplit("-", 2)[0]:
                outdated.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # a cache that cannot be written, or a value that JSON does not have
        _log.debug("%s is not written: %s", path, error)
    return list(references.values())


def _rows_of_files(files: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    from pyarrow.parquet import ParquetFile

    for path in files:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(100, columns=_columns_of(file.schema_arrow.names)):
                yield from batch.to_pylist()


def references_of(dataset: Dataset, source: str, revision: str | None = None) -> References:
    """Make the references of a loaded split.

    Args:
        dataset: split with the columns `sample_id`, `mask` and `questions`, loaded or streamed; the facts of a sample
            and `ignore` may be absent. Masks are pictures, (height, width) arrays or lists, or RLE.
        source: name of the split in messages.
        revision: commit of the data.

    Raises:
        DataFormatError: a column is missing, the labels are hidden, or an id or a mask is invalid; names the row.
    """
    from datasets import Image

    rows: Iterable[Mapping[str, Any]] = dataset
    if dataset.column_names is not None:  # a stream that was mapped does not know its columns
        kinds = dataset.features or {}
        pictures = [name for name in _MASKS if isinstance(getattr(kinds.get(name), "feature", kinds.get(name)), Image)]
        rows = undecoded(dataset.select_columns(_columns_of(dataset.column_names)), *pictures)
    split = None if dataset.split is None else str(dataset.split)
    references = _references_of_rows(rows, source)
    return References(references, source, config=dataset.info.config_name or None, split=split, revision=revision)


def stream_references(rows: Iterable[Mapping[str, Any]], source: str = "ground truth") -> Iterator[Reference]:
    """Make references of rows one by one, for `evaluate_stream`.

    Args:
        rows: rows of parquet files or of a split of `datasets`, loaded or streamed, as for `references_of`.
        source: name of the rows in messages.

    Raises:
        DataFormatError: a column is missing, the labels are hidden, or an id or a mask is invalid; names the row.
    """
    return _references_of_rows(rows, source)


def _references_of_rows(rows: Iterable[Mapping[str, Any]], source: str) -> Iterator[Reference]:
    """Make references of rows; the masks of our own splits are not decoded yet."""
    for index, row in enumerate(rows):
        lacking = [name for name in REQUIRED if name not in row]
        if lacking:
            raise DataFormatError(f"{source}: [{index}]: the split has no column {', '.join(lacking)}")
        if row["mask"] is None:
            raise DataFormatError(f"{source}: labels are hidden here; submit to the leaderboard to have them scored")
        questions = row["questions"]
        facts: dict[str, Any] = {fact: row.get(fact) for fact in OPTIONAL_FACTS}
        several = isinstance(questions, Sized) and not isinstance(questions, str)
        try:
            yield Reference(
                sample_id_of(row["sample_id"]),
                _rle_of(row["mask"]),
                question_count=max(1, len(questions)) if several else 1,
                ignore=None if row.get("ignore") is None else _rle_of(row["ignore"]),
                targets=tuple(_rle_of(target) for target in row.get(TARGETS) or ()),
                **facts,
            )
        except (EarthReasonError, ValueError, OSError) as error:
            raise DataFormatError(f"{source}: [{index}]: {error}") from None


def _columns_of(columns: Iterable[str]) -> list[str]:
    """List the columns to read; sets that were exported before there were ignored pixels have no `ignore`."""
    return [name for name in (*_MASKS, "questions", "sample_id", *OPTIONAL_FACTS) if name in columns]


def _rle_of(mask: Any) -> RLE:
    """Encode a mask of a row: an encoded picture of `datasets`, or what was decoded to a picture, array or list."""
    from PIL import Image

    if not isinstance(mask, Mapping) or "counts" in mask:
        return as_rle(np.asarray(mask) if isinstance(mask, list) else mask)
    with Image.open(mask["path"] if mask.get("bytes") is None else io.BytesIO(mask["bytes"])) as picture:
        picture.load()
        return encode_mask(np.asarray(picture) != 0 if picture.mode in ("1", "L") else mask_of_picture(picture).mask)

"""Ground truth of a loaded split. Images are not decoded."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PILImage

from earthreason.data.load import load_dataset
from earthreason.data.schema import undecoded
from earthreason.errors import DataFormatError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.references import Reference, References
from earthreason.types import OPTIONAL_FACTS, RLE

if TYPE_CHECKING:
    from datasets import Dataset

_FACTS = ("sample_id", *OPTIONAL_FACTS)


def load_references(config: str | None, split: str, data_dir: Path | None = None) -> References:
    """Load the ground truth of a split.

    Raises:
        DataFormatError: the labels of the split are hidden.
        EarthReasonError: `load_dataset` cannot load the split.
    """
    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir)
    return references_of(dataset, source=f"{config or 'default'} {split}")


def references_of(dataset: Dataset, source: str) -> References:
    """Make the references of a loaded split; `source` is its name in messages."""
    # Sets that were exported before there were ignored pixels have no such column.
    masks = [name for name in ("mask", "ignore") if name in dataset.column_names]
    rows = undecoded(dataset.select_columns([*masks, "questions", *_FACTS]), *masks)
    references = []
    for row in rows:
        if row["mask"] is None:
            raise DataFormatError(f"{source}: labels are hidden here; submit to the leaderboard to have them scored")
        references.append(
            Reference(
                segmentation=_rle_of(row["mask"]),
                ignore=None if row.get("ignore") is None else _rle_of(row["ignore"]),
                question_count=max(1, len(row["questions"])),
                **{fact: row[fact] for fact in _FACTS},
            )
        )
    return References(references, source=source)


def _rle_of(picture: dict[str, Any]) -> RLE:
    return encode_mask(np.asarray(PILImage.open(io.BytesIO(picture["bytes"]))) != 0)

"""Ground truth of a loaded split. Images are not decoded."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PILImage

from earthreason.data.load import load_dataset
from earthreason.errors import DataFormatError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.references import Reference, References
from earthreason.types import OPTIONAL_FACTS

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
    from datasets import Image

    rows = dataset.select_columns(["mask", "questions", *_FACTS]).cast_column("mask", Image(decode=False))
    references = []
    for row in rows:
        if row["mask"] is None:
            raise DataFormatError(f"{source}: labels are hidden here; submit to the leaderboard to have them scored")
        mask = np.asarray(PILImage.open(io.BytesIO(row["mask"]["bytes"]))) != 0
        references.append(
            Reference(
                segmentation=encode_mask(mask),
                question_count=max(1, len(row["questions"])),
                **{fact: row[fact] for fact in _FACTS},
            )
        )
    return References(references, source=source)

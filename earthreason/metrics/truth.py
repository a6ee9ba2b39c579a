"""Ground truth of a loaded split. Images are not decoded."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PILImage

from earthreason.data.configs import DATA_VARIABLE, DEFAULT_CONFIG
from earthreason.data.download import recorded_revision
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
    folder = data_dir or (os.environ.get(DATA_VARIABLE) if config in (None, DEFAULT_CONFIG) else None)
    revision = None if folder is None else recorded_revision(Path(folder))
    return references_of(dataset, source=f"{config or 'default'} {split}", revision=revision)


def references_of(dataset: Dataset, source: str, revision: str | None = None) -> References:
    """Make the references of a loaded split; `source` is its name in messages, `revision` the commit of the data."""
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
    split = None if dataset.split is None else str(dataset.split)
    return References(
        references, source=source, config=dataset.info.config_name or None, split=split, revision=revision
    )

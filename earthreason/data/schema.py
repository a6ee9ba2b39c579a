"""The columns every EarthReason table has, whatever it was made from."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.types import Sample

if TYPE_CHECKING:
    from datasets import Features

SPLITS = ("train", "validation", "test")
SPLIT_ALIASES = {"val": "validation"}


def features() -> Features:
    """The `datasets` features; optional facts are null where the source does not give them."""
    from datasets import Features, Image, List, Value

    text = Value("string")
    return Features(
        {
            "sample_id": text,
            "image": Image(),
            "mask": Image(),
            "questions": List(text),
            "answers": List(text),
            "is_empty": Value("bool"),
            "height": Value("int32"),
            "width": Value("int32"),
            "category": text,
            "ground_resolution": Value("float64"),
            "source": text,
            "reasoning_type": text,
            "extra": text,
        }
    )


@dataclass(frozen=True)
class Record:
    """One row before it is written: encoded pictures and facts.

    Attributes:
        image: bytes of a JPEG or PNG, RGB.
        mask: bytes of a PNG, mode L, 0 and 255.
        extra: what else the source says of the sample, a JSON object; None where nothing.
    """

    sample_id: str
    image: bytes
    mask: bytes
    height: int
    width: int
    is_empty: bool
    questions: list[str]
    answers: list[str] = field(default_factory=list)
    category: str | None = None
    ground_resolution: float | None = None
    source: str | None = None
    reasoning_type: str | None = None
    extra: str | None = None

    def to_row(self) -> dict[str, Any]:
        """The row as pyarrow takes it."""
        row = dict(vars(self))
        row["image"] = {"bytes": self.image, "path": None}
        row["mask"] = {"bytes": self.mask, "path": None}
        return row


def extra_keys(values: Mapping[str, Any], known: Collection[str]) -> str | None:
    """The keys of `values` that no column holds, as a JSON object; None where there are none."""
    rest = {key: value for key, value in values.items() if key not in known and value is not None}
    return json.dumps(rest, ensure_ascii=False, sort_keys=True) if rest else None


def record_of_row(row: Mapping[str, Any]) -> Record:
    """A record of a row whose pictures were not decoded.

    Raises:
        DataFormatError: the row has no mask.
    """
    if row["mask"] is None:
        raise DataFormatError(f"sample {row['sample_id']!r} has no mask: this split's labels are hidden")
    columns = {column.name: row.get(column.name) for column in fields(Record)}
    return Record(**{**columns, "image": row["image"]["bytes"], "mask": row["mask"]["bytes"]})


def sample_of_row(row: dict[str, Any]) -> Sample:
    """Turn a decoded row of the dataset into a `Sample`.

    Raises:
        DataFormatError: the row has no mask (a split whose labels are hidden).
    """
    if row["mask"] is None:
        raise DataFormatError(f"sample {row['sample_id']!r} has no mask: this split's labels are hidden")
    return Sample(
        sample_id=row["sample_id"],
        image=row["image"] if row["image"].mode == "RGB" else row["image"].convert("RGB"),
        mask=np.asarray(row["mask"]) != 0,
        questions=list(row["questions"]),
        answers=list(row["answers"]),
        category=row["category"],
        ground_resolution=row["ground_resolution"],
        source=row["source"],
        reasoning_type=row["reasoning_type"],
    )

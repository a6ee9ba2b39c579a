"""Columns of every EarthReason table, whatever its source."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from earthreason.errors import DataFormatError, show_value
from earthreason.types import NUMERIC_FACTS, OPTIONAL_FACTS, OptionalFacts, Sample

if TYPE_CHECKING:
    from datasets import Dataset, Features

SPLITS = ("train", "validation", "test")
SPLIT_ALIASES = {"val": "validation"}
PICTURES = ("image", "mask", "ignore")
"""Columns that hold one encoded picture; only `ignore` may be null in a split with labels."""
TARGETS = "targets"
"""Column that holds the encoded masks of separate targets, in the order of the answer; null if there is one mask."""


def short_split(name: str) -> str:
    """Return the name of a split as leaderboards write it: `val` for `validation`; others stay as they are."""
    return {long: short for short, long in SPLIT_ALIASES.items()}.get(name, name)


def in_order(splits: Iterable[str]) -> list[str]:
    """Sort names of splits: train, validation, test, then others."""
    return sorted(splits, key=lambda name: SPLITS.index(name) if name in SPLITS else len(SPLITS))


def features() -> Features:
    """Return the `datasets` features; optional facts are null where the source does not state them."""
    from datasets import Features, Image, List, Value

    text = Value("string")
    return Features(
        {
            "sample_id": text,
            "image": Image(),
            "mask": Image(),
            "ignore": Image(),
            "targets": List(Image()),
            "questions": List(text),
            "answers": List(text),
            "is_empty": Value("bool"),
            "height": Value("int32"),
            "width": Value("int32"),
            **{fact: Value("float64") if fact in NUMERIC_FACTS else text for fact in OPTIONAL_FACTS},
            "extra": text,
        }
    )


@dataclass(frozen=True)
class Record(OptionalFacts):
    """A row before it is written: encoded pictures and facts.

    Attributes:
        sample_id: id, unique over all splits.
        image: encoded RGB picture, JPEG or PNG.
        mask: PNG of mode L with 0 and 255, in the size of the image.
        height: height of the image in pixels.
        width: width of the image in pixels.
        is_empty: whether the mask is all zero.
        questions: implicit questions, all about the same target.
        answers: explanatory answers; empty for an empty target.
        extra: other keys of the source as a JSON object; None if there are none.
        ignore: PNG of mode L with 255 where a pixel counts neither as target nor as background; None if none does.
        targets: masks of the separate targets as PNG like `mask`, which is their union; None if there is one mask.
    """

    sample_id: str
    image: bytes
    mask: bytes
    height: int
    width: int
    is_empty: bool
    questions: list[str]
    answers: list[str] = field(default_factory=list)
    extra: str | None = None
    ignore: bytes | None = None
    targets: list[bytes] | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the row as a dict for pyarrow."""
        pictures: dict[str, Any] = {name: _column_of(vars(self)[name]) for name in PICTURES}
        pictures[TARGETS] = None if self.targets is None else [_column_of(target) for target in self.targets]
        return vars(self) | pictures


class HiddenLabel(Record):
    """A row to predict whose label is hidden: `mask` and `is_empty` are null in the table.

    Asking the record for them raises DataFormatError, so that nothing takes it for an empty target.
    """

    __repr__ = object.__repr__

    def __getattribute__(self, name: str) -> Any:
        if name in ("mask", "is_empty"):
            raise _hidden(self.sample_id)
        return super().__getattribute__(name)

    def to_row(self) -> dict[str, Any]:
        """Return the row as a dict for pyarrow."""
        return super().to_row() | {"mask": None, "is_empty": None}


def _hidden(sample_id: str) -> DataFormatError:
    return DataFormatError(f"sample {sample_id!r} has no mask: this split's labels are hidden", "hidden label")


def _column_of(content: bytes | None) -> dict[str, Any] | None:
    return None if content is None else {"bytes": content, "path": None}


def extra_keys(values: Mapping[str, Any], known: Collection[str]) -> str | None:
    """Return the keys of `values` that are not `known` as a JSON object; None if there are none."""
    rest = {key: value for key, value in values.items() if key not in known and value is not None}
    text = json.dumps(rest, ensure_ascii=False, sort_keys=True)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # half a character, which UTF-8 cannot encode
        text = json.dumps(rest, sort_keys=True)
    return text if rest else None


def undecoded(rows: Dataset, *pictures: str) -> Dataset:
    """Return the rows with encoded pictures; columns that the dataset lacks are left out."""
    from datasets import Image, List

    if TARGETS in pictures and TARGETS in rows.column_names:
        rows = rows.select_columns(rows.column_names)  # a copy, so the caller's features stay
        rows.info.features[TARGETS] = List(Image(decode=False))  # cast_column would write all rows anew, with a bar
    for name in pictures:
        if name in rows.column_names and name != TARGETS:
            rows = rows.cast_column(name, Image(decode=False))
    return rows


def record_of_row(row: Mapping[str, Any]) -> Record:
    """Turn a row whose pictures are not decoded into a `Record`.

    Raises:
        DataFormatError: the row has no mask, because the labels of its split are hidden.
    """
    _check_mask(row)
    columns: dict[str, Any] = {column.name: row.get(column.name) for column in fields(Record)}
    pictures: dict[str, Any] = {name: row[name]["bytes"] for name in PICTURES if row.get(name)}
    if row.get(TARGETS) is not None:
        pictures[TARGETS] = [target["bytes"] for target in row[TARGETS]]
    return Record(**columns | pictures)


def sample_of_row(row: dict[str, Any]) -> Sample:
    """Turn a decoded row of the dataset into a `Sample`.

    Raises:
        DataFormatError: the row has no mask, because the labels of its split are hidden.
    """
    _check_mask(row)
    return Sample(
        sample_id=row["sample_id"],
        image=row["image"] if row["image"].mode == "RGB" else row["image"].convert("RGB"),
        mask=np.asarray(row["mask"]) != 0,
        questions=list(row["questions"]),
        answers=list(row["answers"]),
        ignore=None if row.get("ignore") is None else np.asarray(row["ignore"]) != 0,
        targets=[np.asarray(target) != 0 for target in row.get(TARGETS) or ()],
        **{fact: row.get(fact) for fact in OPTIONAL_FACTS},
    )


def check_types(record: Record, place: str) -> None:
    """Check the values that a source takes over from a file unread, so that a table can hold them.

    Raises:
        DataFormatError: a value has another type; names `place` and the column.
    """
    texts = [fact for fact in OPTIONAL_FACTS if fact not in NUMERIC_FACTS]
    for column, value in vars(record).items():
        if column in ("questions", "answers"):
            fits, kind = isinstance(value, list) and all(isinstance(text, str) for text in value), "a list of texts"
        elif column == "sample_id":
            fits, kind = isinstance(value, str) and value != "", "a text"
        elif column in (*texts, "extra"):
            fits, kind = value is None or isinstance(value, str), "a text or null"
        elif column in NUMERIC_FACTS:
            fits = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
            kind = "a number or null"
        elif column in ("height", "width"):
            fits, kind = isinstance(value, int | np.integer) and not isinstance(value, bool), "a whole number"
        else:
            continue
        if not fits:
            raise DataFormatError(f"{place}: {column} is {kind}, not {show_value(value)}", f"broken {column}")


def _check_mask(row: Mapping[str, Any]) -> None:
    if row["mask"] is None:
        raise _hidden(row["sample_id"])

"""Croissant metadata (JSON-LD, MLCommons 1.1) of an exported parquet folder, made with mlcroissant."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.about import About
from earthreason.data.cards import COLUMNS
from earthreason.data.checksums import sha256_of
from earthreason.data.schema import PICTURES, TARGETS
from earthreason.types import NUMERIC_FACTS

if TYPE_CHECKING:
    import mlcroissant

_CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_PARQUET = "application/x-parquet"
_DESCRIPTION = "Overhead images, implicit questions and the mask of the region that answers them, or nothing."
_USE_CASES = (
    "Training and scoring models that answer an implicit question about an overhead image with a mask, or with nothing."
)
_LIMITATIONS = "The questions are in English. A mask marks what the questions mean, not every object of its class."


def describe(folder: Path, about: About) -> dict[str, Any]:
    """Describe the parquet files below `folder` with their checksums; unknown facts about the dataset are omitted."""
    import mlcroissant

    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.parquet"))}
    objects = [
        mlcroissant.FileObject(
            id=name,
            name=name,
            content_url=name,
            content_size=f"{path.stat().st_size} B",
            encoding_formats=[_PARQUET],
            sha256=sha256_of(path),
        )
        for name, path in files.items()
    ]
    splits = sorted({path.name.split("-")[0] for path in files.values()})
    sets = [
        mlcroissant.FileSet(
            id=f"{split}-files",
            name=f"{split} files",
            contained_in=[name for name, path in files.items() if path.name.startswith(f"{split}-")],
            encoding_formats=[_PARQUET],
            includes=[f"**/{split}-*.parquet"],
        )
        for split in splits
    ]
    return mlcroissant.Metadata(
        name=about.title,
        description=f"{_DESCRIPTION} {about.origin}",
        license=about.licence,
        url=about.url,
        version="1.0.0",
        conforms_to=_CONFORMS_TO,
        date_published=None if about.published is None else datetime.fromisoformat(about.published),
        creators=[] if about.creator is None else [mlcroissant.Organization(name=about.creator)],
        cite_as=about.citation,
        data_use_cases=[_USE_CASES],
        data_limitations=[_LIMITATIONS],
        distribution=[*objects, *sets],
        record_sets=[
            mlcroissant.RecordSet(id=split, name=split, fields=[_field(split, column) for column in COLUMNS])
            for split in splits
        ],
    ).to_json()


def _field(split: str, column: str) -> mlcroissant.Field:
    import mlcroissant

    kinds = {
        "is_empty": mlcroissant.DataType.BOOL,
        **dict.fromkeys(("height", "width"), mlcroissant.DataType.INTEGER),
        **dict.fromkeys(NUMERIC_FACTS, mlcroissant.DataType.FLOAT),
        **dict.fromkeys((*PICTURES, TARGETS), mlcroissant.DataType.IMAGE_OBJECT),
    }
    kind = kinds.get(column, mlcroissant.DataType.TEXT)
    is_picture = kind == mlcroissant.DataType.IMAGE_OBJECT
    return mlcroissant.Field(
        id=f"{split}/{column}",
        name=column,
        description=COLUMNS[column],
        data_types=[kind],
        repeated=column in (TARGETS, "questions", "answers") or None,  # `is_array` does not decode a list of pictures
        source=mlcroissant.Source(
            file_set=f"{split}-files",
            extract=mlcroissant.Extract(column=column),
            transforms=[mlcroissant.Transform(json_path="bytes")] if is_picture else [],
        ),
    )

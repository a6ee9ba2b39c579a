"""Croissant metadata (JSON-LD, MLCommons 1.1) of an exported parquet folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from earthreason.data.about import About
from earthreason.types import NUMERIC_FACTS, OPTIONAL_FACTS

_CONTEXT = Path(__file__).with_name("croissant_context.json")
_FIELDS = {
    "sample_id": ("sc:Text", "unique over all splits"),
    "is_empty": ("sc:Boolean", "nothing in the image answers the questions; the mask is all zero"),
    "height": ("sc:Integer", "pixels"),
    "width": ("sc:Integer", "pixels"),
    **{
        fact: ("sc:Float" if fact in NUMERIC_FACTS else "sc:Text", f"{meaning}, where known")
        for fact, meaning in OPTIONAL_FACTS.items()
    },
}


def describe(folder: Path, description: str, about: About) -> dict[str, Any]:
    """Describe the parquet files below `folder` with their checksums; unknown facts about the dataset are omitted."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.parquet"))}
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": _sha256(path),
        }
        for name, path in files.items()
    ]
    splits = sorted({path.name.split("-")[0] for path in files.values()})
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{split}-files",
            "name": f"{split} files",
            "containedIn": [{"@id": name} for name, path in files.items() if path.name.startswith(f"{split}-")],
            "encodingFormat": "application/x-parquet",
            "includes": f"**/{split}-*.parquet",
        }
        for split in splits
    ]
    creator = None if about.creator is None else {"@type": "Organization", "name": about.creator}
    known = {"url": about.url, "datePublished": about.published, "creator": creator, "citeAs": about.citation}
    return {
        "@context": json.loads(_CONTEXT.read_text(encoding="utf-8")),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": about.title,
        "description": f"{description} {about.origin}",
        "license": about.licence,
        "version": "1.0.0",
        **{key: value for key, value in known.items() if value is not None},
        "distribution": [*objects, *sets],
        "recordSet": [_records(split) for split in splits],
    }


def _records(split: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{split}/{column}",
                "name": column,
                "description": meaning,
                "dataType": kind,
                "source": {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": column}},
            }
            for column, (kind, meaning) in _FIELDS.items()
        ],
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

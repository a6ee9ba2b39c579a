"""Croissant metadata (JSON-LD, MLCommons 1.1) of an exported parquet folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from earthreason.data.about import About

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FIELDS = {
    "sample_id": ("sc:Text", "unique over all splits"),
    "is_empty": ("sc:Boolean", "nothing in the image answers the questions; the mask is all zero"),
    "height": ("sc:Integer", "pixels"),
    "width": ("sc:Integer", "pixels"),
    "category": ("sc:Text", "class of the target, where known"),
    "ground_resolution": ("sc:Float", "metres per pixel, where known"),
    "source": ("sc:Text", "where the image comes from, where known"),
    "reasoning_type": ("sc:Text", "what kind of thought the questions ask for, where known"),
}


def describe(folder: Path, description: str, about: About) -> dict[str, Any]:
    """Metadata of the parquet files below `folder`, with their checksums; what is not known of the set is left out."""
    files = sorted(path for path in folder.rglob("*.parquet"))
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": path.relative_to(folder).as_posix(),
            "name": path.relative_to(folder).as_posix(),
            "contentUrl": path.relative_to(folder).as_posix(),
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": _sha256(path),
        }
        for path in files
    ]
    splits = sorted({path.name.split("-")[0] for path in files})
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{split}-files",
            "name": f"{split} files",
            "containedIn": [{"@id": o["@id"]} for o in objects if Path(o["name"]).name.startswith(f"{split}-")],
            "encodingFormat": "application/x-parquet",
            "includes": f"**/{split}-*.parquet",
        }
        for split in splits
    ]
    creator = None if about.creator is None else {"@type": "Organization", "name": about.creator}
    known = {"url": about.url, "datePublished": about.published, "creator": creator, "citeAs": about.citation}
    return {
        "@context": _CONTEXT,
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

"""Compare downloaded files with the checksums that the Hub states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.errors import DataNotFoundError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

RECORD = "download.json"


@dataclass(frozen=True)
class HubFile:
    """What the Hub states about a file.

    Attributes:
        size: size in bytes.
        sha256: SHA-256 of the content; None for a small file outside Git LFS.
        blob_id: SHA-1 of a small file as Git computes it, over a header and the content; None if not stated.
    """

    size: int
    sha256: str | None = None
    blob_id: str | None = None


def find_faults(folder: Path, files: Mapping[str, HubFile]) -> dict[str, str]:
    """Return what is wrong with files below `folder`, by name: absent, another size, or another content."""
    faults = {}
    with progress_bar(total=sum(file.size for file in files.values()), unit="B", unit_scale=True) as bar:
        bar.set_description("comparing checksums")
        for name, file in files.items():
            if fault := _fault(folder / name, file):
                faults[name] = fault
            bar.update(file.size)
    return faults


def _fault(path: Path, file: HubFile) -> str:
    if not path.is_file():
        return "absent"
    size = path.stat().st_size
    if size != file.size:
        return f"{count_of(size, 'byte')} instead of {file.size:,}"
    if file.sha256 is not None:
        found, stated, name = sha256_of(path), file.sha256, "sha256"
    elif file.blob_id is not None:
        found, stated, name = hash_of(path, hashlib.sha1(b"blob %d\0" % size)), file.blob_id, "Git hash"
    else:
        return ""
    return "" if found == stated else f"{name} {found[:12]}... instead of {stated[:12]}..."


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    return hash_of(path, hashlib.sha256())


def hash_of(path: Path, digest: Any) -> str:
    """Feed a file to a hash of `hashlib` and return its hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: digest).hexdigest()


def read_record(folder: Path) -> dict[str, Any]:
    """Return what `download_release` recorded in a folder; empty without a record."""
    with suppress(OSError, ValueError):  # absent, or a file of the same name by others
        record = json.loads((folder / RECORD).read_text("utf-8"))
        if isinstance(record, dict) and {"repository", "revision", "files"} <= record.keys():
            return record
    return {}


def recorded_folder(folder: Path) -> Path | None:
    """Return the folder of the record that a folder belongs to: itself, or one that holds it as its release."""
    folder = folder.resolve()
    for place in (folder, *folder.parents[:3]):
        if read_record(place) and (place == folder or folder.relative_to(place).parts[0] in ("release", "hub")):
            return place
    return None


def compare_download(folder: Path) -> Iterable[tuple[str, str]]:
    """Return every downloaded file with its fault, which is empty where the recorded SHA-256 is that of the file.

    Args:
        folder: folder that `earthreason download` wrote, or the release in it.

    Raises:
        DataNotFoundError: no download is recorded, or its record has no checksums.
    """
    place = recorded_folder(folder)
    if place is None:
        raise DataNotFoundError(
            f"{folder} was not made by `earthreason download`: no {RECORD} says which checksums its archives have"
        )
    record = read_record(place)
    checksums = record.get("sha256")
    if not isinstance(checksums, dict):
        raise DataNotFoundError(
            f"{place / RECORD} records no checksums; run `earthreason download --to {place}` again; it keeps the files"
        )
    sizes = record["files"]
    faults = find_faults(place / "hub", {name: HubFile(sizes[name], sha256) for name, sha256 in checksums.items()})
    return [(name, faults.get(name, "")) for name in sorted(checksums)]

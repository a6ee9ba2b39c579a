"""What can be seen of one file of a release, read as the loader reads it: an image, a label, a file of questions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.pictures import open_picture
from earthreason.data.sources.release import belongs, parse_image, parse_label, parse_questions
from earthreason.errors import DataFormatError

_HASH_SIDE = 16
_EXIF_ORIENTATION = 0x0112
Job = tuple[str, str, Path]
"""Split, part and file."""


@dataclass(frozen=True)
class Facts:
    """What was seen of one file.

    Attributes:
        split: split of the sample.
        part: `images`, `labels` or `QAs`.
        stem: name of the file without its ending.
        path: the file.
        problem: why the loader refuses the file; None where it reads it.
        stray: the file is of no sample, and the loader leaves it out.
        values: what the rules look at.
    """

    split: str
    part: str
    stem: str
    path: str
    problem: str | None = None
    stray: bool = False
    values: dict[str, Any] = field(default_factory=dict)


def look_at(job: Job) -> Facts:
    """Read one file whole."""
    split, part, path = job
    if not belongs(path, part):
        return Facts(split, part, path.stem, str(path), stray=True)
    readers = {"images": _look_at_image, "labels": _look_at_label, "QAs": _look_at_questions}
    try:
        return Facts(split, part, path.stem, str(path), values=readers[part](path.read_bytes(), path))
    except (DataFormatError, OSError) as error:
        return Facts(split, part, path.stem, str(path), problem=str(error).removeprefix(f"{path}: "))


def _look_at_image(content: bytes, path: Path) -> dict[str, Any]:
    import imagehash

    _, image = parse_image(content, path)
    small = image.convert("RGB")
    small.thumbnail((512, 512))
    return {
        "size": [image.height, image.width],
        "mode": image.mode,
        "rotated": image.getexif().get(_EXIF_ORIENTATION, 1) != 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "phash": str(imagehash.phash(small, hash_size=_HASH_SIDE)),
        "flat": bool(np.asarray(small.convert("L")).std() < 2),
    }


def _look_at_label(content: bytes, path: Path) -> dict[str, Any]:
    mask = parse_label(content, path)
    image = open_picture(content)
    pixels = np.asarray(image if image.mode not in ("RGB", "RGBA", "CMYK", "LA") else image.convert("L"))
    return {
        "size": list(mask.shape),
        "mode": image.mode,
        "area": int(np.count_nonzero(mask)),
        "levels": len(np.unique(pixels)),
    }


def _look_at_questions(content: bytes, path: Path) -> dict[str, Any]:
    qa = parse_questions(content, path)
    return {"questions": qa["questions"], "answers": qa["answer"], "bom": content.startswith(b"\xef\xbb\xbf")}

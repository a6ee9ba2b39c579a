"""What can be seen of one file of a release: an image, a label, a file of questions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.release import FOLDERS

_HASH_SIDE = 16
_EXIF_ORIENTATION = 0x0112
Job = tuple[str, str, Path]
"""Split, part and file."""


@dataclass(frozen=True)
class Facts:
    """What was seen of one file. `problem` says why it could not be read."""

    split: str
    part: str
    stem: str
    path: str
    problem: str | None = None
    values: dict[str, Any] = field(default_factory=dict)


def look_at(job: Job) -> Facts:
    """Read one file whole."""
    split, part, path = job
    readers = {"images": _look_at_image, "labels": _look_at_label, "QAs": _look_at_questions}
    wanted = path.suffix.lower() in FOLDERS[part]
    try:
        values = readers[part](path.read_bytes()) if wanted else {}
        problem = None if wanted else f"a {path.suffix or 'nameless'} file, expected {' or '.join(FOLDERS[part])}"
    except Unreadable as error:
        values, problem = {}, str(error)
    except Exception as error:  # decoders raise many kinds on broken files
        values, problem = {}, f"{type(error).__name__}: {error}"
    return Facts(split, part, path.stem, str(path), problem, values)


class Unreadable(Exception):
    """Why a file cannot be read, in words."""


def _look_at_image(content: bytes) -> dict[str, Any]:
    import imagehash

    from earthreason.data.pictures import open_picture

    image = open_picture(content)
    small = image.convert("RGB")
    small.thumbnail((512, 512))
    hashed = imagehash.phash(small, hash_size=_HASH_SIDE)
    return {
        "size": [image.height, image.width],
        "mode": image.mode,
        "rotated": image.getexif().get(_EXIF_ORIENTATION, 1) != 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "phash": str(hashed),
        "flat": bool(np.asarray(small.convert("L")).std() < 2),
    }


def _look_at_label(content: bytes) -> dict[str, Any]:
    from earthreason.data.pictures import open_picture

    image = open_picture(content)
    if image.mode in ("RGB", "RGBA", "CMYK", "LA"):
        raise Unreadable(f"mode {image.mode}; a label has one channel")
    pixels = np.asarray(image)
    return {
        "size": [image.height, image.width],
        "mode": image.mode,
        "area": int(np.count_nonzero(pixels)),
        "levels": len(np.unique(pixels)),
    }


def _look_at_questions(content: bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {content[error.start]:#04x} is not UTF-8 (Latin-1?)") from None
    try:
        qa = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from None
    if not isinstance(qa, dict):
        raise Unreadable("not a JSON object")
    for key in ("questions", "answer"):
        value = qa.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Unreadable(f"{key} is not a list of texts")
    return {
        "questions": qa.get("questions", []),
        "answers": qa.get("answer", []),
        "bom": content.startswith(b"\xef\xbb\xbf"),
    }

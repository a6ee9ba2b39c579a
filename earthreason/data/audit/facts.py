"""Facts about one file of a release (an image, a label or a question file), read by the loader's own parsers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.audit.looks import look
from earthreason.data.layout import belongs
from earthreason.data.orientation import orientation_of, swaps_sides
from earthreason.data.pictures import in_8_bits, label_picture, rgb_picture
from earthreason.data.sources.release import parse_questions, stated_id
from earthreason.errors import DataFormatError

_SMALL_SIDE = 512
Job = tuple[str, str, Path]
"""Split, part and file."""


@dataclass(frozen=True)
class Facts:
    """Facts about one file of a release.

    Attributes:
        split: split of the sample.
        part: `images`, `labels` or `QAs`.
        stem: stem of the sample; `audit` sets it where names differ.
        path: path of the file.
        problem: reason why the loader refuses the file; None if it reads the file.
        stray: whether the file belongs to no sample, so that the loader ignores it.
        values: measurements that the rules use; empty if the file is refused or stray.
    """

    split: str
    part: str
    stem: str
    path: str
    problem: str | None = None
    stray: bool = False
    values: dict[str, Any] = field(default_factory=dict)


def look_at(job: Job) -> Facts:
    """Read one file and collect its facts."""
    split, part, path = job
    if not belongs(path, part):
        return Facts(split, part, path.stem, str(path), stray=True)
    readers = {"images": image_facts, "labels": label_facts, "QAs": _question_facts}
    try:
        return Facts(split, part, path.stem, str(path), values=readers[part](path.read_bytes(), path))
    except (DataFormatError, OSError) as error:
        return Facts(split, part, path.stem, str(path), problem=str(error).removeprefix(f"{path}: "))


def image_facts(content: bytes, path: Path) -> dict[str, Any]:
    """Return the facts of an encoded image; `path` names it in messages.

    Raises:
        DataFormatError: the image is not readable.
    """
    _, image = rgb_picture(content, path)
    try:
        orientation = orientation_of(image)
    except ValueError:
        orientation = 1
    # The look needs luminance only, so colours are dropped before the image is scaled down.
    small = (image if image.mode == "RGB" else in_8_bits(image)).convert("L")
    small.thumbnail((_SMALL_SIDE, _SMALL_SIDE))
    return {
        "size": [image.height, image.width],
        "turned_size": [image.width, image.height] if swaps_sides(orientation) else [image.height, image.width],
        "mode": image.mode,
        "rotated": orientation != 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "look": look(small),
    }


def label_facts(content: bytes, path: Path) -> dict[str, Any]:
    """Return the facts of an encoded label; `path` names it in messages.

    Raises:
        DataFormatError: the label is not readable.
    """
    mask, image = label_picture(content, path)
    eight_bit = image.mode in ("1", "L", "P")
    levels = np.count_nonzero(image.histogram()) if eight_bit else len(np.unique(np.asarray(image)))
    return {
        "size": list(mask.shape),
        "mode": image.mode,
        "area": int(np.count_nonzero(mask)),
        "levels": int(levels),
    }


def _question_facts(content: bytes, path: Path) -> dict[str, Any]:
    qa = parse_questions(content, path)
    return {
        "questions": qa["questions"],
        "answers": qa["answer"],
        "bom": content.startswith(b"\xef\xbb\xbf"),
        "sample_id": stated_id(qa, path),
    }

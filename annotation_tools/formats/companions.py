"""Files that exports of annotation tools contain beside the annotations."""

from __future__ import annotations

import re
from pathlib import Path

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".gif"))
_SUFFIXES = frozenset(
    (
        *(
            ".yaml",
            ".yml",
            ".md",
            ".html",
            ".dbf",
            ".shx",
            ".prj",
            ".cpg",
            ".sbn",
            ".sbx",
            ".qmd",
            ".qix",
            ".qgz",
            ".aux",
        ),
        *(".tfw", ".jgw", ".pgw", ".wld", ".sh", ".py", ".names", ".data", ".labels", ".cache"),
    )
)
_NAMES = re.compile(
    r"readme.*|licen[cs]e.*|data_license.*|classes\.txt|_classes\.(csv|txt)|labelmap\.txt|label_?names\.txt|labels\.txt"
    r"|(train|val|valid|validation|test|trainval|default|autosplit_.*)\.txt|notes\.json|provenance\.jsonl|about\.json|croissant\.json|left_out\.json|.*\.aux\.xml",
    re.IGNORECASE,
)


def is_companion(path: Path) -> bool:
    """Tell whether a file is a picture, or describes an export without annotating an image."""
    suffix = path.suffix.lower()
    return suffix in PICTURE_SUFFIXES or suffix in _SUFFIXES or _NAMES.fullmatch(path.name) is not None

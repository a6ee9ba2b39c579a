"""Read RRSIS-HR (CADFormer): referring expressions for aerial images of 1,024 px, in the layout of RRSIS-D.

Facts are from the readers of github.com/Abdul-Insighht/RRSIS_SAM3 (`refer/refer.py`, `data/dataset.py`) and the page of
github.com/zxk688/CADFormer: `rrsis_hr/refs(unc).p`, `rrsis_hr/instances.json`, and images beside them or in `images/`.
Only the name of the folder tells it from RRSIS-D.
"""

from __future__ import annotations

from pathlib import Path

from earthreason.data.about import About
from earthreason.data.sources.base import SourceFormat, register
from earthreason.data.sources.rrsisd import RRSISD
from earthreason.files import visible_files

_PAGE = "https://github.com/zxk688/CADFormer"
_NAMES = ("rrsishr", "resishr")  # the second is the spelling of a copy on Kaggle that the reader knows


class RRSISHR(RRSISD):
    """Samples of `refs(unc).p` and `instances.json`, as in RRSIS-D."""

    name = "rrsis-hr"
    title = "RRSIS-HR"


def _holds(root: Path) -> bool:
    for path in visible_files(root, "**/refs(unc).p"):
        folders = (root.name, *path.relative_to(root).parts[:-1])
        plain = ("".join(filter(str.isalnum, name.lower())) for name in folders)
        if any(word in name for name in plain for word in _NAMES):
            return True
    return False


register(
    SourceFormat(
        name="rrsis-hr",
        title="RRSIS-HR: rrsis_hr/refs(unc).p, rrsis_hr/instances.json and images",
        matches=_holds,
        open=RRSISHR,
        precedence=19,  # before RRSIS-D, which has the same files
        config="rrsis-hr",
        about=About(
            title="RRSIS-HR",
            licence="unknown",
            origin="RRSIS-HR was published with CADFormer and is based on RSVG-HR; its terms are not stated here.",
            url=_PAGE,
            citation="CADFormer: Fine-Grained Cross-Modal Alignment and Decoding Transformer for Referring Remote "
            "Sensing Image Segmentation, IEEE JSTARS 18, 2025, doi 10.1109/JSTARS.2025.3576595",
        ),
        paper="https://doi.org/10.1109/JSTARS.2025.3576595",
        how_to_get=_PAGE,
        splits={"train": 2118, "validation": 268, "test": 264},
    )
)

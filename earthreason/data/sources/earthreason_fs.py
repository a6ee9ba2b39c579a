"""Read EarthReason-FS (Geo-R1, arXiv 2509.21976): few samples for training, and the validation and test samples.

The parquet files `train_1shot`, `train_5shot` and `train_10shot` are subsets of each other, so one of them is read and
never all: the one that the configuration names, by default the largest.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.sources.base import SourceFormat, register
from earthreason.data.sources.parquet import Parquet
from earthreason.errors import DataNotFoundError
from earthreason.files import visible_files

_SHOTS = re.compile(r"train[_-](\d+)[_-]?shots?(?![a-z])", re.IGNORECASE)
_PUBLISHED = (1, 5, 10)
_HUB = "https://huggingface.co/datasets/omlab/EarthReason-FS"


class EarthReasonFS(Parquet):
    """Samples of one `train_Nshot*.parquet` and of the files of the other splits."""

    name = "earthreason-fs"

    def __init__(self, root: Path, shots: int | None = None) -> None:
        training = _training_files(root)
        if shots is not None and shots not in training:
            found = ", ".join(f"train_{number}shot" for number in sorted(training)) or "no train_Nshot file"
            raise DataNotFoundError(f"{root} contains no train_{shots}shot parquet file; it contains {found}")
        chosen = max(training, default=None) if shots is None else shots
        others = {path for number, paths in training.items() if number != chosen for path in paths}
        super().__init__(root, [path for path in visible_files(root, "**/*.parquet") if path not in others])


def _training_files(root: Path) -> dict[int, list[Path]]:
    files: dict[int, list[Path]] = {}
    for path in visible_files(root, "**/*.parquet"):
        # The Hub's converted files have the name in a folder: train_1shot/0000.parquet.
        match = _SHOTS.search(path.relative_to(root).as_posix())
        if match is not None:
            files.setdefault(int(match[1]), []).append(path)
    return files


register(
    SourceFormat(
        name="earthreason-fs",
        title="EarthReason-FS: train_1shot, train_5shot, train_10shot, val and test parquet files",
        matches=lambda folder: bool(_training_files(folder)),
        open=EarthReasonFS,
        precedence=35,
        config="earthreason-fs",
        variants={f"earthreason-fs-{shots}shot": partial(EarthReasonFS, shots=shots) for shots in _PUBLISHED},
        about=About(
            title="EarthReason-FS",
            licence="unknown",
            origin="EarthReason-FS was published with Geo-R1 (arXiv 2509.21976); its samples come from EarthReason.",
            url=_HUB,
            citation="Geo-R1, arXiv 2509.21976",
        ),
        paper="https://arxiv.org/abs/2509.21976",
        how_to_get=_HUB,
    )
)

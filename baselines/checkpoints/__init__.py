"""Trained checkpoints that come with the package, by name.

`index.json` lists them. The files of each are in the folder of its name beside the index.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from earthreason.data.checksums import sha256_of
from earthreason.errors import DataFormatError, DataNotFoundError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken, write_json

FOLDER = Path(__file__).parent
INDEX, CARD = "index.json", "README.md"


@dataclass(frozen=True)
class ShippedCheckpoint:
    """A checkpoint in the index.

    Attributes:
        name: name on the command line, and of its folder.
        folder: folder of its files.
        model: name of the model in `baselines.registry`.
        summary: one-line description.
        sha256: SHA-256 in hexadecimal digits of every file but the card, by file name.
    """

    name: str
    folder: Path
    model: str
    summary: str
    sha256: Mapping[str, str]

    def check(self) -> None:
        """Compare all files with the index.

        Raises:
            DataNotFoundError: a file is missing.
            DataFormatError: a file is damaged.
        """
        for file, stated in self.sha256.items():
            path = self.folder / file
            remedy = f"restore it: git checkout -- {path}"
            if not path.is_file():
                raise DataNotFoundError(
                    f"{path}: this file of the shipped checkpoint {self.name!r} is missing; {remedy}"
                )
            found = sha256_of(path)
            if found != stated:
                raise DataFormatError(
                    f"{path} is damaged: sha256 {found[:12]}... instead of {stated[:12]}...; {remedy}"
                )


def shipped_checkpoints(shelf: Path | None = None) -> dict[str, ShippedCheckpoint]:
    """Read the index.

    Args:
        shelf: folder with the index; None is the one of the package.

    Returns:
        Checkpoints by name, unchecked; none where there is no index.

    Raises:
        DataFormatError: the index is broken.
    """
    shelf = shelf or FOLDER
    path = shelf / INDEX
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        found = {name: ShippedCheckpoint(name=name, folder=shelf / name, **entry) for name, entry in entries.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataFormatError(f"{path}: not an index of checkpoints: {error}") from None
    for entry in found.values():
        if not _is_sound(entry):
            raise DataFormatError(
                f"{path}: the entry {entry.name!r} needs a plain folder name, texts as model and summary, and the "
                "SHA-256 of each file by its plain name"
            )
    return found


def _is_sound(entry: ShippedCheckpoint) -> bool:
    hashes = entry.sha256
    return (
        isinstance(entry.model, str)
        and isinstance(entry.summary, str)
        and isinstance(hashes, dict)
        and bool(hashes)
        and all(isinstance(sha256, str) for sha256 in hashes.values())
        and all(Path(name).name == name not in ("", "..") for name in (entry.name, *hashes))
    )


def register_checkpoint(folder: Path, model: str, summary: str) -> ShippedCheckpoint:
    """Enter a folder into the index beside it, under its own name; an entry with this name is replaced.

    Args:
        folder: folder of a checkpoint, such as `baselines/checkpoints/tiny`.
        model: name of its model.
        summary: one-line description.
    """
    folder = folder.resolve()
    others = shipped_checkpoints(folder.parent)
    hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != CARD}
    entry = ShippedCheckpoint(folder.name, folder, model, summary, hashes)
    entries = {
        name: {"model": each.model, "summary": each.summary, "sha256": dict(each.sha256)}
        for name, each in sorted({**others, folder.name: entry}.items())
    }
    write_json(folder.parent / INDEX, entries)
    return entry


def find_shipped(name: str) -> ShippedCheckpoint:
    """Find a shipped checkpoint and check its files.

    Raises:
        UnknownNameError: there is none of this name; the message suggests the nearest.
        DataNotFoundError: a file is missing.
        DataFormatError: a file is damaged.
    """
    known = shipped_checkpoints()
    if name not in known:
        hint = "Otherwise give a folder made by `earthreason-baselines train` or `convert`, or a Hub id (OWNER/NAME)"
        raise UnknownNameError("checkpoint", name, known, hint)
    known[name].check()
    return known[name]


def locate_checkpoint(checkpoint: str | Path) -> str | Path:
    """Return the folder of a shipped checkpoint for its name; return an existing path or a Hub id as it is.

    Raises:
        EarthReasonError: a name without a slash is neither; or a file is missing or damaged.
    """
    is_name = Path(checkpoint).name == str(checkpoint) and not Path(checkpoint).exists()
    return find_shipped(str(checkpoint)).folder if is_name else checkpoint


def fetch_checkpoint(name: str, out: Path) -> ShippedCheckpoint:
    """Check a shipped checkpoint and copy its files and card to a new folder.

    Raises:
        EarthReasonError: there is none of this name, a file is missing or damaged, or the folder is not empty.
    """
    refuse_taken(out)
    found = find_shipped(name)
    card = [CARD] if (found.folder / CARD).is_file() else []
    with atomic_path(out) as folder:
        folder.mkdir()
        for file in [*found.sha256, *card]:
            shutil.copyfile(found.folder / file, folder / file)
    return found

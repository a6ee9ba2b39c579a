"""Versions of the built-in prompts, and what differs between them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from earthreason.errors import DataNotFoundError, UnknownNameError
from earthreason.files import atomic_path, read_text, refuse_taken
from earthreason.questions.prompting.prompts import BUILT_IN, NAMES, check_folder, version_of

CHANGES = BUILT_IN / "CHANGELOG.md"


def versions() -> list[str]:
    """List all versions that a built-in prompt has had, the oldest first."""
    return [*_earlier_versions(), _newest()]


def check_name(name: str) -> str:
    """Return the name of a prompt.

    Raises:
        UnknownNameError: there is none of this name.
    """
    if name not in NAMES:
        raise UnknownNameError("prompt", name, NAMES)
    return name


def text_at(name: str, place: str | None = None) -> str:
    """Return the file of a prompt.

    Args:
        name: name of the prompt.
        place: a version (the prompt as it was when any had this version) or a folder of prompts; None means the present
            version.

    Returns:
        The text; empty if that version lacks the prompt. A folder that lacks it has the built-in one.

    Raises:
        DataNotFoundError: there is no such version or folder, or the folder has no prompts.
    """
    path = _path(check_name(name), place)
    return "" if path is None else read_text(path)


def diff_prompts(names: tuple[str, ...], old: str | None = None, new: str | None = None) -> Iterator[str]:
    """Yield the lines of a unified diff between two versions or folders.

    Args:
        names: names of the prompts.
        old: as `place` of `text_at`; None means the version before the present one.
        new: as `place` of `text_at`.

    Raises:
        UnknownNameError: there is no prompt of one of the names.
        DataNotFoundError: there is no such version or folder.
    """
    before = versions()[-2] if old is None else old
    for name in names:
        first, second = (text_at(name, place).splitlines() for place in (before, new))
        old_label, new_label = (f"{_label(place)}/{name}.md" for place in (before, new))
        yield from difflib.unified_diff(first, second, old_label, new_label, lineterm="")


def export_prompts(folder: Path, place: str | None = None) -> list[Path]:
    """Write the prompts, and what changed between their versions, into a folder to edit.

    Raises:
        EarthReasonError: the folder exists and is not empty.
        DataNotFoundError: there is no such version.
    """
    refuse_taken(folder)
    texts = {name: text_at(name, place) for name in NAMES}
    with atomic_path(folder) as writing:
        writing.mkdir()
        for name, text in texts.items():
            if text:
                (writing / f"{name}.md").write_text(text, encoding="utf-8")
    return [folder / f"{name}.md" for name, text in texts.items() if text]


def _earlier_versions() -> list[str]:
    return sorted((path.name for path in BUILT_IN.iterdir() if path.is_dir() and path.name.isdigit()), key=int)


def _newest() -> str:
    return max((version_of(BUILT_IN / f"{name}.md") for name in NAMES), key=int)


def _label(place: str | None) -> str:
    return f"version {_newest()}" if place is None else f"version {place}" if place.isdigit() else place


def _path(name: str, place: str | None) -> Path | None:
    """Return the file of a prompt at a version or in a folder; None if that version lacks it."""
    if place is None:
        return BUILT_IN / f"{name}.md"
    folder = Path(place)
    if folder.is_dir():
        check_folder(folder)
        path = folder / f"{name}.md"
        return path if path.is_file() else BUILT_IN / path.name  # as `generate` does
    if place not in versions():
        raise DataNotFoundError(f"{place} is neither a version of the prompts ({', '.join(versions())}) nor a folder")
    if int(version_of(BUILT_IN / f"{name}.md")) <= int(place):
        return BUILT_IN / f"{name}.md"
    older = [BUILT_IN / version / f"{name}.md" for version in _earlier_versions() if int(version) <= int(place)]
    return next((path for path in reversed(older) if path.is_file()), None)

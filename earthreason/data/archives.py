"""Unpack untrusted zip archives of the release."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import atomic_path

MAX_TOTAL_BYTES = 64 << 30
MAX_RATIO = 200
"""Highest accepted compression ratio: pictures hardly compress, and a zip bomb exceeds 1000:1."""


def extract_archives(folder: Path, target: Path | None = None) -> Path:
    """Unpack every zip archive below `folder` into `target`, unless `target` exists.

    Args:
        folder: folder with archives at any depth.
        target: folder for the files; `FOLDER-extracted` beside `folder` by default.

    Returns:
        The folder with the files; `folder` itself if it contains no archives.

    Raises:
        DataNotFoundError: `folder` is absent.
        DataFormatError: an archive is broken, contains a link or a path outside the target, or unpacks to a size that
            is not plausible.
    """
    if not folder.is_dir():
        raise DataNotFoundError(f"there is no folder {folder}")
    archives = sorted(folder.rglob("*.zip"))
    if not archives:
        return folder
    target = target or folder.with_name(f"{folder.name}-extracted")
    if target.is_dir():
        return target
    with atomic_path(target) as temporary:
        temporary.mkdir()
        for archive in archives:
            _extract(archive, temporary)
    return target


def _extract(path: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _refuse_bombs(path, members)
            for member in members:
                destination = target / _safe_name(path, member)
                if member.is_dir():
                    destination.mkdir(parents=True, exist_ok=True)
                    continue
                destination.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, destination.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    except zipfile.BadZipFile as error:
        raise DataFormatError(f"{path}: not a complete zip archive ({error}); download it again") from None


def _safe_name(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in member.filename:
        raise DataFormatError(f"{archive}: member {member.filename!r} points outside the archive; not unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise DataFormatError(f"{archive}: member {member.filename!r} is a symbolic link; not unpacked")
    return name


def _refuse_bombs(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    if unpacked > MAX_TOTAL_BYTES or (unpacked > 1 << 30 and unpacked / packed > MAX_RATIO):
        raise DataFormatError(
            f"{archive}: would unpack to {unpacked >> 20} MiB from {packed >> 20} MiB, implausible for images"
        )

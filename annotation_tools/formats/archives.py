"""Unpack ZIP archives of annotation tools into a temporary folder, without trusting them."""

from __future__ import annotations

import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import is_system_name

SUFFIX = ".zip"
MOST_FILES = 200_000
MOST_BYTES = 16 * 2**30
"""Size of all files after unpacking."""
HIGHEST_RATIO = 200
"""Ratio of unpacked to packed size; JSON and run lengths stay below 50."""
SMALL = 100 * 2**20
"""Unpacked size up to which the ratio does not matter."""
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_UNREAD = (".jpg", ".jpeg")
"""Pictures that are never masks: only their names are needed, so they are not unpacked."""


@contextmanager
def unpacked(path: Path, shown: str) -> Iterator[Path]:
    """Unpack an archive into a temporary folder that is deleted at the end of the block; yield the folder.

    Messages of errors in the block name files as `export.zip/annotations.xml`.

    Args:
        path: archive.
        shown: its name in messages.

    Raises:
        DataFormatError: it is no ZIP archive, is damaged or encrypted, contains another archive, or a file that would
            be written elsewhere, or grows beyond the limits above.
    """
    with tempfile.TemporaryDirectory(prefix="earthreason-") as scratch:
        folder = Path(scratch)
        _unpack(path, shown, folder)
        try:
            yield folder
        except EarthReasonError as error:
            # Some readers name the file that they opened, which only the archive's name makes sense of.
            error.args = tuple(text.replace(scratch, shown) if isinstance(text, str) else text for text in error.args)
            raise


def _unpack(path: Path, shown: str, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for entry, below in _checked(archive, path, shown):
                target = folder / below
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.suffix.lower() in _UNREAD:
                    target.touch()
                    continue
                with archive.open(entry) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataFormatError(f"{shown}: not a readable ZIP archive ({error})") from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DataFormatError(f"{shown}: a name is both a file and a folder ({error.filename})") from None


def _checked(archive: zipfile.ZipFile, path: Path, shown: str) -> list[tuple[zipfile.ZipInfo, Path]]:
    """List the files of an archive that matter, each with its path below the folder, and check all of them first."""
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_FILES or total > MOST_BYTES:
        raise DataFormatError(
            f"{shown}: {len(entries):,} files of {total / 2**30:.1f} GiB; at most {MOST_FILES:,} and "
            f"{MOST_BYTES / 2**30:.0f} GiB are unpacked. Unpack it yourself and give the folder"
        )
    packed = path.stat().st_size
    if total > SMALL and total > HIGHEST_RATIO * packed:
        raise DataFormatError(
            f"{shown}: grows from {packed:,} to {total:,} bytes, more than {HIGHEST_RATIO} times, as archives do that "
            "are meant to fill disks. If you trust it, unpack it yourself and give the folder"
        )
    found: dict[Path, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        below = PurePosixPath(name)
        place = f"{shown}/{name}"
        if below.is_absolute() or ".." in below.parts or not below.parts or ":" in below.parts[0] or "\0" in name:
            raise DataFormatError(f"{place}: would be written outside of the folder; the archive is refused")
        if entry.is_dir() or any(map(is_system_name, below.parts)):
            continue
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise DataFormatError(f"{place}: is a link; the archive is refused")
        if entry.flag_bits & 1:
            raise DataFormatError(f"{place}: is encrypted; unpack the archive yourself and give the folder")
        if below.suffix.lower() in _ARCHIVES:
            raise DataFormatError(f"{place}: is an archive in an archive; unpack it yourself and give the folder")
        if Path(below) in found:
            raise DataFormatError(f"{place}: is there twice; unpack the archive yourself and give the folder")
        found[Path(below)] = entry
    return [(entry, below) for below, entry in found.items()]

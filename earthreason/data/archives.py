"""Unpack untrusted archives of the release: zip and tar, in pieces, and inside each other.

Files whose path names split and part go where it says, so that the archives of one release become one folder. The
others go into a folder named after their archive, because some name the split there only.
"""

from __future__ import annotations

import errno
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from earthreason.data.layout import Tree, part_named, read_tree, split_named
from earthreason.data.texts import likely_encoding
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import atomic_path, is_system_name
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

MAX_TOTAL_BYTES = 64 << 30
MAX_RATIO = 200
"""Highest accepted compression ratio: pictures hardly compress, and a zip bomb exceeds 1000:1."""
FREE_BYTES = 1 << 30
"""Size up to which any ratio is accepted."""
MAX_MEMBERS = 1_000_000
MAX_DEPTH = 3
"""Number of archives inside each other."""
_NAME = re.compile(r"(?P<stem>.+?)\.(?:zip|tar|tgz|tbz2?|txz|tar\.(?:gz|bz2|xz))(?:\.(?P<piece>\d{2,4}))?", re.I)
_DISK = re.compile(r"(?P<stem>.+)\.z\d\d", re.I)
_UNREADABLE = (".7z", ".rar", ".tar.zst", ".tar.lz4")
_CHUNK = 1 << 20
_UTF8_FLAG = 0x800
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, struct.error, OverflowError)


@dataclass(frozen=True)
class Archive:
    """An archive on disk.

    Attributes:
        folder: names of its folder from the root.
        stem: its name without suffix.
        pieces: the file, or the files that are the archive when joined.
    """

    folder: tuple[str, ...]
    stem: str
    pieces: tuple[Path, ...]


@dataclass(frozen=True)
class _Member:
    """A file or folder in an archive: names from the target, place for messages, and function that opens a file."""

    names: tuple[str, ...]
    place: str
    size: int
    open: Callable[[], IO[bytes]] | None


def find_archives(root: Path, tree: Tree) -> list[Archive]:
    """List the archives in a tree of folders below `root`."""
    found: dict[tuple[tuple[str, ...], str], list[Path]] = {}
    for folder, files in tree:
        for name in files:
            if match := _NAME.fullmatch(name):
                whole = name if match["piece"] is None else name.rsplit(".", 1)[0]
                found.setdefault((folder, whole), []).append(root.joinpath(*folder, name))
    return [Archive(folder, _stem(whole), tuple(sorted(pieces))) for (folder, whole), pieces in found.items()]


def _stem(name: str) -> str:
    match = _NAME.fullmatch(name)
    return match["stem"] if match else name


def unreadable_archives(root: Path, tree: Tree) -> list[Path]:
    """List archives of kinds that are not read here, such as 7z."""
    return [
        root.joinpath(*folder, name) for folder, files in tree for name in files if name.lower().endswith(_UNREADABLE)
    ]


def extract_archives(folder: Path, target: Path | None = None) -> Path:
    """Unpack every archive below `folder` into `target`, unless `target` exists.

    Args:
        folder: folder with archives at any depth.
        target: folder for the files; `FOLDER-extracted` beside `folder` by default.

    Returns:
        The folder with the files; `folder` itself if it contains no archives.

    Raises:
        DataNotFoundError: `folder` is absent.
        DataFormatError: an archive is broken, encrypted or packed by an unknown method, contains a link or a path
            outside the target, or unpacks to a size that is not plausible; names the archive and the member.
        EarthReasonError: `target` cannot be written.
    """
    if not folder.is_dir():
        raise DataNotFoundError(f"there is no folder {folder}")
    archives = find_archives(folder, read_tree(folder))
    if not archives:
        return folder
    target = target or folder.with_name(f"{folder.name}-extracted")
    if not target.is_dir():
        unpack(archives, target)
    return target


def unpack(archives: Iterable[Archive], target: Path) -> None:
    """Unpack archives into `target`, which appears when it is complete; raises as `extract_archives`."""
    try:
        with atomic_path(target) as temporary, progress_bar(unit="file", desc="unpacking") as bar:
            temporary.mkdir()
            for archive in archives:
                _write_all(archive, temporary, bar.update)
    except OSError as error:
        if isinstance(error, EarthReasonError):
            raise
        raise EarthReasonError(f"{target}: the archives cannot be unpacked there ({error.strerror})") from None


def list_members(archives: Iterable[Archive]) -> Iterator[tuple[str, ...]]:
    """List the files that `unpack` would write, as names from its target; raises as `extract_archives`."""
    for archive in archives:
        for member in _walk(archive):
            if member.open is not None:
                yield member.names


def _write_all(archive: Archive, target: Path, progress: Callable[[int], object]) -> None:
    for member in _walk(archive):
        path = target.joinpath(*member.names)
        with _named(member.place):
            try:
                (path if member.open is None else path.parent).mkdir(parents=True, exist_ok=True)
                if member.open is not None:
                    with member.open() as source, path.open("xb") as sink:
                        while chunk := source.read(_CHUNK):
                            sink.write(chunk)
                    progress(1)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise DataFormatError(
                    f"{member.place}: another file or folder has this name already, perhaps in another case; unpack "
                    "the archive yourself and keep one"
                ) from None


@dataclass
class _Budget:
    """What an archive may still unpack to; `packed` is its size in bytes."""

    archive: str
    packed: int
    unpacked: int = 0
    members: int = 0

    def spend(self, size: int) -> None:
        self.unpacked += size
        self.members += 1
        too_much = self.unpacked > FREE_BYTES and self.unpacked / max(1, self.packed) > MAX_RATIO
        if too_much or self.unpacked > MAX_TOTAL_BYTES or self.members > MAX_MEMBERS:
            raise DataFormatError(
                f"{self.archive}: would unpack to {count_of(self.members, 'file')} and {self.unpacked >> 20:,} MiB "
                f"from {self.packed >> 20:,} MiB, implausible for images; not unpacked"
            )


def _walk(archive: Archive) -> Iterator[_Member]:
    """Yield the files and folders of an archive, and those of archives in it."""
    place = str(archive.pieces[0])
    with _named(place):
        _refuse_incomplete(archive)
        budget = _Budget(place, sum(piece.stat().st_size for piece in archive.pieces))
        if not budget.packed:
            raise DataFormatError(f"{place}: the archive is empty (0 bytes); download it again")
        with io.BufferedReader(_Joined(archive.pieces), _CHUNK) as file:
            yield from _members(file, place, archive.folder, archive.stem, budget, 1)


def _members(
    file: IO[bytes], place: str, folder: tuple[str, ...], stem: str, budget: _Budget, depth: int
) -> Iterator[_Member]:
    is_zip = file.read(2) == b"PK"
    file.seek(0)
    for name, size, open_member in (_zip_members if is_zip else _tar_members)(file, place):
        inside = f"{place}: {name!r}"
        names = _safe_names(name, inside)
        if not names or any(map(is_system_name, names)):
            continue
        budget.spend(size)
        if open_member is not None and (match := _NAME.fullmatch(names[-1])) and match["piece"] is None:
            if depth == MAX_DEPTH:
                raise DataFormatError(f"{inside}: more than {MAX_DEPTH} archives inside each other; unpack it yourself")
            with _named(inside), open_member() as inner:
                inner_folder = (*folder, stem, *names[:-1])
                yield from _members(inner, inside, inner_folder, match["stem"], budget, depth + 1)
        else:
            folders = names if open_member is None else names[:-1]
            is_named = any(map(split_named, folders)) and any(map(part_named, folders))
            yield _Member((*folder, *names) if is_named else (*folder, stem, *names), inside, size, open_member)


_Raw = Iterator[tuple[str, int, Callable[[], IO[bytes]] | None]]
"""Name, size in bytes, and function that opens a file or None for a folder."""


def _zip_members(file: IO[bytes], place: str) -> _Raw:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = _zip_name(member)
            inside = f"{place}: {name!r}"
            if stat.S_ISLNK(member.external_attr >> 16):
                raise DataFormatError(f"{inside} is a symbolic link; not unpacked")
            if member.flag_bits & 1:
                raise DataFormatError(f"{inside} is encrypted and needs a password; unpack the archive yourself")
            opened = None if member.is_dir() else partial(archive.open, member)
            yield name, member.file_size, opened


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Return the name of a zip member, which many packers write in UTF-8 or GBK without the flag for it.

    `zipfile` decodes such a name as code page 437, in which every byte is a character, so that no byte is lost.
    """
    if member.flag_bits & _UTF8_FLAG or member.filename.isascii():
        return member.filename
    content = member.filename.encode("cp437")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        likely = likely_encoding(content)
        return content.decode(likely) if likely in ("gbk", "gb18030") else member.filename


def _tar_members(file: IO[bytes], place: str) -> _Raw:
    with tarfile.open(fileobj=file, mode="r:*") as archive:
        for member in archive:
            if member.isdir():
                yield member.name, 0, None
            elif member.isreg():
                yield member.name, member.size, partial(_open_in_tar, archive, member)
            else:
                kind = "a link" if member.issym() or member.islnk() else "neither a file nor a folder"
                raise DataFormatError(f"{place}: {member.name!r} is {kind}; not unpacked")


def _open_in_tar(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    assert file is not None  # None is for what is no file
    return file


def _safe_names(name: str, place: str) -> tuple[str, ...]:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
        raise DataFormatError(f"{place} points outside the archive; not unpacked")
    if "\0" in name or any(ord(letter) < 32 for letter in name):
        raise DataFormatError(f"{place} is no valid name of a file; unpack the archive yourself")
    return path.parts


def _refuse_incomplete(archive: Archive) -> None:
    """Refuse a set of pieces with a gap, and a zip in several disks, which are not pieces of one file."""
    first = archive.pieces[0]
    for sibling in sorted(first.parent.iterdir()):
        match = _DISK.fullmatch(sibling.name)
        if match and match["stem"] == archive.stem:
            raise DataFormatError(
                f"{first}: a zip that is split over several disks ({sibling.name}, ...); join it first: "
                f"zip -s 0 {first.name} --out whole.zip, and move the pieces elsewhere"
            )
    numbers = [int(piece.suffix[1:]) for piece in archive.pieces if piece.suffix[1:].isdecimal()]
    if numbers and len(numbers) < len(archive.pieces):
        raise DataFormatError(f"{first}: the archive is there whole and in pieces; keep one")
    expected = range(0 if 0 in numbers else 1, max(numbers, default=0) + 1)
    missing = [number for number in expected if number not in numbers] if numbers else []
    if missing:
        raise DataFormatError(f"{first}: piece {missing[0]:03d} of the archive is missing; download it too")


class _Joined(io.RawIOBase):
    """Several files as one."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._files = [path.open("rb") for path in paths]
        self._ends: list[int] = []
        for file in self._files:
            self._ends.append((self._ends[-1] if self._ends else 0) + file.seek(0, io.SEEK_END))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._ends[-1])[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        start = 0
        for file, end in zip(self._files, self._ends, strict=True):
            if self._at < end:
                file.seek(self._at - start)
                count = file.readinto(memoryview(buffer)[: end - self._at])
                self._at += count
                return count
            start = end
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Turn the exceptions of the decoders and of the file system into one error that names the place."""
    try:
        yield
    except EarthReasonError:
        raise
    except (NotImplementedError, RuntimeError) as error:
        raise DataFormatError(
            f"{place}: packed by a method that is not supported here ({error}); unpack the archive yourself, for "
            "example with 7-Zip"
        ) from None
    except _BROKEN as error:
        raise DataFormatError(f"{place}: not a complete archive ({_reason(error)}); download it again") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise DataFormatError(
                f"{place}: the name is too long for this disk; unpack the archive yourself with shorter names"
            ) from None
        if error.errno is None:  # gzip's
            raise DataFormatError(f"{place}: not a complete archive ({error}); download it again") from None
        raise DataFormatError(f"{place}: cannot be unpacked ({error.strerror})") from None
    except ValueError as error:
        raise DataFormatError(f"{place}: cannot be unpacked ({_reason(error)}); unpack the archive yourself") from None


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

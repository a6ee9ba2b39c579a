"""Download the official release from the Hub into a folder, unpack it and record its revision and checksums."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.data.archives import extract_archives
from earthreason.data.checksums import RECORD, HubFile, read_record, recorded_folder, sha256_of
from earthreason.data.hub import download_files, list_files, resolve_commit
from earthreason.data.hub_errors import explain, may_use_cache
from earthreason.data.sources.release import Release, find_release
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import remove_unfinished, write_json

HUB_PAGE = "https://huggingface.co/datasets"
_ABANDONED = re.compile(r"\.[0-9a-f]{8}\.incomplete$")


@dataclass(frozen=True)
class Download:
    """Result of a download.

    Attributes:
        release: folder with train/, val/ and test/.
        revision: commit of the dataset repository.
        counts: number of samples, by split.
    """

    release: Path
    revision: str
    counts: dict[str, int]


def recorded_revision(folder: Path) -> str | None:
    """Return the commit that `download_release` recorded for a folder, or for its release; None without a record."""
    place = recorded_folder(folder)
    return None if place is None else read_record(place)["revision"]


def download_release(
    to: Path, repository: str, revision: str | None = None, token: str | bool | None = None
) -> Download:
    """Download a dataset repository into `to/hub`, unpack it into `to/release`, and write `to/download.json`.

    Complete files are not downloaded again. Every file is compared with the Hub's checksum, and a broken one is
    fetched again. Another revision replaces the unpacked files of the one before, and the archives that it lacks.

    Args:
        to: target folder; it is created if absent.
        repository: id of the dataset on the Hub.
        revision: commit, tag or branch; None is the newest commit.
        token: token of the Hub; None is the stored one, if there is one.

    Raises:
        DataNotFoundError: the Hub is unreachable or refuses; describes a manual download.
        DataFormatError: an archive is broken or unsafe, or files do not pair.
        EarthReasonError: `to` contains files that are of no download.
    """
    from filelock import FileLock

    try:
        commit = resolve_commit(repository, revision, token)
        files = list_files(repository, commit, token)
        to.mkdir(parents=True, exist_ok=True)
        with FileLock(to / ".download.lock"):
            return _update(to, repository, commit, files, token)
    except EarthReasonError:
        raise
    except Exception as error:  # the Hub client raises many kinds: offline, refused, not found, timed out
        by_hand = (
            f". Complete files are kept. Or download its zip files in a browser from {HUB_PAGE}/{repository} and unzip "
            "them into a folder of your own"
        )
        reason = explain(error, repository, revision) + (by_hand if may_use_cache(error) else "")
        raise DataNotFoundError(f"{repository} could not be fetched: {reason}") from error


def _update(to: Path, repository: str, commit: str, files: dict[str, HubFile], token: str | bool | None) -> Download:
    hub, unpacked = to / "hub", to / "release"
    before = read_record(to)
    if unpacked.is_dir() and not before:
        raise EarthReasonError(
            f"{unpacked} is there, but no {RECORD} says that a download made it; choose another folder or remove it"
        )
    _remove_old_files(hub, before.get("files", {}), files)
    sizes = {name: file.size for name, file in files.items()}
    # Until the new files are in place the record names the old revision, and then none, so that it is never wrong.
    record = {"repository": repository, "revision": None, **before, "files": {**before.get("files", {}), **sizes}}
    write_json(to / RECORD, record)
    for path in hub.rglob("*.incomplete"):  # of killed processes, under a name that the client never takes up
        if _ABANDONED.search(path.name):
            path.unlink()
    download_files(repository, commit, files, token, local_dir=hub)
    # A record without checksums is of a version that could note a new revision beside old files.
    trusted = "sha256" in before and (before["repository"], before["revision"]) == (repository, commit)
    if not trusted or not unpacked.is_dir():
        fresh = to / ".release-new"
        remove_unfinished(fresh)
        shutil.rmtree(fresh, ignore_errors=True)
        source = extract_archives(hub, fresh)
        write_json(to / RECORD, {**record, "revision": None})
        shutil.rmtree(unpacked, ignore_errors=True)
        if source == fresh:
            fresh.replace(unpacked)
    release = find_release(unpacked if unpacked.is_dir() else hub)
    counts = dict(Release(release).counts)
    facts: dict[str, Any] = {"repository": repository, "revision": commit, "files": sizes}
    checksums = {name: file.sha256 or sha256_of(hub / name) for name, file in files.items()}
    write_json(to / RECORD, {**facts, "sha256": checksums, "samples": counts})
    return Download(release, commit, counts)


def _remove_old_files(hub: Path, old: dict[str, int], files: dict[str, HubFile]) -> None:
    """Remove files of an earlier download that the new commit lacks; refuse files of anybody else."""
    paths = [path for path in hub.rglob("*") if path.is_file() and ".cache" not in path.relative_to(hub).parts]
    for path in paths:
        name = path.relative_to(hub).as_posix()
        if name in files:
            continue
        if name not in old:
            raise EarthReasonError(f"{path} is no file of the dataset; move it elsewhere, or it would be unpacked too")
        path.unlink()

"""Fetch one commit of a dataset repository from the Hub, check it by the Hub's checksums, and unpack it by commit."""

from __future__ import annotations

import json
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from earthreason.data.archives import extract_archives
from earthreason.data.checksums import HubFile, find_faults
from earthreason.data.hub_errors import explain, is_broken_transfer, may_use_cache
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import remove_unfinished, write_json, write_text
from earthreason.progress import without_spinner

_COMMIT = re.compile(r"[0-9a-f]{40}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadOptions:
    """Arguments of `load_dataset` that decide what is fetched and where it is kept.

    Attributes:
        revision: commit, tag or branch on the Hub; None is the newest commit.
        token: token of the Hub; True is the stored one, False none, None the stored one if there is one.
        cache_dir: folder for everything that loading writes; None is the cache of `datasets` and that of the Hub.
        download_mode: as in `datasets`: `reuse_dataset_if_exists`, `reuse_cache_if_exists` (prepares again) or
            `force_redownload` (downloads, unpacks and prepares again).
        local_files_only: whether to keep off the network.
    """

    revision: str | None = None
    token: str | bool | None = None
    cache_dir: Path | None = None
    download_mode: str = "reuse_dataset_if_exists"
    local_files_only: bool = False

    @property
    def prepares_again(self) -> bool:
        """Whether prepared data is made anew."""
        return self.download_mode != "reuse_dataset_if_exists"

    @property
    def downloads_again(self) -> bool:
        """Whether files are downloaded anew."""
        return self.download_mode == "force_redownload"


def resolve_commit(repository: str, revision: str | None, token: str | bool | None = None) -> str:
    """Return the commit that a revision names; any exception of the Hub client may be raised."""
    from huggingface_hub import HfApi, constants

    patience = constants.HF_HUB_ETAG_TIMEOUT  # older clients wait for ever without it
    return str(HfApi(token=token).dataset_info(repository, revision=revision, timeout=patience).sha)


def list_files(repository: str, commit: str, token: str | bool | None = None) -> dict[str, HubFile]:
    """Return the files of a commit by path; any exception of the Hub client may be raised."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    tree = HfApi(token=token).list_repo_tree(repository, recursive=True, revision=commit, repo_type="dataset")
    return {
        entry.path: HubFile(entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
        for entry in tree
        if isinstance(entry, RepoFile)
    }


@without_spinner()
def download_files(
    repository: str,
    commit: str,
    files: dict[str, HubFile],
    token: str | bool | None = None,
    again: bool = False,
    **where: Any,
) -> Path:
    """Download the files of a commit and fetch again, once, those that differ from the Hub's checksums.

    Args:
        repository: id of the dataset on the Hub.
        commit: commit of the repository.
        files: its files, of `list_files`.
        token: token of the Hub.
        again: whether to download files that are there already.
        **where: `cache_dir` or `local_dir` of `huggingface_hub.snapshot_download`.

    Raises:
        DataFormatError: a file differs from the Hub's checksum even after the second download.
    """
    from huggingface_hub import hf_hub_download, snapshot_download

    facts: dict[str, Any] = {"repo_type": "dataset", "revision": commit, "token": token, **where}
    try:
        folder = Path(snapshot_download(repository, force_download=again, **facts))
    except Exception as error:
        if not is_broken_transfer(error):
            raise
        _log.warning("a file of %s arrived incomplete; asking for it again", repository)
        folder = Path(snapshot_download(repository, force_download=again, **facts))
    faults = find_faults(folder, files)
    for name, fault in faults.items():
        _log.warning("%s of %s is broken (%s); downloading it again", name, repository, fault)
        hf_hub_download(repository, name, force_download=True, **facts)
    faults = find_faults(folder, {name: files[name] for name in faults})
    if faults:
        name, fault = next(iter(faults.items()))
        (folder / name).resolve().unlink(missing_ok=True)
        raise DataFormatError(
            f"{name} of {repository} is not what the Hub states, even after a second download ({fault}); a mirror or "
            "proxy may change it. Try again later or without HF_ENDPOINT"
        )
    return folder


def fetch_unpacked(repository: str, options: LoadOptions, root: Path) -> Path:
    """Return the unpacked files of a revision, and download and unpack them first if they are absent.

    Files are unpacked into a folder of their commit, so no revision sees the files of another. Of several processes one
    works and the others wait. A commit that is unpacked already is not looked for on the Hub.

    Args:
        repository: id of the dataset on the Hub.
        options: revision, token and caches.
        root: folder for unpacked commits.

    Raises:
        DataNotFoundError: the revision is neither on the Hub nor in a cache; says why.
        DataFormatError: an archive is broken or unsafe.
    """
    from filelock import FileLock

    place = root / f"datasets--{repository.replace('/', '--')}"
    # With a cache_dir, a complete copy in the user's Hub cache still spares the download.
    caches: list[Path | None] = [None] if options.cache_dir is None else [options.cache_dir / "hub", None]
    try:
        commit = _find_commit(repository, options, place, caches)
        release, record = place / commit / "release", place / commit / "files.json"
        if release.is_dir() and not options.downloads_again:
            return release
        release.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place / f"{commit}.lock"):
            if release.is_dir() and not options.downloads_again:
                return release
            archives = _find_archives(repository, commit, options, caches, record)
            remove_unfinished(release)
            if release.is_dir():
                shutil.rmtree(release)
            return extract_archives(archives, release)
    except EarthReasonError:
        raise
    except Exception as error:  # the Hub client raises many kinds: offline, refused, not found, timed out
        raise DataNotFoundError(
            f"{repository} could not be fetched: {explain(error, repository, options.revision)}"
        ) from error


def _find_commit(repository: str, options: LoadOptions, place: Path, caches: list[Path | None]) -> str:
    """Ask the Hub; without an answer, take the commit that the revision had when it was last loaded or downloaded."""
    revision = options.revision
    if revision and _COMMIT.fullmatch(revision) and (place / revision / "release").is_dir():
        return revision
    remembered = place / "refs" / quote(revision or "main", safe="")
    try:
        _refuse_network(options)
        commit = resolve_commit(repository, revision, options.token)
    except Exception as error:
        if not may_use_cache(error):
            raise
        known = remembered.read_text("utf-8") if remembered.is_file() else None
        if known is None and (copy := _find_copy(repository, revision, caches)):
            known = copy.name
        if known is None:
            raise
        _log.warning("using revision %s from the cache: %s", known[:12], explain(error, repository, revision))
        return known
    if not remembered.is_file() or remembered.read_text("utf-8") != commit:
        write_text(remembered, commit)
    return commit


def _refuse_network(options: LoadOptions) -> None:
    from huggingface_hub.errors import OfflineModeIsEnabled

    if options.local_files_only:
        raise OfflineModeIsEnabled("local_files_only is set")


def _find_copy(repository: str, revision: str | None, caches: list[Path | None]) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for cache in caches:
        try:
            facts: dict[str, Any] = {"repo_type": "dataset", "revision": revision, "cache_dir": cache}
            return Path(snapshot_download(repository, local_files_only=True, **facts))
        except LocalEntryNotFoundError:
            continue
    return None


def _find_archives(repository: str, commit: str, options: LoadOptions, caches: list[Path | None], record: Path) -> Path:
    """Return the folder with the files of a commit: a complete copy in a cache, or a download into the first cache."""
    copy = None if options.downloads_again else _find_copy(repository, commit, caches)
    try:
        _refuse_network(options)
        files = list_files(repository, commit, options.token)
        write_json(record, {name: vars(file) for name, file in files.items()})
    except Exception as error:
        if not may_use_cache(error) or copy is None:
            raise
        known = json.loads(record.read_text("utf-8")) if record.is_file() else {}
        faults = find_faults(copy, {name: HubFile(**facts) for name, facts in known.items()})
        if faults:  # an interrupted download
            raise
        return copy
    if copy is not None and not find_faults(copy, files):
        return copy
    return download_files(repository, commit, files, options.token, again=options.downloads_again, cache_dir=caches[0])

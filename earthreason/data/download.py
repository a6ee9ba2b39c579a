"""Download the official release from the Hub, unpack it and record its revision."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from earthreason.data.archives import extract_archives
from earthreason.data.sources.release import Release, find_release
from earthreason.errors import DataNotFoundError
from earthreason.files import write_json

RECORD = "download.json"


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
    for place in (folder, folder.parent):
        with suppress(OSError, ValueError, TypeError, KeyError):  # absent, or a file of the same name by others
            return str(json.loads((place / RECORD).read_text("utf-8"))["revision"])
    return None


def download_release(to: Path, repository: str, revision: str | None = None) -> Download:
    """Download a dataset repository into `to/hub`, unpack it into `to/release`, and write `to/download.json`.

    Existing files are not downloaded again, so an interrupted download continues.

    Args:
        to: target folder; it is created if absent.
        repository: id of the dataset on the Hub.
        revision: commit, tag or branch; None is the newest commit.

    Raises:
        DataNotFoundError: the Hub is unreachable or refuses; describes a manual download.
        DataFormatError: an archive is broken or unsafe, or files do not pair.
    """
    from huggingface_hub import HfApi, snapshot_download

    hub, unpacked = to / "hub", to / "release"
    try:
        commit = str(HfApi().dataset_info(repository, revision=revision).sha)
        snapshot_download(repository, repo_type="dataset", revision=commit, local_dir=hub)
    except Exception as error:  # the Hub client raises many kinds: offline, refused, not found, timed out
        reason = str(error).splitlines()[0] if str(error) else ""
        raise DataNotFoundError(
            f"{repository} could not be fetched ({type(error).__name__}: {reason}). Try again (files are kept), "
            "log in with `hf auth login` if it is private, set HF_ENDPOINT for a mirror, or download its zip files in "
            f"a browser from https://huggingface.co/datasets/{repository} and unzip them into {unpacked}"
        ) from error
    release = find_release(extract_archives(hub, unpacked))
    counts = dict(Release(release).counts)
    files = {
        path.relative_to(hub).as_posix(): path.stat().st_size
        for path in sorted(hub.rglob("*"))
        if path.is_file() and ".cache" not in path.parts
    }
    write_json(to / RECORD, {"repository": repository, "revision": commit, "files": files, "samples": counts})
    return Download(release, commit, counts)

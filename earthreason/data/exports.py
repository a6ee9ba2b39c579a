"""Export samples to other formats. Every format round-trips: `open_source` returns the same records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.hub_errors import explain, is_offline
from earthreason.data.omissions import LEFT_OUT, Omissions
from earthreason.data.origin import about_of_source
from earthreason.data.reader import Configured
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.data.sources.base import SampleSource, omissions_of
from earthreason.data.writers import WRITERS
from earthreason.data.writers.base import file_stem, suffix_of
from earthreason.data.writers.parquet import write_part
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken
from earthreason.shards import Shard

__all__ = ["FORMATS", "about_of", "export", "file_stem", "push_to_hub", "suffix_of"]
FORMATS = WRITERS
"""Functions that write a format, by its name."""
Progress = Callable[[int], object]


class _Tally:
    """A source that counts the records read from it."""

    def __init__(self, source: Source, progress: Progress) -> None:
        self.name, self.counts = source.name, source.counts
        self.read_by_split = dict.fromkeys(source.counts, 0)
        self._source, self._progress = source, progress

    @property
    def omissions(self) -> Omissions:
        return omissions_of(self._source)

    def read(self, split: str) -> Iterator[Record]:
        for record in self._source.read(split):
            self.read_by_split[split] += 1
            self._progress(1)
            yield record


def about_of(source: Source) -> About:
    """Return title, licence and origin of a source by the evidence that `about_of_source` describes."""
    if isinstance(source, Configured):
        return source.about
    return about_of_source(source, source.place if isinstance(source, SampleSource) else None)


def export(
    source: Source, form: str, out: Path, progress: Progress = lambda _: None, about: About | None = None
) -> dict[str, int]:
    """Export samples to a folder, which appears when it is complete.

    Every format gets `about.json` and `left_out.json`, the list of the samples that the source left out.

    Args:
        source: samples to export.
        form: name of the format: `parquet`, `hub`, `release`, `coco` or `webdataset`.
        out: folder to create; it must be absent or empty.
        progress: called with 1 after every sample.
        about: title, licence and origin for cards and metadata; `about_of(source)` by default.

    Returns:
        Number of samples written, by split.

    Raises:
        UnknownNameError: the format is unknown.
        DataFormatError: more samples are broken than the source tolerates.
        EarthReasonError: `out` is not empty, or a sample does not fit the format.
    """
    if form not in FORMATS:
        raise UnknownNameError("format", form, FORMATS)
    refuse_taken(out)
    about = about or about_of(source)
    tally = _Tally(source, progress)
    with atomic_path(out) as folder:
        FORMATS[form](tally, folder, about)
        about.write(folder)
        tally.omissions.write(folder / LEFT_OUT, source.counts)
    return tally.read_by_split


def export_part(
    source: Source, form: str, out: Path, shard: Shard, progress: Progress = lambda _: None, about: About | None = None
) -> dict[str, int]:
    """Export one part to a folder that `merge_parts` makes a dataset of; return the number of rows by split.

    Raises:
        EarthReasonError: the format has no parts, or `out` is not empty.
    """
    if form != "parquet":
        raise EarthReasonError(f"--shard is for --format parquet; {form} is written by one process")
    return write_part(source, out, about or about_of(source), shard, progress)


def check_push(repository: str) -> None:
    """Check before a long export that an upload can begin.

    Raises:
        EarthReasonError: the name is no repository id, the network is switched off, or there is no token.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise EarthReasonError(f"--push-to: {explain(error, repository)}") from None
    if is_offline():
        raise EarthReasonError("--push-to needs the network, which HF_HUB_OFFLINE forbids; unset it")
    if get_token() is None:
        raise EarthReasonError("--push-to needs a token of the Hub; log in with `hf auth login` or set HF_TOKEN")


def push_to_hub(folder: Path, repository: str, private: bool = False) -> str:
    """Upload an exported folder as a dataset repository and return its URL.

    Files of an earlier upload in the same folders of the repository are removed, so that no old rows stay among the new
    ones; other files, such as a licence, are kept.

    Raises:
        EarthReasonError: the Hub refuses the upload or is unreachable.
    """
    from huggingface_hub import HfApi

    stale = {f"{path.name}/*" if path.is_dir() else "*.tar" for path in folder.iterdir() if path.suffix in ("", ".tar")}
    try:
        api = HfApi()
        address = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=address.repo_id, repo_type="dataset", folder_path=folder, delete_patterns=sorted(stale)
        )
    except Exception as error:  # the Hub client raises many kinds: offline, refused, no token
        raise EarthReasonError(
            f"{repository} was not uploaded: {explain(error, repository)}. {folder} is complete; upload it later: "
            f"hf upload {repository} {folder} --repo-type dataset"
        ) from error
    return str(address)

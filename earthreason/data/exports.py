"""Export samples to other formats. Every format round-trips: `open_source` returns the same records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.omissions import LEFT_OUT, Omissions
from earthreason.data.origin import about_of_source
from earthreason.data.reader import Configured
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.data.sources.base import SampleSource, omissions_of
from earthreason.data.writers import WRITERS
from earthreason.data.writers.base import file_stem, suffix_of
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken

__all__ = ["FORMATS", "about_of", "export", "file_stem", "push_to_hub", "suffix_of"]
FORMATS = WRITERS
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
        form: name of the format: `parquet`, `release`, `coco` or `webdataset`.
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


def push_to_hub(folder: Path, repository: str, private: bool = False) -> str:
    """Upload an exported folder as a dataset repository and return its URL.

    Raises:
        EarthReasonError: the Hub refuses the upload or is unreachable.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        address = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type="dataset", folder_path=folder)
    except Exception as error:  # the Hub client raises many kinds: offline, refused, no token
        raise EarthReasonError(
            f"{repository} was not uploaded ({type(error).__name__}: {str(error).splitlines()[0]}); "
            f"{folder} is complete. Log in with `hf auth login` and upload it: "
            f"hf upload {repository} {folder} --repo-type dataset"
        ) from error
    return str(address)

"""The first samples of every split of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from earthreason.data.about import About
from earthreason.data.schema import Record
from earthreason.data.sources.base import SampleSource, Source


class _LimitedSamples(SampleSource):
    """The first samples of a source that reads sample by sample; broken ones among them are left out, as in it."""

    def __init__(self, source: SampleSource, count: int) -> None:
        super().__init__()
        self.name, self.place, self.tolerance = source.name, source.place, source.tolerance
        self._source, self._count = source, count
        self.counts = limited_counts(source.counts, count)

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        return islice(self._source.samples(split), self._count)


class _Limited:
    """The first records of another source, whose title and licence it has."""

    def __init__(self, source: Source, count: int) -> None:
        self.name, self._source, self._count = source.name, source, count
        self.counts = limited_counts(source.counts, count)
        self.place: Path | None = getattr(source, "place", None)
        self.about: About | None = getattr(source, "about", None)

    def read(self, split: str) -> Iterator[Record]:
        return islice(self._source.read(split), self._count)


def limited_counts(counts: Mapping[str, int], count: int) -> dict[str, int]:
    """Return the number of samples of each split, at most `count`."""
    return {split: min(number, count) for split, number in counts.items()}


def limit_samples(source: Source, count: int) -> Source:
    """Return a source with the first `count` samples of every split."""
    return _LimitedSamples(source, count) if isinstance(source, SampleSource) else _Limited(source, count)

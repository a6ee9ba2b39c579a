"""Some of the samples of a source, by their numbers, without reading the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from earthreason.data.schema import Record
from earthreason.data.sources.base import SampleSource, Source
from earthreason.shards import Shard


class _Range(SampleSource):
    """Neighbouring samples of a source; what is left out is added to the omissions of that source."""

    def __init__(self, source: SampleSource, numbers: range) -> None:
        super().__init__()
        self.name, self.counts, self.omissions = source.name, source.counts, source.omissions
        self.tolerance = None
        self._source, self._numbers = source, numbers

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        return islice(self._source.samples(split), self._numbers.start, self._numbers.stop)


def read_range(source: Source, split: str, numbers: range) -> Iterator[Record]:
    """Read the sound samples with these numbers, counted from 0 with those that are broken.

    Broken ones are added to the omissions of the source; whether there are too many is for the caller to decide.
    """
    if isinstance(source, SampleSource):
        return _Range(source, numbers).read(split)
    return islice(source.read(split), numbers.start, numbers.stop)


class PartOfSource:
    """One part of the samples of every split.

    Attributes:
        name: name of the format.
        counts: number of samples of the part, by split.
    """

    def __init__(self, source: Source, shard: Shard) -> None:
        self.name = source.name
        self._source = source
        self._numbers = {split: shard.items_of(count) for split, count in source.counts.items()}
        self.counts: Mapping[str, int] = {split: len(numbers) for split, numbers in self._numbers.items()}

    def read(self, split: str) -> Iterator[Record]:
        """Read the sound samples of the part of a split, in the order of the source."""
        return read_range(self._source, split, self._numbers[split])

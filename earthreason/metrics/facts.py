"""Facts about the samples of a split, in columns: what scores and breakdowns need when the masks are gone."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.metrics.references import Reference, hashed_parts
from earthreason.types import OPTIONAL_FACTS, RLE, OptionalFacts

_TEXTS = tuple(name for name in OPTIONAL_FACTS if name != "ground_resolution")
_UNKNOWN = float("nan")
_RECENT = 1 << 15
"""Ids that are looked up in a dictionary; it takes 10 times the memory of the columns of older ids."""
_NAMES: Any = np.dtypes.StringDType()


@dataclass(frozen=True)
class SampleFacts(OptionalFacts):
    """Facts about one sample; sides and area in pixels."""

    sample_id: str
    height: int
    width: int
    area: int
    question_count: int
    ignore: None = None

    @property
    def is_empty(self) -> bool:
        """Whether the mask has no foreground pixel."""
        return self.area == 0

    @property
    def segmentation(self) -> RLE:
        """Refuse to return the mask.

        Raises:
            EarthReasonError: always; a stream does not keep masks.
        """
        raise EarthReasonError(
            f"the mask of sample {self.sample_id!r} was not kept while streaming; score without streaming"
        )


class _Names:
    """Different texts, numbered in the order in which they were added."""

    def __init__(self) -> None:
        self._recent: dict[str, int] = {}
        self._older = np.empty(0, _NAMES)
        self._hashes = np.empty(0, np.int64)  # sorted
        self._numbers = np.empty(0, np.int32)  # of the text with each hash
        self._next = 0

    def __len__(self) -> int:
        return len(self._older) + len(self._recent)

    def __iter__(self) -> Iterator[str]:
        yield from self._older
        yield from self._recent

    def add(self, name: str) -> None:
        self._recent[name] = len(self)
        if len(self._recent) >= _RECENT:
            self.pack()

    def pack(self) -> np.ndarray:
        """Return all texts as an array, (n,) of `StringDType`, which holds short ones in 16 bytes."""
        if self._recent:
            added = list(self._recent)
            hashes = np.concatenate([self._hashes, np.fromiter(map(hash, added), np.int64, len(added))])
            numbers = np.concatenate([self._numbers, np.fromiter(self._recent.values(), np.int32, len(added))])
            order = np.argsort(hashes, kind="stable")
            self._hashes, self._numbers = hashes[order], numbers[order]
            self._older = np.concatenate([self._older, np.array(added, _NAMES)])
            self._recent = {}
        return self._older

    def find(self, name: object) -> int | None:
        """Return the number of a text; None if it was not added."""
        if (number := self._recent.get(name)) is not None:  # type: ignore[call-overload]
            return int(number)
        if self._next < len(self._older) and self._older[self._next] == name:  # most are asked for in order
            self._next += 1
            return self._next - 1
        wanted = hash(name)
        for place in range(int(np.searchsorted(self._hashes, wanted)), len(self._hashes)):
            if self._hashes[place] != wanted:
                break
            if self._older[number := int(self._numbers[place])] == name:
                self._next = number + 1
                return number
        return None


class FactTable(Mapping[str, SampleFacts]):
    """Facts by sample id, in the order of the split: about 60 bytes a sample, however large its masks are.

    Attributes:
        source: name of the ground truth in messages.
        config, split, revision: as in `References`.
    """

    def __init__(self, source: str, config: str | None = None, split: str | None = None) -> None:
        self.source, self.config, self.split, self.revision = source, config, split, None
        self.left_out: frozenset[str] = frozenset()
        self._names = _Names()
        self._sides = array("i")
        self._areas = array("q")
        self._questions = array("i")
        self._resolutions = array("d")
        self._codes = array("i")
        self._texts: dict[tuple[str | None, ...], int] = {}
        self._listed: list[tuple[str | None, ...]] = []
        self._digest: Any = hashlib.sha256()
        self._last = ""

    def add(self, reference: Reference) -> None:
        """Add the facts of the next sample.

        Raises:
            DataFormatError: there is a sample of this id already.
        """
        name = reference.sample_id
        if not (self.is_sorted and name > self._last) and name in self:
            raise DataFormatError(f"{self.source}: sample {name!r} appears twice; sample ids are unique")
        if name < self._last:
            self._digest = None  # the hash is that of sorted samples, and these are not
        if self._digest is not None:
            self._digest.update("".join(hashed_parts(reference)).encode())
        self._last = name
        self._names.add(name)
        self._sides.extend(reference.segmentation["size"])
        self._areas.append(reference.area)
        self._questions.append(reference.question_count)
        resolution = reference.ground_resolution
        self._resolutions.append(_UNKNOWN if resolution is None else resolution)
        texts = tuple(getattr(reference, column) for column in _TEXTS)
        self._codes.append(self._texts.setdefault(texts, len(self._texts)))

    @property
    def is_sorted(self) -> bool:
        """Whether the samples were added in the order of their ids."""
        return self._digest is not None

    def number(self, sample_id: str) -> int:
        """Return the place of a sample in the split, from 0.

        Raises:
            KeyError: there is no such sample.
        """
        found = self._names.find(sample_id)
        if found is None:
            raise KeyError(sample_id)
        return found

    def size_of(self, sample_id: str) -> tuple[int, int]:
        """Return (height, width) of an image in pixels.

        Raises:
            KeyError: there is no such sample.
        """
        number = self.number(sample_id)
        return self._sides[2 * number], self._sides[2 * number + 1]

    def names(self) -> np.ndarray:
        """Return all sample ids, (n,) of `numpy.dtypes.StringDType`."""
        return self._names.pack()

    def __getitem__(self, sample_id: str) -> SampleFacts:
        number = self.number(sample_id)
        height, width = self._sides[2 * number : 2 * number + 2]
        resolution = self._resolutions[number]
        if len(self._listed) < len(self._texts):
            self._listed = list(self._texts)
        texts: dict[str, Any] = dict(zip(_TEXTS, self._listed[self._codes[number]], strict=True))
        return SampleFacts(
            sample_id=sample_id,
            height=height,
            width=width,
            area=self._areas[number],
            question_count=self._questions[number],
            ground_resolution=None if resolution != resolution else resolution,
            **texts,
        )

    def __contains__(self, sample_id: object) -> bool:
        return self._names.find(sample_id) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def fingerprint(self) -> str | None:
        """Return the SHA-256 that `References.fingerprint` gives; None if the ids were not sorted."""
        return None if self._digest is None else self._digest.hexdigest()

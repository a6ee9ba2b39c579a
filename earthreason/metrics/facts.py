"""Facts about the samples of a split, in columns: what scores and breakdowns need when the masks are gone."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.metrics.blocks import BLOCK, NumberColumn
from earthreason.metrics.references import Reference, hashed_parts
from earthreason.types import OPTIONAL_FACTS, RLE, OptionalFacts

_TEXTS = tuple(name for name in OPTIONAL_FACTS if name != "ground_resolution")
_UNKNOWN = float("nan")
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
    """Different texts, numbered in the order in which they were added.

    Attributes:
        is_sorted: whether every text was larger than the one before.
    """

    def __init__(self) -> None:
        self.is_sorted = True
        self._recent: dict[str, int] = {}
        self._blocks: list[np.ndarray] = []  # older texts, `BLOCK` in each
        self._hashes = np.empty(0, np.int64)  # sorted; only of texts that are not
        self._numbers = np.empty(0, np.int32)  # of the text with each hash
        self._last = ""
        self._next = 0

    def __len__(self) -> int:
        return BLOCK * len(self._blocks) + len(self._recent)

    def __iter__(self) -> Iterator[str]:
        for block in self._blocks:
            yield from block
        yield from self._recent

    def add(self, name: str) -> None:
        self.is_sorted = self.is_sorted and (name > self._last or not len(self))
        self._last = name
        self._recent[name] = len(self)
        if len(self._recent) == BLOCK:
            self._blocks.append(np.array(list(self._recent), _NAMES))
            self._recent = {}

    def join(self) -> np.ndarray:
        """Return all texts as an array, (n,) of `StringDType`, which holds short ones in 16 bytes."""
        whole = BLOCK * len(self._blocks)
        joined = np.concatenate([*self._blocks, np.array(list(self._recent), _NAMES)])
        self._blocks = [joined[start : start + BLOCK] for start in range(0, whole, BLOCK)]  # the only copy
        return joined

    def find(self, name: str) -> int | None:
        """Return the number of a text; None if it was not added."""
        if self.is_sorted and name > self._last:
            return None
        if (number := self._recent.get(name)) is not None:
            return number
        if self._next < BLOCK * len(self._blocks) and self._older(self._next) == name:  # most are asked for in order
            number = self._next
        else:
            number = self._find_sorted(name) if self.is_sorted else self._find_hashed(name)
        if number is not None:
            self._next = number + 1
        return number

    def _older(self, number: int) -> str:
        text: str = self._blocks[number // BLOCK][number % BLOCK]
        return text

    def _find_sorted(self, name: str) -> int | None:
        place = bisect_left(range(BLOCK * len(self._blocks)), name, key=self._older)
        return place if place < BLOCK * len(self._blocks) and self._older(place) == name else None

    def _find_hashed(self, name: str) -> int | None:
        for block in self._blocks[len(self._hashes) // BLOCK :]:
            self._add_hashes(block)
        wanted = hash(name)
        for place in range(int(np.searchsorted(self._hashes, wanted)), len(self._hashes)):
            if self._hashes[place] != wanted:
                break
            if self._older(number := int(self._numbers[place])) == name:
                return number
        return None

    def _add_hashes(self, block: np.ndarray) -> None:
        hashes = np.concatenate([self._hashes, np.fromiter(map(hash, block), np.int64, len(block))])
        first = len(self._numbers)
        numbers = np.concatenate([self._numbers, np.arange(first, first + len(block), dtype=np.int32)])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._numbers = hashes[order], numbers[order]


class FactTable(Mapping[str, SampleFacts]):
    """Facts by sample id, in the order of the split: bytes a sample, however large its masks are.

    A short id takes 16 bytes, and 12 more if the ids are not sorted; a fact takes at most 8, and none where it is the
    same for thousands of samples in a row.

    Attributes:
        source: name of the ground truth in messages.
        config, split, revision: as in `References`.
    """

    def __init__(self, source: str, config: str | None = None, split: str | None = None) -> None:
        self.source, self.config, self.split, self.revision = source, config, split, None
        self.left_out: frozenset[str] = frozenset()
        self._names = _Names()
        self._heights, self._widths = NumberColumn(), NumberColumn()
        self._areas = NumberColumn()
        self._questions = NumberColumn()
        self._resolutions = NumberColumn()
        self._codes = NumberColumn()
        self._texts: dict[tuple[str | None, ...], int] = {}
        self._listed: list[tuple[str | None, ...]] = []
        self._digest: Any = hashlib.sha256()

    def add(self, reference: Reference) -> None:
        """Add the facts of the next sample.

        Raises:
            DataFormatError: there is a sample of this id already.
        """
        name = reference.sample_id
        if name in self:
            raise DataFormatError(f"{self.source}: sample {name!r} appears twice; sample ids are unique")
        self._names.add(name)
        if self.is_sorted:  # the hash is that of sorted samples
            self._digest.update("".join(hashed_parts(reference)).encode())
        self._heights.append(reference.height)
        self._widths.append(reference.width)
        self._areas.append(reference.area)
        self._questions.append(reference.question_count)
        resolution = reference.ground_resolution
        self._resolutions.append(_UNKNOWN if resolution is None else float(resolution))
        texts = tuple(getattr(reference, column) for column in _TEXTS)
        self._codes.append(self._texts.setdefault(texts, len(self._texts)))

    @property
    def is_sorted(self) -> bool:
        """Whether the samples were added in the order of their ids."""
        return self._names.is_sorted

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
        return int(self._heights[number]), int(self._widths[number])

    def names(self) -> np.ndarray:
        """Return all sample ids, (n,) of `numpy.dtypes.StringDType`."""
        return self._names.join()

    def __getitem__(self, sample_id: str) -> SampleFacts:
        number = self.number(sample_id)
        resolution = self._resolutions[number]
        if len(self._listed) < len(self._texts):
            self._listed = list(self._texts)
        texts: dict[str, Any] = dict(zip(_TEXTS, self._listed[int(self._codes[number])], strict=True))
        return SampleFacts(
            sample_id=sample_id,
            height=int(self._heights[number]),
            width=int(self._widths[number]),
            area=int(self._areas[number]),
            question_count=int(self._questions[number]),
            ground_resolution=None if resolution != resolution else resolution,
            **texts,
        )

    def __contains__(self, sample_id: object) -> bool:
        return isinstance(sample_id, str) and self._names.find(sample_id) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def fingerprint(self) -> str | None:
        """Return the SHA-256 that `References.fingerprint` gives; None if the ids were not sorted."""
        return self._digest.hexdigest() if self.is_sorted else None

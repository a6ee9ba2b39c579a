"""Facts about the samples of a split, in columns: what scores and breakdowns need when the masks are gone."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.metrics.references import Reference, hashed_parts
from earthreason.types import OPTIONAL_FACTS, RLE, OptionalFacts

_TEXTS = tuple(name for name in OPTIONAL_FACTS if name != "ground_resolution")
_UNKNOWN = float("nan")


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


class FactTable(Mapping[str, SampleFacts]):
    """Facts by sample id, in the order of the split: about 150 bytes a sample, however large its masks are.

    Attributes:
        source: name of the ground truth in messages.
        config, split, revision: as in `References`.
    """

    def __init__(self, source: str, config: str | None = None, split: str | None = None) -> None:
        self.source, self.config, self.split, self.revision = source, config, split, None
        self.left_out: frozenset[str] = frozenset()
        self._numbers: dict[str, int] = {}
        self._sides = array("i")
        self._areas = array("q")
        self._questions = array("i")
        self._resolutions = array("d")
        self._codes = {name: array("i") for name in _TEXTS}
        self._words: dict[str | None, int] = {None: 0}
        self._listed: list[str | None] = []
        self._digest: Any = hashlib.sha256()
        self._last = ""

    def add(self, reference: Reference) -> None:
        """Add the facts of the next sample.

        Raises:
            DataFormatError: there is a sample of this id already.
        """
        name = reference.sample_id
        if name in self._numbers:
            raise DataFormatError(f"{self.source}: sample {name!r} appears twice; sample ids are unique")
        self._numbers[name] = len(self._numbers)
        self._sides.extend(reference.segmentation["size"])
        self._areas.append(reference.area)
        self._questions.append(reference.question_count)
        resolution = reference.ground_resolution
        self._resolutions.append(_UNKNOWN if resolution is None else resolution)
        for column, codes in self._codes.items():
            codes.append(self._words.setdefault(getattr(reference, column), len(self._words)))
        if name < self._last:
            self._digest = None  # the hash is that of sorted samples, and these are not
        if self._digest is not None:
            self._digest.update("".join(hashed_parts(reference)).encode())
        self._last = name

    def __getitem__(self, sample_id: str) -> SampleFacts:
        number = self._numbers[sample_id]
        resolution = self._resolutions[number]
        texts: dict[str, Any] = {name: self._vocabulary[codes[number]] for name, codes in self._codes.items()}
        return SampleFacts(
            sample_id=sample_id,
            height=self._sides[2 * number],
            width=self._sides[2 * number + 1],
            area=self._areas[number],
            question_count=self._questions[number],
            ground_resolution=None if resolution != resolution else resolution,
            **texts,
        )

    @property
    def _vocabulary(self) -> list[str | None]:
        if len(self._listed) < len(self._words):
            self._listed = list(self._words)
        return self._listed

    def __contains__(self, sample_id: object) -> bool:
        return sample_id in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def fingerprint(self) -> str | None:
        """Return the SHA-256 that `References.fingerprint` gives; None if the ids were not sorted."""
        return None if self._digest is None else self._digest.hexdigest()

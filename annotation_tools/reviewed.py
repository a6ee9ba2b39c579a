"""Apply a review to its samples: omit rejected questions, replace edited ones."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from earthreason.data.pictures import mask_of
from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.plurals import count_of
from earthreason.questions.settlement import SettledSample, left_out

SampleKey = tuple[str, str]
"""Split and ID of a sample; an ID alone may occur in several splits."""
_LISTED = 5


@dataclass(frozen=True)
class JudgedSample:
    """A sample as reviewers saw it, and its settled questions.

    Attributes:
        questions: questions shown, in order.
        mask: `mask_hash` of the mask shown.
        settled: questions after all verdicts.
    """

    questions: list[str]
    mask: str
    settled: SettledSample


@dataclass(frozen=True)
class ReviewOutcome:
    """The outcome of a review.

    Attributes:
        judged: samples with a decided question.
        samples: all samples in the review.
    """

    judged: dict[SampleKey, JudgedSample]
    samples: frozenset[SampleKey]

    def find(self, split: str, sample_id: str) -> SampleKey | None:
        """Return the sample of the review with this split and ID, or the only one with this ID: splits may change."""
        if (split, sample_id) in self.samples:
            return split, sample_id
        splits = self._splits.get(sample_id, [])
        return (splits[0], sample_id) if len(splits) == 1 else None

    @cached_property
    def _splits(self) -> dict[str, list[str]]:
        splits: dict[str, list[str]] = defaultdict(list)
        for split, sample_id in self.samples:
            splits[sample_id].append(split)
        return splits


def mask_hash(content: bytes, path: Path) -> str:
    """Hash the pixels of a mask; files that encode the same pixels have the same hash.

    Args:
        content: bytes of a PNG.
        path: file name for error messages.

    Raises:
        DataFormatError: the content is not a mask; the message names the path.
    """
    return hashlib.sha256(repr(encode_mask(mask_of(content, path))).encode()).hexdigest()[:16]


class ReviewedSamples:
    """The samples of a source with the questions that remain after a review.

    Attributes:
        counts: number of remaining samples by split.
        names: their IDs.
        left_out: samples and questions left out because of the review.
        questions: number of remaining questions.
        undecided: number of questions that nobody has judged, or everybody as unsure. They remain, unless only reviewed
            ones are asked for.
        redrawn: samples left out because their mask was sent back and drawn again, so that the verdicts are about an
            earlier one.
    """

    name = "reviewed"

    def __init__(
        self,
        source: Source,
        outcome: ReviewOutcome,
        only_reviewed: bool = False,
        sent_back: Collection[str] = (),
    ) -> None:
        """Check that the samples are those that were reviewed.

        Args:
            source: samples.
            outcome: outcome of their review.
            only_reviewed: leave out questions that are undecided, and samples without others.
            sent_back: samples whose masks were sent back to be drawn again; they may have another mask than was judged.

        Raises:
            EarthReasonError: the review has none of the samples, a sample has other questions or another mask than
                were judged, or no question remains.
        """
        self._source, self._outcome, self._only_reviewed = source, outcome, only_reviewed
        self.redrawn: list[str] = []
        self.names: set[str] = set()
        self.counts: dict[str, int] = {}
        self.questions = self.undecided = 0
        known, changed = False, list[str]()
        for split in source.counts:
            kept = 0
            for record in source.read(split):
                known |= outcome.find(split, record.sample_id) is not None
                judged = self._judged(split, record)
                if record.sample_id in sent_back and judged is not None and _has_other_mask(record, judged):
                    self.redrawn.append(record.sample_id)
                    continue
                remaining = self._remaining(record, judged)
                kept += bool(remaining)
                self.names |= {record.sample_id} if remaining else set()
                self.questions += sum(map(bool, remaining))
                self.undecided += _undecided(record, judged)
                changed += _changes(record, judged)
            self.counts |= {split: kept} if kept else {}
        again = {outcome.find(split, name) for split in source.counts for name in self.redrawn}
        judgements = {sample: judged.settled for sample, judged in outcome.judged.items() if sample not in again}
        self.left_out = left_out(judgements)
        if not known:
            raise EarthReasonError("the review has none of these samples")
        if changed:
            raise EarthReasonError(
                f"{count_of(len(changed), 'sample has', 'samples have')} changed since the review: "
                f"{'; '.join(changed[:_LISTED])}"
                f"{'; ...' if len(changed) > _LISTED else ''}. Create a new review, or omit --reviews"
            )
        if not self.counts:
            raise EarthReasonError("no question remains after the review; nothing to write")

    def read(self, split: str) -> Iterator[Record]:
        """Yield the records of a split with their remaining questions."""
        for record in self._source.read(split):
            if record.sample_id in self.redrawn:
                continue
            remaining = self._remaining(record, self._judged(split, record))
            if remaining:
                yield replace(record, questions=remaining)

    def _remaining(self, record: Record, judged: JudgedSample | None) -> list[str]:
        if judged is None:
            return [] if self._only_reviewed else record.questions
        decided = [question for question in judged.settled.questions if question.outcome == "kept"]
        return [question.text for question in decided] if self._only_reviewed else judged.settled.texts

    def _judged(self, split: str, record: Record) -> JudgedSample | None:
        sample = self._outcome.find(split, record.sample_id)
        return None if sample is None else self._outcome.judged.get(sample)


def _undecided(record: Record, judged: JudgedSample | None) -> int:
    if judged is None:
        return len([question for question in record.questions if question])
    return sum(question.outcome == "open" for question in judged.settled.questions)


def _changes(record: Record, judged: JudgedSample | None) -> list[str]:
    """Say how a sample differs from what was judged; return an empty list if it does not, or was not judged."""
    if judged is None:
        return []
    if record.questions != judged.questions:
        return [f"{record.sample_id!r} has other questions"]
    return [f"{record.sample_id!r} has another mask"] if _has_other_mask(record, judged) else []


def _has_other_mask(record: Record, judged: JudgedSample) -> bool:
    return mask_hash(record.mask, Path(record.sample_id)) != judged.mask

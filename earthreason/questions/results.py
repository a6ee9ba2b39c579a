"""A finished run as a source of samples, with its reviews settled."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import read_text, refuse_existing, write_text
from earthreason.masks.png import encode_mask_png
from earthreason.questions.ledger import Ledger, SampleKey
from earthreason.questions.settlement import PersonVerdict, SettledSample, left_out, parse_time, settle_sample
from earthreason.questions.trail import digest_pixels
from earthreason.questions.types import ANSWERS, Generated

_OF_THE_IMAGE = ("place",)
"""Keys of `extra` that are about the image and not about its target."""
_LOOKED = "absent_concept_was_looked_for"
_OF_THE_RECIPE = frozenset(("recipe", "language", _LOOKED))
Verdicts = dict[SampleKey, dict[str, list[PersonVerdict]]]
"""Verdicts by sample and the text of the question that they judged."""


class Regenerated:
    """The samples of a source with the questions of a run, after its reviews are settled (see `settlement`).

    Attributes:
        counts: number of exported samples by split, without quarantined and unfinished ones.
        count: number of all samples to export; the source may have lost some of them.
        left_out: samples and questions left out because of their reviews.
    """

    name = "regenerated"

    def __init__(self, source: Source, ledger: Ledger) -> None:
        """Settle the reviews of a run.

        Raises:
            EarthReasonError: no sample is finished, reviewers left no question to export, or the source has none of
                the samples.
        """
        self._source, self._recipe = source, ledger.recipe
        self._told = _told_of_recipe(ledger)
        done, settled = settled_results(ledger)
        self.left_out = left_out(settled)
        self._results = {(split, result.sample_id): result for split, result in done}
        self.count = len(done)
        splits = Counter(split for split, _ in done)
        self.counts = {split: splits[split] for split in source.counts if splits[split]}
        if not self.counts:
            raise EarthReasonError(f"{ledger.path}: {source.name} has none of the finished samples any more")

    def read(self, split: str) -> Iterator[Record]:
        """Yield the records of a split with their new questions and answers; `extra` gets the provenance.

        Raises:
            EarthReasonError: a sample has another image or mask than the one the questions are about.
        """
        for record in self._source.read(split):
            result = self._results.get((split, record.sample_id))
            if result is None:
                continue
            require_same_pixels(split, record, result)
            yield self._regenerate(record, result)

    def _regenerate(self, record: Record, result: Generated) -> Record:
        generated = {
            "recipe": self._recipe,
            "language": self._told["language"],
            "target": result.target or None,
            "questions": result.origins,
            "answers": result.answer_origins,
            "calls": result.provenance,
        }
        if result.concept is not None:
            record = emptied(record)
            generated |= {_LOOKED: self._told[_LOOKED]}
        extra = {**(json.loads(record.extra) if record.extra else {}), "generated": generated}
        if result.concept is not None:
            extra["absent_concept"] = result.concept
        return replace(
            record,
            questions=result.questions,
            answers=[] if record.is_empty else result.answers[:ANSWERS],
            reasoning_type=None if record.is_empty else _common_type(result.origins),
            unseen=None,  # it was about the former questions
            extra=json.dumps(extra, sort_keys=True),
        )


def emptied(record: Record) -> Record:
    """Return a record without its target and all that its source says of it; of `extra`, only the place stays."""
    nothing = encode_mask_png(np.zeros((record.height, record.width), bool))
    extra = json.loads(record.extra) if record.extra else {}
    kept = {name: extra[name] for name in _OF_THE_IMAGE if name in extra}
    return replace(
        record,
        mask=nothing,
        is_empty=True,
        answers=[],
        category=None,
        reasoning_type=None,
        unseen=None,
        ignore=None,
        targets=None,
        extra=json.dumps(kept, sort_keys=True) if kept else None,
    )


def _common_type(origins: Iterable[dict[str, Any]]) -> str | None:
    """Return the kind of reasoning that all questions need; None if they differ, or runs of version 1 do not say."""
    types = {origin.get("reasoning_type") for origin in origins}
    return types.pop() if len(types) == 1 else None


def require_same_pixels(split: str, record: Record, result: Generated) -> None:
    """Check that questions are about the image and mask of a record, as far as a run says.

    Raises:
        EarthReasonError: they are about others.
    """
    if result.pixels not in ("", digest_pixels(record)):
        raise EarthReasonError(
            f"{split} {record.sample_id}: the questions of the run are about another image or mask; the source has "
            "changed, so continue the run with `earthreason questions generate` first"
        )


def settled_results(ledger: Ledger) -> tuple[list[tuple[str, Generated]], dict[SampleKey, SettledSample]]:
    """Settle the reviews of all finished samples.

    Returns:
        The split and result of every sample to export, with the questions to export, each text once; and every settled
        sample.

    Raises:
        EarthReasonError: no sample is finished, or reviewers left no question to export.
    """
    verdicts = verdicts_of(ledger)
    kept: list[tuple[str, Generated]] = []
    settled: dict[SampleKey, SettledSample] = {}
    for split, result in ledger.results():
        if result.status != "done":
            continue
        about = verdicts.get((split, result.sample_id), {})
        by_number = {number: about.get(question, []) for number, question in enumerate(result.questions)}
        sample = settle_sample(result.questions, by_number)
        settled[split, result.sample_id] = sample
        if sample.texts:
            origins = dict(zip(sample.texts, _origins(result, sample), strict=True))
            kept.append((split, replace(result, questions=list(origins), origins=list(origins.values()))))
    if not settled:
        raise EarthReasonError(f"{ledger.path}: no sample is finished; see `earthreason questions status`")
    if not kept:
        raise EarthReasonError(f"{ledger.path}: reviewers left no question; there is nothing to export")
    return kept, settled


def _told_of_recipe(ledger: Ledger) -> dict[str, Any]:
    settings = ledger.stored_recipe() or {}
    return {"language": settings.get("language", "English/en"), _LOOKED: bool(settings.get("images", True))}


def verdicts_of(ledger: Ledger) -> Verdicts:
    """Return the verdicts of a run."""
    verdicts: Verdicts = defaultdict(lambda: defaultdict(list))
    for review in ledger.reviews():
        verdict = PersonVerdict(review.reviewer, parse_time(review.saved), review.verdict, review.text)
        verdicts[review.split, review.sample_id][review.question].append(verdict)
    return verdicts


def _origins(result: Generated, sample: SettledSample) -> list[dict[str, Any]]:
    """Return the origins of the questions to export; an edited one says so, and keeps the generated text."""
    known = {origin["question"]: origin for origin in result.origins}
    origins = []
    for question, settled in zip(result.questions, sample.questions, strict=True):
        if settled.is_exported:
            edited = {} if settled.text == question else {"edited": settled.text}
            origins.append(known.get(question, {"question": question}) | edited)
    return origins


def write_results(ledger: Ledger, path: Path) -> dict[SampleKey, SettledSample]:
    """Write the questions to export as JSON lines, without pictures, for `read_results`; return what was settled.

    Raises:
        EarthReasonError: the file exists, no sample is finished, or reviewers left no question to export.
    """
    refuse_existing(path)
    results, settled = settled_results(ledger)
    told, rows = _told_of_recipe(ledger), []
    for split, result in results:
        about = {name: value for name, value in told.items() if name != _LOOKED or result.concept is not None}
        rows.append({"split": split, "recipe": ledger.recipe, **about, **vars(result)})
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return settled


def read_results(path: Path) -> Iterator[tuple[str, Generated]]:
    """Yield the split and result of every line that `write_results` wrote.

    Raises:
        DataFormatError: a line is no result.
    """
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            try:
                row = json.loads(line)
                yield row.pop("split"), Generated(**{name: row[name] for name in row.keys() - _OF_THE_RECIPE})
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataFormatError(f"{path} line {number}: not a result of a run ({error})") from None


def _lines(path: Path) -> Iterable[str]:
    return read_text(path).split("\n")  # not splitlines: texts may have other separators

"""A finished run as a source of samples, and the review of its questions by people."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.schema import Record, encode_mask_png
from earthreason.data.sources import Source
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import write_text
from earthreason.questions.ledger import Ledger
from earthreason.questions.types import ANSWERS, Generated

VERDICTS = ("accept", "edit", "reject", "unsure")


class Regenerated:
    """The samples of a source with the questions of a run; quarantined and unfinished samples are left out.

    Where a person reviewed a question, rejected ones are dropped and edited ones replaced.
    """

    name = "regenerated"

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        done = [(split, result) for split, result in ledger.results() if result.status == "done"]
        self._results = {result.sample_id: result for _, result in done}
        self._reviews = _latest_reviews(ledger)
        splits = Counter(split for split, _ in done)
        self.counts = {split: splits[split] for split in source.counts if splits[split]}
        if not self.counts:
            raise EarthReasonError(f"{ledger.path}: no sample is finished; `earthreason questions status` tells more")

    def read(self, split: str) -> Iterator[Record]:
        """Records with their new texts; provenance stands in `extra`."""
        for record in self._source.read(split):
            result = self._results.get(record.sample_id)
            if result is not None:
                yield self._rewritten(record, result)

    def _rewritten(self, record: Record, result: Generated) -> Record:
        extra = json.loads(record.extra) if record.extra else {}
        extra["generated"] = result.provenance
        questions = self._reviewed(result)
        if result.concept is None:
            texts = json.dumps(extra, sort_keys=True)
            return replace(record, questions=questions, answers=result.answers[:ANSWERS], extra=texts)
        extra["absent_concept"] = result.concept
        nothing = encode_mask_png(np.zeros((record.height, record.width), bool))
        return replace(
            record,
            questions=questions,
            answers=[],
            mask=nothing,
            is_empty=True,
            category=None,
            extra=json.dumps(extra, sort_keys=True),
        )

    def _reviewed(self, result: Generated) -> list[str]:
        kept = []
        for number, question in enumerate(result.questions):
            verdict, text = self._reviews.get((result.sample_id, number), ("accept", question))
            if verdict != "reject":
                kept.append(text if verdict == "edit" else question)
        return kept or result.questions[:1]


def _latest_reviews(ledger: Ledger) -> dict[tuple[str, int], tuple[str, str]]:
    """Verdict and text by sample and question; one rejection outweighs acceptances."""
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for sample_id, number, verdict, text, _, _ in ledger.reviews():
        key = sample_id, number
        if found.get(key, ("",))[0] != "reject" and verdict != "unsure":
            found[key] = verdict, text
    return found


def write_review(ledger: Ledger, path: Path) -> int:
    """Write every generated question as a line to be reviewed; returns how many.

    Lines have `sample_id`, `number`, `question`, `answers`, `verdict` (empty), `text`, `reason`, `reviewer`.
    """
    lines = []
    for split, result in ledger.results():
        for number, question in enumerate(result.questions):
            lines.append(
                json.dumps(
                    {
                        "sample_id": result.sample_id,
                        "split": split,
                        "number": number,
                        "question": question,
                        "answers": result.answers,
                        "concept": result.concept,
                        "status": result.status,
                        "verdict": "",
                        "text": "",
                        "reason": "",
                        "reviewer": "",
                    },
                    ensure_ascii=False,
                )
            )
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def read_review(ledger: Ledger, path: Path) -> Counter[str]:
    """Take reviewed lines in; returns verdicts and how often. Lines without a verdict are skipped.

    Raises:
        DataFormatError: a line is not one of `write_review`, or its verdict is unknown; nothing is taken in then.
    """
    known = {result.sample_id: result for _, result in ledger.results()}
    taken = []
    for place, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry: dict[str, Any] = json.loads(line)
            sample_id, number, verdict = entry["sample_id"], int(entry["number"]), str(entry.get("verdict") or "")
        except (ValueError, KeyError, TypeError) as error:
            raise DataFormatError(f"{path} line {place}: not a review line ({error})") from None
        if not verdict:
            continue
        if verdict not in VERDICTS:
            raise DataFormatError(f"{path} line {place}: verdict {verdict!r}; known: {', '.join(VERDICTS)}")
        if sample_id not in known or not 0 <= number < len(known[sample_id].questions):
            raise DataFormatError(f"{path} line {place}: the run has no question {number} about {sample_id!r}")
        text = str(entry.get("text") or "")
        if verdict == "edit" and not text.strip():
            raise DataFormatError(f"{path} line {place}: verdict 'edit' needs the new text in 'text'")
        reason, reviewer = str(entry.get("reason") or ""), str(entry.get("reviewer") or "")
        taken.append((sample_id, number, verdict, text, reason, reviewer))
    for row in taken:
        ledger.review(*row)
    return Counter(row[2] for row in taken)


def acceptance(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Share of reviewed questions that were accepted as they are, by stage, model and prompt version."""
    behind = {result.sample_id: result.provenance for _, result in ledger.results()}
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for sample_id, _, verdict, _, _, _ in ledger.reviews():
        for call in behind.get(sample_id, []):
            verdicts[f"{call['stage']} {call['model']} {call['prompt']}"][verdict] += 1
    return {
        name: {"reviewed": sum(counts.values()), "accepted": counts["accept"] / sum(counts.values())}
        for name, counts in sorted(verdicts.items())
    }

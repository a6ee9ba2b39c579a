"""A finished run as a source of samples, and the exchange of review files."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.schema import Record
from earthreason.data.sources import Source
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import write_text
from earthreason.masks.png import encode_mask_png
from earthreason.questions.ledger import KeptReview, Ledger, now
from earthreason.questions.settlement import VERDICTS, PersonVerdict, SettledSample, left_out, parse_time, settle_sample
from earthreason.questions.types import ANSWERS, Generated


class Regenerated:
    """The samples of a source with the questions of a run, after its reviews are settled (see `settlement`).

    Attributes:
        counts: number of exported samples by split, without quarantined and unfinished ones.
        left_out: samples and questions left out because of their reviews.
    """

    name = "regenerated"

    def __init__(self, source: Source, ledger: Ledger) -> None:
        """Settle the reviews of a run.

        Raises:
            EarthReasonError: no sample is finished, or reviewers left no question to export.
        """
        self._source = source
        done, settled = settled_results(ledger)
        self.left_out = left_out(settled)
        self._results = {result.sample_id: result for _, result in done}
        splits = Counter(split for split, _ in done)
        self.counts = {split: splits[split] for split in source.counts if splits[split]}
        if settled and not done:
            raise EarthReasonError(f"{ledger.path}: reviewers left no question; there is nothing to export")
        if not self.counts:
            raise EarthReasonError(f"{ledger.path}: no sample is finished; see `earthreason questions status`")

    def read(self, split: str) -> Iterator[Record]:
        """Yield the records of a split with their new questions and answers; `extra` gets the provenance."""
        for record in self._source.read(split):
            result = self._results.get(record.sample_id)
            if result is None:
                continue
            extra = json.loads(record.extra) if record.extra else {}
            extra["generated"] = result.provenance
            answers = result.answers[:ANSWERS]
            if result.concept is not None:
                extra["absent_concept"], answers = result.concept, []
                nothing = encode_mask_png(np.zeros((record.height, record.width), bool))
                record = replace(record, mask=nothing, is_empty=True, category=None)
            texts = json.dumps(extra, sort_keys=True)
            yield replace(record, questions=result.questions, answers=answers, extra=texts)


def settled_results(ledger: Ledger) -> tuple[list[tuple[str, Generated]], dict[str, SettledSample]]:
    """Settle the reviews of all finished samples.

    Returns:
        The split and result of every sample to export, with the questions to export; and every settled sample, by id.
    """
    verdicts: dict[str, dict[int, list[PersonVerdict]]] = defaultdict(lambda: defaultdict(list))
    for review in ledger.reviews():
        verdict = PersonVerdict(review.reviewer, parse_time(review.saved), review.verdict, review.text)
        verdicts[review.sample_id][review.number].append(verdict)
    kept: list[tuple[str, Generated]] = []
    settled: dict[str, SettledSample] = {}
    for split, result in ledger.results():
        if result.status != "done":
            continue
        sample = settle_sample(result.questions, verdicts.get(result.sample_id, {}))
        settled[result.sample_id] = sample
        if sample.outcome in ("open", "kept"):
            kept.append((split, replace(result, questions=sample.texts)))
    return kept, settled


def write_review(ledger: Ledger, path: Path) -> int:
    """Write each generated question as a line that reviewers fill in; return the number of lines.

    Reviewers fill in `verdict`, `text` (for an edit), `reason` and `reviewer`, and may add the time as `saved`.
    """
    lines = []
    for split, result in ledger.results():
        about = {"answers": result.answers, "concept": result.concept, "status": result.status}
        for number, question in enumerate(result.questions):
            shown = {"sample_id": result.sample_id, "split": split, "number": number, "question": question, **about}
            lines.append(shown | dict.fromkeys(("verdict", "text", "reason", "reviewer"), ""))
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return len(lines)


def read_review(ledger: Ledger, path: Path) -> Counter[str]:
    """Read reviewed lines into the ledger; return the number of each verdict. Lines without a verdict are skipped.

    A line may give the time of its verdict as `saved` (ISO 8601); it defaults to the time of reading.

    Raises:
        DataFormatError: a line does not come from `write_review`, or its verdict or time is invalid. Then the ledger
            stays as it was.
    """
    known = {result.sample_id: result for _, result in ledger.results()}
    taken: list[KeptReview] = []
    read = now()
    for place, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry: dict[str, Any] = json.loads(line)
            sample_id, number, verdict = entry["sample_id"], int(entry["number"]), entry.get("verdict")
        except (ValueError, KeyError, TypeError) as error:
            raise DataFormatError(f"{path} line {place}: not a review line ({error})") from None
        if not verdict:
            continue
        if verdict not in VERDICTS:
            raise DataFormatError(f"{path} line {place}: verdict {verdict!r}; known: {', '.join(VERDICTS)}")
        if sample_id not in known or not 0 <= number < len(known[sample_id].questions):
            raise DataFormatError(f"{path} line {place}: the run has no question {number} about {sample_id!r}")
        text, reason, reviewer = (str(entry.get(name) or "") for name in ("text", "reason", "reviewer"))
        if verdict == "edit" and not text.strip():
            raise DataFormatError(f"{path} line {place}: verdict 'edit' needs the new text in 'text'")
        try:
            moment = parse_time(str(entry.get("saved") or read))
        except ValueError as error:
            raise DataFormatError(f"{path} line {place}: 'saved' is not a time ({error})") from None
        saved = moment.astimezone(UTC).isoformat(timespec="milliseconds")  # so that texts sort like times
        taken.append(KeptReview(sample_id, number, verdict, text, reason, reviewer, saved))
    for review in taken:
        ledger.review(review)
    return Counter(review.verdict for review in taken)


def acceptance(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Count the verdicts and the share of accepts by stage, model and prompt version."""
    provenance = {result.sample_id: result.provenance for _, result in ledger.results()}
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for review in ledger.reviews():
        for call in provenance.get(review.sample_id, []):
            verdicts[f"{call['stage']} {call['model']} {call['prompt']}"][review.verdict] += 1
    return {
        name: {"reviewed": sum(counts.values()), "accepted": counts["accept"] / sum(counts.values())}
        for name, counts in sorted(verdicts.items())
    }

"""The exchange of review files: questions go out, verdicts come in and stay with the text that they judged."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

from earthreason.errors import DataFormatError
from earthreason.files import read_text, refuse_existing, write_text
from earthreason.questions.ledger import KeptReview, Ledger, SampleKey, now
from earthreason.questions.settlement import VERDICTS, parse_time
from earthreason.questions.types import Generated


class ReviewsRead(NamedTuple):
    """What a review file held: the number of each verdict, and of those on texts that the run no longer has."""

    verdicts: Counter[str]
    replaced: int


def write_review(ledger: Ledger, path: Path) -> int:
    """Write each generated question as a line that reviewers fill in; return the number of lines.

    Reviewers fill in `verdict`, `text` (for an edit), `reason` and `reviewer`, and may add the time as `saved`.

    Raises:
        EarthReasonError: the file exists; reviewers may have filled it in.
    """
    refuse_existing(path)
    lines = []
    for split, result in ledger.results():
        about = {"answers": result.answers, "concept": result.concept, "status": result.status}
        for number, question in enumerate(result.questions):
            shown = {"sample_id": result.sample_id, "split": split, "number": number, "question": question, **about}
            lines.append(shown | dict.fromkeys(("verdict", "text", "reason", "reviewer"), ""))
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return len(lines)


def read_review(ledger: Ledger, path: Path) -> ReviewsRead:
    """Read reviewed lines into the ledger. Lines without a verdict are skipped.

    A verdict belongs to the text in `question`; a line without it is about the question that has its number now. A line
    may give the time of its verdict as `saved` (ISO 8601); it defaults to the time of reading.

    Raises:
        DataFormatError: a line does not come from `write_review`, or its verdict or time is invalid. Then the ledger
            stays as it was.
    """
    known = {(split, result.sample_id): result.questions for split, result in ledger.results()}
    splits: dict[str, list[str]] = defaultdict(list)
    for split, sample_id in known:
        splits[sample_id].append(split)
    taken: list[KeptReview] = []
    read = now()
    for place, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            review = _read_line(line, known, splits, read)
        except ValueError as error:
            raise DataFormatError(f"{path} line {place}: {error}") from None
        if review is not None:
            taken.append(review)
    ledger.review(*taken)
    replaced = sum(review.question not in known[review.split, review.sample_id] for review in taken)
    return ReviewsRead(Counter(review.verdict for review in taken), replaced)


def _read_line(
    line: str, known: Mapping[SampleKey, list[str]], splits: Mapping[str, list[str]], read: str
) -> KeptReview | None:
    """Read a line; None if it has no verdict.

    Raises:
        ValueError: what is wrong with it.
    """
    try:
        entry: dict[str, Any] = json.loads(line)
        sample_id, number, verdict = str(entry["sample_id"]), int(entry["number"]), entry.get("verdict")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a review line ({error})") from None
    except RecursionError:
        raise ValueError("not a review line (too deeply nested)") from None
    if not verdict:
        return None
    if verdict not in VERDICTS:
        raise ValueError(f"verdict {verdict!r}; known: {', '.join(VERDICTS)}")
    question, where = str(entry.get("question") or ""), splits.get(sample_id, [])
    if not entry.get("split") and len(where) > 1:
        raise ValueError(f"{sample_id!r} is in several splits ({', '.join(where)}); name one in 'split'")
    split = str(entry.get("split") or "".join(where))
    shown = known.get((split, sample_id))
    if shown is None or (not question and not 0 <= number < len(shown)):
        raise ValueError(f"the run has no question {number} about {sample_id!r}{f' in {split}' if split else ''}")
    text, reason, reviewer = (str(entry.get(name) or "") for name in ("text", "reason", "reviewer"))
    if verdict == "edit" and not text.strip():
        raise ValueError("verdict 'edit' needs the new text in 'text'")
    for said in (split, sample_id, question, text, reason, reviewer):
        said.encode()  # half of a surrogate pair is no text that a database keeps
    try:
        moment = parse_time(str(entry.get("saved") or read)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'saved' is not a time ({error})") from None
    saved = moment.isoformat(timespec="milliseconds")  # so that texts sort like times
    return KeptReview(split, sample_id, question or shown[number], verdict, text, reason, reviewer, saved)


def acceptance(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Count the verdicts and the share of accepts by stage, model and prompt version.

    A verdict counts for the call that wrote the question and for the one that judged it. For questions of runs before
    2026-11-28, which do not say, it counts for all calls of the sample.
    """
    results = {(split, result.sample_id): result for split, result in ledger.results()}
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    for review in ledger.reviews():
        result = results.get((review.split, review.sample_id))
        for call in [] if result is None else _calls_behind(result, review.question):
            verdicts[f"{call['stage']} {call['model']} {call['prompt']}"][review.verdict] += 1
    return {
        name: {"reviewed": sum(counts.values()), "accepted": counts["accept"] / sum(counts.values())}
        for name, counts in sorted(verdicts.items())
    }


def _calls_behind(result: Generated, question: str) -> list[dict[str, Any]]:
    if question not in result.questions:
        return []
    origin = next((origin for origin in result.origins if origin["question"] == question), None)
    if origin is None:
        return result.provenance
    keys = {origin["key"], (origin.get("judge") or {}).get("key")}
    return [call for call in result.provenance if call["key"] in keys]

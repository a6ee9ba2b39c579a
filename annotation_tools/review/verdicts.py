"""Write the verdicts of a review for `earthreason questions review-in`, or settle them for an export."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

from earthreason.files import write_text
from earthreason.questions.settlement import PersonVerdict, SettledSample, parse_time, settle_sample

from ..reviewed import JudgedSample, ReviewOutcome, SampleKey, mask_hash
from .schema import STORE
from .store import ReviewStore


def write_verdicts(store: ReviewStore, path: Path) -> Counter[str]:
    """Write every current verdict as a line; return the number of first verdicts of each kind.

    Lines have the keys that `earthreason questions review-in` reads (split, sample_id, number, question, verdict, text,
    reason, reviewer, saved), among others. A second look has `round` 2 and its verdict under `second_verdict`, so that
    review-in skips it. If the lead decided a question, so do the verdicts of others, under `overruled_verdict`.
    """
    lines, counts = [], Counter[str]()
    decided = _decided(store)
    for entry in store.verdicts():
        overruled = entry["round"] > 0 and (entry["split"], entry["sample_id"], entry["number"]) in decided
        again = entry["round"] > 1
        counts[entry["verdict"]] += not again and not overruled
        reason = "; ".join(filter(None, [", ".join(entry["reasons"]), entry["note"]]))
        line = {**entry, "reason": reason, "verdict": "" if again or overruled else entry["verdict"]}
        if overruled and not again:
            line["overruled_verdict"] = entry["verdict"]
        lines.append(json.dumps(line | ({"second_verdict": entry["verdict"]} if again else {}), ensure_ascii=False))
    write_text(path, "".join(f"{line}\n" for line in lines))
    return +counts


def settle_reviews(store: ReviewStore) -> dict[SampleKey, SettledSample]:
    """Settle the first verdicts of all reviewers, by split and sample ID; samples without a verdict are left out."""
    verdicts: dict[SampleKey, dict[int, list[PersonVerdict]]] = defaultdict(lambda: defaultdict(list))
    decided = _decided(store)
    for entry in store.verdicts():
        question = entry["split"], entry["sample_id"], entry["number"]
        if entry["round"] == (0 if question in decided else 1):
            when = parse_time(entry["saved"])
            verdict = PersonVerdict(entry["reviewer"], when, entry["verdict"], entry["text"])
            verdicts[entry["split"], entry["sample_id"]][entry["number"]].append(verdict)
    return {sample: settle_sample(_questions(store, sample), by_number) for sample, by_number in verdicts.items()}


def review_outcome(folder: Path) -> ReviewOutcome:
    """Settle the review in a folder; return the settled questions with the questions and masks that reviewers saw.

    Raises:
        DataNotFoundError: the folder has no review.
        DataFormatError: a mask of the review is not readable.
    """
    store = ReviewStore(folder / STORE)
    try:
        masks = {(split, name): mask for split, name, mask in store.rows("SELECT split, sample_id, mask FROM samples")}
        judged = {
            sample: JudgedSample(_questions(store, sample), _mask_hash(folder / masks[sample]), settled)
            for sample, settled in settle_reviews(store).items()
            if settled.outcome != "open"
        }
        return ReviewOutcome(judged, frozenset(masks))
    finally:
        store.close()


def _decided(store: ReviewStore) -> set[tuple[str, str, int]]:
    """Return split, sample and number of the questions that the lead decided."""
    entries = store.verdicts()
    return {(entry["split"], entry["sample_id"], entry["number"]) for entry in entries if entry["round"] == 0}


def _questions(store: ReviewStore, sample: SampleKey) -> list[str]:
    rows = store.rows(
        "SELECT question FROM items JOIN samples USING (sample) WHERE split = ? AND sample_id = ? ORDER BY number",
        *sample,
    )
    return [question for (question,) in rows]


def _mask_hash(path: Path) -> str:
    return mask_hash(path.read_bytes(), path)

"""Verdicts out of a review: as lines that `earthreason questions review-in` takes, and settled for an export."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from annotation_tools.review.schema import STORE
from annotation_tools.review.store import ReviewStore
from earthreason.files import write_text


def write_verdicts(store: ReviewStore, path: Path) -> Counter[str]:
    """Write every current verdict as a line; returns verdicts and how often.

    Lines have what `earthreason questions review-in` reads (sample_id, number, verdict, text, reason, reviewer), and
    more.
    Second looks of the same person are written with `round` 2 and no verdict in the sense of review-in.
    """
    lines, counts = [], Counter[str]()
    for entry in store.verdicts():
        again = entry["round"] > 1
        counts[entry["verdict"]] += not again
        reason = "; ".join(filter(None, [", ".join(entry["reasons"]), entry["note"]]))
        line = {**entry, "reason": reason, "verdict": "" if again else entry["verdict"]}
        lines.append(json.dumps(line | ({"second_verdict": entry["verdict"]} if again else {}), ensure_ascii=False))
    write_text(path, "".join(f"{line}\n" for line in lines))
    return +counts


def settle_reviews(store: ReviewStore) -> dict[tuple[str, int], tuple[str, str]]:
    """One verdict and text a question: a rejection outweighs an edit, an edit an acceptance; unsure decides nothing."""
    weight = {"accept": 0, "edit": 1, "reject": 2}
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for entry in store.verdicts():
        if entry["round"] > 1 or entry["verdict"] not in weight:
            continue
        key = entry["sample_id"], entry["number"]
        if key not in found or weight[entry["verdict"]] > weight[found[key][0]]:
            found[key] = entry["verdict"], entry["text"]
    return found


@dataclass(frozen=True)
class Settled:
    """One verdict and new text by sample id and number of the question; and the questions of every sample."""

    verdicts: dict[tuple[str, int], tuple[str, str]]
    questions: dict[str, int]


def settled_reviews(folder: Path) -> Settled:
    """What the review in a folder comes to.

    Raises:
        DataNotFoundError: there is none.
    """
    store = ReviewStore(folder / STORE)
    try:
        return Settled(settle_reviews(store), dict(store.rows("SELECT sample_id, questions FROM samples")))
    finally:
        store.close()

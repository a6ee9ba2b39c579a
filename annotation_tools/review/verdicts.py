"""Verdicts out of a review: as lines that `earthreason questions review-in` takes, and settled for an export."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from annotation_tools.review.schema import STORE
from annotation_tools.review.store import ReviewStore
from earthreason.data.pictures import mask_of
from earthreason.files import write_text
from earthreason.masks.rle import encode_mask


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
class JudgedSample:
    """What was shown of a sample: its questions in their order, and a hash of its mask's pixels."""

    questions: list[str]
    mask: str


@dataclass(frozen=True)
class ReviewOutcome:
    """What a review comes to.

    Attributes:
        verdicts: one verdict and new text by sample id and number of the question.
        judged: what was shown, by sample id, where there is a verdict.
        samples: ids of all samples, judged or not.
    """

    verdicts: dict[tuple[str, int], tuple[str, str]]
    judged: dict[str, JudgedSample]
    samples: frozenset[str]


def mask_hash(content: bytes, path: Path) -> str:
    """A hash of a mask's pixels, however the PNG is written.

    Raises:
        DataFormatError: not a mask; names the path.
    """
    return hashlib.sha256(repr(encode_mask(mask_of(content, path))).encode()).hexdigest()[:16]


def settled_reviews(folder: Path) -> ReviewOutcome:
    """What the review in a folder comes to.

    Raises:
        DataNotFoundError: there is none.
        DataFormatError: one of its masks is not readable.
    """
    store = ReviewStore(folder / STORE)
    try:
        verdicts = settle_reviews(store)
        samples = store.rows("SELECT sample_id, sample, mask FROM samples")
        ids = {sample_id for sample_id, _ in verdicts}
        judged = {name: _judged(store, number, folder / mask) for name, number, mask in samples if name in ids}
        return ReviewOutcome(verdicts, judged, frozenset(name for name, _, _ in samples))
    finally:
        store.close()


def _judged(store: ReviewStore, sample: int, mask: Path) -> JudgedSample:
    questions = store.rows("SELECT question FROM items WHERE sample = ? ORDER BY number", sample)
    return JudgedSample([question for (question,) in questions], mask_hash(mask.read_bytes(), mask))

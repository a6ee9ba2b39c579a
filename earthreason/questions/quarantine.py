"""Samples without questions: why, and how to ask about them again."""

from __future__ import annotations

import re
from typing import NamedTuple

from earthreason.questions.ledger import Ledger
from earthreason.questions.types import QUESTIONS

_TOO_FEW = re.compile(r"only \d+ of \d+ questions passed")


class QuarantinedSample(NamedTuple):
    """A sample that got no questions, and the reason."""

    split: str
    sample_id: str
    reason: str


def list_quarantine(ledger: Ledger) -> list[QuarantinedSample]:
    """List the quarantined samples of a recipe."""
    return [
        QuarantinedSample(split, result.sample_id, result.reason)
        for split, result in ledger.results()
        if result.status != "done"
    ]


def describe_too_few(passed: int, candidates: int) -> str:
    """Return the reason of a sample with too few good questions."""
    return f"only {passed} of {candidates} questions passed the checks, {QUESTIONS} are needed"


def set_aside_quarantined(ledger: Ledger) -> tuple[int, int]:
    """Set aside the answers that led to quarantine: unusable ones, and all about a sample with too few good questions.

    Answers that led to questions of other samples stay. Samples that the server failed for need nothing set aside.

    Returns:
        Number of quarantined samples, and of answers set aside.
    """
    samples, keys, needed = 0, set[str](), set[str]()
    for _, result in ledger.results():
        behind = [call["key"] for call in result.provenance]
        if result.status == "done":
            needed.update(behind)
            continue
        samples += 1
        if _TOO_FEW.match(result.reason):
            keys.update(behind)
        else:
            keys.update(key for key in behind if (call := ledger.find(key)) and call.status == "quarantined")
    return samples, ledger.set_aside(sorted(keys - needed))

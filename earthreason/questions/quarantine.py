"""Samples without questions: why, and how to ask about them again."""

from __future__ import annotations

from typing import NamedTuple

from earthreason.questions.ledger import Ledger


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


def set_aside_quarantined(ledger: Ledger) -> tuple[int, int]:
    """Set aside the answers about quarantined samples, except those that led to questions of other samples.

    Returns:
        Number of quarantined samples, and of answers set aside.
    """
    samples, keys, needed = 0, set[str](), set[str]()
    for _, result in ledger.results():
        samples += result.status != "done"
        (needed if result.status == "done" else keys).update(call["key"] for call in result.provenance)
    return samples, ledger.set_aside(sorted(keys - needed))

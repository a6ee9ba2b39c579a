"""Samples without questions: why, and how to ask about them again."""

from __future__ import annotations

from typing import NamedTuple

from earthreason.questions.ledger import Ledger
from earthreason.questions.servers.replies import shorten

_OF_CONTENT = ("only ", "the model calls none ", "the judge ")
"""Beginnings of reasons for which all that was answered about a sample is to be asked anew."""


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


def describe_too_few(what: str, passed: int, candidates: int, needed: int) -> str:
    """Return the reason of a sample with too few good texts; `what` names them: `questions`, `answers`."""
    return f"only {passed} of {candidates} {what} passed the checks, {needed} are needed"


def describe_no_concept(offered: int) -> str:
    """Return the reason of a sample of which none of the offered concepts is absent beyond doubt."""
    return f"the model calls none of the {offered} concepts that it was offered absent beyond doubt"


def describe_wrong_target(target: str, absent: bool, seen: str) -> str:
    """Return the reason of a sample about which the judge contradicts the proposal."""
    if absent:
        return shorten(f"the judge is not certain that {target!r} is absent ({seen or 'it names no candidate'})")
    return shorten(f"the judge does not see {target!r} in the target ({seen})")


EMPTY_UNSEEN = "its mask is empty, and without images nobody can look what is absent; see --unseen-empties"
"""Reason of a sample with an empty mask in a run that sends no images."""


def set_aside_quarantined(ledger: Ledger) -> tuple[int, int]:
    """Set aside the answers that led to quarantine: unusable ones, and all about a sample without enough good texts.

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
        if result.reason.startswith(_OF_CONTENT):
            keys.update(behind)
        else:
            keys.update(key for key in behind if (call := ledger.find(key)) and call.status == "quarantined")
    return samples, ledger.set_aside(sorted(keys - needed))

"""Public rows from the database."""

from __future__ import annotations

from typing import Any

from .board import BoardEntry
from .hidden import hide_labels
from .records import ResultRecord, parse_result
from .tables import ScoredResult, Submission


def entry_of(submission: Submission, result: ScoredResult) -> BoardEntry:
    """Turn a submission and its result into a row."""
    return BoardEntry(
        id=submission.id,
        team=submission.team.name,
        metadata=public_metadata(submission.details),
        record=shown_record(submission, result.record),
        published=submission.published or submission.created,
        flag=submission.flag,
        card=submission.card,
    )


def shown_record(submission: Submission, stored: dict[str, Any]) -> ResultRecord:
    """Return what may leave the board of a stored result. Whatever shows a result has to take it from here."""
    record = parse_result(stored)
    return hide_labels(record, final=submission.final_at is not None) if submission.split.hidden else record


def public_metadata(details: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata without the contact."""
    return {key: value for key, value in details.items() if key != "contact"}

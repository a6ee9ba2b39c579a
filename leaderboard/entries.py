"""Public rows from the database."""

from __future__ import annotations

from typing import Any

from leaderboard.board import BoardEntry
from leaderboard.records import parse_result
from leaderboard.tables import ScoredResult, Submission


def entry_of(submission: Submission, result: ScoredResult) -> BoardEntry:
    """Turn a submission and its result into a row."""
    return BoardEntry(
        id=submission.id,
        team=submission.team.name,
        metadata=public_metadata(submission.details),
        record=parse_result(result.record),
        published=submission.published or submission.created,
        flag=submission.flag,
        card=submission.card,
    )


def public_metadata(details: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata without the contact."""
    return {key: value for key, value in details.items() if key != "contact"}

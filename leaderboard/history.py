"""The history of a submission: what changed, when, and who changed it. A published row changes only with an entry."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from .tables import Change, Split, Submission

ORGANISERS = "organisers"
SCORING = "scoring"
"""Author of a new result."""
PUBLISHED, MADE_PRIVATE, WITHDRAWN, RESTORED = "published", "made private", "withdrawn", "restored"
EDITED, FLAGGED, MADE_FINAL, SCORED_AGAIN, DELETED = "edited", "flagged", "made final", "scored again", "deleted"
MOST = 200
"""Entries listed at once, unless asked otherwise."""


def note_change(
    session: Session, submission: Submission, action: str, author: str, details: Mapping[str, Any] | None = None
) -> None:
    """Add an entry. It is public if the submission has ever been, so that a row cannot change behind a private spell.

    Args:
        session: a writing transaction.
        submission: the changed submission, after the change.
        action: what was done, one of the constants of this module.
        author: name of the team, or `ORGANISERS`.
        details: former and new value by field.
    """
    session.add(
        Change(
            submission_id=submission.id,
            at=time.time(),
            author=author,
            action=action,
            details=dict(details or {}),
            public=submission.published is not None,
        )
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """List the fields of two descriptions that differ, with both values. The contact is private and left out."""
    fields = [*after, *(field for field in before if field not in after)]
    pairs = {field: [before.get(field), after.get(field)] for field in fields if field != "contact"}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


def changes_of(
    session: Session, submission: Submission, own: bool, limit: int = MOST, offset: int = 0
) -> tuple[Sequence[Change], int]:
    """List a part of a submission's entries, newest first, and count all.

    Its owner also sees those from before it was public.
    """
    chosen = select(Change).where(Change.submission_id == submission.id)
    return _part(session, chosen if own else chosen.where(Change.public), limit, offset)


def public_changes(session: Session, split: Split, limit: int = MOST, offset: int = 0) -> tuple[Sequence[Change], int]:
    """List a part of a split's public entries, newest first, and count all, including those of rows that are gone."""
    chosen = select(Change).join(Submission).where(Submission.split_id == split.id, Change.public)
    return _part(session, chosen, limit, offset)


def _part(session: Session, chosen: Select[Change], limit: int, offset: int) -> tuple[Sequence[Change], int]:
    total = session.scalar(select(func.count()).select_from(chosen.subquery())) or 0
    return session.scalars(chosen.order_by(Change.id.desc()).limit(limit).offset(offset)).all(), total


def forget_words(session: Session, submission: Submission) -> None:
    """Remove what a deleted submission said of itself from its entries; the entries stay."""
    session.execute(update(Change).where(Change.submission_id == submission.id).values(details={}))


def forget_entries(session: Session, submission_ids: Sequence[str]) -> None:
    """Remove the entries of submissions whose rows are about to be removed, as their files never came."""
    session.execute(delete(Change).where(Change.submission_id.in_(submission_ids)))

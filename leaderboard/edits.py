"""What a team does with its submission afterwards: edit its description, declare it final, delete it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .history import DELETED as DELETED_ACTION
from .history import EDITED, MADE_FINAL, differences, forget_words, note_change
from .records import Metadata
from .submissions import RefusedError, is_public
from .tables import (
    DELETED,
    FAILED,
    SCORED,
    WITHDRAWN,
    GalleryPicture,
    ScoredResult,
    Submission,
    Team,
    Upload,
)
from .versions import count_change


@dataclass(frozen=True)
class Description:
    """The words that are shown beside a result: metadata, and a card of any form."""

    metadata: Metadata
    card: dict[str, Any] | None


def edit(session: Session, submission: Submission, given: Description, author: str) -> None:
    """Replace the description of a submission."""
    before = {**submission.details, "card": submission.card}
    submission.details = given.metadata.model_dump(mode="json")
    submission.card = given.card
    changed = differences(before, {**submission.details, "card": given.card})
    if changed:
        note_change(session, submission, EDITED, author, changed)
        _show(session, submission)


def declare_final(session: Session, submission: Submission, author: str) -> None:
    """Make a submission the final one of its team on its split, for good. On a hidden split it then shows groups.

    Raises:
        RefusedError: it is not scored, or is withdrawn, or the team has declared another one final.
    """
    if submission.final_at is not None:
        return
    if submission.state != SCORED or submission.visibility == WITHDRAWN:
        state = WITHDRAWN if submission.visibility == WITHDRAWN else submission.state
        raise RefusedError(f"only a scored submission can be final; this one is {state}")
    session.execute(select(Team.id).where(Team.id == submission.team_id).with_for_update())  # two at once
    other = session.scalar(
        select(Submission.id).where(
            Submission.team_id == submission.team_id,
            Submission.split_id == submission.split_id,
            Submission.final_at.is_not(None),
        )
    )
    if other is not None:
        raise RefusedError(f"your team has declared another submission to {submission.split.key} final: {other}")
    submission.final_at = time.time()
    note_change(session, submission, MADE_FINAL, author)
    _show(session, submission)


def delete_submission(session: Session, submission: Submission, author: str) -> None:
    """Delete a submission for good: file, results, pictures and words.

    An empty row stays, because what its scores have told stays known: it still counts towards the limits, and the
    history of a published row keeps its entries without their words.
    """
    results = session.scalars(select(ScoredResult.id).where(ScoredResult.submission_id == submission.id)).all()
    session.execute(delete(GalleryPicture).where(GalleryPicture.result_id.in_(results)))
    session.execute(delete(ScoredResult).where(ScoredResult.submission_id == submission.id))
    was_public = is_public(submission)
    file, submission.sha256 = submission.sha256, hashlib.sha256(submission.id.encode()).hexdigest()
    submission.visibility, submission.details, submission.card, submission.flag = DELETED, {}, None, None
    submission.claim = submission.lease_until = submission.error = None  # a worker that holds it stores nothing
    submission.state = SCORED if results else FAILED
    session.flush()
    if session.scalar(select(Submission.id).where(Submission.sha256 == file).limit(1)) is None:
        session.execute(delete(Upload).where(Upload.sha256 == file))
    forget_words(session, submission)
    note_change(session, submission, DELETED_ACTION, author)
    if was_public:
        count_change(session, submission.id)


def _show(session: Session, submission: Submission) -> None:
    """List a changed row anew and have its pages drawn again; a private one is on none."""
    if is_public(submission):
        count_change(session, submission.id)

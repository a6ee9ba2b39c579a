"""Record changes of public content: the listing follows, and drawn pages are drawn again."""

from __future__ import annotations

from sqlalchemy.orm import Session

from .changes import last_change, log_change
from .listing import reconcile, refresh


def count_change(session: Session, submission_id: str | None = None) -> None:
    """Record that a submission has changed in what the public may see, or that anything may have.

    Name the submission where only one has changed: pages of others then stay valid.
    """
    session.flush()
    if submission_id is None:
        log_change(session)
        reconcile(session)
    else:
        refresh(session, submission_id)


def board_version(session: Session) -> int:
    """Return how often public content has changed."""
    return last_change(session)

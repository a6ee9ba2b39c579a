"""The version of the public content: a counter that shows when drawn pages are out of date."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from leaderboard.tables import Version


def count_change(session: Session) -> None:
    """Record that public content has changed."""
    session.execute(update(Version).values(number=Version.number + 1))


def board_version(session: Session) -> int:
    """Return how often public content has changed."""
    return session.scalar(select(Version.number)) or 0

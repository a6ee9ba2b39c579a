"""Counting what the public sees: every change of it raises one number, by which drawn pages are kept or thrown away."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from leaderboard.tables import Version


def count_change(session: Session) -> None:
    """Say that the public board has changed."""
    session.execute(update(Version).values(number=Version.number + 1))


def board_version(session: Session) -> int:
    """How often it has changed."""
    return session.scalar(select(Version.number)) or 0

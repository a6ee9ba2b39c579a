"""The log of public changes: it tells what drawn pages are out of date. Each change has the next number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from .tables import BoardChange, Version

_KEPT = 1000


@dataclass(frozen=True)
class Changes:
    """What has changed up to a number.

    Attributes:
        number: number of the last change.
        rows: changed rows by number: split and ID.
        everything: whether anything else may have changed too.
    """

    number: int
    rows: dict[int, tuple[str, str]]
    everything: bool


def log_change(session: Session, split: str | None = None, entry_id: str | None = None) -> None:
    """Record that a public row, or everything, has changed.

    Until the transaction ends no other one can record a change, so numbers become visible in their order.
    """
    counted = update(Version).values(number=Version.number + 1).returning(Version.number)
    number = session.execute(counted).scalar_one()
    session.add(BoardChange(number=number, split=split, entry_id=entry_id))
    session.flush()
    session.execute(delete(BoardChange).where(BoardChange.number <= number - _KEPT))


def last_change(session: Session) -> int:
    """Return the number of the last change."""
    return session.scalar(select(Version.number)) or 0


def changes_since(session: Session, number: int) -> Changes:
    """Return what has changed after a number."""
    last = last_change(session)
    if last == number:
        return Changes(last, {}, everything=False)
    logged = session.scalars(select(BoardChange).where(BoardChange.number > number)).all()
    rows = {one.number: (one.split, one.entry_id) for one in logged if one.split and one.entry_id}
    last = max([last, *(one.number for one in logged)])  # one more may have been recorded in between
    return Changes(last, rows, everything=last < number or len(rows) < last - number)


def key_of_model(team: str, name: str) -> str:
    """Name a model in the log, for the pages of its other results. `name` is folded; no split has such a name."""
    return f"model {hashlib.blake2b(f'{team} {name}'.encode(), digest_size=16).hexdigest()}"

"""Why a database cannot be used at the moment, in words for readers and operators."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from earthreason.errors import EarthReasonError


class Cause(StrEnum):
    """Why a database, or the disk, cannot be used."""

    READ_ONLY = "read-only"
    FULL = "full"
    LOCKED = "locked"
    DAMAGED = "damaged"
    ABSENT = "unavailable"

    @property
    def sentence(self) -> str:
        """The cause as a sentence without a full stop."""
        return _SENTENCES[self]


_SENTENCES = {
    Cause.READ_ONLY: "the database can only be read at the moment",
    Cause.FULL: "the server's disk is full",
    Cause.LOCKED: "another program has locked the database",
    Cause.DAMAGED: "the database is damaged",
    Cause.ABSENT: "the database does not answer",
}
# By the text of SQLite (https://www.sqlite.org/rescode.html), which has no codes in older drivers.
_SQLITE = (
    ("readonly", Cause.READ_ONLY),
    ("disk is full", Cause.FULL),
    ("database is locked", Cause.LOCKED),
    ("table is locked", Cause.LOCKED),
    ("malformed", Cause.DAMAGED),
    ("not a database", Cause.DAMAGED),
    ("unable to open", Cause.ABSENT),
    ("disk i/o error", Cause.ABSENT),
)
# By the first letters of SQLSTATE (PostgreSQL's documentation, appendix A).
_POSTGRESQL = (
    ("25006", Cause.READ_ONLY),
    ("53100", Cause.FULL),
    ("55P03", Cause.LOCKED),
    ("40P01", Cause.LOCKED),
    ("XX001", Cause.DAMAGED),
    ("XX002", Cause.DAMAGED),
    ("08", Cause.ABSENT),
    ("53", Cause.ABSENT),
    ("57", Cause.ABSENT),
    ("58", Cause.ABSENT),
)
_OF_DISK = {errno.ENOSPC: Cause.FULL, errno.EDQUOT: Cause.FULL, errno.EROFS: Cause.READ_ONLY}


class UnavailableError(EarthReasonError, OSError):
    """The database cannot be used at the moment.

    Attributes:
        cause: why.
        reason: the driver's own words, for the log.
    """

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(f"{cause.sentence}; nothing was changed: {reason}")
        self.cause, self.reason = cause, reason


def cause_of(error: BaseException) -> Cause | None:
    """Return why a database or disk failed; None if the error is of another kind."""
    if isinstance(error, PoolTimeoutError):
        return Cause.ABSENT
    if isinstance(error, UnavailableError):
        return error.cause
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        text = str(error.orig).lower()
        known = [cause for start, cause in _POSTGRESQL if state and state.startswith(start)]
        known += [cause for words, cause in _SQLITE if not state and words in text]
        if known:
            return known[0]
        lost = error.connection_invalidated or type(error.orig).__module__.startswith("psycopg")
        return Cause.ABSENT if lost and isinstance(error, OperationalError | InterfaceError) else None
    return _OF_DISK.get(error.errno or 0) if isinstance(error, OSError) else None


@contextmanager
def naming_the_cause() -> Iterator[None]:
    """Turn the errors of a database that cannot be used into one with its cause.

    Raises:
        UnavailableError: the block failed for such a cause; other errors pass.
    """
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        cause = cause_of(error)
        if cause is None:
            raise
        words = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise UnavailableError(cause, words[0][:200] if words else type(error).__name__) from error

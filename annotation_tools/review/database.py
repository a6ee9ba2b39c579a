"""The file of a review: SQLite behind a lock, transactions, settings, and which review it is."""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotation_tools.review.model import Plan
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError


class ConflictError(EarthReasonError, RuntimeError):
    """The store has changed since the page was loaded, so a request no longer fits it."""


class OtherReviewError(ConflictError):
    """The page that sent the request shows another review."""


class ReviewDatabase:
    """An open file. May be used from several threads.

    Attributes:
        path: of the file.
        review: id of the review, so that a page of another one is told from its own.
        plan: who judges how much.
        questions: how many there are.
        images: that they are about.
    """

    def __init__(self, path: Path) -> None:
        """Open what `build_store` made.

        Raises:
            DataNotFoundError: there is none.
            DataFormatError: the file is something else.
        """
        if not path.is_file():
            raise DataNotFoundError(f"{path.parent} is no review: it has no {path.name}; make one with `review SRC`")
        self.path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, timeout=30, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("INSERT OR IGNORE INTO settings VALUES ('review', ?)", (json.dumps(uuid.uuid4().hex),))
            self.review = str(self.setting("review"))
            self.plan = Plan(**self.setting("plan"))
            self.questions = int(self._one("SELECT COUNT(*) FROM items")[0])
            self.images = int(self._one("SELECT COUNT(*) FROM samples")[0])
        except (sqlite3.DatabaseError, TypeError) as error:
            raise DataFormatError(f"{path}: not the store of a review ({error})") from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _one(self, statement: str, *values: Any) -> Any:
        with self._lock:
            return self._db.execute(statement, values).fetchone()

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def setting(self, name: str) -> Any:
        """A setting of the review, None if it was never kept."""
        row = self._one("SELECT value FROM settings WHERE name = ?", name)
        return None if row is None else json.loads(row[0])

    def require(self, review: str) -> None:
        """Refuse what a page of another review asks: its places and numbers mean something else here.

        Raises:
            OtherReviewError: the id is not this review's.
        """
        if review != self.review:
            raise OtherReviewError(
                "this page is of another review than the one that is served at this address now, so nothing was "
                "changed. Open the start page again; verdicts not yet saved wait in this browser until that review is "
                "served here"
            )

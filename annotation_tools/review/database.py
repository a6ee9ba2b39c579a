"""The database file of a review: SQLite with a lock, transactions and settings."""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError

from .model import Plan


class ConflictError(EarthReasonError, RuntimeError):
    """The store has changed since the page was loaded, so the request no longer applies."""


class OtherReviewError(ConflictError):
    """The page that sent the request shows another review."""


class ReviewDatabase:
    """An open review database. It may be used from several threads.

    Attributes:
        path: path of the file.
        review: ID of the review, which distinguishes its pages from those of another review.
        plan: plan of the review.
        questions: number of questions.
        images: number of images.
    """

    def __init__(self, path: Path) -> None:
        """Open a file written by `build_store`.

        Raises:
            DataNotFoundError: the file does not exist.
            DataFormatError: the file is not a review.
        """
        if not path.is_file():
            raise DataNotFoundError(
                f"{path.parent} is not a review: it has no {path.name}; create one with `review SRC`"
            )
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
            raise DataFormatError(f"{path}: not the database of a review ({error})") from None

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
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
        """Return all rows of a query."""
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def setting(self, name: str) -> Any:
        """Return a setting of the review, or None if it was never set."""
        row = self._one("SELECT value FROM settings WHERE name = ?", name)
        return None if row is None else json.loads(row[0])

    def require(self, review: str) -> None:
        """Refuse requests from a page of another review, because its places and numbers do not apply here.

        Raises:
            OtherReviewError: the ID is not that of this review.
        """
        if review != self.review:
            raise OtherReviewError(
                "another review is now served at this address, so nothing was changed. Open the start page again; "
                "unsaved verdicts stay in this browser until the review of this page is served here again"
            )

"""The SQLite record of a run: calls, results, reviews, batches. A killed run loses only the requests in flight."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from earthreason.errors import DataFormatError
from earthreason.questions.settlement import Decision
from earthreason.questions.types import Generated, Usage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY, sample_id TEXT NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL,
    created TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, usd REAL NOT NULL,
    status TEXT NOT NULL, content TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS results (
    sample_id TEXT PRIMARY KEY, split TEXT NOT NULL, status TEXT NOT NULL, content TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS reviews (
    sample_id TEXT NOT NULL, number INTEGER NOT NULL, verdict TEXT NOT NULL, text TEXT NOT NULL, reason TEXT NOT NULL,
    reviewer TEXT NOT NULL, saved TEXT NOT NULL DEFAULT '', PRIMARY KEY (sample_id, number, reviewer)
);
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, created TEXT NOT NULL, status TEXT NOT NULL, requests TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS calls_by_sample ON calls (sample_id);
"""


class Call(NamedTuple):
    """An answered request. `status` is `ok`, or `quarantined` with the reason as content."""

    key: str
    sample_id: str
    stage: str
    model: str
    prompt: str
    created: str
    usage: Usage
    status: str
    content: Any


class KeptReview(NamedTuple):
    """A person's current verdict on a question. `saved` is its time (UTC, ISO 8601), empty if unknown."""

    sample_id: str
    number: int
    verdict: Decision
    text: str
    reason: str
    reviewer: str
    saved: str = ""


class Ledger:
    """The record of a run. Several threads may use it, but only one process at a time."""

    def __init__(self, path: Path) -> None:
        """Open a ledger, or create it.

        Raises:
            DataFormatError: the file is not a ledger.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, timeout=30)
        self._db.row_factory = sqlite3.Row
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            if "saved" not in [row["name"] for row in self._rows("PRAGMA table_info(reviews)")]:  # made before 2026-11
                self._db.execute("ALTER TABLE reviews ADD COLUMN saved TEXT NOT NULL DEFAULT ''")
        except sqlite3.DatabaseError as error:
            raise DataFormatError(f"{path}: not a ledger of `earthreason questions` ({error})") from None
        # The budget is checked before every request; summing all calls each time would take quadratic time.
        self._spent = float(self._rows("SELECT COALESCE(SUM(usd), 0) FROM calls")[0][0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock, self._db:
            self._db.execute(statement, values)

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def find(self, key: str) -> Call | None:
        """Return the call with this key, or None if the request was never answered."""
        rows = self._rows("SELECT * FROM calls WHERE key = ?", (key,))
        if not rows:
            return None
        *head, input_tokens, output_tokens, usd, status, content = rows[0]
        return Call._make((*head, Usage(input_tokens, output_tokens, usd), status, json.loads(content)))

    def record(self, call: Call) -> None:
        """Save an answer. If its key was saved before, nothing changes and nothing is added to the cost."""
        *head, usage, status, content = call
        row = (*head, *astuple(usage), status, json.dumps(content, ensure_ascii=False))
        with self._lock, self._db:
            done = self._db.execute("INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            self._spent += usage.usd * done.rowcount

    def finish(self, split: str, result: Generated) -> None:
        """Save the result of a sample; it replaces an earlier one."""
        content = json.dumps(vars(result), ensure_ascii=False)
        self._write(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", (result.sample_id, split, result.status, content)
        )

    def results(self) -> Iterator[tuple[str, Generated]]:
        """Yield the split and result of every finished sample, sorted by sample id."""
        last = ""
        while True:  # in pages, so that the lock is not held while the table is read
            statement = "SELECT sample_id, split, content FROM results WHERE sample_id > ? ORDER BY sample_id LIMIT 500"
            rows = self._rows(statement, (last,))
            if not rows:
                return
            for sample_id, split, content in rows:
                last = sample_id
                yield split, Generated(**json.loads(content))

    def spent(self) -> float:
        """Return the cost of all calls in US dollars."""
        return self._spent

    def summary(self) -> dict[str, Any]:
        """Count calls, tokens and US dollars by stage, model and prompt, and samples by status."""
        rows = self._rows(
            "SELECT stage, model, prompt, COUNT(*) AS calls, SUM(input_tokens) AS input_tokens, "
            "SUM(output_tokens) AS output_tokens, SUM(usd) AS usd, SUM(status != 'ok') AS quarantined "
            "FROM calls GROUP BY stage, model, prompt ORDER BY stage"
        )
        return {
            "samples": dict(self._rows("SELECT status, COUNT(*) FROM results GROUP BY status")),
            "stages": [dict(row) for row in rows],
            "usd": self.spent(),
        }

    def remember(self, name: str, value: Any) -> None:
        """Save a setting of the run; it replaces an earlier value."""
        self._write("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def setting(self, name: str) -> Any:
        """Return a setting of the run, or None if it was never saved."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def record_batch(self, batch_id: str, status: str, requests: Mapping[str, Any]) -> None:
        """Save the status of a batch at the provider and a description of each of its requests, by key."""
        self._write(
            "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)", (batch_id, now(), status, json.dumps(requests))
        )

    def open_batches(self) -> dict[str, dict[str, Any]]:
        """Return the requests of every batch not yet collected, by batch id, oldest first."""
        rows = self._rows("SELECT id, requests FROM batches WHERE status = 'submitted' ORDER BY created")
        return {batch_id: json.loads(requests) for batch_id, requests in rows}

    def review(self, review: KeptReview) -> None:
        """Save a person's verdict on a question. It replaces that person's earlier verdict, but not a newer one."""
        self._write(
            "INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sample_id, number, reviewer) DO UPDATE SET "
            "verdict = excluded.verdict, text = excluded.text, reason = excluded.reason, saved = excluded.saved "
            "WHERE excluded.saved >= saved",
            tuple(review),
        )

    def reviews(self) -> list[KeptReview]:
        """Return all verdicts, sorted by sample, question and time."""
        rows = self._rows("SELECT * FROM reviews ORDER BY sample_id, number, saved, reviewer")
        return [KeptReview(*row) for row in rows]


def now() -> str:
    """Return the current time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""The memory of a run in SQLite (WAL): calls, results, reviews, batches. A killed run loses only requests in flight."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from earthreason.errors import DataFormatError
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


@dataclass(frozen=True)
class Call:
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
    """A person's current verdict on a question. `saved` is its time in UTC, ISO 8601; empty where unknown."""

    sample_id: str
    number: int
    verdict: str
    text: str
    reason: str
    reviewer: str
    saved: str = ""


class Ledger:
    """The memory of a run. May be used from several threads, and by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Open a ledger; create it if there is none.

        Raises:
            DataFormatError: the file is not a ledger.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, timeout=30)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
            if "saved" not in [row[1] for row in self._rows("PRAGMA table_info(reviews)")]:  # made before 2026-11
                self._db.execute("ALTER TABLE reviews ADD COLUMN saved TEXT NOT NULL DEFAULT ''")
        except sqlite3.DatabaseError as error:
            raise DataFormatError(f"{path}: not a ledger of `earthreason questions` ({error})") from None
        # Asked before every request: summing all calls each time would grow with the square of the run.
        self._spent = float(self._rows("SELECT COALESCE(SUM(usd), 0) FROM calls")[0][0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _write(self, statement: str, values: tuple[Any, ...]) -> int:
        with self._lock, self._db:
            return self._db.execute(statement, values).rowcount

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def find(self, key: str) -> Call | None:
        """Return the call with this key, None if it was never answered."""
        rows = self._rows("SELECT * FROM calls WHERE key = ?", (key,))
        return _call(rows[0]) if rows else None

    def record(self, call: Call) -> None:
        """Keep an answer. A key that is already there is left as it is and costs nothing more."""
        added = self._write(
            "INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                call.key,
                call.sample_id,
                call.stage,
                call.model,
                call.prompt,
                call.created,
                call.usage.input_tokens,
                call.usage.output_tokens,
                call.usage.usd,
                call.status,
                json.dumps(call.content, ensure_ascii=False),
            ),
        )
        self._spent += call.usage.usd if added else 0.0

    def finish(self, split: str, result: Generated) -> None:
        """Keep the result of a sample, replacing an earlier one."""
        content = json.dumps(vars(result), ensure_ascii=False)
        self._write(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", (result.sample_id, split, result.status, content)
        )

    def results(self) -> Iterator[tuple[str, Generated]]:
        """Yield split and result of every finished sample, by sample id."""
        last = ""
        while True:  # by pages, so that the lock is not held over the whole table
            statement = "SELECT sample_id, split, content FROM results WHERE sample_id > ? ORDER BY sample_id LIMIT 500"
            rows = self._rows(statement, (last,))
            if not rows:
                return
            for sample_id, split, content in rows:
                last = sample_id
                yield split, Generated(**json.loads(content))

    def spent(self) -> float:
        """Return what all calls cost, US dollars."""
        return self._spent

    def summary(self) -> dict[str, Any]:
        """Count calls, tokens and US dollars by stage, model and prompt, and samples by status."""
        columns = "stage, model, prompt, COUNT(*), SUM(input_tokens), SUM(output_tokens), SUM(usd), SUM(status != 'ok')"
        rows = self._rows(f"SELECT {columns} FROM calls GROUP BY stage, model, prompt ORDER BY stage")
        names = ("stage", "model", "prompt", "calls", "input_tokens", "output_tokens", "usd", "quarantined")
        return {
            "samples": dict(self._rows("SELECT status, COUNT(*) FROM results GROUP BY status")),
            "stages": [dict(zip(names, row, strict=True)) for row in rows],
            "usd": self.spent(),
        }

    def remember(self, name: str, value: Any) -> None:
        """Keep a setting of the run, replacing an earlier value."""
        self._write("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def setting(self, name: str) -> Any:
        """Return a setting of the run, None if there is none."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else None

    def record_batch(self, batch_id: str, status: str, requests: Mapping[str, Any]) -> None:
        """Keep the status of a batch at the provider, and what each of its requests is about."""
        self._write(
            "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)", (batch_id, now(), status, json.dumps(requests))
        )

    def open_batches(self) -> dict[str, dict[str, Any]]:
        """Return the requests of every batch whose answers are still to be collected, by batch id, oldest first."""
        rows = self._rows("SELECT id, requests FROM batches WHERE status = 'submitted' ORDER BY created")
        return {batch_id: json.loads(requests) for batch_id, requests in rows}

    def review(self, review: KeptReview) -> None:
        """Keep a person's verdict on a question. It replaces the same person's verdict unless that one is newer."""
        self._write(
            "INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sample_id, number, reviewer) DO UPDATE SET "
            "verdict = excluded.verdict, text = excluded.text, reason = excluded.reason, saved = excluded.saved "
            "WHERE excluded.saved >= saved",
            tuple(review),
        )

    def reviews(self) -> list[KeptReview]:
        """Return all verdicts by sample, question and time."""
        rows = self._rows("SELECT * FROM reviews ORDER BY sample_id, number, saved, reviewer")
        return [KeptReview(*row) for row in rows]


def now() -> str:
    """Return the current time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _call(row: tuple[Any, ...]) -> Call:
    key, sample_id, stage, model, prompt, created, tokens_in, tokens_out, usd, status, content = row
    usage = Usage(tokens_in, tokens_out, usd)
    return Call(key, sample_id, stage, model, prompt, created, usage, status, json.loads(content))

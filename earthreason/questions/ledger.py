"""The SQLite record of a run: requests, calls, results, reviews, batches. A killed run loses only what is in flight."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.questions.migration import MAIN, prepare
from earthreason.questions.settlement import Decision, parse_time
from earthreason.questions.types import Generated, Usage

if TYPE_CHECKING:
    from filelock import FileLock

SampleKey = tuple[str, str]
"""Split and id of a sample; an id alone may occur in several splits."""
_CALL = (
    "key, sample_id, stage, model, prompt, created, input_tokens, output_tokens, usd, status, content, split, details"
)
_PAGE = 500
_SUMMARY = (
    "SELECT stage, model, prompt, COUNT(*) AS calls, SUM(input_tokens) AS input_tokens, "
    "SUM(output_tokens) AS output_tokens, SUM(usd) AS usd, SUM(status = 'quarantined') AS quarantined "
    "FROM calls GROUP BY stage, model, prompt ORDER BY stage"
)
_IDENTICAL = (
    "SELECT COUNT(key) - COUNT(DISTINCT key) FROM "
    "(SELECT json_extract(content, '$.provenance[0].key') AS key FROM results WHERE recipe = ?)"
)


class Call(NamedTuple):
    """An answered request.

    `status` is `ok`; `quarantined` with the reason as content; or `replaced` if it was paid for and asked again.
    `details` has what is known of the request and its answer besides: `served_model`, `parameters`, `base_url`.
    """

    key: str
    sample_id: str
    stage: str
    model: str
    prompt: str
    created: str
    usage: Usage
    status: str
    content: Any
    split: str = ""
    details: Mapping[str, Any] = MappingProxyType({})


class KeptReview(NamedTuple):
    """A person's current verdict on the text of a question. `saved` is its time (UTC, ISO 8601), empty if unknown."""

    split: str
    sample_id: str
    question: str
    verdict: Decision
    text: str
    reason: str
    reviewer: str
    saved: str = ""


class Ledger:
    """The record of a run. Several threads may use it; one process at a time may generate, others may read and review.

    Attributes:
        path: the file.
        recipe: name of the recipe whose results are read and written; calls and reviews are shared by all.
    """

    def __init__(self, path: Path, recipe: str = MAIN) -> None:
        """Open a ledger, or create it.

        Raises:
            DataFormatError: the file is not a ledger.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.recipe = path, recipe
        self._lock = threading.Lock()
        self._generating: FileLock | None = None
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=30)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            prepare(self._db)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise self._damaged(error) from None
        # The budget is checked before every request; summing all calls each time would take quadratic time.
        self._spent = float(self._rows("SELECT COALESCE(SUM(usd), 0) FROM calls")[0][0])
        self._open: dict[int, float] = dict(map(tuple, self._rows("SELECT number, max_usd FROM requests")))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from generating into this ledger; the lock ends with the process, even a killed one.

        Raises:
            EarthReasonError: another process generates.
        """
        from filelock import FileLock, Timeout

        if self._generating is None:
            self._generating = FileLock(self.path.with_suffix(".lock"), timeout=0)
        try:
            self._generating.acquire()
        except Timeout:
            raise EarthReasonError(
                f"{self.path.parent}: another process generates questions in this folder; wait for it, or stop it"
            ) from None
        try:
            yield
        finally:
            self._generating.release()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._db:
                yield self._db
        except sqlite3.OperationalError as error:
            raise EarthReasonError(f"{self.path}: cannot be written ({error}); run again to continue") from None

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._transaction() as database:
            database.execute(statement, values)

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> DataFormatError:
        return DataFormatError(f"{self.path}: damaged, or not a ledger of `earthreason questions` ({error})")

    def _parsed(self, content: str) -> Any:
        try:
            return json.loads(content)
        except (ValueError, TypeError) as error:
            raise self._damaged(error) from None

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT."""
        return list(map(tuple, self._rows(statement)))

    # Requests and calls.

    def send(self, key: str, sample: SampleKey, stage: str, model: str, max_usd: float) -> int:
        """Note that a request is about to be sent, so that it counts as perhaps paid until it is settled.

        Returns:
            The number by which `record` or `settle` ends this.
        """
        row = (key, *sample, stage, model, now(), max_usd)
        with self._transaction() as database:
            names = "key, split, sample_id, stage, model, sent, max_usd"
            number = database.execute(f"INSERT INTO requests ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", row).lastrowid
        assert number is not None
        self._open[number] = max_usd
        return number

    def settle(self, number: int, usd: float) -> None:
        """Note what a request without an answer may have cost; with 0 it was not paid for, and is forgotten."""
        if usd > 0:
            self._write("UPDATE requests SET max_usd = ? WHERE number = ?", (usd, number))
        else:
            self._write("DELETE FROM requests WHERE number = ?", (number,))
        self._note(number, usd)

    def reserved(self, number: int) -> float:
        """Return the most that a request without an answer may cost, as noted so far, US dollars."""
        return self._open[number]

    def _note(self, number: int, usd: float) -> None:
        self._open[number] = usd
        if usd <= 0:
            del self._open[number]

    def find(self, key: str) -> Call | None:
        """Return the call with this key, or None if the request was never answered."""
        rows = self._rows(f"SELECT {_CALL} FROM calls WHERE key = ?", (key,))
        if not rows:
            return None
        *head, input_tokens, output_tokens, usd, status, content, split, details = rows[0]
        usage = Usage(input_tokens, output_tokens, usd)
        return Call._make((*head, usage, status, self._parsed(content), split, self._parsed(details)))

    def record(self, call: Call, request: int | None = None, lost_usd: float = 0.0) -> None:
        """Save an answer. If its key was saved before, nothing changes and nothing is added to the cost.

        Args:
            call: the answer.
            request: number of the request, which is settled by it.
            lost_usd: what earlier attempts of the request, which got no answer, may have cost.
        """
        *head, usage, status, content, split, details = call
        told, known = (json.dumps(value, ensure_ascii=False) for value in (content, dict(details)))
        row = (*head, *astuple(usage), status, told, split, known)
        with self._transaction() as database:
            places = ", ".join("?" * len(row))
            done = database.execute(f"INSERT OR IGNORE INTO calls ({_CALL}) VALUES ({places})", row)
            if lost_usd > 0:
                database.execute("UPDATE requests SET max_usd = ? WHERE number = ?", (lost_usd, request))
            else:
                database.execute("DELETE FROM requests WHERE number = ?", (request,))
            self._spent += usage.usd * done.rowcount
        if request is not None:
            self._note(request, lost_usd)

    def set_aside(self, keys: Iterable[str]) -> int:
        """Rename calls, so that their requests are sent again while their cost is kept; return their number."""
        count = 0
        with self._transaction() as database:
            for key in keys:
                statement = "UPDATE calls SET key = ?, status = 'replaced' WHERE key = ?"
                count += database.execute(statement, (f"{key}~{self._times(key) + 1}", key)).rowcount
        return count

    def times_set_aside(self, key: str) -> int:
        """Count the calls with this key that were set aside."""
        with self._lock:
            return self._times(key)

    def _times(self, key: str) -> int:
        statement = "SELECT COUNT(*) FROM calls WHERE key > ? AND key < ?"
        return int(self._db.execute(statement, (f"{key}~", f"{key}~~")).fetchone()[0])

    def spent(self) -> float:
        """Return the cost of all calls in US dollars."""
        return self._spent

    def perhaps_paid(self) -> float:
        """Return the maximum cost of the requests in flight and of those whose answer never came, in US dollars."""
        return sum(self._open.values())

    def committed(self) -> float:
        """Return what the run may have cost by now in US dollars: `spent` and `perhaps_paid`."""
        return self.spent() + self.perhaps_paid()

    # Results.

    def finish(self, split: str, result: Generated) -> None:
        """Save the result of a sample by the recipe; it replaces an earlier one."""
        content = json.dumps(vars(result), ensure_ascii=False)
        row = (self.recipe, split, result.sample_id, result.status, content)
        self._write("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", row)

    def results(self) -> Iterator[tuple[str, Generated]]:
        """Yield the split and result of every finished sample of the recipe, sorted by split and sample id."""
        last = ("", "")
        while True:  # in pages, so that the lock is not held while the table is read
            rows = self._rows(
                "SELECT split, sample_id, content FROM results WHERE recipe = ? AND (split, sample_id) > (?, ?) "
                f"ORDER BY split, sample_id LIMIT {_PAGE}",
                (self.recipe, *last),
            )
            if not rows:
                return
            for split, sample_id, content in rows:
                last = split, sample_id
                yield split, self._result(content)

    def _result(self, content: str) -> Generated:
        try:
            return Generated(**self._parsed(content))
        except TypeError as error:
            raise self._damaged(error) from None

    def summary(self) -> dict[str, Any]:
        """Count calls, tokens and US dollars of the run by stage, model and prompt, and the recipe's samples by status.

        `perhaps_paid` has the number and maximum cost of requests without an answer, `identical` the number of samples
        that share all answers with an earlier one.
        """
        statuses = "SELECT status, COUNT(*) FROM results WHERE recipe = ? GROUP BY status"
        return {
            "recipe": self.recipe,
            "samples": dict(self._rows(statuses, (self.recipe,))),
            "identical": self._rows(_IDENTICAL, (self.recipe,))[0][0],
            "stages": [dict(row) for row in self._rows(_SUMMARY)],
            "usd": self.spent(),
            "perhaps_paid": {"requests": len(self._open), "usd": self.perhaps_paid()},
        }

    # Settings and recipes.

    def remember(self, name: str, value: Any) -> None:
        """Save a setting of the run; it replaces an earlier value."""
        self._write("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    def setting(self, name: str) -> Any:
        """Return a setting of the run, or None if it was never saved."""
        rows = self._rows("SELECT value FROM settings WHERE name = ?", (name,))
        return self._parsed(rows[0][0]) if rows else None

    def recipes(self) -> list[str]:
        """List the names of all recipes, the oldest first."""
        used = [row[0] for row in self._rows("SELECT DISTINCT recipe FROM results ORDER BY recipe")]
        named = [row[0] for row in self._rows("SELECT name FROM recipes ORDER BY created, name")]
        return list(dict.fromkeys([*named, *used]))

    def stored_recipe(self) -> dict[str, Any] | None:
        """Return the settings of the recipe, or None if they were never saved."""
        rows = self._rows("SELECT content FROM recipes WHERE name = ?", (self.recipe,))
        return None if not rows else dict(self._parsed(rows[0][0]))

    def store_recipe(self, settings: Mapping[str, Any]) -> None:
        """Save the settings of the recipe; they replace earlier ones."""
        content = json.dumps(settings, ensure_ascii=False, sort_keys=True)
        self._write("INSERT OR REPLACE INTO recipes VALUES (?, ?, ?)", (self.recipe, now(), content))

    def is_before_recipes(self) -> bool:
        """Tell whether the recipe was begun before recipes were kept, as the nameless one then was."""
        if self.stored_recipe() is not None:
            return False
        results = self._rows("SELECT 1 FROM results WHERE recipe = ? LIMIT 1", (self.recipe,))
        kept = self._rows("SELECT 1 FROM recipes LIMIT 1")
        return bool(results) or (self.recipe == MAIN and not kept and not self.is_unused())

    def is_unused(self) -> bool:
        """Tell whether nothing was ever asked."""
        tables = ("calls", "requests", "batches")
        return not any(self._rows(f"SELECT 1 FROM {table} LIMIT 1") for table in tables)

    # Batches.

    def record_batch(self, batch_id: str, status: str, requests: Mapping[str, Any]) -> None:
        """Save the status of a batch at the provider and a description of each of its requests, by key."""
        self._write(
            "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)", (batch_id, now(), status, json.dumps(requests))
        )

    def open_batches(self) -> dict[str, dict[str, Any]]:
        """Return the requests of every batch not yet collected, by batch id, oldest first."""
        rows = self._rows("SELECT id, requests FROM batches WHERE status = 'submitted' ORDER BY created")
        return {batch_id: self._parsed(requests) for batch_id, requests in rows}

    # Reviews.

    def review(self, *reviews: KeptReview) -> None:
        """Save persons' verdicts on questions. Each replaces that person's earlier verdict, but not a newer one."""
        with self._transaction() as database:
            for review in reviews:
                same = "split = ? AND sample_id = ? AND question = ? AND reviewer = ?"
                person = (*review[:3], review.reviewer)
                # A new row, and not an update, so that of verdicts with one time the last one read is the latest.
                database.execute(f"DELETE FROM reviews WHERE {same} AND saved <= ?", (*person, review.saved))
                database.execute("INSERT OR IGNORE INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(review))

    def reviews(self) -> list[KeptReview]:
        """Return all verdicts, sorted by sample, question and time; those of one time as they came in."""
        rows = self._rows("SELECT * FROM reviews ORDER BY split, sample_id, question, saved, rowid")
        reviews = [KeptReview(*row) for row in rows]
        try:
            for review in reviews:
                parse_time(review.saved)
        except ValueError as error:
            raise self._damaged(error) from None
        return reviews


def now() -> str:
    """Return the current time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""The tables of a ledger, and the change of older ledgers to them.

A ledger of schema 1 (before 2026-11-28, `user_version` 0) keyed results and reviews by the sample's id alone, so that
samples of different splits with one id overwrote each other, and reviews by the number of a question, so that a
verdict moved to whatever question had that number after the next run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from earthreason.errors import DataFormatError
from earthreason.questions.settlement import parse_time

VERSION = 2
MAIN = "main"
"""Name of the recipe of a run for which none is given."""
_TABLES = (
    """CREATE TABLE IF NOT EXISTS calls (
        key TEXT PRIMARY KEY, sample_id TEXT NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL,
        created TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, usd REAL NOT NULL,
        status TEXT NOT NULL, content TEXT NOT NULL, split TEXT NOT NULL DEFAULT '', details TEXT NOT NULL DEFAULT '{}'
    )""",
    """CREATE TABLE IF NOT EXISTS requests (
        number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, split TEXT NOT NULL, sample_id TEXT NOT NULL,
        stage TEXT NOT NULL, model TEXT NOT NULL, sent TEXT NOT NULL, max_usd REAL NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS results (
        recipe TEXT NOT NULL, split TEXT NOT NULL, sample_id TEXT NOT NULL, status TEXT NOT NULL,
        content TEXT NOT NULL, PRIMARY KEY (recipe, split, sample_id)
    )""",
    """CREATE TABLE IF NOT EXISTS reviews (
        split TEXT NOT NULL, sample_id TEXT NOT NULL, question TEXT NOT NULL, verdict TEXT NOT NULL, text TEXT NOT NULL,
        reason TEXT NOT NULL, reviewer TEXT NOT NULL, saved TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (split, sample_id, question, reviewer)
    )""",
    """CREATE TABLE IF NOT EXISTS batches (
        id TEXT PRIMARY KEY, created TEXT NOT NULL, status TEXT NOT NULL, requests TEXT NOT NULL
    )""",
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS recipes (name TEXT PRIMARY KEY, created TEXT NOT NULL, content TEXT NOT NULL)",
)
_OLD_RESULTS, _OLD_REVIEWS = "results_of_schema_1", "reviews_of_schema_1"


def prepare(database: sqlite3.Connection) -> None:
    """Create the tables of a new ledger, or change those of an older one, in one transaction.

    Reviews of an older ledger go to the question that had their number. Those made before that question was generated,
    and those without a question, stay in the table `reviews_of_schema_1`, which nothing reads.

    Raises:
        DataFormatError: a newer version of this package wrote the ledger.
        sqlite3.DatabaseError: the file is no ledger.
    """
    if _version(database) == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        if (version := _version(database)) > VERSION:
            raise DataFormatError(f"a newer version of earthreason wrote it (schema {version}, known: {VERSION})")
        if version < VERSION:
            _change(database)
        database.commit()
    finally:
        database.rollback()  # of nothing, unless it failed


def _change(database: sqlite3.Connection) -> None:
    old = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for name, kept in (("results", _OLD_RESULTS), ("reviews", _OLD_REVIEWS)):
        if name in old:
            database.execute(f"ALTER TABLE {name} RENAME TO {kept}")
    if "reviews" in old and "saved" not in _columns(database, _OLD_REVIEWS):
        database.execute(f"ALTER TABLE {_OLD_REVIEWS} ADD COLUMN saved TEXT NOT NULL DEFAULT ''")
    if "calls" in old:
        for column, default in (("split", ""), ("details", "{}")):
            database.execute(f"ALTER TABLE calls ADD COLUMN {column} TEXT NOT NULL DEFAULT '{default}'")
    for statement in _TABLES:
        database.execute(statement)
    if "results" in old:
        database.execute(f"INSERT INTO results SELECT '{MAIN}', split, sample_id, status, content FROM {_OLD_RESULTS}")
        database.execute(f"DROP TABLE {_OLD_RESULTS}")
    if "reviews" in old:
        _change_reviews(database)
    database.execute(f"PRAGMA user_version = {VERSION}")


def _change_reviews(database: sqlite3.Connection) -> None:
    results = {
        sample_id: (split, json.loads(content))
        for split, sample_id, content in database.execute("SELECT split, sample_id, content FROM results")
    }
    columns = "rowid, sample_id, number, verdict, text, reason, reviewer, saved"
    for row, sample_id, number, *verdict, saved in database.execute(f"SELECT {columns} FROM {_OLD_REVIEWS}").fetchall():
        split, result = results.get(sample_id, ("", {}))
        questions = result.get("questions", [])
        if not 0 <= number < len(questions) or _is_before(saved, result.get("provenance", [])):
            continue
        database.execute(
            "INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (split, sample_id, questions[number], *verdict, saved),
        )
        database.execute(f"DELETE FROM {_OLD_REVIEWS} WHERE rowid = ?", (row,))
    if not database.execute(f"SELECT COUNT(*) FROM {_OLD_REVIEWS}").fetchone()[0]:
        database.execute(f"DROP TABLE {_OLD_REVIEWS}")


def _is_before(saved: str, calls: Iterable[dict[str, Any]]) -> bool:
    """Tell whether a verdict is older than an answer behind the question, so that it was about another question."""
    dates = [parse_time(call["date"]) for call in calls if call.get("date")]
    return bool(saved and dates) and parse_time(saved) < max(dates)


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]

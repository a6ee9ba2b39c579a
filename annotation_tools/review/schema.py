"""The tables of a review, and how they are filled when the review is created."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from earthreason.errors import DataFormatError

from .model import Plan, ReviewSample

STORE = "review.sqlite"
"""Name of the database file in the folder of a review."""
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE samples (
    sample INTEGER PRIMARY KEY, sample_id TEXT NOT NULL, split TEXT NOT NULL, picture TEXT NOT NULL,
    mask TEXT NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL, is_empty INTEGER NOT NULL,
    answers TEXT NOT NULL, category TEXT, ground_resolution REAL, questions INTEGER NOT NULL, open INTEGER NOT NULL,
    UNIQUE (split, sample_id)
);
CREATE TABLE items (
    item INTEGER PRIMARY KEY, sample INTEGER NOT NULL, number INTEGER NOT NULL, question TEXT NOT NULL,
    UNIQUE (sample, number)
);
CREATE TABLE claims (
    reviewer TEXT NOT NULL, first_place INTEGER NOT NULL, sample INTEGER NOT NULL, round INTEGER NOT NULL,
    claimed REAL NOT NULL, released INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (reviewer, first_place), UNIQUE (reviewer, sample, round)
);
CREATE TABLE events (
    event INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, reviewer TEXT NOT NULL, place INTEGER NOT NULL,
    item INTEGER NOT NULL, round INTEGER NOT NULL, kind TEXT NOT NULL, content TEXT NOT NULL, key TEXT UNIQUE,
    target INTEGER UNIQUE
);
CREATE INDEX events_of_item ON events (reviewer, item, round, event);
CREATE INDEX events_of_kind ON events (reviewer, kind, event);
CREATE TABLE verdicts (
    reviewer TEXT NOT NULL, item INTEGER NOT NULL, round INTEGER NOT NULL, event INTEGER NOT NULL,
    verdict TEXT NOT NULL, PRIMARY KEY (reviewer, item, round)
);
CREATE INDEX verdicts_of_item ON verdicts (item, round);
CREATE TABLE drafts (
    reviewer TEXT NOT NULL, item INTEGER NOT NULL, round INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (reviewer, item, round)
);
"""


def build_store(path: Path, samples: Iterable[ReviewSample], plan: Plan, settings: dict[str, Any]) -> int:
    """Create the store of a new review; return its number of questions.

    Raises:
        DataFormatError: a sample ID occurs twice in a split, or there are no questions.
    """
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    count = 0
    with database:
        database.executescript(_SCHEMA)
        for number, sample in enumerate(samples, start=1):
            wanted = plan.per_image if share(plan.seed, "overlap", sample.sample_id) < plan.overlap else 1
            values = {
                **vars(sample),
                "sample": number,
                "answers": json.dumps(sample.answers),
                "questions": len(sample.questions),
                "open": wanted,
            }
            names = ", ".join(values)
            try:
                database.execute(f"INSERT INTO samples ({names}) VALUES (:{names.replace(', ', ', :')})", values)
            except sqlite3.IntegrityError:
                raise DataFormatError(f"sample {sample.sample_id!r} occurs twice in {sample.split}") from None
            rows = [(number, place, question) for place, question in enumerate(sample.questions)]
            database.executemany("INSERT INTO items (sample, number, question) VALUES (?, ?, ?)", rows)
            count += len(rows)
        kept = {**settings, "plan": vars(plan)}
        database.executemany(
            "INSERT INTO settings VALUES (?, ?)", [(name, json.dumps(value)) for name, value in kept.items()]
        )
    database.close()
    if not count:
        raise DataFormatError("the source has no questions to review")
    return count


def share(seed: int, purpose: str, sample_id: str) -> float:
    """Hash seed, purpose and sample ID to a number in [0, 1), so that a new review makes the same choices."""
    digest = hashlib.sha256(f"{seed}\n{purpose}\n{sample_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / float(1 << 48)

"""Merge the runs of several machines, each of which generated questions for one part of the samples."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import atomic_path, refuse_taken
from earthreason.questions.ledger import Ledger
from earthreason.shards import Shard, check_complete

LEDGER = "ledger.sqlite"
_SHARD = "shard"
"""Setting of a run: the part of the samples that it is about."""
_CALL_COLUMNS = (
    "sample_id, stage, model, prompt, created, input_tokens, output_tokens, usd, status, content, split, details"
)


def keep_shard(ledger: Ledger, shard: Shard | None) -> None:
    """Save which part of the samples a run is about, or check that it is the one it was begun with.

    Raises:
        EarthReasonError: the run is about another part.
    """
    known = ledger.setting(_SHARD)
    if ledger.is_unused() and known is None:
        ledger.remember(_SHARD, None if shard is None else str(shard))
    elif known != (None if shard is None else str(shard)):
        told = ["all samples" if each is None else f"part {each}" for each in (known, shard)]
        raise EarthReasonError(f"{ledger.path.parent} is about {told[0]}, and this is {told[1]}; choose another --out")


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run of question generation."""
    return (folder / LEDGER).is_file()


def merge_runs(folders: Sequence[Path], out: Path) -> int:
    """Write one run with the answers, results and reviews of all parts; return the number of finished samples.

    `questions generate` continues the merged run and asks only for what is missing. A request that several parts
    paid for, because they have identical samples, keeps one answer, and the cost of all.

    Args:
        folders: runs of `questions generate --shard`.
        out: folder of the merged run; it must be absent or empty.

    Raises:
        DataNotFoundError: a folder is no run.
        EarthReasonError: a run is not a part, a part is missing or given twice, the runs have another source or recipe,
            a process generates into one, or `out` is not empty.
    """
    refuse_taken(out)
    with ExitStack() as stack:
        parts: list[tuple[Shard, Ledger]] = []
        for folder in folders:
            if not is_run(folder):
                raise DataNotFoundError(f"{folder} is not a run directory of `questions generate`: it has no {LEDGER}")
            ledger = stack.enter_context(closing(Ledger(folder / LEDGER)))
            stack.enter_context(ledger.locked())
            shard = ledger.setting(_SHARD)
            if shard is None:
                raise EarthReasonError(f"{folder} is not a part: `questions generate --shard` writes parts")
            parts.append((Shard.parse(shard), ledger))
        parts.sort(key=lambda part: part[0].number)
        check_complete((str(ledger.path.parent), shard) for shard, ledger in parts)
        _check_same([ledger for _, ledger in parts])
        with atomic_path(out) as temporary:
            with closing(Ledger(temporary / LEDGER)):
                pass  # makes the tables
            with closing(sqlite3.connect(temporary / LEDGER, isolation_level=None)) as database:
                for shard, ledger in parts:
                    _add(database, ledger.path, shard)
                done = database.execute("SELECT COUNT(*) FROM results WHERE status = 'done'").fetchone()[0]
    return int(done)


def _check_same(ledgers: Sequence[Ledger]) -> None:
    first = ledgers[0]
    for ledger in ledgers:
        for what, statement in (
            ("settings", f"SELECT name, value FROM settings WHERE name != '{_SHARD}' ORDER BY name"),
            ("recipes", "SELECT name, content FROM recipes ORDER BY name"),
        ):
            if ledger.query(statement) != first.query(statement):
                raise EarthReasonError(
                    f"{ledger.path.parent} has other {what} than {first.path.parent}; generate all parts with the same "
                    "source and options"
                )


def _add(database: sqlite3.Connection, path: Path, shard: Shard) -> None:
    """Copy the rows of a part; rows of the main ledger that others have too stay as they are."""
    database.execute("ATTACH ? AS part", (str(path),))
    database.execute("BEGIN")
    database.execute(
        f"INSERT INTO calls (key, {_CALL_COLUMNS}) SELECT key || '+{shard.number}', "
        f"{_CALL_COLUMNS.replace('status', repr('replaced'))} FROM part.calls "
        "WHERE key IN (SELECT key FROM main.calls)"
    )
    database.execute("INSERT OR IGNORE INTO calls SELECT * FROM part.calls")
    names = "key, split, sample_id, stage, model, sent, max_usd"
    database.execute(f"INSERT INTO requests ({names}) SELECT {names} FROM part.requests")
    for table in ("results", "reviews", "batches", "recipes"):
        database.execute(f"INSERT OR IGNORE INTO {table} SELECT * FROM part.{table}")
    database.execute(f"INSERT OR IGNORE INTO settings SELECT * FROM part.settings WHERE name != '{_SHARD}'")
    database.execute("COMMIT")
    database.execute("DETACH part")

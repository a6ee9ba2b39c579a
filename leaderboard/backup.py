"""Backup and restore: every table as JSON lines in one compressed file.

The format does not depend on the database, so a restore also moves a board between SQLite and PostgreSQL.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import LargeBinary, Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.orm import Session

from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import private_path

from .availability import cause_of
from .database import Database
from .listing import reconcile
from .private_files import SUFFIXES
from .tables import LISTING, Base, BoardChange, Submission

FORMAT = "earthreason-leaderboard-backup/1"
_NOT_KEPT = ("sign_ins", "links", "outgoing", BoardChange.__tablename__, *(table.__tablename__ for table in LISTING))
"""Browsers sign in again, links are asked for again, and no message is sent twice; what is derived is derived again."""
_AT_ONCE = 20


def write_backup(database: Database, target: Path) -> dict[str, int]:
    """Write a consistent snapshot of all tables to a file that only its owner can read; return row counts by table.

    Raises:
        EarthReasonError: the file is one of the database's own.
    """
    if database.file is not None:
        own = [Path(f"{database.file}{suffix}").resolve() for suffix in SUFFIXES]
        if target.resolve() in own:
            raise EarthReasonError(f"{target} is the database itself; give the backup another name")
    counts = {}
    with private_path(target) as temporary, database.read() as session:
        if not database.is_sqlite:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        with gzip.open(temporary, "wt", encoding="utf-8", compresslevel=1) as file:
            file.write(json.dumps({"format": FORMAT}) + "\n")
            for table in _tables():
                counts[table.name] = 0
                for row in session.execute(select(table).execution_options(yield_per=_AT_ONCE)).mappings():
                    file.write(json.dumps({"table": table.name, "row": _plain(table, row)}) + "\n")
                    counts[table.name] += 1
            file.write(json.dumps({"end": counts}) + "\n")
    return counts


def restore_backup(database: Database, source: Path) -> dict[str, int]:
    """Fill an empty database from a backup in one transaction; return row counts by table.

    Raises:
        DataFormatError: the file is not a backup of this version or an earlier one, or is damaged; nothing is restored.
        EarthReasonError: the database is not empty.
    """
    database.migrate()
    tables = {table.name: table for table in _tables()}
    counts = dict.fromkeys(tables, 0)
    with database.write() as session:
        for table in tables.values():
            if table.name != "board_version" and session.scalar(select(func.count()).select_from(table)):
                raise EarthReasonError(f"the database is not empty ({table.name}); restore into a new one")
        session.execute(tables["board_version"].delete())
        ended = False
        for number, line in enumerate(_lines(source), start=2):
            if "end" in line:
                ended = {**dict.fromkeys(tables, 0), **line["end"]} == counts  # older versions had fewer tables
                break
            with _naming_the_line(source, number):
                table = _table_of(line, tables)
                session.execute(insert(table).values(_typed(table, line["row"])))
            counts[table.name] += 1
        if not ended:
            raise DataFormatError(f"{source}: the backup is truncated; nothing was restored")
        waited = update(Submission).where(Submission.queued_at.is_(None)).values(queued_at=Submission.uploaded)
        session.execute(waited)
        reconcile(session)
        if not database.is_sqlite:
            _continue_numbers(session, list(tables.values()))
    return counts


@contextmanager
def _naming_the_line(source: Path, number: int) -> Iterator[None]:
    """Turn the errors of a damaged row into one line.

    Raises:
        DataFormatError: the row has the wrong fields, or values that its table does not take.
    """
    try:
        yield
    except (StatementError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, DBAPIError) and cause_of(error) is not None:
            raise  # the database's fault
        words = str(getattr(error, "orig", None) or error).strip().splitlines()
        reason = words[0][:200] if words else type(error).__name__
        raise DataFormatError(f"{source}: line {number}: damaged row: {reason}; nothing was restored") from None


def _table_of(line: dict[str, Any], tables: Mapping[str, Table]) -> Table:
    """Find the table of a row.

    Raises:
        ValueError: the row is of a table or has columns that this version does not know.
    """
    name = line.get("table")
    row = line.get("row")
    if not isinstance(name, str) or not isinstance(row, dict):
        raise ValueError("neither a row nor the end of a backup")
    if name not in tables:
        raise ValueError(f"unknown table {name!r}; a newer version of earthreason may have made this backup")
    unknown = [column for column in row if column not in tables[name].columns]
    if unknown:
        raise ValueError(f"unknown column {unknown[0]!r}; a newer version of earthreason may have made this backup")
    return tables[name]


def _tables() -> list[Table]:
    """List the tables in an order in which none refers to a later one."""
    return [table for table in Base.metadata.sorted_tables if table.name not in _NOT_KEPT]


def _plain(table: Table, row: Any) -> dict[str, Any]:
    values = {column.name: row[column] for column in table.columns}
    for name in _binary_columns(table):
        if values[name] is not None:
            values[name] = base64.b64encode(values[name]).decode()
    return values


def _typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Convert a row for the database; a column that an older version lacked gets its default."""
    values = {column.name: row[column.name] for column in table.columns if column.name in row}
    for name in _binary_columns(table):
        if values.get(name) is not None:
            values[name] = base64.b64decode(values[name], validate=True)
    return values


def _binary_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if isinstance(column.type, LargeBinary)]


def _lines(source: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(source, "rt", encoding="utf-8") as file:
            if json.loads(file.readline()).get("format") != FORMAT:
                raise DataFormatError(f"{source}: not a backup in the format {FORMAT}")
            for text_line in file:
                line = json.loads(text_line)
                if not isinstance(line, dict) or not isinstance(line.get("end", {}), dict):
                    raise ValueError("a line is not a JSON object")
                yield line
    except DataFormatError:  # a ValueError, too
        raise
    except (EOFError, ValueError, gzip.BadGzipFile, zlib.error, AttributeError, RecursionError) as error:
        raise DataFormatError(f"{source}: damaged backup: {error}; nothing was restored") from None


def _continue_numbers(session: Session, tables: list[Table]) -> None:
    """Move PostgreSQL's ID sequences past the restored rows."""
    for table in tables:
        if "id" in table.columns and table.columns["id"].type.python_type is int:
            sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
            highest = f"(SELECT coalesce(max(id), 1) FROM {table.name})"
            session.execute(text(f"SELECT setval({sequence}, {highest})"))

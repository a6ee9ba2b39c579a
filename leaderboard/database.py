"""Open the database, bring its tables up to date, read and write in transactions."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, text, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError

from .availability import Cause, cause_of, naming_the_cause
from .listing import bring_up_to_date, is_up_to_date
from .private_files import keep_private
from .tables import Base, Upload, Version

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "head"
_NO_FILE = "0" * 64
LOCK_SECONDS = 20
"""Longest wait for another process that writes to a SQLite file."""
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
_MIGRATION_LOCK = 7_351_004_961  # any number that no other program locks


class Database:
    """A SQLite or PostgreSQL database. The files of SQLite, which hold labels, are made readable by their owner only.

    Attributes:
        file: file of a SQLite database; None for PostgreSQL.

    Raises:
        EarthReasonError: the URL is invalid, the kind of database is not supported, or the file is not a board's.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
        except (ArgumentError, ValueError):  # the URL is not shown, because it may hold a password
            raise EarthReasonError(
                "DATABASE_URL is not a database URL, such as sqlite:///board.sqlite3 or postgresql://user@host/board"
            ) from None
        if self.url.drivername in ("postgres", "postgresql"):
            self.url = self.url.set(drivername="postgresql+psycopg")
        if self.url.drivername not in ("sqlite", "postgresql+psycopg"):
            raise EarthReasonError(f"DATABASE_URL: {self.url.drivername} is not supported; use sqlite or postgresql")
        self.file = _file_of(self.url)
        if self.file is not None:
            keep_private(self.file)
        self.engine = _open_engine(self.url, self.file)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads.

        Raises:
            UnavailableError: the database cannot be read at the moment.
        """
        with naming_the_cause(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits when the block succeeds and rolls back otherwise.

        Raises:
            UnavailableError: the database cannot be written at the moment.
        """
        engine = self.engine.execution_options(writes=True)
        with naming_the_cause(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self, revision: str = HEAD) -> None:
        """Create the tables or bring them up to date. Several processes may call this at once.

        Args:
            revision: version of the tables; "head" is the newest.

        Raises:
            EarthReasonError: the tables were made by a newer version of this program, or by another program.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with naming_the_cause():
            self._upgrade(config, revision)

    def _upgrade(self, config: Config, revision: str) -> None:
        scripts = ScriptDirectory.from_config(config)
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if revision == HEAD and current == scripts.get_current_head():
                with Session(connection) as session:
                    if is_up_to_date(session):
                        return  # nothing to write, so a board that can only be read serves its pages
        engine = self.engine.execution_options(writes=True)
        with engine.begin() as connection:
            if not self.is_sqlite:  # SQLite's write transaction is exclusive already
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            current = MigrationContext.configure(connection).get_current_revision()
            if current is None:
                _check_no_tables(connection)
            known = {script.revision for script in scripts.walk_revisions()}
            if current is not None and current not in known:
                raise EarthReasonError(
                    f"a newer version of earthreason made this database ({current}); update earthreason"
                )
            config.attributes |= {"connection": connection, "metadata": Base.metadata}
            command.upgrade(config, revision)
            if revision == HEAD:
                with Session(connection) as session:
                    bring_up_to_date(session)
                    session.flush()

    def check_writable(self, size: int = 0) -> None:
        """Write and roll back, to find out whether writing works.

        Args:
            size: bytes of a file to try; enough of them find a full disk, which a small change may still fit on.

        Raises:
            UnavailableError: the database cannot be written at the moment.
        """
        engine = self.engine.execution_options(writes=True)
        with naming_the_cause(), engine.connect() as connection, connection.begin() as transaction:
            connection.execute(update(Version).values(number=Version.number))
            if size:
                connection.execute(insert(Upload).values(sha256=_NO_FILE, content=bytes(size)))
            transaction.rollback()

    def wait(self, seconds: float) -> None:
        """Wait for a database to start.

        Raises:
            EarthReasonError: the database did not answer in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.engine.connect() as connection:
                    connection.execute(text("SELECT 1"))
            except DBAPIError as error:
                cause = cause_of(error)
                if cause is Cause.DAMAGED or time.monotonic() > deadline:
                    reason = str(error.orig).strip().splitlines()[0]
                    place = "" if self.file is None else f" ({self.file})"
                    raise EarthReasonError(f"{(cause or Cause.ABSENT).sentence}: {reason}{place}") from None
                time.sleep(0.2)
            else:
                return


def _file_of(url: URL) -> Path | None:
    """Return the file of a SQLite database.

    Raises:
        EarthReasonError: the database would be in memory, where each process has its own.
    """
    if not url.drivername.startswith("sqlite"):
        return None
    name = url.database or ""
    if name in ("", ":memory:") or name.startswith("file:"):
        raise EarthReasonError("DATABASE_URL: a board needs a file; write it as sqlite:///board.sqlite3")
    return Path(name)


def _check_no_tables(connection: Connection) -> None:
    """Check that tables which bear the names of ours are not those of another program.

    Raises:
        EarthReasonError: they are.
    """
    taken = sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
    if taken:
        raise EarthReasonError(
            f"DATABASE_URL: another program has tables here ({', '.join(taken)}); use a database of its own"
        )


def _open_engine(url: URL, file: Path | None) -> Engine:
    if file is None:
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    engine = create_engine(url, creator=lambda: _open_file(file), pool_size=10, max_overflow=20)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see below
        record.info["immutable"] = _is_immutable(file)
        pragmas = ("foreign_keys=ON",) if record.info["immutable"] else _PRAGMAS
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "checkin")
    def _open_again(connection: Any, record: Any) -> None:
        if record.info.get("immutable") and connection is not None:  # the disk may be writable by then
            record.invalidate()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that begins as a read and then writes fails if another one has written in between.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _is_immutable(file: Path) -> bool:
    """Tell whether nobody can change a database: its disk is read-only, and no process has left a log of changes."""
    return not os.access(file.absolute().parent, os.W_OK) and not file.with_name(f"{file.name}-wal").exists()


def _open_file(file: Path) -> sqlite3.Connection:
    """Open a file. SQLite cannot make the files that it shares with other processes on a read-only disk."""
    address = f"{file.absolute().as_uri()}?{'immutable=1' if _is_immutable(file) else 'mode=rwc'}"
    return sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, check_same_thread=False)
